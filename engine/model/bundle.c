/*
 * Bundles: the file around the manifest. A header of 4 KiB, the manifest, the tensors, each part at a multiple of 4 KiB. All numbers are little-endian.
 *
 * There is exactly one file for one content: the places of all parts follow from their sizes, and a reader that packs what it has read gets the same manifest.
 */
#include "engine/model/bundle.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arena.h"
#include "base/assertion.h"
#include "engine/model/bundle_hash.h"
#include "engine/model/manifest.h"

#define FORMAT 2u /* that is written */
#define FORMAT_FIRST 1u

/* As PNG's: a byte that no text begins with, the name, and line ends that a careless copy would change. */
static const uint8_t magic[8] = {0x89, 'G', 'Y', 'R', '\r', '\n', 0x1a, '\n'};

struct header {
	uint8_t magic[8];
	uint32_t format;
	uint32_t header_bytes;
	uint64_t file_bytes;
	uint64_t manifest_offset, manifest_bytes;
	uint64_t tensors_offset, tensors_bytes;
	uint8_t manifest_hash[GYR_BUNDLE_ID_BYTES];
	uint8_t tensors_hash[GYR_BUNDLE_ID_BYTES]; /* zero in format 1 */
	uint8_t zero[GYR_BUNDLE_ALIGN - 56 - 3 * GYR_BUNDLE_ID_BYTES];
	uint8_t hash[GYR_BUNDLE_ID_BYTES]; /* of all bytes before it */
};
static_assert(sizeof(struct header) == GYR_BUNDLE_ALIGN, "the header is one block");
static_assert(offsetof(struct header, manifest_hash) == 56, "and packed");
static_assert(offsetof(struct header, hash) == GYR_BUNDLE_ALIGN - GYR_BUNDLE_ID_BYTES, "and packed");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers and tensors are used as they lie in the file");

struct opened {
	struct gyr_bundle bundle;
	struct gyr_arena arena; /* of bundle.info */
};

static const struct manifest_form written = {.hashes = false};

void bundle_blake2b(const void *bytes, size_t size, uint8_t hash[GYR_BUNDLE_ID_BYTES])
{
	crypto_generichash(hash, GYR_BUNDLE_ID_BYTES, bytes, size, NULL, 0);
}

/* The hash of the header or the manifest of a format. */
static void hash_frame(uint32_t format, const void *bytes, size_t size, uint8_t hash[GYR_BUNDLE_ID_BYTES])
{
	if (format == FORMAT_FIRST)
		bundle_blake2b(bytes, size, hash);
	else
		gyr_bundle_sha256(bytes, size, hash);
}

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the bundle");
}

/* The hash of a whole tensor section. */
static int hash_tensors(const void *bytes, size_t size, uint8_t hash[GYR_BUNDLE_ID_BYTES], struct gyr_error *error)
{
	size_t count = gyr_bundle_pieces(size);
	uint8_t(*hashes)[GYR_BUNDLE_ID_BYTES] = calloc(count + 1, sizeof *hashes);
	if (hashes == NULL)
		return no_memory(error);
	gyr_bundle_hash_pieces(bytes, size, hashes);
	gyr_bundle_hash_join(hashes, count, hash);
	free(hashes);
	return 0;
}

void gyr_bundle_id_text(const uint8_t id[GYR_BUNDLE_ID_BYTES], char text[2 * GYR_BUNDLE_ID_BYTES + 1])
{
	sodium_bin2hex(text, 2 * GYR_BUNDLE_ID_BYTES + 1, id, GYR_BUNDLE_ID_BYTES);
}

/* The header that goes with a manifest, and TENSORS_BYTES of tensors that have TENSORS_HASH. */
static void fill_header(struct header *header, uint32_t format, const uint8_t *manifest, uint64_t manifest_bytes, uint64_t tensors_bytes,
			const uint8_t tensors_hash[GYR_BUNDLE_ID_BYTES])
{
	uint64_t tensors_offset = bundle_align(GYR_BUNDLE_ALIGN + manifest_bytes);
	*header = (struct header){
		.format = format,
		.header_bytes = sizeof *header,
		.file_bytes = tensors_offset + tensors_bytes,
		.manifest_offset = GYR_BUNDLE_ALIGN,
		.manifest_bytes = manifest_bytes,
		.tensors_offset = tensors_offset,
		.tensors_bytes = tensors_bytes,
	};
	memcpy(header->magic, magic, sizeof magic);
	hash_frame(format, manifest, manifest_bytes, header->manifest_hash);
	if (format != FORMAT_FIRST)
		memcpy(header->tensors_hash, tensors_hash, sizeof header->tensors_hash);
	hash_frame(format, header, offsetof(struct header, hash), header->hash);
}

/* The constants of a graph and its bodies, as many as there can be, in the manifest's order. */
struct constants {
	uint32_t count;
	const struct gyr_value **values;
	struct manifest_tensor *tensors;
};

/* Places the constants one behind the other. *TOTAL is the bytes so far. */
static int place_tensors(const struct gyr_graph *graph, struct constants *constants, uint64_t *total, struct gyr_error *error)
{
	for (uint32_t i = 0; i < graph->value_count; i++) {
		const struct gyr_value *value = &graph->values[i];
		size_t bytes;
		if (value->data == NULL)
			continue;
		bool fits = gyr_shape_bytes(&value->shape, 1, &bytes);
		GYR_ASSERT(fits); /* gyr_graph_add_value saw to it */
		if (bytes > GYR_BUNDLE_BYTES_MAX - *total)
			return gyr_error_set(error, -E2BIG, "the tensors are over %" PRIu64 " bytes", GYR_BUNDLE_BYTES_MAX);
		struct manifest_tensor *tensor = &constants->tensors[constants->count];
		tensor->offset = *total;
		tensor->size = bytes;
		constants->values[constants->count++] = value;
		*total += bundle_align(bytes);
	}
	int status = 0;
	for (uint32_t i = 0; i < graph->node_count && status == 0; i++)
		for (uint32_t a = 0; a < graph->nodes[i].attribute_count && status == 0; a++)
			if (graph->nodes[i].attributes[a].type == GYR_ATTRIBUTE_GRAPH)
				status = place_tensors(graph->nodes[i].attributes[a].graph, constants, total, error);
	return status;
}

/* Lays the parts into one buffer. */
static int assemble(const struct constants *constants, uint64_t tensors_bytes, const uint8_t *manifest, size_t manifest_bytes, void **bytes, size_t *size,
		    struct gyr_error *error)
{
	uint8_t hash[GYR_BUNDLE_ID_BYTES];
	uint64_t tensors_offset = bundle_align(GYR_BUNDLE_ALIGN + manifest_bytes), file_bytes = tensors_offset + tensors_bytes;
	if (file_bytes > GYR_BUNDLE_BYTES_MAX)
		return gyr_error_set(error, -E2BIG, "the bundle is over %" PRIu64 " bytes", GYR_BUNDLE_BYTES_MAX);
	uint8_t *file = aligned_alloc(GYR_BUNDLE_ALIGN, file_bytes);
	if (file == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a bundle of %" PRIu64 " bytes", file_bytes);
	memset(file, 0, file_bytes);
	memcpy(file + GYR_BUNDLE_ALIGN, manifest, manifest_bytes);
	for (uint32_t i = 0; i < constants->count; i++)
		if (constants->tensors[i].size != 0)
			memcpy(file + tensors_offset + constants->tensors[i].offset, constants->values[i]->data, constants->tensors[i].size);
	int status = hash_tensors(file + tensors_offset, tensors_bytes, hash, error);
	if (status != 0) {
		free(file);
		return status;
	}
	fill_header((struct header *)file, FORMAT, manifest, manifest_bytes, tensors_bytes, hash);
	*bytes = file;
	*size = file_bytes;
	return 0;
}

int gyr_bundle_build(const struct gyr_graph *graph, const struct gyr_bundle_info *info, void **bytes, size_t *size, struct gyr_error *error)
{
	GYR_ASSERT(graph->finished);
	uint8_t *manifest = NULL;
	size_t manifest_bytes = 0;
	uint64_t tensors_bytes = 0;
	int status = manifest_check_info(graph, info, error);
	if (status != 0)
		return status;
	struct constants constants = {.values = calloc(graph->all_value_count, sizeof(struct gyr_value *)),
				      .tensors = calloc(graph->all_value_count, sizeof *constants.tensors)};
	status = constants.values == NULL || constants.tensors == NULL ? gyr_error_set(error, -ENOMEM, "no memory for the manifest")
								       : place_tensors(graph, &constants, &tensors_bytes, error);
	if (status == 0)
		status = manifest_write(graph, info, constants.tensors, &written, &manifest, &manifest_bytes, error);
	if (status == 0)
		status = assemble(&constants, tensors_bytes, manifest, manifest_bytes, bytes, size, error);
	free(manifest);
	free(constants.values);
	free(constants.tensors);
	return status;
}

static int bad(struct gyr_error *error, const char *what)
{
	return gyr_error_set(error, -EBADMSG, "%s", what);
}

/* All that the header alone tells, of a file of SIZE bytes. */
static int check_header(const struct header *header, uint64_t size, struct gyr_error *error)
{
	uint8_t hash[GYR_BUNDLE_ID_BYTES];
	if (size < sizeof *header)
		return bad(error, "header: shorter than 4096 bytes, so no whole bundle");
	if (memcmp(header->magic, magic, sizeof magic) != 0)
		return bad(error, "header: it does not begin as a bundle does");
	if (header->format < FORMAT_FIRST || header->format > FORMAT)
		return gyr_error_set(error, -ENOTSUP, "header: format %" PRIu32 " (this Gyr reads formats %u to %u)", header->format, FORMAT_FIRST, FORMAT);
	if (sodium_init() < 0)
		return gyr_error_set(error, -ENOMEM, "libsodium does not start");
	hash_frame(header->format, header, offsetof(struct header, hash), hash);
	if (memcmp(hash, header->hash, sizeof hash) != 0)
		return bad(error, "header: its bytes do not fit its hash");
	if (header->file_bytes != size)
		return gyr_error_set(error, -EBADMSG, "header: %" PRIu64 " bytes long by its header, and %" PRIu64 " bytes are there", header->file_bytes,
				     size);
	if (size > GYR_BUNDLE_BYTES_MAX || header->manifest_bytes > GYR_BUNDLE_MANIFEST_BYTES_MAX || header->manifest_bytes > size - sizeof *header)
		return bad(error, "header: a size is over its limit");
	if (header->tensors_offset > size || header->tensors_bytes != size - header->tensors_offset)
		return bad(error, "header: its fields contradict each other");
	return 0;
}

int gyr_bundle_frame(const void *header, uint64_t size, struct gyr_bundle_frame *frame, struct gyr_error *error)
{
	const struct header *said = header;
	int status = check_header(said, size, error);
	if (status != 0)
		return status;
	if (said->tensors_offset != bundle_align(GYR_BUNDLE_ALIGN + said->manifest_bytes))
		return bad(error, "header: its fields contradict each other");
	*frame =
		(struct gyr_bundle_frame){.pieces = said->format != FORMAT_FIRST, .tensors_offset = said->tensors_offset, .tensors_bytes = said->tensors_bytes};
	return 0;
}

/* Everything about the header, the manifest's hash, and the padding between manifest and tensors. */
static int check_frame(const uint8_t *bytes, size_t size, const struct header *header, struct gyr_error *error)
{
	int status = check_header(header, size, error);
	if (status != 0)
		return status;
	/* All else in the header follows from what is checked; so compare it with the one that belongs there. */
	struct header right;
	fill_header(&right, header->format, bytes + GYR_BUNDLE_ALIGN, header->manifest_bytes, size - bundle_align(GYR_BUNDLE_ALIGN + header->manifest_bytes),
		    header->tensors_hash);
	if (memcmp(right.manifest_hash, header->manifest_hash, sizeof right.manifest_hash) != 0)
		return bad(error, "manifest: its bytes do not fit their hash");
	if (memcmp(&right, header, sizeof right) != 0)
		return bad(error, "header: its fields contradict each other, or a byte without meaning is not zero");
	for (uint64_t i = header->manifest_offset + header->manifest_bytes; i < header->tensors_offset; i++)
		if (bytes[i] != 0)
			return bad(error, "manifest: the padding behind it is not zero");
	return 0;
}

/* That the manifest is the one form of what was read from it. */
static int check_form(const struct gyr_bundle *bundle, const struct manifest_tensor *tensors, const struct manifest_form *form, const uint8_t *manifest,
		      size_t manifest_bytes, struct gyr_error *error)
{
	uint8_t *again = NULL;
	size_t again_bytes = 0;
	int status = manifest_write(bundle->graph, &bundle->info, tensors, form, &again, &again_bytes, error);
	if (status == 0 && (again_bytes != manifest_bytes || memcmp(again, manifest, manifest_bytes) != 0))
		status = bad(error, "manifest: not in the one form that its content has");
	free(again);
	return status;
}

enum check { COMPUTE, COMPARE, VOUCHED }; /* of the tensors' hash */

static int check_tensors(const uint8_t *file, const struct header *header, enum check check, const uint8_t *hash, struct gyr_error *error)
{
	uint8_t computed[GYR_BUNDLE_ID_BYTES];
	if (check == VOUCHED || header->format == FORMAT_FIRST)
		return 0;
	if (check == COMPUTE) {
		int status = hash_tensors(file + header->tensors_offset, header->tensors_bytes, computed, error);
		if (status != 0)
			return status;
		hash = computed;
	}
	return memcmp(hash, header->tensors_hash, sizeof computed) == 0 ? 0 : bad(error, "tensors: their bytes do not fit their hash");
}

static int open_with(const void *bytes, size_t size, enum check check, const uint8_t *hash, struct gyr_bundle **bundle, struct gyr_error *error)
{
	GYR_ASSERT((uintptr_t)bytes % GYR_BUNDLE_ALIGN == 0);
	const uint8_t *file = bytes;
	const struct header *header = bytes;
	int status = check_frame(file, size, header, error);
	if (status == 0)
		status = check_tensors(file, header, check, hash, error);
	if (status != 0)
		return status;
	struct opened *opened = calloc(1, sizeof *opened);
	if (opened == NULL)
		return no_memory(error);
	gyr_arena_init(&opened->arena, 0);
	memcpy(opened->bundle.id, header->hash, sizeof header->hash);
	const uint8_t *manifest = file + header->manifest_offset;
	const struct manifest_tensor *tensors;
	const struct manifest_form form = {.hashes = header->format == FORMAT_FIRST, .unchecked = check == VOUCHED};
	status = manifest_read(manifest, header->manifest_bytes, file + header->tensors_offset, header->tensors_bytes, &form, &opened->arena, &opened->bundle,
			       &tensors, error);
	if (status == 0)
		status = check_form(&opened->bundle, tensors, &form, manifest, header->manifest_bytes, error);
	if (status != 0) {
		gyr_bundle_close(&opened->bundle);
		return status;
	}
	*bundle = &opened->bundle;
	return 0;
}

int gyr_bundle_open(const void *bytes, size_t size, struct gyr_bundle **bundle, struct gyr_error *error)
{
	return open_with(bytes, size, COMPUTE, NULL, bundle, error);
}

int gyr_bundle_open_hashed(const void *bytes, size_t size, const uint8_t hash[GYR_BUNDLE_ID_BYTES], struct gyr_bundle **bundle, struct gyr_error *error)
{
	return open_with(bytes, size, COMPARE, hash, bundle, error);
}

int gyr_bundle_open_vouched(const void *bytes, size_t size, struct gyr_bundle **bundle, struct gyr_error *error)
{
	return open_with(bytes, size, VOUCHED, NULL, bundle, error);
}

void gyr_bundle_close(struct gyr_bundle *bundle)
{
	if (bundle == NULL)
		return;
	struct opened *opened = (struct opened *)((char *)bundle - offsetof(struct opened, bundle));
	gyr_graph_destroy(bundle->graph);
	gyr_arena_fini(&opened->arena);
	free(opened);
}
