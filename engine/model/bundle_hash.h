/*
 * The hashes of a bundle. Format 2 has SHA-256, of long parts in two steps: pieces of GYR_BUNDLE_PIECE_BYTES are hashed, in any order and by any number of
 * threads, and the hash of those hashes is the part's. Format 1 had BLAKE2b-256 in one step, which only one thread can compute, from the first byte to the
 * last.
 */
#ifndef GYR_ENGINE_MODEL_BUNDLE_HASH_H
#define GYR_ENGINE_MODEL_BUNDLE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "engine/model/bundle.h"

#define GYR_BUNDLE_PIECE_BYTES 32768u

/* Pieces of a part of BYTES; the last may be short. */
static inline uint64_t gyr_bundle_pieces(uint64_t bytes)
{
	return (bytes + GYR_BUNDLE_PIECE_BYTES - 1) / GYR_BUNDLE_PIECE_BYTES;
}

/* SHA-256 (FIPS 180-4). Any thread. */
void gyr_bundle_sha256(const void *bytes, size_t size, uint8_t hash[GYR_BUNDLE_ID_BYTES]);

/* The hash of each piece of SIZE bytes, one behind the other in HASHES. Any thread; several where there are several calls. */
void gyr_bundle_hash_pieces(const void *bytes, size_t size, uint8_t (*hashes)[GYR_BUNDLE_ID_BYTES]);

/* The hash of a part whose COUNT pieces have HASHES. */
void gyr_bundle_hash_join(const uint8_t (*hashes)[GYR_BUNDLE_ID_BYTES], size_t count, uint8_t hash[GYR_BUNDLE_ID_BYTES]);

#endif
