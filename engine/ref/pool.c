/*
 * Pooling, one element of the result after another: see pool.h.
 */
#include "engine/ref/pool.h"

#include <math.h>

#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

/* What a window saw so far. */
struct sight {
	double sum, most;
	bool any;
	int64_t place;   /* of the most */
	int64_t counted; /* elements, with padding where that counts */
};

static void see(const struct gyr_pool *pool, double value, int64_t place, struct sight *sight)
{
	sight->sum += pool->kind == GYR_POOL_NORM ? pow(fabs(value), pool->norm) : value;
	if (!sight->any || value > sight->most || (isnan(value) && !isnan(sight->most))) {
		sight->most = value;
		sight->place = place;
	}
	sight->any = true;
}

static double as_real(enum gyr_dtype dtype, const void *x, size_t index)
{
	struct gyr_number number = gyr_number_load(dtype, x, index);
	return number.kind == GYR_NUMBER_REAL ? number.real : (double)(int64_t)number.integer;
}

/* All taps of the window at OUT of plane PLANE. */
static struct sight look(const struct gyr_pool *pool, const void *x, size_t plane, const int64_t *out)
{
	const struct gyr_window_axis *axes = pool->window.axes;
	int64_t size = axes[0].in * axes[1].in * axes[2].in, first = (int64_t)plane * size, at[GYR_WINDOW_AXES], tap[GYR_WINDOW_AXES];
	struct sight sight = {0};
	for (tap[0] = 0; tap[0] < axes[0].kernel; tap[0]++) {
		for (tap[1] = 0; tap[1] < axes[1].kernel; tap[1]++) {
			for (tap[2] = 0; tap[2] < axes[2].kernel; tap[2]++) {
				bool inside = true;
				for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++) {
					at[i] = out[i] * axes[i].stride - axes[i].begin + tap[i] * axes[i].dilation;
					inside = inside && at[i] >= 0 && at[i] < axes[i].in;
				}
				sight.counted += pool->count_pads || inside;
				if (!inside)
					continue;
				int64_t place = (at[0] * axes[1].in + at[1]) * axes[2].in + at[2];
				int64_t turned = (at[2] * axes[1].in + at[1]) * axes[0].in + at[0];
				see(pool, as_real(pool->dtype, x, (size_t)(first + place)), first + (pool->columns_first ? turned : place), &sight);
			}
		}
	}
	return sight;
}

static double lowest(enum gyr_dtype dtype)
{
	return dtype == GYR_DTYPE_U8 ? 0 : dtype == GYR_DTYPE_I8 ? INT8_MIN : (double)-INFINITY;
}

static double result(const struct gyr_pool *pool, const struct sight *sight)
{
	switch (pool->kind) {
	case GYR_POOL_MAX: return sight->any ? sight->most : lowest(pool->dtype);
	case GYR_POOL_AVERAGE: return sight->counted > 0 ? sight->sum / (double)sight->counted : 0;
	default: return pow(sight->sum, 1 / pool->norm);
	}
}

void gyr_ref_pool(const struct gyr_pool *pool, const void *x, void *y, void *places)
{
	const struct gyr_window_axis *axes = pool->window.axes;
	gyr_i64_u *place = places;
	size_t index = 0;
	int64_t at[GYR_WINDOW_AXES];
	for (size_t plane = 0; plane < pool->planes; plane++) {
		for (at[0] = 0; at[0] < axes[0].out; at[0]++) {
			for (at[1] = 0; at[1] < axes[1].out; at[1]++) {
				for (at[2] = 0; at[2] < axes[2].out; at[2]++, index++) {
					struct sight sight = look(pool, x, plane, at);
					struct gyr_number number = {.kind = GYR_NUMBER_REAL, .real = result(pool, &sight)};
					gyr_number_store(pool->dtype, y, index, number);
					if (place != NULL)
						place[index] = sight.place;
				}
			}
		}
	}
}
