/*
 * Reductions: see reduce.h.
 */
#include "engine/ref/reduce.h"

#include <math.h>

#include "base/assertion.h"
#include "engine/ref/number.h"

void gyr_reduce_init(struct gyr_reduce *reduce, enum gyr_op op, const struct gyr_shape *shape, const bool *reduced)
{
	size_t stride = 1;
	*reduce = (struct gyr_reduce){.op = op, .dtype = shape->dtype, .count = 1, .length = 1};
	for (uint32_t i = 0; i < shape->rank; i++)
		*(reduced[i] ? &reduce->reduced_rank : &reduce->kept_rank) += 1;
	uint32_t kept_at = reduce->kept_rank, reduced_at = reduce->reduced_rank;
	for (uint32_t i = shape->rank; i-- > 0;) {
		size_t dim = (size_t)shape->dims[i];
		if (reduced[i]) {
			reduce->reduced[--reduced_at] = dim;
			reduce->reduced_strides[reduced_at] = stride;
			reduce->length *= dim;
		} else {
			reduce->kept[--kept_at] = dim;
			reduce->kept_strides[kept_at] = stride;
			reduce->count *= dim;
		}
		stride *= dim;
	}
}

size_t gyr_reduce_offset(uint32_t rank, const size_t *dims, const size_t *strides, size_t index)
{
	size_t offset = 0;
	for (uint32_t i = rank; i-- > 0;) {
		offset += index % dims[i] * strides[i];
		index /= dims[i];
	}
	return offset;
}

static struct gyr_number at(const struct gyr_reduce *reduce, const void *x, size_t base, size_t k)
{
	return gyr_number_load(reduce->dtype, x, base + gyr_reduce_offset(reduce->reduced_rank, reduce->reduced, reduce->reduced_strides, k));
}

static double real_of(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL ? number.real : number.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)number.integer : (double)number.integer;
}

static bool below(struct gyr_number a, struct gyr_number b)
{
	if (a.kind == GYR_NUMBER_REAL)
		return a.real < b.real;
	return a.kind == GYR_NUMBER_SIGNED ? (int64_t)a.integer < (int64_t)b.integer : a.integer < b.integer;
}

/* The largest or smallest. */
static struct gyr_number extreme(const struct gyr_reduce *reduce, const void *x, size_t base, bool most)
{
	if (reduce->length == 0) /* an infinity is stored as the last number of an integer type */
		return (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = reduce->dtype == GYR_DTYPE_BOOL ? !most : most ? -INFINITY : INFINITY};
	struct gyr_number result = at(reduce, x, base, 0);
	for (size_t k = 1; k < reduce->length; k++) {
		struct gyr_number next = at(reduce, x, base, k);
		bool nan = next.kind == GYR_NUMBER_REAL && next.real != next.real;
		if (nan || (most ? below(result, next) : below(next, result)))
			result = next;
	}
	return result;
}

static double log_sum_exp(const struct gyr_reduce *reduce, const void *x, size_t base)
{
	double most = real_of(extreme(reduce, x, base, true)), sum = 0;
	if (isinf(most))
		return most;
	for (size_t k = 0; k < reduce->length; k++)
		sum += exp(real_of(at(reduce, x, base, k)) - most);
	return most + log(sum);
}

static double total_real(const struct gyr_reduce *reduce, const void *x, size_t base)
{
	double total = reduce->op == GYR_OP_REDUCE_PROD ? 1 : 0;
	for (size_t k = 0; k < reduce->length; k++) {
		double value = real_of(at(reduce, x, base, k));
		switch (reduce->op) {
		case GYR_OP_REDUCE_PROD: total *= value; break;
		case GYR_OP_REDUCE_L1: total += fabs(value); break;
		case GYR_OP_REDUCE_L2:
		case GYR_OP_REDUCE_SUM_SQUARE: total += value * value; break;
		default: total += value; break;
		}
	}
	switch (reduce->op) {
	case GYR_OP_REDUCE_L2: return sqrt(total);
	case GYR_OP_REDUCE_LOG_SUM: return log(total);
	case GYR_OP_REDUCE_MEAN: return total / (double)reduce->length;
	default: return total;
	}
}

/* As many bits as an integer has stay right when the sum wraps. */
static uint64_t total_integer(const struct gyr_reduce *reduce, const void *x, size_t base, bool is_signed)
{
	uint64_t total = reduce->op == GYR_OP_REDUCE_PROD ? 1 : 0;
	for (size_t k = 0; k < reduce->length; k++) {
		uint64_t value = at(reduce, x, base, k).integer;
		switch (reduce->op) {
		case GYR_OP_REDUCE_PROD: total *= value; break;
		case GYR_OP_REDUCE_L1: total += is_signed && (int64_t)value < 0 ? 0 - value : value; break;
		case GYR_OP_REDUCE_SUM_SQUARE: total += value * value; break;
		default: total += value; break;
		}
	}
	if (reduce->op != GYR_OP_REDUCE_MEAN || reduce->length == 0)
		return total;
	return is_signed ? (uint64_t)((int64_t)total / (int64_t)reduce->length) : total / reduce->length;
}

static struct gyr_number one(const struct gyr_reduce *reduce, const void *x, size_t base, enum gyr_number_kind kind)
{
	bool exact = reduce->op != GYR_OP_REDUCE_L2 && reduce->op != GYR_OP_REDUCE_LOG_SUM;
	if (reduce->op == GYR_OP_REDUCE_MAX || reduce->op == GYR_OP_REDUCE_MIN)
		return extreme(reduce, x, base, reduce->op == GYR_OP_REDUCE_MAX);
	if (reduce->op == GYR_OP_REDUCE_LOG_SUM_EXP)
		return (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = log_sum_exp(reduce, x, base)};
	if (kind == GYR_NUMBER_REAL || !exact)
		return (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = total_real(reduce, x, base)};
	return (struct gyr_number){.kind = kind, .integer = total_integer(reduce, x, base, kind == GYR_NUMBER_SIGNED)};
}

void gyr_ref_reduce(const struct gyr_reduce *reduce, const void *x, void *y)
{
	static const char zero[8];
	enum gyr_number_kind kind = gyr_number_load(reduce->dtype, zero, 0).kind;
	for (size_t i = 0; i < reduce->count; i++) {
		size_t base = gyr_reduce_offset(reduce->kept_rank, reduce->kept, reduce->kept_strides, i);
		gyr_number_store(reduce->dtype, y, i, one(reduce, x, base, kind));
	}
}
