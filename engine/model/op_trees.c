/*
 * The family of tree ensembles, of ai.onnx.ml. Types and shapes are found here; the trees themselves are checked when a plan is made. Source: the ONNX operator
 * schemas (docs/Operators-ml.md and docs/Changelog-ml.md of ONNX 1.17).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/ml.h"
#include "engine/model/op_family.h"

/* A table of at least one feature. */
static int read_rows(struct gyr_infer *infer, int64_t *rows)
{
	int64_t features;
	int status = gyr_ml_read_table(infer, rows, &features);
	return status == 0 && features == 0 ? gyr_error_set(infer->error, -EINVAL, "rows of no features") : status;
}

/* How many targets. One target has no transform over classes: runtimes take the others differently. */
static int read_targets(struct gyr_infer *infer, enum gyr_ml_transform transform, int64_t *targets)
{
	*targets = gyr_node_integer(infer->node, "n_targets", 0);
	if (*targets < 1 || *targets > INT32_MAX)
		return gyr_error_set(infer->error, -EINVAL, "n_targets is %" PRId64 " (1 or more)", *targets);
	if (*targets == 1 && transform != GYR_ML_NONE && transform != GYR_ML_PROBIT)
		return gyr_error_set(infer->error, -EINVAL, "a post_transform over classes, and there is one target");
	return 0;
}

static int infer_regressor(struct gyr_infer *infer)
{
	static const char *const sums[] = {"AVERAGE", "SUM", "MIN", "MAX"};
	const char *sum = gyr_node_string(infer->node, "aggregate_function", "SUM");
	int64_t rows, targets;
	enum gyr_ml_transform transform;
	bool known = false;
	int status = read_rows(infer, &rows);
	if (status == 0)
		status = gyr_ml_check_transform(infer, &transform);
	if (status == 0)
		status = read_targets(infer, transform, &targets);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < OP_COUNT(sums); i++)
		known |= strcmp(sums[i], sum) == 0;
	if (!known)
		return gyr_error_set(infer->error, -EINVAL, "aggregate_function is none of ONNX's");
	infer->outputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {rows, targets}};
	return 0;
}

static int infer_classifier(struct gyr_infer *infer)
{
	int64_t rows;
	uint32_t labels;
	enum gyr_ml_transform transform;
	gyr_ml_integers(infer->node, "classlabels_int64s", &labels);
	int status = gyr_ml_refuse_strings(infer, "classlabels_strings");
	if (status == 0)
		status = read_rows(infer, &rows);
	if (status == 0)
		status = gyr_ml_check_transform(infer, &transform);
	if (status != 0)
		return status;
	if (labels < 2 || labels > INT32_MAX)
		return gyr_error_set(infer->error, -EINVAL, "%" PRIu32 " labels (2 or more)", labels);
	infer->outputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_I64, .rank = 1, .dims = {rows}};
	if (infer->node->output_count > 1)
		infer->outputs[1] = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {rows, labels}};
	return 0;
}

static int infer_ensemble(struct gyr_infer *infer)
{
	int64_t transform = gyr_node_integer(infer->node, "post_transform", GYR_ML_NONE), sum = gyr_node_integer(infer->node, "aggregate_function", 1);
	int64_t rows, targets;
	if (transform < GYR_ML_NONE || transform > GYR_ML_PROBIT || sum < 0 || sum > 3)
		return gyr_error_set(infer->error, -EINVAL, "post_transform %" PRId64 " (0 to 4) or aggregate_function %" PRId64 " (0 to 3)", transform, sum);
	int status = read_rows(infer, &rows);
	if (status == 0)
		status = read_targets(infer, (enum gyr_ml_transform)transform, &targets);
	if (status == 0)
		infer->outputs[0] = (struct gyr_shape){.dtype = infer->inputs[0]->dtype, .rank = 2, .dims = {rows, targets}};
	return status;
}

#define INTS(name) {name, GYR_ATTRIBUTE_INTS, 1, false}
#define FLOATS(name)                                                                                                                                           \
	{name, GYR_ATTRIBUTE_FLOATS, 1, false},                                                                                                                \
	{                                                                                                                                                      \
		name "_as_tensor", GYR_ATTRIBUTE_TENSOR, 3, false                                                                                              \
	}
#define TEXT(name) {name, GYR_ATTRIBUTE_STRING, 1, false}
#define TEXTS(name) {name, GYR_ATTRIBUTE_STRINGS, 1, false}
#define NODES                                                                                                                                                  \
	INTS("nodes_falsenodeids"), INTS("nodes_featureids"), FLOATS("nodes_hitrates"), INTS("nodes_missing_value_tracks_true"), TEXTS("nodes_modes"),         \
		INTS("nodes_nodeids"), INTS("nodes_treeids"), INTS("nodes_truenodeids"), FLOATS("nodes_values"), TEXT("post_transform")
static const struct gyr_op_attribute regressor_attributes[] = {TEXT("aggregate_function"),
							       FLOATS("base_values"),
							       {"n_targets", GYR_ATTRIBUTE_INT, 1, false},
							       INTS("target_ids"),
							       INTS("target_nodeids"),
							       INTS("target_treeids"),
							       FLOATS("target_weights"),
							       NODES};
static const struct gyr_op_attribute classifier_attributes[] = {
	FLOATS("base_values"),   INTS("class_ids"),          INTS("class_nodeids"),        INTS("class_treeids"),
	FLOATS("class_weights"), INTS("classlabels_int64s"), TEXTS("classlabels_strings"), NODES};
#define INTEGERS(name, needed) {name, GYR_ATTRIBUTE_INTS, 5, needed}
#define TENSOR(name, needed) {name, GYR_ATTRIBUTE_TENSOR, 5, needed}
static const struct gyr_op_attribute ensemble_attributes[] = {{"aggregate_function", GYR_ATTRIBUTE_INT, 5, false},
							      INTEGERS("leaf_targetids", true),
							      TENSOR("leaf_weights", true),
							      TENSOR("membership_values", false),
							      {"n_targets", GYR_ATTRIBUTE_INT, 5, false},
							      INTEGERS("nodes_falseleafs", true),
							      INTEGERS("nodes_falsenodeids", true),
							      INTEGERS("nodes_featureids", true),
							      TENSOR("nodes_hitrates", false),
							      INTEGERS("nodes_missing_value_tracks_true", false),
							      TENSOR("nodes_modes", true),
							      TENSOR("nodes_splits", true),
							      INTEGERS("nodes_trueleafs", true),
							      INTEGERS("nodes_truenodeids", true),
							      {"post_transform", GYR_ATTRIBUTE_INT, 5, false},
							      INTEGERS("tree_roots", true)};

static const struct gyr_op_type number_types[] = {{'T', 1, GYR_ML_NUMBERS}};
static const struct gyr_op_type float_types[] = {{'T', 5, OP_FLOATS}};

#define TREES(op_, name_, infer_) .op = GYR_OP_##op_, .name = name_, .domain = GYR_DOMAIN_ML, .infer = infer_, .rows = gyr_ml_rows_table, OP_INPUTS(1, 1, "T")

/* Opset 5 withdraws the other two. */
static const struct gyr_op_info rows[] = {
	{TREES(TREE_ENSEMBLE, "TreeEnsemble", infer_ensemble), OP_OPSETS(5, GYR_OPSET_ML_MAX), OP_OUTPUTS(1, "T"), OP_TYPES(float_types),
	 OP_ATTRIBUTES(ensemble_attributes)},
	{TREES(TREE_ENSEMBLE_CLASSIFIER, "TreeEnsembleClassifier", infer_classifier), OP_OPSETS(1, 4), OP_OUTPUTS(2, "IF"), OP_TYPES(number_types),
	 OP_ATTRIBUTES(classifier_attributes)},
	{TREES(TREE_ENSEMBLE_REGRESSOR, "TreeEnsembleRegressor", infer_regressor), OP_OPSETS(1, 4), OP_OUTPUTS(1, "F"), OP_TYPES(number_types),
	 OP_ATTRIBUTES(regressor_attributes)},
};

const struct op_family op_family_trees = {rows, OP_COUNT(rows)};
