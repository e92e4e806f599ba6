/*
 * The manifest of a bundle: the msgpack part that holds all but the tensors' bytes. docs/BUNDLE.md gives its layout. Inside engine/model (and for the fuzzer).
 */
#ifndef GYR_ENGINE_MODEL_MANIFEST_H
#define GYR_ENGINE_MODEL_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/model/bundle.h"

/* ONNX's numbers (AttributeProto.AttributeType). */
enum manifest_attribute {
	MANIFEST_FLOAT = 1,
	MANIFEST_INT = 2,
	MANIFEST_STRING = 3,
	MANIFEST_TENSOR = 4,
	MANIFEST_GRAPH = 5,
	MANIFEST_FLOATS = 6,
	MANIFEST_INTS = 7,
	MANIFEST_STRINGS = 8,
};

/* Where a constant lies in the tensor section, whose first byte is 0, and, in format 1, its hash. */
struct manifest_tensor {
	uint64_t offset, size;
	uint8_t hash[GYR_BUNDLE_ID_BYTES];
};

/* How the manifest of a format is, and what is checked when it is read. */
struct manifest_form {
	bool hashes;    /* each constant has a hash: format 1 */
	bool unchecked; /* and is not compared with it */
};

/* The next multiple of GYR_BUNDLE_ALIGN. */
static inline uint64_t bundle_align(uint64_t bytes)
{
	return (bytes + GYR_BUNDLE_ALIGN - 1) & ~(uint64_t)(GYR_BUNDLE_ALIGN - 1);
}

/* BLAKE2b-256 without a key, of format 1. */
void bundle_blake2b(const void *bytes, size_t size, uint8_t hash[GYR_BUNDLE_ID_BYTES]);

/* Checks INFO against the rules of bundle.h. -EINVAL, -E2BIG. */
GYR_MUST_CHECK int manifest_check_info(const struct gyr_graph *graph, const struct gyr_bundle_info *info, struct gyr_error *error);

/*
 * Packs GRAPH (finished) and INFO (checked) into *BYTES, *SIZE (free(3) it). TENSORS has one element for each constant, in the manifest's order: those of the
 * graph, then those of the bodies in the order of the nodes and their attributes, each with its own bodies behind it. -E2BIG, -ENOMEM.
 */
GYR_MUST_CHECK int manifest_write(const struct gyr_graph *graph, const struct gyr_bundle_info *info, const struct manifest_tensor *tensors,
				  const struct manifest_form *form, uint8_t **bytes, size_t *size, struct gyr_error *error);

/*
 * Reads a manifest, and with it checks the tensor section: every byte of it belongs to a tensor (whose hash fits, where
 * FORM has hashes and has them checked), or is padding and zero. Fills BUNDLE's graph
 * (finished; also after an error it must be destroyed), its info, and *TENSORS, one for each constant in the manifest's order; their memory comes from ARENA.
 * The constants point into SECTION. -EBADMSG, -ENOMEM.
 */
GYR_MUST_CHECK int manifest_read(const uint8_t *bytes, size_t size, const uint8_t *section, uint64_t section_size, const struct manifest_form *form,
				 struct gyr_arena *arena, struct gyr_bundle *bundle, const struct manifest_tensor **tensors, struct gyr_error *error);

#endif
