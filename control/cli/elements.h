/*
 * The elements of a tensor from and to what people write: JSON, files, numbers printed.
 */
#ifndef GYR_CONTROL_CLI_ELEMENTS_H
#define GYR_CONTROL_CLI_ELEMENTS_H

#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/tensor.h"

/* Dense elements; free(3) DATA. */
struct ctl_elements {
	void *data;
	size_t bytes;
};

/* All numbers in the (nested) array TEXT, in order, as DTYPE. -EINVAL: no JSON, no number, or one that DTYPE cannot hold; -ENOTSUP: a DTYPE that is not written
 * as JSON here. */
GYR_MUST_CHECK int ctl_elements_from_json(const char *text, size_t length, enum gyr_dtype dtype, struct ctl_elements *elements, struct gyr_error *error);

/*
 * Row ROW (-1: all) of the file PATH: IDX (also gzip'd), JSON (its first byte is '['), or raw elements. ROW_BYTES is the size of a row. -EINVAL: the file is of
 * another type or shape; -ERANGE: it has no such row; -ENOENT, -EIO.
 */
GYR_MUST_CHECK int ctl_elements_from_file(const char *path, int64_t row, enum gyr_dtype dtype, size_t row_bytes, struct ctl_elements *elements,
					  struct gyr_error *error);

/* Element INDEX of DATA as a JSON number (null: not finite). NULL: a DTYPE that is not printed here. */
yyjson_mut_val *ctl_element_to_json(yyjson_mut_doc *doc, const void *data, size_t index, enum gyr_dtype dtype);

#endif
