/*
 * Tells the format of a data file, has it read, and checks what all formats share: the numbers are finite.
 */
#include "engine/train/dataset.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/train/dataset_internal.h"

/* The index of the first NaN or infinity, or COUNT. */
static size_t first_not_finite(const struct gyr_dataset *dataset, size_t count)
{
	size_t i = 0;
	if (dataset->shape.dtype == GYR_DTYPE_F32)
		while (i < count && isfinite(((const float *)dataset->data)[i]))
			i++;
	else if (dataset->shape.dtype == GYR_DTYPE_F64)
		while (i < count && isfinite(((const double *)dataset->data)[i]))
			i++;
	else
		i = count;
	return i;
}

static int check_finite(const char *path, const struct gyr_dataset *dataset, struct gyr_error *error)
{
	size_t columns = gyr_dataset_row_count(dataset), count = columns * (size_t)dataset->shape.dims[0];
	size_t bad = first_not_finite(dataset, count);
	if (bad == count)
		return 0;
	return gyr_error_set(error, -EBADMSG, "%s: row %zu, column %zu (from 0): NaN or infinity; a finite number is expected", path, bad / columns,
			     bad % columns);
}

static int read_stream(struct gyr_data_stream *stream, const char *columns, struct gyr_dataset *dataset, struct gyr_error *error)
{
	const uint8_t *first = stream->window;
	size_t bytes = stream->end;
	if (bytes == 0)
		return gyr_error_set(error, -EBADMSG, "%s: empty; a CSV, NPY or IDX file is expected", stream->path);
	bool npy = bytes >= 6 && memcmp(first, "\x93NUMPY", 6) == 0;
	bool idx = bytes >= 2 && first[0] == 0 && first[1] == 0;
	if (columns != NULL && (npy || idx))
		return gyr_error_set(error, -EINVAL, "%s: columns (%s) can be chosen from a CSV file only, and this is %s", stream->path, columns,
				     npy ? "NPY" : "IDX");
	int result = npy   ? gyr_dataset_read_npy(stream, dataset, error)
		     : idx ? gyr_dataset_read_idx(stream, dataset, error)
			   : gyr_dataset_read_csv(stream, columns, dataset, error);
	if (result == 0)
		result = check_finite(stream->path, dataset, error);
	if (result == 0)
		gyr_data_stream_digest(stream, dataset->digest);
	return result;
}

int gyr_dataset_read(const char *path, const char *columns, struct gyr_dataset *dataset, struct gyr_error *error)
{
	*dataset = (struct gyr_dataset){0};
	if (sodium_init() < 0)
		return gyr_error_set(error, -EIO, "libsodium does not start");
	struct gyr_data_stream stream;
	int result = gyr_data_stream_open(path, &stream, error);
	if (result != 0)
		return result;
	result = read_stream(&stream, columns, dataset, error);
	gyr_data_stream_close(&stream);
	if (result != 0)
		gyr_dataset_fini(dataset);
	return result;
}

void gyr_dataset_fini(struct gyr_dataset *dataset)
{
	free(dataset->data);
	*dataset = (struct gyr_dataset){0};
}

size_t gyr_dataset_row_count(const struct gyr_dataset *dataset)
{
	size_t count = 1;
	for (uint32_t i = 1; i < dataset->shape.rank; i++)
		count *= (size_t)dataset->shape.dims[i];
	return count;
}

bool gyr_dataset_converts(const struct gyr_dataset *dataset, enum gyr_dtype dtype)
{
	return dtype == dataset->shape.dtype || dtype == GYR_DTYPE_F32;
}

#define TO_FLOAT(type)                                                                                                                                         \
	for (size_t i = 0; i < count; i++)                                                                                                                     \
		numbers[i] = (float)((const type *)from)[i];                                                                                                   \
	break

void gyr_dataset_copy_row(const struct gyr_dataset *dataset, int64_t row, enum gyr_dtype dtype, void *into)
{
	GYR_ASSERT(gyr_dataset_converts(dataset, dtype));
	GYR_ASSERT(row >= 0 && row < dataset->shape.dims[0]);
	size_t count = gyr_dataset_row_count(dataset), bytes = count * gyr_dtype_bytes(dataset->shape.dtype);
	const void *from = (const uint8_t *)dataset->data + (size_t)row * bytes;
	if (dtype == dataset->shape.dtype) {
		memcpy(into, from, bytes);
		return;
	}
	float *restrict numbers = into;
	switch (dataset->shape.dtype) {
	case GYR_DTYPE_F64: TO_FLOAT(double);
	case GYR_DTYPE_U8: TO_FLOAT(uint8_t);
	case GYR_DTYPE_I8: TO_FLOAT(int8_t);
	case GYR_DTYPE_I32: TO_FLOAT(int32_t);
	case GYR_DTYPE_I64: TO_FLOAT(int64_t);
	default: GYR_ASSERT(!"a type that a dataset has");
	}
}
