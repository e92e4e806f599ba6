/*
 * Cast: see cast.h.
 */
#include "engine/ref/cast.h"

#include "engine/ref/number.h"

void gyr_ref_cast(enum gyr_dtype from, enum gyr_dtype to, size_t count, const void *x, void *y)
{
	for (size_t i = 0; i < count; i++)
		gyr_number_store(to, y, i, gyr_number_load(from, x, i));
}
