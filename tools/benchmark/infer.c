/*
 * gyr-bench-infer: inference of nets in this process, on one core, against ONNX Runtime on the same model, inputs and core.
 *
 *     gyr-bench-infer --list NETS.json [--net NAME] [--batch N] [--short] [--profile] [--json FILE]
 *     gyr-bench-infer --file NET.onnx [--dim NAME=SIZE]... [--shape INPUT=SIZE,...]... [--value INPUT=NUMBER]... [--batch N] ...
 *
 * First what the machine can do, then for each net and batch size: ns and ort_ns (one inference), over_ort (their ratio, of medians of rounds that take turns).
 * Where weights of a net can be in bf16, also bf16_ns, bf16_over_ort and bf16_difference, which is how far its answers are off, over their largest number.
 * Dense nets: over_bandwidth (batch 1: over the time in which the weights come from the cache that holds them all) and of_peak (batch 32: share of the FMA
 * peak), for the net, and for each of its layers, run by itself. Beside each median stand the 10th and 90th percentiles of the rounds. Times are those for
 * which this thread had the core. At the end, where several nets were measured, the geometric means of over_ort by class, and the largest.
 *
 * A net that Gyr refuses is a line with the reason. Exit status: 0; 3 when one was refused; 1 when two answers differ by a relative 1e-4 or more (then no ratio
 * is printed), or a net could not be measured.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/benchmark/infer_contest.h"
#include "tools/benchmark/infer_figures.h"
#include "tools/benchmark/infer_machine.h"
#include "tools/benchmark/infer_profile.h"

#define ROUNDS_MAX 41u
#define ROUNDS_MIN 7u
#define ROUNDS_SHORT 11u
#define CONTEST_NS (6 * GYR_NS_PER_S) /* rounds of one net at one batch size stop after this, ROUNDS_MIN at least */
#define BLOCK_NS (2 * GYR_NS_PER_MS)  /* how long one side runs before the other's turn, one inference at least */
#define WARM_RUNS 2u
#define LONG_NS (10 * GYR_NS_PER_MS) /* an inference that takes this long is not helped by a second warm one */
#define DIFFERENCE_MAX 1e-4
#define RATIOS_MAX 256u

static const uint32_t batches[] = {1, 8, 32};

struct options {
	const char *list, *json, *only;
	struct net net; /* of --file */
	uint32_t batch; /* 0: all */
	size_t rounds;
	bool profile;
};

/* What is over_ort, for the means. */
struct ratio {
	bool light; /* of class dense, recurrent or trees */
	uint32_t batch;
	double value;
};

struct bench {
	struct options options;
	struct machine machine;
	struct figures figures;
	struct ratio ratios[RATIOS_MAX];
	size_t ratio_count;
	unsigned refused, failed;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* Nanoseconds that one RUN takes, over a block of them, after as many as bring the weights back into the cache from which the other side has driven them. */
static double time_block(void (*run)(const struct contest *), const struct contest *contest)
{
	uint64_t runs = 0, step = 1, begun = machine_own_ns(), now = begun;
	for (unsigned i = 0; i < WARM_RUNS && now - begun < LONG_NS; i++, now = machine_own_ns())
		run(contest);
	begun = now = machine_own_ns();
	for (; now - begun < BLOCK_NS || runs == 0; now = machine_own_ns(), runs += step, step = step < 64 ? step * 2 : step)
		for (uint64_t i = 0; i < step; i++)
			run(contest);
	return (double)(now - begun) / (double)runs;
}

/* Weights from the cache that holds them, or multiplications at the peak: SAMPLES of ns become ratios to that. */
static void add_ceiling(struct bench *bench, const char *prefix, uint32_t batch, double weight_bytes, double operations, double *samples, size_t count)
{
	const struct machine *machine = &bench->machine;
	char name[160];
	if (batch == 1) {
		for (size_t i = 0; i < count; i++)
			samples[i] /= weight_bytes / machine->gigabytes[machine_level_of(machine, (size_t)weight_bytes)];
		snprintf(name, sizeof name, "%s.over_bandwidth", prefix);
		figures_add(&bench->figures, name, "ratio", samples, count);
	} else if (batch == 32) {
		for (size_t i = 0; i < count; i++)
			samples[i] = operations / samples[i] / machine->gigaflops;
		snprintf(name, sizeof name, "%s.of_peak", prefix);
		figures_add(&bench->figures, name, "ratio", samples, count);
	}
}

/* A dense net against what the machine can do: whole, and each product by itself. */
static void add_ceilings(struct bench *bench, const char *prefix, const struct contest *contest, double *samples, size_t count)
{
	double weight_bytes = 0, operations = 0;
	uint32_t steps = contest->runs == 1 ? gyr_plan_step_count(contest->plan, contest->rows) : 0;
	for (uint32_t i = 0; i < steps; i++) {
		struct gyr_plan_step step = gyr_plan_step_at(contest->plan, contest->rows, i);
		weight_bytes += step.weight_bytes;
		operations += step.operations;
	}
	if (weight_bytes == 0)
		return;
	add_ceiling(bench, prefix, contest->batch, weight_bytes, operations, samples, count);
	for (uint32_t i = 0; i < steps; i++) {
		struct gyr_plan_step step = gyr_plan_step_at(contest->plan, contest->rows, i);
		char name[140];
		if (step.weight_bytes == 0)
			continue;
		for (size_t round = 0; round < ROUNDS_SHORT; round++)
			samples[round] = profile_time_step(contest, i);
		snprintf(name, sizeof name, "%s.%.40s", prefix, step.node);
		add_ceiling(bench, name, contest->batch, step.weight_bytes, step.operations, samples, ROUNDS_SHORT);
	}
}

/* After the plan in f32, not between its rounds: three sets of weights may be more than the caches hold. */
static void measure_bf16(struct bench *bench, const char *prefix, const struct contest *contest)
{
	double times[ROUNDS_SHORT], ratios[ROUNDS_SHORT];
	char name[128];
	size_t rounds = 0;
	uint64_t begun = machine_own_ns();
	contest_run_bf16(contest);
	double gap = contest_difference(contest);
	for (; rounds < ROUNDS_SHORT && (rounds < ROUNDS_MIN || machine_own_ns() - begun < CONTEST_NS); rounds++) {
		times[rounds] = time_block(contest_run_bf16, contest);
		ratios[rounds] = times[rounds] / time_block(contest_run_peer, contest);
	}
	snprintf(name, sizeof name, "%s.bf16_ns", prefix);
	figures_add(&bench->figures, name, "ns", times, rounds);
	snprintf(name, sizeof name, "%s.bf16_over_ort", prefix);
	figures_add(&bench->figures, name, "ratio", ratios, rounds);
	snprintf(name, sizeof name, "%s.bf16_difference", prefix);
	figures_add(&bench->figures, name, "relative", &gap, 1);
}

static void measure(struct bench *bench, const struct contest *contest)
{
	double gyr[ROUNDS_MAX], peer[ROUNDS_MAX], ratio[ROUNDS_MAX];
	const char *class = contest->net->class;
	char prefix[96], name[128];
	size_t rounds = 0;
	uint64_t begun = machine_own_ns();
	snprintf(prefix, sizeof prefix, "infer.%.60s.b%" PRIu32, contest->net->name, contest->batch);
	for (; rounds < bench->options.rounds && (rounds < ROUNDS_MIN || machine_own_ns() - begun < CONTEST_NS); rounds++) {
		gyr[rounds] = time_block(contest_run_gyr, contest);
		peer[rounds] = time_block(contest_run_peer, contest);
		ratio[rounds] = gyr[rounds] / peer[rounds];
	}
	snprintf(name, sizeof name, "%s.ns", prefix);
	figures_add(&bench->figures, name, "ns", gyr, rounds);
	snprintf(name, sizeof name, "%s.ort_ns", prefix);
	figures_add(&bench->figures, name, "ns", peer, rounds);
	snprintf(name, sizeof name, "%s.over_ort", prefix);
	double median = figures_add(&bench->figures, name, "ratio", ratio, rounds);
	if (bench->ratio_count < RATIOS_MAX)
		bench->ratios[bench->ratio_count++] = (struct ratio){.light = strcmp(class, "rest") != 0, .batch = contest->batch, .value = median};
	if (contest->bf16 != NULL)
		measure_bf16(bench, prefix, contest);
	if (strcmp(class, "dense") == 0)
		add_ceilings(bench, prefix, contest, gyr, rounds);
	if (bench->options.profile)
		profile_print(prefix, contest);
}

static void *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	long length = file != NULL && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
	char *bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
	if (bytes != NULL) {
		rewind(file);
		*size = fread(bytes, 1, (size_t)length, file);
	}
	if (file != NULL)
		fclose(file);
	return bytes;
}

static void compare(struct bench *bench, const struct net *net, const void *model, size_t size, uint32_t batch, bool first)
{
	struct contest contest;
	char reason[600];
	enum contest_state state = contest_begin(&contest, net, model, size, batch, first, reason, sizeof reason);
	double gap = 0;
	if (state == CONTEST_READY) {
		contest_run_gyr(&contest);
		contest_run_peer(&contest);
		gap = contest_difference(&contest);
	}
	if (state == CONTEST_READY && gap < DIFFERENCE_MAX) {
		if (contest.runs > 1)
			printf("infer.%s.b%" PRIu32 ".one_by_one\t%" PRIu32 "\truns\n", net->name, batch, contest.runs);
		measure(bench, &contest);
	} else if (state == CONTEST_READY) {
		printf("infer.%s.b%" PRIu32 ".wrong\t%g\trelative difference, at most %g\n", net->name, batch, gap, DIFFERENCE_MAX);
		bench->failed++;
	} else if (state == CONTEST_REFUSED) {
		printf("infer.%s.b%" PRIu32 ".refused\t%s\n", net->name, batch, reason);
		bench->refused++;
	} else if (state == CONTEST_FAULT) {
		printf("infer.%s.b%" PRIu32 ".not_measured\t%s\n", net->name, batch, reason);
		bench->failed++;
	}
	fflush(stdout);
	contest_end(&contest);
}

static void bench_net(struct bench *bench, const struct net *net)
{
	size_t size = 0;
	void *model = read_file(net->file, &size);
	if (model == NULL) {
		printf("infer.%s.not_measured\t%s cannot be read\n", net->name, net->file);
		bench->failed++;
		return;
	}
	if (bench->options.batch != 0)
		compare(bench, net, model, size, bench->options.batch, bench->options.batch == 1);
	for (size_t i = 0; bench->options.batch == 0 && i < sizeof batches / sizeof batches[0]; i++)
		compare(bench, net, model, size, batches[i], i == 0);
	free(model);
}

/* The geometric mean and the largest of the ratios at BATCH of one class. */
static void add_mean(struct bench *bench, uint32_t batch, bool light)
{
	char name[64];
	double sum = 0, most = 0;
	size_t count = 0;
	for (size_t i = 0; i < bench->ratio_count; i++) {
		if (bench->ratios[i].batch != batch || bench->ratios[i].light != light)
			continue;
		sum += log(bench->ratios[i].value);
		most = fmax(most, bench->ratios[i].value);
		count++;
	}
	if (count < 2)
		return;
	double mean = exp(sum / (double)count);
	snprintf(name, sizeof name, "infer.%s.b%" PRIu32 ".over_ort_mean", light ? "dense_recurrent_trees" : "rest", batch);
	figures_add(&bench->figures, name, "ratio", &mean, 1);
	snprintf(name, sizeof name, "infer.%s.b%" PRIu32 ".over_ort_most", light ? "dense_recurrent_trees" : "rest", batch);
	figures_add(&bench->figures, name, "ratio", &most, 1);
}

static _Noreturn void usage(const char *fault)
{
	fprintf(stderr,
		"bench: %s\nusage: gyr-bench-infer --list NETS.json [--net NAME] | --file NET.onnx [--dim NAME=SIZE]... [--shape INPUT=SIZE,...]... [--value "
		"INPUT=NUMBER]...\n       [--batch 1..%u] [--short] [--profile] [--json FILE]\n",
		fault, GYR_PLAN_BATCH_MAX);
	exit(2);
}

static void add_word(const char *words[NET_WORDS_MAX], size_t *count, const char *word)
{
	if (*count == NET_WORDS_MAX)
		usage("too many of one option");
	words[(*count)++] = word;
}

static void parse(int argc, char **argv, struct options *options)
{
	*options = (struct options){.rounds = ROUNDS_MAX};
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		bool alone = strcmp(word, "--short") == 0 || strcmp(word, "--profile") == 0;
		if (strcmp(word, "--short") == 0)
			options->rounds = ROUNDS_SHORT;
		options->profile |= strcmp(word, "--profile") == 0;
		if (alone)
			continue;
		if (value == NULL)
			usage("an unknown word, or a value is missing");
		i++;
		if (strcmp(word, "--json") == 0) {
			options->json = value;
		} else if (strcmp(word, "--list") == 0) {
			options->list = value;
		} else if (strcmp(word, "--net") == 0) {
			options->only = value;
		} else if (strcmp(word, "--file") == 0) {
			const char *base = strrchr(value, '/');
			options->net = (struct net){.name = base != NULL ? base + 1 : value, .file = value, .class = "rest"};
		} else if (strcmp(word, "--dim") == 0) {
			add_word(options->net.dims, &options->net.dim_count, value);
		} else if (strcmp(word, "--shape") == 0) {
			add_word(options->net.shapes, &options->net.shape_count, value);
		} else if (strcmp(word, "--value") == 0) {
			add_word(options->net.values, &options->net.value_count, value);
		} else if (strcmp(word, "--batch") == 0) {
			char *rest;
			unsigned long batch = strtoul(value, &rest, 10);
			if (*rest != '\0' || batch < 1 || batch > GYR_PLAN_BATCH_MAX)
				usage("--batch is out of range");
			options->batch = (uint32_t)batch;
		} else {
			usage("an unknown word");
		}
	}
	if ((options->list == NULL) == (options->net.file == NULL))
		usage("--list or --file, before what belongs to it");
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct net_list list = {0};
	bool written = true;
	parse(argc, argv, &bench.options);
	if (bench.options.list != NULL && !net_list_read(&list, bench.options.list))
		return 1;
	machine_describe(&bench.machine);
	if (!figures_init(&bench.figures, bench.machine.cpu))
		die("no memory");
	printf("machine.cpu\t%s\tname\n", bench.machine.cpu);
	gyr_plan_thread_init();
	machine_measure(&bench.machine, &bench.figures);
	if (bench.options.net.file != NULL)
		bench_net(&bench, &bench.options.net);
	size_t found = 0;
	for (size_t i = 0; i < list.count; i++) {
		if (bench.options.only != NULL && strcmp(bench.options.only, list.nets[i].name) != 0)
			continue;
		bench_net(&bench, &list.nets[i]);
		found++;
	}
	if (bench.options.list != NULL && found == 0) {
		for (size_t i = 0; i < list.count; i++)
			fprintf(stderr, "%s\n", list.nets[i].name);
		usage("no such net; those above are there");
	}
	for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
		add_mean(&bench, batches[i], true);
		add_mean(&bench, batches[i], false);
	}
	if (bench.options.json != NULL)
		written = figures_write(&bench.figures, bench.options.json);
	figures_fini(&bench.figures);
	net_list_fini(&list);
	return !written || bench.failed > 0 ? 1 : bench.refused > 0 ? 3 : 0;
}
