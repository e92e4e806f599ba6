/*
 * ONNX Runtime: see infer_peer.h.
 */
#include "tools/benchmark/infer_peer.h"

#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <unistd.h>

#include <onnxruntime_c_api.h>

struct peer {
	const OrtApi *api;
	OrtEnv *environment;
	OrtSession *session;
	OrtMemoryInfo *memory;
	OrtValue *x, *y;
};

static void check(const struct peer *peer, OrtStatus *status)
{
	if (status == NULL)
		return;
	fprintf(stderr, "gyr-bench-infer: ONNX Runtime: %s\n", peer->api->GetErrorMessage(status));
	exit(1);
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

struct peer *peer_create(const void *model, size_t size)
{
	struct peer *peer = calloc(1, sizeof *peer);
	if (peer == NULL || (peer->api = OrtGetApiBase()->GetApi(ORT_API_VERSION)) == NULL) {
		fprintf(stderr, "gyr-bench-infer: ONNX Runtime has no API of version %d\n", ORT_API_VERSION);
		exit(1);
	}
	const OrtApi *api = peer->api;
	OrtSessionOptions *options;
	check(peer, api->CreateSessionOptions(&options));
	check(peer, api->SetIntraOpNumThreads(options, 1));
	check(peer, api->SetInterOpNumThreads(options, 1));
	check(peer, api->SetSessionExecutionMode(options, ORT_SEQUENTIAL));
	check(peer, api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
	check(peer, api->AddSessionConfigEntry(options, "session.set_denormal_as_zero", "1"));
	/* Debian's build registers each operator twice, and complains of each on stderr; what matters comes back as a status. */
	int own = lead_stderr("/dev/null", -1);
	OrtStatus *status = api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &peer->environment);
	if (status == NULL)
		status = api->CreateSessionFromArray(peer->environment, model, size, options, &peer->session);
	close(lead_stderr(NULL, own));
	check(peer, status);
	api->ReleaseSessionOptions(options);
	check(peer, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &peer->memory));
	return peer;
}

static void release_values(struct peer *peer)
{
	peer->api->ReleaseValue(peer->x);
	peer->api->ReleaseValue(peer->y);
	peer->x = peer->y = NULL;
}

void peer_destroy(struct peer *peer)
{
	release_values(peer);
	peer->api->ReleaseMemoryInfo(peer->memory);
	peer->api->ReleaseSession(peer->session);
	peer->api->ReleaseEnv(peer->environment);
	free(peer);
}

void peer_bind(struct peer *peer, int64_t batch, int64_t in, int64_t out, float *x, float *y)
{
	const int64_t x_shape[2] = {batch, in}, y_shape[2] = {batch, out};
	release_values(peer);
	check(peer, peer->api->CreateTensorWithDataAsOrtValue(peer->memory, x, (size_t)(batch * in) * sizeof *x, x_shape, 2,
							      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &peer->x));
	check(peer, peer->api->CreateTensorWithDataAsOrtValue(peer->memory, y, (size_t)(batch * out) * sizeof *y, y_shape, 2,
							      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &peer->y));
}

void peer_run(struct peer *peer)
{
	static const char *const input_names[1] = {"x"}, *const output_names[1] = {"y"};
	check(peer, peer->api->Run(peer->session, NULL, input_names, (const OrtValue *const *)&peer->x, 1, output_names, 1, &peer->y));
}
