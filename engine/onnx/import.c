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

#include "engine/onnx/import.h"

#define IR_MIN 3
#define IR_MAX 10
#define ATTRIBUTES_MAX 64u /* of one node: more than any operator has */

/*
 * Unpacked messages take more room than their bytes: a node of 50 bytes takes about 400, small integers up to eight times theirs, and while a list of them is
 * unpacked each takes 80 bytes besides, which are given back.
 */
#define UNPACKED_BYTES_MAX(size) (48 * (size) + ((size_t)1 << 20))
#define LARGE_BYTES ((size_t)64 << 10) /* blocks from here on can be given back */

int onnx_no_memory(struct onnx_importer *importer)
{
	return gyr_error_set(importer->error, -ENOMEM, "no memory for the model");
}

/* In front of each block that protobuf-c has. */
struct block {
	_Alignas(16) size_t large_bytes; /* of a large one, else 0 */
};

static void *allocate(void *user, size_t size)
{
	struct onnx_importer *importer = user;
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
	struct onnx_importer *importer = user;
	struct block *block = (struct block *)bytes - 1;
	if (bytes == NULL || block->large_bytes == 0)
		return;
	importer->large_bytes -= block->large_bytes;
	free(block);
}

bool onnx_default_domain(const char *domain)
{
	return domain == NULL || domain[0] == 0 || strcmp(domain, "ai.onnx") == 0;
}

static bool ml_domain(const char *domain)
{
	return domain != NULL && strcmp(domain, GYR_DOMAIN_ML) == 0;
}

/* The opsets that MODEL imports. A model without the default domain may be made of other operators; those that Gyr does not run fail where they are used. */
static int read_opsets(struct onnx_importer *importer, const Onnx__ModelProto *model)
{
	struct gyr_error *error = importer->error;
	for (size_t i = 0; i < model->n_opset_import; i++) {
		const char *domain = model->opset_import[i]->domain;
		int64_t version = model->opset_import[i]->version;
		if (!onnx_default_domain(domain) && !ml_domain(domain))
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
static int check_model(struct onnx_importer *importer, const Onnx__ModelProto *model)
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

int onnx_at_node(struct onnx_importer *importer, const Onnx__NodeProto *node, int status)
{
	char name[SHOWN_MAX], domain[SHOWN_MAX], op[SHOWN_MAX];
	const char *before = node->name != NULL && node->name[0] != 0 ? "node" : "the node that makes";
	const char *called = node->name != NULL && node->name[0] != 0 ? node->name : node->n_output != 0 ? node->output[0] : "";
	onnx_shown(onnx_default_domain(node->domain) ? "" : node->domain, domain);
	return gyr_error_prefix(importer->error, status, "%s '%s' (%s%s%s, opset %" PRId64 ")", before, onnx_shown(called, name), domain,
				domain[0] != 0 ? "." : "", onnx_shown(node->op_type, op), ml_domain(node->domain) ? importer->opset_ml : importer->opset);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The value called NAME in SCOPE; a constant, a result that some node will make or a capture is added when it is not there. */
static int value_of(struct onnx_importer *importer, struct onnx_scope *scope, const char *name, uint32_t *index)
{
	char text[SHOWN_MAX];
	*index = gyr_graph_find(scope->graph, name);
	if (*index != GYR_VALUE_NONE)
		return 0;
	const struct onnx_constant *constant = onnx_find_constant(scope, name);
	if (constant != NULL) {
		int status = onnx_add_constant(importer, scope->graph, constant, index);
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

const Onnx__TypeProto__Tensor *onnx_tensor_type(const Onnx__ValueInfoProto *value)
{
	return value->type != NULL && value->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? value->type->tensor_type : NULL;
}

/* A node as the graph takes it, in the caller's room. */
struct converted {
	struct gyr_node node;
	struct gyr_attribute attributes[ATTRIBUTES_MAX];
	uint32_t inputs[GYR_NODE_ENDS_MAX], outputs[GYR_NODE_ENDS_MAX];
};

/* A value that nobody reads, in place of a first output that is left out. */
static int add_unread(struct onnx_importer *importer, struct gyr_graph *graph, uint32_t *index)
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
static int find_operator(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__NodeProto *node, enum gyr_op *op)
{
	bool ml = ml_domain(node->domain);
	*op = GYR_OP_NONE;
	if (node->op_type != NULL && (ml || onnx_default_domain(node->domain)))
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

static int import_body(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *from, struct gyr_graph *body, struct converted *to);

/* An attribute that is a body of the graph of SCOPE; what it captures goes to the inputs of TO. */
static int convert_body(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__AttributeProto *from, struct converted *to,
			struct gyr_attribute *attribute)
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

static int convert_node(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__NodeProto *from, struct converted *to)
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
				 : onnx_convert_attribute(importer, from->attribute[i], &to->attributes[i]);
	return status;
}

static int add_nodes(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_node; i++) {
		if (onnx_is_constant_node(graph->node[i]))
			continue;
		struct converted converted;
		int status = convert_node(importer, scope, graph->node[i], &converted);
		if (status != 0)
			return onnx_at_node(importer, graph->node[i], status);
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
static int add_body_inputs(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph)
{
	char text[SHOWN_MAX];
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__ValueInfoProto *input = graph->input[i];
		const Onnx__TypeProto__Tensor *type = onnx_tensor_type(input);
		struct gyr_shape shape;
		uint32_t index;
		if (input->name == NULL || onnx_find_constant(scope, input->name) != NULL)
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

static int add_body_outputs(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph)
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
static int collect_names(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph)
{
	size_t count = graph->n_input;
	for (size_t i = 0; i < graph->n_node; i++)
		count += graph->node[i]->n_output;
	scope->names = calloc(count + 1, sizeof *scope->names);
	if (scope->names == NULL)
		return onnx_no_memory(importer);
	for (size_t i = 0; i < graph->n_input; i++)
		if (graph->input[i]->name != NULL)
			scope->names[scope->name_count++] = graph->input[i]->name;
	for (size_t i = 0; i < graph->n_node; i++)
		for (size_t o = 0; o < graph->node[i]->n_output; o++)
			scope->names[scope->name_count++] = graph->node[i]->output[o];
	qsort(scope->names, scope->name_count, sizeof *scope->names, compare_names);
	return 0;
}

static void scope_fini(struct onnx_scope *scope)
{
	free(scope->constants);
	free(scope->names);
}

static int import_body(struct onnx_importer *importer, struct onnx_scope *outer, const Onnx__GraphProto *from, struct gyr_graph *body, struct converted *to)
{
	struct onnx_scope scope = {.outer = outer, .graph = body};
	int status = onnx_collect_constants(importer, &scope, from);
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

static int add_outputs(struct onnx_importer *importer, struct gyr_graph *to, const Onnx__GraphProto *graph)
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
static int check_declared(struct onnx_importer *importer, const struct gyr_graph *graph, Onnx__ValueInfoProto *const *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const Onnx__TypeProto__Tensor *type = onnx_tensor_type(values[i]);
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

static int import_graph(struct onnx_importer *importer, const Onnx__GraphProto *from, struct gyr_graph *to)
{
	struct onnx_scope scope = {.graph = to};
	int status = onnx_collect_constants(importer, &scope, from);
	if (status == 0)
		status = onnx_add_inputs(importer, &scope, from);
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

static int import_model(struct onnx_importer *importer, const Onnx__ModelProto *model, struct gyr_graph **graph)
{
	const Onnx__GraphProto *from = model->graph;
	int status = check_model(importer, model);
	if (status != 0)
		return status;
	*graph = gyr_graph_create(from->name != NULL ? from->name : "", importer->opset != 0 ? (uint32_t)importer->opset : GYR_OPSET_MAX);
	return *graph != NULL ? import_graph(importer, from, *graph) : onnx_no_memory(importer);
}

int gyr_onnx_import(const void *bytes, size_t size, struct gyr_graph **result, struct gyr_error *error)
{
	static const struct gyr_onnx_fixed nothing;
	return gyr_onnx_import_fixed(bytes, size, &nothing, result, error);
}

int gyr_onnx_import_fixed(const void *bytes, size_t size, const struct gyr_onnx_fixed *fixed, struct gyr_graph **result, struct gyr_error *error)
{
	struct gyr_graph *graph = NULL;
	struct onnx_importer importer = {.fixed = fixed, .error = error};
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
