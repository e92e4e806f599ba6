/*
 * The reduction family. On f32 each reduction goes in stages, one for each run of neighbouring dimensions that are reduced, from the innermost outwards; other
 * types run the twin.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/order.h"
#include "engine/kernel/reduce.h"
#include "engine/ref/reduce.h"
#include "engine/ref/unaligned.h"

#define STAGES_MAX ((GYR_RANK_MAX + 1) / 2)

struct stages {
	uint32_t count;
	struct stage {
		enum gyr_op op;
		size_t outer, length, inner;
		size_t to; /* in the scratch, in bytes; the last one's is the output */
	} stages[STAGES_MAX];
};

static void run_stages(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct stages *stages = params;
	const void *from = inputs[0];
	for (uint32_t i = 0; i < stages->count; i++) {
		const struct stage *stage = &stages->stages[i];
		void *to = i + 1 == stages->count ? outputs[0] : (char *)scratch + stage->to;
		gyr_kernel_reduce(stage->op, stage->outer, stage->length, stage->inner, from, to);
		from = to;
	}
}

static void run_reduce_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_reduce(params, inputs[0], outputs[0]);
}

/* Which dimensions go; inference has checked them. */
static int reduced_axes(struct gyr_prepare *prepare, bool *reduced)
{
	const struct gyr_shape *x = prepare->inputs[0], *given = kernel_input(prepare, 1);
	const struct gyr_attribute *attribute = gyr_node_attribute(prepare->node, "axes");
	uint32_t count = given != NULL ? (uint32_t)kernel_count(given) : attribute != NULL ? attribute->integers.count : 0;
	if (given != NULL && prepare->contents[1] == NULL && count > 0)
		return gyr_error_set(prepare->error, -ENOTSUP, "its axes are known only when it runs");
	for (uint32_t i = 0; i < count; i++) {
		int64_t axis = given != NULL ? ((const gyr_i64_u *)prepare->contents[1])[i] : attribute->integers.items[i];
		reduced[axis < 0 ? axis + x->rank : axis] = true;
	}
	bool all = count == 0 && gyr_node_integer(prepare->node, "noop_with_empty_axes", 0) == 0;
	for (uint32_t i = 0; i < x->rank && all; i++)
		reduced[i] = true;
	prepare->unread |= UINT64_C(1) << 1;
	return 0;
}

/* Means of means, L2 of L2s, ... are those of the whole, because all have the same length. */
static void plan_stages(struct gyr_prepare *prepare, enum gyr_op op, const bool *reduced, struct stages *stages)
{
	const struct gyr_shape *x = prepare->inputs[0];
	size_t inner = 1;
	for (uint32_t end = x->rank; end > 0;) {
		uint32_t from = end - 1;
		while (from > 0 && reduced[from - 1] == reduced[end - 1])
			from--;
		if (reduced[from]) {
			struct stage *stage = &stages->stages[stages->count];
			*stage = (struct stage){.op = op,
						.outer = kernel_product(x, 0, from),
						.length = kernel_product(x, from, end),
						.inner = inner,
						.to = prepare->scratch_bytes};
			if ((op == GYR_OP_REDUCE_SUM_SQUARE && stages->count > 0) || op == GYR_OP_REDUCE_LOG_SUM)
				stage->op = GYR_OP_REDUCE_SUM;
			prepare->scratch_bytes += stage->outer * stage->inner * sizeof(float);
			stages->count++;
		} else {
			inner *= kernel_product(x, from, end);
		}
		end = from;
	}
	if (stages->count == 0) /* nothing goes: each element by itself */
		stages->stages[stages->count++] = (struct stage){.op = op, .outer = 1, .length = 1, .inner = inner};
	if (op == GYR_OP_REDUCE_LOG_SUM)
		stages->stages[stages->count - 1].op = op;
}

static int prepare_reduce(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	bool reduced[GYR_RANK_MAX] = {false}, any = false;
	enum gyr_op op = prepare->node->op;
	int status = reduced_axes(prepare, reduced);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < x->rank; i++)
		any = any || reduced[i];
	if (!any && gyr_node_integer(prepare->node, "noop_with_empty_axes", 0) != 0)
		op = GYR_OP_REDUCE_SUM; /* ONNX has the input come out as it is */
	if (x->dtype == GYR_DTYPE_F32 && !prepare->reference) {
		struct stages *stages = KERNEL_PARAMS(prepare, struct stages);
		if (stages == NULL)
			return -ENOMEM;
		plan_stages(prepare, op, reduced, stages);
		prepare->run = run_stages;
		return 0;
	}
	struct gyr_reduce *reduce = KERNEL_PARAMS(prepare, struct gyr_reduce);
	if (reduce == NULL)
		return -ENOMEM;
	gyr_reduce_init(reduce, op, x, reduced);
	prepare->run = run_reduce_twin;
	return 0;
}

/* The parts of SHAPE before, at and behind AXIS, counted from the front or the end. */
static void split(struct gyr_order *order, const struct gyr_shape *shape, int64_t axis)
{
	uint32_t at = (uint32_t)(axis < 0 ? axis + shape->rank : axis);
	order->dtype = shape->dtype;
	order->outer = kernel_product(shape, 0, at);
	order->length = (size_t)shape->dims[at];
	order->inner = kernel_product(shape, at + 1, shape->rank);
}

static void run_arg(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_arg(params, inputs[0], outputs[0]);
}

static void run_arg_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_arg(params, inputs[0], outputs[0]);
}

static int prepare_arg(struct gyr_prepare *prepare)
{
	struct gyr_order *order = KERNEL_PARAMS(prepare, struct gyr_order);
	if (order == NULL)
		return -ENOMEM;
	split(order, prepare->inputs[0], gyr_node_integer(prepare->node, "axis", 0));
	order->least = prepare->node->op == GYR_OP_ARG_MIN;
	order->last = gyr_node_integer(prepare->node, "select_last_index", 0) != 0;
	prepare->run = order->dtype == GYR_DTYPE_F32 && !prepare->reference ? run_arg : run_arg_twin;
	return 0;
}

/* The second output may be left out. */
struct top_k {
	struct gyr_order order;
	bool places;
};

static void run_top_k(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct top_k *top = params;
	gyr_kernel_top_k(&top->order, inputs[0], outputs[0], top->places ? outputs[1] : NULL, scratch);
}

static void run_top_k_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct top_k *top = params;
	gyr_ref_top_k(&top->order, inputs[0], outputs[0], top->places ? outputs[1] : NULL);
}

static int prepare_top_k(struct gyr_prepare *prepare)
{
	int64_t axis = gyr_node_integer(prepare->node, "axis", -1);
	struct top_k *top = KERNEL_PARAMS(prepare, struct top_k);
	if (top == NULL)
		return -ENOMEM;
	split(&top->order, prepare->inputs[0], axis);
	top->order.least = gyr_node_integer(prepare->node, "largest", 1) == 0;
	top->order.k = (size_t)prepare->outputs[0].dims[axis < 0 ? axis + prepare->outputs[0].rank : axis];
	top->places = prepare->node->output_count > 1;
	prepare->unread |= UINT64_C(1) << 1;
	if (top->order.dtype != GYR_DTYPE_F32 || prepare->reference) {
		prepare->run = run_top_k_twin;
		return 0;
	}
	prepare->scratch_bytes = top->order.k * sizeof(int64_t);
	prepare->run = run_top_k;
	return 0;
}

/* The axis may be known only when it runs. */
struct cum_sum {
	struct gyr_order order;
	struct gyr_shape shape;
	enum gyr_dtype axis_type;
	bool reference;
};

static void run_cum_sum(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct cum_sum *sum = params;
	struct gyr_order order = sum->order;
	int64_t rank = sum->shape.rank;
	int64_t axis = sum->axis_type == GYR_DTYPE_I32 ? *(const gyr_i32_u *)inputs[1] : *(const gyr_i64_u *)inputs[1];
	/* One that is none, which a question may hold, is the nearest that is one. */
	axis = axis < -rank ? 0 : axis >= rank ? rank - 1 : axis;
	split(&order, &sum->shape, axis);
	if (sum->reference)
		gyr_ref_cum_sum(&order, inputs[0], outputs[0]);
	else
		gyr_kernel_cum_sum(&order, inputs[0], outputs[0]);
}

static int prepare_cum_sum(struct gyr_prepare *prepare)
{
	struct cum_sum *sum = KERNEL_PARAMS(prepare, struct cum_sum);
	if (sum == NULL)
		return -ENOMEM;
	sum->order.exclusive = gyr_node_integer(prepare->node, "exclusive", 0) != 0;
	sum->order.reversed = gyr_node_integer(prepare->node, "reverse", 0) != 0;
	sum->shape = *prepare->inputs[0];
	sum->axis_type = prepare->inputs[1]->dtype;
	sum->reference = prepare->reference || sum->shape.dtype != GYR_DTYPE_F32;
	prepare->run = run_cum_sum;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_REDUCE_L1, prepare_reduce},
	{GYR_OP_REDUCE_L2, prepare_reduce},
	{GYR_OP_REDUCE_LOG_SUM, prepare_reduce},
	{GYR_OP_REDUCE_MAX, prepare_reduce},
	{GYR_OP_REDUCE_LOG_SUM_EXP, prepare_reduce},
	{GYR_OP_REDUCE_MEAN, prepare_reduce},
	{GYR_OP_REDUCE_MIN, prepare_reduce},
	{GYR_OP_REDUCE_PROD, prepare_reduce},
	{GYR_OP_REDUCE_SUM, prepare_reduce},
	{GYR_OP_REDUCE_SUM_SQUARE, prepare_reduce},
	{GYR_OP_ARG_MAX, prepare_arg},
	{GYR_OP_ARG_MIN, prepare_arg},
	{GYR_OP_CUM_SUM, prepare_cum_sum},
	{GYR_OP_TOP_K, prepare_top_k},
};

const struct kernel_family kernel_family_reduce = {rows, KERNEL_COUNT(rows)};
