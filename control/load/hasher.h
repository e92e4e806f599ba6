/*
 * Hashes the pieces of a bundle's tensors (engine/model/bundle_hash.h) in threads of its own while the rest is read. Used by the loader only.
 */
#ifndef GYR_CONTROL_LOAD_HASHER_H
#define GYR_CONTROL_LOAD_HASHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/bundle_hash.h"

struct gyr_hasher;

/*
 * For SIZE bytes from BYTES on, which must stay. There are as many threads as this one has CPUs, but no more than there is work for; with none, adding hashes.
 * -ENOMEM, -EAGAIN: no memory or no threads.
 */
GYR_MUST_CHECK int gyr_hasher_create(const uint8_t *bytes, uint64_t size, struct gyr_hasher **hasher, struct gyr_error *error);

/* BYTES from AT on are there: whole pieces, or up to the end. Each byte once; one thread. */
void gyr_hasher_add(struct gyr_hasher *hasher, uint64_t at, uint64_t bytes);

/* Once all were added: waits for the threads and gives the hash of the whole. */
void gyr_hasher_finish(struct gyr_hasher *hasher, uint8_t hash[GYR_BUNDLE_ID_BYTES]);

/* Ends the threads, with whatever is under way. NULL is fine. */
void gyr_hasher_destroy(struct gyr_hasher *hasher);

#endif
