/*
 * The bytes of a data file in one pass: read, hashed as they are stored, inflated where they are gzip'd. Members of a gzip file may follow each other (RFC
 * 1952); anything else behind a member is refused.
 */
#include "engine/train/dataset_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assertion.h"

/* Deflate makes at most 1032 bytes from one: 258 bytes from a match of two bits (RFC 1951, sections 3.2.5 and 3.2.7). */
#define INFLATE_RATIO_MAX 1032u

/* Reads up to a chunk of what is stored. */
static int read_stored(struct gyr_data_stream *stream, uint8_t *into, size_t *got, struct gyr_error *error)
{
	*got = 0;
	while (*got < GYR_DATA_CHUNK && !stream->stored_end) {
		ssize_t count = read(stream->fd, into + *got, GYR_DATA_CHUNK - *got);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return gyr_error_set(error, -EIO, "%s: reading: %s", stream->path, strerror(errno));
		if (count == 0)
			stream->stored_end = true;
		*got += (size_t)count;
	}
	crypto_generichash_update(&stream->hash, into, *got);
	return 0;
}

int gyr_data_stream_open(const char *path, struct gyr_data_stream *stream, struct gyr_error *error)
{
	*stream = (struct gyr_data_stream){.path = path};
	stream->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (stream->fd < 0)
		return gyr_error_set(error, errno == ENOENT ? -ENOENT : -EIO, "%s: %s", path, strerror(errno));
	struct stat status;
	int result = 0;
	if (fstat(stream->fd, &status) != 0) {
		result = gyr_error_set(error, -EIO, "%s: %s", path, strerror(errno));
		goto failed;
	}
	if (!S_ISREG(status.st_mode)) {
		result = gyr_error_set(error, -EBADMSG, "%s: not a regular file; a CSV, NPY or IDX file is expected", path);
		goto failed;
	}
	stream->stored_bytes = (uint64_t)status.st_size;
	stream->window = malloc(GYR_DATA_CHUNK);
	if (stream->window == NULL) {
		result = gyr_error_set(error, -ENOMEM, "%s: no memory", path);
		goto failed;
	}
	crypto_generichash_init(&stream->hash, NULL, 0, 32);
	result = read_stored(stream, stream->window, &stream->end, error);
	if (result != 0)
		goto failed;
	if (stream->end >= 2 && stream->window[0] == 0x1f && stream->window[1] == 0x8b) {
		stream->stored = malloc(GYR_DATA_CHUNK);
		if (stream->stored == NULL || inflateInit2(&stream->inflater, 16 + MAX_WBITS) != Z_OK) {
			result = gyr_error_set(error, -ENOMEM, "%s: no memory", path);
			goto failed;
		}
		stream->gzip = true;
		memcpy(stream->stored, stream->window, stream->end);
		stream->inflater.next_in = stream->stored;
		stream->inflater.avail_in = (uInt)stream->end;
		stream->end = 0;
		result = gyr_data_stream_fill(stream, error);
		if (result != 0)
			goto failed;
	}
	return 0;
failed:
	gyr_data_stream_close(stream);
	return result;
}

void gyr_data_stream_close(struct gyr_data_stream *stream)
{
	if (stream->gzip)
		inflateEnd(&stream->inflater);
	free(stream->stored);
	free(stream->window);
	close(stream->fd);
	*stream = (struct gyr_data_stream){.fd = -1};
}

void gyr_data_stream_digest(struct gyr_data_stream *stream, uint8_t digest[32])
{
	GYR_ASSERT(stream->stored_end);
	crypto_generichash_final(&stream->hash, digest, 32);
}

static int fill_inflated(struct gyr_data_stream *stream, struct gyr_error *error)
{
	z_stream *inflater = &stream->inflater;
	inflater->next_out = stream->window;
	inflater->avail_out = GYR_DATA_CHUNK;
	while (inflater->avail_out == GYR_DATA_CHUNK) {
		if (inflater->avail_in == 0) {
			size_t got;
			int result = read_stored(stream, stream->stored, &got, error);
			if (result != 0)
				return result;
			inflater->next_in = stream->stored;
			inflater->avail_in = (uInt)got;
			if (got == 0 && stream->member_end)
				return 0;
			if (got == 0)
				return gyr_error_set(error, -EBADMSG, "%s: the gzip stream is cut after %" PRIu64 " bytes", stream->path, stream->stored_bytes);
		}
		if (stream->member_end) {
			inflateReset(inflater);
			stream->member_end = false;
		}
		int status = inflate(inflater, Z_NO_FLUSH);
		if (status == Z_MEM_ERROR)
			return gyr_error_set(error, -ENOMEM, "%s: no memory", stream->path);
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return gyr_error_set(error, -EBADMSG, "%s: the gzip stream is damaged: %s", stream->path,
					     inflater->msg != NULL ? inflater->msg : "it needs a dictionary");
		stream->member_end = status == Z_STREAM_END;
	}
	stream->end = GYR_DATA_CHUNK - inflater->avail_out;
	return 0;
}

int gyr_data_stream_fill(struct gyr_data_stream *stream, struct gyr_error *error)
{
	if (stream->at < stream->end)
		return 0;
	stream->at = stream->end = 0;
	return stream->gzip ? fill_inflated(stream, error) : read_stored(stream, stream->window, &stream->end, error);
}

int gyr_data_stream_read(struct gyr_data_stream *stream, void *into, size_t bytes, size_t *got, struct gyr_error *error)
{
	*got = 0;
	while (*got < bytes) {
		int result = gyr_data_stream_fill(stream, error);
		if (result != 0)
			return result;
		size_t left = stream->end - stream->at;
		if (left == 0)
			return 0;
		size_t part = bytes - *got < left ? bytes - *got : left;
		memcpy((uint8_t *)into + *got, stream->window + stream->at, part);
		stream->at += part;
		*got += part;
	}
	return 0;
}

int gyr_data_stream_payload(struct gyr_data_stream *stream, size_t header_bytes, struct gyr_dataset *dataset, struct gyr_error *error)
{
	const char *path = stream->path;
	char text[128];
	gyr_shape_text(&dataset->shape, text, sizeof text);
	for (uint32_t i = 0; i < dataset->shape.rank; i++)
		if (dataset->shape.dims[i] == 0)
			return gyr_error_set(error, -EBADMSG, "%s: the header gives the shape %s: %s; every dimension must be 1 or more", path, text,
					     i == 0 ? "no rows" : "rows of nothing");
	size_t bytes;
	if (!gyr_shape_bytes(&dataset->shape, 0, &bytes) || bytes > GYR_DATASET_BYTES_MAX)
		return gyr_error_set(error, -E2BIG, "%s: the header gives the shape %s, and %" PRIu64 " bytes of data are the most that is read", path, text,
				     GYR_DATASET_BYTES_MAX);
	/* A header that promises more than the file can hold must not make us take the memory. */
	uint64_t most = stream->gzip ? stream->stored_bytes * INFLATE_RATIO_MAX : stream->stored_bytes;
	if (header_bytes > most || bytes > most - header_bytes)
		return gyr_error_set(error, -EBADMSG,
				     "%s: cut, or its header lies: the shape %s needs %zu bytes behind the header; the file's %" PRIu64 " hold fewer", path,
				     text, bytes, stream->stored_bytes);
	dataset->data = malloc(bytes);
	if (dataset->data == NULL)
		return gyr_error_set(error, -ENOMEM, "%s: no memory for %zu bytes of data", path, bytes);
	size_t got;
	int result = gyr_data_stream_read(stream, dataset->data, bytes, &got, error);
	if (result != 0)
		return result;
	if (got != bytes)
		return gyr_error_set(error, -EBADMSG, "%s: cut: the shape %s needs %zu bytes behind the header, and %zu are there", path, text, bytes, got);
	result = gyr_data_stream_fill(stream, error);
	if (result != 0)
		return result;
	if (stream->at != stream->end)
		return gyr_error_set(error, -EBADMSG, "%s: bytes follow the %zu that the shape %s needs", path, bytes, text);
	return 0;
}
