/*
 * Choosing among candidates by measuring them. Where several pieces of code, or layouts, compute the same within the same stated error, a kernel has them timed
 * when it is prepared, and the choice is remembered, for this process and, exported and imported, for others on the same CPU.
 *
 * The table is of fixed size (the oldest choice makes room) and belongs to the process. Any thread; not for the hot path.
 */
#ifndef GYR_ENGINE_KERNEL_TUNE_H
#define GYR_ENGINE_KERNEL_TUNE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_TUNE_KERNEL_MAX 15u
#define GYR_TUNE_SIZES_MAX 6u
#define GYR_TUNE_ENTRIES_MAX 2048u
#define GYR_TUNE_BYTES_MAX (GYR_TUNE_ENTRIES_MAX * 80u + 256u) /* of an export */

/* What a choice is remembered by: which kernel, and all sizes that matter to it. */
struct gyr_tune_key {
	char kernel[GYR_TUNE_KERNEL_MAX + 1]; /* zeros behind the name */
	uint64_t sizes[GYR_TUNE_SIZES_MAX];   /* 0 where there are fewer */
};

/* Runs CANDIDATE once. */
typedef void gyr_tune_fn(void *context, uint32_t candidate);

/* This thread begins a piece of work (a plan) for which choices may be measured for up to a second together; then candidate 0 is taken unmeasured. */
void gyr_tune_begin(void);

/*
 * The fastest of COUNT (1 or more) candidates: as remembered under KEY, or else measured, for about 2 ms, and remembered. Candidate 0 is the one expected to
 * win, and does unless another is faster by more than the noise.
 */
uint32_t gyr_tune_choose(const struct gyr_tune_key *key, uint32_t count, gyr_tune_fn *run, void *context);

/* How often something was measured and remembered since the process began. */
uint64_t gyr_tune_made(void);

/* How many choices are remembered. */
uint32_t gyr_tune_count(void);

/* Forgets all. */
void gyr_tune_forget(void);

/* Packs what is remembered, and of which CPU, into SIZE bytes at TO; the length, or 0 when it does not fit (GYR_TUNE_BYTES_MAX always does). */
size_t gyr_tune_export(void *to, size_t size);

/*
 * Remembers what was exported, beside what is remembered already, which has precedence. -ENOTSUP: from another CPU or another version of Gyr. -EBADMSG:
 * anything else; the message names the place. Nothing of it is remembered then. Any content is safe: a choice that names no candidate is measured anew.
 */
GYR_MUST_CHECK int gyr_tune_import(const void *bytes, size_t size, struct gyr_error *error);

#endif
