/*
 * Ceilings of this core: see infer_machine.h. Plain vector arithmetic of the compiler; the widest vectors that it was allowed.
 */
#include "tools/benchmark/infer_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 15u
#define ROUND_NS (3 * GYR_NS_PER_MS)
#define LANES 16u
#define CHAINS 16u /* independent sums: more than latency times throughput needs, few enough for the registers */

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static void read_cpu_name(char *name, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "r");
	snprintf(name, size, "unknown");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		const char *value = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
		if (value == NULL)
			continue;
		snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
		break;
	}
	if (file != NULL)
		fclose(file);
}

void machine_describe(struct machine *machine)
{
	static const int names[3] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
	static const size_t usual[3] = {32 << 10, 1 << 20, 32 << 20};
	read_cpu_name(machine->cpu, sizeof machine->cpu);
	for (int level = 0; level < 3; level++) {
		long bytes = sysconf(names[level]);
		machine->cache_bytes[level] = bytes > 0 ? (size_t)bytes : usual[level];
	}
}

/* RUNS times CHAINS vectors of multiply-adds. */
static float multiply_add(size_t runs)
{
	vector sums[CHAINS], factor, addend;
	for (size_t lane = 0; lane < LANES; lane++) {
		factor[lane] = .999f;
		addend[lane] = .001f;
	}
	for (size_t i = 0; i < CHAINS; i++)
		sums[i] = addend * (float)i;
	__asm__ volatile("" : "+m"(factor), "+m"(addend)); /* not known when compiled */
	for (size_t run = 0; run < runs; run++)
		for (size_t i = 0; i < CHAINS; i++)
			sums[i] = sums[i] * factor + addend;
	float total = 0;
	for (size_t i = 0; i < CHAINS; i++)
		total += sums[i][0];
	return total;
}

/* Reads BYTES (a multiple of 1 KiB) RUNS times. */
static float read_all(const vector *data, size_t bytes, size_t runs)
{
	vector sums[8] = {0};
	for (size_t run = 0; run < runs; run++) {
		for (size_t i = 0; i < bytes / sizeof(vector); i += 8)
			for (size_t k = 0; k < 8; k++)
				sums[k] += data[i + k];
		__asm__ volatile("" : : "r"(data) : "memory"); /* the next run reads anew */
	}
	float total = 0;
	for (size_t k = 0; k < 8; k++)
		total += sums[k][0];
	return total;
}

static double measure_reads(const vector *data, size_t bytes, struct figures *figures, const char *name)
{
	double samples[ROUNDS];
	volatile float sink = read_all(data, bytes, 1);
	for (size_t round = 0; round < ROUNDS; round++) {
		uint64_t begun = machine_own_ns(), now = begun;
		size_t runs = 0, step = bytes < 1 << 20 ? (1 << 20) / bytes : 1;
		for (; now - begun < ROUND_NS; now = machine_own_ns(), runs += step)
			sink = read_all(data, bytes, step);
		samples[round] = (double)(bytes * runs) / (double)(now - begun);
	}
	(void)sink;
	return figures_add(figures, name, "GB/s", samples, ROUNDS);
}

void machine_measure(struct machine *machine, struct figures *figures)
{
	static const char *const names[MACHINE_LEVELS] = {"machine.l1_read", "machine.l2_read", "machine.l3_read", "machine.memory_read"};
	double samples[ROUNDS];
	volatile float sink = multiply_add(1000000);
	for (size_t round = 0; round < ROUNDS; round++) {
		uint64_t begun = machine_own_ns(), now = begun;
		size_t runs = 0;
		for (; now - begun < ROUND_NS; now = machine_own_ns(), runs += 10000)
			sink = multiply_add(10000);
		samples[round] = 2.0 * CHAINS * LANES * (double)runs / (double)(now - begun);
	}
	(void)sink;
	machine->gigaflops = figures_add(figures, "machine.fma_peak", "GFLOP/s", samples, ROUNDS);

	/* Half of a cache, so that it holds all; four times the last one for memory. L3 may be shared: a fourth of it. */
	const size_t bytes[MACHINE_LEVELS] = {machine->cache_bytes[0] / 2, machine->cache_bytes[1] / 2, machine->cache_bytes[2] / 4,
					      machine->cache_bytes[2] * 4};
	vector *data = aligned_alloc(4096, bytes[MACHINE_MEMORY]);
	if (data == NULL) {
		fprintf(stderr, "gyr-bench-infer: no memory to measure bandwidth\n");
		exit(1);
	}
	memset(data, 0, bytes[MACHINE_MEMORY]);
	for (int level = 0; level < MACHINE_LEVELS; level++)
		machine->gigabytes[level] = measure_reads(data, bytes[level] / 1024 * 1024, figures, names[level]);
	free(data);
}

enum machine_level machine_level_of(const struct machine *machine, size_t bytes)
{
	for (int level = MACHINE_L1; level < MACHINE_MEMORY; level++)
		if (bytes <= machine->cache_bytes[level])
			return (enum machine_level)level;
	return MACHINE_MEMORY;
}
