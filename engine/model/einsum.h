/*
 * Einstein sums: what an equation like "bij,bjk->bik" says of the dimensions of its operands and of its result.
 */
#ifndef GYR_ENGINE_MODEL_EINSUM_H
#define GYR_ENGINE_MODEL_EINSUM_H

#include <stdint.h>

#include "engine/model/infer.h"

#define GYR_EINSUM_OPERANDS_MAX 16u
#define GYR_EINSUM_LABELS_MAX (52u + GYR_RANK_MAX)  /* letters, and dimensions that "..." stands for */
#define GYR_EINSUM_PRODUCTS_MAX (UINT64_C(1) << 33) /* elements of the result times terms of each sum */

/* Labels 0 to output_rank - 1 are the dimensions of the result, in order; the others are summed over. */
struct gyr_einsum {
	uint32_t label_count, output_rank, operand_count;
	int64_t sizes[GYR_EINSUM_LABELS_MAX];
	uint8_t ranks[GYR_EINSUM_OPERANDS_MAX];
	/* Of each dimension of each operand; twice the same one in an operand is its diagonal. A dimension of 1 under a label of another size repeats. */
	uint8_t labels[GYR_EINSUM_OPERANDS_MAX][GYR_RANK_MAX];
};

/*
 * Reads the attribute "equation" of INFER's node for its inputs, as numpy.einsum does: letters, "...", blanks anywhere; without "->" the result has what "..."
 * stands for and then the letters that stand once, in alphabetical order. -EINVAL: it is no equation, or does not fit the inputs. -E2BIG: more operands, or
 * more products than GYR_EINSUM_PRODUCTS_MAX.
 */
GYR_MUST_CHECK int gyr_einsum_read(const struct gyr_infer *infer, struct gyr_einsum *einsum);

#endif
