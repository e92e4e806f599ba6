/*
 * A step: one kernel call with all that it needs to know but the addresses, for one batch size.
 */
#ifndef GYR_ENGINE_PLAN_STEP_H
#define GYR_ENGINE_PLAN_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/kernel/dense.h"
#include "engine/model/graph.h"
#include "engine/ref/binary.h"
#include "engine/ref/gemm.h"

/* Where a tensor lies. */
enum gyr_place_kind { GYR_PLACE_NOWHERE, GYR_PLACE_CONSTANT, GYR_PLACE_SCRATCH, GYR_PLACE_INPUT, GYR_PLACE_OUTPUT };

struct gyr_place {
	enum gyr_place_kind kind;
	union {
		const void *constant;
		size_t offset;  /* in the scratch */
		uint32_t index; /* of an input or output */
	};
};

/* The addresses of one run. */
struct gyr_frame {
	const void *const *inputs;
	void *const *outputs;
	uint8_t *scratch;
};

enum gyr_step_kind { GYR_STEP_COPY, GYR_STEP_CAST, GYR_STEP_UNARY, GYR_STEP_BINARY, GYR_STEP_SOFTMAX, GYR_STEP_GEMM, GYR_STEP_DENSE };

struct gyr_step {
	enum gyr_step_kind kind;
	bool reference;             /* run the twin in engine/ref */
	struct gyr_place inputs[3]; /* as the operator's; NOWHERE where an optional one is left out */
	struct gyr_place output;
	union {
		size_t bytes; /* COPY */
		struct {
			enum gyr_dtype from, to;
			size_t count;
		} cast;
		struct {
			enum gyr_op op;
			size_t count;
		} unary;
		struct gyr_binary binary;
		struct {
			size_t outer, length, inner;
		} softmax;
		struct gyr_gemm gemm; /* always run by the twin: operands that are not known beforehand cannot be packed */
		struct {
			const struct gyr_dense *dense;
			size_t rows;
		} dense;
	};
};

/*
 * Describes NODE of a graph of OPSET at BATCH rows, given the shapes of its inputs (NULL where left out) and of its result, all but the places. Not for the
 * operators that are views (Identity, Flatten, Reshape). -ENOTSUP: no kernel here takes these types.
 */
GYR_MUST_CHECK int gyr_step_init(struct gyr_step *step, const struct gyr_node *node, uint32_t opset, const struct gyr_shape *const inputs[3],
				 const struct gyr_shape *output, uint64_t batch, bool reference, struct gyr_error *error);

/* Runs a step. Hot path. */
void gyr_step_run(const struct gyr_step *step, const struct gyr_frame *frame);

#endif
