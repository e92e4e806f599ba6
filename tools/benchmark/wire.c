/*
 * gyr-bench-wire CPU: what the codec takes for one request with a bare tensor of 100 floats: parsing it, and packing its result. The datagrams lie in a ring as
 * large as a port's, so that they come from where frames come from. Prints "parse<TAB>ns" and "pack<TAB>ns", each the median of some rounds.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dataplane/wire/wire.h"

#define FLOATS 100u
#define DATAGRAMS 512u
#define DATAGRAM_BYTES 2048u
#define ROUNDS 15u
#define TURNS 200u /* of the ring, in each round */

static uint8_t datagrams[DATAGRAMS][DATAGRAM_BYTES];
static size_t sizes[DATAGRAMS];
static float outputs[FLOATS];

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof *values, by_value);
	return values[ROUNDS / 2];
}

/* Nanoseconds a datagram; 0 when one was not understood. */
static double parse_all(void)
{
	struct gyr_wire_message message;
	const char *reason;
	uint64_t wrong = 0, start_ns = gyr_clock_ns();
	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned i = 0; i < DATAGRAMS; i++)
			wrong += gyr_wire_parse(datagrams[i], sizes[i], &message, &reason) != GYR_WIRE_OK || message.tensors[0].bytes != sizeof outputs;
	}
	return wrong > 0 ? 0 : (double)(gyr_clock_ns() - start_ns) / (TURNS * DATAGRAMS);
}

static double pack_all(void)
{
	const struct gyr_wire_output output = {.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {1, FLOATS}}, .data = outputs, .form = GYR_WIRE_BARE};
	uint64_t wrong = 0, start_ns = gyr_clock_ns();
	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned i = 0; i < DATAGRAMS; i++)
			wrong += gyr_wire_pack_result(datagrams[i], DATAGRAM_BYTES, turn * DATAGRAMS + i, 1, &output, 1, NULL, NULL) == 0;
	}
	return wrong > 0 ? 0 : (double)(gyr_clock_ns() - start_ns) / (TURNS * DATAGRAMS);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: gyr-bench-wire CPU\n");
		return 2;
	}
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
		perror("gyr-bench-wire: sched_setaffinity");
		return 1;
	}
	const struct gyr_wire_ref model = {.name = "mlp100", .length = 6, .present = true};
	const struct gyr_wire_output input = {.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {1, FLOATS}}, .data = outputs, .form = GYR_WIRE_BARE};
	for (unsigned i = 0; i < DATAGRAMS; i++)
		sizes[i] = gyr_wire_pack_request(datagrams[i], DATAGRAM_BYTES, 1u << 31 | i, &model, NULL, 0, &input, 1, false);
	double parse[ROUNDS], pack[ROUNDS];
	for (unsigned round = 0; round < ROUNDS; round++)
		parse[round] = parse_all();
	for (unsigned round = 0; round < ROUNDS; round++)
		pack[round] = pack_all();
	double parse_ns = median(parse), pack_ns = median(pack);
	printf("parse\t%.1f\npack\t%.1f\n", parse_ns, pack_ns);
	return parse_ns > 0 && pack_ns > 0 ? 0 : 1;
}
