/*
 * Training data from files: CSV (a header line, columns by name or number), NPY (format 1 to 3, C order) and IDX (as MNIST's), each also gzip'd.
 */
#ifndef GYR_ENGINE_TRAIN_DATASET_H
#define GYR_ENGINE_TRAIN_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/tensor.h"

/* Rows of equal size. The first dimension of SHAPE is the number of rows (never 0). */
struct gyr_dataset {
	struct gyr_shape shape; /* dtype as in the file: f32, f64, u8, i8, i32, i64; CSV gives f32 */
	void *data;             /* dense, row-major */
	uint8_t digest[32];     /* BLAKE2b-256 of the file's bytes (as stored) */
};

/*
 * Reads PATH; the format is told by its content. COLUMNS, for CSV only, names the columns in order ("a,b,c" or "0-99"), NULL for all. -EBADMSG: cut, ragged,
 * NaN or infinity, no rows, a missing column (the message names file, line and column). -ENOENT, -EIO, -ENOMEM, -ENOTSUP (a type or order that is not read).
 */
GYR_MUST_CHECK int gyr_dataset_read(const char *path, const char *columns, struct gyr_dataset *dataset, struct gyr_error *error);
void gyr_dataset_fini(struct gyr_dataset *dataset);

#endif
