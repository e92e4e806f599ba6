/*
 * The ml family: see op_ml.c. All of it is small, plain C, and the same with and without prepare->reference.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/model/ml.h"
#include "engine/ref/number.h"
#include "engine/ref/scores.h"
#include "engine/ref/unaligned.h"

/* A table, and what all operators here need of their inputs. */
struct table {
	enum gyr_dtype dtype;
	size_t rows, features, count;
};

static struct table table_of(const struct gyr_shape *x)
{
	return (struct table){
		.dtype = x->dtype,
		.rows = x->rank == 2 ? (size_t)x->dims[0] : 1,
		.features = x->rank == 0 ? 1 : (size_t)x->dims[x->rank - 1],
		.count = kernel_count(x),
	};
}

/* A number as the float that it is nearest to. */
static float load_float(enum gyr_dtype dtype, const void *x, size_t i)
{
	switch (dtype) {
	case GYR_DTYPE_F32: return ((const gyr_f32_u *)x)[i];
	case GYR_DTYPE_F64: return (float)((const gyr_f64_u *)x)[i];
	case GYR_DTYPE_I32: return (float)((const gyr_i32_u *)x)[i];
	default: return (float)((const gyr_i64_u *)x)[i];
	}
}

/* COUNT floats, copied, behind params. */
static const float *keep_floats(struct gyr_prepare *prepare, const float *items, size_t count)
{
	float *copy = GYR_ARENA_NEW(prepare->arena, float, count);
	if (copy == NULL)
		(void)gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	else if (count != 0)
		memcpy(copy, items, count * sizeof *copy);
	return copy;
}

/* ---- Scaler ---- */

struct scaler {
	struct table x;
	size_t step; /* from one feature's scale to the next: 0 or 1 */
	const float *scales, *offsets;
};

static void run_scaler(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct scaler *scaler = params;
	const gyr_f64_u *x64 = inputs[0];
	gyr_f32_u *y = outputs[0];
	for (size_t i = 0; i < scaler->x.count; i++) {
		size_t at = i % scaler->x.features * scaler->step;
		if (scaler->x.dtype == GYR_DTYPE_F64)
			y[i] = (float)((x64[i] - (double)scaler->offsets[at]) * (double)scaler->scales[at]);
		else
			y[i] = (load_float(scaler->x.dtype, inputs[0], i) - scaler->offsets[at]) * scaler->scales[at];
	}
}

static int prepare_scaler(struct gyr_prepare *prepare)
{
	uint32_t count;
	struct scaler *scaler = KERNEL_PARAMS(prepare, struct scaler);
	if (scaler == NULL)
		return -ENOMEM;
	const float *scales = gyr_ml_numbers(prepare->node, "scale", &count), *offsets = gyr_ml_numbers(prepare->node, "offset", &count);
	*scaler = (struct scaler){table_of(prepare->inputs[0]), count > 1, keep_floats(prepare, scales, count), keep_floats(prepare, offsets, count)};
	prepare->run = run_scaler;
	return scaler->scales == NULL || scaler->offsets == NULL ? -ENOMEM : 0;
}

/* ---- Normalizer ---- */

enum norm { NORM_MAX, NORM_L1, NORM_L2 };

struct normalizer {
	struct table x;
	enum norm norm;
};

static float norm_of(const struct normalizer *normalizer, const void *x, size_t from)
{
	float most = -INFINITY, sum = 0;
	for (size_t i = 0; i < normalizer->x.features; i++) {
		float value = load_float(normalizer->x.dtype, x, from + i);
		most = value > most ? value : most;
		sum += normalizer->norm == NORM_L2 ? value * value : fabsf(value);
	}
	return normalizer->norm == NORM_MAX ? most : normalizer->norm == NORM_L1 ? sum : sqrtf(sum);
}

static void run_normalizer(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct normalizer *normalizer = params;
	gyr_f32_u *y = outputs[0];
	for (size_t row = 0; row < normalizer->x.rows; row++) {
		size_t from = row * normalizer->x.features;
		float norm = norm_of(normalizer, inputs[0], from);
		for (size_t i = from; i < from + normalizer->x.features; i++) {
			float value = load_float(normalizer->x.dtype, inputs[0], i);
			y[i] = norm != 0 ? value / norm : value;
		}
	}
}

static int prepare_normalizer(struct gyr_prepare *prepare)
{
	const char *norm = gyr_node_string(prepare->node, "norm", "MAX");
	struct normalizer *normalizer = KERNEL_PARAMS(prepare, struct normalizer);
	if (normalizer == NULL)
		return -ENOMEM;
	normalizer->x = table_of(prepare->inputs[0]);
	normalizer->norm = strcmp(norm, "L1") == 0 ? NORM_L1 : strcmp(norm, "L2") == 0 ? NORM_L2 : NORM_MAX;
	prepare->run = run_normalizer;
	return 0;
}

/* ---- Binarizer ---- */

struct binarizer {
	struct table x;
	double threshold;
	int64_t whole_threshold; /* a whole number is above the threshold where it is above this one */
	bool all, none;          /* of the whole numbers are above it */
};

static void run_binarizer(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct binarizer *binarizer = params;
	for (size_t i = 0; i < binarizer->x.count; i++) {
		struct gyr_number number = gyr_number_load(binarizer->x.dtype, inputs[0], i);
		bool above = number.kind == GYR_NUMBER_REAL ? number.real > binarizer->threshold
							    : binarizer->all || (!binarizer->none && (int64_t)number.integer > binarizer->whole_threshold);
		gyr_number_store(binarizer->x.dtype, outputs[0], i, (struct gyr_number){.kind = GYR_NUMBER_SIGNED, .integer = above});
	}
}

static int prepare_binarizer(struct gyr_prepare *prepare)
{
	struct binarizer *binarizer = KERNEL_PARAMS(prepare, struct binarizer);
	if (binarizer == NULL)
		return -ENOMEM;
	double threshold = (double)gyr_node_number(prepare->node, "threshold", 0);
	*binarizer = (struct binarizer){.x = table_of(prepare->inputs[0]), .threshold = threshold, .all = threshold < -0x1p63, .none = threshold >= 0x1p63};
	if (!binarizer->all && !binarizer->none)
		binarizer->whole_threshold = (int64_t)floor(threshold);
	prepare->run = run_binarizer;
	return 0;
}

/* ---- Imputer ---- */

struct imputer {
	struct table x;
	size_t step;
	float replaced;
	int64_t replaced_whole;
	const float *values; /* for floats */
	const int64_t *whole_values;
};

static void run_imputer(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct imputer *imputer = params;
	for (size_t i = 0; i < imputer->x.count; i++) {
		size_t at = i % imputer->x.features * imputer->step;
		struct gyr_number number = gyr_number_load(imputer->x.dtype, inputs[0], i);
		if (number.kind == GYR_NUMBER_REAL) {
			double replaced = (double)imputer->replaced;
			if (number.real == replaced || (isnan(number.real) && isnan(replaced)))
				number.real = (double)imputer->values[at];
		} else if ((int64_t)number.integer == imputer->replaced_whole) {
			number.integer = (uint64_t)imputer->whole_values[at];
		}
		gyr_number_store(imputer->x.dtype, outputs[0], i, number);
	}
}

static int prepare_imputer(struct gyr_prepare *prepare)
{
	uint32_t numbers, integers;
	const float *values = gyr_ml_numbers(prepare->node, "imputed_value_floats", &numbers);
	const int64_t *whole = gyr_ml_integers(prepare->node, "imputed_value_int64s", &integers);
	struct imputer *imputer = KERNEL_PARAMS(prepare, struct imputer);
	int64_t *copy = GYR_ARENA_NEW(prepare->arena, int64_t, integers);
	if (imputer == NULL || copy == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	if (integers != 0)
		memcpy(copy, whole, integers * sizeof *copy);
	*imputer = (struct imputer){
		.x = table_of(prepare->inputs[0]),
		.step = numbers + integers > 1,
		.replaced = gyr_node_number(prepare->node, "replaced_value_float", 0),
		.replaced_whole = gyr_node_integer(prepare->node, "replaced_value_int64", 0),
		.values = keep_floats(prepare, values, numbers),
		.whole_values = copy,
	};
	prepare->run = run_imputer;
	return imputer->values == NULL ? -ENOMEM : 0;
}

/* ---- FeatureVectorizer, ArrayFeatureExtractor ---- */

struct vectorizer {
	size_t rows, features, count;
	const struct table *inputs;
};

static void run_vectorizer(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct vectorizer *vectorizer = params;
	gyr_f32_u *y = outputs[0];
	for (size_t i = 0; i < vectorizer->count; i++) {
		const struct table *x = &vectorizer->inputs[i];
		for (size_t row = 0; row < vectorizer->rows; row++)
			for (size_t k = 0; k < x->features; k++)
				y[row * vectorizer->features + k] = load_float(x->dtype, inputs[i], row * x->features + k);
		y += x->features;
	}
}

static int prepare_vectorizer(struct gyr_prepare *prepare)
{
	struct vectorizer *vectorizer = KERNEL_PARAMS(prepare, struct vectorizer);
	struct table *tables = GYR_ARENA_NEW(prepare->arena, struct table, prepare->node->input_count);
	if (vectorizer == NULL || tables == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	for (uint32_t i = 0; i < prepare->node->input_count; i++)
		tables[i] = table_of(prepare->inputs[i]);
	*vectorizer = (struct vectorizer){(size_t)prepare->outputs[0].dims[0], (size_t)prepare->outputs[0].dims[1], prepare->node->input_count, tables};
	prepare->run = run_vectorizer;
	return 0;
}

struct extractor {
	size_t outer, features, count, bytes;
};

/* An index that comes with a question and names no feature takes a zero, as Gather does. */
static void run_extractor(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct extractor *extractor = params;
	const gyr_u64_u *indices = inputs[1];
	char *to = outputs[0];
	for (size_t row = 0; row < extractor->outer; row++)
		for (size_t i = 0; i < extractor->count; i++, to += extractor->bytes) {
			if (indices[i] < extractor->features)
				memcpy(to, (const char *)inputs[0] + (row * extractor->features + indices[i]) * extractor->bytes, extractor->bytes);
			else
				memset(to, 0, extractor->bytes);
		}
}

static int prepare_extractor(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct extractor *extractor = KERNEL_PARAMS(prepare, struct extractor);
	if (extractor == NULL)
		return -ENOMEM;
	*extractor = (struct extractor){.outer = kernel_product(x, 0, x->rank - 1),
					.features = (size_t)x->dims[x->rank - 1],
					.count = kernel_count(prepare->inputs[1]),
					.bytes = gyr_dtype_bytes(x->dtype)};
	prepare->run = run_extractor;
	return 0;
}

/* ---- LinearRegressor, LinearClassifier ---- */

struct linear {
	struct table x;
	size_t lines;
	enum gyr_ml_transform transform;
	const float *coefficients, *intercepts;
	const int64_t *labels; /* of a classifier */
};

/* SCORES of row ROW. */
static void score_row(const struct linear *linear, const void *x, size_t row, float *scores)
{
	for (size_t line = 0; line < linear->lines; line++) {
		const float *coefficients = linear->coefficients + line * linear->x.features;
		double sum = (double)linear->intercepts[line];
		for (size_t i = 0; i < linear->x.features; i++)
			sum += (double)load_float(linear->x.dtype, x, row * linear->x.features + i) * (double)coefficients[i];
		scores[line] = (float)sum;
	}
}

static void run_regressor(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct linear *linear = params;
	gyr_f32_u *y = outputs[0];
	for (size_t row = 0; row < linear->x.rows; row++) {
		score_row(linear, inputs[0], row, scratch);
		gyr_ref_scores(linear->transform, scratch, linear->lines);
		memcpy(y + row * linear->lines, scratch, linear->lines * sizeof *y);
	}
}

/* One line is the score of the second of two classes; the first has the rest of 1. */
static void run_classifier(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct linear *linear = params;
	gyr_i64_u *labels = outputs[0];
	gyr_f32_u *y = outputs[1];
	float *scores = scratch;
	size_t classes = linear->lines == 1 ? 2 : linear->lines;
	for (size_t row = 0; row < linear->x.rows; row++) {
		score_row(linear, inputs[0], row, scores);
		size_t best = linear->lines == 1 ? scores[0] > 0 : gyr_ref_largest(scores, classes);
		if (linear->lines == 1) {
			scores[1] = scores[0];
			scores[0] = 1.0f - scores[1];
		}
		labels[row] = linear->labels[best];
		gyr_ref_scores(linear->transform, scores, classes);
		if (y != NULL)
			memcpy(y + row * classes, scores, classes * sizeof *y);
	}
}

static int prepare_linear(struct gyr_prepare *prepare)
{
	uint32_t coefficients, intercepts, labels;
	const struct gyr_node *node = prepare->node;
	struct linear *linear = KERNEL_PARAMS(prepare, struct linear);
	if (linear == NULL)
		return -ENOMEM;
	const float *items = gyr_ml_numbers(node, "coefficients", &coefficients), *rest = gyr_ml_numbers(node, "intercepts", &intercepts);
	const int64_t *names = gyr_ml_integers(node, "classlabels_ints", &labels);
	*linear = (struct linear){.x = table_of(prepare->inputs[0])};
	linear->lines = coefficients / linear->x.features;
	float *all_rest = GYR_ARENA_NEW(prepare->arena, float, linear->lines);
	int64_t *own_names = GYR_ARENA_NEW(prepare->arena, int64_t, labels);
	linear->coefficients = keep_floats(prepare, items, coefficients);
	if (linear->coefficients == NULL || all_rest == NULL || own_names == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	memset(all_rest, 0, linear->lines * sizeof *all_rest);
	if (intercepts != 0)
		memcpy(all_rest, rest, intercepts * sizeof *all_rest);
	if (labels != 0)
		memcpy(own_names, names, labels * sizeof *own_names);
	linear->intercepts = all_rest;
	linear->labels = own_names;
	bool known = gyr_ml_transform(gyr_node_string(node, "post_transform", "NONE"), &linear->transform);
	prepare->run = node->op == GYR_OP_LINEAR_REGRESSOR ? run_regressor : run_classifier;
	prepare->scratch_bytes = (linear->lines + 1) * sizeof(float);
	return known ? 0 : gyr_error_set(prepare->error, -ENOTSUP, "post_transform is none of ONNX's");
}

static const struct kernel_row rows[] = {
	{GYR_OP_ARRAY_FEATURE_EXTRACTOR, prepare_extractor},
	{GYR_OP_BINARIZER, prepare_binarizer},
	{GYR_OP_FEATURE_VECTORIZER, prepare_vectorizer},
	{GYR_OP_IMPUTER, prepare_imputer},
	{GYR_OP_LINEAR_CLASSIFIER, prepare_linear},
	{GYR_OP_LINEAR_REGRESSOR, prepare_linear},
	{GYR_OP_NORMALIZER, prepare_normalizer},
	{GYR_OP_SCALER, prepare_scaler},
};

const struct kernel_family kernel_family_ml = {rows, KERNEL_COUNT(rows)};
