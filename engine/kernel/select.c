/*
 * Choosing between elements: see select.h.
 */
#include "engine/kernel/select.h"

#include <math.h>
#include <string.h>

#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

/* Dimensions that all operands walk alike become one. */
static void merge(struct gyr_where *where)
{
	uint32_t rank = 0;
	for (uint32_t i = 0; i < where->rank; i++) {
		size_t dim = where->dims[i];
		bool same = rank > 0;
		if (dim == 1)
			continue;
		for (uint32_t k = 0; k < 3 && rank > 0; k++)
			same = same && where->strides[k][rank - 1] == where->strides[k][i] * dim;
		if (same)
			rank--;
		where->dims[rank] = same ? where->dims[rank] * dim : dim;
		for (uint32_t k = 0; k < 3; k++)
			where->strides[k][rank] = where->strides[k][i];
		rank++;
	}
	where->rank = rank;
}

void gyr_where_init(struct gyr_where *where, const struct gyr_shape *const inputs[3], const struct gyr_shape *y)
{
	*where = (struct gyr_where){.rank = y->rank, .bytes = gyr_dtype_bytes(y->dtype)};
	for (uint32_t k = 0; k < 3; k++) {
		size_t step = 1;
		for (uint32_t place = 0; place < y->rank; place++) {
			uint32_t at = y->rank - 1 - place;
			size_t dim = place < inputs[k]->rank ? (size_t)inputs[k]->dims[inputs[k]->rank - 1 - place] : 1;
			where->dims[at] = (size_t)y->dims[at];
			where->strides[k][at] = dim == 1 ? 0 : step;
			step *= dim;
		}
	}
	merge(where);
}

/* With constant BYTES, so that a copy is one instruction. */
static inline __attribute__((always_inline)) void walk(const struct gyr_where *where, size_t bytes, const uint8_t *condition, const char *a, const char *b,
						       char *y)
{
	uint32_t inner = where->rank == 0 ? 0 : where->rank - 1;
	size_t index[GYR_RANK_MAX] = {0}, rows = 1, count = where->rank == 0 ? 1 : where->dims[inner];
	size_t c_step = where->strides[0][inner], a_step = where->strides[1][inner] * bytes, b_step = where->strides[2][inner] * bytes;
	for (uint32_t i = 0; i < inner; i++)
		rows *= where->dims[i];
	for (size_t n = 0; n < rows; n++, y += count * bytes) {
		for (size_t i = 0; i < count; i++)
			memcpy(y + i * bytes, condition[i * c_step] != 0 ? a + i * a_step : b + i * b_step, bytes);
		for (uint32_t i = inner; i-- > 0;) {
			bool more = ++index[i] < where->dims[i];
			size_t steps = more ? 1 : where->dims[i] - 1;
			condition = more ? condition + where->strides[0][i] : condition - where->strides[0][i] * steps;
			a = more ? a + where->strides[1][i] * bytes : a - where->strides[1][i] * bytes * steps;
			b = more ? b + where->strides[2][i] * bytes : b - where->strides[2][i] * bytes * steps;
			if (more)
				break;
			index[i] = 0;
		}
	}
}

void gyr_kernel_where(const struct gyr_where *where, const void *condition, const void *a, const void *b, void *y)
{
	switch (where->bytes) {
	case 1: walk(where, 1, condition, a, b, y); return;
	case 2: walk(where, 2, condition, a, b, y); return;
	case 4: walk(where, 4, condition, a, b, y); return;
	default: walk(where, 8, condition, a, b, y); return;
	}
}

static void clip_f32(size_t count, const void *low, const void *high, const gyr_f32_u *x, gyr_f32_u *y)
{
	float least = low == NULL ? -INFINITY : *(const gyr_f32_u *)low, most = high == NULL ? INFINITY : *(const gyr_f32_u *)high;
	for (size_t i = 0; i < count; i++) {
		float value = x[i] < least ? least : x[i];
		y[i] = value > most ? most : value;
	}
}

static bool less(struct gyr_number a, struct gyr_number b)
{
	return a.kind == GYR_NUMBER_REAL ? a.real < b.real : a.kind == GYR_NUMBER_SIGNED ? (int64_t)a.integer < (int64_t)b.integer : a.integer < b.integer;
}

void gyr_kernel_clip(enum gyr_dtype dtype, size_t count, const void *low, const void *high, const void *x, void *y)
{
	if (dtype == GYR_DTYPE_F32) {
		clip_f32(count, low, high, x, y);
		return;
	}
	struct gyr_number least = {0}, most = {0};
	if (low != NULL)
		least = gyr_number_load(dtype, low, 0);
	if (high != NULL)
		most = gyr_number_load(dtype, high, 0);
	for (size_t i = 0; i < count; i++) {
		struct gyr_number value = gyr_number_load(dtype, x, i);
		value = low != NULL && less(value, least) ? least : value;
		gyr_number_store(dtype, y, i, high != NULL && less(most, value) ? most : value);
	}
}
