/*
 * Small graphs to test with.
 */
#ifndef GYR_TESTS_UNIT_MODEL_SAMPLE_H
#define GYR_TESTS_UNIT_MODEL_SAMPLE_H

#include "engine/model/bundle.h"
#include "engine/model/graph.h"

/* Adds a value, and asserts that it could. SHAPE is like "f32[N,4]"; NULL leaves it to be inferred. */
uint32_t sample_value(struct gyr_graph *graph, const char *name, const char *shape);
uint32_t sample_constant(struct gyr_graph *graph, const char *name, const char *shape, const void *data);

/* Parses "f32[N,4]". */
struct gyr_shape sample_shape(const char *text);

/* A node of up to three inputs (GYR_VALUE_NONE from the first that is missing on) and one output. */
struct gyr_node sample_node(enum gyr_op op, const uint32_t inputs[3], const uint32_t *output);

/* u8[N,4] -> Cast -> Div by 255 -> Gemm (4 to 3, transB) -> Relu -> Reshape to [-1,3] -> Softmax: finished. */
struct gyr_graph *sample_net(void);

/* Lineage and one golden vector that fit sample_net. */
const struct gyr_bundle_info *sample_info(void);

#endif
