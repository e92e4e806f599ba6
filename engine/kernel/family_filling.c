/*
 * The filling family: operators that make elements, or put some around or in place of others.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/model/movement.h"

/* COUNT elements of BYTES. */
static void fill(char *to, size_t count, size_t bytes, const void *element)
{
	static const char zeros[sizeof(uint64_t)];
	if (memcmp(element, zeros, bytes) == 0) {
		memset(to, 0, count * bytes);
		return;
	}
	for (size_t i = 0; i < count; i++)
		memcpy(to + i * bytes, element, bytes);
}

/* Of every place of the result, per dimension, the bytes to where it is in the input, or -1. */
struct pad {
	uint32_t rank;
	size_t bytes, dims[GYR_RANK_MAX];
	const ptrdiff_t *sources[GYR_RANK_MAX];
	char element[sizeof(uint64_t)]; /* where no input gives it */
	bool given;
};

static void run_pad(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct pad *pad = params;
	const char *from = inputs[0];
	const void *element = pad->given ? inputs[2] : pad->element;
	char *to = outputs[0];
	size_t at[GYR_RANK_MAX] = {0}, bytes = pad->bytes;
	if (pad->rank == 0) {
		memcpy(to, from, bytes);
		return;
	}
	uint32_t inner = pad->rank - 1;
	const ptrdiff_t *sources = pad->sources[inner];
	for (;;) {
		ptrdiff_t base = 0;
		for (uint32_t i = 0; i < inner && base >= 0; i++)
			base = pad->sources[i][at[i]] < 0 ? -1 : base + pad->sources[i][at[i]];
		if (base < 0)
			fill(to, pad->dims[inner], bytes, element);
		for (size_t i = 0; base >= 0 && i < pad->dims[inner];) {
			size_t run = 1; /* that follow each other */
			while (sources[i] >= 0 && i + run < pad->dims[inner] && sources[i + run] == sources[i] + (ptrdiff_t)(run * bytes))
				run++;
			memcpy(to + i * bytes, sources[i] < 0 ? (const char *)element : from + base + sources[i], run * bytes);
			i += run;
		}
		to += pad->dims[inner] * bytes;
		uint32_t i = inner;
		while (i > 0 && ++at[i - 1] == pad->dims[i - 1])
			at[--i] = 0;
		if (i == 0)
			return;
	}
}

/* Where the element at AT, counted from the input's first, comes from; -1: from nowhere. */
static int64_t source_of(char mode, int64_t at, int64_t length)
{
	if (at >= 0 && at < length)
		return at;
	if (mode == 'e')
		return at < 0 ? 0 : length - 1;
	if (mode == 'c' || length == 0)
		return -1;
	int64_t period = mode == 'w' ? length : length > 1 ? 2 * (length - 1) : 1, place = at % period;
	place = place < 0 ? place + period : place;
	return place < length ? place : period - place;
}

static int prepare_pad(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *y = &prepare->outputs[0];
	struct gyr_infer infer = kernel_infer(prepare, NULL);
	const char mode = gyr_node_string(prepare->node, "mode", "constant")[0];
	float value = gyr_node_number(prepare->node, "value", 0);
	double wide = (double)value;
	struct gyr_pad read;
	int status = gyr_infer_pad(&infer, &read);
	if (status != 0)
		return status == -EAGAIN ? -ENOTSUP : status;
	struct pad *pad = KERNEL_PARAMS(prepare, struct pad);
	if (pad == NULL)
		return -ENOMEM;
	if (value != 0 && x->dtype == GYR_DTYPE_F16)
		return gyr_error_set(prepare->error, -ENOTSUP, "its value is not run on f16");
	if (value != 0)
		memcpy(pad->element, x->dtype == GYR_DTYPE_F64 ? (const void *)&wide : &value, gyr_dtype_bytes(x->dtype));
	pad->given = prepare->node->op == GYR_OP_PAD && kernel_input(prepare, 2) != NULL;
	pad->rank = y->rank;
	pad->bytes = gyr_dtype_bytes(x->dtype);
	for (uint32_t i = 0; i < y->rank; i++) {
		ptrdiff_t step = (ptrdiff_t)(kernel_product(x, i + 1, x->rank) * pad->bytes);
		ptrdiff_t *sources = GYR_ARENA_NEW(prepare->arena, ptrdiff_t, (size_t)y->dims[i]);
		if (sources == NULL)
			return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
		for (int64_t k = 0; k < y->dims[i]; k++) {
			int64_t source = source_of(mode, k - read.before[i], x->dims[i]);
			sources[k] = source < 0 ? -1 : source * step;
		}
		pad->dims[i] = (size_t)y->dims[i];
		pad->sources[i] = sources;
	}
	prepare->run = run_pad;
	return 0;
}

static int prepare_size(struct gyr_prepare *prepare)
{
	int64_t count = (int64_t)kernel_count(prepare->inputs[0]);
	return kernel_prepare_content(prepare, &count, sizeof count);
}

struct constant {
	size_t count, bytes;
	char element[sizeof(uint64_t)];
};

static void run_constant(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct constant *constant = params;
	fill(outputs[0], constant->count, constant->bytes, constant->element);
}

static int prepare_constant(struct gyr_prepare *prepare)
{
	const struct gyr_attribute *value = gyr_node_attribute(prepare->node, "value");
	struct constant *constant = KERNEL_PARAMS(prepare, struct constant);
	if (constant == NULL)
		return -ENOMEM;
	constant->count = kernel_count(&prepare->outputs[0]);
	constant->bytes = gyr_dtype_bytes(prepare->outputs[0].dtype);
	if (value != NULL)
		memcpy(constant->element, value->tensor.data, constant->bytes);
	prepare->run = run_constant;
	return 0;
}

struct eye {
	int64_t rows, columns, k;
	size_t bytes;
	char one[sizeof(uint64_t)];
};

static void run_eye(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct eye *eye = params;
	memset(outputs[0], 0, (size_t)(eye->rows * eye->columns) * eye->bytes);
	for (int64_t i = 0; i < eye->rows; i++)
		if (i + eye->k >= 0 && i + eye->k < eye->columns)
			memcpy((char *)outputs[0] + (size_t)(i * eye->columns + i + eye->k) * eye->bytes, eye->one, eye->bytes);
}

static int64_t within(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static int prepare_eye(struct gyr_prepare *prepare)
{
	const struct gyr_shape *y = &prepare->outputs[0];
	struct eye *eye = KERNEL_PARAMS(prepare, struct eye);
	const float f32 = 1;
	const double f64 = 1;
	if (eye == NULL)
		return -ENOMEM;
	eye->rows = y->dims[0];
	eye->columns = y->dims[1];
	eye->k = within(gyr_node_integer(prepare->node, "k", 0), -eye->rows, eye->columns);
	eye->bytes = gyr_dtype_bytes(y->dtype);
	const uint16_t half = y->dtype == GYR_DTYPE_F16 ? 0x3c00 : 0x3f80;
	if (y->dtype == GYR_DTYPE_F32)
		memcpy(eye->one, &f32, sizeof f32);
	else if (y->dtype == GYR_DTYPE_F64)
		memcpy(eye->one, &f64, sizeof f64);
	else if (y->dtype == GYR_DTYPE_F16 || y->dtype == GYR_DTYPE_BF16)
		memcpy(eye->one, &half, sizeof half);
	else
		eye->one[0] = 1;
	prepare->run = run_eye;
	return 0;
}

struct range {
	size_t count;
	enum gyr_dtype dtype;
};

static void run_range(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct range *range = params;
#define COUNT_UP(type, counter)                                                                                                                                \
	do {                                                                                                                                                   \
		type start, delta;                                                                                                                             \
		memcpy(&start, inputs[0], sizeof start);                                                                                                       \
		memcpy(&delta, inputs[2], sizeof delta);                                                                                                       \
		for (size_t i = 0; i < range->count; i++) {                                                                                                    \
			type item = (type)((counter)start + (counter)i * (counter)delta);                                                                      \
			memcpy((char *)outputs[0] + i * sizeof item, &item, sizeof item);                                                                      \
		}                                                                                                                                              \
	} while (0)
	switch (range->dtype) {
	case GYR_DTYPE_F32: COUNT_UP(float, float); break;
	case GYR_DTYPE_F64: COUNT_UP(double, double); break;
	case GYR_DTYPE_I16: COUNT_UP(int16_t, uint64_t); break;
	case GYR_DTYPE_I32: COUNT_UP(int32_t, uint64_t); break;
	default: COUNT_UP(int64_t, uint64_t); break;
	}
#undef COUNT_UP
}

static int prepare_range(struct gyr_prepare *prepare)
{
	struct range *range = KERNEL_PARAMS(prepare, struct range);
	if (range == NULL)
		return -ENOMEM;
	range->count = kernel_count(&prepare->outputs[0]);
	range->dtype = prepare->outputs[0].dtype;
	prepare->run = run_range;
	return 0;
}

struct one_hot {
	size_t outer, inner, bytes;
	int64_t depth;
	enum gyr_dtype dtype; /* of the indices */
};

/* An index out of range is off everywhere. */
static void run_one_hot(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct one_hot *hot = params;
	const char *values = inputs[2];
	char *to = outputs[0];
	fill(to, hot->outer * (size_t)hot->depth * hot->inner, hot->bytes, values);
	for (size_t o = 0; o < hot->outer; o++) {
		for (size_t i = 0; i < hot->inner; i++) {
			int64_t index;
			if (!gyr_infer_whole(hot->dtype, inputs[0], o * hot->inner + i, &index))
				continue;
			index = index < 0 ? index + hot->depth : index;
			if (index >= 0 && index < hot->depth)
				memcpy(to + ((o * (size_t)hot->depth + (size_t)index) * hot->inner + i) * hot->bytes, values + hot->bytes, hot->bytes);
		}
	}
}

static int prepare_one_hot(struct gyr_prepare *prepare)
{
	const struct gyr_shape *indices = prepare->inputs[0], *y = &prepare->outputs[0];
	int64_t given = gyr_node_integer(prepare->node, "axis", -1);
	uint32_t axis = (uint32_t)(given < 0 ? given + y->rank : given);
	struct one_hot *hot = KERNEL_PARAMS(prepare, struct one_hot);
	if (hot == NULL)
		return -ENOMEM;
	if (indices->dtype == GYR_DTYPE_F16)
		return gyr_error_set(prepare->error, -ENOTSUP, "its indices are f16");
	hot->outer = kernel_product(y, 0, axis);
	hot->inner = kernel_product(y, axis + 1, y->rank);
	hot->bytes = gyr_dtype_bytes(y->dtype);
	hot->depth = y->dims[axis];
	hot->dtype = indices->dtype;
	prepare->run = run_one_hot;
	return 0;
}

struct trilu {
	int64_t rows, columns;
	size_t outer, bytes;
	bool upper, given;
};

static void run_trilu(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct trilu *trilu = params;
	const char *from = inputs[0];
	char *to = outputs[0];
	int64_t k = 0;
	if (trilu->given)
		memcpy(&k, inputs[1], sizeof k);
	k = within(k, -trilu->rows - 1, trilu->columns);
	for (size_t o = 0; o < trilu->outer; o++) {
		for (int64_t row = 0; row < trilu->rows; row++) {
			int64_t edge = within(row + k + !trilu->upper, 0, trilu->columns);
			size_t low = (size_t)edge * trilu->bytes, all = (size_t)trilu->columns * trilu->bytes;
			memcpy(to, from, all);
			memset(to + (trilu->upper ? 0 : low), 0, trilu->upper ? low : all - low);
			from += all;
			to += all;
		}
	}
}

static int prepare_trilu(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct trilu *trilu = KERNEL_PARAMS(prepare, struct trilu);
	if (trilu == NULL)
		return -ENOMEM;
	trilu->rows = x->dims[x->rank - 2];
	trilu->columns = x->dims[x->rank - 1];
	trilu->outer = kernel_product(x, 0, x->rank - 2);
	trilu->bytes = gyr_dtype_bytes(x->dtype);
	trilu->upper = gyr_node_integer(prepare->node, "upper", 1) != 0;
	trilu->given = kernel_input(prepare, 1) != NULL;
	prepare->run = run_trilu;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_CENTER_CROP_PAD, prepare_pad},
	{GYR_OP_CONSTANT_OF_SHAPE, prepare_constant},
	{GYR_OP_EYE_LIKE, prepare_eye},
	{GYR_OP_ONE_HOT, prepare_one_hot},
	{GYR_OP_PAD, prepare_pad},
	{GYR_OP_RANGE, prepare_range},
	{GYR_OP_SIZE, prepare_size},
	{GYR_OP_TRILU, prepare_trilu},
};

const struct kernel_family kernel_family_filling = {rows, KERNEL_COUNT(rows)};
