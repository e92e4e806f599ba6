/*
 * Bundle format 2: one model version in one file, made to be read with O_DIRECT, checked piece by piece and mapped as it is. docs/BUNDLE.md gives the layout.
 * Format 1 is read, too.
 *
 * Every byte is covered: the header by its own SHA-256 hash, manifest and tensors by hashes that the header holds, the padding by being zero. The hash of the
 * header therefore names the whole content.
 */
#ifndef GYR_ENGINE_MODEL_BUNDLE_H
#define GYR_ENGINE_MODEL_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_BUNDLE_ALIGN 4096u
#define GYR_BUNDLE_ID_BYTES 32u
#define GYR_BUNDLE_MANIFEST_BYTES_MAX (UINT32_C(256) << 20)
#define GYR_BUNDLE_BYTES_MAX (UINT64_C(64) << 30)
#define GYR_BUNDLE_LINEAGE_MAX 64u
#define GYR_BUNDLE_GOLDEN_MAX 16u
#define GYR_BUNDLE_GOLDEN_BATCH_MAX 4096u

/* Where a version comes from: "parent", "dataset", "seed", "epochs", "accuracy", "tool" ... Both are zero-terminated UTF-8
 * without control characters. */
struct gyr_lineage {
	const char *key;   /* 1 to 63 bytes, unique */
	const char *value; /* up to 4095 bytes */
};

/* One question whose answer is known: replayed before a version may serve. */
struct gyr_golden {
	uint32_t batch;             /* rows, 1 to GYR_BUNDLE_GOLDEN_BATCH_MAX; 1 where the first dimension is fixed */
	const void *const *inputs;  /* graph.input_count arrays, dense, in the inputs' types, 8-byte aligned once opened */
	const void *const *outputs; /* graph.output_count arrays */
	float tolerance;            /* finite, 0 or more: |got - expected| <= tolerance * (1 + |expected|) */
};

struct gyr_bundle_info {
	uint32_t lineage_count, golden_count;
	const struct gyr_lineage *lineage;
	const struct gyr_golden *golden;
	/*
	 * How far answers may be off for weights in bf16: |got - expected| over the largest |expected| of the same output of the same golden vector. 0: not at
	 * all, so the model is computed in f32. At most 1.
	 */
	float bf16_bound;
};

struct gyr_bundle {
	uint8_t id[GYR_BUNDLE_ID_BYTES]; /* the header's hash */
	struct gyr_graph *graph;         /* finished; its constants lie in the bundle's bytes */
	struct gyr_bundle_info info;
};

/*
 * Serialises a finished GRAPH with INFO into one buffer (*BYTES, GYR_BUNDLE_ALIGN aligned, *SIZE; free(3) it). The same content gives the same bytes. -EINVAL:
 * INFO breaks a rule above (the message says which). -E2BIG: a limit above is passed. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_bundle_build(const struct gyr_graph *graph, const struct gyr_bundle_info *info, void **bytes, size_t *size, struct gyr_error *error);

/*
 * Checks SIZE bytes (4 KiB aligned in memory) wholly and opens them as a bundle. The bytes must stay, unchanged, until gyr_bundle_close. Any content is safe
 * to pass, and memory is bounded by a small multiple of the manifest. What opens is what gyr_bundle_build would write, byte for byte. -EBADMSG: not a whole,
 * unchanged bundle (the message names the part). -ENOTSUP: another format number. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_bundle_open(const void *bytes, size_t size, struct gyr_bundle **bundle, struct gyr_error *error);

/*
 * The same, but the hash of the tensors is not computed: it is HASH, the caller's, made while they were read (bundle_hash.h) of what lies there now. Only of a
 * bundle whose frame says so (below).
 */
GYR_MUST_CHECK int gyr_bundle_open_hashed(const void *bytes, size_t size, const uint8_t hash[GYR_BUNDLE_ID_BYTES], struct gyr_bundle **bundle,
					  struct gyr_error *error);

/*
 * The same, without a look at the tensors' hashes at all: whoever gives the bytes has checked them, and nobody could change them since. What is read of them is
 * as bounded as ever: a wrong byte makes a wrong number, no harm.
 */
GYR_MUST_CHECK int gyr_bundle_open_vouched(const void *bytes, size_t size, struct gyr_bundle **bundle, struct gyr_error *error);

/* What the header says of the file. */
struct gyr_bundle_frame {
	bool pieces; /* the tensors have one hash, made of those of their pieces; else (format 1) each has its own */
	uint64_t tensors_offset, tensors_bytes;
};

/*
 * Reads the first GYR_BUNDLE_ALIGN bytes of a file of SIZE bytes, to know the frame before the rest is there. -EBADMSG, -ENOTSUP as gyr_bundle_open would, as
 * far as these bytes tell.
 */
GYR_MUST_CHECK int gyr_bundle_frame(const void *header, uint64_t size, struct gyr_bundle_frame *frame, struct gyr_error *error);
void gyr_bundle_close(struct gyr_bundle *bundle); /* NULL is fine */

/* Writes the 64 hexadecimal digits of an id and a zero into TEXT. */
void gyr_bundle_id_text(const uint8_t id[GYR_BUNDLE_ID_BYTES], char text[2 * GYR_BUNDLE_ID_BYTES + 1]);

#endif
