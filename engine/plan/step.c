/*
 * Steps: see step.h.
 */
#include "engine/plan/step.h"

#include <errno.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/kernel/binary.h"
#include "engine/kernel/cast.h"
#include "engine/kernel/softmax.h"
#include "engine/kernel/unary.h"
#include "engine/ref/cast.h"
#include "engine/ref/softmax.h"
#include "engine/ref/unary.h"

static size_t dim_at(const struct gyr_shape *shape, uint32_t index, uint64_t batch)
{
	return shape->dims[index] == GYR_DIM_BATCH ? batch : (size_t)shape->dims[index];
}

/* The product of dimensions [FROM, TO). The shape has been counted before, so it does not overflow. */
static size_t product(const struct gyr_shape *shape, uint32_t from, uint32_t to, uint64_t batch)
{
	size_t total = 1;
	for (uint32_t i = from; i < to; i++)
		total *= dim_at(shape, i, batch);
	return total;
}

static int need_f32(const struct gyr_shape *shape, struct gyr_error *error)
{
	if (shape->dtype == GYR_DTYPE_F32)
		return 0;
	return gyr_error_set(error, -ENOTSUP, "it is run on f32 only, not on %s", gyr_dtype_name(shape->dtype));
}

static int init_binary(struct gyr_step *step, enum gyr_op op, const struct gyr_shape *a, const struct gyr_shape *b, uint64_t batch, struct gyr_error *error)
{
	if (!gyr_binary_supports(op, a->dtype))
		return gyr_error_set(error, -ENOTSUP, "it is not run on %s", gyr_dtype_name(a->dtype));
	step->kind = GYR_STEP_BINARY;
	gyr_binary_init(&step->binary, op, a, b, batch);
	return 0;
}

/* Before opset 13, Softmax took all dimensions from the axis on as one. */
static int init_softmax(struct gyr_step *step, const struct gyr_node *node, uint32_t opset, const struct gyr_shape *x, uint64_t batch, struct gyr_error *error)
{
	int64_t given = gyr_node_integer(node, "axis", opset < 13 ? 1 : -1);
	uint32_t axis = (uint32_t)(given < 0 ? given + x->rank : given);
	step->kind = GYR_STEP_SOFTMAX;
	step->softmax.outer = product(x, 0, axis, batch);
	step->softmax.length = opset < 13 ? product(x, axis, x->rank, batch) : dim_at(x, axis, batch);
	step->softmax.inner = opset < 13 ? 1 : product(x, axis + 1, x->rank, batch);
	return need_f32(x, error);
}

static int init_gemm(struct gyr_step *step, const struct gyr_node *node, const struct gyr_shape *const inputs[3], uint64_t batch, struct gyr_error *error)
{
	const struct gyr_shape *a = inputs[0], *b = inputs[1], *c = inputs[2];
	bool trans_a = gyr_node_integer(node, "transA", 0) != 0, trans_b = gyr_node_integer(node, "transB", 0) != 0;
	struct gyr_gemm *gemm = &step->gemm;
	*gemm = (struct gyr_gemm){.alpha = gyr_node_number(node, "alpha", 1), .beta = gyr_node_number(node, "beta", 1)};
	step->kind = GYR_STEP_GEMM;
	gemm->m = dim_at(a, trans_a, batch);
	gemm->k = dim_at(a, !trans_a, batch);
	gemm->n = dim_at(b, !trans_b, batch);
	gemm->a_row = trans_a ? 1 : gemm->k;
	gemm->a_column = trans_a ? gemm->m : 1;
	gemm->b_row = trans_b ? 1 : gemm->n;
	gemm->b_column = trans_b ? gemm->k : 1;
	if (c != NULL && c->rank > 0)
		gemm->c_column = dim_at(c, c->rank - 1, batch) == 1 ? 0 : 1;
	if (c != NULL && c->rank > 1)
		gemm->c_row = dim_at(c, 0, batch) == 1 ? 0 : dim_at(c, 1, batch);
	return need_f32(a, error);
}

/* As numpy.matmul: a vector on the left is a row, one on the right a column; the leading dimensions broadcast. */
static int init_matmul(struct gyr_step *step, const struct gyr_shape *a, const struct gyr_shape *b, uint64_t batch, struct gyr_error *error)
{
	struct gyr_gemm *gemm = &step->gemm;
	*gemm = (struct gyr_gemm){.alpha = 1};
	step->kind = GYR_STEP_GEMM;
	gemm->m = a->rank > 1 ? dim_at(a, a->rank - 2, batch) : 1;
	gemm->k = dim_at(a, a->rank - 1, batch);
	gemm->n = b->rank > 1 ? dim_at(b, b->rank - 1, batch) : 1;
	gemm->a_row = gemm->k;
	gemm->b_row = gemm->n;
	gemm->a_column = gemm->b_column = 1;
	uint32_t a_leading = a->rank > 2 ? a->rank - 2 : 0, b_leading = b->rank > 2 ? b->rank - 2 : 0;
	gemm->leading = a_leading > b_leading ? a_leading : b_leading;
	size_t a_step = gemm->m * gemm->k, b_step = gemm->k * gemm->n;
	for (uint32_t place = 0; place < gemm->leading; place++) {
		size_t a_dim = place < a_leading ? dim_at(a, a_leading - 1 - place, batch) : 1;
		size_t b_dim = place < b_leading ? dim_at(b, b_leading - 1 - place, batch) : 1;
		uint32_t at = gemm->leading - 1 - place;
		gemm->dims[at] = a_dim == 1 ? b_dim : a_dim;
		gemm->a_strides[at] = a_dim == 1 ? 0 : a_step;
		gemm->b_strides[at] = b_dim == 1 ? 0 : b_step;
		a_step *= a_dim;
		b_step *= b_dim;
	}
	return need_f32(a, error);
}

int gyr_step_init(struct gyr_step *step, const struct gyr_node *node, uint32_t opset, const struct gyr_shape *const inputs[3], const struct gyr_shape *output,
		  uint64_t batch, bool reference, struct gyr_error *error)
{
	size_t count;
	*step = (struct gyr_step){.reference = reference};
	for (uint32_t i = 0; i < 3; i++)
		if (inputs[i] != NULL && !gyr_shape_count(inputs[i], batch, &count))
			return gyr_error_set(error, -ENOTSUP, "input %u is too large at %llu rows", i, (unsigned long long)batch);
	if (!gyr_shape_count(output, batch, &count))
		return gyr_error_set(error, -ENOTSUP, "its result is too large at %llu rows", (unsigned long long)batch);
	switch (node->op) {
	case GYR_OP_ADD:
	case GYR_OP_DIV:
	case GYR_OP_MUL:
	case GYR_OP_SUB: return init_binary(step, node->op, inputs[0], inputs[1], batch, error);
	case GYR_OP_CAST:
		step->kind = GYR_STEP_CAST;
		step->cast.from = inputs[0]->dtype;
		step->cast.to = output->dtype;
		step->cast.count = count;
		return 0;
	case GYR_OP_RELU:
	case GYR_OP_SIGMOID:
	case GYR_OP_TANH:
		step->kind = GYR_STEP_UNARY;
		step->unary.op = node->op;
		step->unary.count = count;
		return need_f32(output, error);
	case GYR_OP_SOFTMAX: return init_softmax(step, node, opset, inputs[0], batch, error);
	case GYR_OP_GEMM: return init_gemm(step, node, inputs, batch, error);
	case GYR_OP_MATMUL: return init_matmul(step, inputs[0], inputs[1], batch, error);
	default: return gyr_error_set(error, -ENOTSUP, "no kernel runs it");
	}
}

static const void *read_at(const struct gyr_place *place, const struct gyr_frame *frame)
{
	switch (place->kind) {
	case GYR_PLACE_NOWHERE: return NULL;
	case GYR_PLACE_CONSTANT: return place->constant;
	case GYR_PLACE_SCRATCH: return frame->scratch + place->offset;
	case GYR_PLACE_INPUT: return frame->inputs[place->index];
	case GYR_PLACE_OUTPUT: return frame->outputs[place->index];
	}
	gyr_assert_failed("a place", __FILE__, __LINE__);
}

static void *write_at(const struct gyr_place *place, const struct gyr_frame *frame)
{
	return place->kind == GYR_PLACE_SCRATCH ? (void *)(frame->scratch + place->offset) : frame->outputs[place->index];
}

void gyr_step_run(const struct gyr_step *step, const struct gyr_frame *frame)
{
	const void *x = read_at(&step->inputs[0], frame);
	void *y = write_at(&step->output, frame);
	bool reference = step->reference;
	switch (step->kind) {
	case GYR_STEP_DENSE: gyr_dense_run(step->dense.dense, step->dense.rows, x, y); return;
	case GYR_STEP_COPY: memcpy(y, x, step->bytes); return;
	case GYR_STEP_CAST: (reference ? gyr_ref_cast : gyr_kernel_cast)(step->cast.from, step->cast.to, step->cast.count, x, y); return;
	case GYR_STEP_UNARY: (reference ? gyr_ref_unary : gyr_kernel_unary)(step->unary.op, step->unary.count, x, y); return;
	case GYR_STEP_BINARY: (reference ? gyr_ref_binary : gyr_kernel_binary)(&step->binary, x, read_at(&step->inputs[1], frame), y); return;
	case GYR_STEP_SOFTMAX: (reference ? gyr_ref_softmax : gyr_kernel_softmax)(step->softmax.outer, step->softmax.length, step->softmax.inner, x, y); return;
	case GYR_STEP_GEMM: gyr_ref_gemm(&step->gemm, x, read_at(&step->inputs[1], frame), read_at(&step->inputs[2], frame), y); return;
	}
}
