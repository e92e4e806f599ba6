#include "base/pack.h"

#include <string.h>

static int append(void *data, const char *bytes, size_t length)
{
	struct gyr_pack *pack = data;
	if (length > pack->size - pack->used) {
		pack->overflow = true;
		return -1;
	}
	if (length != 0)
		memcpy(pack->bytes + pack->used, bytes, length);
	pack->used += length;
	return 0;
}

void gyr_pack_init(struct gyr_pack *pack, void *bytes, size_t size)
{
	*pack = (struct gyr_pack){.bytes = bytes, .size = size};
	msgpack_packer_init(&pack->packer, pack, append);
}

void gyr_pack_str(struct gyr_pack *pack, const char *text)
{
	gyr_pack_strn(pack, text, strlen(text));
}

void gyr_pack_strn(struct gyr_pack *pack, const char *text, size_t length)
{
	msgpack_pack_str(&pack->packer, length);
	msgpack_pack_str_body(&pack->packer, text, length);
}

void gyr_pack_bin(struct gyr_pack *pack, const void *bytes, size_t length)
{
	msgpack_pack_bin(&pack->packer, length);
	msgpack_pack_bin_body(&pack->packer, bytes, length);
}
