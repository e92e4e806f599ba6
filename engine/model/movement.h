/*
 * What inference, the analysis of rows and the kernels must read alike from the nodes of the movement operators: lists that came as attributes in older opsets
 * and come as inputs in newer ones.
 */
#ifndef GYR_ENGINE_MODEL_MOVEMENT_H
#define GYR_ENGINE_MODEL_MOVEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/model/infer.h"

/* Slice: dimension i of the result has COUNTS[i] elements, the first at STARTS[i] of the input, and STEPS[i] from each to the next. All are in range. */
struct gyr_slice {
	int64_t starts[GYR_RANK_MAX], steps[GYR_RANK_MAX], counts[GYR_RANK_MAX];
	bool whole[GYR_RANK_MAX]; /* the dimension is taken as it is, whatever its length */
};

/* -EINVAL, or -EAGAIN where an input's content is not known. */
GYR_MUST_CHECK int gyr_infer_slice(struct gyr_infer *infer, struct gyr_slice *slice);

/*
 * The list that the attribute NAME holds or, where there is none, the content of input INDEX: up to MAX numbers. *GIVEN is whether there is a list at all.
 * -EINVAL, or -EAGAIN where the content is not known.
 */
GYR_MUST_CHECK int gyr_infer_list(struct gyr_infer *infer, const char *name, uint32_t index, int64_t *items, uint32_t max, uint32_t *count, bool *given);

/* Pad and CenterCropPad: how many elements come before the first of each dimension, or go where negative; behind the last, what the result's shape leaves. */
struct gyr_pad {
	int64_t before[GYR_RANK_MAX], after[GYR_RANK_MAX];
};

/* -EINVAL, or -EAGAIN where an input's content is not known. */
GYR_MUST_CHECK int gyr_infer_pad(struct gyr_infer *infer, struct gyr_pad *pad);

/* Element I of DATA, of any type of numbers but f16 and bf16, as a whole number. False: of another type, or not in an i64's range. */
bool gyr_infer_whole(enum gyr_dtype dtype, const void *data, size_t i, int64_t *value);

#endif
