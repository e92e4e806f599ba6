/*
 * The matrix family: Gemm and MatMul with operands that are not known beforehand, and Softmax. A product with constant weights is a dense layer instead, which
 * engine/plan makes.
 */
#include <errno.h>

#include "engine/kernel/family.h"
#include "engine/kernel/product.h"
#include "engine/kernel/softmax.h"
#include "engine/ref/gemm.h"
#include "engine/ref/softmax.h"

static void run_gemm(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_gemm(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

static void run_matmul(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_gemm(params, inputs[0], inputs[1], NULL, outputs[0]);
}

static void run_product_and_sum(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_product_run(params, inputs[0], inputs[1], inputs[2], outputs[0], scratch);
}

static void run_product(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_product_run(params, inputs[0], inputs[1], NULL, outputs[0], scratch);
}

/* Has GEMM, which is prepare->params, run by the twin, or on microkernels where there are any. */
static int choose_product(struct gyr_prepare *prepare, const struct gyr_gemm *gemm, bool with_c)
{
	const struct gyr_product *product;
	int status = kernel_need_f32(prepare, prepare->inputs[0]);
	prepare->run = with_c ? run_gemm : run_matmul;
	if (status != 0 || prepare->reference || gemm->k == 0)
		return status;
	status = gyr_product_prepare(gemm, prepare->arena, prepare->packs, &product, prepare->error);
	if (status == -ENOTSUP)
		return 0;
	if (status != 0)
		return status;
	prepare->params = product;
	prepare->scratch_bytes = gyr_product_scratch_bytes(product);
	prepare->run = with_c ? run_product_and_sum : run_product;
	return 0;
}

static int prepare_gemm(struct gyr_prepare *prepare)
{
	const struct gyr_shape *a = prepare->inputs[0], *b = prepare->inputs[1], *c = kernel_input(prepare, 2);
	bool trans_a = gyr_node_integer(prepare->node, "transA", 0) != 0, trans_b = gyr_node_integer(prepare->node, "transB", 0) != 0;
	struct gyr_gemm *gemm = KERNEL_PARAMS(prepare, struct gyr_gemm);
	if (gemm == NULL)
		return -ENOMEM;
	gemm->alpha = gyr_node_number(prepare->node, "alpha", 1);
	gemm->beta = gyr_node_number(prepare->node, "beta", 1);
	gemm->m = (size_t)a->dims[trans_a];
	gemm->k = (size_t)a->dims[!trans_a];
	gemm->n = (size_t)b->dims[!trans_b];
	gemm->a_row = trans_a ? 1 : gemm->k;
	gemm->a_column = trans_a ? gemm->m : 1;
	gemm->b_row = trans_b ? 1 : gemm->n;
	gemm->b_column = trans_b ? gemm->k : 1;
	if (c != NULL && c->rank > 0)
		gemm->c_column = c->dims[c->rank - 1] == 1 ? 0 : 1;
	if (c != NULL && c->rank > 1)
		gemm->c_row = c->dims[0] == 1 ? 0 : (size_t)c->dims[1];
	return choose_product(prepare, gemm, c != NULL);
}

/* As numpy.matmul: a vector on the left is a row, one on the right a column; the leading dimensions broadcast. */
static int prepare_matmul(struct gyr_prepare *prepare)
{
	const struct gyr_shape *a = prepare->inputs[0], *b = prepare->inputs[1];
	struct gyr_gemm *gemm = KERNEL_PARAMS(prepare, struct gyr_gemm);
	if (gemm == NULL)
		return -ENOMEM;
	gemm->alpha = 1;
	gemm->m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
	gemm->k = (size_t)a->dims[a->rank - 1];
	gemm->n = b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1;
	gemm->a_row = gemm->k;
	gemm->b_row = gemm->n;
	gemm->a_column = gemm->b_column = 1;
	uint32_t a_leading = a->rank > 2 ? a->rank - 2 : 0, b_leading = b->rank > 2 ? b->rank - 2 : 0;
	gemm->leading = a_leading > b_leading ? a_leading : b_leading;
	size_t a_step = gemm->m * gemm->k, b_step = gemm->k * gemm->n;
	for (uint32_t place = 0; place < gemm->leading; place++) {
		size_t a_dim = place < a_leading ? (size_t)a->dims[a_leading - 1 - place] : 1;
		size_t b_dim = place < b_leading ? (size_t)b->dims[b_leading - 1 - place] : 1;
		uint32_t at = gemm->leading - 1 - place;
		gemm->dims[at] = a_dim == 1 ? b_dim : a_dim;
		gemm->a_strides[at] = a_dim == 1 ? 0 : a_step;
		gemm->b_strides[at] = b_dim == 1 ? 0 : b_step;
		a_step *= a_dim;
		b_step *= b_dim;
	}
	return choose_product(prepare, gemm, false);
}

struct softmax {
	size_t outer, length, inner;
};

static void run_softmax(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct softmax *softmax = params;
	gyr_kernel_softmax(softmax->outer, softmax->length, softmax->inner, inputs[0], outputs[0]);
}

static void run_softmax_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct softmax *softmax = params;
	gyr_ref_softmax(softmax->outer, softmax->length, softmax->inner, inputs[0], outputs[0]);
}

/* Before opset 13, Softmax took all dimensions from the axis on as one. */
static int prepare_softmax(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	bool flat = prepare->opset < 13;
	int64_t given = gyr_node_integer(prepare->node, "axis", flat ? 1 : -1);
	uint32_t axis = (uint32_t)(given < 0 ? given + x->rank : given);
	struct softmax *softmax = KERNEL_PARAMS(prepare, struct softmax);
	if (softmax == NULL)
		return -ENOMEM;
	softmax->outer = kernel_product(x, 0, axis);
	softmax->length = flat ? kernel_product(x, axis, x->rank) : (size_t)x->dims[axis];
	softmax->inner = flat ? 1 : kernel_product(x, axis + 1, x->rank);
	prepare->run = prepare->reference ? run_softmax_twin : run_softmax;
	return kernel_need_f32(prepare, x);
}

static const struct kernel_row rows[] = {
	{GYR_OP_GEMM, prepare_gemm},
	{GYR_OP_MATMUL, prepare_matmul},
	{GYR_OP_SOFTMAX, prepare_softmax},
};

const struct kernel_family kernel_family_matrix = {rows, KERNEL_COUNT(rows)};
