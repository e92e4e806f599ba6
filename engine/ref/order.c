/*
 * In order along an axis: see order.h.
 */
#include "engine/ref/order.h"

#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

static bool is_nan(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL && number.real != number.real;
}

/* A > B, where a NaN is above all. */
static bool above(struct gyr_number a, struct gyr_number b)
{
	if (a.kind == GYR_NUMBER_REAL)
		return is_nan(a) ? !is_nan(b) : a.real > b.real;
	return a.kind == GYR_NUMBER_SIGNED ? (int64_t)a.integer > (int64_t)b.integer : a.integer > b.integer;
}

static bool better(const struct gyr_order *order, struct gyr_number a, struct gyr_number b)
{
	return order->least ? above(b, a) : above(a, b);
}

void gyr_ref_arg(const struct gyr_order *order, const void *x, void *places)
{
	for (size_t row = 0; row < order->outer * order->inner; row++) {
		size_t base = row / order->inner * order->length * order->inner + row % order->inner, place = 0;
		struct gyr_number best = gyr_number_load(order->dtype, x, base);
		for (size_t k = 1; k < order->length; k++) {
			struct gyr_number next = gyr_number_load(order->dtype, x, base + k * order->inner);
			bool wins = is_nan(best) || is_nan(next) ? is_nan(next) && (order->last || !is_nan(best))
								 : better(order, next, best) || (order->last && !better(order, best, next));
			if (wins) {
				best = next;
				place = k;
			}
		}
		((gyr_i64_u *)places)[row] = (int64_t)place;
	}
}

/* How many of the row at BASE come before element K. */
static size_t rank_of(const struct gyr_order *order, const void *x, size_t base, size_t k)
{
	struct gyr_number self = gyr_number_load(order->dtype, x, base + k * order->inner);
	size_t before = 0;
	for (size_t j = 0; j < order->length; j++) {
		struct gyr_number other = gyr_number_load(order->dtype, x, base + j * order->inner);
		before += better(order, other, self) || (j < k && !better(order, self, other));
	}
	return before;
}

void gyr_ref_top_k(const struct gyr_order *order, const void *x, void *values, void *places)
{
	for (size_t row = 0; row < order->outer * order->inner; row++) {
		size_t o = row / order->inner, i = row % order->inner, base = o * order->length * order->inner + i;
		for (size_t k = 0; k < order->length; k++) {
			size_t rank = rank_of(order, x, base, k), to = (o * order->k + rank) * order->inner + i;
			if (rank >= order->k)
				continue;
			if (values != NULL)
				gyr_number_store(order->dtype, values, to, gyr_number_load(order->dtype, x, base + k * order->inner));
			if (places != NULL)
				((gyr_i64_u *)places)[to] = (int64_t)k;
		}
	}
}

void gyr_ref_cum_sum(const struct gyr_order *order, const void *x, void *y)
{
	for (size_t row = 0; row < order->outer * order->inner; row++) {
		size_t base = row / order->inner * order->length * order->inner + row % order->inner;
		struct gyr_number sum = {0};
		for (size_t step = 0; step < order->length; step++) {
			size_t at = base + (order->reversed ? order->length - 1 - step : step) * order->inner;
			struct gyr_number next = gyr_number_load(order->dtype, x, at), before = sum;
			sum.kind = before.kind = next.kind;
			sum.real += next.real;
			sum.integer += next.integer;
			gyr_number_store(order->dtype, y, at, order->exclusive ? before : sum);
		}
	}
}
