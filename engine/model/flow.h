/*
 * If, Loop and Scan: the operators that run bodies (graph.h). What their attributes and ends mean, for who finds shapes and for who runs them.
 */
#ifndef GYR_ENGINE_MODEL_FLOW_H
#define GYR_ENGINE_MODEL_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_FLOW_BODIES_MAX 2u

/* The bodies of a node: If's then_branch and else_branch, in this order; the one of Loop and Scan. */
struct gyr_flow {
	uint32_t body_count;
	const struct gyr_graph *bodies[GYR_FLOW_BODIES_MAX];
	uint32_t captures[GYR_FLOW_BODIES_MAX]; /* the first of the node's inputs that the body captures */
};

/* What Scan's inputs and outputs are. Opset 8 has sequence lengths first, and all else has a batch dimension before the rest. */
struct gyr_flow_scan {
	bool batched;           /* opset 8 */
	uint32_t first;         /* the first of the node's inputs that is a state */
	uint32_t states, scans; /* then come the inputs that are scanned */
};

/* Whether NODE runs bodies. */
bool gyr_flow_is(const struct gyr_node *node);

/* The bodies of NODE, which runs bodies and whose attributes were checked. */
void gyr_flow_read(const struct gyr_node *node, struct gyr_flow *flow);

/* The inputs of NODE, a Scan whose inference went through. */
void gyr_flow_scan_read(const struct gyr_node *node, uint32_t opset, struct gyr_flow_scan *scan);

/*
 * Number INDEX of the attribute NAME of a Scan ("scan_input_axes", "scan_output_axes"; 0 where the attribute is left out) as an axis of RANK dimensions, into
 * *AXIS. -EINVAL: it is none.
 */
GYR_MUST_CHECK int gyr_flow_axis(const struct gyr_node *node, uint32_t opset, const char *name, uint32_t index, uint32_t rank, uint32_t *axis,
				 struct gyr_error *error);

/* Whether number INDEX of the directions NAME of a Scan is backwards. */
bool gyr_flow_backwards(const struct gyr_node *node, const char *name, uint32_t index);

#endif
