/*
 * Einstein sums: see einsum.h. One walk over all labels, the last of them the fastest.
 */
#include "engine/ref/einsum.h"

#include "engine/ref/number.h"

void gyr_einsum_strides(const struct gyr_einsum *einsum, uint32_t operand, const struct gyr_shape *shape, struct gyr_einsum_strides *strides)
{
	size_t step = 1;
	*strides = (struct gyr_einsum_strides){0};
	for (uint32_t k = shape->rank; k-- > 0;) {
		uint32_t label = einsum->labels[operand][k];
		if (shape->dims[k] != 1)
			strides->along[label] += step;
		step *= (size_t)shape->dims[k];
	}
}

static size_t product(const struct gyr_einsum *einsum, uint32_t from, uint32_t to)
{
	size_t count = 1;
	for (uint32_t l = from; l < to; l++)
		count *= (size_t)einsum->sizes[l];
	return count;
}

void gyr_ref_einsum(const struct gyr_einsum *einsum, enum gyr_dtype dtype, const struct gyr_einsum_strides *strides, const void *const *x, void *y)
{
	size_t index[GYR_EINSUM_LABELS_MAX] = {0}, at[GYR_EINSUM_OPERANDS_MAX] = {0};
	size_t results = product(einsum, 0, einsum->output_rank), terms = product(einsum, einsum->output_rank, einsum->label_count);
	for (size_t r = 0; r < results; r++) {
		struct gyr_number sum = gyr_number_load(dtype, (const uint8_t[sizeof(uint64_t)]){0}, 0); /* zero of that kind */
		for (size_t t = 0; t < terms; t++) {
			struct gyr_number term = gyr_number_load(dtype, x[0], at[0]);
			for (uint32_t i = 1; i < einsum->operand_count; i++) {
				struct gyr_number factor = gyr_number_load(dtype, x[i], at[i]);
				term.real *= factor.real;
				term.integer *= factor.integer;
			}
			sum.real += term.real;
			sum.integer += term.integer;
			for (uint32_t l = einsum->label_count; l-- > einsum->output_rank;) {
				for (uint32_t i = 0; i < einsum->operand_count; i++)
					at[i] += strides[i].along[l];
				if (++index[l] < (size_t)einsum->sizes[l])
					break;
				for (uint32_t i = 0; i < einsum->operand_count; i++)
					at[i] -= strides[i].along[l] * index[l];
				index[l] = 0;
			}
		}
		gyr_number_store(dtype, y, r, sum);
		for (uint32_t l = einsum->output_rank; l-- > 0;) {
			for (uint32_t i = 0; i < einsum->operand_count; i++)
				at[i] += strides[i].along[l];
			if (++index[l] < (size_t)einsum->sizes[l])
				break;
			for (uint32_t i = 0; i < einsum->operand_count; i++)
				at[i] -= strides[i].along[l] * index[l];
			index[l] = 0;
		}
	}
}
