/*
 * The recurrent family, on f32.
 */
#include <errno.h>

#include "engine/kernel/family.h"
#include "engine/ref/recurrent.h"

enum { X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, P, INPUTS };
enum { Y, Y_H, Y_C, OUTPUTS };

struct recurrent {
	struct gyr_recurrent sizes;
	uint32_t input_count, output_count;
};

/* The tensors of a run. */
static struct gyr_recurrent_ends find_ends(const struct recurrent *recurrent, const void *const inputs[], void *const outputs[])
{
	const void *in[INPUTS] = {NULL};
	void *out[OUTPUTS] = {NULL};
	for (uint32_t i = 0; i < recurrent->input_count; i++)
		in[i] = inputs[i];
	for (uint32_t o = 0; o < recurrent->output_count; o++)
		out[o] = outputs[o];
	return (struct gyr_recurrent_ends){.x = in[X],
					   .w = in[W],
					   .r = in[R],
					   .b = in[B],
					   .lengths = in[LENGTHS],
					   .initial_h = in[INITIAL_H],
					   .initial_c = in[INITIAL_C],
					   .p = in[P],
					   .y = out[Y],
					   .y_h = out[Y_H],
					   .y_c = out[Y_C]};
}

static void run_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct recurrent *recurrent = params;
	const struct gyr_recurrent_ends ends = find_ends(recurrent, inputs, outputs);
	gyr_ref_recurrent(&recurrent->sizes, &ends, scratch);
}

static int prepare_recurrent(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[X];
	struct recurrent *recurrent = KERNEL_PARAMS(prepare, struct recurrent);
	if (recurrent == NULL)
		return -ENOMEM;
	struct gyr_recurrent *sizes = &recurrent->sizes;
	int status = gyr_recurrent_read(prepare->node, &sizes->cell, prepare->error);
	if (status == 0)
		status = kernel_need_f32(prepare, x);
	sizes->steps = (size_t)x->dims[sizes->cell.batch_first];
	sizes->batch = (size_t)x->dims[!sizes->cell.batch_first];
	sizes->inputs = (size_t)x->dims[2];
	sizes->units = (size_t)prepare->inputs[R]->dims[2];
	recurrent->input_count = prepare->node->input_count;
	recurrent->output_count = prepare->node->output_count;
	prepare->run = run_twin;
	prepare->scratch_bytes = gyr_ref_recurrent_scratch_bytes(sizes);
	return status;
}

static const struct kernel_row rows[] = {
	{GYR_OP_GRU, prepare_recurrent},
	{GYR_OP_LSTM, prepare_recurrent},
	{GYR_OP_RNN, prepare_recurrent},
};

const struct kernel_family kernel_family_recurrent = {rows, KERNEL_COUNT(rows)};
