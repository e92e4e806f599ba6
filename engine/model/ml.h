/*
 * What inference and the kernels must read alike from the nodes of ai.onnx.ml: lists of numbers in attributes, and the transforms of scores.
 */
#ifndef GYR_ENGINE_MODEL_ML_H
#define GYR_ENGINE_MODEL_ML_H

#include "engine/model/infer.h"
#include "engine/model/rows.h"

#define GYR_ML_NUMBERS (UINT32_C(1) << GYR_DTYPE_F32 | UINT32_C(1) << GYR_DTYPE_F64 | UINT32_C(1) << GYR_DTYPE_I64 | UINT32_C(1) << GYR_DTYPE_I32)

/* What becomes of scores, numbered as TreeEnsemble's post_transform. */
enum gyr_ml_transform { GYR_ML_NONE, GYR_ML_SOFTMAX, GYR_ML_LOGISTIC, GYR_ML_SOFTMAX_ZERO, GYR_ML_PROBIT };

/* Elements of a list: of floats, of integers, or of a tensor with one dimension. */
struct gyr_ml_list {
	enum gyr_dtype dtype;
	size_t count;
	const void *items;
};

/* The attribute of NODE of that name and of type floats, or ints; of no elements where it is left out. */
const float *gyr_ml_numbers(const struct gyr_node *node, const char *name, uint32_t *count);
const int64_t *gyr_ml_integers(const struct gyr_node *node, const char *name, uint32_t *count);

/* The transform of that name. False: there is none. */
bool gyr_ml_transform(const char *name, enum gyr_ml_transform *transform);

/* LabelEncoder's keys and values, as many of both. False: they are not given as lists of numbers, one of keys and one of values. */
bool gyr_ml_label_lists(const struct gyr_node *node, struct gyr_ml_list *keys, struct gyr_ml_list *values);

/* For inference functions of the domain. */

/* The attribute "post_transform", a name. -EINVAL. */
GYR_MUST_CHECK int gyr_ml_check_transform(struct gyr_infer *infer, enum gyr_ml_transform *transform);

/* Input 0 as a table: [N, F], or one row [F]. -EINVAL. */
GYR_MUST_CHECK int gyr_ml_read_table(struct gyr_infer *infer, int64_t *rows, int64_t *features);

/* -EINVAL where the attribute of strings NAME is given. */
GYR_MUST_CHECK int gyr_ml_refuse_strings(struct gyr_infer *infer, const char *name);

/* Input 0 is a table, computed row by row. */
enum gyr_rows gyr_ml_rows_table(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

#endif
