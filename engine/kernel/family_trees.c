/*
 * The family of tree ensembles. Their trees are laid out once for all batch sizes; what the layout does not take (doubles, MIN, MAX) the twin runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/forest.h"
#include "engine/kernel/walk.h"
#include "engine/ref/unaligned.h"

#define SCRATCH_ALIGN 64u

/* What batch sizes share. */
struct ensemble {
	struct gyr_forest *forest; /* without its trees where there is a walk */
	struct gyr_walk *walk;     /* NULL: the twin runs it */
};

struct trees {
	const struct ensemble *ensemble;
	enum gyr_dtype x_dtype, y_dtype;
	size_t rows, scores;                           /* scores: of each row, in the answer */
	size_t sums_offset, row_offset, scores_offset; /* of the scratch */
};

static void destroy_ensemble(void *pack)
{
	struct ensemble *ensemble = pack;
	gyr_forest_destroy(ensemble->forest);
	gyr_walk_destroy(ensemble->walk);
	free(ensemble);
}

/* The answer of row ROW from its sums. */
static void answer(const struct trees *trees, size_t row, const double *sums, double *scores, void *const outputs[])
{
	const struct gyr_forest *forest = trees->ensemble->forest;
	bool labelled = forest->label_count != 0;
	void *y = outputs[labelled ? 1 : 0];
	int64_t label = 0;
	gyr_forest_finish(forest, sums, &label, scores);
	if (labelled)
		((gyr_i64_u *)outputs[0])[row] = label;
	for (size_t i = 0; y != NULL && i < trees->scores; i++) {
		if (trees->y_dtype == GYR_DTYPE_F64)
			((gyr_f64_u *)y)[row * trees->scores + i] = scores[i];
		else
			((gyr_f32_u *)y)[row * trees->scores + i] = (float)scores[i];
	}
}

/* A classifier may have its labels read alone, then there is no second output. */
static void answer_with(const struct trees *trees, size_t row, const double *sums, double *scores, void *const outputs[], bool second)
{
	void *const both[2] = {outputs[0], second ? outputs[1] : NULL};
	answer(trees, row, sums, scores, both);
}

static void run_twin(const struct trees *trees, const void *x, void *const outputs[], char *scratch, bool second)
{
	double *sums = (double *)(void *)(scratch + trees->row_offset), *scores = (double *)(void *)(scratch + trees->scores_offset);
	for (size_t row = 0; row < trees->rows; row++) {
		gyr_ref_forest_sums(trees->ensemble->forest, trees->x_dtype, x, row, scratch, sums);
		answer_with(trees, row, sums, scores, outputs, second);
	}
}

static void run_walk(const struct trees *trees, const void *x, void *const outputs[], char *scratch, bool second)
{
	const struct gyr_forest *forest = trees->ensemble->forest;
	float *sums = (float *)(void *)(scratch + trees->sums_offset);
	double *wide = (double *)(void *)(scratch + trees->row_offset), *scores = (double *)(void *)(scratch + trees->scores_offset);
	for (size_t from = 0; from < trees->rows; from += GYR_WALK_ROWS) {
		size_t rows = trees->rows - from < GYR_WALK_ROWS ? trees->rows - from : GYR_WALK_ROWS;
		gyr_walk_sums(trees->ensemble->walk, trees->x_dtype, x, from, rows, scratch, sums);
		for (size_t row = 0; row < rows; row++) {
			for (size_t i = 0; i < forest->targets; i++)
				wide[i] = (double)sums[row * forest->targets + i];
			answer_with(trees, from + row, wide, scores, outputs, second);
		}
	}
}

#define RUN(name, compute, second)                                                                                                                             \
	static void name(const void *params, const void *const inputs[], void *const outputs[], void *scratch)                                                 \
	{                                                                                                                                                      \
		compute(params, inputs[0], outputs, scratch, second);                                                                                          \
	}
RUN(run_twin_one, run_twin, false)
RUN(run_twin_two, run_twin, true)
RUN(run_walk_one, run_walk, false)
RUN(run_walk_two, run_walk, true)

/* The trees of the node, from a batch size before or made now. */
static int take_ensemble(struct gyr_prepare *prepare, const struct ensemble **shared)
{
	const struct gyr_shape *x = prepare->inputs[0];
	uint64_t tag = GYR_OP_TREE_ENSEMBLE;
	if ((*shared = gyr_packs_find(prepare->packs, prepare->node, tag)) != NULL)
		return 0;
	struct ensemble *ensemble = calloc(1, sizeof *ensemble);
	if (ensemble == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the trees");
	int status = gyr_forest_read(prepare->node, x->dtype, (size_t)x->dims[x->rank - 1], &ensemble->forest, prepare->error);
	if (status == 0 && !prepare->reference)
		status = gyr_walk_create(ensemble->forest, &ensemble->walk, prepare->error);
	if (status == 0 && ensemble->walk != NULL)
		gyr_forest_forget_trees(ensemble->forest);
	if (status == 0) {
		size_t bytes = sizeof *ensemble + gyr_forest_bytes(ensemble->forest) + (ensemble->walk != NULL ? gyr_walk_bytes(ensemble->walk) : 0);
		if (!gyr_packs_keep(prepare->packs, prepare->node, tag, ensemble, bytes, destroy_ensemble))
			status = gyr_error_set(prepare->error, -ENOMEM, "no memory for the trees");
	}
	if (status != 0)
		destroy_ensemble(ensemble);
	*shared = ensemble;
	return status;
}

static size_t round_up(size_t bytes)
{
	return (bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
}

static int prepare_trees(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct trees *trees = KERNEL_PARAMS(prepare, struct trees);
	if (trees == NULL)
		return -ENOMEM;
	if (x->dtype != GYR_DTYPE_F32 && x->dtype != GYR_DTYPE_F64 && x->dtype != GYR_DTYPE_I32 && x->dtype != GYR_DTYPE_I64)
		return gyr_error_set(prepare->error, -ENOTSUP, "it is not run on %s", gyr_dtype_name(x->dtype));
	int status = take_ensemble(prepare, &trees->ensemble);
	if (status != 0)
		return status;
	const struct gyr_forest *forest = trees->ensemble->forest;
	const struct gyr_walk *walk = trees->ensemble->walk;
	bool second = prepare->node->output_count > 1 && prepare->node->outputs[1] != GYR_VALUE_NONE;
	trees->x_dtype = x->dtype;
	trees->y_dtype = forest->label_count != 0 ? GYR_DTYPE_F32 : prepare->outputs[0].dtype;
	if (trees->y_dtype == GYR_DTYPE_F64 && forest->transform != GYR_ML_NONE)
		return gyr_error_set(prepare->error, -ENOTSUP, "a post_transform of f64");
	trees->rows = x->rank == 1 ? 1 : (size_t)x->dims[0];
	trees->scores = forest->label_count != 0 ? forest->label_count : forest->targets;
	size_t most = trees->scores > forest->targets ? trees->scores : forest->targets;
	size_t tile = trees->rows < GYR_WALK_ROWS ? trees->rows : GYR_WALK_ROWS;
	trees->sums_offset = round_up(walk != NULL ? gyr_walk_scratch(walk, tile) : gyr_ref_forest_scratch(forest));
	trees->row_offset = trees->sums_offset + (walk != NULL ? round_up(tile * forest->targets * sizeof(float)) : 0);
	trees->scores_offset = trees->row_offset + round_up(forest->targets * sizeof(double));
	prepare->scratch_bytes = trees->scores_offset + most * sizeof(double);
	if (walk != NULL)
		prepare->run = second ? run_walk_two : run_walk_one;
	else
		prepare->run = second ? run_twin_two : run_twin_one;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_TREE_ENSEMBLE, prepare_trees}, {GYR_OP_TREE_ENSEMBLE_CLASSIFIER, prepare_trees}, {GYR_OP_TREE_ENSEMBLE_REGRESSOR, prepare_trees}};

const struct kernel_family kernel_family_trees = {rows, KERNEL_COUNT(rows)};
