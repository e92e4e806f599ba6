/*
 * gyr_train_run: checks, then epochs of steps, then a new graph.
 */
#include "engine/train/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "base/assertion.h"
#include "base/clock.h"
#include "engine/train/loss.h"
#include "engine/train/optimiser.h"
#include "engine/train/random.h"
#include "engine/train/tape.h"

#define FLUSH_DENORMALS 0x8040u /* MXCSR: flush to zero, denormals are zero */

/* Inputs with what is right for them, in the form that the loss takes. */
struct pairs {
	const struct gyr_dataset *inputs;
	uint32_t rows;
	uint32_t *classes; /* cross-entropy: rows */
	float *values;     /* MSE: rows x the output's row */
};

struct trainer {
	const struct gyr_graph *graph;
	const struct gyr_train_options *options;
	struct gyr_error *error;
	struct gyr_tape *tape;
	struct gyr_optimiser_state optimiser;
	struct gyr_random random;
	struct pairs pairs, held; /* held.rows is 0 where there are none */
	uint32_t *order;          /* of the rows in this epoch */
	uint32_t *batch_classes;
	float *batch_values;
};

struct tally {
	double loss; /* summed over rows */
	uint64_t right, rows;
};

static int check_options(const struct gyr_train_options *options, struct gyr_error *error)
{
	if (!(options->rate > 0) || !isfinite(options->rate))
		return gyr_error_set(error, -EINVAL, "the rate is %g; a number above 0 is expected", (double)options->rate);
	if (!(options->momentum >= 0 && options->momentum < 1))
		return gyr_error_set(error, -EINVAL, "the momentum is %g; 0 to below 1 is expected", (double)options->momentum);
	if (options->epochs == 0)
		return gyr_error_set(error, -EINVAL, "0 epochs; 1 or more are expected");
	if (options->batch == 0 || options->batch > GYR_TRAIN_BATCH_MAX)
		return gyr_error_set(error, -EINVAL, "a batch of %" PRIu32 " rows; 1 to %u are expected", options->batch, GYR_TRAIN_BATCH_MAX);
	return 0;
}

/* Reads element INDEX of a dataset. */
static double element(const struct gyr_dataset *dataset, size_t index)
{
	switch (dataset->shape.dtype) {
	case GYR_DTYPE_F32: return (double)((const float *)dataset->data)[index];
	case GYR_DTYPE_F64: return ((const double *)dataset->data)[index];
	case GYR_DTYPE_U8: return ((const uint8_t *)dataset->data)[index];
	case GYR_DTYPE_I8: return ((const int8_t *)dataset->data)[index];
	case GYR_DTYPE_I32: return ((const int32_t *)dataset->data)[index];
	case GYR_DTYPE_I64: return (double)((const int64_t *)dataset->data)[index];
	default: GYR_ASSERT(!"a type that a dataset has");
	}
}

static int read_classes(const char *what, const struct gyr_dataset *targets, size_t classes, struct pairs *pairs, struct gyr_error *error)
{
	pairs->classes = calloc(pairs->rows, sizeof *pairs->classes);
	if (pairs->classes == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for %" PRIu32 " targets", pairs->rows);
	for (uint32_t row = 0; row < pairs->rows; row++) {
		double number = element(targets, row);
		if (!(number >= 0 && number < (double)classes) || number != floor(number))
			return gyr_error_set(error, -EINVAL, "the %starget of row %" PRIu32 " is %g; a class number from 0 to %zu is expected", what, row,
					     number, classes - 1);
		pairs->classes[row] = (uint32_t)number;
	}
	return 0;
}

static int read_values(const struct gyr_dataset *targets, size_t width, struct pairs *pairs, struct gyr_error *error)
{
	pairs->values = calloc(pairs->rows, width * sizeof *pairs->values);
	if (pairs->values == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for %" PRIu32 " targets", pairs->rows);
	for (uint32_t row = 0; row < pairs->rows; row++)
		gyr_dataset_copy_row(targets, row, GYR_DTYPE_F32, pairs->values + row * width);
	return 0;
}

/* Checks that INPUTS and TARGETS fit the tape and each other, and prepares the targets. WHAT names them in messages. */
static int make_pairs(const struct trainer *trainer, const char *what, const struct gyr_dataset *inputs, const struct gyr_dataset *targets, struct pairs *pairs)
{
	const struct gyr_tape *tape = trainer->tape;
	struct gyr_error *error = trainer->error;
	bool classes = trainer->options->loss == GYR_LOSS_CROSS_ENTROPY;
	size_t width = gyr_dataset_row_count(targets), wanted = classes ? 1 : tape->output->row;
	if (gyr_dataset_row_count(inputs) != tape->input->row)
		return gyr_error_set(error, -EINVAL, "a row of the %sdata has %zu numbers; the model takes %zu", what, gyr_dataset_row_count(inputs),
				     tape->input->row);
	if (!gyr_dataset_converts(inputs, tape->input->dtype))
		return gyr_error_set(error, -EINVAL, "the %sdata is %s; the model takes %s", what, gyr_dtype_name(inputs->shape.dtype),
				     gyr_dtype_name(tape->input->dtype));
	if (width != wanted)
		return gyr_error_set(error, -EINVAL, "a row of the %stargets has %zu numbers; %s %zu", what, width,
				     classes ? "cross-entropy needs one class number, that is" : "the model answers with", wanted);
	if (inputs->shape.dims[0] != targets->shape.dims[0])
		return gyr_error_set(error, -EINVAL, "the %sdata has %" PRId64 " rows and the %stargets have %" PRId64 "; as many are expected", what,
				     inputs->shape.dims[0], what, targets->shape.dims[0]);
	if (inputs->shape.dims[0] > INT32_MAX)
		return gyr_error_set(error, -EINVAL, "the %sdata has %" PRId64 " rows; %d are the most", what, inputs->shape.dims[0], INT32_MAX);
	*pairs = (struct pairs){.inputs = inputs, .rows = (uint32_t)inputs->shape.dims[0]};
	return classes ? read_classes(what, targets, tape->output->row, pairs, error) : read_values(targets, width, pairs, error);
}

/* Brings the COUNT rows that ORDER names (NULL: from FIRST on) into the tape's input, and their targets beside it. */
static void load_batch(struct trainer *trainer, const struct pairs *pairs, const uint32_t *order, uint32_t first, uint32_t count)
{
	const struct gyr_tape_tensor *input = trainer->tape->input;
	size_t row_bytes = input->row * gyr_dtype_bytes(input->dtype), width = trainer->tape->output->row;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = order != NULL ? order[first + i] : first + i;
		gyr_dataset_copy_row(pairs->inputs, row, input->dtype, (uint8_t *)input->data + i * row_bytes);
		if (pairs->classes != NULL)
			trainer->batch_classes[i] = pairs->classes[row];
		else
			memcpy(trainer->batch_values + i * width, pairs->values + row * width, width * sizeof(float));
	}
}

/* Runs one batch forwards, adds its loss to TALLY, and leaves the loss's derivative in GRADIENT where it is wanted. */
static void run_batch(struct trainer *trainer, uint32_t count, float *gradient, struct tally *tally)
{
	const struct gyr_tape_tensor *output = trainer->tape->output;
	gyr_tape_forward(trainer->tape, count);
	uint64_t right = 0;
	double loss = trainer->options->loss == GYR_LOSS_CROSS_ENTROPY
			      ? gyr_loss_cross_entropy(output->data, trainer->batch_classes, count, output->row, gradient, &right)
			      : gyr_loss_mse(output->data, trainer->batch_values, count * output->row, gradient);
	tally->loss += loss * count;
	tally->right += right;
	tally->rows += count;
}

/* Fisher and Yates, as in Knuth, volume 2, 3.4.2, algorithm P. */
static void shuffle(uint32_t *order, uint32_t count, struct gyr_random *random)
{
	for (uint32_t i = count; i > 1; i--) {
		uint32_t other = gyr_random_below(random, i), kept = order[i - 1];
		order[i - 1] = order[other];
		order[other] = kept;
	}
}

static int run_epoch(struct trainer *trainer, struct tally *tally)
{
	uint32_t rows = trainer->pairs.rows, batch = trainer->tape->batch;
	if (trainer->options->shuffle)
		shuffle(trainer->order, rows, &trainer->random);
	for (uint32_t first = 0; first < rows; first += batch) {
		uint32_t count = rows - first < batch ? rows - first : batch;
		load_batch(trainer, &trainer->pairs, trainer->order, first, count);
		run_batch(trainer, count, trainer->tape->output->gradient, tally);
		if (!isfinite(tally->loss))
			return -EDOM;
		gyr_tape_backward(trainer->tape, count);
		gyr_optimiser_step(&trainer->optimiser, trainer->tape->weights, trainer->tape->gradients);
	}
	return 0;
}

static void run_held(struct trainer *trainer, struct tally *tally)
{
	uint32_t rows = trainer->held.rows, batch = trainer->tape->batch;
	for (uint32_t first = 0; first < rows; first += batch) {
		uint32_t count = rows - first < batch ? rows - first : batch;
		load_batch(trainer, &trainer->held, NULL, first, count);
		run_batch(trainer, count, NULL, tally);
	}
}

static int run_epochs(struct trainer *trainer, gyr_train_report *report, void *user)
{
	const struct gyr_train_options *options = trainer->options;
	uint64_t start_ns = gyr_clock_ns();
	bool going = true;
	for (uint32_t epoch = 1; epoch <= options->epochs && going; epoch++) {
		struct tally tally = {0}, held = {0};
		uint64_t epoch_ns = gyr_clock_ns();
		if (run_epoch(trainer, &tally) != 0)
			return gyr_error_set(trainer->error, -EDOM, "the loss became NaN or infinite in epoch %" PRIu32 "; a smaller rate than %g may help",
					     epoch, (double)options->rate);
		uint64_t epoch_end_ns = gyr_clock_ns();
		run_held(trainer, &held);
		uint64_t now_ns = gyr_clock_ns();
		const struct tally *judged = held.rows != 0 ? &held : &tally;
		struct gyr_train_progress progress = {
			.epoch = epoch,
			.epochs = options->epochs,
			.loss = tally.loss / (double)tally.rows,
			.held_loss = held.rows != 0 ? held.loss / (double)held.rows : NAN,
			.accuracy = options->loss == GYR_LOSS_CROSS_ENTROPY ? (double)judged->right / (double)judged->rows : NAN,
			.examples_per_s = (double)tally.rows * GYR_NS_PER_S / (double)(epoch_end_ns - epoch_ns + 1),
			.left_s = (double)(now_ns - start_ns) / epoch * (options->epochs - epoch) / GYR_NS_PER_S,
		};
		going = report == NULL || report(&progress, user);
	}
	/* Weights can leave the numbers in the very last step, which no later loss tells. */
	for (size_t i = 0; i < trainer->tape->weight_count; i++)
		if (!isfinite(trainer->tape->weights[i]))
			return gyr_error_set(trainer->error, -EDOM, "a weight became NaN or infinite; a smaller rate than %g may help", (double)options->rate);
	return 0;
}

/* Copies the graph with the tape's weights in place of the constants that were trained. */
static int copy_graph(const struct gyr_graph *graph, const struct gyr_tape *tape, struct gyr_graph *copy, struct gyr_error *error)
{
	int result = 0;
	uint32_t next = 0; /* parameters are in the order of their values */
	for (uint32_t i = 0; i < graph->value_count && result == 0; i++) {
		const struct gyr_value *value = &graph->values[i];
		const void *data = value->data;
		if (next < tape->parameter_count && tape->parameters[next].value == i)
			data = tape->weights + tape->parameters[next++].first;
		uint32_t index;
		result = gyr_graph_add_value(copy, value->name, &value->shape, data, true, &index, error);
		GYR_ASSERT(result != 0 || index == i);
	}
	for (uint32_t i = 0; i < graph->input_count && result == 0; i++)
		result = gyr_graph_add_input(copy, graph->inputs[i], error);
	copy->opset_ml = graph->opset_ml;
	for (uint32_t i = 0; i < graph->node_count && result == 0; i++)
		result = gyr_graph_add_node(copy, &graph->nodes[i], error);
	for (uint32_t i = 0; i < graph->output_count && result == 0; i++)
		result = gyr_graph_add_output(copy, graph->outputs[i], error);
	return result == 0 ? gyr_graph_finish(copy, error) : result;
}

static int make_graph(const struct trainer *trainer, struct gyr_graph **trained)
{
	struct gyr_graph *copy = gyr_graph_create(trainer->graph->name, trainer->graph->opset);
	int result = copy == NULL ? gyr_error_set(trainer->error, -ENOMEM, "no memory for the trained model")
				  : copy_graph(trainer->graph, trainer->tape, copy, trainer->error);
	if (result != 0)
		gyr_graph_destroy(copy);
	else
		*trained = copy;
	return result;
}

/* Takes everything that the run needs. */
static int prepare(struct trainer *trainer, const struct gyr_dataset *inputs, const struct gyr_dataset *targets, const struct gyr_dataset *held_inputs,
		   const struct gyr_dataset *held_targets)
{
	const struct gyr_train_options *options = trainer->options;
	struct gyr_error *error = trainer->error;
	int result = check_options(options, error);
	if (result != 0)
		return result;
	if ((held_inputs == NULL) != (held_targets == NULL))
		return gyr_error_set(error, -EINVAL, "held-out data needs both inputs and targets");
	uint32_t batch = inputs->shape.dims[0] < options->batch ? (uint32_t)inputs->shape.dims[0] : options->batch;
	result = gyr_tape_create(trainer->graph, batch, options->loss == GYR_LOSS_CROSS_ENTROPY, &trainer->tape, error);
	if (result == 0)
		result = make_pairs(trainer, "", inputs, targets, &trainer->pairs);
	if (result == 0 && held_inputs != NULL)
		result = make_pairs(trainer, "held-out ", held_inputs, held_targets, &trainer->held);
	if (result != 0)
		return result;
	struct gyr_tape *tape = trainer->tape;
	struct gyr_optimiser_state *optimiser = &trainer->optimiser;
	bool adam = options->optimiser == GYR_OPTIMISER_ADAM;
	*optimiser =
		(struct gyr_optimiser_state){.kind = options->optimiser, .rate = options->rate, .momentum = options->momentum, .count = tape->weight_count};
	optimiser->first = gyr_arena_array(&tape->arena, tape->weight_count, sizeof(float), GYR_TAPE_ALIGN);
	optimiser->second = adam ? gyr_arena_array(&tape->arena, tape->weight_count, sizeof(float), GYR_TAPE_ALIGN) : NULL;
	trainer->order = GYR_ARENA_NEW(&tape->arena, uint32_t, trainer->pairs.rows);
	trainer->batch_classes = GYR_ARENA_NEW(&tape->arena, uint32_t, batch);
	trainer->batch_values = gyr_arena_array(&tape->arena, batch, tape->output->row * sizeof(float), GYR_TAPE_ALIGN);
	if (optimiser->first == NULL || (adam && optimiser->second == NULL) || trainer->order == NULL || trainer->batch_classes == NULL ||
	    trainer->batch_values == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory to train '%s'", trainer->graph->name);
	for (uint32_t i = 0; i < trainer->pairs.rows; i++)
		trainer->order[i] = i;
	gyr_random_init(&trainer->random, options->seed);
	return 0;
}

int gyr_train_run(const struct gyr_graph *graph, const struct gyr_dataset *inputs, const struct gyr_dataset *targets, const struct gyr_dataset *held_inputs,
		  const struct gyr_dataset *held_targets, const struct gyr_train_options *options, gyr_train_report *report, void *user,
		  struct gyr_graph **trained, struct gyr_error *error)
{
	struct trainer trainer = {.graph = graph, .options = options, .error = error};
	/* One thread, so that sums are added up in one order; and moments that fade towards zero must not become denormal, which is slow. */
	int threads = omp_get_max_threads();
	omp_set_num_threads(1);
#if defined(__SSE2__)
	unsigned control = _mm_getcsr();
	_mm_setcsr(control | FLUSH_DENORMALS);
#endif
	int result = prepare(&trainer, inputs, targets, held_inputs, held_targets);
	if (result == 0)
		result = run_epochs(&trainer, report, user);
	if (result == 0)
		result = make_graph(&trainer, trained);
#if defined(__SSE2__)
	_mm_setcsr(control);
#endif
	omp_set_num_threads(threads);
	free(trainer.pairs.classes);
	free(trainer.pairs.values);
	free(trainer.held.classes);
	free(trainer.held.values);
	gyr_tape_destroy(trainer.tape);
	return result;
}
