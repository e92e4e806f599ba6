/* Addresses of clients: they follow each other. */
#include <string.h>

#include "tools/load/load.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool load_address_is_ipv4(const struct load_address *address)
{
	return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

bool load_address_is_given(const struct load_address *address)
{
	static const struct load_address none;
	return memcmp(address, &none, sizeof none) != 0;
}

struct load_address load_address_of(const struct load_address *base, uint32_t i)
{
	struct load_address address = *base;
	uint32_t low = (uint32_t)base->bytes[12] << 24 | (uint32_t)base->bytes[13] << 16 | (uint32_t)base->bytes[14] << 8 | base->bytes[15];
	for (unsigned at = 0; at < 4; at++)
		address.bytes[12 + at] = (uint8_t)((low + i) >> (24 - 8 * at));
	return address;
}
