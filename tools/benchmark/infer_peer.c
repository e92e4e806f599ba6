/*
 * ONNX Runtime: see infer_peer.h. Its numbers of element types are ONNX's, and so ours.
 */
#include "tools/benchmark/infer_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include <onnxruntime_c_api.h>

#define ENDS_MAX 64u

struct peer {
	const OrtApi *api;
	OrtEnv *environment;
	OrtSession *session;
	OrtMemoryInfo *memory;
	OrtAllocator *allocator; /* the default one, nobody's */
	size_t input_count, output_count;
	char *input_names[ENDS_MAX], *output_names[ENDS_MAX];
	OrtValue *inputs[ENDS_MAX], *outputs[ENDS_MAX];
};

/* Whether STATUS is fine; it is released. */
static bool fine(const struct peer *peer, OrtStatus *status, char *reason, size_t size)
{
	if (status == NULL)
		return true;
	snprintf(reason, size, "ONNX Runtime: %s", peer->api->GetErrorMessage(status));
	peer->api->ReleaseStatus(status);
	return false;
}

/* Makes stderr lead to PATH, or back to DESCRIPTOR when PATH is NULL; returns where it led. */
static int lead_stderr(const char *path, int descriptor)
{
	fflush(stderr);
	int before = dup(STDERR_FILENO), to = path != NULL ? open(path, O_WRONLY | O_CLOEXEC) : descriptor;
	if (to >= 0) {
		dup2(to, STDERR_FILENO);
		close(to);
	}
	return before;
}

static OrtStatus *open_session(struct peer *peer, const void *model, size_t model_size)
{
	const OrtApi *api = peer->api;
	OrtSessionOptions *options;
	OrtStatus *status = api->CreateSessionOptions(&options);
	if (status != NULL)
		return status;
	if ((status = api->SetIntraOpNumThreads(options, 1)) == NULL && (status = api->SetInterOpNumThreads(options, 1)) == NULL &&
	    (status = api->SetSessionExecutionMode(options, ORT_SEQUENTIAL)) == NULL &&
	    (status = api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL)) == NULL &&
	    (status = api->AddSessionConfigEntry(options, "session.set_denormal_as_zero", "1")) == NULL &&
	    (status = api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "bench", &peer->environment)) == NULL)
		status = api->CreateSessionFromArray(peer->environment, model, model_size, options, &peer->session);
	api->ReleaseSessionOptions(options);
	return status;
}

static OrtStatus *read_names(struct peer *peer)
{
	const OrtApi *api = peer->api;
	OrtStatus *status = api->GetAllocatorWithDefaultOptions(&peer->allocator);
	if (status == NULL)
		status = api->SessionGetInputCount(peer->session, &peer->input_count);
	if (status == NULL)
		status = api->SessionGetOutputCount(peer->session, &peer->output_count);
	if (status == NULL && (peer->input_count > ENDS_MAX || peer->output_count > ENDS_MAX))
		status = api->CreateStatus(ORT_FAIL, "more inputs or outputs than the bench has room for");
	for (size_t i = 0; status == NULL && i < peer->input_count; i++)
		status = api->SessionGetInputName(peer->session, i, peer->allocator, &peer->input_names[i]);
	for (size_t i = 0; status == NULL && i < peer->output_count; i++)
		status = api->SessionGetOutputName(peer->session, i, peer->allocator, &peer->output_names[i]);
	return status;
}

struct peer *peer_create(const void *model, size_t model_size, char *reason, size_t size)
{
	struct peer *peer = calloc(1, sizeof *peer);
	if (peer == NULL || (peer->api = OrtGetApiBase()->GetApi(ORT_API_VERSION)) == NULL) {
		snprintf(reason, size, "ONNX Runtime has no API of version %d", ORT_API_VERSION);
		free(peer);
		return NULL;
	}
	/* Debian's build registers each operator twice, and complains of each on stderr; what matters comes back as a status. */
	int own = lead_stderr("/dev/null", -1);
	OrtStatus *status = open_session(peer, model, model_size);
	close(lead_stderr(NULL, own));
	if (status == NULL)
		status = peer->api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &peer->memory);
	if (status == NULL)
		status = read_names(peer);
	if (fine(peer, status, reason, size))
		return peer;
	peer_destroy(peer);
	return NULL;
}

static void release_values(struct peer *peer)
{
	for (size_t i = 0; i < ENDS_MAX; i++) {
		if (peer->inputs[i] != NULL)
			peer->api->ReleaseValue(peer->inputs[i]);
		if (peer->outputs[i] != NULL)
			peer->api->ReleaseValue(peer->outputs[i]);
		peer->inputs[i] = peer->outputs[i] = NULL;
	}
}

/* A name is freed by the allocator that made it, which always can. */
static void release_names(struct peer *peer, char **names)
{
	for (size_t i = 0; i < ENDS_MAX; i++)
		if (names[i] != NULL)
			peer->allocator->Free(peer->allocator, names[i]);
}

void peer_destroy(struct peer *peer)
{
	if (peer == NULL)
		return;
	release_values(peer);
	release_names(peer, peer->input_names);
	release_names(peer, peer->output_names);
	if (peer->memory != NULL)
		peer->api->ReleaseMemoryInfo(peer->memory);
	if (peer->session != NULL)
		peer->api->ReleaseSession(peer->session);
	if (peer->environment != NULL)
		peer->api->ReleaseEnv(peer->environment);
	free(peer);
}

size_t peer_input_count(const struct peer *peer)
{
	return peer->input_count;
}

size_t peer_output_count(const struct peer *peer)
{
	return peer->output_count;
}

const char *peer_input_name(const struct peer *peer, size_t index)
{
	return peer->input_names[index];
}

static OrtStatus *run(struct peer *peer)
{
	return peer->api->Run(peer->session, NULL, (const char *const *)peer->input_names, (const OrtValue *const *)peer->inputs, peer->input_count,
			      (const char *const *)peer->output_names, peer->output_count, peer->outputs);
}

bool peer_bind(struct peer *peer, const struct gyr_shape *shapes, void *const *data, char *reason, size_t size)
{
	OrtStatus *status = NULL;
	release_values(peer);
	for (size_t i = 0; i < peer->input_count && status == NULL; i++) {
		size_t bytes;
		if (!gyr_shape_bytes(&shapes[i], 1, &bytes))
			status = peer->api->CreateStatus(ORT_INVALID_ARGUMENT, "an input that is too large");
		else
			status = peer->api->CreateTensorWithDataAsOrtValue(peer->memory, data[i], bytes, shapes[i].dims, shapes[i].rank,
									   (ONNXTensorElementDataType)shapes[i].dtype, &peer->inputs[i]);
	}
	if (status == NULL)
		status = run(peer); /* it makes the outputs, which later runs write to */
	return fine(peer, status, reason, size);
}

const void *peer_output(const struct peer *peer, size_t index, struct gyr_shape *shape)
{
	char reason[200] = "ONNX Runtime: an output is no tensor of at most 8 dimensions";
	const OrtApi *api = peer->api;
	OrtTensorTypeAndShapeInfo *info;
	ONNXTensorElementDataType type;
	size_t rank;
	void *data = NULL;
	if (fine(peer, api->GetTensorTypeAndShape(peer->outputs[index], &info), reason, sizeof reason)) {
		bool known = fine(peer, api->GetTensorElementType(info, &type), reason, sizeof reason) &&
			     fine(peer, api->GetDimensionsCount(info, &rank), reason, sizeof reason) && rank <= GYR_RANK_MAX;
		if (known) {
			*shape = (struct gyr_shape){.dtype = (enum gyr_dtype)type, .rank = (uint32_t)rank};
			known = fine(peer, api->GetDimensions(info, shape->dims, rank), reason, sizeof reason);
		}
		api->ReleaseTensorTypeAndShapeInfo(info);
		if (known && fine(peer, api->GetTensorMutableData(peer->outputs[index], &data), reason, sizeof reason))
			return data;
	}
	fprintf(stderr, "bench: %s\n", reason);
	exit(1);
}

void peer_run(struct peer *peer)
{
	char reason[200];
	if (fine(peer, run(peer), reason, sizeof reason))
		return;
	fprintf(stderr, "bench: %s\n", reason);
	exit(1);
}
