/*
 * Products whose operands are both known only when they run, against the twin: every layout, odd sizes, tails, parts, unaligned arrays; and graphs of them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/product.h"
#include "engine/kernel/turn.h"
#include "net.h"

static size_t random_size(size_t most, uint64_t *seed)
{
	return 1 + (size_t)(fabsf(net_random(seed)) * (float)most) % most;
}

/* COUNT floats OFF bytes behind an aligned address; *OWNED is what to free. */
static char *random_floats(size_t count, size_t off, uint64_t *seed, char **owned)
{
	*owned = malloc(count * sizeof(float) + off + 1);
	assert_non_null(*owned);
	for (size_t i = 0; i < count; i++) {
		float value = net_random(seed);
		memcpy(*owned + off + i * sizeof value, &value, sizeof value);
	}
	return *owned + off;
}

/* How a matrix lies: its rows or its columns side by side, with a gap or not, or spread, or one row again and again. */
static size_t lay(size_t rows, size_t columns, int how, size_t *row, size_t *column)
{
	size_t gap = how >= 2 ? 3 : 0;
	*row = how % 2 == 0 ? columns + gap : 1;
	*column = how % 2 == 0 ? 1 : rows + gap;
	if (how == 4)
		*column *= 2, *row = *row * 2 + 1;
	if (how == 5)
		*row = 0, *column = 1;
	return rows * *row + columns * *column + 1;
}

static void check(struct gyr_gemm *gemm, int a_how, int b_how, bool with_c, uint64_t *seed)
{
	size_t a_count = lay(gemm->m, gemm->k, a_how, &gemm->a_row, &gemm->a_column), b_count = lay(gemm->k, gemm->n, b_how, &gemm->b_row, &gemm->b_column);
	size_t count = gemm->m * gemm->n, off = (size_t)(a_how % 4);
	char *owned[3];
	for (uint32_t i = gemm->leading; i-- > 0;) {
		bool a_repeats = net_random(seed) > 0.5f, b_repeats = net_random(seed) > 0;
		gemm->a_strides[i] = a_repeats ? 0 : a_count;
		gemm->b_strides[i] = b_repeats ? 0 : b_count;
		a_count *= a_repeats ? 1 : gemm->dims[i];
		b_count *= b_repeats ? 1 : gemm->dims[i];
		count *= gemm->dims[i];
	}
	gemm->c_column = with_c ? 1 : 0;
	gemm->c_row = with_c && a_how % 2 != 0 ? gemm->n : 0;
	char *a = random_floats(a_count, off, seed, &owned[0]), *b = random_floats(b_count, 3 - off, seed, &owned[1]);
	char *c = random_floats(gemm->m * gemm->n, 1, seed, &owned[2]);
	struct gyr_arena arena;
	struct gyr_packs *packs = gyr_packs_create();
	const struct gyr_product *product;
	struct gyr_error error;
	gyr_arena_init(&arena, 0);
	if (gyr_product_prepare(gemm, &arena, packs, &product, &error) != 0)
		fail_msg("%s", error.text);
	enum { GUARD = 64 };
	char *y = malloc(count * sizeof(float) + GUARD + 2);
	float *expected = malloc(count * sizeof *expected);
	size_t scratch_bytes = (gyr_product_scratch_bytes(product) + 64) / 64 * 64;
	void *scratch = aligned_alloc(64, scratch_bytes);
	memset(scratch, 0xff, scratch_bytes); /* NaN: nothing may be read before it is written */
	memset(y, 0x5a, count * sizeof(float) + GUARD + 2);
	gyr_product_run(product, a, b, with_c ? c : NULL, y + 2, scratch);
	gyr_ref_gemm(gemm, a, b, with_c ? c : NULL, expected);
	for (size_t i = 0; i < count; i++) {
		float got;
		memcpy(&got, y + 2 + i * sizeof got, sizeof got);
		if (!(fabsf(got - expected[i]) <= 2e-7f * (float)(gemm->k + 4)))
			fail_msg("%zux%zux%zu, layouts %d and %d, element %zu: got %.9g, expected %.9g", gemm->m, gemm->n, gemm->k, a_how, b_how, i,
				 (double)got, (double)expected[i]);
	}
	for (size_t i = 0; i < GUARD; i++)
		assert_int_equal(y[2 + count * sizeof(float) + i], 0x5a);
	for (int i = 0; i < 3; i++)
		free(owned[i]);
	free(y);
	free(expected);
	free(scratch);
	gyr_packs_destroy(packs);
	gyr_arena_fini(&arena);
}

static void test_product(void **state)
{
	uint64_t seed = 11;
	for (int round = 0; round < 1500; round++) {
		size_t most = round % 10 == 0 ? 150 : round % 3 == 0 ? 5 : 40;
		struct gyr_gemm gemm = {.m = random_size(most, &seed), .n = random_size(most, &seed), .k = random_size(most, &seed), .alpha = 1};
		bool with_c = round % 4 == 0;
		if (with_c) {
			gemm.alpha = 0.75f;
			gemm.beta = -0.5f;
		} else {
			gemm.leading = (uint32_t)round % 3;
		}
		if (round % 7 == 0)
			*(round % 2 ? &gemm.n : &gemm.m) = 1;
		for (uint32_t i = 0; i < gemm.leading; i++)
			gemm.dims[i] = random_size(4, &seed);
		check(&gemm, round % 6, round / 6 % 6, with_c, &seed);
	}
	/* Parts along k, whole and with a rest; tiles and blocks that just fit. */
	check(&(struct gyr_gemm){.m = 3, .n = 5, .k = 1024, .alpha = 1}, 0, 1, false, &seed);
	check(&(struct gyr_gemm){.m = 65, .n = 130, .k = 2049, .alpha = 1}, 1, 1, false, &seed);
	check(&(struct gyr_gemm){.m = 64, .n = 64, .k = 2048, .alpha = 1}, 0, 0, false, &seed);
	check(&(struct gyr_gemm){.m = 129, .n = 1, .k = 3000, .alpha = 1}, 0, 0, false, &seed);
}

static void test_turn(void **state)
{
	uint64_t seed = 12;
	for (int round = 0; round < 300; round++) {
		size_t rows = random_size(40, &seed), columns = random_size(40, &seed), from_row = columns + (size_t)round % 3,
		       to_row = rows + (size_t)round % 2;
		char *owned[2], *from = random_floats(rows * from_row, (size_t)round % 4, &seed, &owned[0]);
		char *to = random_floats(columns * to_row, (size_t)round % 3, &seed, &owned[1]), *before = malloc(columns * to_row * sizeof(float));
		memcpy(before, to, columns * to_row * sizeof(float));
		gyr_kernel_turn(rows, columns, 2, from, from_row, to, to_row);
		for (size_t c = 0; c < columns; c++) {
			for (size_t r = 0; r < to_row; r++) {
				float got, expected;
				memcpy(&got, to + (c * to_row + r) * sizeof got, sizeof got);
				memcpy(&expected, r < rows ? from + (r * from_row + c) * sizeof got : before + (c * to_row + r) * sizeof got, sizeof got);
				assert_true(got == expected * (r < rows ? 2 : 1));
			}
		}
		free(owned[0]);
		free(owned[1]);
		free(before);
	}
}

/* Graphs: what broadcasts, vectors, transposed operands, and empty sums. */
static void test_graphs(void **state)
{
	static const char *const shapes[][2] = {
		{"f32[N,3,17,20]", "f32[N,3,20,33]"}, {"f32[N,1,17,20]", "f32[N,3,20,33]"}, {"f32[N,3,70,9]", "f32[N,1,9,1]"},
		{"f32[N,4,1]", "f32[N,1,6]"},         {"f32[N,2,0]", "f32[N,0,3]"},         {"f32[N,5,16]", "f32[N,16,16]"},
	};
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		struct gyr_graph *graph = gyr_graph_create("graph", 17);
		uint32_t a = net_input(graph, shapes[i][0]), b = net_input(graph, shapes[i][1]);
		net_finish(graph, net_op2(graph, GYR_OP_MATMUL, a, b));
		struct gyr_plan *plan = net_plan(graph, 64, false);
		assert_int_equal(gyr_plan_batch_max(plan), 64); /* the leading dimension keeps rows apart */
		gyr_plan_destroy(plan);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
	static const char *const pairs[][2] = {{"f32[7,20]", "f32[20]"}, {"f32[20]", "f32[20,7]"}, {"f32[2,1,7,20]", "f32[3,20,8]"}, {"f32[20]", "f32[20]"}};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct gyr_graph *graph = gyr_graph_create("graph", 17);
		uint32_t a = net_input(graph, pairs[i][0]), b = net_input(graph, pairs[i][1]);
		net_finish(graph, net_op2(graph, GYR_OP_MATMUL, a, b));
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
	for (int which = 0; which < 4; which++) {
		struct gyr_graph *graph = gyr_graph_create("graph", 17);
		uint32_t a = net_input(graph, which < 2 ? "f32[40,70]" : "f32[70,40]"), b = net_input(graph, which % 2 != 0 ? "f32[70,33]" : "f32[33,70]");
		uint32_t c = net_input(graph, which == 0 ? "f32[]" : which == 1 ? "f32[33]" : which == 2 ? "f32[40,1]" : "f32[40,33]");
		uint32_t inputs[3] = {a, b, c}, output;
		struct gyr_attribute attributes[4] = {{.name = "transA", .type = GYR_ATTRIBUTE_INT, .integer = which >= 2},
						      {.name = "transB", .type = GYR_ATTRIBUTE_INT, .integer = which % 2 == 0},
						      {.name = "alpha", .type = GYR_ATTRIBUTE_FLOAT, .number = 0.5f},
						      {.name = "beta", .type = GYR_ATTRIBUTE_FLOAT, .number = -2}};
		assert_int_equal(gyr_graph_add_value(graph, "y", NULL, NULL, false, &output, NULL), 0);
		struct gyr_node node = {.op = GYR_OP_GEMM,
					.name = "gemm",
					.inputs = inputs,
					.input_count = 3,
					.outputs = &output,
					.output_count = 1,
					.attributes = attributes,
					.attribute_count = 4};
		assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
		net_finish(graph, output);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_product), cmocka_unit_test(test_turn), cmocka_unit_test(test_graphs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
