/* msgpack-c as the oracle of the cursor: reads the same bytes twice and compares. */
#ifndef GYR_TESTS_UNIT_BASE_ORACLE_H
#define GYR_TESTS_UNIT_BASE_ORACLE_H

#include <msgpack.h>
#include <stdbool.h>

#include "base/unpack.h"

/* Reads one object with the cursor, everything inside it included, and tells whether it is OBJECT. Recurses as deep as OBJECT is, which msgpack-c bounds. */
bool oracle_is_same(struct gyr_unpack *cursor, const msgpack_object *object);

#endif
