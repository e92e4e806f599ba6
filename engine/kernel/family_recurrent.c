/*
 * The recurrent family, on f32.
 */
#include <errno.h>

#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "engine/kernel/family.h"
#include "engine/kernel/recurrent.h"

#define TAG UINT64_C(0x7265637500000000) /* the first of those under which packings with the same R are kept */
#define HUGE_PAGE ((size_t)2 << 20)
#define ALIGN 64u

enum { X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, P, INPUTS };
enum { Y, Y_H, Y_C, OUTPUTS };

struct recurrent {
	struct gyr_recurrent sizes;
	uint32_t input_count, output_count;
	const float *packed; /* NULL: the weights come with the run, and are packed into the scratch behind SCRATCH_BYTES */
	size_t scratch_bytes;
};

/* Packed weights, and what they were made from. */
struct pack {
	struct gyr_recurrent sizes;
	struct gyr_recurrent_ends ends; /* W, R, B and P */
	float *floats;
};

/* The tensors of a run. */
static struct gyr_recurrent_ends find_ends(const struct recurrent *recurrent, const void *const inputs[], void *const outputs[])
{
	const void *in[INPUTS] = {NULL};
	void *out[OUTPUTS] = {NULL};
	for (uint32_t i = 0; i < recurrent->input_count; i++)
		in[i] = inputs[i];
	for (uint32_t o = 0; o < recurrent->output_count; o++)
		out[o] = outputs[o];
	return (struct gyr_recurrent_ends){.x = in[X],
					   .w = in[W],
					   .r = in[R],
					   .b = in[B],
					   .lengths = in[LENGTHS],
					   .initial_h = in[INITIAL_H],
					   .initial_c = in[INITIAL_C],
					   .p = in[P],
					   .y = out[Y],
					   .y_h = out[Y_H],
					   .y_c = out[Y_C]};
}

static void run_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct recurrent *recurrent = params;
	const struct gyr_recurrent_ends ends = find_ends(recurrent, inputs, outputs);
	gyr_ref_recurrent(&recurrent->sizes, &ends, scratch);
}

static void run_fast(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct recurrent *recurrent = params;
	const struct gyr_recurrent_ends ends = find_ends(recurrent, inputs, outputs);
	gyr_recurrent_run(&recurrent->sizes, &ends, recurrent->packed, scratch);
}

/* The weights come with the run. */
static void run_packing(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct recurrent *recurrent = params;
	const struct gyr_recurrent_ends ends = find_ends(recurrent, inputs, outputs);
	float *packed = (float *)((char *)scratch + recurrent->scratch_bytes);
	gyr_recurrent_pack(&recurrent->sizes, &ends, packed);
	gyr_recurrent_run(&recurrent->sizes, &ends, packed, scratch);
}

static void destroy_pack(void *made)
{
	struct pack *pack = made;
	free(pack->floats);
	free(pack);
}

static size_t round_up(size_t bytes, size_t step)
{
	return (bytes + step - 1) / step * step;
}

/* Packs the weights in ENDS, or finds them packed. */
static int find_pack(struct gyr_prepare *prepare, const struct gyr_recurrent *sizes, const struct gyr_recurrent_ends *ends, size_t floats, const float **packed)
{
	uint64_t tag = TAG;
	for (struct pack *pack; (pack = gyr_packs_find(prepare->packs, ends->r, tag)) != NULL; tag++) {
		if (pack->ends.w == ends->w && pack->ends.b == ends->b && pack->ends.p == ends->p && pack->sizes.cell.op == sizes->cell.op &&
		    pack->sizes.cell.linear_before_reset == sizes->cell.linear_before_reset && pack->sizes.bf16 == sizes->bf16) {
			*packed = pack->floats;
			return 0;
		}
	}
	size_t bytes = floats * sizeof(float), align = bytes < HUGE_PAGE ? ALIGN : HUGE_PAGE;
	struct pack *pack = calloc(1, sizeof *pack);
	float *room = aligned_alloc(align, round_up(bytes, align));
	if (room != NULL && align == HUGE_PAGE)
		(void)madvise(room, round_up(bytes, ALIGN), MADV_HUGEPAGE); /* without huge pages all still works */
	if (pack == NULL || room == NULL || !gyr_packs_keep(prepare->packs, ends->r, tag, pack, bytes, destroy_pack)) {
		free(pack);
		free(room);
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the weights");
	}
	*pack = (struct pack){.sizes = *sizes, .ends = *ends, .floats = room};
	gyr_recurrent_pack(sizes, ends, room);
	*packed = room;
	return 0;
}

static int prepare_fast(struct gyr_prepare *prepare, struct recurrent *recurrent)
{
	static const uint32_t weights[] = {W, R, B, P};
	const struct gyr_recurrent_ends ends = find_ends(recurrent, prepare->contents, (void *[OUTPUTS]){NULL});
	size_t floats;
	uint64_t given = 0, constant = 0;
	for (uint32_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
		bool there = kernel_input(prepare, weights[i]) != NULL;
		given |= there ? UINT64_C(1) << weights[i] : 0;
		constant |= there && prepare->contents[weights[i]] != NULL ? UINT64_C(1) << weights[i] : 0;
	}
	/* One row costs the bytes of its weights, more of them cost arithmetic, which bf16 does not make less here. */
	recurrent->sizes.bf16 = prepare->rounded = prepare->bf16 && given == constant && recurrent->sizes.batch == 1;
	if (!gyr_recurrent_packed_floats(&recurrent->sizes, &floats) || !gyr_recurrent_scratch_bytes(&recurrent->sizes, &recurrent->scratch_bytes))
		return gyr_error_set(prepare->error, -ENOTSUP, "its weights or its steps are too large");
	prepare->run = run_packing;
	prepare->scratch_bytes = recurrent->scratch_bytes + floats * sizeof(float);
	if (given != constant)
		return 0;
	prepare->run = run_fast;
	prepare->scratch_bytes = recurrent->scratch_bytes;
	prepare->unread = given;
	return find_pack(prepare, &recurrent->sizes, &ends, floats, &recurrent->packed);
}

static int prepare_recurrent(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[X];
	struct recurrent *recurrent = KERNEL_PARAMS(prepare, struct recurrent);
	if (recurrent == NULL)
		return -ENOMEM;
	struct gyr_recurrent *sizes = &recurrent->sizes;
	int status = gyr_recurrent_read(prepare->node, &sizes->cell, prepare->error);
	if (status == 0)
		status = kernel_need_f32(prepare, x);
	if (status != 0)
		return status;
	sizes->steps = (size_t)x->dims[sizes->cell.batch_first];
	sizes->batch = (size_t)x->dims[!sizes->cell.batch_first];
	sizes->inputs = (size_t)x->dims[2];
	sizes->units = (size_t)prepare->inputs[R]->dims[2];
	sizes->peepholes = kernel_input(prepare, P) != NULL;
	recurrent->input_count = prepare->node->input_count;
	recurrent->output_count = prepare->node->output_count;
	if (!prepare->reference && gyr_recurrent_supports(&sizes->cell))
		return prepare_fast(prepare, recurrent);
	prepare->run = run_twin;
	prepare->scratch_bytes = gyr_ref_recurrent_scratch_bytes(sizes);
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_GRU, prepare_recurrent},
	{GYR_OP_LSTM, prepare_recurrent},
	{GYR_OP_RNN, prepare_recurrent},
};

const struct kernel_family kernel_family_recurrent = {rows, KERNEL_COUNT(rows)};
