/*
 * The ml family: what is small in ai.onnx.ml, on numbers (scaling, encoding, linear models). Its trees are in op_trees.c. Source: the ONNX operator schemas
 * (docs/Operators-ml.md and docs/Changelog-ml.md of ONNX 1.17), opsets 1 to 5 of that domain; where they leave something open, it is as ONNX Runtime has it.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/model/ml.h"
#include "engine/model/op_family.h"

#define LIST(member)                                                                                                                                           \
	const struct gyr_attribute *attribute = gyr_node_attribute(node, name);                                                                                \
	*count = attribute == NULL ? 0 : attribute->member.count;                                                                                              \
	return attribute == NULL ? NULL : attribute->member.items;

const float *gyr_ml_numbers(const struct gyr_node *node, const char *name, uint32_t *count)
{
	LIST(numbers)
}

const int64_t *gyr_ml_integers(const struct gyr_node *node, const char *name, uint32_t *count)
{
	LIST(integers)
}

bool gyr_ml_transform(const char *name, enum gyr_ml_transform *transform)
{
	static const char *const names[] = {[GYR_ML_NONE] = "NONE",
					    [GYR_ML_SOFTMAX] = "SOFTMAX",
					    [GYR_ML_LOGISTIC] = "LOGISTIC",
					    [GYR_ML_SOFTMAX_ZERO] = "SOFTMAX_ZERO",
					    [GYR_ML_PROBIT] = "PROBIT"};
	for (uint32_t i = 0; i < OP_COUNT(names); i++) {
		if (strcmp(names[i], name) == 0) {
			*transform = (enum gyr_ml_transform)i;
			return true;
		}
	}
	return false;
}

int gyr_ml_check_transform(struct gyr_infer *infer, enum gyr_ml_transform *transform)
{
	const char *name = gyr_node_string(infer->node, "post_transform", "NONE");
	return gyr_ml_transform(name, transform) ? 0 : gyr_error_set(infer->error, -EINVAL, "post_transform is none of ONNX's");
}

int gyr_ml_read_table(struct gyr_infer *infer, int64_t *rows, int64_t *features)
{
	const struct gyr_shape *x = infer->inputs[0];
	char text[128];
	if (x->rank != 1 && x->rank != 2)
		return gyr_error_set(infer->error, -EINVAL, "its input is %s (rows of features, or one row)", gyr_shape_text(x, text, sizeof text));
	*rows = x->rank == 1 ? 1 : x->dims[0];
	*features = x->dims[x->rank - 1];
	return 0;
}

enum gyr_rows gyr_ml_rows_table(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return node->inputs[0]->rank < 2 ? GYR_ROWS_MIXED : gyr_rows_first(node, inputs, batch);
}

int gyr_ml_refuse_strings(struct gyr_infer *infer, const char *name)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(infer->node, name);
	if (attribute == NULL || (attribute->type == GYR_ATTRIBUTE_STRINGS && attribute->strings.count == 0))
		return 0;
	return gyr_error_set(infer->error, -EINVAL, "attribute '%s': strings, which Gyr does not take", name);
}

/* That the list NAME has one number, or one for each of FEATURES. */
static int check_list(struct gyr_infer *infer, const char *name, uint32_t count, int64_t features)
{
	if (count == 1 || (count == features && infer->inputs[0]->rank <= 2))
		return 0;
	return gyr_error_set(infer->error, -EINVAL, "attribute '%s' has %" PRIu32 " numbers (1, or %" PRId64 " for rows of as many features)", name, count,
			     features);
}

static int infer_binarizer(struct gyr_infer *infer)
{
	return op_infer_same(infer);
}

static int infer_scaler(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0];
	uint32_t scales, offsets;
	gyr_ml_numbers(infer->node, "scale", &scales);
	gyr_ml_numbers(infer->node, "offset", &offsets);
	if (scales != offsets)
		return gyr_error_set(infer->error, -EINVAL, "%" PRIu32 " scales and %" PRIu32 " offsets", scales, offsets);
	infer->outputs[0] = *x;
	infer->outputs[0].dtype = GYR_DTYPE_F32;
	return check_list(infer, "scale", scales, x->rank == 0 ? 1 : x->dims[x->rank - 1]);
}

static int infer_normalizer(struct gyr_infer *infer)
{
	const char *norm = gyr_node_string(infer->node, "norm", "MAX");
	int64_t rows, features;
	int status = gyr_ml_read_table(infer, &rows, &features);
	if (status != 0)
		return status;
	if (strcmp(norm, "MAX") != 0 && strcmp(norm, "L1") != 0 && strcmp(norm, "L2") != 0)
		return gyr_error_set(infer->error, -EINVAL, "norm is none of MAX, L1 and L2");
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = GYR_DTYPE_F32;
	return 0;
}

static int infer_imputer(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0];
	bool real = x->dtype == GYR_DTYPE_F32 || x->dtype == GYR_DTYPE_F64;
	const char *name = real ? "imputed_value_floats" : "imputed_value_int64s";
	uint32_t numbers, integers;
	gyr_ml_numbers(infer->node, "imputed_value_floats", &numbers);
	const int64_t *items = gyr_ml_integers(infer->node, "imputed_value_int64s", &integers);
	if ((numbers != 0) == (integers != 0) || (numbers != 0) != real)
		return gyr_error_set(infer->error, -EINVAL, "for %s it needs '%s', and that alone", gyr_dtype_name(x->dtype), name);
	if (x->dtype == GYR_DTYPE_I32)
		for (uint32_t i = 0; i < integers; i++)
			if (items[i] < INT32_MIN || items[i] > INT32_MAX)
				return gyr_error_set(infer->error, -EINVAL, "attribute '%s': %" PRId64 " is no i32", name, items[i]);
	infer->outputs[0] = *x;
	return check_list(infer, name, numbers + integers, x->rank == 0 ? 1 : x->dims[x->rank - 1]);
}

static int infer_vectorizer(struct gyr_infer *infer)
{
	uint32_t count;
	const int64_t *dims = gyr_ml_integers(infer->node, "inputdimensions", &count);
	struct gyr_shape *y = &infer->outputs[0];
	if (count != infer->node->input_count)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'inputdimensions' has %" PRIu32 " numbers for %" PRIu32 " inputs", count,
				     infer->node->input_count);
	*y = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2};
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_shape *x = infer->inputs[i];
		char text[128];
		if (x == NULL || x->rank != 2 || x->dims[0] != infer->inputs[0]->dims[0] || x->dims[1] != dims[i])
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is %s (as many rows as the others, of %" PRId64 " features)", i,
					     x == NULL ? "left out" : gyr_shape_text(x, text, sizeof text), dims[i]);
		if (__builtin_add_overflow(y->dims[1], dims[i], &y->dims[1]))
			return gyr_error_set(infer->error, -EINVAL, "the result has too many elements");
	}
	y->dims[0] = infer->inputs[0]->dims[0];
	return 0;
}

/* Every input is made of rows, which stay what they are. */
static enum gyr_rows rows_vectorizer(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	for (uint32_t i = 0; i < node->node->input_count; i++)
		if (inputs[i] != GYR_ROWS_APART)
			return GYR_ROWS_MIXED;
	return GYR_ROWS_APART;
}

static int infer_extractor(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0], *indices = infer->inputs[1];
	int64_t count;
	if (x->rank == 0)
		return gyr_error_set(infer->error, -EINVAL, "its first input has no dimension");
	int status = op_product(infer, indices, 0, indices->rank, &count);
	if (status != 0)
		return status;
	for (int64_t i = 0; i < count && infer->contents[1] != NULL; i++) {
		int64_t index;
		memcpy(&index, (const char *)infer->contents[1] + (size_t)i * sizeof index, sizeof index);
		if (index < 0 || index >= x->dims[x->rank - 1])
			return gyr_error_set(infer->error, -EINVAL, "index %" PRId64 " of %" PRId64 " features", index, x->dims[x->rank - 1]);
	}
	infer->outputs[0] = *x;
	if (x->rank == 1)
		infer->outputs[0] = (struct gyr_shape){.dtype = x->dtype, .rank = 2, .dims = {1}};
	infer->outputs[0].dims[infer->outputs[0].rank - 1] = count;
	return 0;
}

/* What is extracted from each row; or each row's element of something that is the same for all, as of the names of classes. */
static enum gyr_rows rows_extractor(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_shape *indices = node->inputs[1];
	if (inputs[0] == GYR_ROWS_NONE && inputs[1] == GYR_ROWS_APART) {
		struct gyr_rows_place place = {.axis = node->outputs[0].rank - 1, .behind = 1};
		for (uint32_t i = 1; i < indices->rank; i++)
			place.behind *= indices->dims[i];
		return gyr_rows_at(&node->outputs[0], place, batch);
	}
	return node->inputs[0]->rank < 2 || inputs[1] != GYR_ROWS_NONE ? GYR_ROWS_MIXED : inputs[0];
}

/* The rows of coefficients, each of as many as there are features. */
static int read_coefficients(struct gyr_infer *infer, int64_t features, int64_t *lines)
{
	uint32_t coefficients, intercepts;
	gyr_ml_numbers(infer->node, "coefficients", &coefficients);
	gyr_ml_numbers(infer->node, "intercepts", &intercepts);
	if (features == 0 || coefficients == 0 || coefficients % features != 0)
		return gyr_error_set(infer->error, -EINVAL, "%" PRIu32 " coefficients for %" PRId64 " features", coefficients, features);
	*lines = coefficients / features;
	if (intercepts != 0 && intercepts != *lines)
		return gyr_error_set(infer->error, -EINVAL, "%" PRIu32 " intercepts for %" PRId64 " rows of coefficients", intercepts, *lines);
	return 0;
}

static int infer_linear_regressor(struct gyr_infer *infer)
{
	int64_t rows, features, lines, targets = gyr_node_integer(infer->node, "targets", 1);
	enum gyr_ml_transform transform;
	int status = gyr_ml_read_table(infer, &rows, &features);
	if (status == 0)
		status = read_coefficients(infer, features, &lines);
	if (status == 0)
		status = gyr_ml_check_transform(infer, &transform);
	if (status != 0)
		return status;
	if (lines != targets)
		return gyr_error_set(infer->error, -EINVAL, "%" PRId64 " rows of coefficients for %" PRId64 " targets", lines, targets);
	if (lines == 1 && transform != GYR_ML_NONE && transform != GYR_ML_PROBIT)
		return gyr_error_set(infer->error, -EINVAL, "a post_transform over classes, and there is one target");
	infer->outputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {rows, targets}};
	return 0;
}

/* One row of coefficients stands for the second of two classes. */
static int infer_linear_classifier(struct gyr_infer *infer)
{
	int64_t rows, features, lines;
	uint32_t labels;
	enum gyr_ml_transform transform;
	gyr_ml_integers(infer->node, "classlabels_ints", &labels);
	int status = gyr_ml_refuse_strings(infer, "classlabels_strings");
	if (status == 0)
		status = gyr_ml_read_table(infer, &rows, &features);
	if (status == 0)
		status = read_coefficients(infer, features, &lines);
	if (status == 0)
		status = gyr_ml_check_transform(infer, &transform);
	if (status != 0)
		return status;
	if (labels != (lines == 1 ? 2 : lines))
		return gyr_error_set(infer->error, -EINVAL, "%" PRIu32 " labels for %" PRId64 " rows of coefficients", labels, lines);
	if (lines == 1 && transform != GYR_ML_NONE)
		return gyr_error_set(infer->error, -EINVAL, "a post_transform, and one row of coefficients for two classes");
	infer->outputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_I64, .rank = 1, .dims = {rows}};
	if (infer->node->output_count > 1)
		infer->outputs[1] = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {rows, labels}};
	return 0;
}

/* The one attribute of NODE among NAMES (as "keys_*") that is given, or NULL. *MANY: there are several. */
static const struct gyr_attribute *only_one(const struct gyr_node *node, const char *const names[3], bool *many)
{
	const struct gyr_attribute *found = NULL;
	*many = false;
	for (uint32_t i = 0; i < 3; i++) {
		const struct gyr_attribute *attribute = gyr_node_attribute(node, names[i]);
		*many |= attribute != NULL && found != NULL;
		found = attribute != NULL ? attribute : found;
	}
	return found;
}

static bool read_list(const struct gyr_attribute *attribute, struct gyr_ml_list *list)
{
	switch (attribute->type) {
	case GYR_ATTRIBUTE_FLOATS: *list = (struct gyr_ml_list){GYR_DTYPE_F32, attribute->numbers.count, attribute->numbers.items}; return true;
	case GYR_ATTRIBUTE_INTS: *list = (struct gyr_ml_list){GYR_DTYPE_I64, attribute->integers.count, attribute->integers.items}; return true;
	case GYR_ATTRIBUTE_TENSOR:
		*list = (struct gyr_ml_list){attribute->tensor.shape.dtype, (size_t)attribute->tensor.shape.dims[0], attribute->tensor.data};
		return attribute->tensor.shape.rank == 1;
	default: return false;
	}
}

bool gyr_ml_label_lists(const struct gyr_node *node, struct gyr_ml_list *keys, struct gyr_ml_list *values)
{
	static const char *const key_names[3] = {"keys_floats", "keys_int64s", "keys_tensor"};
	static const char *const value_names[3] = {"values_floats", "values_int64s", "values_tensor"};
	bool many_keys, many_values;
	const struct gyr_attribute *key = only_one(node, key_names, &many_keys), *value = only_one(node, value_names, &many_values);
	return key != NULL && value != NULL && !many_keys && !many_values && read_list(key, keys) && read_list(value, values) && keys->count == values->count;
}

/* That what is not found has a value of the right type: default_tensor, or for floats and int64s the attribute of that type, which has a default of its own. */
static int check_default(struct gyr_infer *infer, const struct gyr_ml_list *values)
{
	const struct gyr_attribute *tensor = gyr_node_attribute(infer->node, "default_tensor");
	if (tensor == NULL && (values->dtype == GYR_DTYPE_F32 || values->dtype == GYR_DTYPE_I64))
		return 0;
	size_t count;
	if (tensor == NULL || tensor->tensor.shape.dtype != values->dtype || !gyr_shape_count(&tensor->tensor.shape, 1, &count) || count != 1)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'default_tensor' must be one %s", gyr_dtype_name(values->dtype));
	return 0;
}

static int infer_label_encoder(struct gyr_infer *infer)
{
	static const char *const strings[] = {"classes_strings", "keys_strings", "values_strings"};
	struct gyr_ml_list keys, values;
	int status = 0;
	for (uint32_t i = 0; i < OP_COUNT(strings) && status == 0; i++)
		status = gyr_ml_refuse_strings(infer, strings[i]);
	if (status != 0)
		return status;
	if (!gyr_ml_label_lists(infer->node, &keys, &values))
		return gyr_error_set(infer->error, -EINVAL, "it needs one list of keys and one of as many values, of numbers");
	if (keys.dtype != infer->inputs[0]->dtype)
		return gyr_error_set(infer->error, -EINVAL, "keys of %s, and an input of %s", gyr_dtype_name(keys.dtype),
				     gyr_dtype_name(infer->inputs[0]->dtype));
	if (!gyr_op_type_has(gyr_op_at(GYR_OP_LABEL_ENCODER, infer->opset), 'T', infer->opset, values.dtype))
		return gyr_error_set(infer->error, -EINVAL, "values of %s", gyr_dtype_name(values.dtype));
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = values.dtype;
	return check_default(infer, &values);
}

static const struct gyr_op_attribute binarizer_attributes[] = {{"threshold", GYR_ATTRIBUTE_FLOAT, 1, false}};
static const struct gyr_op_attribute imputer_attributes[] = {{"imputed_value_floats", GYR_ATTRIBUTE_FLOATS, 1, false},
							     {"imputed_value_int64s", GYR_ATTRIBUTE_INTS, 1, false},
							     {"replaced_value_float", GYR_ATTRIBUTE_FLOAT, 1, false, .any_number = true},
							     {"replaced_value_int64", GYR_ATTRIBUTE_INT, 1, false}};
static const struct gyr_op_attribute label_1_attributes[] = {{"classes_strings", GYR_ATTRIBUTE_STRINGS, 1, false},
							     {"default_int64", GYR_ATTRIBUTE_INT, 1, false},
							     {"default_string", GYR_ATTRIBUTE_STRING, 1, false}};
static const struct gyr_op_attribute label_attributes[] = {{"default_float", GYR_ATTRIBUTE_FLOAT, 2, false, .any_number = true},
							   {"default_int64", GYR_ATTRIBUTE_INT, 2, false},
							   {"default_string", GYR_ATTRIBUTE_STRING, 2, false},
							   {"default_tensor", GYR_ATTRIBUTE_TENSOR, 4, false},
							   {"keys_floats", GYR_ATTRIBUTE_FLOATS, 2, false},
							   {"keys_int64s", GYR_ATTRIBUTE_INTS, 2, false},
							   {"keys_strings", GYR_ATTRIBUTE_STRINGS, 2, false},
							   {"keys_tensor", GYR_ATTRIBUTE_TENSOR, 4, false},
							   {"values_floats", GYR_ATTRIBUTE_FLOATS, 2, false},
							   {"values_int64s", GYR_ATTRIBUTE_INTS, 2, false},
							   {"values_strings", GYR_ATTRIBUTE_STRINGS, 2, false},
							   {"values_tensor", GYR_ATTRIBUTE_TENSOR, 4, false}};
static const struct gyr_op_attribute classifier_attributes[] = {
	{"classlabels_ints", GYR_ATTRIBUTE_INTS, 1, false}, {"classlabels_strings", GYR_ATTRIBUTE_STRINGS, 1, false},
	{"coefficients", GYR_ATTRIBUTE_FLOATS, 1, true},    {"intercepts", GYR_ATTRIBUTE_FLOATS, 1, false},
	{"multi_class", GYR_ATTRIBUTE_INT, 1, false},       {"post_transform", GYR_ATTRIBUTE_STRING, 1, false}};
static const struct gyr_op_attribute regressor_attributes[] = {{"coefficients", GYR_ATTRIBUTE_FLOATS, 1, false},
							       {"intercepts", GYR_ATTRIBUTE_FLOATS, 1, false},
							       {"post_transform", GYR_ATTRIBUTE_STRING, 1, false},
							       {"targets", GYR_ATTRIBUTE_INT, 1, false}};
static const struct gyr_op_attribute normalizer_attributes[] = {{"norm", GYR_ATTRIBUTE_STRING, 1, false}};
static const struct gyr_op_attribute scaler_attributes[] = {{"offset", GYR_ATTRIBUTE_FLOATS, 1, false}, {"scale", GYR_ATTRIBUTE_FLOATS, 1, false}};
static const struct gyr_op_attribute vectorizer_attributes[] = {{"inputdimensions", GYR_ATTRIBUTE_INTS, 1, false}};

static const struct gyr_op_type number_types[] = {{'T', 1, GYR_ML_NUMBERS}, {'I', 1, OP_BIT(I64)}, {'F', 1, OP_BIT(F32)}};
static const struct gyr_op_type label_types[] = {{'T', 1, OP_BIT(I64)}, {'T', 2, OP_BIT(F32)}, {'T', 4, OP_BIT(I32) | OP_BIT(I16) | OP_BIT(F64)}};

#define ML(op_, name_, infer_, rows_)                                                                                                                          \
	.op = GYR_OP_##op_, .name = name_, .domain = GYR_DOMAIN_ML, .infer = infer_, .rows = rows_, OP_OPSETS(GYR_OPSET_ML_MIN, GYR_OPSET_ML_MAX)
#define ML_ONE_INPUT(output) OP_INPUTS(1, 1, "T"), OP_OUTPUTS(1, output), OP_TYPES(number_types)
#define LABEL_ENCODER                                                                                                                                          \
	.op = GYR_OP_LABEL_ENCODER, .name = "LabelEncoder", .domain = GYR_DOMAIN_ML, .infer = infer_label_encoder, .rows = gyr_rows_first,                     \
	OP_INPUTS(1, 1, "T"), OP_OUTPUTS(1, "U"), OP_TYPES(label_types)

static const struct gyr_op_info rows[] = {
	{ML(ARRAY_FEATURE_EXTRACTOR, "ArrayFeatureExtractor", infer_extractor, rows_extractor), OP_INPUTS(2, 2, "TI"), OP_OUTPUTS(1, "T"),
	 OP_TYPES(number_types)},
	{ML(BINARIZER, "Binarizer", infer_binarizer, gyr_rows_first), ML_ONE_INPUT("T"), OP_ATTRIBUTES(binarizer_attributes)},
	{ML(FEATURE_VECTORIZER, "FeatureVectorizer", infer_vectorizer, rows_vectorizer), OP_INPUTS(1, GYR_OP_VARIADIC, "T"), OP_OUTPUTS(1, "F"),
	 OP_TYPES(number_types), OP_ATTRIBUTES(vectorizer_attributes)},
	{ML(IMPUTER, "Imputer", infer_imputer, gyr_ml_rows_table), ML_ONE_INPUT("T"), OP_ATTRIBUTES(imputer_attributes)},
	{LABEL_ENCODER, OP_OPSETS(1, 1), OP_ATTRIBUTES(label_1_attributes)},
	{LABEL_ENCODER, OP_OPSETS(2, GYR_OPSET_ML_MAX), OP_ATTRIBUTES(label_attributes)},
	{ML(LINEAR_CLASSIFIER, "LinearClassifier", infer_linear_classifier, gyr_ml_rows_table), OP_INPUTS(1, 1, "T"), OP_OUTPUTS(2, "IF"),
	 OP_TYPES(number_types), OP_ATTRIBUTES(classifier_attributes)},
	{ML(LINEAR_REGRESSOR, "LinearRegressor", infer_linear_regressor, gyr_ml_rows_table), ML_ONE_INPUT("F"), OP_ATTRIBUTES(regressor_attributes)},
	{ML(NORMALIZER, "Normalizer", infer_normalizer, gyr_ml_rows_table), ML_ONE_INPUT("F"), OP_ATTRIBUTES(normalizer_attributes)},
	{ML(SCALER, "Scaler", infer_scaler, gyr_ml_rows_table), ML_ONE_INPUT("F"), OP_ATTRIBUTES(scaler_attributes)},
};

const struct op_family op_family_ml = {rows, OP_COUNT(rows)};
