/*
 * Bodies: what a graph refuses of them, their bounds, and their way through a bundle.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/flow.h"
#include "sample.h"

#define NONE GYR_VALUE_NONE

static struct gyr_graph *new_body(struct gyr_graph *graph, const char *name)
{
	struct gyr_graph *body;
	assert_int_equal(gyr_graph_add_body(graph, name, &body, NULL), 0);
	return body;
}

/* A body that gives back what it captures as "x". */
static struct gyr_graph *plain_body(struct gyr_graph *graph)
{
	struct gyr_graph *body = new_body(graph, "plain");
	uint32_t x = sample_value(body, "x", NULL);
	assert_int_equal(gyr_graph_add_capture(body, x, NULL), 0);
	assert_int_equal(gyr_graph_add_output(body, x, NULL), 0);
	assert_int_equal(gyr_graph_finish(body, NULL), 0);
	return body;
}

/* A body that gives its own constant, twice. */
static struct gyr_graph *constant_body(struct gyr_graph *graph, const char *shape, const void *data)
{
	struct gyr_graph *body = new_body(graph, "constant");
	uint32_t value = sample_constant(body, "k", shape, data);
	assert_int_equal(gyr_graph_add_output(body, value, NULL), 0);
	assert_int_equal(gyr_graph_add_output(body, value, NULL), 0);
	assert_int_equal(gyr_graph_finish(body, NULL), 0);
	return body;
}

/* Adds an If on INPUTS that runs the bodies; its status. */
static int add_if(struct gyr_graph *graph, const uint32_t *inputs, uint32_t count, struct gyr_graph *then_body, struct gyr_graph *else_body, uint32_t output,
		  struct gyr_error *error)
{
	const struct gyr_attribute attributes[2] = {{.name = "then_branch", .type = GYR_ATTRIBUTE_GRAPH, .graph = then_body},
						    {.name = "else_branch", .type = GYR_ATTRIBUTE_GRAPH, .graph = else_body}};
	const struct gyr_node node = {
		.op = GYR_OP_IF, .input_count = count, .output_count = 1, .attribute_count = 2, .inputs = inputs, .outputs = &output, .attributes = attributes};
	return gyr_graph_add_node(graph, &node, error);
}

/* c and x in, y = If (c) of the bodies out, x captured by the first. */
static struct gyr_graph *new_outer(uint32_t inputs[2], uint32_t *output)
{
	struct gyr_graph *graph = gyr_graph_create("outer", 16);
	inputs[0] = sample_value(graph, "c", "bool[1]");
	inputs[1] = sample_value(graph, "x", "f32[2]");
	*output = sample_value(graph, "y", "f32[2]");
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(gyr_graph_add_input(graph, inputs[i], NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, *output, NULL), 0);
	return graph;
}

static void through_a_bundle(void **state)
{
	static const float numbers[2] = {1.5f, -2};
	const struct gyr_bundle_info info = {0};
	uint32_t inputs[2], output;
	struct gyr_graph *graph = new_outer(inputs, &output);
	struct gyr_bundle *bundle;
	struct gyr_flow flow;
	void *bytes;
	size_t size;
	assert_int_equal(add_if(graph, inputs, 2, plain_body(graph), constant_body(graph, "f32[2]", numbers), output, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	assert_false(graph->settled); /* what an If gives, a plan finds */
	assert_int_equal(graph->nodes[0].capture_count, 1);
	assert_int_equal(graph->all_value_count, 5);
	assert_int_equal(graph->all_node_count, 1);
	assert_int_equal(gyr_bundle_build(graph, &info, &bytes, &size, NULL), 0);
	gyr_graph_destroy(graph);

	assert_int_equal(gyr_bundle_open(bytes, size, &bundle, NULL), 0);
	const struct gyr_node *node = &bundle->graph->nodes[0];
	gyr_flow_read(node, &flow);
	assert_int_equal(flow.body_count, 2);
	assert_int_equal(flow.captures[0], 1);
	assert_int_equal(node->capture_count, 1);
	assert_int_equal(flow.bodies[0]->capture_count, 1);
	assert_string_equal(flow.bodies[0]->name, "plain");
	assert_string_equal(flow.bodies[0]->values[flow.bodies[0]->inputs[0]].name, "x");
	assert_int_equal(flow.bodies[1]->output_count, 2);
	assert_memory_equal(flow.bodies[1]->values[flow.bodies[1]->outputs[1]].data, numbers, sizeof numbers);
	gyr_bundle_close(bundle);
	free(bytes);
}

static void wrong_bodies(void **state)
{
	static const float numbers[2];
	struct gyr_error error;
	uint32_t inputs[2], output, others[2], other_output;
	struct gyr_graph *graph = new_outer(inputs, &output), *other = new_outer(others, &other_output);
	struct gyr_graph *body = plain_body(graph), *open = new_body(graph, "open");
	assert_int_equal(add_if(graph, inputs, 2, body, body, output, &error), -EINVAL);
	assert_non_null(strstr(error.text, "attribute 'else_branch' is the body of another"));
	assert_int_equal(add_if(graph, inputs, 2, body, open, output, &error), -EINVAL);
	assert_non_null(strstr(error.text, "not a finished body of this graph"));
	assert_int_equal(add_if(graph, inputs, 2, body, plain_body(other), output, &error), -EINVAL);
	assert_non_null(strstr(error.text, "not a finished body of this graph"));
	assert_int_equal(add_if(graph, inputs, 1, body, plain_body(graph), output, &error), -EINVAL);
	assert_non_null(strstr(error.text, "1 inputs, of which its bodies read 2"));
	assert_int_equal(add_if(graph, inputs, 2, constant_body(graph, "f32[2]", numbers), constant_body(graph, "f32[2]", numbers), output, &error), -EINVAL);
	assert_non_null(strstr(error.text, "2 inputs (1 to 1)"));
	const uint32_t left_out[2] = {inputs[0], NONE};
	assert_int_equal(add_if(graph, left_out, 2, body, constant_body(graph, "f32[2]", numbers), output, &error), -EINVAL);
	assert_non_null(strstr(error.text, "input 1 is left out"));
	assert_int_equal(add_if(graph, inputs, 2, body, constant_body(graph, "f32[2]", numbers), output, &error), 0);
	assert_int_equal(add_if(graph, inputs, 2, body, constant_body(graph, "f32[2]", numbers), output, &error), -EINVAL); /* another has it */

	uint32_t captured = sample_value(open, "x", NULL), own = sample_value(open, "z", NULL);
	assert_int_equal(gyr_graph_add_capture(open, captured, NULL), 0);
	assert_int_equal(gyr_graph_add_capture(open, captured, &error), -EINVAL);
	assert_int_equal(gyr_graph_add_input(open, own, &error), -EINVAL);
	assert_string_equal(error.text, "an input behind captures");
	assert_int_equal(gyr_graph_finish(open, &error), -EINVAL);
	assert_string_equal(error.text, "the graph has no output");
	gyr_graph_destroy(other);
	gyr_graph_destroy(graph);
}

static void bounds(void **state)
{
	struct gyr_error error;
	struct gyr_graph *graph = gyr_graph_create("deep", 16), *body = graph, *refused;
	for (uint32_t depth = 1; depth <= GYR_GRAPH_DEPTH_MAX; depth++) {
		body = new_body(body, "body");
		assert_int_equal(body->depth, depth);
	}
	assert_int_equal(gyr_graph_add_body(body, "too deep", &refused, &error), -E2BIG);
	assert_string_equal(error.text, "bodies are nested more than 8 deep");
	/* The values of all bodies count together. */
	uint32_t index;
	char name[16];
	for (uint32_t i = 0; i < GYR_GRAPH_VALUES_MAX; i++) {
		snprintf(name, sizeof name, "v%u", (unsigned)i);
		assert_int_equal(gyr_graph_add_value(i % 2 == 0 ? graph : body, name, NULL, NULL, false, &index, NULL), 0);
	}
	assert_int_equal(gyr_graph_add_value(body, "one more", NULL, NULL, false, &index, &error), -E2BIG);
	assert_int_equal(gyr_graph_add_value(graph, "one more", NULL, NULL, false, &index, &error), -E2BIG);
	gyr_graph_destroy(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(through_a_bundle), cmocka_unit_test(wrong_bodies), cmocka_unit_test(bounds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
