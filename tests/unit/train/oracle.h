/*
 * An independent way to a graph's gradients: the graph computed in double, and central finite differences of its loss.
 */
#ifndef GYR_TESTS_UNIT_TRAIN_ORACLE_H
#define GYR_TESTS_UNIT_TRAIN_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/model/graph.h"

struct oracle {
	const struct gyr_graph *graph;
	uint32_t rows;
	double **values;         /* of each value of the graph: its elements for ROWS rows */
	const double *targets;   /* for the mean squared error; NULL: cross-entropy */
	const uint32_t *classes; /* for cross-entropy, in which the output is probabilities where PROBABILITIES, else logits */
	bool probabilities;
};

/* Takes the constants from the graph. The input's elements are set by the caller before oracle_loss. */
void oracle_init(struct oracle *oracle, const struct gyr_graph *graph, uint32_t rows);
void oracle_fini(struct oracle *oracle);

/* Elements of a value. */
size_t oracle_count(const struct oracle *oracle, uint32_t value);

/* Runs the graph and returns the loss. */
double oracle_loss(struct oracle *oracle);

/* The derivative of the loss by one element of a constant. */
double oracle_derivative(struct oracle *oracle, uint32_t value, size_t element);

#endif
