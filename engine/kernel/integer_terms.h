/*
 * What the sums of an integer product lack until they are its result: the parts of zero points, the bias and the scales. Inside engine/kernel.
 *
 * With a' = a - za and b' = b - zb, the sum of a' b' is the sum of a b, less za times the sum of b, less zb times the sum of a, and K za zb. The first and the
 * last of what is added are one number a column (or channel) where zero points are known; the sum of a is needed only where some zb is not 0.
 */
#ifndef GYR_ENGINE_KERNEL_INTEGER_TERMS_H
#define GYR_ENGINE_KERNEL_INTEGER_TERMS_H

#include "engine/kernel/family.h"

/* Where things are among a node's inputs; 0: nowhere. */
struct integer_ends {
	uint32_t a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias;
};

/* What is known of a product beforehand. */
struct integer {
	struct integer_ends ends;
	enum gyr_dtype a, b, y, scale;
	size_t k, n; /* length of a sum; columns, or channels */
	size_t b_scale_step, b_zero_step;
};

/* What the sums of each column, or channel, lack. */
struct integer_terms {
	uint32_t *added, *zeros; /* [n] */
	float *factors;          /* [n] */
	bool zeroed;             /* all zeros are 0 */
	uint8_t a_zero;          /* as it is in the input */
	int32_t y_zero;
};

/* The inputs of MatMulInteger, QLinearMatMul, ConvInteger or QLinearConv; and the product that the node is, of sums of K and of N columns. */
struct integer_ends integer_find_ends(const struct gyr_prepare *prepare);
struct integer integer_describe(const struct gyr_prepare *prepare, size_t k, size_t n);

/* Input INPUT, or NULL where that is 0. */
static inline const void *integer_input(const void *const inputs[], uint32_t input)
{
	return input == 0 ? NULL : inputs[input];
}

/* Bytes that terms take, and the terms in MEMORY (4-byte aligned), given TOTALS, the sums of the weights as they are packed. */
size_t integer_terms_bytes(const struct integer *integer);
struct integer_terms integer_find_terms(const struct integer *integer, const void *const inputs[], const uint32_t *totals, void *memory);

/* Whether all that terms need is constant; then integer_keep_terms puts them into the plan. -ENOMEM. */
bool integer_terms_known(const struct gyr_prepare *prepare, const struct integer *integer);
GYR_MUST_CHECK int integer_keep_terms(struct gyr_prepare *prepare, const struct integer *integer, const uint32_t *totals, struct integer_terms *terms);

/* What a sum of column N is multiplied with, and the result's zero point, for the twins. */
float integer_factor(const struct integer *integer, const void *const inputs[], size_t n);
int32_t integer_y_zero(const struct integer *integer, const void *const inputs[]);

/* Weights that are packed once for all batch sizes. */
struct integer_packed {
	size_t k, n, groups; /* of the product that they are packed for */
	uint8_t *bytes;      /* 64-byte aligned */
	uint32_t *totals;
};

/*
 * The pack of the weights under TAG, or TAG and a small number, for products cut into GROUPS; or a new one with room for BYTES and a total for each of the N
 * columns: *FRESH says that it is to be filled in. NULL without memory, with the error set.
 */
const struct integer_packed *integer_packed(struct gyr_prepare *prepare, const struct integer *integer, uint64_t tag, size_t groups, size_t bytes, bool *fresh);

/* Marks what packs and terms hold as not read. */
void integer_set_unread(struct gyr_prepare *prepare, const struct integer *integer, bool packed, bool known);

#endif
