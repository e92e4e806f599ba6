/*
 * The indexing family: operators that take elements from, or put them to, places that another input names when they run. Indices come from anyone: one that is
 * out of range takes zeros, or puts nothing.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/combine.h"
#include "engine/kernel/family.h"

/* Whole numbers of either size. */
struct numbers {
	const char *data;
	bool wide; /* i64, else i32 */
};

static inline int64_t number_at(const struct numbers *numbers, size_t i)
{
	int64_t wide;
	int32_t narrow;
	if (numbers->wide) {
		memcpy(&wide, numbers->data + i * sizeof wide, sizeof wide);
		return wide;
	}
	memcpy(&narrow, numbers->data + i * sizeof narrow, sizeof narrow);
	return narrow;
}

/* INDEX, counted from the end where negative, as a place in [0, LENGTH). False: it is in none. */
static inline bool find_place(int64_t index, int64_t length, size_t *place)
{
	index = index < 0 ? index + length : index;
	*place = (size_t)index;
	return index >= 0 && index < length;
}

static inline void take(char *to, const char *from, size_t bytes, bool there)
{
	if (there)
		memcpy(to, from, bytes);
	else
		memset(to, 0, bytes);
}

static uint32_t axis_of(const struct gyr_prepare *prepare)
{
	int64_t axis = gyr_node_integer(prepare->node, "axis", 0);
	return (uint32_t)(axis < 0 ? axis + prepare->inputs[0]->rank : axis);
}

struct gather {
	size_t outer, count, bytes;
	int64_t length;
	bool wide;
};

static void run_gather(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct gather *gather = params;
	const struct numbers indices = {inputs[1], gather->wide};
	const char *from = inputs[0];
	char *to = outputs[0];
	for (size_t o = 0; o < gather->outer; o++, from += (size_t)gather->length * gather->bytes) {
		for (size_t i = 0; i < gather->count; i++, to += gather->bytes) {
			size_t place;
			bool there = find_place(number_at(&indices, i), gather->length, &place);
			take(to, from + (there ? place * gather->bytes : 0), gather->bytes, there);
		}
	}
}

static int prepare_gather(struct gyr_prepare *prepare)
{
	const struct gyr_shape *data = prepare->inputs[0];
	struct gather *gather = KERNEL_PARAMS(prepare, struct gather);
	uint32_t axis = axis_of(prepare);
	if (gather == NULL)
		return -ENOMEM;
	gather->outer = kernel_product(data, 0, axis);
	gather->count = kernel_count(prepare->inputs[1]);
	gather->bytes = kernel_product(data, axis + 1, data->rank) * gyr_dtype_bytes(data->dtype);
	gather->length = data->dims[axis];
	gather->wide = prepare->inputs[1]->dtype == GYR_DTYPE_I64;
	prepare->run = run_gather;
	return 0;
}

/* Indices of the data's rank: each is at its own place but along one axis. */
struct elements {
	uint32_t rank;
	size_t dims[GYR_RANK_MAX];  /* of the indices */
	size_t steps[GYR_RANK_MAX]; /* elements of the data from one to the next; 0 along the axis */
	size_t axis_step, bytes, data_bytes;
	int64_t length;
	bool wide;
	gyr_combine_fn *combine; /* NULL: what was there is lost */
};

/* Goes on to the next place of the outer dimensions. False behind the last. */
static bool next(const struct elements *elements, size_t at[], size_t *base)
{
	for (uint32_t i = elements->rank - 1; i > 0; i--) {
		*base += elements->steps[i - 1];
		if (++at[i - 1] < elements->dims[i - 1])
			return true;
		*base -= elements->steps[i - 1] * elements->dims[i - 1];
		at[i - 1] = 0;
	}
	return false;
}

static void run_gather_elements(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct elements *elements = params;
	const struct numbers indices = {inputs[1], elements->wide};
	const char *from = inputs[0];
	char *to = outputs[0];
	size_t at[GYR_RANK_MAX] = {0}, base = 0, done = 0, inner = elements->rank - 1, place;
	do {
		for (size_t i = 0; i < elements->dims[inner]; i++, done++) {
			bool there = find_place(number_at(&indices, done), elements->length, &place);
			size_t offset = there ? (base + i * elements->steps[inner] + place * elements->axis_step) * elements->bytes : 0;
			take(to + done * elements->bytes, from + offset, elements->bytes, there);
		}
	} while (next(elements, at, &base));
}

static void run_scatter_elements(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct elements *elements = params;
	const struct numbers indices = {inputs[1], elements->wide};
	const char *from = inputs[2];
	char *to = outputs[0];
	size_t at[GYR_RANK_MAX] = {0}, base = 0, done = 0, inner = elements->rank - 1, place;
	memcpy(to, inputs[0], elements->data_bytes);
	for (uint32_t i = 0; i < elements->rank; i++)
		if (elements->dims[i] == 0)
			return;
	do {
		for (size_t i = 0; i < elements->dims[inner]; i++, done++) {
			if (!find_place(number_at(&indices, done), elements->length, &place))
				continue;
			char *target = to + (base + i * elements->steps[inner] + place * elements->axis_step) * elements->bytes;
			if (elements->combine != NULL)
				elements->combine(1, from + done * elements->bytes, target);
			else
				memcpy(target, from + done * elements->bytes, elements->bytes);
		}
	} while (next(elements, at, &base));
}

/* *COMBINE is the reduction that the node asks for. */
static int find_combine(struct gyr_prepare *prepare, gyr_combine_fn **combine)
{
	const char *name = gyr_node_string(prepare->node, "reduction", "none");
	enum gyr_dtype dtype = prepare->inputs[0]->dtype;
	*combine = gyr_kernel_combine(name, dtype);
	if (*combine != NULL || strcmp(name, "none") == 0)
		return 0;
	return gyr_error_set(prepare->error, -ENOTSUP, "its reduction '%s' is not run on %s", name, gyr_dtype_name(dtype));
}

static int prepare_elements(struct gyr_prepare *prepare)
{
	const struct gyr_shape *data = prepare->inputs[0], *indices = prepare->inputs[1];
	struct elements *elements = KERNEL_PARAMS(prepare, struct elements);
	uint32_t axis = axis_of(prepare);
	if (elements == NULL)
		return -ENOMEM;
	elements->rank = data->rank;
	elements->bytes = gyr_dtype_bytes(data->dtype);
	elements->data_bytes = kernel_count(data) * elements->bytes;
	elements->length = data->dims[axis];
	elements->axis_step = kernel_product(data, axis + 1, data->rank);
	elements->wide = indices->dtype == GYR_DTYPE_I64;
	for (uint32_t i = 0; i < data->rank; i++) {
		elements->dims[i] = (size_t)indices->dims[i];
		elements->steps[i] = i == axis ? 0 : kernel_product(data, i + 1, data->rank);
	}
	prepare->run = prepare->node->op == GYR_OP_GATHER_ELEMENTS ? run_gather_elements : run_scatter_elements;
	return find_combine(prepare, &elements->combine);
}

/* Indices whose last dimension is a place in the data's dimensions, behind those that both share. */
struct places {
	uint32_t depth;
	int64_t dims[GYR_RANK_MAX];
	size_t steps[GYR_RANK_MAX]; /* bytes */
	size_t outer, outer_bytes, count, bytes, run;
	gyr_combine_fn *combine;
};

/* The bytes before place I. False: it is out of range. */
static bool find_offset(const struct places *places, const struct numbers *indices, size_t i, size_t *offset)
{
	bool there = true;
	*offset = 0;
	for (uint32_t d = 0; d < places->depth; d++) {
		size_t place;
		there = find_place(number_at(indices, i * places->depth + d), places->dims[d], &place) && there;
		*offset += there ? place * places->steps[d] : 0;
	}
	return there;
}

static void run_gather_nd(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct places *places = params;
	const struct numbers indices = {inputs[1], true};
	const char *from = inputs[0];
	char *to = outputs[0];
	for (size_t o = 0; o < places->outer; o++, from += places->outer_bytes) {
		for (size_t i = 0; i < places->count; i++, to += places->bytes) {
			size_t offset;
			bool there = find_offset(places, &indices, o * places->count + i, &offset);
			take(to, from + offset, places->bytes, there);
		}
	}
}

static void run_scatter_nd(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct places *places = params;
	const struct numbers indices = {inputs[1], true};
	const char *from = inputs[2];
	char *to = outputs[0];
	memcpy(to, inputs[0], places->outer_bytes);
	for (size_t i = 0; i < places->count; i++, from += places->bytes) {
		size_t offset;
		if (!find_offset(places, &indices, i, &offset))
			continue;
		if (places->combine != NULL)
			places->combine(places->run, from, to + offset);
		else
			memcpy(to + offset, from, places->bytes);
	}
}

static int prepare_places(struct gyr_prepare *prepare)
{
	const struct gyr_shape *data = prepare->inputs[0], *indices = prepare->inputs[1];
	struct places *places = KERNEL_PARAMS(prepare, struct places);
	uint32_t batch = (uint32_t)gyr_node_integer(prepare->node, "batch_dims", 0);
	size_t element = gyr_dtype_bytes(data->dtype);
	if (places == NULL)
		return -ENOMEM;
	places->depth = (uint32_t)indices->dims[indices->rank - 1];
	for (uint32_t i = 0; i < places->depth; i++) {
		places->dims[i] = data->dims[batch + i];
		places->steps[i] = kernel_product(data, batch + i + 1, data->rank) * element;
	}
	places->outer = kernel_product(data, 0, batch);
	places->outer_bytes = kernel_product(data, batch, data->rank) * element;
	places->count = kernel_product(indices, batch, indices->rank - 1);
	places->run = kernel_product(data, batch + places->depth, data->rank);
	places->bytes = places->run * element;
	prepare->run = prepare->node->op == GYR_OP_GATHER_ND ? run_gather_nd : run_scatter_nd;
	return find_combine(prepare, &places->combine);
}

struct reverse {
	size_t times, rows, time_step, row_step; /* steps in bytes */
	size_t bytes;
};

static void run_reverse(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct reverse *reverse = params;
	const struct numbers lengths = {inputs[1], true};
	for (size_t row = 0; row < reverse->rows; row++) {
		int64_t given = number_at(&lengths, row);
		size_t length = given < 0 ? 0 : (size_t)given > reverse->times ? reverse->times : (size_t)given;
		const char *from = (const char *)inputs[0] + row * reverse->row_step;
		char *to = (char *)outputs[0] + row * reverse->row_step;
		for (size_t t = 0; t < reverse->times; t++)
			memcpy(to + t * reverse->time_step, from + (t < length ? length - 1 - t : t) * reverse->time_step, reverse->bytes);
	}
}

static int prepare_reverse(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	bool rows_first = gyr_node_integer(prepare->node, "batch_axis", 1) == 0;
	struct reverse *reverse = KERNEL_PARAMS(prepare, struct reverse);
	if (reverse == NULL)
		return -ENOMEM;
	reverse->bytes = kernel_product(x, 2, x->rank) * gyr_dtype_bytes(x->dtype);
	reverse->rows = (size_t)x->dims[!rows_first];
	reverse->times = (size_t)x->dims[rows_first];
	reverse->row_step = rows_first ? reverse->times * reverse->bytes : reverse->bytes;
	reverse->time_step = rows_first ? reverse->bytes : reverse->rows * reverse->bytes;
	prepare->run = run_reverse;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_GATHER, prepare_gather},     {GYR_OP_GATHER_ELEMENTS, prepare_elements},
	{GYR_OP_GATHER_ND, prepare_places},  {GYR_OP_REVERSE_SEQUENCE, prepare_reverse},
	{GYR_OP_SCATTER, prepare_elements},  {GYR_OP_SCATTER_ELEMENTS, prepare_elements},
	{GYR_OP_SCATTER_ND, prepare_places},
};

const struct kernel_family kernel_family_indexing = {rows, KERNEL_COUNT(rows)};
