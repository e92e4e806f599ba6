/*
 * Attention: see attention.h.
 *
 * For each leading index K is turned once, and scaled. Then, for a block of queries whose scores fit the L1 cache or nearly: the scores, a softmax for each
 * row in place, and the product with V.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/attention.h"
#include "engine/kernel/family.h"
#include "engine/kernel/heap.h"
#include "engine/kernel/microkernel.h"
#include "engine/kernel/softmax.h"
#include "engine/kernel/turn.h"
#include "engine/ref/unaligned.h"

#define BLOCK_FLOATS 8192u /* of scores */
#define BLOCK_ROWS 64u
#define LANES 16u

enum size { WHOLE, REST };

struct attention {
	struct gyr_attention_layout at;
	enum { NO_MASK, ADDED, CHOSEN } mask;
	float scale, fill;
	bool keep;         /* a chosen mask's value where the score stays */
	size_t block, row; /* queries of a block, floats from row to row of its scores and of K turned */
	size_t turned_bytes;
	const struct gyr_microkernel *scores[2], *products[2];
};

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

static void turn_keys(const struct attention *attention, const gyr_f32_u *k, float *to)
{
	const struct gyr_attention_layout *at = &attention->at;
	if (at->k_column == 1) {
		gyr_kernel_turn((size_t)at->keys, (size_t)at->depth, attention->scale, k, (size_t)at->k_row, to, attention->row);
		return;
	}
	for (int64_t d = 0; d < at->depth; d++)
		for (int64_t i = 0; i < at->keys; i++)
			to[(size_t)d * attention->row + (size_t)i] = k[i * at->k_row + d * at->k_column] * attention->scale;
}

static size_t mask_bytes(const struct attention *attention)
{
	return attention->mask == ADDED ? sizeof(float) : 1;
}

/* The softmax of the scores of one query; MASK is what it has of one. */
static void finish_row(const struct attention *attention, const void *mask, float *row)
{
	size_t keys = (size_t)attention->at.keys, step = (size_t)attention->at.mask_key;
	if (attention->mask == ADDED) {
		gyr_kernel_softmax_masked(keys, row, mask, step, row);
		return;
	}
	const gyr_u8_u *chosen = mask;
	for (size_t k = 0; k < keys && attention->mask == CHOSEN; k++)
		row[k] = (chosen[k * step] != 0) == attention->keep ? row[k] : attention->fill;
	gyr_kernel_softmax(1, keys, 1, row, row);
}

static void compute_block(const struct attention *attention, enum size size, size_t first, const gyr_f32_u *q, const float *keys, const gyr_f32_u *v,
			  const char *mask, gyr_f32_u *y, float *scores)
{
	const struct gyr_attention_layout *at = &attention->at;
	size_t rows = size == WHOLE ? attention->block : (size_t)at->queries % attention->block;
	gyr_microkernel_run(attention->scores[size], q + first * (size_t)at->q_row, keys, scores);
	for (size_t i = 0; i < rows; i++)
		finish_row(attention, mask == NULL ? NULL : mask + (first + i) * (size_t)at->mask_query * mask_bytes(attention), scores + i * attention->row);
	gyr_microkernel_run(attention->products[size], scores, v, y + first * (size_t)at->y_row);
}

static void compute(const struct attention *attention, const gyr_f32_u *q, const gyr_f32_u *k, const gyr_f32_u *v, const char *mask, gyr_f32_u *y,
		    char *scratch)
{
	float *keys = (float *)(void *)scratch, *scores = (float *)(void *)(scratch + attention->turned_bytes);
	size_t queries = (size_t)attention->at.queries, whole = queries / attention->block * attention->block;
	turn_keys(attention, k, keys);
	for (size_t first = 0; first < whole; first += attention->block)
		compute_block(attention, WHOLE, first, q, keys, v, mask, y, scores);
	if (whole < queries)
		compute_block(attention, REST, whole, q, keys, v, mask, y, scores);
}

static void run_attention(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct attention *attention = params;
	const struct gyr_attention_layout *at = &attention->at;
	const gyr_f32_u *q = (const gyr_f32_u *)inputs[0] + at->q_offset, *k = (const gyr_f32_u *)inputs[1] + at->k_offset;
	const gyr_f32_u *v = (const gyr_f32_u *)inputs[2] + at->v_offset;
	const char *mask = attention->mask != NO_MASK ? inputs[3] : NULL;
	gyr_f32_u *y = outputs[0];
	int64_t index[GYR_ATTENTION_LEADING_MAX] = {0}, count = 1;
	for (int i = 0; i < GYR_ATTENTION_LEADING_MAX; i++)
		count *= at->leading[i];
	gyr_kernel_heap_begin();
	while (count-- > 0) {
		int64_t q_at = 0, k_at = 0, v_at = 0, y_at = 0, mask_at = 0;
		for (int i = 0; i < GYR_ATTENTION_LEADING_MAX; i++) {
			q_at += index[i] * at->q_steps[i];
			k_at += index[i] * at->k_steps[i];
			v_at += index[i] * at->v_steps[i];
			y_at += index[i] * at->y_steps[i];
			mask_at += index[i] * at->mask_steps[i];
		}
		compute(attention, q + q_at, k + k_at, v + v_at, mask == NULL ? NULL : mask + (size_t)mask_at * mask_bytes(attention), y + y_at, scratch);
		for (int i = GYR_ATTENTION_LEADING_MAX; i-- > 0;) {
			if (++index[i] < at->leading[i])
				break;
			index[i] = 0;
		}
	}
	gyr_kernel_heap_end();
}

/* The layout of the batch number at which Y has as many elements. */
static int find_layout(struct gyr_prepare *prepare, struct gyr_attention_layout *layout)
{
	const struct gyr_attribute *layouts = gyr_node_attribute(prepare->node, "layouts");
	int64_t elements = (int64_t)kernel_count(&prepare->outputs[0]);
	for (size_t i = 0; i + GYR_ATTENTION_LAYOUT_ITEMS <= layouts->integers.count; i += GYR_ATTENTION_LAYOUT_ITEMS) {
		memcpy(layout, layouts->integers.items + i, sizeof *layout);
		if (layout->elements == elements)
			return 0;
	}
	return gyr_error_set(prepare->error, -ENOTSUP, "no layout is known for %lld elements", (long long)elements);
}

static int get_microkernels(struct gyr_prepare *prepare, struct attention *attention, enum size size)
{
	const struct gyr_attention_layout *at = &attention->at;
	size_t queries = (size_t)at->queries, rows = size == WHOLE ? attention->block : queries % attention->block;
	if (rows == 0 || (size == WHOLE && queries < attention->block))
		return 0;
	const struct gyr_microkernel_shape scores = {
		.m = rows, .n = (size_t)at->keys, .k = (size_t)at->depth, .a_row = (size_t)at->q_row, .b_row = attention->row, .y_row = attention->row};
	const struct gyr_microkernel_shape products = {
		.m = rows, .n = (size_t)at->width, .k = (size_t)at->keys, .a_row = attention->row, .b_row = (size_t)at->v_row, .y_row = (size_t)at->y_row};
	int status = gyr_microkernel_get(prepare->packs, &scores, &attention->scores[size], prepare->error);
	return status != 0 ? status : gyr_microkernel_get(prepare->packs, &products, &attention->products[size], prepare->error);
}

static int prepare_attention(struct gyr_prepare *prepare)
{
	struct attention *attention = KERNEL_PARAMS(prepare, struct attention);
	if (attention == NULL)
		return -ENOMEM;
	int status = find_layout(prepare, &attention->at);
	if (status != 0)
		return status;
	size_t keys = (size_t)attention->at.keys;
	if (kernel_input(prepare, 3) != NULL)
		attention->mask = gyr_node_attribute(prepare->node, "fill") != NULL ? CHOSEN : ADDED;
	attention->fill = gyr_node_number(prepare->node, "fill", 0);
	attention->keep = gyr_node_integer(prepare->node, "keep", 0) != 0;
	attention->scale = gyr_node_number(prepare->node, "scale", 1);
	attention->row = round_up(keys, LANES);
	attention->block = BLOCK_FLOATS / attention->row < 8 ? 8 : BLOCK_FLOATS / attention->row;
	if (attention->block > BLOCK_ROWS)
		attention->block = BLOCK_ROWS;
	attention->turned_bytes = (size_t)attention->at.depth * attention->row * sizeof(float);
	prepare->scratch_bytes = attention->turned_bytes + attention->block * attention->row * sizeof(float);
	prepare->run = run_attention;
	status = get_microkernels(prepare, attention, WHOLE);
	return status != 0 ? status : get_microkernels(prepare, attention, REST);
}

static const struct kernel_row rows[] = {{GYR_OP_STRIDED_ATTENTION, prepare_attention}};

const struct kernel_family kernel_family_attention = {rows, KERNEL_COUNT(rows)};
