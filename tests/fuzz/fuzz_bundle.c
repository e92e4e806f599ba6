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
#include "engine/model/bundle.h"

#define BLOCK GYR_BUNDLE_ALIGN
#define PIECE 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t round_up(size_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static void hash_tensors(const uint8_t *bytes, size_t size, uint8_t hash[32])
{
	crypto_hash_sha256_state whole;
	crypto_hash_sha256_init(&whole);
	for (size_t at = 0; at < size; at += 32768) {
		crypto_hash_sha256(hash, bytes + at, size - at < 32768 ? size - at : 32768);
		crypto_hash_sha256_update(&whole, hash, 32);
	}
	crypto_hash_sha256_final(&whole, hash);
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

	const uint32_t small[2] = {2, BLOCK};
	const uint64_t sizes[5] = {*file_bytes, BLOCK, manifest_bytes, tensors, pieces * BLOCK};
	memcpy(file, magic, sizeof magic);
	memcpy(file + 8, small, sizeof small);
	memcpy(file + 16, sizes, sizeof sizes);
	crypto_hash_sha256(file + 56, file + BLOCK, manifest_bytes);
	hash_tensors(file + tensors, pieces * BLOCK, file + 88);
	crypto_hash_sha256(file + BLOCK - 32, file, BLOCK - 32);
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
		/* One of the first format becomes one of today's. */
		GYR_ASSERT(file[8] == 1 || (again_bytes == file_bytes && memcmp(again, file, file_bytes) == 0));
		free(again);
		gyr_bundle_close(bundle);
	}
	free(file);
	return 0;
}
