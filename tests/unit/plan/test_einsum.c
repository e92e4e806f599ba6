/*
 * Einstein sums: the kernel against its twin over equations and shapes, the twin against sums written out, what is refused, and batches.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

/* A graph of one sum over inputs of SHAPES (NULL behind the last); its status. */
static int make(const char *equation, const char *const *shapes, struct gyr_graph **graph, struct gyr_error *error)
{
	const struct gyr_attribute attribute = {.name = "equation", .type = GYR_ATTRIBUTE_STRING, .string = equation};
	uint32_t inputs[20], output, count = 0;
	*graph = gyr_graph_create("sum", 17);
	for (; shapes[count] != NULL; count++)
		inputs[count] = net_input(*graph, shapes[count]);
	assert_int_equal(gyr_graph_add_value(*graph, "y", NULL, NULL, false, &output, NULL), 0);
	const struct gyr_node node = {.op = GYR_OP_EINSUM,
				      .name = "sum",
				      .inputs = inputs,
				      .input_count = count,
				      .outputs = &output,
				      .output_count = 1,
				      .attributes = &attribute,
				      .attribute_count = 1};
	assert_int_equal(gyr_graph_add_node(*graph, &node, NULL), 0);
	assert_int_equal(gyr_graph_add_output(*graph, output, NULL), 0);
	return gyr_graph_finish(*graph, error);
}

#define SHAPES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_against_twin(void **state)
{
	static const struct {
		const char *equation;
		const char *shapes[4];
	} cases[] = {
		{"ij,jk->ik", {"f32[17,30]", "f32[30,9]"}},
		{"ij,jk", {"f32[17,30]", "f32[30,9]"}},
		{" i j , k j -> k i ", {"f32[17,30]", "f32[9,30]"}},
		{"ji,jk->ik", {"f32[30,17]", "f32[30,9]"}},
		{"bij,bjk->bik", {"f32[3,17,30]", "f32[3,30,9]"}},
		{"bhqd,bhkd->bhqk", {"f32[2,3,20,8]", "f32[2,3,25,8]"}},
		{"bqhd,bkhd->bhqk", {"f32[2,20,3,8]", "f32[2,25,3,8]"}},
		{"bhqk,bkhd->bqhd", {"f32[2,3,20,25]", "f32[2,25,3,8]"}},
		{"...ij,...jk->...ik", {"f32[2,1,5,7]", "f32[4,7,6]"}},
		{"...ij,...jk", {"f32[5,7]", "f32[3,2,7,6]"}},
		{"i...,...i->...", {"f32[6,2,3]", "f32[3,6]"}},
		{"ij->ji", {"f32[11,5]"}},
		{"ij", {"f32[11,5]"}},
		{"ba", {"f32[11,5]"}},
		{"ij->", {"f32[11,5]"}},
		{"ij->j", {"f32[11,5]"}},
		{"ii", {"f32[9,9]"}},
		{"ii->i", {"f32[9,9]"}},
		{"iij,ji->ij", {"f32[4,4,6]", "f32[6,4]"}},
		{"i,j->ij", {"f32[7]", "f32[12]"}},
		{"i,j->ji", {"f32[7]", "f32[12]"}},
		{"i,i", {"f32[33]", "f32[33]"}},
		{",i->i", {"f32[]", "f32[33]"}},
		{"ij,ij->ij", {"f32[8,9]", "f32[8,9]"}},
		{"ij,j->ij", {"f32[8,9]", "f32[1]"}},
		{"ij,k->i", {"f32[8,9]", "f32[5]"}},
		{"abc,cd,def->afe", {"f32[3,4,5]", "f32[5,6]", "f32[6,2,7]"}},
		{"ab,bc,cd->ad", {"f32[3,40]", "f32[40,5]", "f32[5,60]"}},
		{"abcd,aebf->cdef", {"f32[3,4,5,2]", "f32[3,6,4,3]"}},
		{"abcdefg,gfedcba->aceg", {"f32[2,3,2,3,2,3,2]", "f32[2,3,2,3,2,3,2]"}},
		{"ij,jk->ik", {"f32[4,0]", "f32[0,3]"}},
		{"Ab,bA->", {"f32[4,5]", "f32[5,4]"}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph;
		struct gyr_error error;
		if (make(cases[i].equation, cases[i].shapes, &graph, &error) != 0)
			fail_msg("%s: %s", cases[i].equation, error.text);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

/* Random pairs of operands over six letters. */
static void test_random(void **state)
{
	static const int64_t sizes[6] = {1, 2, 3, 5, 4, 6};
	uint64_t seed = 41;
	for (int round = 0; round < 300; round++) {
		char terms[2][8] = {"", ""}, shapes[2][64], equation[32], result[8] = "";
		unsigned seen = 0;
		for (int i = 0; i < 2; i++) {
			size_t count = (size_t)(fabsf(net_random(&seed)) * 5), length = 4;
			strcpy(shapes[i], "f32[");
			for (size_t k = 0; k < count; k++) {
				unsigned letter = (unsigned)(fabsf(net_random(&seed)) * 6);
				terms[i][k] = (char)('a' + letter);
				seen |= 1u << letter;
				bool repeats =
					net_random(&seed) > 0.9f && memchr(terms[i], terms[i][k], k) == NULL && strchr(terms[0], 'a' + (int)letter) == NULL;
				for (size_t before = 0; before < k; before++)
					repeats = repeats && terms[i][before] != terms[i][k];
				length += (size_t)snprintf(shapes[i] + length, sizeof shapes[i] - length, "%s%d", k ? "," : "", (int)sizes[letter]);
			}
			strcat(shapes[i], "]");
		}
		for (unsigned letter = 6, at = 0; letter-- > 0;)
			if ((seen >> letter & 1) != 0 && net_random(&seed) > 0)
				result[at++] = (char)('a' + letter);
		snprintf(equation, sizeof equation, "%s,%s->%s", terms[0], terms[1], result);
		struct gyr_graph *graph;
		struct gyr_error error;
		if (make(equation, SHAPES(shapes[0], shapes[1]), &graph, &error) != 0)
			fail_msg("%s of %s and %s: %s", equation, shapes[0], shapes[1], error.text);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

/* The twin itself: y[i] = sum of a[j][i] b[i][i] c[j] over j, with other loops; integers wrap. */
static void test_meaning(void **state)
{
	struct gyr_graph *graph;
	assert_int_equal(make("ji,ii,j->i", SHAPES("i32[3,2]", "i32[2,2]", "i32[3]"), &graph, NULL), 0);
	struct gyr_plan *plan = net_plan(graph, 1, false);
	static const int32_t a[3][2] = {{1, -2}, {3, 4}, {INT32_MAX, 6}}, b[2][2] = {{2, 99}, {99, 5}}, c[3] = {7, -1, 2};
	int32_t y[2];
	void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	gyr_plan_run(plan, 1, (const void *const[]){a, b, c}, (void *const[]){y}, scratch);
	for (int i = 0; i < 2; i++) {
		uint32_t sum = 0;
		for (int j = 0; j < 3; j++)
			sum += (uint32_t)a[j][i] * (uint32_t)b[i][i] * (uint32_t)c[j];
		assert_int_equal(y[i], (int32_t)sum);
	}
	free(scratch);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

static void test_refused(void **state)
{
	static const struct {
		const char *equation, *shapes[4], *why;
		int status;
	} cases[] = {
		{"", {"f32[2]"}, "0 letters for input 0", -EINVAL},
		{"ij", {"f32[2]"}, "2 letters for input 0", -EINVAL},
		{"i,j->i", {"f32[2]"}, "not as many terms", -EINVAL},
		{"i->i", {"f32[2]", "f32[2]"}, "not as many terms", -EINVAL},
		{"i->j", {"f32[2]"}, "no input has", -EINVAL},
		{"ij->ii", {"f32[2,2]"}, "twice in its result", -EINVAL},
		{"i>i", {"f32[2]"}, "no letter", -EINVAL},
		{"i-i", {"f32[2]"}, "no part of '->'", -EINVAL},
		{"i->i,", {"f32[2]"}, "behind its result", -EINVAL},
		{"..i", {"f32[2]"}, "no part of one '...'", -EINVAL},
		{"...i...", {"f32[2]"}, "no part of one '...'", -EINVAL},
		{"...i->i", {"f32[3,2]"}, "leaves out of its result", -EINVAL},
		{"ij,jk->ik", {"f32[2,3]", "f32[4,2]"}, "3 and 4 long", -EINVAL},
		{"ii->i", {"f32[2,3]"}, "not square", -EINVAL},
		{"i\xc3->i", {"f32[2]"}, "no letter", -EINVAL},
		{"ab,cd,ef->abcdef", {"f32[1000,1000]", "f32[1000,1000]", "f32[1000,1000]"}, "2^33 products", -E2BIG},
		{"abcdefghi", {"f32[1]"}, "too many letters", -EINVAL},
		{"abcde...,fgh...->...abcdefgh", {"f32[1,1,1,1,1,2]", "f32[1,1,1]"}, "too many dimensions", -EINVAL},
		{"abcde,fghi", {"f32[1,1,1,1,1]", "f32[1,1,1,1]"}, "too many dimensions", -EINVAL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph;
		struct gyr_error error;
		int status = make(cases[i].equation, cases[i].shapes, &graph, &error);
		if (status != cases[i].status || strstr(error.text, cases[i].why) == NULL)
			fail_msg("%s: %d, %s", cases[i].equation, status, status == 0 ? "" : error.text);
		gyr_graph_destroy(graph);
	}
	struct gyr_graph *graph;
	struct gyr_error error;
	const char *many[18];
	for (int i = 0; i < 17; i++)
		many[i] = "f32[]";
	many[17] = NULL;
	assert_int_equal(make(",,,,,,,,,,,,,,,,", many, &graph, &error), -E2BIG);
	gyr_graph_destroy(graph);
}

static void test_batch(void **state)
{
	static const struct {
		const char *equation, *shapes[4];
		uint32_t batch_max;
	} cases[] = {
		{"bij,bjk->bik", {"f32[N,3,4]", "f32[N,4,5]"}, 64},
		{"b...,b...->b...", {"f32[N,3,4]", "f32[N,3,4]"}, 64},
		{"bi->ib", {"f32[N,3]"}, 1},
		{"bi->i", {"f32[N,3]"}, 1},
		{"bi,ci->bc", {"f32[N,3]", "f32[N,3]"}, 1},
		{"bi,ib->b", {"f32[N,3]", "f32[3,1]"}, 1}, /* the second input has no batch dimension, so there is none */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph;
		assert_int_equal(make(cases[i].equation, cases[i].shapes, &graph, NULL), 0);
		struct gyr_plan *plan = net_plan(graph, 64, false);
		assert_int_equal(gyr_plan_batch_max(plan), cases[i].batch_max);
		gyr_plan_destroy(plan);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_twin), cmocka_unit_test(test_random), cmocka_unit_test(test_meaning),
					   cmocka_unit_test(test_refused), cmocka_unit_test(test_batch)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
