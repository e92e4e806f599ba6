#include "control/load/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"

#define THREADS_MAX 8u
#define THREAD_BYTES (UINT64_C(4) << 20) /* it is not worth while to start a thread for less */

struct part {
	uint64_t at, bytes;
};

struct gyr_hasher {
	const uint8_t *bytes;
	uint64_t size;
	uint8_t (*hashes)[GYR_BUNDLE_ID_BYTES]; /* one a piece */
	uint64_t added_bytes;                   /* of the thread that adds */
	uint32_t thread_count;
	pthread_t threads[THREADS_MAX];
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more, done;
	struct part *parts;    /* that were added, in that order; room for one a piece, of which untouched pages are none */
	uint64_t added, taken; /* parts */
	uint64_t left;         /* bytes that are not hashed yet */
	bool ending;
};

static void hash_part(struct gyr_hasher *hasher, struct part part)
{
	gyr_bundle_hash_pieces(hasher->bytes + part.at, part.bytes, &hasher->hashes[part.at / GYR_BUNDLE_PIECE_BYTES]);
}

static void *hash_parts(void *user)
{
	struct gyr_hasher *hasher = user;
	pthread_mutex_lock(&hasher->lock);
	for (;;) {
		while (hasher->taken == hasher->added && !hasher->ending)
			pthread_cond_wait(&hasher->more, &hasher->lock);
		if (hasher->ending)
			break;
		struct part part = hasher->parts[hasher->taken++];
		pthread_mutex_unlock(&hasher->lock);
		hash_part(hasher, part);
		pthread_mutex_lock(&hasher->lock);
		hasher->left -= part.bytes;
		if (hasher->left == 0)
			pthread_cond_signal(&hasher->done);
	}
	pthread_mutex_unlock(&hasher->lock);
	return NULL;
}

static uint32_t threads_for(uint64_t bytes)
{
	cpu_set_t cpus;
	uint32_t count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
	uint32_t worth = bytes / THREAD_BYTES < THREADS_MAX ? (uint32_t)(bytes / THREAD_BYTES) : THREADS_MAX;
	return count < worth ? count : worth;
}

int gyr_hasher_create(const uint8_t *bytes, uint64_t size, struct gyr_hasher **hasher, struct gyr_error *error)
{
	struct gyr_hasher *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for hashing");
	made->bytes = bytes;
	made->size = made->left = size;
	made->hashes = calloc(gyr_bundle_pieces(size) + 1, sizeof *made->hashes);
	made->parts = calloc(gyr_bundle_pieces(size) + 1, sizeof *made->parts);
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->more, NULL);
	pthread_cond_init(&made->done, NULL);
	int status = made->hashes == NULL || made->parts == NULL ? -ENOMEM : 0;
	for (uint32_t count = threads_for(size); status == 0 && made->thread_count < count;) {
		status = -pthread_create(&made->threads[made->thread_count], NULL, hash_parts, made);
		made->thread_count += status == 0;
	}
	if (status != 0) {
		gyr_hasher_destroy(made);
		return gyr_error_set(error, status, "hashing: %s", strerror(-status));
	}
	*hasher = made;
	return 0;
}

void gyr_hasher_add(struct gyr_hasher *hasher, uint64_t at, uint64_t bytes)
{
	const struct part part = {.at = at, .bytes = bytes};
	GYR_ASSERT(at % GYR_BUNDLE_PIECE_BYTES == 0);
	GYR_ASSERT(at < hasher->size && bytes <= hasher->size - at);
	GYR_ASSERT(bytes % GYR_BUNDLE_PIECE_BYTES == 0 || at + bytes == hasher->size);
	hasher->added_bytes += bytes;
	GYR_ASSERT(hasher->added_bytes <= hasher->size);
	if (hasher->thread_count == 0) {
		hash_part(hasher, part);
		hasher->left -= bytes;
		return;
	}
	pthread_mutex_lock(&hasher->lock);
	hasher->parts[hasher->added++] = part;
	pthread_cond_signal(&hasher->more);
	pthread_mutex_unlock(&hasher->lock);
}

void gyr_hasher_finish(struct gyr_hasher *hasher, uint8_t hash[GYR_BUNDLE_ID_BYTES])
{
	GYR_ASSERT(hasher->added_bytes == hasher->size);
	pthread_mutex_lock(&hasher->lock);
	while (hasher->left > 0)
		pthread_cond_wait(&hasher->done, &hasher->lock);
	pthread_mutex_unlock(&hasher->lock);
	gyr_bundle_hash_join((const uint8_t(*)[GYR_BUNDLE_ID_BYTES])hasher->hashes, gyr_bundle_pieces(hasher->size), hash);
}

void gyr_hasher_destroy(struct gyr_hasher *hasher)
{
	if (hasher == NULL)
		return;
	pthread_mutex_lock(&hasher->lock);
	hasher->ending = true;
	pthread_cond_broadcast(&hasher->more);
	pthread_mutex_unlock(&hasher->lock);
	for (uint32_t i = 0; i < hasher->thread_count; i++)
		pthread_join(hasher->threads[i], NULL);
	pthread_cond_destroy(&hasher->done);
	pthread_cond_destroy(&hasher->more);
	pthread_mutex_destroy(&hasher->lock);
	free(hasher->parts);
	free(hasher->hashes);
	free(hasher);
}
