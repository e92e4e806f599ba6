/*
 * Attention: Y = softmax(scale Q K^T + mask) V for each index of the leading dimensions (batch, head). Q, K and V are read where they lie, Y is written where
 * it is wanted, and the scores of one block of queries at a time are all that is between.
 *
 * A mask is floats, which are added, or, where the node has an attribute "fill", booleans: "fill" takes the place of the scores at which they are not "keep".
 *
 * It is an internal operator, which engine/plan puts in the place of the nodes that exporters write; its oracle is what those nodes give.
 */
#ifndef GYR_ENGINE_KERNEL_ATTENTION_H
#define GYR_ENGINE_KERNEL_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#define GYR_ATTENTION_LEADING_MAX 4

/*
 * Where everything lies at one batch number; offsets and strides in elements. The elements of a row of Q, V and Y lie side by side. A plan has one for each
 * batch number, and finds the right one by the number of elements of Y. All int64, for an attribute of the node is an array of these.
 */
struct gyr_attention_layout {
	int64_t elements;                                            /* of Y */
	int64_t queries, keys, depth, width;                         /* depth of a row of Q and K, width of one of V and Y; all at least 1 */
	int64_t leading[GYR_ATTENTION_LEADING_MAX];                  /* outermost first; 1 where there is none */
	int64_t q_offset, q_row, q_steps[GYR_ATTENTION_LEADING_MAX]; /* steps: from one index of a leading dimension to the next */
	int64_t k_offset, k_row, k_column, k_steps[GYR_ATTENTION_LEADING_MAX];
	int64_t v_offset, v_row, v_steps[GYR_ATTENTION_LEADING_MAX];
	int64_t y_row, y_steps[GYR_ATTENTION_LEADING_MAX];
	int64_t mask_query, mask_key, mask_steps[GYR_ATTENTION_LEADING_MAX]; /* mask_key is 0 or 1; any may be 0, where the mask repeats */
};

#define GYR_ATTENTION_LAYOUT_ITEMS (sizeof(struct gyr_attention_layout) / sizeof(int64_t))

#endif
