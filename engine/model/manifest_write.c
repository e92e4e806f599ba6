/*
 * Packs a manifest. Only one form of each thing is written (msgpack's shortest), so that the same content is the same bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/pack.h"
#include "engine/model/graph_internal.h"
#include "engine/model/manifest.h"

#define LINEAGE_KEY_MAX 63u
#define LINEAGE_VALUE_MAX 4095u

static int check_lineage(const struct gyr_bundle_info *info, struct gyr_error *error)
{
	if (info->lineage_count > GYR_BUNDLE_LINEAGE_MAX)
		return gyr_error_set(error, -E2BIG, "%" PRIu32 " lineage entries (at most %u)", info->lineage_count, GYR_BUNDLE_LINEAGE_MAX);
	for (uint32_t i = 0; i < info->lineage_count; i++) {
		const struct gyr_lineage *entry = &info->lineage[i];
		size_t key_bytes = graph_legal_length(entry->key, LINEAGE_KEY_MAX);
		if (key_bytes == 0 || entry->key[key_bytes] != 0)
			return gyr_error_set(error, -EINVAL, "the key of lineage entry %" PRIu32 " is not 1 to %u bytes of text", i, LINEAGE_KEY_MAX);
		if (entry->value[graph_legal_length(entry->value, LINEAGE_VALUE_MAX)] != 0)
			return gyr_error_set(error, -EINVAL, "the value of lineage '%s' is not up to %u bytes of text", entry->key, LINEAGE_VALUE_MAX);
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(entry->key, info->lineage[k].key) == 0)
				return gyr_error_set(error, -EINVAL, "lineage '%s' is there twice", entry->key);
	}
	return 0;
}

int manifest_check_info(const struct gyr_graph *graph, const struct gyr_bundle_info *info, struct gyr_error *error)
{
	const struct gyr_shape *first = &graph->values[graph->inputs[0]].shape;
	bool batched = first->rank > 0 && first->dims[0] == GYR_DIM_BATCH;
	for (uint32_t i = 0; i < graph->output_count; i++)
		if (graph->values[graph->outputs[i]].shape.dtype == GYR_DTYPE_NONE)
			return gyr_error_set(error, -EINVAL, "the shape of output '%s' is not known (gyr_plan_settle finds it)",
					     graph->values[graph->outputs[i]].name);
	uint32_t batch_max = batched ? GYR_BUNDLE_GOLDEN_BATCH_MAX : 1;
	if (info->golden_count > GYR_BUNDLE_GOLDEN_MAX)
		return gyr_error_set(error, -E2BIG, "%" PRIu32 " golden vectors (at most %u)", info->golden_count, GYR_BUNDLE_GOLDEN_MAX);
	for (uint32_t i = 0; i < info->golden_count; i++) {
		const struct gyr_golden *golden = &info->golden[i];
		if (golden->batch < 1 || golden->batch > batch_max)
			return gyr_error_set(error, -EINVAL, "golden vector %" PRIu32 " has %" PRIu32 " rows (1 to %" PRIu32 ")", i, golden->batch, batch_max);
		if (!isfinite(golden->tolerance) || golden->tolerance < 0 || signbit(golden->tolerance))
			return gyr_error_set(error, -EINVAL, "the tolerance of golden vector %" PRIu32 " is %g (0 or more)", i, (double)golden->tolerance);
	}
	if (!(info->bf16_bound >= 0 && info->bf16_bound <= 1) || signbit(info->bf16_bound))
		return gyr_error_set(error, -EINVAL, "the bound of the error in bf16 is %g (0 to 1)", (double)info->bf16_bound);
	return check_lineage(info, error);
}

/* Its type and its dimensions: two elements of the array around it. */
static void pack_shape(struct gyr_pack *pack, const struct gyr_shape *shape)
{
	msgpack_pack_uint32(&pack->packer, shape->dtype);
	msgpack_pack_array(&pack->packer, shape->rank);
	for (uint32_t d = 0; d < shape->rank; d++)
		msgpack_pack_int64(&pack->packer, shape->dims[d]);
}

/* The tensors that are still to be packed: one for each constant, in the manifest's order. */
struct rest {
	const struct manifest_tensor *next;
	bool hashes;
};

static void pack_values(struct gyr_pack *pack, const struct gyr_graph *graph, struct rest *rest)
{
	msgpack_packer *packer = &pack->packer;
	msgpack_pack_array(packer, graph->value_count);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		const struct gyr_value *value = &graph->values[i];
		msgpack_pack_array(packer, value->data == NULL ? 3 : rest->hashes ? 6 : 5);
		gyr_pack_str(pack, value->name);
		pack_shape(pack, &value->shape);
		if (value->data == NULL)
			continue;
		const struct manifest_tensor *tensor = rest->next++;
		msgpack_pack_uint64(packer, tensor->offset);
		msgpack_pack_uint64(packer, tensor->size);
		if (rest->hashes)
			gyr_pack_bin(pack, tensor->hash, sizeof tensor->hash);
	}
}

static void pack_indices(struct gyr_pack *pack, const uint32_t *items, uint32_t count)
{
	msgpack_pack_array(&pack->packer, count);
	for (uint32_t i = 0; i < count; i++) {
		if (items[i] == GYR_VALUE_NONE)
			msgpack_pack_nil(&pack->packer);
		else
			msgpack_pack_uint32(&pack->packer, items[i]);
	}
}

static void pack_body(struct gyr_pack *pack, const struct gyr_graph *body, struct rest *rest);

static void pack_attribute(struct gyr_pack *pack, const struct gyr_attribute *attribute, struct rest *rest)
{
	msgpack_packer *packer = &pack->packer;
	msgpack_pack_array(packer, 3);
	gyr_pack_str(pack, attribute->name);
	switch (attribute->type) {
	case GYR_ATTRIBUTE_INT:
		msgpack_pack_uint8(packer, MANIFEST_INT);
		msgpack_pack_int64(packer, attribute->integer);
		break;
	case GYR_ATTRIBUTE_FLOAT:
		msgpack_pack_uint8(packer, MANIFEST_FLOAT);
		msgpack_pack_float(packer, attribute->number);
		break;
	case GYR_ATTRIBUTE_STRING:
		msgpack_pack_uint8(packer, MANIFEST_STRING);
		gyr_pack_str(pack, attribute->string);
		break;
	case GYR_ATTRIBUTE_INTS:
		msgpack_pack_uint8(packer, MANIFEST_INTS);
		msgpack_pack_array(packer, attribute->integers.count);
		for (uint32_t i = 0; i < attribute->integers.count; i++)
			msgpack_pack_int64(packer, attribute->integers.items[i]);
		break;
	case GYR_ATTRIBUTE_FLOATS:
		msgpack_pack_uint8(packer, MANIFEST_FLOATS);
		msgpack_pack_array(packer, attribute->numbers.count);
		for (uint32_t i = 0; i < attribute->numbers.count; i++)
			msgpack_pack_float(packer, attribute->numbers.items[i]);
		break;
	case GYR_ATTRIBUTE_STRINGS:
		msgpack_pack_uint8(packer, MANIFEST_STRINGS);
		msgpack_pack_array(packer, attribute->strings.count);
		for (uint32_t i = 0; i < attribute->strings.count; i++)
			gyr_pack_str(pack, attribute->strings.items[i]);
		break;
	case GYR_ATTRIBUTE_TENSOR: {
		size_t bytes;
		bool fits = gyr_shape_bytes(&attribute->tensor.shape, 1, &bytes);
		GYR_ASSERT(fits); /* gyr_graph_add_node saw to it */
		msgpack_pack_uint8(packer, MANIFEST_TENSOR);
		msgpack_pack_array(packer, 3);
		pack_shape(pack, &attribute->tensor.shape);
		gyr_pack_bin(pack, attribute->tensor.data, bytes);
		break;
	}
	case GYR_ATTRIBUTE_GRAPH:
		msgpack_pack_uint8(packer, MANIFEST_GRAPH);
		pack_body(pack, attribute->graph, rest);
		break;
	}
}

/* The opset, or both where there are two domains. */
static void pack_opsets(struct gyr_pack *pack, const struct gyr_graph *graph)
{
	if (graph->opset_ml != 0)
		msgpack_pack_array(&pack->packer, 2);
	msgpack_pack_uint32(&pack->packer, graph->opset);
	if (graph->opset_ml != 0)
		msgpack_pack_uint32(&pack->packer, graph->opset_ml);
}

/* The operator's name, behind that of its domain where that is not the default one. */
static void pack_operator(struct gyr_pack *pack, enum gyr_op op)
{
	const struct gyr_op_info *info = gyr_op_info(op);
	char name[128];
	snprintf(name, sizeof name, "%s%s%s", info->domain != NULL ? info->domain : "", info->domain != NULL ? "." : "", info->name);
	gyr_pack_str(pack, name);
}

static void pack_nodes(struct gyr_pack *pack, const struct gyr_graph *graph, struct rest *rest)
{
	msgpack_pack_array(&pack->packer, graph->node_count);
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		msgpack_pack_array(&pack->packer, 5);
		pack_operator(pack, node->op);
		gyr_pack_str(pack, node->name);
		pack_indices(pack, node->inputs, node->input_count);
		pack_indices(pack, node->outputs, node->output_count);
		msgpack_pack_array(&pack->packer, node->attribute_count);
		for (uint32_t a = 0; a < node->attribute_count; a++)
			pack_attribute(pack, &node->attributes[a], rest);
	}
}

static void pack_body(struct gyr_pack *pack, const struct gyr_graph *body, struct rest *rest)
{
	msgpack_pack_array(&pack->packer, 6);
	gyr_pack_str(pack, body->name);
	msgpack_pack_uint32(&pack->packer, body->capture_count);
	pack_values(pack, body, rest);
	pack_indices(pack, body->inputs, body->input_count);
	pack_indices(pack, body->outputs, body->output_count);
	pack_nodes(pack, body, rest);
}

/* The bytes of BATCH rows of value INDEX. */
static size_t row_bytes(const struct gyr_graph *graph, uint32_t index, uint32_t batch)
{
	size_t bytes;
	bool fits = gyr_shape_bytes(&graph->values[index].shape, batch, &bytes);
	GYR_ASSERT(fits); /* GYR_VALUE_ELEMENTS_MAX and GYR_BUNDLE_GOLDEN_BATCH_MAX see to it */
	return bytes;
}

static void pack_golden(struct gyr_pack *pack, const struct gyr_graph *graph, const struct gyr_golden *golden)
{
	msgpack_packer *packer = &pack->packer;
	msgpack_pack_array(packer, 4);
	msgpack_pack_uint32(packer, golden->batch);
	msgpack_pack_float(packer, golden->tolerance);
	msgpack_pack_array(packer, graph->input_count);
	for (uint32_t i = 0; i < graph->input_count; i++)
		gyr_pack_bin(pack, golden->inputs[i], row_bytes(graph, graph->inputs[i], golden->batch));
	msgpack_pack_array(packer, graph->output_count);
	for (uint32_t i = 0; i < graph->output_count; i++)
		gyr_pack_bin(pack, golden->outputs[i], row_bytes(graph, graph->outputs[i], golden->batch));
}

static void pack_manifest(struct gyr_pack *pack, const struct gyr_graph *graph, const struct gyr_bundle_info *info, struct rest tensors)
{
	msgpack_packer *packer = &pack->packer;
	msgpack_pack_array(packer, info->bf16_bound != 0 ? 9 : 8);
	gyr_pack_str(pack, graph->name);
	pack_opsets(pack, graph);
	pack_values(pack, graph, &tensors);
	pack_indices(pack, graph->inputs, graph->input_count);
	pack_indices(pack, graph->outputs, graph->output_count);
	pack_nodes(pack, graph, &tensors);
	msgpack_pack_array(packer, info->lineage_count);
	for (uint32_t i = 0; i < info->lineage_count; i++) {
		msgpack_pack_array(packer, 2);
		gyr_pack_str(pack, info->lineage[i].key);
		gyr_pack_str(pack, info->lineage[i].value);
	}
	msgpack_pack_array(packer, info->golden_count);
	for (uint32_t i = 0; i < info->golden_count; i++)
		pack_golden(pack, graph, &info->golden[i]);
	if (info->bf16_bound != 0)
		msgpack_pack_float(packer, info->bf16_bound);
}

/* A first guess at the packed size, right for most graphs; false when the golden vectors alone are too much. */
static bool guess_size(const struct gyr_graph *graph, const struct gyr_bundle_info *info, size_t *size)
{
	*size = 4096 + 128 * ((size_t)graph->all_value_count + graph->all_node_count);
	for (uint32_t g = 0; g < info->golden_count; g++) {
		for (uint32_t i = 0; i < graph->input_count + graph->output_count; i++) {
			uint32_t index = i < graph->input_count ? graph->inputs[i] : graph->outputs[i - graph->input_count];
			size_t bytes = row_bytes(graph, index, info->golden[g].batch);
			if (bytes > GYR_BUNDLE_MANIFEST_BYTES_MAX || *size > GYR_BUNDLE_MANIFEST_BYTES_MAX)
				return false;
			*size += bytes + 16;
		}
	}
	return true;
}

int manifest_write(const struct gyr_graph *graph, const struct gyr_bundle_info *info, const struct manifest_tensor *tensors, const struct manifest_form *form,
		   uint8_t **bytes, size_t *size, struct gyr_error *error)
{
	size_t room;
	bool fits = guess_size(graph, info, &room);
	for (; fits && room <= 2 * (size_t)GYR_BUNDLE_MANIFEST_BYTES_MAX; room *= 2) {
		struct gyr_pack pack;
		uint8_t *buffer = malloc(room);
		if (buffer == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for the manifest");
		gyr_pack_init(&pack, buffer, room);
		pack_manifest(&pack, graph, info, (struct rest){.next = tensors, .hashes = form->hashes});
		if (!pack.overflow && pack.used <= GYR_BUNDLE_MANIFEST_BYTES_MAX) {
			*bytes = buffer;
			*size = pack.used;
			return 0;
		}
		free(buffer);
		if (!pack.overflow)
			break;
	}
	return gyr_error_set(error, -E2BIG, "the manifest is over %u bytes (smaller golden vectors would help)", GYR_BUNDLE_MANIFEST_BYTES_MAX);
}
