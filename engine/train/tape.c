/*
 * From graph to tape.
 *
 * 1. Which nodes does the output need, and which values come from the input (dynamic)?
 * 2. Values that pass through (Identity, Flatten, Reshape, Cast to the same type) get the same root, the value whose memory they share.
 * 3. Uses are counted by root: one use means that the one reader may work in place, and that its gradient needs no adding up.
 * 4. Constants that only serve as weights and biases become parameters.
 * 5. Each node that is left becomes a step, in the graph's order.
 */
#include "engine/train/tape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/train/tape_internal.h"

struct value_state {
	uint32_t root;      /* of a dynamic value: the value whose tensor it shares */
	uint32_t uses;      /* of a root: steps that read it, and the loss */
	uint32_t tensor;    /* of a root, once it is made */
	uint32_t parameter; /* of a constant */
	bool dynamic;       /* depends on the input */
	bool frozen;        /* a constant that serves as something else too */
};

struct compiler {
	const struct gyr_graph *graph;
	struct gyr_tape *tape;
	struct value_state *values; /* value_count */
	bool *live;                 /* node_count */
	uint32_t output;            /* the value that the loss is computed from */
	struct gyr_error *error;
};

static const char *value_name(const struct compiler *compiler, uint32_t value)
{
	return compiler->graph->values[value].name;
}

static int no_gradient(const struct compiler *compiler, const struct gyr_node *node, const char *why)
{
	return gyr_error_set(compiler->error, -ENOTSUP, "node '%s' (%s, making '%s'): no gradient: %s", node->name, gyr_op_info(node->op)->name,
			     value_name(compiler, node->outputs[0]), why);
}

static int no_memory(const struct compiler *compiler)
{
	return gyr_error_set(compiler->error, -ENOMEM, "no memory to train '%s' with batches of %" PRIu32, compiler->graph->name, compiler->tape->batch);
}

static const struct gyr_shape *shape_of(const struct compiler *compiler, uint32_t value)
{
	return &compiler->graph->values[value].shape;
}

static size_t count_of(const struct gyr_shape *shape)
{
	size_t count;
	bool fits = gyr_shape_count(shape, 1, &count);
	GYR_ASSERT(fits); /* the graph is finished */
	return count;
}

static bool passes_through(const struct compiler *compiler, const struct gyr_node *node)
{
	switch (node->op) {
	case GYR_OP_FLATTEN:
	case GYR_OP_IDENTITY:
	case GYR_OP_RESHAPE: return true;
	case GYR_OP_CAST: return shape_of(compiler, node->inputs[0])->dtype == shape_of(compiler, node->outputs[0])->dtype;
	default: return false;
	}
}

/* Whether a constant as input INPUT of a node of OP is a weight or a bias. */
static bool trains(enum gyr_op op, uint32_t input)
{
	return (op == GYR_OP_GEMM && input >= 1) || (op == GYR_OP_MATMUL && input == 1) || op == GYR_OP_ADD;
}

static int check_ends(struct compiler *compiler)
{
	const struct gyr_graph *graph = compiler->graph;
	if (graph->input_count != 1 || graph->output_count != 1)
		return gyr_error_set(compiler->error, -EINVAL, "'%s' has %" PRIu32 " inputs and %" PRIu32 " outputs; training needs one of each", graph->name,
				     graph->input_count, graph->output_count);
	const uint32_t ends[] = {graph->inputs[0], graph->outputs[0]};
	for (int i = 0; i < 2; i++) {
		const struct gyr_shape *shape = shape_of(compiler, ends[i]);
		char text[128];
		if (shape->rank == 0 || shape->dims[0] != GYR_DIM_BATCH)
			return gyr_error_set(compiler->error, -EINVAL, "'%s' is %s; training needs a batch as its first dimension",
					     value_name(compiler, ends[i]), gyr_shape_text(shape, text, sizeof text));
	}
	return 0;
}

/* How many neighbours the Softmax NODE makes add up to 1; 0 where they are no neighbours. */
static size_t softmax_group(const struct compiler *compiler, const struct gyr_node *node)
{
	const struct gyr_shape *shape = shape_of(compiler, node->inputs[0]);
	bool modern = compiler->graph->opset >= 13;
	int64_t axis = gyr_node_integer(node, "axis", modern ? -1 : 1);
	size_t group = 1;
	if (axis < 0)
		axis += shape->rank;
	if (modern && axis != (int64_t)shape->rank - 1)
		return 0;
	for (uint32_t i = (uint32_t)axis; i < shape->rank; i++)
		group *= (size_t)shape->dims[i];
	return group;
}

/* Finds the live nodes, backwards from the output, which is the Softmax's input where LOGITS. */
static int find_live(struct compiler *compiler, bool logits)
{
	const struct gyr_graph *graph = compiler->graph;
	compiler->output = graph->outputs[0];
	for (uint32_t i = 0; i < graph->node_count && logits; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		if (node->outputs[0] != graph->outputs[0] || node->op != GYR_OP_SOFTMAX)
			continue;
		if (softmax_group(compiler, node) != count_of(shape_of(compiler, node->inputs[0])))
			return no_gradient(compiler, node, "a row has several distributions, and cross-entropy is of one");
		compiler->output = node->inputs[0];
	}
	compiler->values[compiler->output].uses = 1;
	for (uint32_t i = graph->node_count; i-- > 0;) {
		const struct gyr_node *node = &graph->nodes[i];
		if (compiler->values[node->outputs[0]].uses == 0)
			continue;
		compiler->live[i] = true;
		for (uint32_t j = 0; j < node->input_count; j++)
			if (node->inputs[j] != GYR_VALUE_NONE)
				compiler->values[node->inputs[j]].uses = 1;
	}
	for (uint32_t i = 0; i < graph->value_count; i++)
		compiler->values[i].uses = 0;
	return 0;
}

/* Finds roots, counts uses, and tells parameters from other constants. */
static int find_uses(struct compiler *compiler)
{
	const struct gyr_graph *graph = compiler->graph;
	struct value_state *values = compiler->values;
	for (uint32_t i = 0; i < graph->value_count; i++)
		values[i] = (struct value_state){.root = i, .tensor = GYR_TAPE_NONE, .parameter = GYR_TAPE_NONE};
	values[graph->inputs[0]].dynamic = true;
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		if (!compiler->live[i])
			continue;
		bool dynamic = false;
		for (uint32_t j = 0; j < node->input_count; j++)
			dynamic |= node->inputs[j] != GYR_VALUE_NONE && values[node->inputs[j]].dynamic;
		if (!dynamic)
			return no_gradient(compiler, node, "it is computed from constants only");
		values[node->outputs[0]].dynamic = true;
		if (passes_through(compiler, node)) {
			values[node->outputs[0]].root = values[node->inputs[0]].root;
			continue;
		}
		for (uint32_t j = 0; j < node->input_count; j++) {
			if (node->inputs[j] == GYR_VALUE_NONE)
				continue;
			struct value_state *input = &values[node->inputs[j]];
			values[input->root].uses++;
			input->frozen |= !input->dynamic && !trains(node->op, j);
		}
	}
	if (!values[compiler->output].dynamic)
		return gyr_error_set(compiler->error, -EINVAL, "'%s' does not depend on the input", value_name(compiler, compiler->output));
	values[values[compiler->output].root].uses++;
	return 0;
}

static int add_parameters(struct compiler *compiler)
{
	const struct gyr_graph *graph = compiler->graph;
	struct gyr_tape *tape = compiler->tape;
	const size_t pad = GYR_TAPE_ALIGN / sizeof(float);
	tape->parameters = GYR_ARENA_NEW(&tape->arena, struct gyr_tape_parameter, graph->value_count);
	if (tape->parameters == NULL)
		return no_memory(compiler);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		const struct gyr_value *value = &graph->values[i];
		struct value_state *state = &compiler->values[i];
		if (value->data == NULL || state->uses == 0 || state->frozen || value->shape.dtype != GYR_DTYPE_F32)
			continue;
		size_t count = count_of(&value->shape);
		state->parameter = tape->parameter_count;
		tape->parameters[tape->parameter_count++] =
			(struct gyr_tape_parameter){.value = i, .first = tape->weight_count, .count = count, .shared = state->uses > 1};
		tape->weight_count += (count + pad - 1) / pad * pad;
	}
	if (tape->weight_count == 0)
		return gyr_error_set(compiler->error, -EINVAL, "'%s' has nothing to train: no f32 constant is a weight or bias of Gemm, MatMul or Add",
				     graph->name);
	tape->weights = gyr_arena_array(&tape->arena, tape->weight_count, sizeof(float), GYR_TAPE_ALIGN);
	tape->gradients = gyr_arena_array(&tape->arena, tape->weight_count, sizeof(float), GYR_TAPE_ALIGN);
	if (tape->weights == NULL || tape->gradients == NULL)
		return no_memory(compiler);
	for (uint32_t i = 0; i < tape->parameter_count; i++) {
		const struct gyr_tape_parameter *parameter = &tape->parameters[i];
		memcpy(tape->weights + parameter->first, graph->values[parameter->value].data, parameter->count * sizeof(float));
	}
	return 0;
}

/* Makes the tensor of the root of VALUE, with a gradient where it DEPENDS on what is trained. */
static int add_tensor(struct compiler *compiler, uint32_t value, bool depends, struct gyr_tape_tensor **made)
{
	struct gyr_tape *tape = compiler->tape;
	struct value_state *state = &compiler->values[value];
	const struct gyr_shape *shape = shape_of(compiler, value);
	GYR_ASSERT(state->root == value);
	struct gyr_tape_tensor *tensor = &tape->tensors[tape->tensor_count];
	*tensor = (struct gyr_tape_tensor){.dtype = shape->dtype, .row = count_of(shape), .shared = state->uses > 1};
	size_t bytes = tensor->row * gyr_dtype_bytes(shape->dtype);
	tensor->data = gyr_arena_array(&tape->arena, tape->batch, bytes, GYR_TAPE_ALIGN);
	if (depends)
		tensor->gradient = gyr_arena_array(&tape->arena, tape->batch, bytes, GYR_TAPE_ALIGN);
	if (tensor->data == NULL || (depends && tensor->gradient == NULL))
		return no_memory(compiler);
	state->tensor = tape->tensor_count++;
	*made = tensor;
	return 0;
}

static struct gyr_tape_tensor *tensor_of(const struct compiler *compiler, uint32_t value)
{
	uint32_t root = compiler->values[value].root;
	return &compiler->tape->tensors[compiler->values[root].tensor];
}

/* The result of STEP, which is in the memory of its x where IN_PLACE allows and nothing else needs x. */
static int add_result(struct compiler *compiler, const struct gyr_node *node, struct gyr_tape_step *step, bool in_place)
{
	uint32_t value = node->outputs[0];
	bool depends = step->x->gradient != NULL || step->weight.gradient != NULL || step->constant.gradient != NULL ||
		       (step->x2 != NULL && step->x2->gradient != NULL);
	if (!in_place || step->x->shared || step->x->kept || (depends && step->x->gradient == NULL))
		return add_tensor(compiler, value, depends, &step->y);
	step->y = step->x;
	step->y->shared = compiler->values[value].uses > 1;
	compiler->values[value].tensor = (uint32_t)(step->x - compiler->tape->tensors);
	return 0;
}

static struct gyr_tape_operand operand_of(const struct compiler *compiler, uint32_t value)
{
	const struct gyr_value *constant = &compiler->graph->values[value];
	struct gyr_tape_operand operand = {.data = constant->data, .count = count_of(&constant->shape)};
	uint32_t index = compiler->values[value].parameter;
	if (index != GYR_TAPE_NONE) {
		operand.parameter = &compiler->tape->parameters[index];
		operand.data = compiler->tape->weights + operand.parameter->first;
		operand.gradient = compiler->tape->gradients + operand.parameter->first;
	}
	return operand;
}

static int add_product(struct compiler *compiler, const struct gyr_node *node, struct gyr_tape_step *step)
{
	const struct gyr_shape *a = shape_of(compiler, node->inputs[0]), *b = shape_of(compiler, node->inputs[1]);
	if (!compiler->values[node->inputs[0]].dynamic || compiler->values[node->inputs[1]].dynamic)
		return no_gradient(compiler, node, "the first factor must be computed and the second a constant");
	if (b->rank != 2)
		return no_gradient(compiler, node, "the second factor must have two dimensions");
	step->alpha = step->beta = 1;
	if (node->op == GYR_OP_GEMM) {
		if (gyr_node_integer(node, "transA", 0) != 0)
			return no_gradient(compiler, node, "transA must be 0");
		step->transposed = gyr_node_integer(node, "transB", 0) != 0;
		step->alpha = gyr_node_number(node, "alpha", 1);
		step->beta = gyr_node_number(node, "beta", 1);
	}
	step->k = (size_t)b->dims[step->transposed];
	step->n = (size_t)b->dims[!step->transposed];
	step->inner = count_of(a) / step->k;
	step->weight = operand_of(compiler, node->inputs[1]);
	if (node->input_count > 2 && node->inputs[2] != GYR_VALUE_NONE) {
		if (compiler->values[node->inputs[2]].dynamic)
			return no_gradient(compiler, node, "C must be a constant");
		step->constant = operand_of(compiler, node->inputs[2]);
	}
	return add_result(compiler, node, step, false);
}

/* Whether CONSTANT repeats along the rows of RESULT: its dimensions, without leading ones, are the last of RESULT's. */
static bool repeats(const struct gyr_shape *constant, const struct gyr_shape *result)
{
	uint32_t first = 0;
	while (first < constant->rank && constant->dims[first] == 1)
		first++;
	uint32_t rank = constant->rank - first;
	return rank < result->rank && memcmp(&constant->dims[first], &result->dims[result->rank - rank], rank * sizeof(int64_t)) == 0;
}

/* A constant that is not trained is written out to a whole ROW, which makes the loops over it long. */
static bool widen(struct gyr_arena *arena, struct gyr_tape_operand *operand, size_t row)
{
	if (operand->gradient != NULL || operand->count == row)
		return true;
	float *wide = gyr_arena_array(arena, row, sizeof *wide, GYR_TAPE_ALIGN);
	for (size_t i = 0; i < row && wide != NULL; i++)
		wide[i] = operand->data[i % operand->count];
	operand->data = wide;
	operand->count = row;
	return wide != NULL;
}

static int add_arithmetic(struct compiler *compiler, const struct gyr_node *node, struct gyr_tape_step *step)
{
	const struct gyr_shape *result = shape_of(compiler, node->outputs[0]);
	bool first = compiler->values[node->inputs[0]].dynamic, second = compiler->values[node->inputs[1]].dynamic;
	uint32_t computed = node->inputs[first ? 0 : 1];
	if (!gyr_shape_equal(shape_of(compiler, computed), result))
		return no_gradient(compiler, node, "it makes what is computed larger");
	if (first && second) {
		if (!gyr_shape_equal(shape_of(compiler, node->inputs[1]), result))
			return no_gradient(compiler, node, "two computed operands must have the same shape");
		step->x2 = tensor_of(compiler, node->inputs[1]);
		return add_result(compiler, node, step, false);
	}
	step->x = tensor_of(compiler, computed);
	uint32_t constant = node->inputs[first ? 1 : 0];
	if (!repeats(shape_of(compiler, constant), result))
		return no_gradient(compiler, node, "its constant must be one number or fit the last dimensions");
	step->constant = operand_of(compiler, constant);
	step->constant_first = !first;
	if (!widen(&compiler->tape->arena, &step->constant, step->x->row))
		return no_memory(compiler);
	/* The derivative of constant / x needs x. */
	return add_result(compiler, node, step, !(step->constant_first && node->op == GYR_OP_DIV));
}

static int add_softmax(struct compiler *compiler, const struct gyr_node *node, struct gyr_tape_step *step)
{
	step->group = softmax_group(compiler, node);
	if (step->group == 0)
		return no_gradient(compiler, node, "axis must be the last dimension");
	return add_result(compiler, node, step, true);
}

static int add_cast(struct compiler *compiler, const struct gyr_node *node, struct gyr_tape_step *step)
{
	if (step->x->gradient != NULL || shape_of(compiler, node->outputs[0])->dtype != GYR_DTYPE_F32)
		return no_gradient(compiler, node, "only the input can be cast, and to f32");
	switch (step->x->dtype) {
	case GYR_DTYPE_U8:
	case GYR_DTYPE_I8:
	case GYR_DTYPE_I32:
	case GYR_DTYPE_I64:
	case GYR_DTYPE_F64: return add_result(compiler, node, step, false);
	default: return no_gradient(compiler, node, "data files hold f32, f64, u8, i8, i32 and i64 only");
	}
}

static int add_step(struct compiler *compiler, const struct gyr_node *node)
{
	struct gyr_tape_step *step = &compiler->tape->steps[compiler->tape->step_count++];
	*step = (struct gyr_tape_step){.op = node->op};
	if (compiler->values[node->inputs[0]].dynamic)
		step->x = tensor_of(compiler, node->inputs[0]);
	int result = 0;
	if (node->op != GYR_OP_CAST && shape_of(compiler, node->outputs[0])->dtype != GYR_DTYPE_F32)
		return no_gradient(compiler, node, "it computes in another type than f32");
	switch (node->op) {
	case GYR_OP_GEMM:
	case GYR_OP_MATMUL: result = add_product(compiler, node, step); break;
	case GYR_OP_ADD:
	case GYR_OP_SUB:
	case GYR_OP_MUL:
	case GYR_OP_DIV: result = add_arithmetic(compiler, node, step); break;
	case GYR_OP_RELU:
	case GYR_OP_SIGMOID:
	case GYR_OP_TANH: result = add_result(compiler, node, step, true); break;
	case GYR_OP_SOFTMAX: result = add_softmax(compiler, node, step); break;
	case GYR_OP_CAST: result = add_cast(compiler, node, step); break;
	default: return no_gradient(compiler, node, "this operator is not trained");
	}
	if (result != 0)
		return result;
	/* The derivatives of these are told from the result. */
	step->y->kept = node->op == GYR_OP_RELU || node->op == GYR_OP_SIGMOID || node->op == GYR_OP_TANH || node->op == GYR_OP_SOFTMAX ||
			(node->op == GYR_OP_DIV && (step->x2 != NULL || step->constant_first));
	return 0;
}

static int compile(struct compiler *compiler, bool logits)
{
	const struct gyr_graph *graph = compiler->graph;
	struct gyr_tape *tape = compiler->tape;
	int result = check_ends(compiler);
	if (result != 0)
		return result;
	result = find_live(compiler, logits);
	if (result == 0)
		result = find_uses(compiler);
	if (result == 0)
		result = add_parameters(compiler);
	if (result != 0)
		return result;
	tape->tensors = GYR_ARENA_NEW(&tape->arena, struct gyr_tape_tensor, graph->value_count);
	tape->steps = GYR_ARENA_NEW(&tape->arena, struct gyr_tape_step, graph->node_count);
	if (tape->tensors == NULL || tape->steps == NULL)
		return no_memory(compiler);
	result = add_tensor(compiler, graph->inputs[0], false, &tape->input);
	for (uint32_t i = 0; i < graph->node_count && result == 0; i++)
		if (compiler->live[i] && !passes_through(compiler, &graph->nodes[i]))
			result = add_step(compiler, &graph->nodes[i]);
	if (result != 0)
		return result;
	tape->output = tensor_of(compiler, compiler->output);
	GYR_ASSERT(tape->output->gradient != NULL);
	return 0;
}

int gyr_tape_create(const struct gyr_graph *graph, uint32_t batch, bool logits, struct gyr_tape **tape, struct gyr_error *error)
{
	GYR_ASSERT(graph->finished);
	GYR_ASSERT(batch >= 1);
	struct compiler compiler = {.graph = graph, .error = error};
	struct gyr_tape *made = calloc(1, sizeof *made);
	compiler.values = calloc(graph->value_count + 1, sizeof *compiler.values);
	compiler.live = calloc(graph->node_count + 1, sizeof *compiler.live);
	int result = gyr_error_set(error, -ENOMEM, "no memory to train '%s'", graph->name);
	if (made != NULL && compiler.values != NULL && compiler.live != NULL) {
		made->batch = batch;
		compiler.tape = made;
		result = compile(&compiler, logits);
	}
	free(compiler.values);
	free(compiler.live);
	if (result != 0)
		gyr_tape_destroy(made);
	else
		*tape = made;
	return result;
}

void gyr_tape_destroy(struct gyr_tape *tape)
{
	if (tape == NULL)
		return;
	gyr_arena_fini(&tape->arena);
	free(tape);
}
