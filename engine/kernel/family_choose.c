/*
 * The choose family: NonZero and Compress.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

struct non_zero {
	enum gyr_dtype dtype;
	uint32_t rank;
	size_t dims[GYR_RANK_MAX];
	size_t count, chosen;
};

/* Its input is known, so that this runs when the plan is made. */
static void run_non_zero(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct non_zero *non_zero = params;
	gyr_i64_u *to = outputs[0];
	for (size_t i = 0, found = 0; i < non_zero->count && found < non_zero->chosen; i++) {
		struct gyr_number number = gyr_number_load(non_zero->dtype, inputs[0], i);
		if (number.kind == GYR_NUMBER_REAL ? number.real == 0 : number.integer == 0)
			continue;
		for (size_t axis = non_zero->rank, at = i; axis-- > 0; at /= non_zero->dims[axis])
			to[axis * non_zero->chosen + found] = (int64_t)(at % non_zero->dims[axis]);
		found++;
	}
}

static int prepare_non_zero(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct non_zero *non_zero = KERNEL_PARAMS(prepare, struct non_zero);
	if (non_zero == NULL)
		return -ENOMEM;
	*non_zero = (struct non_zero){.dtype = x->dtype, .rank = x->rank, .count = kernel_count(x), .chosen = (size_t)prepare->outputs[0].dims[1]};
	for (uint32_t i = 0; i < x->rank; i++)
		non_zero->dims[i] = (size_t)x->dims[i];
	prepare->run = run_non_zero;
	return 0;
}

struct compress {
	size_t outer, in, chosen, bytes; /* BYTES of what lies behind the axis */
	size_t items[];                  /* along the axis */
};

static void run_compress(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct compress *compress = params;
	const char *from = inputs[0];
	char *to = outputs[0];
	for (size_t o = 0; o < compress->outer; o++, from += compress->in * compress->bytes)
		for (size_t i = 0; i < compress->chosen; i++, to += compress->bytes)
			memcpy(to, from + compress->items[i] * compress->bytes, compress->bytes);
}

static int prepare_compress(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *condition = prepare->inputs[1], *y = &prepare->outputs[0];
	const struct gyr_attribute *given = gyr_node_attribute(prepare->node, "axis");
	const uint8_t *chosen = prepare->contents[1];
	size_t count = (size_t)condition->dims[0], found = 0;
	if (chosen == NULL)
		return gyr_error_set(prepare->error, -ENOTSUP, "its condition is known only when it runs");
	uint32_t axis = given == NULL ? 0 : (uint32_t)(given->integer < 0 ? given->integer + x->rank : given->integer);
	size_t most = (size_t)y->dims[axis];
	struct compress *compress = kernel_params(prepare, sizeof *compress + most * sizeof compress->items[0]);
	if (compress == NULL)
		return -ENOMEM;
	compress->outer = kernel_product(x, 0, axis);
	compress->in = given == NULL ? kernel_count(x) : (size_t)x->dims[axis];
	compress->bytes = (given == NULL ? 1 : kernel_product(x, axis + 1, x->rank)) * gyr_dtype_bytes(x->dtype);
	for (size_t i = 0; i < count && found < most; i++)
		if (chosen[i] != 0)
			compress->items[found++] = i;
	compress->chosen = found;
	prepare->run = run_compress;
	prepare->unread = 1u << 1;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_COMPRESS, prepare_compress},
	{GYR_OP_NON_ZERO, prepare_non_zero},
};

const struct kernel_family kernel_family_choose = {rows, KERNEL_COUNT(rows)};
