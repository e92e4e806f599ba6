/*
 * SGD and Adam against the formulas written down again in double, term by term; and the random numbers against known ones.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/train/optimiser.h"
#include "engine/train/random.h"

#define COUNT 37u
#define STEPS 50u

/* f32 rounds each step's sum: STEPS times half a unit of the last place, and Adam's square root and quotient a few more. */
#define TOLERANCE 5e-6

static float first[COUNT], second[COUNT], weights[COUNT], gradients[COUNT];
static double expected[COUNT];

static int start(void **state)
{
	srand48(11);
	memset(first, 0, sizeof first);
	memset(second, 0, sizeof second);
	for (uint32_t i = 0; i < COUNT; i++)
		expected[i] = (double)(weights[i] = (float)(drand48() * 2 - 1));
	return 0;
}

static void next_gradients(void)
{
	for (uint32_t i = 0; i < COUNT; i++)
		gradients[i] = (float)((drand48() * 2 - 1) * pow(10, -(double)(i % 5)));
	gradients[0] = 0;
}

static void compare(void)
{
	for (uint32_t i = 0; i < COUNT; i++)
		assert_true(fabs((double)weights[i] - expected[i]) <= TOLERANCE * (1 + fabs(expected[i])));
}

static void sgd(void **state)
{
	for (int with = 0; with < 2; with++) {
		double velocity[COUNT] = {0}, momentum = with ? 0.9 : 0, rate = 0.05;
		start(state);
		struct gyr_optimiser_state sgd = {.kind = GYR_OPTIMISER_SGD, .rate = 0.05f, .momentum = (float)momentum, .count = COUNT, .first = first};
		for (uint32_t step = 0; step < STEPS; step++) {
			next_gradients();
			for (uint32_t i = 0; i < COUNT; i++) {
				velocity[i] = momentum * velocity[i] + (double)gradients[i];
				expected[i] = expected[i] - rate * velocity[i];
			}
			gyr_optimiser_step(&sgd, weights, gradients);
			compare();
		}
	}
}

/* Kingma and Ba's algorithm 1, line by line. */
static void adam(void **state)
{
	double m[COUNT] = {0}, v[COUNT] = {0};
	struct gyr_optimiser_state adam = {.kind = GYR_OPTIMISER_ADAM, .rate = 0.01f, .count = COUNT, .first = first, .second = second};
	for (uint32_t t = 1; t <= STEPS; t++) {
		next_gradients();
		for (uint32_t i = 0; i < COUNT; i++) {
			double g = (double)gradients[i];
			m[i] = 0.9 * m[i] + (1 - 0.9) * g;
			v[i] = 0.999 * v[i] + (1 - 0.999) * g * g;
			double m_hat = m[i] / (1 - pow(0.9, t)), v_hat = v[i] / (1 - pow(0.999, t));
			expected[i] -= 0.01 * m_hat / (sqrt(v_hat) + 1e-8);
		}
		gyr_optimiser_step(&adam, weights, gradients);
		compare();
	}
}

static void adam_moves_by_the_rate_at_first(void **state)
{
	struct gyr_optimiser_state adam = {.kind = GYR_OPTIMISER_ADAM, .rate = 0.01f, .count = 3, .first = first, .second = second};
	const float slopes[] = {1e-3f, -100, 0};
	float at[] = {1, 1, 1};
	gyr_optimiser_step(&adam, at, slopes);
	assert_true(fabsf(at[0] - 0.99f) < 1e-6f && fabsf(at[1] - 1.01f) < 1e-6f && at[2] == 1);
}

/* The generator's first numbers from the state 1, 2, 3, 4 can be worked out by hand: rotate(2 * 5, 7) * 9 = 11520, and so on. */
static void known_numbers(void **state)
{
	struct gyr_random random = {.state = {1, 2, 3, 4}};
	assert_true(gyr_random_next(&random) == 11520);
	assert_true(gyr_random_next(&random) == 0);
	assert_true(gyr_random_next(&random) == 1509978240);
	/* splitmix64 from 0 begins with this number, as published with it. */
	gyr_random_init(&random, 0);
	assert_true(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
}

static void distributions(void **state)
{
	enum { DRAWS = 100000 };
	struct gyr_random random;
	gyr_random_init(&random, 5);
	uint32_t counts[7] = {0};
	double sum = 0, squares = 0, uniform = 0;
	for (int i = 0; i < DRAWS; i++) {
		counts[gyr_random_below(&random, 7)]++;
		double normal = gyr_random_normal(&random), unit = gyr_random_uniform(&random);
		assert_true(isfinite(normal) && unit >= 0 && unit < 1);
		sum += normal;
		squares += normal * normal;
		uniform += unit;
	}
	/* Five standard deviations of each estimate. */
	for (int i = 0; i < 7; i++)
		assert_true(fabs(counts[i] - DRAWS / 7.0) < 5 * sqrt(DRAWS * (1 / 7.0) * (6 / 7.0)));
	assert_true(fabs(sum / DRAWS) < 5 / sqrt(DRAWS));
	assert_true(fabs(squares / DRAWS - 1) < 5 * sqrt(2.0 / DRAWS));
	assert_true(fabs(uniform / DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / DRAWS));
	assert_int_equal(gyr_random_below(&random, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sgd),           cmocka_unit_test_setup(adam, start), cmocka_unit_test_setup(adam_moves_by_the_rate_at_first, start),
		cmocka_unit_test(known_numbers), cmocka_unit_test(distributions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
