/* What the files of the wire share. */
#ifndef GYR_DATAPLANE_WIRE_WIRE_INTERNAL_H
#define GYR_DATAPLANE_WIRE_WIRE_INTERNAL_H

#include <stdint.h>

/* By first byte: how long a msgpack number (or boolean, which counts as 0 or 1) is in all; 0 where the byte starts something else. */
extern const uint8_t gyr_wire_number_bytes[256];

#endif
