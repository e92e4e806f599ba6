/*
 * Graphs for the tests of engine/plan, made node after node, and ways to run them.
 */
#ifndef GYR_TESTS_UNIT_PLAN_NET_H
#define GYR_TESTS_UNIT_PLAN_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/model/graph.h"
#include "engine/plan/plan.h"

/* A number in [-1, 1) from a stream of its own. */
float net_random(uint64_t *seed);

/* "f32[N,3,4]" as a shape. */
struct gyr_shape net_shape(const char *text);

/* Adds an input; a constant with DATA; a constant f32 of random numbers. Each returns the value's index. */
uint32_t net_input(struct gyr_graph *graph, const char *shape);
uint32_t net_constant(struct gyr_graph *graph, const char *shape, const void *data);
uint32_t net_weights(struct gyr_graph *graph, const char *shape, float scale, uint64_t *seed);

/* Adds a node on up to three inputs (GYR_VALUE_NONE from the first that is left out) with up to one integer attribute (NULL: none); returns its result. */
uint32_t net_node(struct gyr_graph *graph, enum gyr_op op, uint32_t a, uint32_t b, uint32_t c, const char *attribute, int64_t integer);
uint32_t net_op1(struct gyr_graph *graph, enum gyr_op op, uint32_t a);
uint32_t net_op2(struct gyr_graph *graph, enum gyr_op op, uint32_t a, uint32_t b);

/* Declares the output and finishes the graph; a fault fails the test. */
void net_finish(struct gyr_graph *graph, uint32_t output);

/* Compiles it; a fault fails the test. */
struct gyr_plan *net_plan(const struct gyr_graph *graph, uint32_t batch_max, bool reference);

/*
 * Runs BATCH rows of a plan with one output on random inputs of SEED (integers: any; f32: [-1, 1) * SCALE), with every array UNALIGNED bytes off its alignment.
 * Returns the f32 output (free it), *COUNT long.
 */
float *net_run(const struct gyr_plan *plan, uint32_t batch, uint64_t seed, float scale, size_t unaligned, size_t *count);

/* The plan and its reference agree on GRAPH at every batch size up to 64, within TOLERANCE * (1 + |expected|). */
void net_compare(const struct gyr_graph *graph, float scale, float tolerance);

#endif
