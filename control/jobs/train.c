/*
 * train: from data files and either sizes or a model to a bundle with lineage and golden vectors.
 */
#include "engine/train/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "control/jobs/command.h"
#include "control/jobs/event.h"
#include "control/jobs/file.h"
#include "control/jobs/golden.h"
#include "control/jobs/identity.h"
#include "control/jobs/model.h"

#define SIZES_MAX 64u
#define LINEAGE_MAX 24u
#define VALUE_BYTES 128u
#define EVENT_EVERY_NS (GYR_NS_PER_S / 10)

const struct gyr_job_option gyr_job_train_options[] = {
	{"name", "NAME (model)", false},
	{"data", "FILE", true},
	{"targets", "FILE", true},
	{"data-columns", "COLUMNS, of a CSV: a,b,c or 0-99 (all)", false},
	{"target-columns", "COLUMNS, of a CSV (all)", false},
	{"held-data", "FILE", false},
	{"held-targets", "FILE", false},
	{"sizes", "784-128-10: a new dense net", false},
	{"from", "BUNDLE or ONNX file: train it further", false},
	{"divisor", "NUMBER that raw inputs are divided by in the new net (none)", false},
	{"loss", "mse or cross-entropy (mse)", false},
	{"optimiser", "adam or sgd (adam)", false},
	{"rate", "NUMBER (0.001)", false},
	{"momentum", "NUMBER, of sgd (0)", false},
	{"epochs", "COUNT (10)", false},
	{"batch", "ROWS (64)", false},
	{"seed", "NUMBER (1)", false},
	{"shuffle", "0 or 1 (1)", false},
	{"limit", "ROWS: no more of the data (all)", false},
	{"bf16-bound", "NUMBER over 0 to 1: how far answers may be off for weights in bf16 (as the model given by from, else not at all)", false},
	{"out", "FILE: the bundle", true},
	{"parent", "TEXT, for lineage", false},
	{"as", "UID:GID,... whose rights the data are opened with (the process's own)", false},
	{0},
};

static const char *const losses[] = {[GYR_LOSS_MSE] = "mse", [GYR_LOSS_CROSS_ENTROPY] = "cross-entropy", NULL};
static const char *const optimisers[] = {[GYR_OPTIMISER_SGD] = "sgd", [GYR_OPTIMISER_ADAM] = "adam", NULL};
static const char *const switches[] = {"0", "1", "no", "yes", NULL}; /* every second one is on */

struct lineage {
	uint32_t count;
	struct gyr_lineage entries[LINEAGE_MAX];
	char values[LINEAGE_MAX][VALUE_BYTES];
};

struct job {
	const struct gyr_job_options *options;
	struct gyr_error *error;
	struct gyr_train_options train;
	const char *name;
	uint32_t sizes[SIZES_MAX], size_count; /* 0: from a model */
	float divisor, bf16_bound;
	uint64_t limit;
	struct gyr_identity identity; /* whose rights the data are opened with */
	struct gyr_dataset data, targets, held_data, held_targets;
	struct gyr_job_model from;
	struct gyr_graph *built;        /* NULL: from a model */
	struct gyr_train_progress last; /* what was reported last */
	uint64_t event_ns;              /* when an event was printed last */
	struct lineage lineage;
};

static int read_sizes(struct job *job)
{
	const char *text = gyr_job_option(job->options, "sizes"), *at = text;
	while (at != NULL) {
		char *end;
		unsigned long size = *at >= '0' && *at <= '9' ? strtoul(at, &end, 10) : 0;
		if (size == 0 || size > GYR_TRAIN_SIZE_MAX || (*end != '-' && *end != 0) || job->size_count == SIZES_MAX)
			return gyr_error_set(job->error, -EINVAL, "option sizes is \"%.60s\"; 2 to %u sizes from 1 to %u are expected, as in 784-128-10", text,
					     SIZES_MAX, GYR_TRAIN_SIZE_MAX);
		job->sizes[job->size_count++] = (uint32_t)size;
		at = *end == '-' ? end + 1 : NULL;
	}
	if (job->size_count == 1)
		return gyr_error_set(job->error, -EINVAL, "option sizes is \"%.60s\"; 2 sizes or more are expected, as in 784-128-10", text);
	return 0;
}

/* Options that exclude each other or need each other. */
static int check_pairs(const struct job *job)
{
	const struct gyr_job_options *options = job->options;
	bool from = gyr_job_option(options, "from") != NULL;
	if (from == (job->size_count != 0))
		return gyr_error_set(job->error, -EINVAL, "one of the options sizes (a new net) and from (a model) is expected, and %s given",
				     from ? "both are" : "none is");
	if (from && gyr_job_option(options, "divisor") != NULL)
		return gyr_error_set(job->error, -EINVAL, "option divisor is for a new net (sizes); the model given by from keeps its own");
	if ((gyr_job_option(options, "held-data") == NULL) != (gyr_job_option(options, "held-targets") == NULL))
		return gyr_error_set(job->error, -EINVAL, "options held-data and held-targets go together, and one of them is missing");
	if (job->train.optimiser == GYR_OPTIMISER_ADAM && gyr_job_option(options, "momentum") != NULL)
		return gyr_error_set(job->error, -EINVAL, "option momentum is for optimiser=sgd");
	if (!(job->train.rate > 0))
		return gyr_error_set(job->error, -EINVAL, "option rate is %g; a number above 0 is expected", (double)job->train.rate);
	if (!(job->train.momentum >= 0 && job->train.momentum < 1))
		return gyr_error_set(job->error, -EINVAL, "option momentum is %g; 0 to below 1 is expected", (double)job->train.momentum);
	return 0;
}

static int read_options(struct job *job)
{
	const struct gyr_job_options *options = job->options;
	struct gyr_error *error = job->error;
	uint64_t epochs = 10, batch = 64, seed = 1;
	uint32_t loss = GYR_LOSS_MSE, optimiser = GYR_OPTIMISER_ADAM, shuffle = 1;
	job->train.rate = 0.001f;
	int result = gyr_job_option_name(options, "model", &job->name, error);
	if (result == 0)
		result = gyr_job_option_word(options, "loss", losses, &loss, error);
	if (result == 0)
		result = gyr_job_option_word(options, "optimiser", optimisers, &optimiser, error);
	if (result == 0)
		result = gyr_job_option_number(options, "rate", &job->train.rate, error);
	if (result == 0)
		result = gyr_job_option_number(options, "momentum", &job->train.momentum, error);
	if (result == 0)
		result = gyr_job_option_number(options, "divisor", &job->divisor, error);
	if (result == 0)
		result = gyr_job_option_bound(options, &job->bf16_bound, error);
	if (result == 0)
		result = gyr_job_option_whole(options, "epochs", 1, 1000000, &epochs, error);
	if (result == 0)
		result = gyr_job_option_whole(options, "batch", 1, GYR_TRAIN_BATCH_MAX, &batch, error);
	if (result == 0)
		result = gyr_job_option_whole(options, "seed", 0, UINT64_MAX, &seed, error);
	if (result == 0)
		result = gyr_job_option_word(options, "shuffle", switches, &shuffle, error);
	if (result == 0)
		result = gyr_job_option_whole(options, "limit", 1, INT32_MAX, &job->limit, error);
	if (result == 0)
		result = gyr_identity_read(gyr_job_option(options, "as"), &job->identity, error);
	if (result == 0)
		result = read_sizes(job);
	job->train.loss = (enum gyr_loss)loss;
	job->train.optimiser = (enum gyr_optimiser)optimiser;
	job->train.epochs = (uint32_t)epochs;
	job->train.batch = (uint32_t)batch;
	job->train.seed = seed;
	job->train.shuffle = shuffle % 2 != 0;
	return result == 0 ? check_pairs(job) : result;
}

/* Reads the file that an option names, where it is given. */
static int read_data(struct job *job, const char *option, const char *columns_option, struct gyr_dataset *dataset)
{
	const char *path = gyr_job_option(job->options, option);
	return path == NULL ? 0 : gyr_dataset_read(path, gyr_job_option(job->options, columns_option), dataset, job->error);
}

static void limit_rows(struct gyr_dataset *dataset, uint64_t limit)
{
	if (limit != 0 && dataset->shape.dims[0] > (int64_t)limit)
		dataset->shape.dims[0] = (int64_t)limit;
}

static int read_all_data(struct job *job)
{
	int result = gyr_identity_take(&job->identity, job->error);
	if (result != 0)
		return result;
	result = read_data(job, "data", "data-columns", &job->data);
	if (result == 0)
		result = read_data(job, "targets", "target-columns", &job->targets);
	if (result == 0)
		result = read_data(job, "held-data", "data-columns", &job->held_data);
	if (result == 0)
		result = read_data(job, "held-targets", "target-columns", &job->held_targets);
	gyr_identity_leave(&job->identity);
	return result;
}

static int read_inputs(struct job *job)
{
	const char *from = gyr_job_option(job->options, "from");
	int result = 0;
	if (from != NULL) {
		/* First, while the limit on memory that an import needs is not in the way of the data. */
		result = gyr_job_model_read(from, NULL, &job->from, job->error);
		gyr_job_model_unlimit(&job->from);
	}
	if (result == 0)
		result = read_all_data(job);
	if (result != 0)
		return result;
	if (job->data.shape.dims[0] != job->targets.shape.dims[0])
		return gyr_error_set(job->error, -EINVAL, "%s has %" PRId64 " rows and %s has %" PRId64 "; as many are expected",
				     gyr_job_option(job->options, "data"), job->data.shape.dims[0], gyr_job_option(job->options, "targets"),
				     job->targets.shape.dims[0]);
	limit_rows(&job->data, job->limit);
	limit_rows(&job->targets, job->limit);
	return job->size_count == 0 ? 0
				    : gyr_train_build_dense(job->name, job->sizes, job->size_count, job->data.shape.dtype, job->divisor, job->train.loss,
							    job->train.seed, &job->built, job->error);
}

/* Prints what was reported, unless it was printed just now: a small net makes thousands of epochs a second. */
static bool report(const struct gyr_train_progress *progress, void *user)
{
	struct job *job = user;
	uint64_t now_ns = gyr_clock_ns();
	job->last = *progress;
	if (progress->epoch < progress->epochs && job->event_ns != 0 && now_ns - job->event_ns < EVENT_EVERY_NS)
		return true;
	job->event_ns = now_ns;
	const struct gyr_job_field fields[] = {
		{"epoch", NULL, progress->epoch},         {"epochs", NULL, progress->epochs},     {"loss", NULL, progress->loss},
		{"held_loss", NULL, progress->held_loss}, {"accuracy", NULL, progress->accuracy}, {"examples_per_s", NULL, floor(progress->examples_per_s)},
		{"left_s", NULL, progress->left_s},
	};
	gyr_job_event("progress", fields, sizeof fields / sizeof *fields);
	return true;
}

static void add_lineage(struct lineage *lineage, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add_lineage(struct lineage *lineage, const char *key, const char *format, ...)
{
	GYR_ASSERT(lineage->count < LINEAGE_MAX);
	char *value = lineage->values[lineage->count];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(value, VALUE_BYTES, format, arguments);
	va_end(arguments);
	lineage->entries[lineage->count++] = (struct gyr_lineage){key, value};
}

static void add_digest(struct lineage *lineage, const char *key, const uint8_t digest[32])
{
	char text[2 * GYR_BUNDLE_ID_BYTES + 1];
	gyr_bundle_id_text(digest, text);
	add_lineage(lineage, key, "%s", text);
}

static void make_lineage(struct job *job)
{
	struct lineage *lineage = &job->lineage;
	const struct gyr_train_options *train = &job->train;
	const char *parent = gyr_job_option(job->options, "parent");
	add_lineage(lineage, "tool", "%s", GYR_JOB_TOOL);
	if (parent != NULL)
		lineage->entries[lineage->count++] = (struct gyr_lineage){"parent", parent};
	if (job->from.graph != NULL)
		add_digest(lineage, job->from.bundle != NULL ? "from-bundle" : "from-onnx", job->from.digest);
	add_digest(lineage, "dataset", job->data.digest);
	add_digest(lineage, "targets", job->targets.digest);
	if (job->held_data.data != NULL) {
		add_digest(lineage, "held-dataset", job->held_data.digest);
		add_digest(lineage, "held-targets", job->held_targets.digest);
	}
	add_lineage(lineage, "rows", "%" PRId64, job->data.shape.dims[0]);
	add_lineage(lineage, "loss-function", "%s", losses[train->loss]);
	add_lineage(lineage, "optimiser", "%s", optimisers[train->optimiser]);
	add_lineage(lineage, "rate", "%.9g", (double)train->rate);
	if (train->optimiser == GYR_OPTIMISER_SGD)
		add_lineage(lineage, "momentum", "%.9g", (double)train->momentum);
	add_lineage(lineage, "epochs", "%" PRIu32, train->epochs);
	add_lineage(lineage, "batch", "%" PRIu32, train->batch);
	add_lineage(lineage, "seed", "%" PRIu64, train->seed);
	add_lineage(lineage, "shuffle", "%d", train->shuffle);
	add_lineage(lineage, "loss", "%.9g", job->last.loss);
	if (isfinite(job->last.held_loss))
		add_lineage(lineage, "held-loss", "%.9g", job->last.held_loss);
	if (isfinite(job->last.accuracy))
		add_lineage(lineage, "accuracy", "%.9g", job->last.accuracy);
}

/* Golden vectors from rows spread over the data. */
static int make_golden(const struct job *job, const struct gyr_graph *graph, struct gyr_job_golden *golden)
{
	int result = gyr_job_golden_init(golden, graph, job->error);
	if (result != 0)
		return result;
	const struct gyr_shape *shape = &graph->values[graph->inputs[0]].shape;
	int64_t rows = job->data.shape.dims[0];
	if (rows < golden->golden.batch)
		golden->golden.batch = (uint32_t)rows;
	size_t bytes = gyr_dataset_row_count(&job->data) * gyr_dtype_bytes(shape->dtype);
	for (uint32_t i = 0; i < golden->golden.batch; i++)
		gyr_dataset_copy_row(&job->data, rows * i / golden->golden.batch, shape->dtype, (uint8_t *)golden->inputs[0] + i * bytes);
	bool finite;
	result = gyr_job_golden_compute(golden, graph, &finite, job->error);
	if (result == 0 && !finite)
		result = gyr_error_set(job->error, -EDOM, "the trained model answers NaN or infinity to rows of its own data; a smaller rate may help");
	if (result != 0)
		gyr_job_golden_fini(golden);
	return result;
}

static int write_bundle(struct job *job, const struct gyr_graph *trained)
{
	const char *out = gyr_job_option(job->options, "out");
	struct gyr_job_golden golden;
	int result = make_golden(job, trained, &golden);
	if (result != 0)
		return result;
	make_lineage(job);
	struct gyr_bundle_info info = {.lineage_count = job->lineage.count,
				       .lineage = job->lineage.entries,
				       .golden_count = 1,
				       .golden = &golden.golden,
				       .bf16_bound = job->bf16_bound};
	if (info.bf16_bound == 0 && job->from.bundle != NULL)
		info.bf16_bound = job->from.bundle->info.bf16_bound;
	uint8_t id[GYR_BUNDLE_ID_BYTES];
	result = gyr_job_bundle_write(out, trained, &info, id, job->error);
	gyr_job_golden_fini(&golden);
	if (result != 0)
		return result;
	char id_text[2 * GYR_BUNDLE_ID_BYTES + 1];
	gyr_bundle_id_text(id, id_text);
	const struct gyr_job_field fields[] = {
		{"out", out, 0},
		{"id", id_text, 0},
		{"loss", NULL, job->last.loss},
		{"held_loss", NULL, job->last.held_loss},
		{"accuracy", NULL, job->last.accuracy},
	};
	gyr_job_event("done", fields, sizeof fields / sizeof *fields);
	return 0;
}

static int train(struct job *job)
{
	bool held = job->held_data.data != NULL;
	const struct gyr_graph *graph = job->built != NULL ? job->built : job->from.graph;
	struct gyr_graph *trained;
	int result = gyr_train_run(graph, &job->data, &job->targets, held ? &job->held_data : NULL, held ? &job->held_targets : NULL, &job->train, report, job,
				   &trained, job->error);
	if (result != 0)
		return result;
	result = gyr_job_rename(trained, job->name, job->error);
	if (result == 0)
		result = write_bundle(job, trained);
	gyr_graph_destroy(trained);
	return result;
}

int gyr_job_train(const struct gyr_job_options *options, bool *usage, struct gyr_error *error)
{
	struct job *job = calloc(1, sizeof *job);
	if (job == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory");
	job->options = options;
	job->error = error;
	int result = read_options(job);
	*usage = result != 0;
	if (result == 0)
		result = gyr_job_file_check(gyr_job_option(options, "out"), error);
	if (result == 0)
		result = read_inputs(job);
	if (result == 0)
		result = train(job);
	gyr_dataset_fini(&job->data);
	gyr_dataset_fini(&job->targets);
	gyr_dataset_fini(&job->held_data);
	gyr_dataset_fini(&job->held_targets);
	gyr_graph_destroy(job->built);
	gyr_job_model_fini(&job->from);
	free(job);
	return result;
}
