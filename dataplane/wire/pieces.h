/*
 * Which parts of a message that came, or goes, in pieces are there: one bit for each 64 bytes (a grain). A piece begins at a whole grain and ends at one, or at
 * the end of the message, so pieces of any size in any order, doubled and overlapping, are counted exactly, and either end may change its piece size in the
 * middle of a message. The bits are the caller's. Any thread, one at a time for each message.
 */
#ifndef GYR_DATAPLANE_WIRE_PIECES_H
#define GYR_DATAPLANE_WIRE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/wire/wire.h"

#define GYR_PIECES_GRAIN 64u

struct gyr_pieces {
	uint64_t *bits; /* gyr_pieces_bytes of the message's length */
	uint32_t total; /* bytes of the message, 1 or more */
	uint32_t left;  /* grains that are not there */
};

/* Whether BYTES at OFFSET can be a piece of a message of TOTAL bytes. */
static inline bool gyr_pieces_may_be(uint32_t total, uint64_t offset, uint64_t bytes)
{
	return bytes > 0 && offset % GYR_PIECES_GRAIN == 0 && offset < total && bytes <= total - offset &&
	       (bytes % GYR_PIECES_GRAIN == 0 || bytes == total - offset);
}

/* The largest piece, but for the last of a message, that a datagram of DATAGRAM bytes (GYR_WIRE_FRAGMENT_HEAD_MAX + GYR_PIECES_GRAIN or more) holds. */
static inline uint32_t gyr_pieces_size(uint32_t datagram)
{
	return (datagram - GYR_WIRE_FRAGMENT_HEAD_MAX) / GYR_PIECES_GRAIN * GYR_PIECES_GRAIN;
}

/* Bytes that the bits of a message of TOTAL bytes take; a multiple of 8. */
size_t gyr_pieces_bytes(uint32_t total);

/* None is there; BITS is overwritten. */
void gyr_pieces_init(struct gyr_pieces *pieces, uint64_t *bits, uint32_t total);

/* Each takes a range that gyr_pieces_may_be allows, and returns how many grains of it were not (add), or were (remove), there before. */
uint32_t gyr_pieces_add(struct gyr_pieces *pieces, uint32_t offset, uint32_t bytes);
uint32_t gyr_pieces_remove(struct gyr_pieces *pieces, uint32_t offset, uint32_t bytes);

/* The first range from byte FROM (a multiple of the grain) on that is not there, as long as it goes. False: nothing is missing from there on. */
bool gyr_pieces_next_missing(const struct gyr_pieces *pieces, uint32_t from, struct gyr_wire_range *range);

#endif
