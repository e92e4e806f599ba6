/*
 * Choosing between elements: see select.h.
 */
#include "engine/kernel/select.h"

#include <math.h>
#include <string.h>

#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

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
}

/* With constant BYTES, so that a copy is one instruction. */
static inline __attribute__((always_inline)) void walk(const struct gyr_where *where, size_t bytes, const uint8_t *condition, const char *a, const char *b,
						       char *y)
{
	size_t index[GYR_RANK_MAX] = {0}, at[3] = {0}, count = 1;
	for (uint32_t i = 0; i < where->rank; i++)
		count *= where->dims[i];
	for (size_t n = 0; n < count; n++, y += bytes) {
		memcpy(y, condition[at[0]] != 0 ? a + at[1] * bytes : b + at[2] * bytes, bytes);
		for (uint32_t i = where->rank; i-- > 0;) {
			bool more = ++index[i] < where->dims[i];
			for (uint32_t k = 0; k < 3; k++)
				at[k] = more ? at[k] + where->strides[k][i] : at[k] - where->strides[k][i] * (where->dims[i] - 1);
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
