/*
 * Channels last: see fuse.h.
 *
 * Nodes are looked at in order. A value of the graph, with its channels first, may have a twin with them last, and may be missing itself: then only the twin is
 * made so far. A node that can work on twins is replaced by one that does, and its results are missing; what any other node reads is made from its twin by a
 * Transpose, when the first such node comes by.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan/fuse.h"
#include "engine/ref/pool.h"
#include "engine/ref/unaligned.h"

#define INPUTS_MAX 64u /* of a node that is looked at */

struct layout {
	struct gyr_draft *draft;
	uint32_t value_count; /* of the graph */
	uint32_t *twins;      /* of each of these, or GYR_DRAFT_NONE; see key_of */
	bool *missing;        /* the root is not made itself */
	struct gyr_error *error;
};

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

static const struct gyr_shape *shape_of(const struct layout *layout, uint32_t value)
{
	return &layout->draft->values[value].shape;
}

static struct gyr_shape last_of(const struct gyr_shape *shape, const void *context)
{
	struct gyr_shape last = *shape;
	for (uint32_t i = 2; i < shape->rank; i++)
		last.dims[i - 1] = shape->dims[i];
	last.dims[shape->rank - 1] = shape->dims[1];
	return last;
}

/* Whether VALUE has the same elements in the same order either way, at every batch size. */
static bool same_order(const struct layout *layout, uint32_t value)
{
	for (uint32_t k = 0; k < layout->draft->special_count; k++) {
		const struct gyr_shape *shape = gyr_draft_shape(layout->draft, value, k);
		int64_t pixels = 1;
		for (uint32_t i = 2; i < shape->rank; i++)
			pixels = shape->dims[i] > 1 ? 2 : pixels;
		if (pixels != 1 && shape->dims[1] != 1)
			return false;
	}
	return true;
}

/* The root of VALUE when it is the same tensor, and not a view of it under another shape; or GYR_DRAFT_NONE. */
static uint32_t same_root(const struct layout *layout, uint32_t value)
{
	uint32_t root = gyr_draft_root(layout->draft, value);
	for (uint32_t k = 0; k < layout->draft->special_count; k++)
		if (!gyr_shape_equal(gyr_draft_shape(layout->draft, value, k), gyr_draft_shape(layout->draft, root, k)))
			return GYR_DRAFT_NONE;
	return root;
}

/* Where the twin of VALUE is kept: at its root, or at itself where it is a view of that under another shape, or of what this pass added. */
static uint32_t key_of(const struct layout *layout, uint32_t value)
{
	uint32_t root = same_root(layout, value);
	return root < layout->value_count ? root : value;
}

/* Whether TWIN has VALUE's shape with its channels last. */
static bool fits(const struct layout *layout, uint32_t value, uint32_t twin)
{
	for (uint32_t k = 0; k < layout->draft->special_count; k++) {
		struct gyr_shape last = last_of(gyr_draft_shape(layout->draft, value, k), NULL);
		if (!gyr_shape_equal(&last, gyr_draft_shape(layout->draft, twin, k)))
			return false;
	}
	return true;
}

/* The twin of VALUE that is there, or GYR_DRAFT_NONE. A root that is made under another shape may have one that fits. */
static uint32_t find_twin(const struct layout *layout, uint32_t value)
{
	const uint32_t places[2] = {key_of(layout, value), gyr_draft_root(layout->draft, value)};
	for (int i = 0; i < 2 && shape_of(layout, value)->rank >= 3; i++)
		if (places[i] < layout->value_count && layout->twins[places[i]] != GYR_DRAFT_NONE && fits(layout, value, layout->twins[places[i]]))
			return layout->twins[places[i]];
	return GYR_DRAFT_NONE;
}

/* Makes value TO from FROM, the one a twin of the other. LAST: TO has its channels last. */
static int turn(struct layout *layout, uint32_t from, uint32_t to, bool last)
{
	uint32_t rank = shape_of(layout, to)->rank;
	if (same_order(layout, last ? from : to)) {
		gyr_draft_make_view(layout->draft, to, from);
		return 0;
	}
	int64_t *perm = GYR_ARENA_NEW(&layout->draft->arena, int64_t, rank);
	if (perm == NULL)
		return no_memory(layout->error);
	for (uint32_t i = 1; i < rank; i++)
		perm[i] = last ? (i + 1 < rank ? i + 1 : 1) : (i == 1 ? rank - 1 : i - 1);
	const struct gyr_attribute attribute = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {rank, perm}};
	const struct gyr_node node = {
		.op = GYR_OP_TRANSPOSE, .input_count = 1, .output_count = 1, .attribute_count = 1, .inputs = &from, .outputs = &to, .attributes = &attribute};
	return gyr_draft_add_node(layout->draft, &node, NULL, layout->error);
}

/* A twin for VALUE, which some node is to make. */
static int add_twin(struct layout *layout, uint32_t value, uint32_t *twin)
{
	int status = gyr_draft_add_value(layout->draft, value, last_of, NULL, twin, layout->error);
	if (status == 0)
		layout->twins[value] = *twin;
	return status;
}

static struct gyr_shape first_of(const struct gyr_shape *shape, const void *context)
{
	struct gyr_shape first = *shape;
	for (uint32_t i = 2; i < shape->rank; i++)
		first.dims[i] = shape->dims[i - 1];
	first.dims[1] = shape->dims[shape->rank - 1];
	return first;
}

/* Makes the root of VALUE where only its twin is made. */
static int need_plain(struct layout *layout, uint32_t value)
{
	uint32_t root = value == GYR_DRAFT_NONE ? GYR_DRAFT_NONE : gyr_draft_root(layout->draft, value), same;
	if (root >= layout->value_count || !layout->missing[root])
		return 0;
	layout->missing[root] = false;
	if (fits(layout, root, layout->twins[root]))
		return turn(layout, layout->twins[root], root, false);
	int status = gyr_draft_add_value(layout->draft, layout->twins[root], first_of, NULL, &same, layout->error);
	if (status == 0)
		status = turn(layout, layout->twins[root], same, false);
	if (status == 0)
		gyr_draft_make_view(layout->draft, root, same);
	return status;
}

/* The twin of VALUE, which may turn; it is made where it is not there. */
static int need_twin(struct layout *layout, uint32_t value, uint32_t *twin)
{
	*twin = find_twin(layout, value);
	if (*twin != GYR_DRAFT_NONE)
		return 0;
	uint32_t key = key_of(layout, value);
	int status = need_plain(layout, value);
	if (status == 0)
		status = add_twin(layout, key, twin);
	return status == 0 ? turn(layout, key, *twin, true) : status;
}

/* The constant VALUE, under a result of RANK dimensions, as it stands beside twins. */
static int turn_constant(struct layout *layout, uint32_t value, uint32_t rank, uint32_t *turned)
{
	struct gyr_shape first = {.dtype = shape_of(layout, value)->dtype, .rank = rank};
	const uint8_t *data = layout->draft->values[value].data;
	uint32_t own = shape_of(layout, value)->rank;
	size_t count, size = gyr_dtype_bytes(first.dtype), pixels = 1;
	void *room;
	for (uint32_t i = 0; i < rank; i++)
		first.dims[i] = i + own < rank ? 1 : shape_of(layout, value)->dims[i + own - rank];
	for (uint32_t i = 2; i < rank; i++)
		pixels *= (size_t)first.dims[i];
	struct gyr_shape last = last_of(&first, NULL);
	if (!gyr_shape_count(&first, 1, &count))
		return no_memory(layout->error);
	int status = gyr_draft_add_constant(layout->draft, &last, &room, turned, layout->error);
	if (status != 0)
		return status;
	size_t channels = (size_t)first.dims[1], images = count == 0 ? 0 : (size_t)first.dims[0];
	for (size_t image = 0; image < images; image++)
		for (size_t c = 0; c < channels; c++)
			for (size_t pixel = 0; pixel < pixels; pixel++)
				memcpy((uint8_t *)room + ((image * pixels + pixel) * channels + c) * size,
				       data + ((image * channels + c) * pixels + pixel) * size, size);
	return 0;
}

/* Puts NODE, on INPUTS, in the place of node INDEX, making its twin. */
static int replace(struct layout *layout, uint32_t index, struct gyr_node *node)
{
	uint32_t y = layout->draft->nodes[index].outputs[0], twin;
	int status = add_twin(layout, y, &twin);
	if (status != 0)
		return status;
	gyr_draft_remove(layout->draft, index);
	layout->missing[y] = true;
	node->output_count = 1;
	node->outputs = &twin;
	return gyr_draft_add_node(layout->draft, node, NULL, layout->error);
}

static bool is_f32(const struct layout *layout, uint32_t value)
{
	return shape_of(layout, value)->dtype == GYR_DTYPE_F32;
}

static bool constant(const struct layout *layout, uint32_t value)
{
	return layout->draft->values[value].data != NULL;
}

/* VALUE may have a twin: it is no constant, and has channels and pixels. */
static bool may_turn(const struct layout *layout, uint32_t value)
{
	return !layout->draft->values[value].known && !layout->draft->values[gyr_draft_root(layout->draft, value)].known && shape_of(layout, value)->rank >= 3;
}

/* A Conv that the kernel for channels last computes: all constants finite, so that padding by zeros is the same as none. */
static bool is_conv(const struct layout *layout, const struct gyr_draft_node *node)
{
	size_t pixels;
	if (node->source->op != GYR_OP_CONV || node->dense != NULL || !is_f32(layout, node->inputs[0]) || !may_turn(layout, node->inputs[0]))
		return false;
	if (!gyr_shape_count(shape_of(layout, node->inputs[0]), 1, &pixels) || pixels == 0) /* nothing but padding */
		return false;
	for (uint32_t i = 1; i < node->input_count; i++) {
		size_t count;
		if (node->inputs[i] == GYR_DRAFT_NONE)
			continue;
		if (!constant(layout, node->inputs[i]) || !gyr_shape_count(shape_of(layout, node->inputs[i]), 1, &count) || count == 0)
			return false;
		const gyr_f32_u *data = layout->draft->values[node->inputs[i]].data;
		for (size_t k = 0; k < count; k++)
			if (!isfinite(data[k]))
				return false;
	}
	return true;
}

static int turn_conv(struct layout *layout, uint32_t index)
{
	const struct gyr_draft_node *node = &layout->draft->nodes[index];
	struct gyr_node source = *node->source;
	uint32_t inputs[3] = {0, node->inputs[1], node->input_count > 2 ? node->inputs[2] : GYR_DRAFT_NONE};
	int status = need_twin(layout, node->inputs[0], &inputs[0]);
	source.op = GYR_OP_CHANNELS_LAST_CONV;
	source.input_count = 3;
	source.inputs = inputs;
	return status == 0 ? replace(layout, index, &source) : status;
}

/* A pooling of a value that has its twin. With ceil_mode what counts as padding is left to the plain kernel. */
static bool is_pool(const struct layout *layout, const struct gyr_draft_node *node)
{
	enum gyr_op op = node->source->op;
	if (op != GYR_OP_MAX_POOL && op != GYR_OP_AVERAGE_POOL && op != GYR_OP_GLOBAL_AVERAGE_POOL && op != GYR_OP_GLOBAL_MAX_POOL)
		return false;
	if (node->output_count > 1 && node->outputs[1] != GYR_DRAFT_NONE)
		return false;
	if (gyr_node_integer(node->source, "ceil_mode", 0) != 0 && gyr_node_integer(node->source, "count_include_pad", 0) != 0)
		return false;
	return is_f32(layout, node->inputs[0]) && shape_of(layout, node->inputs[0])->rank <= 5 && find_twin(layout, node->inputs[0]) != GYR_DRAFT_NONE;
}

/* A copy of SOURCE's attributes with room for MORE behind them. */
static struct gyr_attribute *more_attributes(struct layout *layout, const struct gyr_node *source, uint32_t more)
{
	struct gyr_attribute *attributes = GYR_ARENA_NEW(&layout->draft->arena, struct gyr_attribute, source->attribute_count + more);
	if (attributes != NULL && source->attribute_count != 0)
		memcpy(attributes, source->attributes, source->attribute_count * sizeof *attributes);
	return attributes;
}

static int turn_pool(struct layout *layout, uint32_t index)
{
	const struct gyr_draft_node *node = &layout->draft->nodes[index];
	enum gyr_op op = node->source->op;
	struct gyr_node source = *node->source;
	struct gyr_attribute *attributes = more_attributes(layout, node->source, 2);
	uint32_t x = find_twin(layout, node->inputs[0]);
	if (attributes == NULL)
		return no_memory(layout->error);
	attributes[source.attribute_count++] = (struct gyr_attribute){
		.name = "pool", .type = GYR_ATTRIBUTE_INT, .integer = op == GYR_OP_MAX_POOL || op == GYR_OP_GLOBAL_MAX_POOL ? GYR_POOL_MAX : GYR_POOL_AVERAGE};
	attributes[source.attribute_count++] = (struct gyr_attribute){
		.name = "global", .type = GYR_ATTRIBUTE_INT, .integer = op == GYR_OP_GLOBAL_AVERAGE_POOL || op == GYR_OP_GLOBAL_MAX_POOL};
	source.op = GYR_OP_CHANNELS_LAST_POOL;
	source.attributes = attributes;
	source.input_count = 1;
	source.inputs = &x;
	return replace(layout, index, &source);
}

/* How an input stands beside the twins that an element-by-element node works on. */
enum role {
	ROLE_NONE,     /* it cannot */
	ROLE_ABSENT,   /* it is left out */
	ROLE_AS_IT_IS, /* one element */
	ROLE_CONSTANT, /* turned beforehand */
	ROLE_TWIN,     /* by its twin, which is there */
	ROLE_TURN,     /* by its twin, which is to be made */
};

static enum role role_of(const struct layout *layout, uint32_t input, uint32_t rank)
{
	size_t count;
	if (input == GYR_DRAFT_NONE)
		return ROLE_ABSENT;
	const struct gyr_shape *shape = shape_of(layout, input);
	if (shape->rank == rank && find_twin(layout, input) != GYR_DRAFT_NONE)
		return ROLE_TWIN;
	if (gyr_shape_count(shape, 1, &count) && count == 1 && shape->rank <= 1)
		return ROLE_AS_IT_IS;
	if (constant(layout, input))
		return ROLE_CONSTANT;
	return shape->rank == rank && may_turn(layout, input) ? ROLE_TURN : ROLE_NONE;
}

/* A node that computes element by element, or concatenates channels, and reads at least one twin that is there. */
static bool is_each(const struct layout *layout, const struct gyr_draft_node *node)
{
	enum gyr_op op = node->source->op;
	uint32_t y = node->outputs[0], rank = shape_of(layout, y)->rank;
	bool concat = op == GYR_OP_CONCAT, found = false;
	int64_t axis = gyr_node_integer(node->source, "axis", 0);
	if (node->dense != NULL || node->output_count != 1 || node->input_count > INPUTS_MAX || rank < 3 || rank > 5 || !may_turn(layout, y))
		return false;
	if (concat ? axis != 1 && axis + rank != 1 : op < GYR_OP_ABS || op > GYR_OP_XOR || op == GYR_OP_CAST_LIKE)
		return false;
	for (uint32_t i = 0; i < node->input_count; i++) {
		enum role role = role_of(layout, node->inputs[i], rank);
		if (role == ROLE_NONE || (concat && role == ROLE_AS_IT_IS))
			return false;
		found = found || role == ROLE_TWIN;
	}
	return found;
}

static int turn_each(struct layout *layout, uint32_t index)
{
	const struct gyr_draft_node *node = &layout->draft->nodes[index];
	struct gyr_node source = *node->source;
	uint32_t inputs[INPUTS_MAX], rank = shape_of(layout, node->outputs[0])->rank;
	int status = 0;
	source.input_count = node->input_count;
	for (uint32_t i = 0; i < source.input_count && status == 0; i++) {
		uint32_t input = layout->draft->nodes[index].inputs[i];
		enum role role = role_of(layout, input, rank);
		inputs[i] = input;
		if (role == ROLE_CONSTANT)
			status = turn_constant(layout, input, rank, &inputs[i]);
		else if (role == ROLE_TWIN || role == ROLE_TURN)
			status = need_twin(layout, input, &inputs[i]);
	}
	if (status == 0 && source.op == GYR_OP_CONCAT) {
		struct gyr_attribute *attributes = more_attributes(layout, &source, 0);
		if (attributes == NULL)
			return no_memory(layout->error);
		for (uint32_t i = 0; i < source.attribute_count; i++)
			if (strcmp(attributes[i].name, "axis") == 0)
				attributes[i].integer = rank - 1;
		source.attributes = attributes;
	}
	source.inputs = inputs;
	return status == 0 ? replace(layout, index, &source) : status;
}

/* Whether NODE exchanges the groups of channels and the channels of a group (it "shuffles" them): a Transpose of a view of a value that has its twin. */
static bool is_shuffle(const struct layout *layout, const struct gyr_draft_node *node)
{
	const struct gyr_attribute *perm = gyr_node_attribute(node->source, "perm");
	if (node->source->op != GYR_OP_TRANSPOSE || perm == NULL || perm->integers.count < 5 || perm->integers.count > 6)
		return false;
	for (uint32_t i = 0; i < perm->integers.count; i++)
		if (perm->integers.items[i] != (i == 1 ? 2 : i == 2 ? 1 : i))
			return false;
	uint32_t root = gyr_draft_root(layout->draft, node->inputs[0]);
	if (find_twin(layout, root) == GYR_DRAFT_NONE || shape_of(layout, root)->rank + 1 != perm->integers.count)
		return false;
	for (uint32_t k = 0; k < layout->draft->special_count; k++) {
		const struct gyr_shape *whole = gyr_draft_shape(layout->draft, root, k), *parts = gyr_draft_shape(layout->draft, node->inputs[0], k);
		if (parts->dims[0] != whole->dims[0] || parts->dims[1] * parts->dims[2] != whole->dims[1] ||
		    memcmp(parts->dims + 3, whole->dims + 2, (whole->rank - 2) * sizeof whole->dims[0]) != 0)
			return false;
	}
	return true;
}

/* The shape of a twin with its channels in *CONTEXT groups. */
static struct gyr_shape grouped(const struct gyr_shape *shape, const void *context)
{
	struct gyr_shape parts = *shape;
	parts.dims[parts.rank] = parts.dims[parts.rank - 1] / *(const int64_t *)context;
	parts.dims[parts.rank - 1] = *(const int64_t *)context;
	parts.rank++;
	return parts;
}

static int turn_shuffle(struct layout *layout, uint32_t index)
{
	const struct gyr_draft_node *node = &layout->draft->nodes[index];
	const int64_t groups[2] = {shape_of(layout, node->inputs[0])->dims[1], shape_of(layout, node->inputs[0])->dims[2]};
	uint32_t x = find_twin(layout, gyr_draft_root(layout->draft, node->inputs[0])), y = node->outputs[0], from, to, twin;
	uint32_t rank = shape_of(layout, x)->rank;
	int64_t *perm = GYR_ARENA_NEW(&layout->draft->arena, int64_t, rank + 1);
	if (perm == NULL)
		return no_memory(layout->error);
	for (uint32_t i = 0; i <= rank; i++)
		perm[i] = i + 1 == rank ? rank : i == rank ? rank - 1 : i;
	int status = gyr_draft_add_value(layout->draft, x, grouped, &groups[0], &from, layout->error);
	if (status == 0)
		status = gyr_draft_add_value(layout->draft, x, grouped, &groups[1], &to, layout->error);
	if (status == 0)
		status = gyr_draft_add_value(layout->draft, x, NULL, NULL, &twin, layout->error);
	if (status != 0)
		return status;
	const struct gyr_attribute attribute = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {rank + 1, perm}};
	const struct gyr_node transpose = {.op = GYR_OP_TRANSPOSE,
					   .name = node->source->name,
					   .input_count = 1,
					   .output_count = 1,
					   .attribute_count = 1,
					   .inputs = &from,
					   .outputs = &to,
					   .attributes = &attribute};
	gyr_draft_make_view(layout->draft, from, x);
	gyr_draft_remove(layout->draft, index);
	status = gyr_draft_add_node(layout->draft, &transpose, NULL, layout->error);
	gyr_draft_make_view(layout->draft, twin, to);
	layout->twins[y] = twin;
	layout->missing[y] = true;
	return status;
}

static int turn_node(struct layout *layout, uint32_t index)
{
	const struct gyr_draft_node *node = &layout->draft->nodes[index];
	int status = 0;
	if (node->dead)
		return 0;
	if (is_conv(layout, node))
		return turn_conv(layout, index);
	if (is_pool(layout, node))
		return turn_pool(layout, index);
	if (is_each(layout, node))
		return turn_each(layout, index);
	if (is_shuffle(layout, node))
		return turn_shuffle(layout, index);
	for (uint32_t i = 0; i < node->input_count && status == 0; i++)
		status = need_plain(layout, layout->draft->nodes[index].inputs[i]);
	return status;
}

int gyr_fuse_layout(struct gyr_draft *draft, struct gyr_error *error)
{
	struct layout layout = {.draft = draft, .value_count = draft->value_count, .error = error};
	layout.twins = malloc((layout.value_count + (size_t)1) * sizeof *layout.twins);
	layout.missing = calloc(layout.value_count + (size_t)1, sizeof *layout.missing);
	int status = layout.twins == NULL || layout.missing == NULL ? no_memory(error) : 0;
	for (uint32_t v = 0; v < layout.value_count && status == 0; v++)
		layout.twins[v] = GYR_DRAFT_NONE;
	for (uint32_t n = 0, count = draft->node_count; n < count && status == 0; n++)
		status = turn_node(&layout, n);
	for (uint32_t i = 0; i < draft->graph->output_count && status == 0; i++)
		status = need_plain(&layout, draft->graph->outputs[i]);
	free(layout.twins);
	free(layout.missing);
	return status;
}
