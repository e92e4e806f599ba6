/*
 * Choices: see choices.h.
 */
#include "engine/plan/choices.h"

#include <assert.h>

#include "engine/kernel/tune.h"

static_assert(GYR_CHOICES_BYTES_MAX >= GYR_TUNE_BYTES_MAX, "every export fits");

uint64_t gyr_choices_made(void)
{
	return gyr_tune_made();
}

size_t gyr_choices_export(void *to, size_t size)
{
	return gyr_tune_export(to, size);
}

int gyr_choices_import(const void *bytes, size_t size, struct gyr_error *error)
{
	return gyr_tune_import(bytes, size, error);
}
