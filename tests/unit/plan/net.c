#include "net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

float net_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (float)(int32_t)(*seed >> 32) / 2147483648.0f;
}

struct gyr_shape net_shape(const char *text)
{
	struct gyr_shape shape = {0};
	char type[8] = {0};
	const char *bracket = strchr(text, '[');
	assert_non_null(bracket);
	memcpy(type, text, (size_t)(bracket - text));
	shape.dtype = gyr_dtype_from_name(type);
	for (const char *at = bracket + 1; *at != ']';) {
		char *end = (char *)(uintptr_t)at + 1;
		shape.dims[shape.rank++] = *at == 'N' ? GYR_DIM_BATCH : strtoll(at, &end, 10);
		at = *end == ',' ? end + 1 : end;
	}
	return shape;
}

static uint32_t add_value(struct gyr_graph *graph, const char *shape, const void *data)
{
	char name[32];
	uint32_t index;
	struct gyr_error error;
	struct gyr_shape parsed;
	if (shape != NULL)
		parsed = net_shape(shape);
	snprintf(name, sizeof name, "value%u", graph->value_count);
	if (gyr_graph_add_value(graph, name, shape != NULL ? &parsed : NULL, data, true, &index, &error) != 0)
		fail_msg("%s", error.text);
	return index;
}

uint32_t net_input(struct gyr_graph *graph, const char *shape)
{
	uint32_t index = add_value(graph, shape, NULL);
	assert_int_equal(gyr_graph_add_input(graph, index, NULL), 0);
	return index;
}

uint32_t net_constant(struct gyr_graph *graph, const char *shape, const void *data)
{
	return add_value(graph, shape, data);
}

uint32_t net_weights(struct gyr_graph *graph, const char *shape, float scale, uint64_t *seed)
{
	struct gyr_shape parsed = net_shape(shape);
	size_t count;
	assert_true(gyr_shape_count(&parsed, 1, &count));
	float *data = malloc((count + 1) * sizeof *data);
	assert_non_null(data);
	for (size_t i = 0; i < count; i++)
		data[i] = net_random(seed) * scale;
	uint32_t index = add_value(graph, shape, data);
	free(data);
	return index;
}

uint32_t net_node(struct gyr_graph *graph, enum gyr_op op, uint32_t a, uint32_t b, uint32_t c, const char *attribute, int64_t integer)
{
	uint32_t inputs[3] = {a, b, c}, output = add_value(graph, NULL, NULL);
	struct gyr_attribute attributes[1] = {{.name = attribute, .type = GYR_ATTRIBUTE_INT, .integer = integer}};
	struct gyr_node node = {.op = op, .name = "node", .inputs = inputs, .outputs = &output, .output_count = 1, .attributes = attributes};
	struct gyr_error error;
	while (node.input_count < 3 && inputs[node.input_count] != GYR_VALUE_NONE)
		node.input_count++;
	node.attribute_count = attribute != NULL;
	if (gyr_graph_add_node(graph, &node, &error) != 0)
		fail_msg("%s", error.text);
	return output;
}

uint32_t net_op1(struct gyr_graph *graph, enum gyr_op op, uint32_t a)
{
	return net_node(graph, op, a, GYR_VALUE_NONE, GYR_VALUE_NONE, NULL, 0);
}

uint32_t net_op2(struct gyr_graph *graph, enum gyr_op op, uint32_t a, uint32_t b)
{
	return net_node(graph, op, a, b, GYR_VALUE_NONE, NULL, 0);
}

void net_finish(struct gyr_graph *graph, uint32_t output)
{
	struct gyr_error error;
	assert_int_equal(gyr_graph_add_output(graph, output, NULL), 0);
	if (gyr_graph_finish(graph, &error) != 0)
		fail_msg("%s", error.text);
}

struct gyr_plan *net_plan(const struct gyr_graph *graph, uint32_t batch_max, bool reference)
{
	struct gyr_plan *plan;
	struct gyr_error error;
	const struct gyr_plan_options options = {.batch_max = batch_max, .reference = reference};
	if (gyr_plan_create(graph, &options, &plan, &error) != 0)
		fail_msg("%s", error.text);
	return plan;
}

float *net_run(const struct gyr_plan *plan, uint32_t batch, uint64_t seed, float scale, size_t unaligned, size_t *count)
{
	const void *inputs[8];
	void *owned[8], *outputs[1];
	uint32_t rows = gyr_plan_bucket(plan, batch), input_count = gyr_plan_input_count(plan);
	assert_true(input_count <= 8);
	for (uint32_t i = 0; i < input_count; i++) {
		const struct gyr_shape *shape = gyr_plan_input_shape(plan, i);
		size_t bytes, elements;
		assert_true(gyr_shape_bytes(shape, rows, &bytes));
		assert_true(gyr_shape_count(shape, rows, &elements));
		owned[i] = malloc(bytes + unaligned + 1);
		char *at = (char *)owned[i] + unaligned;
		if (shape->dtype == GYR_DTYPE_F32) {
			for (size_t k = 0; k < elements; k++) {
				float value = net_random(&seed) * scale;
				memcpy(at + k * sizeof value, &value, sizeof value);
			}
		} else {
			for (size_t k = 0; k < bytes; k++)
				at[k] = (char)(net_random(&seed) * 128);
		}
		inputs[i] = at;
	}
	assert_int_equal(gyr_plan_output_count(plan), 1);
	const struct gyr_shape *shape = gyr_plan_output_shape(plan, 0);
	size_t bytes;
	assert_int_equal(shape->dtype, GYR_DTYPE_F32);
	assert_true(gyr_shape_bytes(shape, rows, &bytes));
	assert_true(gyr_shape_count(shape, batch, count));
	char *output = malloc(bytes + unaligned + 1);
	outputs[0] = output + unaligned;
	size_t scratch_bytes = (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64;
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, scratch_bytes);
	memset(scratch, 0xff, scratch_bytes); /* NaN: nothing may be read before it is written */
	memset(output, 0xff, bytes + unaligned);
	gyr_plan_run(plan, batch, inputs, outputs, scratch);
	memmove(output, outputs[0], bytes);
	for (uint32_t i = 0; i < input_count; i++)
		free(owned[i]);
	free(scratch);
	return (float *)(void *)output;
}

void net_compare(const struct gyr_graph *graph, float scale, float tolerance)
{
	struct gyr_plan *plan = net_plan(graph, 64, false), *reference = net_plan(graph, 64, true);
	assert_int_equal(gyr_plan_batch_max(plan), gyr_plan_batch_max(reference));
	for (uint32_t batch = 1; batch <= gyr_plan_batch_max(plan); batch += batch < 9 ? 1 : batch == 64 ? 1 : 11) {
		size_t got_count, expected_count;
		float *got = net_run(plan, batch, batch, scale, batch % 2, &got_count);
		float *expected = net_run(reference, batch, batch, scale, 0, &expected_count);
		assert_int_equal(got_count, expected_count);
		for (size_t i = 0; i < got_count; i++)
			if (!(fabsf(got[i] - expected[i]) <= tolerance * (1 + fabsf(expected[i]))))
				fail_msg("batch %u, element %zu: got %.9g, expected %.9g", batch, i, (double)got[i], (double)expected[i]);
		free(got);
		free(expected);
	}
	gyr_plan_destroy(plan);
	gyr_plan_destroy(reference);
}
