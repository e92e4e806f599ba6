/*
 * Terms of integer products: see integer_terms.h.
 */
#include "engine/kernel/integer_terms.h"

#include <errno.h>
#include <stdlib.h>

#include <sys/mman.h>

#include "engine/kernel/integer.h"
#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

#define ALIGN 64u
#define HUGE_PAGE ((size_t)2 << 20)

struct integer_ends integer_find_ends(const struct gyr_prepare *prepare)
{
	enum gyr_op op = prepare->node->op;
	struct integer_ends ends = {.a_zero = 2, .b = 1, .b_zero = 3};
	if (op == GYR_OP_QLINEAR_MATMUL || op == GYR_OP_QLINEAR_CONV)
		ends = (struct integer_ends){.a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4, .b_zero = 5, .y_scale = 6, .y_zero = 7, .bias = 8};
	uint32_t *const optional[] = {&ends.a_zero, &ends.b_zero, &ends.bias};
	for (size_t i = 0; i < KERNEL_COUNT(optional); i++)
		if (*optional[i] != 0 && kernel_input(prepare, *optional[i]) == NULL)
			*optional[i] = 0;
	return ends;
}

static size_t step_of(const struct gyr_prepare *prepare, uint32_t input)
{
	return input != 0 && kernel_count(prepare->inputs[input]) > 1 ? 1 : 0;
}

struct integer integer_describe(const struct gyr_prepare *prepare, size_t k, size_t n)
{
	const struct integer_ends ends = integer_find_ends(prepare);
	return (struct integer){.ends = ends,
				.a = prepare->inputs[0]->dtype,
				.b = prepare->inputs[ends.b]->dtype,
				.y = prepare->outputs[0].dtype,
				.scale = ends.y_scale != 0 ? prepare->inputs[ends.y_scale]->dtype : GYR_DTYPE_NONE,
				.k = k,
				.n = n,
				.b_scale_step = step_of(prepare, ends.b_scale),
				.b_zero_step = step_of(prepare, ends.b_zero)};
}

static int32_t zero_at(enum gyr_dtype dtype, const void *zeros, size_t index)
{
	return zeros == NULL ? 0 : (int32_t)gyr_number_load(dtype, zeros, index).integer;
}

static float scale_at(const struct integer *integer, const void *scales, size_t index)
{
	return (float)gyr_number_load(integer->scale, scales, index).real;
}

size_t integer_terms_bytes(const struct integer *integer)
{
	return gyr_integer_round_up(3 * integer->n * sizeof(uint32_t), ALIGN);
}

struct integer_terms integer_find_terms(const struct integer *integer, const void *const inputs[], const uint32_t *totals, void *memory)
{
	struct integer_terms terms = {.added = memory, .zeros = (uint32_t *)memory + integer->n, .factors = (float *)memory + 2 * integer->n, .zeroed = true};
	const struct integer_ends *ends = &integer->ends;
	const void *b_zeros = integer_input(inputs, ends->b_zero);
	const gyr_i32_u *bias = integer_input(inputs, ends->bias);
	int32_t a_zero = zero_at(integer->a, integer_input(inputs, ends->a_zero), 0);
	uint32_t a_moved = (uint32_t)(a_zero + (integer->a == GYR_DTYPE_I8 ? 128 : 0));
	float a_scale = ends->y_scale != 0 ? scale_at(integer, inputs[ends->a_scale], 0) : 0;
	float y_scale = ends->y_scale != 0 ? scale_at(integer, inputs[ends->y_scale], 0) : 0;
	terms.a_zero = (uint8_t)a_zero;
	terms.y_zero = integer_y_zero(integer, inputs);
	for (size_t n = 0; n < integer->n; n++) {
		int32_t zero = zero_at(integer->b, b_zeros, n * integer->b_zero_step) - (integer->b == GYR_DTYPE_U8 ? 128 : 0);
		terms.zeros[n] = (uint32_t)zero;
		terms.zeroed = terms.zeroed && zero == 0;
		terms.added[n] = (bias != NULL ? (uint32_t)bias[n] : 0) - a_moved * totals[n] + (uint32_t)integer->k * a_moved * (uint32_t)zero;
		if (ends->y_scale != 0)
			terms.factors[n] = a_scale * scale_at(integer, inputs[ends->b_scale], n * integer->b_scale_step) / y_scale;
	}
	return terms;
}

bool integer_terms_known(const struct gyr_prepare *prepare, const struct integer *integer)
{
	const struct integer_ends *ends = &integer->ends;
	const uint32_t needed[] = {ends->a_scale, ends->a_zero, ends->b, ends->b_scale, ends->b_zero, ends->y_scale, ends->y_zero, ends->bias};
	for (size_t i = 0; i < KERNEL_COUNT(needed); i++)
		if (needed[i] != 0 && prepare->contents[needed[i]] == NULL)
			return false;
	return true;
}

int integer_keep_terms(struct gyr_prepare *prepare, const struct integer *integer, const uint32_t *totals, struct integer_terms *terms)
{
	void *memory = gyr_arena_alloc(prepare->arena, integer_terms_bytes(integer), ALIGN);
	if (memory == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	*terms = integer_find_terms(integer, prepare->contents, totals, memory);
	return 0;
}

float integer_factor(const struct integer *integer, const void *const inputs[], size_t n)
{
	const struct integer_ends *ends = &integer->ends;
	return scale_at(integer, inputs[ends->a_scale], 0) * scale_at(integer, inputs[ends->b_scale], n * integer->b_scale_step) /
	       scale_at(integer, inputs[ends->y_scale], 0);
}

int32_t integer_y_zero(const struct integer *integer, const void *const inputs[])
{
	return integer->ends.y_zero != 0 ? zero_at(integer->y, inputs[integer->ends.y_zero], 0) : 0;
}

static void destroy_packed(void *object)
{
	struct integer_packed *packed = object;
	free(packed->bytes);
	free(packed);
}

const struct integer_packed *integer_packed(struct gyr_prepare *prepare, const struct integer *integer, uint64_t tag, size_t groups, size_t bytes, bool *fresh)
{
	const void *weights = prepare->contents[integer->ends.b];
	struct integer_packed *packed;
	size_t whole = gyr_integer_round_up(bytes, ALIGN), all = whole + integer->n * sizeof(uint32_t), align = all < HUGE_PAGE ? ALIGN : HUGE_PAGE;
	/* The same weights may be those of several products, through views of other shapes. */
	while ((packed = gyr_packs_find(prepare->packs, weights, tag)) != NULL &&
	       (packed->k != integer->k || packed->n != integer->n || packed->groups != groups))
		tag++;
	*fresh = packed == NULL;
	if (packed != NULL)
		return packed;
	packed = calloc(1, sizeof *packed);
	if (packed != NULL) {
		*packed = (struct integer_packed){.k = integer->k, .n = integer->n, .groups = groups};
		packed->bytes = aligned_alloc(align, gyr_integer_round_up(all, align));
	}
	if (packed == NULL || packed->bytes == NULL || !gyr_packs_keep(prepare->packs, weights, tag, packed, all, destroy_packed)) {
		if (packed != NULL)
			destroy_packed(packed);
		(void)gyr_error_set(prepare->error, -ENOMEM, "no memory for its weights");
		return NULL;
	}
	/* Large weights in 4 KiB pages outrun the TLB. Without huge pages all still works. */
	if (align == HUGE_PAGE)
		(void)madvise(packed->bytes, all, MADV_HUGEPAGE);
	packed->totals = (uint32_t *)(void *)(packed->bytes + whole);
	return packed;
}

void integer_set_unread(struct gyr_prepare *prepare, const struct integer *integer, bool packed, bool known)
{
	if (packed)
		prepare->unread = UINT64_C(1) << integer->ends.b;
	if (known)
		prepare->unread = ~UINT64_C(1);
}
