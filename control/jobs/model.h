/*
 * Model files: in from bundles and ONNX, out as bundles.
 */
#ifndef GYR_CONTROL_JOBS_MODEL_H
#define GYR_CONTROL_JOBS_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/error.h"
#include "engine/model/bundle.h"
#include "engine/model/graph.h"
#include "engine/onnx/onnx.h"

/* A model from a file, a bundle or ONNX, told by its first bytes. */
struct gyr_job_model {
	struct gyr_graph *graph;
	struct gyr_bundle *bundle; /* NULL: from ONNX */
	void *bytes;               /* of the file */
	size_t size;
	uint8_t digest[32]; /* the bundle's id, or ONNX's BLAKE2b-256 */
	bool limited;
	struct rlimit before; /* where limited: of the address space */
};

/*
 * Reads a model. FIXED (NULL: nothing) are sizes that an ONNX file leaves open; a bundle has none. Before ONNX is imported, the address space is limited to
 * what that and golden vectors may take. Errors of gyr_job_file_read, gyr_bundle_open and gyr_onnx_import_fixed.
 */
GYR_MUST_CHECK int gyr_job_model_read(const char *path, const struct gyr_onnx_fixed *fixed, struct gyr_job_model *model, struct gyr_error *error);
/* The same from the file's SIZE bytes, which the model takes over (free(3)), without a limit; PATH is for messages. */
GYR_MUST_CHECK int gyr_job_model_parse(const char *path, void *bytes, size_t size, const struct gyr_onnx_fixed *fixed, struct gyr_job_model *model,
				       struct gyr_error *error);
void gyr_job_model_fini(struct gyr_job_model *model);

/* Takes the limit away again. */
void gyr_job_model_unlimit(struct gyr_job_model *model);

/* Gives a graph that this process made its name. -ENOMEM. */
GYR_MUST_CHECK int gyr_job_rename(struct gyr_graph *graph, const char *name, struct gyr_error *error);

/* Builds a bundle, which can be opened (free(3) *BYTES); the id goes to ID. -EINVAL, -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int gyr_job_bundle_make(const struct gyr_graph *graph, const struct gyr_bundle_info *info, void **bytes, size_t *size,
				       uint8_t id[GYR_BUNDLE_ID_BYTES], struct gyr_error *error);
/* The same, and writes it to PATH. -EIO besides. */
GYR_MUST_CHECK int gyr_job_bundle_write(const char *path, const struct gyr_graph *graph, const struct gyr_bundle_info *info, uint8_t id[GYR_BUNDLE_ID_BYTES],
					struct gyr_error *error);

#endif
