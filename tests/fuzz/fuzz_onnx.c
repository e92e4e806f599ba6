/*
 * Fuzzes gyr_onnx_import with files as they are. What is imported must export, import again to the same signature, and fit into a bundle that opens. A graph
 * with an output whose shape only a plan can find is refused by both.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assertion.h"
#include "engine/model/bundle.h"
#include "engine/onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool outputs_are_known(const struct gyr_graph *graph)
{
	for (uint32_t i = 0; i < graph->output_count; i++)
		if (graph->values[graph->outputs[i]].shape.dtype == GYR_DTYPE_NONE)
			return false;
	return true;
}

static void check_export(const struct gyr_graph *graph)
{
	struct gyr_graph *again;
	void *bytes;
	size_t size;
	GYR_ASSERT(gyr_onnx_export(graph, &bytes, &size, NULL) == 0);
	GYR_ASSERT(gyr_onnx_import(bytes, size, &again, NULL) == 0);
	GYR_ASSERT(gyr_graph_same_signature(graph, again, NULL));
	gyr_graph_destroy(again);
	free(bytes);
}

static void check_bundle(const struct gyr_graph *graph)
{
	const struct gyr_bundle_info info = {0};
	struct gyr_bundle *bundle;
	void *bytes;
	size_t size;
	GYR_ASSERT(gyr_bundle_build(graph, &info, &bytes, &size, NULL) == 0);
	GYR_ASSERT(gyr_bundle_open(bytes, size, &bundle, NULL) == 0);
	GYR_ASSERT(gyr_graph_same_signature(graph, bundle->graph, NULL));
	gyr_bundle_close(bundle);
	free(bytes);
}

static void check_refusals(const struct gyr_graph *graph)
{
	const struct gyr_bundle_info info = {0};
	void *bytes;
	size_t size;
	GYR_ASSERT(gyr_onnx_export(graph, &bytes, &size, NULL) == -ENOTSUP);
	GYR_ASSERT(gyr_bundle_build(graph, &info, &bytes, &size, NULL) == -EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gyr_graph *graph;
	struct gyr_error error;
	if (gyr_onnx_import(data, size, &graph, &error) != 0)
		return 0;
	if (outputs_are_known(graph)) {
		check_export(graph);
		check_bundle(graph);
	} else {
		check_refusals(graph);
	}
	gyr_graph_destroy(graph);
	return 0;
}
