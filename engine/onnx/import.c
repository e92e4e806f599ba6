/*
 * ModelProto to graph.
 *
 * The file is scanned (scan.c), then unpacked by protobuf-c into an arena whose size is bounded by the file's, then turned into a graph: the inputs first, then
 * the nodes, and a constant when the first node asks for it, so that initialisers nobody uses are left behind. The graph checks all that has to do with graphs.
 * What the file declares about results is compared with what was inferred at the end.
 *
 * A body is a scope: a name that it does not make itself is one of the scope around it, and becomes a capture (graph.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx_internal.h"

#define IR_MIN 3
#define IR_MAX 10
#define ATTRIBUTES_MAX 64u /* of one node: more than any operator has */

/*
 * Unpacked messages take more room than their bytes: a node of 50 bytes takes about 400, small integers up to eight times theirs, and while a list of them is
 * unpacked each takes 80 bytes besides, which are given back.
 */
#define UNPACKED_BYTES_MAX(size) (48 * (size) + ((size_t)1 << 20))
#define LARGE_BYTES ((size_t)64 << 10) /* blocks from here on can be given back */

/* Something that has its value in the file: an initialiser, or the one attribute of a Constant node. */
struct constant {
	const char *name;
	const Onnx__TensorProto *tensor;
	const Onnx__AttributeProto *attribute; /* in place of the tensor: a number or numbers */
};

/* A graph that is being made, the model's or a body. */
struct scope {
	struct scope *outer; /* of a body: what is around it, else NULL */
	struct gyr_graph *graph;
	struct constant *constants; /* by name */
	size_t constant_count;
	const char **names; /* of a body: what its inputs and its nodes make, by name */
	size_t name_count;
	uint32_t captures[GYR_NODE_ENDS_MAX]; /* of a body: the values of the graph around it that it captures, as many as its graph says */
};

struct importer {
	struct gyr_arena arena; /* the unpacked file, but for large blocks */
	size_t large_bytes, limit_bytes;
	bool full;               /* the unpacked file does not fit */
	int64_t opset, opset_ml; /* of the default domain and of "ai.onnx.ml", as imported; 0: not imported */
	const struct gyr_onnx_fixed *fixed;
	struct onnx_fixed_use fixed_use;
	struct gyr_error *error;
};

static int no_memory(struct importer *importer)
{
	return gyr_error_set(importer->error, -ENOMEM, "no memory for the model");
}

/* In front of each block that protobuf-c has. */
struct block {
	_Alignas(16) size_t large_bytes; /* of a large one, else 0 */
};

static void *allocate(void *user, size_t size)
{
	struct importer *importer = user;
	struct block *block = NULL;
	size_t used = importer->large_bytes + importer->arena.used_bytes;
	bool large = size >= LARGE_BYTES;
	if (size < importer->limit_bytes && used + sizeof *block <= importer->limit_bytes - size)
		block = large ? malloc(sizeof *block + size) : gyr_arena_alloc(&importer->arena, sizeof *block + size, _Alignof(struct block));
	importer->full |= block == NULL;
	if (block == NULL)
		return NULL;
	block->large_bytes = large ? size : 0;
	importer->large_bytes += block->large_bytes;
	return block + 1;
}

/* The arena frees small blocks all at once. */
static void release(void *user, void *bytes)
{
	struct importer *importer = user;
	struct block *block = (struct block *)bytes - 1;
	if (bytes == NULL || block->large_bytes == 0)
		return;
	importer->large_bytes -= block->large_bytes;
	free(block);
}

static bool default_domain(const char *domain)
{
	return domain == NULL || domain[0] == 0 || strcmp(domain, "ai.onnx") == 0;
}

static bool ml_domain(const char *domain)
{
	return domain != NULL && strcmp(domain, GYR_DOMAIN_ML) == 0;
}

/* The opsets that MODEL imports. A model without the default domain may be made of other operators; those that Gyr does not run fail where they are used. */
static int read_opsets(struct importer *importer, const Onnx__ModelProto *model)
{
	struct gyr_error *error = importer->error;
	for (size_t i = 0; i < model->n_opset_import; i++) {
		const char *domain = model->opset_import[i]->domain;
		int64_t version = model->opset_import[i]->version;
		if (!default_domain(domain) && !ml_domain(domain))
			continue;
		int64_t *opset = ml_domain(domain) ? &importer->opset_ml : &importer->opset;
		if (*opset != 0 && *opset != version)
			return gyr_error_set(error, -EINVAL, "two opset_import of %s", ml_domain(domain) ? GYR_DOMAIN_ML : "the default domain");
		if (version < 1)
			return gyr_error_set(error, -EINVAL, "opset %" PRId64 " is none", version);
		*opset = version;
	}
	if (importer->opset != 0 && (importer->opset < GYR_OPSET_MIN || importer->opset > GYR_OPSET_MAX))
		return gyr_error_set(error, -ENOTSUP, "opset %" PRId64 " (%u to %u)", importer->opset, GYR_OPSET_MIN, GYR_OPSET_MAX);
	return importer->opset != 0 || importer->opset_ml != 0 ? 0 : gyr_error_set(error, -EINVAL, "no opset_import of the default domain");
}

/* Versions, and what Gyr has nothing for. */
static int check_model(struct importer *importer, const Onnx__ModelProto *model)
{
	struct gyr_error *error = importer->error;
	if (!model->has_ir_version || model->graph == NULL)
		return gyr_error_set(error, -EBADMSG, "not an ONNX model: it has no %s", model->has_ir_version ? "graph" : "ir_version");
	if (model->ir_version < IR_MIN || model->ir_version > IR_MAX)
		return gyr_error_set(error, -ENOTSUP, "ir_version %" PRId64 " (%d to %d)", model->ir_version, IR_MIN, IR_MAX);
	int status = read_opsets(importer, model);
	if (status != 0)
		return status;
	if (model->n_functions != 0)
		return gyr_error_set(error, -ENOTSUP, "the model defines functions of its own (inline them first)");
	return 0;
}

/* Puts which node it is before the message. */
static int at_node(struct importer *importer, const Onnx__NodeProto *node, int status)
{
	char name[SHOWN_MAX], domain[SHOWN_MAX], op[SHOWN_MAX];
	const char *before = node->name != NULL && node->name[0] != 0 ? "node" : "the node that makes";
	const char *called = node->name != NULL && node->name[0] != 0 ? node->name : node->n_output != 0 ? node->output[0] : "";
	onnx_shown(default_domain(node->domain) ? "" : node->domain, domain);
	return gyr_error_prefix(importer->error, status, "%s '%s' (%s%s%s, opset %" PRId64 ")", before, onnx_shown(called, name), domain,
				domain[0] != 0 ? "." : "", onnx_shown(node->op_type, op), ml_domain(node->domain) ? importer->opset_ml : importer->opset);
}

/* Whether a node is a Constant, and if so what it holds. */
static int read_constant_node(struct importer *importer, const Onnx__NodeProto *node, struct constant *constant)
{
	struct gyr_error *error = importer->error;
	if (node->n_attribute != 1 || node->attribute[0]->name == NULL || node->n_output != 1 || node->n_input != 0)
		return gyr_error_set(error, -EINVAL, "a constant has no input, one attribute and one output");
	const Onnx__AttributeProto *attribute = node->attribute[0];
	*constant = (struct constant){.name = node->output[0], .attribute = attribute};
	if (strcmp(attribute->name, "value") == 0 && attribute->t != NULL) {
		constant->tensor = attribute->t;
		return 0;
	}
	bool number = strcmp(attribute->name, "value_float") == 0 || strcmp(attribute->name, "value_int") == 0;
	bool numbers = strcmp(attribute->name, "value_floats") == 0 || strcmp(attribute->name, "value_ints") == 0;
	char name[SHOWN_MAX];
	return number || numbers ? 0 : gyr_error_set(error, -ENOTSUP, "a constant given as '%s'", onnx_shown(attribute->name, name));
}

static bool is_constant_node(const Onnx__NodeProto *node)
{
	return node->op_type != NULL && default_domain(node->domain) && strcmp(node->op_type, "Constant") == 0;
}

static int compare_constants(const void *a, const void *b)
{
	return strcmp(((const struct constant *)a)->name, ((const struct constant *)b)->name);
}

/* Lists initialisers and Constant nodes by name. */
static int collect_constants(struct importer *importer, struct scope *scope, const Onnx__GraphProto *graph)
{
	char name[SHOWN_MAX];
	size_t count = 0;
	struct constant *constants = calloc(graph->n_initializer + graph->n_node + 1, sizeof *constants);
	if (constants == NULL)
		return no_memory(importer);
	scope->constants = constants;
	if (graph->n_sparse_initializer != 0)
		return gyr_error_set(importer->error, -ENOTSUP, "sparse initialisers");
	for (size_t i = 0; i < graph->n_initializer; i++) {
		const Onnx__TensorProto *tensor = graph->initializer[i];
		if (tensor->name == NULL || tensor->name[0] == 0)
			return gyr_error_set(importer->error, -EINVAL, "initialiser %zu has no name", i);
		constants[count++] = (struct constant){.name = tensor->name, .tensor = tensor};
	}
	for (size_t i = 0; i < graph->n_node; i++) {
		if (!is_constant_node(graph->node[i]))
			continue;
		int status = read_constant_node(importer, graph->node[i], &constants[count++]);
		if (status != 0)
			return at_node(importer, graph->node[i], status);
	}
	qsort(constants, count, sizeof *constants, compare_constants);
	for (size_t i = 1; i < count; i++)
		if (compare_constants(&constants[i - 1], &constants[i]) == 0)
			return gyr_error_set(importer->error, -EINVAL, "constant '%s' is there twice", onnx_shown(constants[i].name, name));
	scope->constant_count = count;
	return 0;
}

static const struct constant *find_constant(const struct scope *scope, const char *name)
{
	const struct constant key = {.name = name};
	return bsearch(&key, scope->constants, scope->constant_count, sizeof key, compare_constants);
}

/* The shape and the elements of a constant that is given as an attribute of numbers. */
static int attribute_constant(const Onnx__AttributeProto *attribute, struct gyr_shape *shape, const void **elements, struct gyr_error *error)
{
	switch (attribute->type) {
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32};
		*elements = &attribute->f;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_I64};
		*elements = &attribute->i;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {(int64_t)attribute->n_floats}};
		*elements = attribute->floats;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_I64, .rank = 1, .dims = {(int64_t)attribute->n_ints}};
		*elements = attribute->ints;
		return 0;
	default: return gyr_error_set(error, -EINVAL, "its attribute has the wrong type");
	}
}

/* Puts CONSTANT into the graph, its elements into the graph's own memory. */
static int add_constant(struct importer *importer, struct gyr_graph *graph, const struct constant *constant, uint32_t *index)
{
	struct gyr_shape shape;
	const void *numbers = NULL;
	void *elements;
	size_t bytes;
	int status = constant->tensor != NULL ? onnx_tensor_shape(constant->tensor, &shape, &bytes, importer->error)
					      : attribute_constant(constant->attribute, &shape, &numbers, importer->error);
	if (status != 0)
		return status;
	if (constant->tensor == NULL && !gyr_shape_bytes(&shape, 1, &bytes))
		return gyr_error_set(importer->error, -EINVAL, "its shape has too many elements");
	elements = gyr_arena_alloc(&graph->arena, bytes, 64);
	if (elements == NULL)
		return no_memory(importer);
	if (constant->tensor != NULL)
		status = onnx_tensor_elements(constant->tensor, elements, importer->error);
	else if (bytes != 0)
		memcpy(elements, numbers, bytes);
	return status == 0 ? gyr_graph_add_value(graph, constant->name, &shape, elements, false, index, importer->error) : status;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The value called NAME in SCOPE; a constant, a result that some node will make or a capture is added when it is not there. */
static int value_of(struct importer *importer, struct scope *scope, const char *name, uint32_t *index)
{
	char text[SHOWN_MAX];
	*index = gyr_graph_find(scope->graph, name);
	if (*index != GYR_VALUE_NONE)
		return 0;
	const struct constant *constant = find_constant(scope, name);
	if (constant != NULL) {
		int status = add_constant(importer, scope->graph, constant, index);
		return status == 0 ? 0 : gyr_error_prefix(importer->error, status, "constant '%s'", onnx_shown(name, text));
	}
	int status = gyr_graph_add_value(scope->graph, name, NULL, NULL, false, index, importer->error);
	if (status != 0 || scope->outer == NULL || bsearch(&name, scope->names, scope->name_count, sizeof name, compare_names) != NULL)
		return status;
	uint32_t outer, at = scope->graph->capture_count;
	status = value_of(importer, scope->outer, name, &outer);
	if (status == 0)
		status = gyr_graph_add_capture(scope->graph, *index, importer->error);
	if (status == 0)
		scope->captures[at] = outer;
	return status;
}

/* What VALUE declares, or NULL when it declares no tensor type. */
static const Onnx__TypeProto__Tensor *tensor_type(const Onnx__ValueInfoProto *value)
{
	return value->type != NULL && value->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? value->type->tensor_type : NULL;
}

/* Dimension I of an input called INPUT, which its file gives no number: what was given for it, or, for the first, the batch; *BATCH is its name. */
static int open_dim(struct importer *importer, const char *input, uint32_t i, const char *symbol, int64_t *dim, const char **batch)
{
	char name[SHOWN_MAX], shown_input[SHOWN_MAX];
	if (symbol != NULL && onnx_fixed_dim(importer->fixed, symbol, dim, &importer->fixed_use))
		return 0;
	if (i != 0 && symbol == NULL)
		return gyr_error_set(importer->error, -ENOTSUP,
				     "dimension %" PRIu32 " is not fixed (only the first may be the batch; --shape %s=SIZE,... gives it a size)", i,
				     onnx_shown(input, shown_input));
	if (i != 0)
		return gyr_error_set(importer->error, -ENOTSUP,
				     "dimension %" PRIu32
				     " '%s' is not fixed (only the first may be the batch; --dim NAME=SIZE, or --shape %s=SIZE,... gives it a size)",
				     i, onnx_shown(symbol, name), onnx_shown(input, shown_input));
	if (symbol != NULL)
		*batch = symbol;
	*dim = GYR_DIM_BATCH;
	return 0;
}

/* Whether DIM (or NULL) is a number. One below 0, which some exporters write, leaves it open. */
static bool has_size(const Onnx__TensorShapeProto__Dimension *dim)
{
	return dim != NULL && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0;
}

/* The shape of an input. A first dimension that is not a number is the batch; *BATCH is its name, NULL without one. */
static int input_shape(struct importer *importer, const Onnx__ValueInfoProto *input, struct gyr_shape *shape, const char **batch)
{
	const Onnx__TypeProto__Tensor *type = tensor_type(input);
	struct gyr_error *error = importer->error;
	char name[SHOWN_MAX];
	if (type == NULL)
		return gyr_error_set(error, -ENOTSUP, "it is no tensor");
	if (gyr_dtype_bytes((enum gyr_dtype)type->elem_type) == 0)
		return gyr_error_set(error, -ENOTSUP, "element type %" PRId32, type->elem_type);
	const struct gyr_onnx_fixed_shape *given = onnx_fixed_shape(importer->fixed, input->name, &importer->fixed_use);
	if (type->shape == NULL && given == NULL)
		return gyr_error_set(error, -ENOTSUP, "it has no shape (--shape %s=SIZE,... gives it one)", onnx_shown(input->name, name));
	if (type->shape != NULL && type->shape->n_dim > GYR_RANK_MAX)
		return gyr_error_set(error, -ENOTSUP, "rank %zu (at most %d)", type->shape->n_dim, GYR_RANK_MAX);
	if (type->shape != NULL && given != NULL && type->shape->n_dim != given->rank)
		return gyr_error_set(error, -EINVAL, "it was given %" PRIu32 " dimensions, and has %zu", given->rank, type->shape->n_dim);
	*shape = (struct gyr_shape){.dtype = (enum gyr_dtype)type->elem_type, .rank = type->shape != NULL ? (uint32_t)type->shape->n_dim : given->rank};
	for (uint32_t i = 0; i < shape->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *dim = type->shape != NULL ? type->shape->dim[i] : NULL;
		bool known = has_size(dim);
		bool named = dim != NULL && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param[0] != 0;
		if (known && given != NULL && given->dims[i] != dim->dim_value)
			return gyr_error_set(error, -EINVAL, "dimension %" PRIu32 " was given another size than the file's %" PRId64, i, dim->dim_value);
		shape->dims[i] = known ? dim->dim_value : given != NULL ? given->dims[i] : 0;
		if (!known && (given == NULL || given->dims[i] == GYR_DIM_BATCH)) {
			int status = open_dim(importer, input->name, i, named ? dim->dim_param : NULL, &shape->dims[i], batch);
			if (status != 0)
				return status;
		}
	}
	return 0;
}

/* The graph's inputs. One that is an initialiser too has its value there (as before IR 4 all had), and is none. */
static int add_inputs(struct importer *importer, struct scope *scope, const Onnx__GraphProto *graph)
{
	char name[SHOWN_MAX], first_batch[SHOWN_MAX], this_batch[SHOWN_MAX];
	const char *batch = NULL;
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__ValueInfoProto *input = graph->input[i];
		const char *own_batch = NULL;
		struct gyr_shape shape;
		uint32_t index;
		void *value = NULL;
		if (input->name == NULL)
			return gyr_error_set(importer->error, -EINVAL, "input %zu has no name", i);
		if (find_constant(scope, input->name) != NULL)
			continue;
		int status = input_shape(importer, input, &shape, &own_batch);
		if (status == 0 && own_batch != NULL && batch != NULL && strcmp(own_batch, batch) != 0)
			status = gyr_error_set(importer->error, -ENOTSUP, "its first dimension is '%s', and another input's is '%s' (one batch for all)",
					       onnx_shown(own_batch, this_batch), onnx_shown(batch, first_batch));
		if (own_batch != NULL)
			batch = own_batch;
		if (status == 0)
			status = onnx_fixed_value(importer->fixed, input->name, &shape, &importer->fixed_use, &value, importer->error);
		if (status == 0)
			status = gyr_graph_add_value(scope->graph, input->name, &shape, value, true, &index, importer->error);
		if (status == 0 && value == NULL)
			status = gyr_graph_add_input(scope->graph, index, importer->error);
		free(value);
		if (status != 0)
			return gyr_error_prefix(importer->error, status, "input '%s'", onnx_shown(input->name, name));
	}
	return onnx_fixed_used(importer->fixed, &importer->fixed_use, importer->error);
}

static int convert_strings(struct importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to)
{
	const char **items = GYR_ARENA_NEW(&importer->arena, const char *, from->n_strings);
	for (size_t i = 0; items != NULL && i < from->n_strings; i++) {
		items[i] = gyr_arena_string(&importer->arena, (const char *)from->strings[i].data, from->strings[i].len);
		if (items[i] == NULL)
			return no_memory(importer);
	}
	to->type = GYR_ATTRIBUTE_STRINGS;
	to->strings.count = (uint32_t)from->n_strings;
	to->strings.items = items;
	return items != NULL ? 0 : no_memory(importer);
}

static int convert_tensor(struct importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to)
{
	size_t bytes;
	char name[SHOWN_MAX];
	if (from->t == NULL)
		return gyr_error_set(importer->error, -EINVAL, "attribute '%s' holds no tensor", onnx_shown(from->name, name));
	int status = onnx_tensor_shape(from->t, &to->tensor.shape, &bytes, importer->error);
	void *elements = status == 0 ? gyr_arena_alloc(&importer->arena, bytes, 64) : NULL;
	if (status == 0)
		status = elements == NULL ? no_memory(importer) : onnx_tensor_elements(from->t, elements, importer->error);
	to->type = GYR_ATTRIBUTE_TENSOR;
	to->tensor.data = elements;
	return status == 0 ? 0 : gyr_error_prefix(importer->error, status, "attribute '%s'", onnx_shown(from->name, name));
}

static int convert_attribute(struct importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to)
{
	char name[SHOWN_MAX];
	if (from->name == NULL)
		return gyr_error_set(importer->error, -EINVAL, "an attribute has no name");
	if (from->ref_attr_name != NULL && from->ref_attr_name[0] != 0)
		return gyr_error_set(importer->error, -ENOTSUP, "attribute '%s' refers to a function's", onnx_shown(from->name, name));
	*to = (struct gyr_attribute){.name = from->name};
	switch (from->type) {
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
		to->type = GYR_ATTRIBUTE_INT;
		to->integer = from->i;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
		to->type = GYR_ATTRIBUTE_FLOAT;
		to->number = from->f;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
		to->type = GYR_ATTRIBUTE_STRING;
		to->string = gyr_arena_string(&importer->arena, (const char *)from->s.data, from->s.len);
		return to->string != NULL ? 0 : no_memory(importer);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
		to->type = GYR_ATTRIBUTE_INTS;
		to->integers.count = (uint32_t)from->n_ints;
		to->integers.items = from->ints;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
		to->type = GYR_ATTRIBUTE_FLOATS;
		to->numbers.count = (uint32_t)from->n_floats;
		to->numbers.items = from->floats;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS: return convert_strings(importer, from, to);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR: return convert_tensor(importer, from, to);
	default: return gyr_error_set(importer->error, -ENOTSUP, "attribute '%s' is of type %d", onnx_shown(from->name, name), (int)from->type);
	}
}

/* A node as the graph takes it, in the caller's room. */
struct converted {
	struct gyr_node node;
	struct gyr_attribute attributes[ATTRIBUTES_MAX];
	uint32_t inputs[GYR_NODE_ENDS_MAX], outputs[GYR_NODE_ENDS_MAX];
};

/* A value that nobody reads, in place of a first output that is left out. */
static int add_unread(struct importer *importer, struct gyr_graph *graph, uint32_t *index)
{
	int status = -EEXIST;
	for (uint32_t i = graph->value_count; status == -EEXIST; i++) {
		char name[32];
		snprintf(name, sizeof name, "unread/%" PRIu32, i);
		status = gyr_graph_add_value(graph, name, NULL, NULL, false, index, importer->error);
	}
	return status;
}

/* The operator of a node, whose domain the model must import. */
static int find_operator(struct importer *importer, struct scope *scope, const Onnx__NodeProto *node, enum gyr_op *op)
{
	bool ml = ml_domain(node->domain);
	*op = GYR_OP_NONE;
	if (node->op_type != NULL && (ml || default_domain(node->domain)))
		*op = gyr_op_find(ml ? GYR_DOMAIN_ML : NULL, node->op_type);
	if (*op == GYR_OP_NONE)
		return gyr_error_set(importer->error, -ENOTSUP, "Gyr does not run this operator");
	if ((ml ? importer->opset_ml : importer->opset) == 0)
		return gyr_error_set(importer->error, -EINVAL, "no opset_import of its domain");
	if (!ml)
		return 0;
	if (importer->opset_ml > GYR_OPSET_ML_MAX)
		return gyr_error_set(importer->error, -ENOTSUP, "Gyr runs opset %u to %u of its domain", GYR_OPSET_ML_MIN, GYR_OPSET_ML_MAX);
	for (; scope != NULL; scope = scope->outer)
		scope->graph->opset_ml = (uint32_t)importer->opset_ml;
	return 0;
}

static int import_body(struct importer *importer, struct scope *scope, const Onnx__GraphProto *from, struct gyr_graph *body, struct converted *to);

/* An attribute that is a body of the graph of SCOPE; what it captures goes to the inputs of TO. */
static int convert_body(struct importer *importer, struct scope *scope, const Onnx__AttributeProto *from, struct converted *to, struct gyr_attribute *attribute)
{
	char name[SHOWN_MAX];
	if (from->g == NULL || from->name == NULL)
		return gyr_error_set(importer->error, -EINVAL, "attribute '%s' holds no graph", onnx_shown(from->name, name));
	*attribute = (struct gyr_attribute){.name = from->name, .type = GYR_ATTRIBUTE_GRAPH};
	int status = gyr_graph_add_body(scope->graph, from->g->name != NULL ? from->g->name : "", &attribute->graph, importer->error);
	if (status == 0)
		status = import_body(importer, scope, from->g, attribute->graph, to);
	return status == 0 ? 0 : gyr_error_prefix(importer->error, status, "%s", onnx_shown(from->name, name));
}

/* How many inputs OP has at least, even where they are left out. */
static uint32_t least_inputs(const struct gyr_graph *graph, enum gyr_op op)
{
	const struct gyr_op_info *row = gyr_op_at(op, gyr_graph_opset(graph, op));
	return row != NULL ? row->input_min : 0;
}

static int convert_node(struct importer *importer, struct scope *scope, const Onnx__NodeProto *from, struct converted *to)
{
	enum gyr_op op;
	int status = find_operator(importer, scope, from, &op);
	if (status != 0)
		return status;
	if (from->n_input > GYR_NODE_ENDS_MAX || from->n_output > GYR_NODE_ENDS_MAX || from->n_attribute > ATTRIBUTES_MAX)
		return gyr_error_set(importer->error, -EINVAL, "more than %u inputs or outputs, or than %u attributes", GYR_NODE_ENDS_MAX, ATTRIBUTES_MAX);
	for (size_t i = 0; i < from->n_input && status == 0; i++) {
		to->inputs[i] = GYR_VALUE_NONE;
		if (from->input[i][0] != 0)
			status = value_of(importer, scope, from->input[i], &to->inputs[i]);
	}
	for (size_t i = 0; i < from->n_output && status == 0; i++) {
		to->outputs[i] = GYR_VALUE_NONE;
		if (from->output[i][0] != 0)
			status = value_of(importer, scope, from->output[i], &to->outputs[i]);
		else if (i == 0)
			status = add_unread(importer, scope->graph, &to->outputs[i]);
	}
	to->node = (struct gyr_node){
		.op = op,
		.name = from->name,
		.input_count = (uint32_t)from->n_input,
		.output_count = (uint32_t)from->n_output,
		.attribute_count = (uint32_t)from->n_attribute,
		.inputs = to->inputs,
		.outputs = to->outputs,
		.attributes = to->attributes,
	};
	while (status == 0 && to->node.input_count > least_inputs(scope->graph, op) && to->inputs[to->node.input_count - 1] == GYR_VALUE_NONE)
		to->node.input_count--;
	while (status == 0 && to->node.output_count > 1 && to->outputs[to->node.output_count - 1] == GYR_VALUE_NONE)
		to->node.output_count--;
	for (size_t i = 0; i < from->n_attribute && status == 0; i++)
		status = from->attribute[i]->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH
				 ? convert_body(importer, scope, from->attribute[i], to, &to->attributes[i])
				 : convert_attribute(importer, from->attribute[i], &to->attributes[i]);
	return status;
}

static int add_nodes(struct importer *importer, struct scope *scope, const Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_node; i++) {
		if (is_constant_node(graph->node[i]))
			continue;
		struct converted converted;
		int status = convert_node(importer, scope, graph->node[i], &converted);
		if (status != 0)
			return at_node(importer, graph->node[i], status);
		status = gyr_graph_add_node(scope->graph, &converted.node, importer->error);
		if (status != 0)
			return status;
	}
	return 0;
}

/* The shape that TYPE declares, when it says all of it. */
static bool whole_shape(const Onnx__TypeProto__Tensor *type, struct gyr_shape *shape)
{
	if (type->shape == NULL || type->shape->n_dim > GYR_RANK_MAX)
		return false;
	*shape = (struct gyr_shape){.dtype = (enum gyr_dtype)type->elem_type, .rank = (uint32_t)type->shape->n_dim};
	for (uint32_t i = 0; i < shape->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[i];
		if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE || dim->dim_value < 0)
			return false;
		shape->dims[i] = dim->dim_value;
	}
	return true;
}

/* The inputs of a body. What is declared of their shapes is kept only where it is whole. */
static int add_body_inputs(struct importer *importer, struct scope *scope, const Onnx__GraphProto *graph)
{
	char text[SHOWN_MAX];
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__ValueInfoProto *input = graph->input[i];
		const Onnx__TypeProto__Tensor *type = tensor_type(input);
		struct gyr_shape shape;
		uint32_t index;
		if (input->name == NULL || find_constant(scope, input->name) != NULL)
			return gyr_error_set(importer->error, -EINVAL, "input '%s' has no name, or is an initialiser too", onnx_shown(input->name, text));
		if (input->type != NULL && type == NULL && input->type->value_case != ONNX__TYPE_PROTO__VALUE__NOT_SET)
			return gyr_error_set(importer->error, -ENOTSUP, "input '%s': it is no tensor", onnx_shown(input->name, text));
		bool whole = type != NULL && whole_shape(type, &shape);
		int status = gyr_graph_add_value(scope->graph, input->name, whole ? &shape : NULL, NULL, false, &index, importer->error);
		if (status == 0)
			status = gyr_graph_add_input(scope->graph, index, importer->error);
		if (status != 0)
			return status;
	}
	return 0;
}

static int add_body_outputs(struct importer *importer, struct scope *scope, const Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_output; i++) {
		uint32_t index;
		if (graph->output[i]->name == NULL)
			return gyr_error_set(importer->error, -EINVAL, "output %zu has no name", i);
		int status = value_of(importer, scope, graph->output[i]->name, &index);
		if (status == 0)
			status = gyr_graph_add_output(scope->graph, index, importer->error);
		if (status != 0)
			return status;
	}
	return 0;
}

/* Lists what the inputs and the nodes of a body make. */
static int collect_names(struct importer *importer, struct scope *scope, const Onnx__GraphProto *graph)
{
	size_t count = graph->n_input;
	for (size_t i = 0; i < graph->n_node; i++)
		count += graph->node[i]->n_output;
	scope->names = calloc(count + 1, sizeof *scope->names);
	if (scope->names == NULL)
		return no_memory(importer);
	for (size_t i = 0; i < graph->n_input; i++)
		if (graph->input[i]->name != NULL)
			scope->names[scope->name_count++] = graph->input[i]->name;
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t o = 0; o < graph->node[i]->n_output; o++)
			scope->names[scope->name_count++] = graph->node[i]->output[o];
	qsort(scope->names, scope->name_count, sizeof *scope->names, compare_names);
	return 0;
}

static void scope_fini(struct scope *scope)
{
	free(scope->constants);
	free(scope->names);
}

static int import_body(struct importer *importer, struct scope *outer, const Onnx__GraphProto *from, struct gyr_graph *body, struct converted *to)
{
	struct scope scope = {.outer = outer, .graph = body};
	int status = collect_constants(importer, &scope, from);
	if (status == 0)
		status = collect_names(importer, &scope, from);
	if (status == 0)
		status = add_body_inputs(importer, &scope, from);
	if (status == 0)
		status = add_nodes(importer, &scope, from);
	if (status == 0)
		status = add_body_outputs(importer, &scope, from);
	if (status == 0)
		status = gyr_graph_finish(body, importer->error);
	if (status == 0 && body->capture_count > GYR_NODE_ENDS_MAX - to->node.input_count)
		status = gyr_error_set(importer->error, -E2BIG, "bodies read more than %u values of the graph around them", GYR_NODE_ENDS_MAX);
	for (uint32_t i = 0; i < body->capture_count && status == 0; i++)
		to->inputs[to->node.input_count++] = scope.captures[i];
	scope_fini(&scope);
	return status;
}

static int add_outputs(struct importer *importer, struct gyr_graph *to, const Onnx__GraphProto *graph)
{
	char name[SHOWN_MAX];
	for (size_t i = 0; i < graph->n_output; i++) {
		const char *output = graph->output[i]->name;
		uint32_t index = output == NULL ? GYR_VALUE_NONE : gyr_graph_find(to, output);
		if (index == GYR_VALUE_NONE)
			return gyr_error_set(importer->error, -EINVAL, "output '%s' is not the result of a node", onnx_shown(output, name));
		int status = gyr_graph_add_output(to, index, importer->error);
		if (status != 0)
			return status;
	}
	return 0;
}

/*
 * Compares the types that the file declares of values with what they are. The shapes that it declares are not held against it: converters write [1] for a label
 * of each row, and ONNX Runtime goes by the operators too.
 */
static int check_declared(struct importer *importer, const struct gyr_graph *graph, Onnx__ValueInfoProto *const *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const Onnx__TypeProto__Tensor *type = tensor_type(values[i]);
		uint32_t index = values[i]->name == NULL ? GYR_VALUE_NONE : gyr_graph_find(graph, values[i]->name);
		if (type == NULL || !type->has_elem_type || index == GYR_VALUE_NONE)
			continue;
		const struct gyr_shape *shape = &graph->values[index].shape;
		char text[128];
		if (shape->dtype != GYR_DTYPE_NONE && shape->dtype != (enum gyr_dtype)type->elem_type) /* NONE: known only to a plan */
			return gyr_error_set(importer->error, -EINVAL, "'%s' is %s, and is declared otherwise", graph->values[index].name,
					     gyr_shape_text(shape, text, sizeof text));
	}
	return 0;
}

static int import_graph(struct importer *importer, const Onnx__GraphProto *from, struct gyr_graph *to)
{
	struct scope scope = {.graph = to};
	int status = collect_constants(importer, &scope, from);
	if (status == 0)
		status = add_inputs(importer, &scope, from);
	if (status == 0)
		status = add_nodes(importer, &scope, from);
	scope_fini(&scope);
	if (status == 0)
		status = add_outputs(importer, to, from);
	if (status == 0)
		status = gyr_graph_finish(to, importer->error);
	if (status == 0)
		status = check_declared(importer, to, from->output, from->n_output);
	if (status == 0)
		status = check_declared(importer, to, from->value_info, from->n_value_info);
	return status;
}

static int import_model(struct importer *importer, const Onnx__ModelProto *model, struct gyr_graph **graph)
{
	const Onnx__GraphProto *from = model->graph;
	int status = check_model(importer, model);
	if (status != 0)
		return status;
	*graph = gyr_graph_create(from->name != NULL ? from->name : "", importer->opset != 0 ? (uint32_t)importer->opset : GYR_OPSET_MAX);
	return *graph != NULL ? import_graph(importer, from, *graph) : no_memory(importer);
}

int gyr_onnx_import(const void *bytes, size_t size, struct gyr_graph **result, struct gyr_error *error)
{
	static const struct gyr_onnx_fixed nothing;
	return gyr_onnx_import_fixed(bytes, size, &nothing, result, error);
}

int gyr_onnx_import_fixed(const void *bytes, size_t size, const struct gyr_onnx_fixed *fixed, struct gyr_graph **result, struct gyr_error *error)
{
	struct gyr_graph *graph = NULL;
	struct importer importer = {.fixed = fixed, .error = error};
	ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &importer};
	if (size > GYR_ONNX_BYTES_MAX)
		return gyr_error_set(error, -E2BIG, "%zu bytes (at most %zu)", size, GYR_ONNX_BYTES_MAX);
	int status = onnx_scan(&onnx__model_proto__descriptor, bytes, size, error);
	if (status != 0)
		return status;
	importer.limit_bytes = UNPACKED_BYTES_MAX(size);
	gyr_arena_init(&importer.arena, importer.limit_bytes);
	Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, size, bytes);
	if (model != NULL)
		status = import_model(&importer, model, &graph);
	else if (importer.full)
		status = gyr_error_set(error, -E2BIG, "the model needs far more memory than its %zu bytes", size);
	else
		status = gyr_error_set(error, -EBADMSG, "not an ONNX model, or cut");
	onnx__model_proto__free_unpacked(model, &allocator);
	gyr_arena_fini(&importer.arena);
	if (status != 0) {
		gyr_graph_destroy(graph);
		return status == -EEXIST ? -EINVAL : status;
	}
	*result = graph;
	return 0;
}
