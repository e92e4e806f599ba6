#include "models.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/model/bundle.h"

#define SLOW_WIDTH 4000

static struct gyr_shape shape_of(enum gyr_dtype dtype, uint32_t rank, int64_t first, int64_t second)
{
	return (struct gyr_shape){.dtype = dtype, .rank = rank, .dims = {first, second}};
}

static uint32_t value(struct gyr_graph *graph, const char *name, const struct gyr_shape *shape, const void *data)
{
	uint32_t index;
	assert_int_equal(gyr_graph_add_value(graph, name, shape, data, true, &index, NULL), 0);
	return index;
}

static uint32_t filled(struct gyr_graph *graph, const char *name, int64_t rows, int64_t columns, float with)
{
	struct gyr_shape shape = shape_of(GYR_DTYPE_F32, 2, rows, columns);
	size_t count = (size_t)(rows * columns);
	float *data = malloc(count * sizeof *data);
	assert_non_null(data);
	for (size_t i = 0; i < count; i++)
		data[i] = with;
	uint32_t index = value(graph, name, &shape, data);
	free(data);
	return index;
}

static uint32_t apply(struct gyr_graph *graph, enum gyr_op op, const char *result, uint32_t a, uint32_t b, const struct gyr_attribute *attribute)
{
	uint32_t output = value(graph, result, NULL, NULL);
	const uint32_t inputs[] = {a, b};
	const struct gyr_node node = {.op = op,
				      .name = result,
				      .input_count = b == GYR_VALUE_NONE ? 1 : 2,
				      .output_count = 1,
				      .attribute_count = attribute != NULL,
				      .inputs = inputs,
				      .outputs = &output,
				      .attributes = attribute};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return output;
}

static uint32_t input(struct gyr_graph *graph, const char *name, enum gyr_dtype dtype, int64_t first, int64_t second)
{
	struct gyr_shape shape = shape_of(dtype, 2, first, second);
	uint32_t index = value(graph, name, &shape, NULL);
	assert_int_equal(gyr_graph_add_input(graph, index, NULL), 0);
	return index;
}

void *test_model_bundle(enum test_model model, float factor, size_t *size)
{
	const struct gyr_attribute to = {.name = "to", .type = GYR_ATTRIBUTE_INT, .integer = GYR_DTYPE_F32};
	const struct gyr_shape scalar = shape_of(GYR_DTYPE_F32, 0, 0, 0);
	struct gyr_graph *graph = gyr_graph_create("test", 13);
	assert_non_null(graph);
	uint32_t by = value(graph, "by", &scalar, &factor), at = 0;
	switch (model) {
	case TEST_SCALE: at = apply(graph, GYR_OP_MUL, "y", input(graph, "x", GYR_DTYPE_F32, GYR_DIM_BATCH, 4), by, NULL); break;
	case TEST_PIXEL:
		at = apply(graph, GYR_OP_CAST, "cast", input(graph, "x", GYR_DTYPE_U8, GYR_DIM_BATCH, 4), GYR_VALUE_NONE, &to);
		at = apply(graph, GYR_OP_MUL, "y", at, by, NULL);
		break;
	case TEST_PAIR:
		at = apply(graph, GYR_OP_MUL, "scaled", input(graph, "a", GYR_DTYPE_F32, 2, 3), by, NULL);
		at = apply(graph, GYR_OP_ADD, "y", at, input(graph, "b", GYR_DTYPE_F32, 2, 3), NULL);
		break;
	case TEST_SLOW:
		at = apply(graph, GYR_OP_MATMUL, "hidden", input(graph, "x", GYR_DTYPE_F32, GYR_DIM_BATCH, 300), filled(graph, "w", 300, SLOW_WIDTH, factor),
			   NULL);
		at = apply(graph, GYR_OP_MATMUL, "narrow", at, filled(graph, "v", SLOW_WIDTH, 300, factor), NULL);
		at = apply(graph, GYR_OP_MATMUL, "y", at, filled(graph, "u", 300, 1, factor), NULL);
		break;
	case TEST_NARROW:
		at = apply(graph, GYR_OP_MATMUL, "y", input(graph, "x", GYR_DTYPE_F32, GYR_DIM_BATCH, 4000), filled(graph, "w", 4000, 1, factor), NULL);
		break;
	case TEST_WIDE:
		at = apply(graph, GYR_OP_MATMUL, "y", input(graph, "x", GYR_DTYPE_F32, GYR_DIM_BATCH, 1), filled(graph, "w", 1, 4000, factor), NULL);
		break;
	}
	struct gyr_error error;
	assert_int_equal(gyr_graph_add_output(graph, at, NULL), 0);
	if (gyr_graph_finish(graph, &error) != 0)
		fail_msg("%s", error.text);
	const struct gyr_bundle_info info = {0};
	void *bytes;
	if (gyr_bundle_build(graph, &info, &bytes, size, &error) != 0)
		fail_msg("%s", error.text);
	gyr_graph_destroy(graph);
	return bytes;
}

int test_memfd(const void *bytes, size_t size, int sealed)
{
	int descriptor = memfd_create("bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, bytes, size), size);
	if (sealed)
		assert_int_equal(fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
	return descriptor;
}
