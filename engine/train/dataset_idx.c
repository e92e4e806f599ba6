/*
 * IDX, the format of the MNIST files: two zero bytes, a type, the number of dimensions, each dimension as a big-endian 32-bit number, then the elements,
 * big-endian. Source: "The MNIST database of handwritten digits", LeCun, Cortes and Burges, section "The IDX file format".
 */
#include <errno.h>
#include <string.h>

#include "engine/train/dataset_internal.h"

static enum gyr_dtype type_of(uint8_t code)
{
	switch (code) {
	case 0x08: return GYR_DTYPE_U8;
	case 0x09: return GYR_DTYPE_I8;
	case 0x0c: return GYR_DTYPE_I32;
	case 0x0d: return GYR_DTYPE_F32;
	case 0x0e: return GYR_DTYPE_F64;
	default: return GYR_DTYPE_NONE;
	}
}

static void swap_bytes(void *data, size_t count, size_t bytes)
{
	if (bytes == 4)
		for (uint32_t *at = data; count > 0; count--, at++)
			*at = __builtin_bswap32(*at);
	else if (bytes == 8)
		for (uint64_t *at = data; count > 0; count--, at++)
			*at = __builtin_bswap64(*at);
}

int gyr_dataset_read_idx(struct gyr_data_stream *stream, struct gyr_dataset *dataset, struct gyr_error *error)
{
	const char *path = stream->path;
	uint8_t head[4];
	size_t got;
	int result = gyr_data_stream_read(stream, head, sizeof head, &got, error);
	if (result != 0)
		return result;
	if (got < sizeof head)
		return gyr_error_set(error, -EBADMSG, "%s: cut: an IDX header has 4 bytes and a dimension, and %zu bytes are there", path, got);
	dataset->shape.dtype = type_of(head[2]);
	if (dataset->shape.dtype == GYR_DTYPE_NONE)
		return gyr_error_set(error, -ENOTSUP, "%s: IDX type 0x%02x is not read; 0x08 (u8), 0x09 (i8), 0x0c (i32), 0x0d (f32) and 0x0e (f64) are", path,
				     head[2]);
	dataset->shape.rank = head[3];
	if (head[3] == 0 || head[3] > GYR_RANK_MAX)
		return gyr_error_set(error, -EBADMSG, "%s: the IDX header gives %u dimensions; 1 to %d are read", path, head[3], GYR_RANK_MAX);
	for (uint32_t i = 0; i < dataset->shape.rank; i++) {
		uint8_t big[4];
		result = gyr_data_stream_read(stream, big, sizeof big, &got, error);
		if (result != 0)
			return result;
		if (got < sizeof big)
			return gyr_error_set(error, -EBADMSG, "%s: cut in its IDX header, at dimension %u of %u", path, i, dataset->shape.rank);
		dataset->shape.dims[i] = (int64_t)((uint32_t)big[0] << 24 | (uint32_t)big[1] << 16 | (uint32_t)big[2] << 8 | big[3]);
	}
	result = gyr_data_stream_payload(stream, 4 + 4 * (size_t)dataset->shape.rank, dataset, error);
	if (result != 0)
		return result;
	swap_bytes(dataset->data, gyr_dataset_row_count(dataset) * (size_t)dataset->shape.dims[0], gyr_dtype_bytes(dataset->shape.dtype));
	return 0;
}
