/*
 * What the files that read forests share: a forest in the making.
 */
#ifndef GYR_ENGINE_KERNEL_FOREST_INTERNAL_H
#define GYR_ENGINE_KERNEL_FOREST_INTERNAL_H

#include "engine/kernel/forest.h"

/* A list of numbers in an attribute: floats, or a tensor of one dimension. */
struct numbers {
	enum gyr_dtype dtype; /* F32 or F64 */
	uint32_t count;
	const void *items;
};

struct reading {
	const struct gyr_node *node;
	enum gyr_dtype x_dtype;
	size_t features;
	struct gyr_forest *forest;
	struct gyr_error *error;
};

/* -ENOTSUP with a reason. */
int forest_refuse(struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* COUNT zeroed items of BYTES. NULL with the error set. */
void *forest_array(struct reading *reading, size_t count, size_t bytes);

/* The attribute of ints NAME, of exactly COUNT. NULL with the error set. */
const int64_t *forest_integers(struct reading *reading, const char *name, uint32_t count);

/* The attribute of floats NAME, or the tensor NAME_as_tensor (or the tensor NAME where that is its form). -ENOTSUP: both, or of a type that does not fit. */
GYR_MUST_CHECK int forest_numbers(struct reading *reading, const char *name, const char *tensor_name, struct numbers *numbers);

/* Number I as a double, and as the key of the forest's kind. */
double forest_number(const struct numbers *numbers, uint32_t i);
int64_t forest_key(const struct reading *reading, const struct numbers *numbers, uint32_t i);

/* Both kinds of attributes: trees by ids (TreeEnsembleRegressor and -Classifier), and by indices (TreeEnsemble). */
GYR_MUST_CHECK int forest_read_ids(struct reading *reading);
GYR_MUST_CHECK int forest_read_indices(struct reading *reading);

#endif
