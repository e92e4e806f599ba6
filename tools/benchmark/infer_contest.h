/*
 * One net at one batch size on both sides: the same model, the same inputs, and whether the answers agree.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_CONTEST_H
#define GYR_TOOLS_BENCHMARK_INFER_CONTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/plan/plan.h"
#include "tools/benchmark/infer_net.h"
#include "tools/benchmark/infer_peer.h"

#define CONTEST_ENDS_MAX 64u

/* READY: both sides run it. REFUSED: Gyr does not. ABSENT: the model has no batch of that size. FAULT: it cannot be measured for another reason. */
enum contest_state { CONTEST_READY, CONTEST_REFUSED, CONTEST_ABSENT, CONTEST_FAULT };

struct contest {
	const struct net *net;
	uint32_t batch;
	uint32_t rows, runs; /* Gyr runs ROWS rows RUNS times; 1 and the batch size where rows are not proven to stay apart */
	struct gyr_plan *plan;
	struct gyr_plan *bf16; /* the same in bf16; NULL where this CPU has none, or the net no weights that it is for */
	struct peer *peer;
	uint32_t input_count, output_count;
	struct gyr_shape shapes[CONTEST_ENDS_MAX]; /* of the inputs, with the batch in them */
	void *inputs[CONTEST_ENDS_MAX], *outputs[CONTEST_ENDS_MAX];
	size_t input_steps[CONTEST_ENDS_MAX], output_steps[CONTEST_ENDS_MAX]; /* bytes from one of the RUNS to the next */
	void *scratch;
};

/*
 * Makes both sides of NET at BATCH rows, with the model in MODEL. FIRST is the smallest batch size that is measured: a model without a batch dimension is
 * ABSENT at others. REASON gets why it is not READY. Ends with contest_end, whatever it returned.
 */
enum contest_state contest_begin(struct contest *contest, const struct net *net, const void *model, size_t model_size, uint32_t batch, bool first, char *reason,
				 size_t size);
void contest_end(struct contest *contest);

/* Computes all rows once. */
void contest_run_gyr(const struct contest *contest);
void contest_run_peer(const struct contest *contest);
void contest_run_bf16(const struct contest *contest);

/*
 * The largest difference between two elements of the answers that were computed last, over the largest element of the peer's: over all outputs, the worst.
 * Infinite where shapes or types differ, or one is not a number and the other is.
 */
double contest_difference(const struct contest *contest);

#endif
