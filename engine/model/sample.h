/*
 * What the sampling operators say about themselves, for those who infer and those who run them.
 */
#ifndef GYR_ENGINE_MODEL_SAMPLE_H
#define GYR_ENGINE_MODEL_SAMPLE_H

#include "engine/model/infer.h"

/* Col2Im: blocks of BLOCK elements, DILATION apart, at PLACES that are STRIDE apart, the first BEFORE elements in front of the image. */
struct gyr_col2im {
	uint32_t rank;
	int64_t image[GYR_RANK_MAX], block[GYR_RANK_MAX], places[GYR_RANK_MAX], dilation[GYR_RANK_MAX], stride[GYR_RANK_MAX], before[GYR_RANK_MAX];
};

/* Infers a Col2Im and says what it does. -EINVAL; -EAGAIN: image_shape or block_shape is not known yet. */
GYR_MUST_CHECK int gyr_infer_col2im(struct gyr_infer *infer, struct gyr_col2im *col2im);

#endif
