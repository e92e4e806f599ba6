/*
 * How a node becomes something that runs. For each operator there is one function that prepares a node at concrete shapes: it chooses what runs, works out its
 * parameters and says how much scratch it needs; after that, running is one call through a pointer, which allocates nothing.
 *
 * The table is put together from families, one file each (family_elementwise.c, ...): see docs/OPERATOR-FAMILIES.md.
 */
#ifndef GYR_ENGINE_KERNEL_KERNEL_H
#define GYR_ENGINE_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/kernel/pack.h"
#include "engine/model/graph.h"

/*
 * Computes. INPUTS and OUTPUTS are the node's, dense, of any alignment, NULL where left out; outputs overlap nothing. SCRATCH has the bytes that were asked
 * for, 64-byte aligned; its content is anything. Any number of threads at once, each with a scratch of its own. Hot path: no allocation, no lock, no system
 * call; no content of an input may do harm.
 */
typedef void gyr_run_fn(const void *params, const void *const inputs[], void *const outputs[], void *scratch);

struct gyr_prepare {
	const struct gyr_node *node;
	uint32_t opset;
	const struct gyr_shape *const *inputs; /* node->input_count; NULL where left out; concrete */
	const void *const *contents;           /* node->input_count; of inputs that are constants, else NULL; they may go after prepare */
	const struct gyr_shape *outputs;       /* node->output_count, concrete */
	bool reference;                        /* run the plain twin of engine/ref, where there is one */
	bool bf16;                             /* constant weights of products may be rounded to bf16 */
	struct gyr_arena *arena;               /* for params: lives as long as the plan */
	struct gyr_packs *packs;               /* for what the batch sizes share: packed weights, generated code */
	struct gyr_error *error;

	/* To be filled in. */
	gyr_run_fn *run;
	const void *params;
	size_t scratch_bytes;
	bool rounded;    /* weights are rounded to bf16 */
	uint64_t unread; /* bit i: running does not read input i (of the first 64), because params or packs hold what it needs of it */
};

/* -ENOTSUP: no kernel takes these types or attributes; the message says which (without the node's name). -ENOMEM. */
typedef int gyr_prepare_fn(struct gyr_prepare *prepare);

/* Prepares a node that is not a view, whose outputs are not all empty. -ENOTSUP, -ENOMEM. Not a hot path. */
GYR_MUST_CHECK int gyr_kernel_prepare(struct gyr_prepare *prepare);

/* Whether the node's result is its first input's memory: then there is nothing to prepare. */
bool gyr_kernel_is_view(const struct gyr_node *node, uint32_t opset, enum gyr_dtype input, enum gyr_dtype output);

#endif
