/*
 * Whole runs: they repeat, they learn, they report, they refuse.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/train/random.h"
#include "engine/train/train.h"

#define REPORTS_MAX 1000u

struct log {
	uint32_t count, stop_after; /* 0: never */
	struct gyr_train_progress reports[REPORTS_MAX];
};

static bool note(const struct gyr_train_progress *progress, void *user)
{
	struct log *log = user;
	assert_true(log->count < REPORTS_MAX);
	log->reports[log->count++] = *progress;
	return log->count != log->stop_after;
}

/* Rows of random f32 numbers between -1 and 1. */
static struct gyr_dataset random_rows(int64_t rows, int64_t width, uint64_t seed)
{
	struct gyr_dataset dataset = {.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {rows, width}}};
	struct gyr_random random;
	gyr_random_init(&random, seed);
	float *numbers = malloc((size_t)(rows * width) * sizeof *numbers);
	assert_non_null(numbers);
	for (int64_t i = 0; i < rows * width; i++)
		numbers[i] = (float)(2 * gyr_random_uniform(&random) - 1);
	dataset.data = numbers;
	return dataset;
}

/* The class of a row: which of its first three numbers is the largest. Learnable, and not linear. */
static struct gyr_dataset classes_of(const struct gyr_dataset *rows)
{
	struct gyr_dataset dataset = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {rows->shape.dims[0]}}};
	uint8_t *classes = malloc((size_t)rows->shape.dims[0]);
	assert_non_null(classes);
	for (int64_t i = 0; i < rows->shape.dims[0]; i++) {
		const float *row = (const float *)rows->data + i * rows->shape.dims[1];
		classes[i] = row[0] >= row[1] && row[0] >= row[2] ? 0 : row[1] >= row[2] ? 1 : 2;
	}
	dataset.data = classes;
	return dataset;
}

static struct gyr_graph *dense(const uint32_t *sizes, uint32_t count, enum gyr_loss loss)
{
	struct gyr_graph *graph = NULL;
	struct gyr_error error = {0};
	int result = gyr_train_build_dense("net", sizes, count, GYR_DTYPE_F32, 0, loss, 1, &graph, &error);
	if (result != 0)
		fail_msg("%d: %s", result, error.text);
	return graph;
}

static const struct gyr_train_options adam = {
	.loss = GYR_LOSS_MSE, .optimiser = GYR_OPTIMISER_ADAM, .rate = 1e-3f, .epochs = 3, .batch = 32, .shuffle = true, .seed = 1};

static struct gyr_graph *must_train(const struct gyr_graph *graph, const struct gyr_dataset *inputs, const struct gyr_dataset *targets,
				    const struct gyr_train_options *options, struct log *log)
{
	struct gyr_graph *trained = NULL;
	struct gyr_error error = {0};
	int result = gyr_train_run(graph, inputs, targets, NULL, NULL, options, log != NULL ? note : NULL, log, &trained, &error);
	if (result != 0)
		fail_msg("%d: %s", result, error.text);
	return trained;
}

static bool same_constants(const struct gyr_graph *a, const struct gyr_graph *b)
{
	assert_int_equal(a->value_count, b->value_count);
	for (uint32_t i = 0; i < a->value_count; i++) {
		size_t bytes;
		assert_string_equal(a->values[i].name, b->values[i].name);
		if (a->values[i].data == NULL)
			continue;
		assert_true(gyr_shape_bytes(&a->values[i].shape, 1, &bytes));
		if (memcmp(a->values[i].data, b->values[i].data, bytes) != 0)
			return false;
	}
	return true;
}

static void a_run_repeats_bit_for_bit(void **state)
{
	const uint32_t sizes[] = {20, 33, 7};
	struct gyr_graph *graph = dense(sizes, 3, GYR_LOSS_MSE), *again = dense(sizes, 3, GYR_LOSS_MSE);
	assert_true(same_constants(graph, again));
	/* 101 rows in batches of 32: the last has 5. */
	struct gyr_dataset x = random_rows(101, 20, 2), t = random_rows(101, 7, 3);
	struct log first_log = {0}, second_log = {0};
	struct gyr_graph *first = must_train(graph, &x, &t, &adam, &first_log), *second = must_train(again, &x, &t, &adam, &second_log);
	assert_true(same_constants(first, second));
	assert_true(same_constants(graph, again)); /* what was trained from is as it was */
	assert_false(same_constants(first, graph));
	for (uint32_t i = 0; i < 3; i++)
		assert_memory_equal(&first_log.reports[i].loss, &second_log.reports[i].loss, sizeof(double));
	gyr_graph_destroy(second);
	/* Another seed is another order; without shuffling the seed does not matter. */
	struct gyr_train_options options = adam;
	options.seed = 2;
	second = must_train(graph, &x, &t, &options, NULL);
	assert_false(same_constants(first, second));
	gyr_graph_destroy(first);
	gyr_graph_destroy(second);
	options.shuffle = false;
	first = must_train(graph, &x, &t, &options, NULL);
	options.seed = 3;
	second = must_train(graph, &x, &t, &options, NULL);
	assert_true(same_constants(first, second));
	gyr_graph_destroy(first);
	gyr_graph_destroy(second);
	gyr_graph_destroy(graph);
	gyr_graph_destroy(again);
	gyr_dataset_fini(&x);
	gyr_dataset_fini(&t);
}

/* The teaching example as given: 100-200-100, mean squared error, Adam at 1e-3, 1,000 epochs. */
static void teaching_example(void **state)
{
	struct gyr_graph *graph = dense((const uint32_t[]){100, 200, 100}, 3, GYR_LOSS_MSE);
	struct gyr_dataset x = random_rows(64, 100, 4), t = random_rows(64, 100, 5);
	struct gyr_train_options options = adam;
	struct log log = {0};
	options.epochs = 1000;
	struct gyr_graph *trained = must_train(graph, &x, &t, &options, &log);
	assert_int_equal(log.count, 1000);
	assert_true(log.reports[0].loss > 0.3);
	assert_true(log.reports[999].loss < log.reports[0].loss / 100); /* 64 random answers can be learnt by heart */
	assert_true(isnan(log.reports[0].accuracy) && isnan(log.reports[0].held_loss));
	gyr_graph_destroy(trained);
	gyr_graph_destroy(graph);
	gyr_dataset_fini(&x);
	gyr_dataset_fini(&t);
}

static void classes_are_learnt(void **state)
{
	struct gyr_graph *graph = dense((const uint32_t[]){6, 32, 3}, 3, GYR_LOSS_CROSS_ENTROPY);
	struct gyr_dataset x = random_rows(2000, 6, 6), held_x = random_rows(501, 6, 7), t = classes_of(&x), held_t = classes_of(&held_x);
	for (int i = 0; i < 2; i++) {
		struct gyr_train_options options = {.loss = GYR_LOSS_CROSS_ENTROPY, .rate = i == 0 ? 5e-3f : 0.05f, .epochs = 20, .batch = 64, .shuffle = true};
		options.optimiser = i == 0 ? GYR_OPTIMISER_ADAM : GYR_OPTIMISER_SGD;
		options.momentum = i == 0 ? 0 : 0.9f;
		struct log log = {0};
		struct gyr_error error = {0};
		struct gyr_graph *trained;
		assert_int_equal(gyr_train_run(graph, &x, &t, &held_x, &held_t, &options, note, &log, &trained, &error), 0);
		assert_int_equal(log.count, 20);
		for (uint32_t epoch = 0; epoch < 20; epoch++) {
			const struct gyr_train_progress *report = &log.reports[epoch];
			assert_int_equal(report->epoch, epoch + 1);
			assert_int_equal(report->epochs, 20);
			assert_true(report->accuracy >= 0 && report->accuracy <= 1 && report->examples_per_s > 0 && report->left_s >= 0);
		}
		assert_true(log.reports[19].accuracy > 0.93 && log.reports[19].held_loss < 0.2 && log.reports[19].loss < 0.2);
		assert_true(log.reports[19].left_s == 0);
		gyr_graph_destroy(trained);
		/* Without held-out data the accuracy is that of the rows trained on. */
		memset(&log, 0, sizeof log);
		trained = must_train(graph, &x, &t, &options, &log);
		assert_true(log.reports[19].accuracy > 0.93 && isnan(log.reports[19].held_loss));
		gyr_graph_destroy(trained);
	}
	gyr_graph_destroy(graph);
	gyr_dataset_fini(&x);
	gyr_dataset_fini(&t);
	gyr_dataset_fini(&held_x);
	gyr_dataset_fini(&held_t);
}

static void a_stopped_run_keeps_what_it_learnt(void **state)
{
	struct gyr_graph *graph = dense((const uint32_t[]){5, 3}, 2, GYR_LOSS_MSE);
	struct gyr_dataset x = random_rows(10, 5, 8), t = random_rows(10, 3, 9);
	struct gyr_train_options options = adam;
	struct log log = {.stop_after = 2};
	options.epochs = 100;
	struct gyr_graph *stopped = must_train(graph, &x, &t, &options, &log);
	assert_int_equal(log.count, 2);
	options.epochs = 2;
	struct gyr_graph *whole = must_train(graph, &x, &t, &options, NULL);
	assert_true(same_constants(stopped, whole));
	gyr_graph_destroy(stopped);
	gyr_graph_destroy(whole);
	gyr_graph_destroy(graph);
	gyr_dataset_fini(&x);
	gyr_dataset_fini(&t);
}

/* Raw bytes in, the divisor part of the model and not trained. */
static void raw_data_and_divisor(void **state)
{
	struct gyr_graph *graph;
	struct gyr_error error = {0};
	assert_int_equal(gyr_train_build_dense("net", (const uint32_t[]){4, 8, 2}, 3, GYR_DTYPE_U8, 255, GYR_LOSS_CROSS_ENTROPY, 1, &graph, &error), 0);
	assert_int_equal(graph->values[graph->inputs[0]].shape.dtype, GYR_DTYPE_U8);
	uint8_t pixels[40 * 4], labels[40];
	for (int i = 0; i < 40; i++) {
		labels[i] = i % 2;
		for (int j = 0; j < 4; j++)
			pixels[4 * i + j] = (uint8_t)(labels[i] != 0 ? 200 + i : 20 + i);
	}
	struct gyr_dataset x = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 3, .dims = {40, 2, 2}}, .data = pixels};
	struct gyr_dataset t = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 2, .dims = {40, 1}}, .data = labels};
	struct gyr_train_options options = adam;
	struct log log = {0};
	options.loss = GYR_LOSS_CROSS_ENTROPY;
	options.rate = 0.05f;
	options.epochs = 60;
	struct gyr_graph *trained = must_train(graph, &x, &t, &options, &log);
	assert_true(log.reports[59].accuracy == 1);
	uint32_t divisor = gyr_graph_find(trained, "divisor");
	assert_true(divisor != GYR_VALUE_NONE && *(const float *)trained->values[divisor].data == 255);
	assert_true(gyr_graph_same_signature(graph, trained, &error));
	gyr_graph_destroy(trained);
	gyr_graph_destroy(graph);
}

static void he_initialisation(void **state)
{
	struct gyr_graph *graph = dense((const uint32_t[]){400, 300, 2}, 3, GYR_LOSS_MSE);
	const float *weights = graph->values[gyr_graph_find(graph, "weight1")].data, *biases = graph->values[gyr_graph_find(graph, "bias1")].data;
	double squares = 0, sum = 0, count = 400 * 300;
	for (int i = 0; i < 400 * 300; i++) {
		sum += (double)weights[i];
		squares += (double)weights[i] * (double)weights[i];
	}
	/* Five standard deviations of each estimate. */
	assert_true(fabs(squares / count * 200 - 1) < 5 * sqrt(2 / count));
	assert_true(fabs(sum / count) < 5 * sqrt(1 / 200.0 / count));
	for (int i = 0; i < 300; i++)
		assert_true(biases[i] == 0);
	gyr_graph_destroy(graph);
}

static void nets_that_are_refused(void **state)
{
	struct gyr_graph *graph;
	struct gyr_error error;
	const uint32_t sizes[] = {4, 0, 2}, large[] = {4, GYR_TRAIN_SIZE_MAX + 1};
	assert_int_equal(gyr_train_build_dense("net", sizes, 1, GYR_DTYPE_F32, 0, GYR_LOSS_MSE, 1, &graph, &error), -EINVAL);
	assert_non_null(strstr(error.text, "2 sizes or more"));
	assert_int_equal(gyr_train_build_dense("net", sizes, 3, GYR_DTYPE_F32, 0, GYR_LOSS_MSE, 1, &graph, &error), -EINVAL);
	assert_non_null(strstr(error.text, "size 2 of the net is 0"));
	assert_int_equal(gyr_train_build_dense("net", large, 2, GYR_DTYPE_F32, 0, GYR_LOSS_MSE, 1, &graph, &error), -EINVAL);
	assert_int_equal(gyr_train_build_dense("net", (const uint32_t[]){4, 2}, 2, GYR_DTYPE_NONE, 0, GYR_LOSS_MSE, 1, &graph, &error), -EINVAL);
	assert_int_equal(gyr_train_build_dense("net", (const uint32_t[]){4, 2}, 2, GYR_DTYPE_F32, NAN, GYR_LOSS_MSE, 1, &graph, &error), -EINVAL);
}

static void fails(const struct gyr_graph *graph, const struct gyr_dataset *x, const struct gyr_dataset *t, const struct gyr_dataset *held_x,
		  const struct gyr_dataset *held_t, const struct gyr_train_options *options, int status, const char *words)
{
	struct gyr_graph *trained = NULL;
	struct gyr_error error = {0};
	int result = gyr_train_run(graph, x, t, held_x, held_t, options, NULL, NULL, &trained, &error);
	if (result != status || strstr(error.text, words) == NULL)
		fail_msg("expected %d and \"%s\", got %d: %s", status, words, result, error.text);
	assert_null(trained);
}

static void data_and_options_that_do_not_fit(void **state)
{
	struct gyr_graph *graph = dense((const uint32_t[]){5, 3}, 2, GYR_LOSS_MSE);
	struct gyr_dataset x = random_rows(10, 5, 8), t = random_rows(10, 3, 9), wide = random_rows(10, 6, 1), more = random_rows(11, 3, 1);
	struct gyr_train_options options = adam;
	fails(graph, &wide, &t, NULL, NULL, &options, -EINVAL, "a row of the data has 6 numbers; the model takes 5");
	fails(graph, &x, &wide, NULL, NULL, &options, -EINVAL, "a row of the targets has 6 numbers; the model answers with 3");
	fails(graph, &x, &more, NULL, NULL, &options, -EINVAL, "10 rows");
	fails(graph, &x, &t, &wide, &t, &options, -EINVAL, "held-out data has 6 numbers");
	fails(graph, &x, &t, &x, NULL, &options, -EINVAL, "both inputs and targets");
	options.rate = 0;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "rate is 0");
	options.rate = NAN;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "rate is nan");
	options = adam;
	options.momentum = 1;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "momentum is 1");
	options = adam;
	options.epochs = 0;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "0 epochs");
	options = adam;
	options.batch = 0;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "batch of 0 rows");
	options.batch = GYR_TRAIN_BATCH_MAX + 1;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "batch of 65537 rows");
	options = adam;
	options.optimiser = GYR_OPTIMISER_SGD;
	options.rate = 1e20f;
	options.epochs = 10;
	fails(graph, &x, &t, NULL, NULL, &options, -EDOM, "the loss became NaN or infinite in epoch");
	options.epochs = 1;
	options.rate = 3e38f;
	options.momentum = 0.9f;
	options.batch = 100;
	((float *)t.data)[0] = 1e20f; /* so that the only step leaves the numbers */
	fails(graph, &x, &t, NULL, NULL, &options, -EDOM, "a weight became NaN or infinite");
	options = adam;
	options.loss = GYR_LOSS_CROSS_ENTROPY;
	fails(graph, &x, &t, NULL, NULL, &options, -EINVAL, "cross-entropy needs one class number");
	float classes[10] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 3};
	struct gyr_dataset c = {.shape = {.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {10}}, .data = classes};
	fails(graph, &x, &c, NULL, NULL, &options, -EINVAL, "row 9 is 3; a class number from 0 to 2");
	classes[9] = 0.5f;
	fails(graph, &x, &c, NULL, NULL, &options, -EINVAL, "row 9 is 0.5");
	classes[9] = -1;
	fails(graph, &x, &c, NULL, NULL, &options, -EINVAL, "row 9 is -1");
	gyr_graph_destroy(graph);
	struct gyr_error error;
	assert_int_equal(gyr_train_build_dense("net", (const uint32_t[]){5, 3}, 2, GYR_DTYPE_U8, 0, GYR_LOSS_MSE, 1, &graph, &error), 0);
	fails(graph, &x, &t, NULL, NULL, &adam, -EINVAL, "the data is f32; the model takes u8");
	gyr_graph_destroy(graph);
	gyr_dataset_fini(&x);
	gyr_dataset_fini(&t);
	gyr_dataset_fini(&wide);
	gyr_dataset_fini(&more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_repeats_bit_for_bit), cmocka_unit_test(teaching_example),
		cmocka_unit_test(classes_are_learnt),        cmocka_unit_test(a_stopped_run_keeps_what_it_learnt),
		cmocka_unit_test(raw_data_and_divisor),      cmocka_unit_test(he_initialisation),
		cmocka_unit_test(nets_that_are_refused),     cmocka_unit_test(data_and_options_that_do_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
