/*
 * In order along an axis: see order.h.
 */
#include "engine/kernel/order.h"

#include "engine/kernel/reduce.h"
#include "engine/ref/unaligned.h"

#define LANES 16u

/* Where TOP, the largest of the row, stands; or the NaN that it is. */
static int64_t find(const struct gyr_order *order, const gyr_f32_u *x, float top)
{
	size_t place = 0;
	for (size_t step = 0; step < order->length; step++) {
		place = order->last ? order->length - 1 - step : step;
		if (x[place] == top || x[place] != x[place])
			break;
	}
	return (int64_t)place;
}

static void arg_strided(const struct gyr_order *order, size_t lanes, const gyr_f32_u *x, gyr_i64_u *places)
{
	float best[LANES];
	int32_t place[LANES] = {0};
	float sign = order->least ? -1 : 1;
	for (size_t lane = 0; lane < lanes; lane++)
		best[lane] = sign * x[lane];
	for (size_t k = 1; k < order->length; k++) {
		for (size_t lane = 0; lane < lanes; lane++) {
			float next = sign * x[k * order->inner + lane], own = best[lane];
			bool nan = (next != next) & (order->last | (own == own));
			bool wins = nan | (next > own) | (order->last & (next == own));
			best[lane] = wins ? next : own;
			place[lane] = wins ? (int32_t)k : place[lane];
		}
	}
	for (size_t lane = 0; lane < lanes; lane++)
		places[lane] = place[lane];
}

void gyr_kernel_arg(const struct gyr_order *order, const void *x, void *places)
{
	const gyr_f32_u *from = x;
	gyr_i64_u *to = places;
	for (size_t o = 0; o < order->outer; o++, from += order->length * order->inner, to += order->inner) {
		if (order->inner == 1) {
			float top;
			gyr_kernel_reduce(order->least ? GYR_OP_REDUCE_MIN : GYR_OP_REDUCE_MAX, 1, order->length, 1, from, &top);
			*to = find(order, from, top);
			continue;
		}
		for (size_t i = 0; i < order->inner; i += LANES)
			arg_strided(order, order->inner - i < LANES ? order->inner - i : LANES, from + i, to + i);
	}
}

/* Whether element A of the row comes before element B. */
static inline bool before(const struct gyr_order *order, const gyr_f32_u *x, int64_t a, int64_t b)
{
	float left = x[(size_t)a * order->inner], right = x[(size_t)b * order->inner];
	bool above = left > right || (left != left && right == right), below = right > left || (right != right && left == left);
	if (above || below)
		return order->least ? below : above;
	return a < b;
}

/* HEAP has the last one on top; the one at AT sinks to its place. */
static void sink(const struct gyr_order *order, const gyr_f32_u *x, int64_t *heap, size_t count, size_t at)
{
	int64_t self = heap[at];
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && before(order, x, heap[child], heap[child + 1]))
			child++;
		if (!before(order, x, self, heap[child]))
			break;
		heap[at] = heap[child];
	}
	heap[at] = self;
}

void gyr_kernel_top_k(const struct gyr_order *order, const void *x, void *values, void *places, int64_t *heap)
{
	gyr_f32_u *to = values;
	gyr_i64_u *where = places;
	for (size_t row = 0; row < order->outer * order->inner && order->k > 0; row++) {
		size_t o = row / order->inner, i = row % order->inner, out = o * order->k * order->inner + i;
		const gyr_f32_u *from = (const gyr_f32_u *)x + o * order->length * order->inner + i;
		for (size_t k = 0; k < order->k; k++)
			heap[k] = (int64_t)k;
		for (size_t k = order->k / 2; k-- > 0;)
			sink(order, from, heap, order->k, k);
		for (size_t k = order->k; k < order->length; k++) {
			if (!before(order, from, (int64_t)k, heap[0]))
				continue;
			heap[0] = (int64_t)k;
			sink(order, from, heap, order->k, 0);
		}
		for (size_t left = order->k; left-- > 0;) {
			int64_t place = heap[0];
			heap[0] = heap[left];
			sink(order, from, heap, left, 0);
			if (to != NULL)
				to[out + left * order->inner] = from[(size_t)place * order->inner];
			if (where != NULL)
				where[out + left * order->inner] = place;
		}
	}
}

static void cum_sum_lanes(const struct gyr_order *order, size_t lanes, const gyr_f32_u *x, gyr_f32_u *y)
{
	double sum[LANES] = {0};
	for (size_t step = 0; step < order->length; step++) {
		size_t at = (order->reversed ? order->length - 1 - step : step) * order->inner;
		for (size_t lane = 0; lane < lanes; lane++) {
			double next = sum[lane] + (double)x[at + lane];
			y[at + lane] = (float)(order->exclusive ? sum[lane] : next);
			sum[lane] = next;
		}
	}
}

void gyr_kernel_cum_sum(const struct gyr_order *order, const void *x, void *y)
{
	for (size_t o = 0; o < order->outer; o++) {
		size_t base = o * order->length * order->inner;
		for (size_t i = 0; i < order->inner; i += LANES)
			cum_sum_lanes(order, order->inner - i < LANES ? order->inner - i : LANES, (const gyr_f32_u *)x + base + i, (gyr_f32_u *)y + base + i);
	}
}
