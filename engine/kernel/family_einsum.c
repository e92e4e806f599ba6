/*
 * Einsum. On f32 the operands are taken in from left to right: what only one of them has, and the result does not, is summed over first; then what is left is
 * one product of matrices for each index that both have and that is kept. An operand whose labels do not lie as that needs is moved into scratch. Types other
 * than f32 run the twin.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/product.h"
#include "engine/ref/einsum.h"
#include "engine/ref/unaligned.h"

#define LABELS GYR_EINSUM_LABELS_MAX
#define STEPS_EACH 7u /* at most: for each further operand, four to put it and what is there in order, two sums, and the product */
#define ALIGN ((size_t)64)

/* Where something lies. */
struct place {
	enum { INPUT, SCRATCH, RESULT } kind;
	uint32_t index; /* of an input */
	size_t offset;  /* bytes in the scratch */
};

/* A tensor with labels. */
struct operand {
	struct place place;
	bool has[LABELS];
	size_t strides[LABELS];
};

/* A list of labels. */
struct list {
	uint32_t count;
	uint8_t labels[LABELS];
};

/* Sums over some labels into a dense tensor of others; over none, it moves. */
struct walk {
	uint32_t kept, rank; /* dimensions; those behind the kept ones are summed over */
	size_t dims[LABELS], strides[LABELS];
};

struct step {
	struct place a, b, y;
	const struct gyr_product *product; /* or NULL: WALK from a to y */
	struct walk walk;
};

struct einsum {
	uint32_t step_count;
	size_t product_scratch; /* where the products' own scratch is */
	struct step steps[];
};

struct twin {
	struct gyr_einsum einsum;
	enum gyr_dtype dtype;
	struct gyr_einsum_strides strides[]; /* one an operand */
};

static void run_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct twin *twin = params;
	gyr_ref_einsum(&twin->einsum, twin->dtype, twin->strides, inputs, outputs[0]);
}

static void run_walk(const struct walk *walk, const gyr_f32_u *x, gyr_f32_u *y)
{
	size_t index[LABELS] = {0}, results = 1, terms = 1;
	for (uint32_t i = 0; i < walk->rank; i++)
		*(i < walk->kept ? &results : &terms) *= walk->dims[i];
	for (size_t r = 0; r < results; r++) {
		double sum = 0;
		for (size_t t = 0; t < terms; t++) {
			sum += (double)*x;
			for (uint32_t i = walk->rank; i-- > walk->kept;) {
				x += walk->strides[i];
				if (++index[i] < walk->dims[i])
					break;
				x -= walk->strides[i] * walk->dims[i];
				index[i] = 0;
			}
		}
		y[r] = (float)sum;
		for (uint32_t i = walk->kept; i-- > 0;) {
			x += walk->strides[i];
			if (++index[i] < walk->dims[i])
				break;
			x -= walk->strides[i] * walk->dims[i];
			index[i] = 0;
		}
	}
}

static void run_einsum(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct einsum *einsum = params;
	char *own = scratch == NULL ? NULL : (char *)scratch + einsum->product_scratch; /* of the products */
	for (uint32_t i = 0; i < einsum->step_count; i++) {
		const struct step *step = &einsum->steps[i];
		const void *a = step->a.kind == INPUT ? inputs[step->a.index] : (char *)scratch + step->a.offset;
		void *y = step->y.kind == RESULT ? outputs[0] : (char *)scratch + step->y.offset;
		if (step->product == NULL) {
			run_walk(&step->walk, a, y);
			continue;
		}
		const void *b = step->b.kind == INPUT ? inputs[step->b.index] : (char *)scratch + step->b.offset;
		gyr_product_run(step->product, a, b, NULL, y, own);
	}
}

/* While it is prepared. */
struct builder {
	struct gyr_prepare *prepare;
	const struct gyr_einsum *sum;
	struct einsum *einsum;
	size_t scratch, product_scratch; /* bytes */
};

static struct step *add_step(struct builder *builder, struct place a, struct place b, struct place y)
{
	struct step *step = &builder->einsum->steps[builder->einsum->step_count++];
	*step = (struct step){.a = a, .b = b, .y = y};
	return step;
}

static size_t size_of(const struct builder *builder, const struct list *list)
{
	size_t size = 1;
	for (uint32_t i = 0; i < list->count; i++)
		size *= (size_t)builder->sum->sizes[list->labels[i]];
	return size;
}

/* Room for COUNT floats. */
static struct place take(struct builder *builder, size_t count)
{
	struct place place = {.kind = SCRATCH, .offset = builder->scratch};
	builder->scratch += (count * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
	return place;
}

/* Adds A's labels for which WANTED, but those of one element, in order. */
static void append(const struct builder *builder, struct list *list, const bool *wanted)
{
	for (uint32_t l = 0; l < builder->sum->label_count; l++)
		if (wanted[l] && builder->sum->sizes[l] != 1)
			list->labels[list->count++] = (uint8_t)l;
}

static void append_all(struct list *list, const struct list *more)
{
	for (uint32_t i = 0; i < more->count; i++)
		list->labels[list->count++] = more->labels[i];
}

/* Has OPERAND be the dense tensor of KEPT at PLACE. */
static void make_dense(const struct builder *builder, struct operand *operand, const struct list *kept, struct place place)
{
	size_t step = 1;
	*operand = (struct operand){.place = place};
	for (uint32_t i = kept->count; i-- > 0;) {
		uint32_t l = kept->labels[i];
		operand->has[l] = true;
		operand->strides[l] = step;
		step *= (size_t)builder->sum->sizes[l];
	}
}

/* Sums OPERAND over the labels GONE into the dense tensor of KEPT at PLACE, which it becomes. */
static void walk_into(struct builder *builder, struct operand *operand, const struct list *kept, const struct list *gone, struct place place)
{
	struct step *step = add_step(builder, operand->place, operand->place, place);
	struct list all = *kept;
	append_all(&all, gone);
	step->walk.kept = kept->count;
	step->walk.rank = all.count;
	for (uint32_t i = 0; i < all.count; i++) {
		step->walk.dims[i] = (size_t)builder->sum->sizes[all.labels[i]];
		step->walk.strides[i] = operand->strides[all.labels[i]];
	}
	make_dense(builder, operand, kept, place);
}

/* Whether OPERAND has the labels of LIST lie as one dimension, with *STRIDE from one element to the next. */
static bool chains(const struct builder *builder, const struct operand *operand, const struct list *list, size_t *stride)
{
	*stride = list->count == 0 ? 1 : operand->strides[list->labels[list->count - 1]];
	for (uint32_t i = 1; i < list->count; i++)
		if (operand->strides[list->labels[i - 1]] != operand->strides[list->labels[i]] * (size_t)builder->sum->sizes[list->labels[i]])
			return false;
	return true;
}

/* Sums over what no other operand and not the result has. */
static void sum_own(struct builder *builder, struct operand *operand, const bool *needed)
{
	bool keeps[LABELS], goes[LABELS];
	struct list kept = {0}, gone = {0};
	for (uint32_t l = 0; l < builder->sum->label_count; l++) {
		keeps[l] = operand->has[l] && needed[l];
		goes[l] = operand->has[l] && !needed[l];
	}
	append(builder, &kept, keeps);
	append(builder, &gone, goes);
	if (gone.count != 0)
		walk_into(builder, operand, &kept, &gone, take(builder, size_of(builder, &kept)));
}

/* The leading dimensions of GEMM: LIST, those that both operands have lie as one taken as one. False: too many. */
static bool set_leading(const struct builder *builder, const struct operand *a, const struct operand *b, const struct list *list, struct gyr_gemm *gemm)
{
	for (uint32_t i = 0; i < list->count; i++) {
		uint32_t l = list->labels[i], last = gemm->leading - 1;
		size_t size = (size_t)builder->sum->sizes[l];
		if (gemm->leading > 0 && gemm->a_strides[last] == a->strides[l] * size && gemm->b_strides[last] == b->strides[l] * size) {
			gemm->dims[last] *= size;
		} else {
			if (gemm->leading == GYR_RANK_MAX)
				return false;
			last = gemm->leading++;
			gemm->dims[last] = size;
		}
		gemm->a_strides[last] = a->strides[l];
		gemm->b_strides[last] = b->strides[l];
	}
	return true;
}

/* A's labels in the order in which a product wants them, when they do not lie so, or when FORCED. */
static void settle(struct builder *builder, struct operand *operand, const struct list *both, const struct list *first, const struct list *second, bool forced)
{
	size_t stride;
	struct list all = *both, none = {0};
	if (!forced && chains(builder, operand, first, &stride) && chains(builder, operand, second, &stride))
		return;
	append_all(&all, first);
	append_all(&all, second);
	walk_into(builder, operand, &all, &none, take(builder, size_of(builder, &all)));
}

/* A becomes the product of A and B, with the labels NEEDED; the last one is made in the result where its labels come in that order. */
static int multiply(struct builder *builder, struct operand *a, struct operand *b, const bool *needed, bool last)
{
	bool in_both[LABELS], in_a[LABELS], in_b[LABELS], summed[LABELS];
	struct list both = {0}, rows = {0}, columns = {0}, terms = {0};
	for (uint32_t l = 0; l < builder->sum->label_count; l++) {
		in_both[l] = a->has[l] && b->has[l] && needed[l];
		in_a[l] = a->has[l] && !b->has[l];
		in_b[l] = b->has[l] && !a->has[l];
		summed[l] = a->has[l] && b->has[l] && !needed[l];
	}
	append(builder, &both, in_both);
	append(builder, &rows, in_a);
	append(builder, &columns, in_b);
	append(builder, &terms, summed);
	if (columns.count != 0 && (rows.count == 0 || columns.labels[0] < rows.labels[0])) { /* nearer to the order of the result */
		struct operand swapped = *a;
		struct list list = rows;
		*a = *b;
		*b = swapped;
		rows = columns;
		columns = list;
	}
	struct gyr_gemm gemm = {.alpha = 1, .m = size_of(builder, &rows), .n = size_of(builder, &columns), .k = size_of(builder, &terms)};
	settle(builder, a, &both, &rows, &terms, false);
	settle(builder, b, &both, &terms, &columns, false);
	if (!set_leading(builder, a, b, &both, &gemm)) {
		settle(builder, a, &both, &rows, &terms, true);
		settle(builder, b, &both, &terms, &columns, true);
		gemm.leading = 0;
		(void)set_leading(builder, a, b, &both, &gemm); /* dense, they are one */
	}
	(void)chains(builder, a, &rows, &gemm.a_row);
	(void)chains(builder, a, &terms, &gemm.a_column);
	(void)chains(builder, b, &terms, &gemm.b_row);
	(void)chains(builder, b, &columns, &gemm.b_column);
	struct list all = both;
	append_all(&all, &rows);
	append_all(&all, &columns);
	for (uint32_t i = 1; i < all.count; i++)
		last = last && all.labels[i - 1] < all.labels[i];
	struct place y = last ? (struct place){.kind = RESULT} : take(builder, size_of(builder, &all));
	struct step *step = add_step(builder, a->place, b->place, y);
	int status = gyr_product_prepare(&gemm, builder->prepare->arena, builder->prepare->packs, &step->product, builder->prepare->error);
	if (status != 0)
		return status;
	if (gyr_product_scratch_bytes(step->product) > builder->product_scratch)
		builder->product_scratch = gyr_product_scratch_bytes(step->product);
	make_dense(builder, a, &all, y);
	return 0;
}

/* The labels that the result or an operand from FIRST on has. */
static void find_needed(const struct gyr_einsum *sum, const struct operand *operands, uint32_t first, bool *needed)
{
	for (uint32_t l = 0; l < sum->label_count; l++) {
		needed[l] = l < sum->output_rank;
		for (uint32_t i = first; i < sum->operand_count; i++)
			needed[l] = needed[l] || operands[i].has[l];
	}
}

static int build(struct builder *builder, struct operand *operands)
{
	const struct gyr_einsum *sum = builder->sum;
	struct operand *so_far = &operands[0];
	bool needed[LABELS] = {false};
	int status = 0;
	for (uint32_t i = 1; i < sum->operand_count && status == 0; i++) {
		find_needed(sum, operands, i, needed);
		sum_own(builder, so_far, needed);
		find_needed(sum, operands, i + 1, needed);
		for (uint32_t l = 0; l < sum->label_count; l++)
			needed[l] = needed[l] || so_far->has[l];
		sum_own(builder, &operands[i], needed);
		find_needed(sum, operands, i + 1, needed);
		status = multiply(builder, so_far, &operands[i], needed, i + 1 == sum->operand_count);
	}
	if (status != 0 || so_far->place.kind == RESULT)
		return status;
	struct list kept = {0}, gone = {0};
	bool result[LABELS], others[LABELS];
	for (uint32_t l = 0; l < sum->label_count; l++) {
		result[l] = l < sum->output_rank;
		others[l] = l >= sum->output_rank && so_far->has[l];
	}
	append(builder, &kept, result);
	append(builder, &gone, others);
	walk_into(builder, so_far, &kept, &gone, (struct place){.kind = RESULT});
	return 0;
}

static int prepare_fast(struct gyr_prepare *prepare, const struct gyr_einsum *sum)
{
	struct operand *operands = GYR_ARENA_NEW(prepare->arena, struct operand, sum->operand_count);
	struct einsum *einsum = kernel_params(prepare, sizeof *einsum + STEPS_EACH * sum->operand_count * sizeof einsum->steps[0]);
	if (einsum == NULL)
		return -ENOMEM;
	if (operands == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	for (uint32_t i = 0; i < sum->operand_count; i++) {
		struct gyr_einsum_strides strides;
		gyr_einsum_strides(sum, i, prepare->inputs[i], &strides);
		operands[i].place = (struct place){.kind = INPUT, .index = i};
		for (uint32_t k = 0; k < sum->ranks[i]; k++)
			operands[i].has[sum->labels[i][k]] = true;
		memcpy(operands[i].strides, strides.along, sizeof strides.along);
	}
	struct builder builder = {.prepare = prepare, .sum = sum, .einsum = einsum};
	int status = build(&builder, operands);
	einsum->product_scratch = builder.scratch;
	prepare->scratch_bytes = builder.scratch + builder.product_scratch;
	prepare->run = run_einsum;
	return status;
}

static int prepare_einsum(struct gyr_prepare *prepare)
{
	struct gyr_einsum sum;
	const struct gyr_infer infer = {.node = prepare->node, .opset = prepare->opset, .inputs = prepare->inputs, .error = prepare->error};
	int status = gyr_einsum_read(&infer, &sum);
	bool empty = false;
	for (uint32_t l = 0; l < sum.label_count && status == 0; l++)
		empty = empty || sum.sizes[l] == 0;
	if (status == 0 && prepare->inputs[0]->dtype == GYR_DTYPE_F32 && !prepare->reference && !empty) {
		status = prepare_fast(prepare, &sum);
		if (status != -ENOTSUP)
			return status;
		status = 0; /* a CPU without microkernels */
		prepare->scratch_bytes = 0;
	}
	if (status != 0)
		return status;
	struct twin *twin = kernel_params(prepare, sizeof *twin + sum.operand_count * sizeof twin->strides[0]);
	if (twin == NULL)
		return -ENOMEM;
	twin->einsum = sum;
	twin->dtype = prepare->inputs[0]->dtype;
	for (uint32_t i = 0; i < sum.operand_count; i++)
		gyr_einsum_strides(&sum, i, prepare->inputs[i], &twin->strides[i]);
	prepare->run = run_twin;
	return 0;
}

static const struct kernel_row rows[] = {{GYR_OP_EINSUM, prepare_einsum}};

const struct kernel_family kernel_family_einsum = {rows, KERNEL_COUNT(rows)};
