/*
 * What plans chose by measuring on this CPU (engine/kernel/tune.h), as bytes that outlive the process. It belongs to the process: any thread, not for the hot
 * path.
 */
#ifndef GYR_ENGINE_PLAN_CHOICES_H
#define GYR_ENGINE_PLAN_CHOICES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_CHOICES_BYTES_MAX ((size_t)256 << 10)

/* How often something was chosen by measuring. */
uint64_t gyr_choices_made(void);

/* Packs what is remembered into SIZE bytes at TO; the length, or 0 when it does not fit (GYR_CHOICES_BYTES_MAX always does). */
size_t gyr_choices_export(void *to, size_t size);

/*
 * Remembers what was exported, beside what is remembered already, which has precedence. Any content is safe. -ENOTSUP: from another CPU or another version of
 * Gyr; -EBADMSG: anything else. Nothing of it is remembered then.
 */
GYR_MUST_CHECK int gyr_choices_import(const void *bytes, size_t size, struct gyr_error *error);

#endif
