/*
 * What the readers of the three formats share: the bytes of a data file, decompressed where it is gzip'd, in order and once.
 */
#ifndef GYR_ENGINE_TRAIN_DATASET_INTERNAL_H
#define GYR_ENGINE_TRAIN_DATASET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sodium.h>
#include <zlib.h>

#include "base/error.h"
#include "engine/train/dataset.h"

#define GYR_DATA_CHUNK 65536u

/* The file as it is stored, and a window on its content. A plain file's window is filled straight from the file. */
struct gyr_data_stream {
	const char *path;
	int fd;
	uint64_t stored_bytes; /* the file's size */
	bool gzip, stored_end; /* stored_end: the file's last byte has been read */
	bool member_end;       /* gzip: between two members */
	z_stream inflater;
	crypto_generichash_state hash; /* of what is stored */
	uint8_t *stored;               /* gzip: GYR_DATA_CHUNK bytes */
	uint8_t *window;               /* GYR_DATA_CHUNK bytes */
	size_t at, end;                /* [at, end) of the window is still to be read */
};

/* Opens PATH, a regular file. -ENOENT, -EIO, -ENOMEM; -EBADMSG: no file but something else. */
GYR_MUST_CHECK int gyr_data_stream_open(const char *path, struct gyr_data_stream *stream, struct gyr_error *error);
void gyr_data_stream_close(struct gyr_data_stream *stream);

/* The hash of the stored bytes; only after the content has been read to its end. */
void gyr_data_stream_digest(struct gyr_data_stream *stream, uint8_t digest[32]);

/* Makes [at, end) not empty, unless the content has ended. -EIO; -EBADMSG: a gzip stream that is cut or damaged. */
GYR_MUST_CHECK int gyr_data_stream_fill(struct gyr_data_stream *stream, struct gyr_error *error);

/* Reads BYTES bytes or what is left: *GOT says how many. Errors as fill. */
GYR_MUST_CHECK int gyr_data_stream_read(struct gyr_data_stream *stream, void *into, size_t bytes, size_t *got, struct gyr_error *error);

/*
 * For the formats whose header gives the shape: checks DATASET's shape against the bounds and against what the file can hold after the HEADER_BYTES before the
 * payload, takes the memory and reads the payload, behind which nothing may follow. DATASET keeps the memory when it fails. -EBADMSG, -ENOMEM, -E2BIG, -EIO.
 */
GYR_MUST_CHECK int gyr_data_stream_payload(struct gyr_data_stream *stream, size_t header_bytes, struct gyr_dataset *dataset, struct gyr_error *error);

/* The readers: each fills DATASET's shape and data from a stream at its first byte. */
GYR_MUST_CHECK int gyr_dataset_read_csv(struct gyr_data_stream *stream, const char *columns, struct gyr_dataset *dataset, struct gyr_error *error);
GYR_MUST_CHECK int gyr_dataset_read_npy(struct gyr_data_stream *stream, struct gyr_dataset *dataset, struct gyr_error *error);
GYR_MUST_CHECK int gyr_dataset_read_idx(struct gyr_data_stream *stream, struct gyr_dataset *dataset, struct gyr_error *error);

#endif
