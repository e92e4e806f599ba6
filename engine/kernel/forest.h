/*
 * Reads ensembles of trees from the attributes of their nodes, and checks them: what comes of it is a forest that can be walked without a look at a bound.
 */
#ifndef GYR_ENGINE_KERNEL_FOREST_H
#define GYR_ENGINE_KERNEL_FOREST_H

#include "base/error.h"
#include "engine/model/graph.h"
#include "engine/ref/forest.h"

/*
 * Makes a forest of a node whose operator is a tree ensemble of any kind, for rows of FEATURES numbers of X_DTYPE. Takes memory of a multiple of the
 * attributes', and time of n log n. -ENOTSUP with the reason: lists of different lengths, indices out of range, cycles, nodes with two parents or none, or
 * what ONNX leaves open and runtimes take differently. -ENOMEM. gyr_forest_destroy ends it.
 */
GYR_MUST_CHECK int gyr_forest_read(const struct gyr_node *node, enum gyr_dtype x_dtype, size_t features, struct gyr_forest **forest, struct gyr_error *error);
void gyr_forest_destroy(void *forest); /* NULL is fine */

/* Frees the trees of FOREST, and leaves what gyr_forest_finish needs. */
void gyr_forest_forget_trees(struct gyr_forest *forest);

/* The bytes that FOREST takes. */
size_t gyr_forest_bytes(const struct gyr_forest *forest);

#endif
