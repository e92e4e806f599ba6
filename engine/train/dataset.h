/*
 * Training data from files: CSV (a header line, columns by name or number), NPY (format 1 to 3, C order) and IDX (as MNIST's), each also gzip'd. A file is
 * untrusted: no count in it is believed before it has been compared with the bytes that are there.
 */
#ifndef GYR_ENGINE_TRAIN_DATASET_H
#define GYR_ENGINE_TRAIN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/tensor.h"

#define GYR_DATASET_BYTES_MAX (UINT64_C(16) << 30) /* of the data in memory */
#define GYR_DATASET_COLUMNS_MAX 65536u             /* of a CSV line */

/* Rows of equal size. The first dimension of SHAPE is the number of rows (never 0), and no other is 0. */
struct gyr_dataset {
	struct gyr_shape shape; /* dtype as in the file: f32, f64, u8, i8, i32, i64; CSV gives f32 */
	void *data;             /* dense, row-major */
	uint8_t digest[32];     /* BLAKE2b-256 of the file's bytes (as stored) */
};

/*
 * Reads PATH; the format is told by its content. COLUMNS, for CSV only, names the columns in order: names from the header line, numbers from 0 and ranges of
 * them ("price,0,7-99"; a name that fits goes before a number); NULL for all. -EBADMSG: cut, ragged, NaN or infinity, no rows, a missing column (the message
 * names file, line and column). -EINVAL: columns for a file that has none. -E2BIG: over a bound above. -ENOENT, -EIO, -ENOMEM, -ENOTSUP (a type or order that
 * is not read). On an error DATASET holds nothing.
 */
GYR_MUST_CHECK int gyr_dataset_read(const char *path, const char *columns, struct gyr_dataset *dataset, struct gyr_error *error);
void gyr_dataset_fini(struct gyr_dataset *dataset); /* an all-zero dataset is fine */

/* Elements of one row. */
size_t gyr_dataset_row_count(const struct gyr_dataset *dataset);

/* Whether rows can be had as DTYPE: in their own type, or as f32. */
bool gyr_dataset_converts(const struct gyr_dataset *dataset, enum gyr_dtype dtype);

/* Writes row ROW as DTYPE (one that gyr_dataset_converts allows) to INTO. Allocates nothing; any thread. */
void gyr_dataset_copy_row(const struct gyr_dataset *dataset, int64_t row, enum gyr_dtype dtype, void *into);

#endif
