/*
 * Fuzzes gyr_bundle_open. Nothing gets past the hashes by chance, so a bundle is made of the input, with the hashes that fit:
 *
 *     bytes 0, 1   the length of the manifest, little-endian; 0xffff means that the rest is a whole file, taken as it is
 *     then         the manifest
 *     then         64 bytes for the beginning of each 4 KiB of tensors
 *
 * What opens must be safe to use, and must build to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/assertion.h"
#include "base/unpack.h"
#include "engine/model/bundle.h"

#define BLOCK GYR_BUNDLE_ALIGN
#define PIECE 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t round_up(size_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

/* Reads past one value of a manifest; if it is a constant that lies within SECTION, puts the right hash into it. */
static bool mend_value(struct gyr_unpack *cursor, const uint8_t *section, size_t section_bytes)
{
	uint32_t places, hash_bytes;
	uint64_t offset, length;
	const uint8_t *hash;
	if (!gyr_unpack_array(cursor, &places))
		return false;
	if (places != 6) {
		while (places-- > 0)
			if (!gyr_unpack_skip(cursor, 8))
				return false;
		return true;
	}
	for (unsigned i = 0; i < 3; i++)
		if (!gyr_unpack_skip(cursor, 8))
			return false;
	if (!gyr_unpack_uint(cursor, &offset) || !gyr_unpack_uint(cursor, &length) || !gyr_unpack_bin(cursor, &hash, &hash_bytes))
		return false;
	if (hash_bytes == GYR_BUNDLE_ID_BYTES && offset <= section_bytes && length <= section_bytes - offset)
		crypto_generichash((uint8_t *)(uintptr_t)hash, hash_bytes, section + offset, length, NULL, 0);
	return true;
}

static void mend_manifest(uint8_t *manifest, size_t manifest_bytes, const uint8_t *section, size_t section_bytes)
{
	struct gyr_unpack cursor = {manifest, manifest + manifest_bytes};
	uint32_t count;
	if (!gyr_unpack_array(&cursor, &count) || !gyr_unpack_skip(&cursor, 8) || !gyr_unpack_skip(&cursor, 8) || !gyr_unpack_array(&cursor, &count))
		return;
	while (count-- > 0 && mend_value(&cursor, section, section_bytes))
		;
}

static uint8_t *make_file(const uint8_t *data, size_t size, size_t manifest_bytes, size_t *file_bytes)
{
	static const uint8_t magic[8] = {0x89, 'G', 'Y', 'R', '\r', '\n', 0x1a, '\n'};
	size_t pieces = (size - manifest_bytes + PIECE - 1) / PIECE, tensors = BLOCK + round_up(manifest_bytes);
	*file_bytes = tensors + pieces * BLOCK;
	uint8_t *file = aligned_alloc(BLOCK, *file_bytes);
	memset(file, 0, *file_bytes);
	memcpy(file + BLOCK, data, manifest_bytes);
	for (size_t i = 0, at = manifest_bytes; i < pieces; i++, at += PIECE)
		memcpy(file + tensors + i * BLOCK, data + at, size - at < PIECE ? size - at : PIECE);
	mend_manifest(file + BLOCK, manifest_bytes, file + tensors, pieces * BLOCK);

	const uint32_t small[2] = {1, BLOCK};
	const uint64_t sizes[5] = {*file_bytes, BLOCK, manifest_bytes, tensors, pieces * BLOCK};
	memcpy(file, magic, sizeof magic);
	memcpy(file + 8, small, sizeof small);
	memcpy(file + 16, sizes, sizeof sizes);
	crypto_generichash(file + 56, 32, file + BLOCK, manifest_bytes, NULL, 0);
	crypto_generichash(file + BLOCK - 32, 32, file, BLOCK - 32, NULL, 0);
	return file;
}

/* Touches all that an opened bundle holds. */
static void use(const struct gyr_bundle *bundle)
{
	uint8_t hash[16];
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	for (uint32_t i = 0; i < bundle->graph->value_count; i++) {
		const struct gyr_value *value = &bundle->graph->values[i];
		size_t bytes;
		GYR_ASSERT(gyr_shape_bytes(&value->shape, GYR_BUNDLE_GOLDEN_BATCH_MAX, &bytes));
		GYR_ASSERT(gyr_graph_find(bundle->graph, value->name) == i);
		if (value->data != NULL)
			crypto_generichash_update(&state, value->data, bytes);
	}
	for (uint32_t i = 0; i < bundle->info.lineage_count; i++)
		crypto_generichash_update(&state, (const uint8_t *)bundle->info.lineage[i].value, strlen(bundle->info.lineage[i].value));
	crypto_generichash_final(&state, hash, sizeof hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gyr_bundle *bundle;
	struct gyr_error error;
	uint8_t *file;
	if (size < 2)
		return 0;
	size_t manifest_bytes = (size_t)(data[0] | data[1] << 8), file_bytes = size - 2;
	data += 2;
	size -= 2;
	if (manifest_bytes == 0xffff) {
		file = aligned_alloc(BLOCK, round_up(size) + BLOCK);
		memcpy(file, data, size);
	} else {
		file = make_file(data, size, manifest_bytes < size ? manifest_bytes : size, &file_bytes);
	}
	if (gyr_bundle_open(file, file_bytes, &bundle, &error) == 0) {
		void *again;
		size_t again_bytes;
		use(bundle);
		GYR_ASSERT(gyr_bundle_build(bundle->graph, &bundle->info, &again, &again_bytes, &error) == 0);
		GYR_ASSERT(again_bytes == file_bytes);
		GYR_ASSERT(memcmp(again, file, file_bytes) == 0);
		free(again);
		gyr_bundle_close(bundle);
	}
	free(file);
	return 0;
}
