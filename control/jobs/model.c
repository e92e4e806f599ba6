#include "control/jobs/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "control/jobs/file.h"
#include "engine/onnx/onnx.h"
#include "engine/plan/plan.h"

/* What an import may take: the importer's small multiple of the file, the plans for its golden vectors, and the libraries. */
#define ADDRESS_SPACE_BASE (UINT64_C(4) << 30)
#define ADDRESS_SPACE_FACTOR 16u

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

#if defined(SANITIZED)
/* AddressSanitizer reserves terabytes. */
static int limit_address_space(struct gyr_job_model *model, size_t file_bytes, struct gyr_error *error)
{
	return 0;
}
#else
static int limit_address_space(struct gyr_job_model *model, size_t file_bytes, struct gyr_error *error)
{
	rlim_t wanted = ADDRESS_SPACE_BASE + ADDRESS_SPACE_FACTOR * (rlim_t)file_bytes;
	if (getrlimit(RLIMIT_AS, &model->before) != 0)
		return gyr_error_set(error, -errno, "RLIMIT_AS: %s", strerror(errno));
	struct rlimit limit = model->before;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur <= wanted)
		return 0;
	limit.rlim_cur = wanted;
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		return gyr_error_set(error, -errno, "RLIMIT_AS: %s", strerror(errno));
	model->limited = true;
	return 0;
}
#endif

void gyr_job_model_unlimit(struct gyr_job_model *model)
{
	/* Raising a soft limit to what it was is never refused. */
	if (model->limited)
		setrlimit(RLIMIT_AS, &model->before);
	model->limited = false;
}

static int import(struct gyr_job_model *model, size_t size, const struct gyr_onnx_fixed *fixed, struct gyr_error *error)
{
	static const struct gyr_onnx_fixed nothing;
	crypto_generichash(model->digest, sizeof model->digest, model->bytes, size, NULL, 0);
	int result = gyr_onnx_import_fixed(model->bytes, size, fixed != NULL ? fixed : &nothing, &model->graph, error);
	if (result == 0)
		result = gyr_plan_settle(model->graph, error);
	return result;
}

static bool is_bundle(const void *bytes, size_t size)
{
	return size >= 4 && memcmp(bytes, "\x89GYR", 4) == 0;
}

static int parse(struct gyr_job_model *model, const char *path, const struct gyr_onnx_fixed *fixed, struct gyr_error *error)
{
	int result;
	if (is_bundle(model->bytes, model->size)) {
		result = gyr_bundle_open(model->bytes, model->size, &model->bundle, error);
		if (result == 0) {
			model->graph = model->bundle->graph;
			memcpy(model->digest, model->bundle->id, sizeof model->digest);
		}
	} else {
		result = import(model, model->size, fixed, error);
	}
	if (result == 0)
		return 0;
	gyr_job_model_fini(model);
	return gyr_error_prefix(error, result, "%s", path);
}

int gyr_job_model_parse(const char *path, void *bytes, size_t size, const struct gyr_onnx_fixed *fixed, struct gyr_job_model *model, struct gyr_error *error)
{
	*model = (struct gyr_job_model){.bytes = bytes, .size = size};
	return parse(model, path, fixed, error);
}

int gyr_job_model_read(const char *path, const struct gyr_onnx_fixed *fixed, struct gyr_job_model *model, struct gyr_error *error)
{
	*model = (struct gyr_job_model){0};
	if (sodium_init() < 0)
		return gyr_error_set(error, -EIO, "libsodium does not start");
	int result = gyr_job_file_read(path, GYR_BUNDLE_BYTES_MAX, &model->bytes, &model->size, error);
	if (result != 0)
		return result;
	if (!is_bundle(model->bytes, model->size))
		result = limit_address_space(model, model->size, error);
	if (result == 0)
		return parse(model, path, fixed, error);
	gyr_job_model_fini(model);
	return result;
}

void gyr_job_model_fini(struct gyr_job_model *model)
{
	if (model->bundle != NULL)
		gyr_bundle_close(model->bundle);
	else
		gyr_graph_destroy(model->graph);
	free(model->bytes);
	*model = (struct gyr_job_model){0};
}

int gyr_job_rename(struct gyr_graph *graph, const char *name, struct gyr_error *error)
{
	const char *copy = gyr_arena_string(&graph->arena, name, strlen(name));
	if (copy == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory");
	graph->name = copy;
	return 0;
}

int gyr_job_bundle_make(const struct gyr_graph *graph, const struct gyr_bundle_info *info, void **bytes, size_t *size, uint8_t id[GYR_BUNDLE_ID_BYTES],
			struct gyr_error *error)
{
	int result = gyr_bundle_build(graph, info, bytes, size, error);
	if (result != 0)
		return result;
	/* Opened before anyone else may: what is written can be read. */
	struct gyr_bundle *bundle;
	result = gyr_bundle_open(*bytes, *size, &bundle, error);
	if (result == 0) {
		memcpy(id, bundle->id, GYR_BUNDLE_ID_BYTES);
		gyr_bundle_close(bundle);
	} else {
		free(*bytes);
	}
	return result;
}

int gyr_job_bundle_write(const char *path, const struct gyr_graph *graph, const struct gyr_bundle_info *info, uint8_t id[GYR_BUNDLE_ID_BYTES],
			 struct gyr_error *error)
{
	void *bytes;
	size_t size;
	int result = gyr_job_bundle_make(graph, info, &bytes, &size, id, error);
	if (result != 0)
		return result;
	result = gyr_job_file_write(path, bytes, size, error);
	free(bytes);
	return result;
}
