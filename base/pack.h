/*
 * msgpack-c's packer over a buffer of fixed size. What does not fit is not written, and said at the end.
 *
 *     struct gyr_pack pack;
 *     gyr_pack_init(&pack, bytes, sizeof bytes);
 *     msgpack_pack_array(&pack.packer, 2);
 *     gyr_pack_str(&pack, "hello");
 *     ...
 *     if (pack.overflow) ...
 */
#ifndef GYR_BASE_PACK_H
#define GYR_BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack.h>

struct gyr_pack {
	msgpack_packer packer; /* for msgpack_pack_*; their return values need no check */
	uint8_t *bytes;
	size_t used, size;
	bool overflow; /* something did not fit; BYTES then holds no whole message */
};

/* Starts a message in the caller's SIZE bytes. The struct must not move while it is in use (the packer points at it). */
void gyr_pack_init(struct gyr_pack *pack, void *bytes, size_t size);

/* Packs a zero-terminated string, or LENGTH bytes as a str or a bin. */
void gyr_pack_str(struct gyr_pack *pack, const char *text);
void gyr_pack_strn(struct gyr_pack *pack, const char *text, size_t length);
void gyr_pack_bin(struct gyr_pack *pack, const void *bytes, size_t length);

#endif
