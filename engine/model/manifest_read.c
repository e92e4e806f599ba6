/*
 * Reads a manifest from bytes that nobody vouches for: with the bounded cursor only, no length believed before the bytes are there, and everything about the
 * graph checked by the graph itself. Other forms of the same content (longer integers, nodes in another order) are found out by gyr_bundle_open, which packs
 * what was read and compares.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/unpack.h"
#include "engine/model/manifest.h"

#define ATTRIBUTES_MAX 64u /* of one node: more than any operator has */

struct reader {
	struct gyr_unpack cursor;
	const struct manifest_form *form;
	const uint8_t *section;
	uint64_t section_size, section_used; /* every tensor begins where the one before it, with its padding, ends */
	struct gyr_arena scratch;            /* what is not needed after reading */
	struct gyr_arena *arena;             /* what is */
	struct manifest_tensor *tensors;     /* one for each constant; room for a power of two */
	uint32_t tensor_count;
	struct gyr_error *error;
};

static int malformed(struct reader *reader, const char *what)
{
	return gyr_error_set(reader->error, -EBADMSG, "%s is malformed", what);
}

static int no_memory(struct reader *reader)
{
	return gyr_error_set(reader->error, -ENOMEM, "no memory for the manifest");
}

/* A string, zero-terminated in ARENA. Zeros inside are refused. */
static int read_text(struct reader *reader, struct gyr_arena *arena, const char **text, const char *what)
{
	const char *str;
	uint32_t length;
	if (!gyr_unpack_str(&reader->cursor, &str, &length) || memchr(str, 0, length) != NULL)
		return malformed(reader, what);
	*text = gyr_arena_string(arena, str, length);
	return *text == NULL ? no_memory(reader) : 0;
}

static bool read_u32(struct reader *reader, uint32_t *number)
{
	uint64_t value;
	if (!gyr_unpack_uint(&reader->cursor, &value) || value > UINT32_MAX)
		return false;
	*number = (uint32_t)value;
	return true;
}

/* The head of an array of exactly COUNT. */
static bool read_array_of(struct reader *reader, uint32_t count)
{
	uint32_t found;
	return gyr_unpack_array(&reader->cursor, &found) && found == count;
}

/* What the graph refuses makes the bundle bad. */
static int from_graph(int status)
{
	return status == 0 || status == -ENOMEM ? status : -EBADMSG;
}

/* The hash of a constant that lies where TENSOR says. */
static int read_hash(struct reader *reader, struct manifest_tensor *tensor)
{
	const uint8_t *said;
	uint32_t said_bytes;
	if (!gyr_unpack_bin(&reader->cursor, &said, &said_bytes) || said_bytes != sizeof tensor->hash)
		return malformed(reader, "its hash");
	memcpy(tensor->hash, said, sizeof tensor->hash);
	if (reader->form->unchecked)
		return 0;
	uint8_t hash[sizeof tensor->hash];
	bundle_blake2b(reader->section + tensor->offset, tensor->size, hash);
	return memcmp(tensor->hash, hash, sizeof hash) == 0 ? 0 : gyr_error_set(reader->error, -EBADMSG, "its bytes do not fit their hash");
}

/* The place and size of a constant of SHAPE, and its hash where there is one; checks the padding behind it. */
static int read_tensor(struct reader *reader, const struct gyr_shape *shape, struct manifest_tensor *tensor)
{
	uint64_t offset, size;
	size_t shape_bytes;
	if (!gyr_unpack_uint(&reader->cursor, &offset) || !gyr_unpack_uint(&reader->cursor, &size))
		return malformed(reader, "its place in the file");
	if (!gyr_shape_bytes(shape, 1, &shape_bytes) || shape_bytes != size)
		return gyr_error_set(reader->error, -EBADMSG, "its %" PRIu64 " bytes are not those of its shape", size);
	if (offset != reader->section_used)
		return gyr_error_set(reader->error, -EBADMSG, "it begins at byte %" PRIu64 " of the tensors and must at %" PRIu64, offset,
				     reader->section_used);
	if (size > reader->section_size - offset)
		return gyr_error_set(reader->error, -EBADMSG, "its %" PRIu64 " bytes go beyond the end of the file", size);
	uint64_t end = bundle_align(offset + size);
	if (end > reader->section_size)
		return gyr_error_set(reader->error, -EBADMSG, "its padding goes beyond the end of the file");
	*tensor = (struct manifest_tensor){.offset = offset, .size = size};
	int status = reader->form->hashes ? read_hash(reader, tensor) : 0;
	if (status != 0)
		return status;
	for (uint64_t i = offset + size; i < end; i++)
		if (reader->section[i] != 0)
			return gyr_error_set(reader->error, -EBADMSG, "the padding behind it is not zero");
	reader->section_used = end;
	return 0;
}

/* A type and dimensions: two elements of the array around them. */
static bool read_shape(struct reader *reader, struct gyr_shape *shape)
{
	uint32_t dtype;
	*shape = (struct gyr_shape){0};
	if (!read_u32(reader, &dtype) || !gyr_unpack_array(&reader->cursor, &shape->rank) || shape->rank > GYR_RANK_MAX)
		return false;
	shape->dtype = (enum gyr_dtype)dtype;
	for (uint32_t i = 0; i < shape->rank; i++)
		if (!gyr_unpack_int(&reader->cursor, &shape->dims[i]))
			return false;
	return shape->dtype != GYR_DTYPE_NONE || shape->rank == 0;
}

/* The next tensor's element, or NULL without memory. */
static struct manifest_tensor *next_tensor(struct reader *reader)
{
	uint32_t count = reader->tensor_count;
	if (count == 0 || (count & (count - 1)) == 0) {
		struct manifest_tensor *bigger = GYR_ARENA_NEW(reader->arena, struct manifest_tensor, count == 0 ? 1 : 2 * (size_t)count);
		if (bigger == NULL)
			return NULL;
		if (count != 0)
			memcpy(bigger, reader->tensors, count * sizeof *bigger);
		reader->tensors = bigger;
	}
	return &reader->tensors[reader->tensor_count++];
}

static int read_value(struct reader *reader, struct gyr_graph *graph)
{
	uint32_t places, index;
	const char *name;
	const uint8_t *data = NULL;
	struct gyr_shape shape = {0};
	const uint32_t constant_places = reader->form->hashes ? 6 : 5;
	if (!gyr_unpack_array(&reader->cursor, &places) || (places != 3 && places != constant_places))
		return malformed(reader, "it");
	int status = read_text(reader, &reader->scratch, &name, "its name");
	if (status != 0)
		return status;
	if (!read_shape(reader, &shape))
		return malformed(reader, "its shape");
	if (places == constant_places) {
		struct manifest_tensor *tensor = next_tensor(reader);
		status = tensor == NULL ? no_memory(reader) : read_tensor(reader, &shape, tensor);
		data = status == 0 ? reader->section + tensor->offset : NULL;
	}
	if (status == 0)
		status = from_graph(gyr_graph_add_value(graph, name, shape.dtype == GYR_DTYPE_NONE ? NULL : &shape, data, false, &index, reader->error));
	return status;
}

static int read_values(struct reader *reader, struct gyr_graph *graph)
{
	uint32_t count;
	if (!gyr_unpack_array(&reader->cursor, &count))
		return malformed(reader, "the list of values");
	if (count > GYR_GRAPH_VALUES_MAX)
		return gyr_error_set(reader->error, -EBADMSG, "%" PRIu32 " values (at most %u)", count, GYR_GRAPH_VALUES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		int status = read_value(reader, graph);
		if (status != 0)
			return gyr_error_prefix(reader->error, status, "value %" PRIu32, i);
	}
	return 0;
}

/* COUNT of a graph's inputs or outputs. */
static int read_ends(struct reader *reader, struct gyr_graph *graph, uint32_t count, int (*add)(struct gyr_graph *, uint32_t, struct gyr_error *),
		     const char *what)
{
	uint32_t value;
	for (uint32_t i = 0; i < count; i++) {
		if (!read_u32(reader, &value))
			return malformed(reader, what);
		int status = from_graph(add(graph, value, reader->error));
		if (status != 0)
			return status;
	}
	return 0;
}

/* A graph's inputs, the last CAPTURES of which are a body's captures. */
static int read_inputs(struct reader *reader, struct gyr_graph *graph, uint32_t captures)
{
	static const char what[] = "the list of inputs";
	uint32_t count;
	if (!gyr_unpack_array(&reader->cursor, &count) || captures > count)
		return malformed(reader, what);
	int status = read_ends(reader, graph, count - captures, gyr_graph_add_input, what);
	return status == 0 ? read_ends(reader, graph, captures, gyr_graph_add_capture, what) : status;
}

static int read_outputs(struct reader *reader, struct gyr_graph *graph)
{
	static const char what[] = "the list of outputs";
	uint32_t count;
	if (!gyr_unpack_array(&reader->cursor, &count))
		return malformed(reader, what);
	return read_ends(reader, graph, count, gyr_graph_add_output, what);
}

/* A node's inputs or outputs; nil stands for an input that is left out. */
static bool read_indices(struct reader *reader, uint32_t items[GYR_NODE_ENDS_MAX], uint32_t *count)
{
	if (!gyr_unpack_array(&reader->cursor, count) || *count > GYR_NODE_ENDS_MAX)
		return false;
	for (uint32_t i = 0; i < *count; i++) {
		items[i] = GYR_VALUE_NONE;
		if (!gyr_unpack_nil(&reader->cursor) && !read_u32(reader, &items[i]))
			return false;
	}
	return true;
}

static int read_strings(struct reader *reader, struct gyr_attribute *attribute)
{
	uint32_t count;
	if (!gyr_unpack_array(&reader->cursor, &count))
		return malformed(reader, "an attribute");
	const char **items = GYR_ARENA_NEW(&reader->scratch, const char *, count);
	if (items == NULL)
		return no_memory(reader);
	attribute->type = GYR_ATTRIBUTE_STRINGS;
	attribute->strings.count = count;
	attribute->strings.items = items;
	int status = 0;
	for (uint32_t i = 0; i < count && status == 0; i++)
		status = read_text(reader, &reader->scratch, &items[i], "an attribute");
	return status;
}

static int read_tensor_attribute(struct reader *reader, struct gyr_attribute *attribute)
{
	const uint8_t *bytes;
	uint32_t size;
	size_t expected;
	attribute->type = GYR_ATTRIBUTE_TENSOR;
	if (!read_array_of(reader, 3) || !read_shape(reader, &attribute->tensor.shape) || !gyr_unpack_bin(&reader->cursor, &bytes, &size) ||
	    !gyr_shape_bytes(&attribute->tensor.shape, 1, &expected) || size != expected)
		return malformed(reader, "an attribute");
	attribute->tensor.data = bytes;
	return 0;
}

static int read_nodes(struct reader *reader, struct gyr_graph *graph);

/* A body of GRAPH. */
static int read_body(struct reader *reader, struct gyr_graph *graph, struct gyr_attribute *attribute)
{
	const char *name;
	uint32_t captures = 0;
	attribute->type = GYR_ATTRIBUTE_GRAPH;
	if (!read_array_of(reader, 6))
		return malformed(reader, "a body");
	int status = read_text(reader, &reader->scratch, &name, "the name of a body");
	if (status == 0 && !read_u32(reader, &captures))
		status = malformed(reader, "a body");
	if (status == 0)
		status = from_graph(gyr_graph_add_body(graph, name, &attribute->graph, reader->error));
	if (status == 0)
		status = read_values(reader, attribute->graph);
	if (status == 0)
		status = read_inputs(reader, attribute->graph, captures);
	if (status == 0)
		status = read_outputs(reader, attribute->graph);
	if (status == 0)
		status = read_nodes(reader, attribute->graph);
	return status == 0 ? from_graph(gyr_graph_finish(attribute->graph, reader->error)) : status;
}

static int read_attribute(struct reader *reader, struct gyr_graph *graph, struct gyr_attribute *attribute)
{
	static const char what[] = "an attribute";
	uint32_t type, count;
	if (!read_array_of(reader, 3))
		return malformed(reader, what);
	int status = read_text(reader, &reader->scratch, &attribute->name, what);
	if (status != 0)
		return status;
	if (!read_u32(reader, &type))
		return malformed(reader, what);
	switch (type) {
	case MANIFEST_INT: attribute->type = GYR_ATTRIBUTE_INT; return gyr_unpack_int(&reader->cursor, &attribute->integer) ? 0 : malformed(reader, what);
	case MANIFEST_FLOAT:
		attribute->type = GYR_ATTRIBUTE_FLOAT;
		return gyr_unpack_float32(&reader->cursor, &attribute->number) ? 0 : malformed(reader, what);
	case MANIFEST_STRING: attribute->type = GYR_ATTRIBUTE_STRING; return read_text(reader, &reader->scratch, &attribute->string, what);
	case MANIFEST_INTS:
	case MANIFEST_FLOATS: break;
	case MANIFEST_STRINGS: return read_strings(reader, attribute);
	case MANIFEST_TENSOR: return read_tensor_attribute(reader, attribute);
	case MANIFEST_GRAPH: return read_body(reader, graph, attribute);
	default: return malformed(reader, what);
	}
	if (!gyr_unpack_array(&reader->cursor, &count))
		return malformed(reader, what);
	bool whole = true;
	if (type == MANIFEST_INTS) {
		int64_t *items = GYR_ARENA_NEW(&reader->scratch, int64_t, count);
		if (items == NULL)
			return no_memory(reader);
		for (uint32_t i = 0; i < count && whole; i++)
			whole = gyr_unpack_int(&reader->cursor, &items[i]);
		attribute->type = GYR_ATTRIBUTE_INTS;
		attribute->integers.count = count;
		attribute->integers.items = items;
	} else {
		float *items = GYR_ARENA_NEW(&reader->scratch, float, count);
		if (items == NULL)
			return no_memory(reader);
		for (uint32_t i = 0; i < count && whole; i++)
			whole = gyr_unpack_float32(&reader->cursor, &items[i]);
		attribute->type = GYR_ATTRIBUTE_FLOATS;
		attribute->numbers.count = count;
		attribute->numbers.items = items;
	}
	return whole ? 0 : malformed(reader, what);
}

/* The operator that TEXT names, behind its domain where that is not the default one. */
static enum gyr_op find_operator(const char *text)
{
	static const char ml[] = GYR_DOMAIN_ML ".";
	bool other = strncmp(text, ml, sizeof ml - 1) == 0;
	return other ? gyr_op_find(GYR_DOMAIN_ML, text + sizeof ml - 1) : gyr_op_from_name(text);
}

static int read_node(struct reader *reader, struct gyr_graph *graph)
{
	struct gyr_node node = {0};
	struct gyr_attribute attributes[ATTRIBUTES_MAX];
	uint32_t inputs[GYR_NODE_ENDS_MAX], outputs[GYR_NODE_ENDS_MAX];
	const char *op;
	if (!read_array_of(reader, 5))
		return malformed(reader, "it");
	int status = read_text(reader, &reader->scratch, &op, "its operator");
	if (status == 0)
		status = read_text(reader, &reader->scratch, &node.name, "its name");
	if (status != 0)
		return status;
	node.op = find_operator(op);
	if (node.op == GYR_OP_NONE)
		return gyr_error_set(reader->error, -EBADMSG, "its operator is none that Gyr runs");
	if (!read_indices(reader, inputs, &node.input_count) || !read_indices(reader, outputs, &node.output_count))
		return malformed(reader, "a list of its inputs or outputs");
	if (!gyr_unpack_array(&reader->cursor, &node.attribute_count) || node.attribute_count > ATTRIBUTES_MAX)
		return malformed(reader, "the list of its attributes");
	for (uint32_t i = 0; i < node.attribute_count; i++) {
		status = read_attribute(reader, graph, &attributes[i]);
		if (status != 0)
			return status;
	}
	node.inputs = inputs;
	node.outputs = outputs;
	node.attributes = attributes;
	return from_graph(gyr_graph_add_node(graph, &node, reader->error));
}

static int read_nodes(struct reader *reader, struct gyr_graph *graph)
{
	uint32_t count;
	if (!gyr_unpack_array(&reader->cursor, &count))
		return malformed(reader, "the list of nodes");
	for (uint32_t i = 0; i < count; i++) {
		int status = read_node(reader, graph);
		if (status != 0)
			return gyr_error_prefix(reader->error, status, "node %" PRIu32, i);
	}
	return 0;
}

static int read_lineage(struct reader *reader, struct gyr_bundle_info *info)
{
	static const char what[] = "the lineage";
	if (!gyr_unpack_array(&reader->cursor, &info->lineage_count) || info->lineage_count > GYR_BUNDLE_LINEAGE_MAX)
		return malformed(reader, what);
	struct gyr_lineage *lineage = GYR_ARENA_NEW(reader->arena, struct gyr_lineage, info->lineage_count);
	info->lineage = lineage;
	if (lineage == NULL)
		return no_memory(reader);
	for (uint32_t i = 0; i < info->lineage_count; i++) {
		if (!read_array_of(reader, 2))
			return malformed(reader, what);
		int status = read_text(reader, reader->arena, &lineage[i].key, what);
		if (status == 0)
			status = read_text(reader, reader->arena, &lineage[i].value, what);
		if (status != 0)
			return status;
	}
	return 0;
}

/* The inputs or outputs of a golden vector, copied so that they are aligned. */
static int read_rows(struct reader *reader, const struct gyr_graph *graph, const uint32_t *values, uint32_t count, uint32_t batch, const void *const **rows)
{
	static const char what[] = "a golden vector";
	const void **copies = GYR_ARENA_NEW(reader->arena, const void *, count);
	if (copies == NULL)
		return no_memory(reader);
	if (!read_array_of(reader, count))
		return malformed(reader, what);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *bin;
		uint32_t length;
		size_t bytes;
		const struct gyr_value *value = &graph->values[values[i]];
		if (!gyr_unpack_bin(&reader->cursor, &bin, &length))
			return malformed(reader, what);
		if (!gyr_shape_bytes(&value->shape, batch, &bytes) || bytes != length)
			return gyr_error_set(reader->error, -EBADMSG, "a golden vector's '%s' has %" PRIu32 " bytes, which do not fit %" PRIu32 " rows",
					     value->name, length, batch);
		void *copy = gyr_arena_alloc(reader->arena, length, 64);
		if (copy == NULL)
			return no_memory(reader);
		memcpy(copy, bin, length);
		copies[i] = copy;
	}
	*rows = copies;
	return 0;
}

static int read_golden(struct reader *reader, const struct gyr_graph *graph, struct gyr_bundle_info *info)
{
	static const char what[] = "the list of golden vectors";
	if (!gyr_unpack_array(&reader->cursor, &info->golden_count) || info->golden_count > GYR_BUNDLE_GOLDEN_MAX)
		return malformed(reader, what);
	struct gyr_golden *golden = GYR_ARENA_NEW(reader->arena, struct gyr_golden, info->golden_count);
	info->golden = golden;
	if (golden == NULL)
		return no_memory(reader);
	for (uint32_t i = 0; i < info->golden_count; i++) {
		if (!read_array_of(reader, 4) || !read_u32(reader, &golden[i].batch) || !gyr_unpack_float32(&reader->cursor, &golden[i].tolerance))
			return malformed(reader, what);
		int status = read_rows(reader, graph, graph->inputs, graph->input_count, golden[i].batch, &golden[i].inputs);
		if (status == 0)
			status = read_rows(reader, graph, graph->outputs, graph->output_count, golden[i].batch, &golden[i].outputs);
		if (status != 0)
			return status;
	}
	return 0;
}

/* The opset of the default domain, or an array of it and of that of "ai.onnx.ml", which is then not 0. */
static bool read_opsets(struct reader *reader, uint32_t *opset, uint32_t *opset_ml)
{
	uint32_t count;
	*opset_ml = 0;
	if (!gyr_unpack_array(&reader->cursor, &count))
		return read_u32(reader, opset);
	return count == 2 && read_u32(reader, opset) && read_u32(reader, opset_ml);
}

static int read_all(struct reader *reader, struct gyr_bundle *bundle)
{
	const char *name;
	uint32_t opset, opset_ml, places;
	if (!gyr_unpack_array(&reader->cursor, &places) || places < 8 || places > 9)
		return malformed(reader, "it");
	int status = read_text(reader, &reader->scratch, &name, "the name");
	if (status != 0)
		return status;
	if (!read_opsets(reader, &opset, &opset_ml))
		return malformed(reader, "the opset");
	bundle->graph = gyr_graph_create(name, opset);
	if (bundle->graph == NULL)
		return no_memory(reader);
	bundle->graph->opset_ml = opset_ml;
	status = read_values(reader, bundle->graph);
	if (status == 0)
		status = read_inputs(reader, bundle->graph, 0);
	if (status == 0)
		status = read_outputs(reader, bundle->graph);
	if (status == 0)
		status = read_nodes(reader, bundle->graph);
	if (status == 0 && reader->section_used != reader->section_size)
		status = gyr_error_set(reader->error, -EBADMSG, "%" PRIu64 " bytes behind the last tensor", reader->section_size - reader->section_used);
	if (status == 0)
		status = from_graph(gyr_graph_finish(bundle->graph, reader->error));
	if (status == 0)
		status = read_lineage(reader, &bundle->info);
	if (status == 0)
		status = read_golden(reader, bundle->graph, &bundle->info);
	if (status == 0 && places == 9 && !gyr_unpack_float32(&reader->cursor, &bundle->info.bf16_bound))
		status = malformed(reader, "the bound of the error in bf16");
	if (status == 0)
		status = from_graph(manifest_check_info(bundle->graph, &bundle->info, reader->error));
	if (status == 0 && reader->cursor.at != reader->cursor.end)
		status = malformed(reader, "its end");
	return status;
}

int manifest_read(const uint8_t *bytes, size_t size, const uint8_t *section, uint64_t section_size, const struct manifest_form *form, struct gyr_arena *arena,
		  struct gyr_bundle *bundle, const struct manifest_tensor **tensors, struct gyr_error *error)
{
	struct reader reader = {
		.cursor = {bytes, bytes + size}, .form = form, .section = section, .section_size = section_size, .arena = arena, .error = error};
	gyr_arena_init(&reader.scratch, 0);
	int status = read_all(&reader, bundle);
	gyr_arena_fini(&reader.scratch);
	*tensors = reader.tensors;
	return status == 0 ? 0 : gyr_error_prefix(error, status, "manifest");
}
