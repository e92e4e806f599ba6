/*
 * What linear models and trees of ai.onnx.ml make of their scores.
 */
#ifndef GYR_ENGINE_REF_SCORES_H
#define GYR_ENGINE_REF_SCORES_H

#include <stddef.h>

#include "engine/model/ml.h"

/*
 * Transforms the COUNT scores of one row in place. SOFTMAX_ZERO leaves those alone that are as good as zero (within 1e-7); LOGISTIC and PROBIT take each by
 * itself. The inverse error function in PROBIT is Winitzki's approximation (good to 2e-3), as in ONNX's own reference and in ONNX Runtime. Any thread.
 * Source: the domain's schemas, and onnx/reference/ops/aionnxml of ONNX 1.17.
 */
void gyr_ref_scores(enum gyr_ml_transform transform, float *scores, size_t count);

/* The first of the largest of COUNT scores, 1 or more; a NaN is larger than none. Any thread. */
size_t gyr_ref_largest(const float *scores, size_t count);

#endif
