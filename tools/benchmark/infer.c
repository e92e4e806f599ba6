/*
 * gyr-bench-infer: inference of dense nets in this process, on one core, against ONNX Runtime on the same model, inputs and core.
 *
 *     gyr-bench-infer [--short] [--json FILE] [--net NAME] [--batch N]
 *
 * First what the machine can do, then for each net and batch size: ns and ort_ns (one inference), over_ort (their ratio, of medians of rounds that take turns),
 * over_bandwidth (batch 1: over the time in which the weights come from the cache that holds them all), of_peak (batch 32: share of the FMA peak). Beside each
 * median stand the 10th and 90th percentiles of the rounds. Times are those for which this thread had the core. Where the two answers differ by a relative 1e-4
 * or more, no ratio is printed and the exit status is 1.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/plan/plan.h"
#include "tools/benchmark/infer_figures.h"
#include "tools/benchmark/infer_machine.h"
#include "tools/benchmark/infer_peer.h"

#define WIDTHS_MAX 8u
#define ROUNDS_MAX 101u
#define BLOCK_NS (2 * GYR_NS_PER_MS) /* how long one side runs before the other's turn */
#define BLOCK_RUNS_MIN 3u
#define WARM_RUNS 2u
#define DIFFERENCE_MAX 1e-4

struct net {
	const char *name;
	size_t widths[WIDTHS_MAX]; /* inputs, each layer's outputs, 0 */
};

static const struct net nets[] = {
	{"100-200-100", {100, 200, 100}},
	{"256-256-256-256", {256, 256, 256, 256}},
	{"784-128-10", {784, 128, 10}},
	{"768-3072-768", {768, 3072, 768}},
};
static const uint32_t batches[] = {1, 8, 32};

struct options {
	const char *json, *net;
	uint32_t batch; /* 0: all */
	size_t rounds;
};

/* One net on both sides. */
struct contest {
	const struct net *net;
	size_t in, out, weights; /* weights: numbers, without the biases */
	struct gyr_plan *plan;
	struct peer *peer;
	float *x, *y, *peer_y;
	void *scratch;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "gyr-bench-infer: %s\n", what);
	exit(1);
}

static void *need(void *memory)
{
	if (memory == NULL)
		die("no memory");
	return memory;
}

static float random_number(void)
{
	static uint64_t seed = 1;
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (float)(int32_t)(seed >> 32) / 2147483648.0f;
}

static uint32_t add_random(struct gyr_graph *graph, const char *name, uint32_t rank, size_t rows, size_t columns, float scale)
{
	const struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = rank, .dims = {(int64_t)(rank == 2 ? rows : columns), (int64_t)columns}};
	size_t count = rank == 2 ? rows * columns : columns;
	float *data = need(malloc(count * sizeof *data));
	struct gyr_error error;
	uint32_t index;
	for (size_t i = 0; i < count; i++)
		data[i] = random_number() * scale;
	if (gyr_graph_add_value(graph, name, &shape, data, true, &index, &error) != 0)
		die(error.text);
	free(data);
	return index;
}

static uint32_t add_node(struct gyr_graph *graph, enum gyr_op op, const uint32_t *inputs, uint32_t count, const char *result)
{
	struct gyr_error error;
	uint32_t output;
	if (gyr_graph_add_value(graph, result, NULL, NULL, false, &output, &error) != 0)
		die(error.text);
	const struct gyr_node node = {.op = op, .name = result, .inputs = inputs, .input_count = count, .outputs = &output, .output_count = 1};
	if (gyr_graph_add_node(graph, &node, &error) != 0)
		die(error.text);
	return output;
}

/* Gemm and Relu, and so on, without a Relu at the end. */
static struct gyr_graph *make_graph(const struct net *net)
{
	struct gyr_graph *graph = need(gyr_graph_create(net->name, 17));
	const struct gyr_shape input = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {GYR_DIM_BATCH, (int64_t)net->widths[0]}};
	struct gyr_error error;
	uint32_t at;
	if (gyr_graph_add_value(graph, "x", &input, NULL, false, &at, &error) != 0 || gyr_graph_add_input(graph, at, &error) != 0)
		die(error.text);
	for (size_t layer = 0; net->widths[layer + 1] != 0; layer++) {
		char name[16];
		bool last = net->widths[layer + 2] == 0;
		size_t in = net->widths[layer], out = net->widths[layer + 1];
		snprintf(name, sizeof name, "w%zu", layer);
		uint32_t weights = add_random(graph, name, 2, in, out, 1 / sqrtf((float)in));
		snprintf(name, sizeof name, "b%zu", layer);
		uint32_t bias = add_random(graph, name, 1, 1, out, 1);
		snprintf(name, sizeof name, "gemm%zu", layer);
		at = add_node(graph, GYR_OP_GEMM, (const uint32_t[]){at, weights, bias}, 3, last ? "y" : name);
		snprintf(name, sizeof name, "relu%zu", layer);
		if (!last)
			at = add_node(graph, GYR_OP_RELU, &at, 1, name);
	}
	if (gyr_graph_add_output(graph, at, &error) != 0 || gyr_graph_finish(graph, &error) != 0)
		die(error.text);
	return graph;
}

static void begin(struct contest *contest, const struct net *net)
{
	*contest = (struct contest){.net = net, .in = net->widths[0]};
	for (size_t layer = 0; net->widths[layer + 1] != 0; layer++) {
		contest->weights += net->widths[layer] * net->widths[layer + 1];
		contest->out = net->widths[layer + 1];
	}
	struct gyr_graph *graph = make_graph(net);
	struct gyr_error error;
	void *model;
	size_t size;
	if (gyr_plan_create(graph, &(struct gyr_plan_options){.batch_max = GYR_PLAN_BATCH_MAX}, &contest->plan, &error) != 0 ||
	    gyr_onnx_export(graph, &model, &size, &error) != 0)
		die(error.text);
	contest->peer = peer_create(model, size);
	free(model);
	gyr_graph_destroy(graph);
	contest->x = need(aligned_alloc(64, GYR_PLAN_BATCH_MAX * contest->in * sizeof *contest->x));
	contest->y = need(aligned_alloc(64, GYR_PLAN_BATCH_MAX * contest->out * sizeof *contest->y));
	contest->peer_y = need(aligned_alloc(64, GYR_PLAN_BATCH_MAX * contest->out * sizeof *contest->y));
	contest->scratch = need(aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, gyr_plan_scratch_bytes(contest->plan) + GYR_PLAN_SCRATCH_ALIGN));
	for (size_t i = 0; i < GYR_PLAN_BATCH_MAX * contest->in; i++)
		contest->x[i] = random_number();
}

static void end(struct contest *contest)
{
	gyr_plan_destroy(contest->plan);
	peer_destroy(contest->peer);
	free(contest->x);
	free(contest->y);
	free(contest->peer_y);
	free(contest->scratch);
}

static void run_gyr(struct contest *contest, uint32_t batch)
{
	gyr_plan_run(contest->plan, batch, (const void *const[]){contest->x}, (void *const[]){contest->y}, contest->scratch);
}

static void run_peer(struct contest *contest, uint32_t batch)
{
	peer_run(contest->peer);
}

/* Nanoseconds that one RUN takes, over a block of them, after as many as bring the weights back into the cache from which the other side has driven them. */
static double time_block(void (*run)(struct contest *, uint32_t), struct contest *contest, uint32_t batch)
{
	for (unsigned i = 0; i < WARM_RUNS; i++)
		run(contest, batch);
	uint64_t runs = 0, step = 1, begun = machine_own_ns(), now = begun;
	for (; now - begun < BLOCK_NS || runs < BLOCK_RUNS_MIN; now = machine_own_ns(), runs += step, step = step < 64 ? step * 2 : step)
		for (uint64_t i = 0; i < step; i++)
			run(contest, batch);
	return (double)(now - begun) / (double)runs;
}

/* The largest difference between the two answers, over the largest number in the peer's. */
static double difference(const struct contest *contest, uint32_t batch)
{
	double most = 0, size = 0;
	for (size_t i = 0; i < batch * contest->out; i++) {
		double gap = fabs((double)contest->y[i] - (double)contest->peer_y[i]);
		most = gap <= most ? most : gap; /* a NaN is a difference */
		size = fmax(size, fabs((double)contest->peer_y[i]));
	}
	return most / size;
}

static bool compare(struct contest *contest, uint32_t batch, size_t rounds, const struct machine *machine, struct figures *figures)
{
	double gyr[ROUNDS_MAX], peer[ROUNDS_MAX], ratio[ROUNDS_MAX];
	char name[96];
	int length = snprintf(name, sizeof name, "infer.%s.b%" PRIu32, contest->net->name, batch);
	peer_bind(contest->peer, batch, (int64_t)contest->in, (int64_t)contest->out, contest->x, contest->peer_y);
	run_gyr(contest, batch);
	run_peer(contest, batch);
	double gap = difference(contest, batch);
	if (!(gap < DIFFERENCE_MAX)) {
		fprintf(stderr, "gyr-bench-infer: %s: the answers differ by a relative %g (at most %g)\n", name, gap, DIFFERENCE_MAX);
		return false;
	}
	for (size_t round = 0; round < rounds; round++) {
		gyr[round] = time_block(run_gyr, contest, batch);
		peer[round] = time_block(run_peer, contest, batch);
		ratio[round] = gyr[round] / peer[round];
	}
	size_t room = sizeof name - (size_t)length;
	double bytes = (double)(contest->weights * sizeof(float)), operations = 2.0 * (double)contest->weights * batch, ceiling[ROUNDS_MAX];
	memcpy(ceiling, gyr, sizeof ceiling);
	snprintf(name + length, room, ".ns");
	figures_add(figures, name, "ns", gyr, rounds);
	snprintf(name + length, room, ".ort_ns");
	figures_add(figures, name, "ns", peer, rounds);
	snprintf(name + length, room, ".over_ort");
	figures_add(figures, name, "ratio", ratio, rounds);
	if (batch == 1) {
		for (size_t round = 0; round < rounds; round++)
			ceiling[round] /= bytes / machine->gigabytes[machine_level_of(machine, (size_t)bytes)];
		snprintf(name + length, room, ".over_bandwidth");
		figures_add(figures, name, "ratio", ceiling, rounds);
	} else if (batch == 32) {
		for (size_t round = 0; round < rounds; round++)
			ceiling[round] = operations / ceiling[round] / machine->gigaflops;
		snprintf(name + length, room, ".of_peak");
		figures_add(figures, name, "ratio", ceiling, rounds);
	}
	return true;
}

static _Noreturn void usage(const char *fault)
{
	fprintf(stderr, "gyr-bench-infer: %s\nusage: gyr-bench-infer [--short] [--json FILE] [--net NAME] [--batch 1..%u]\nnets:", fault, GYR_PLAN_BATCH_MAX);
	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
		fprintf(stderr, " %s", nets[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

static void parse(int argc, char **argv, struct options *options)
{
	*options = (struct options){.rounds = 41};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--short") == 0) {
			options->rounds = 11;
			continue;
		}
		if (value == NULL)
			usage("an unknown word, or a value is missing");
		i++;
		if (strcmp(argv[i - 1], "--json") == 0) {
			options->json = value;
		} else if (strcmp(argv[i - 1], "--net") == 0) {
			options->net = value;
		} else if (strcmp(argv[i - 1], "--batch") == 0) {
			char *rest;
			unsigned long batch = strtoul(value, &rest, 10);
			if (*rest != '\0' || batch < 1 || batch > GYR_PLAN_BATCH_MAX)
				usage("--batch is out of range");
			options->batch = (uint32_t)batch;
		} else {
			usage("an unknown word");
		}
	}
}

int main(int argc, char **argv)
{
	struct options options;
	struct machine machine;
	struct figures figures;
	bool found = false, fine = true;
	parse(argc, argv, &options);
	machine_describe(&machine);
	if (!figures_init(&figures, machine.cpu))
		die("no memory");
	printf("machine.cpu\t%s\tname\n", machine.cpu);
	gyr_plan_thread_init();
	machine_measure(&machine, &figures);
	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
		struct contest contest;
		if (options.net != NULL && strcmp(options.net, nets[i].name) != 0)
			continue;
		found = true;
		begin(&contest, &nets[i]);
		if (options.batch != 0)
			fine &= compare(&contest, options.batch, options.rounds, &machine, &figures);
		for (size_t k = 0; options.batch == 0 && k < sizeof batches / sizeof batches[0]; k++)
			fine &= compare(&contest, batches[k], options.rounds, &machine, &figures);
		end(&contest);
	}
	if (!found)
		usage("no such net");
	if (options.json != NULL)
		fine &= figures_write(&figures, options.json);
	figures_fini(&figures);
	return fine ? 0 : 1;
}
