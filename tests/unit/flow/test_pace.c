/* Pacing: over any stretch no more than its rate and one burst, and no less where there is always something to send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/flow/pace.h"

static const struct gyr_pace_rate rate = {.ticks_per_byte_16 = 3 << 15 /* 1.5 */, .burst_ticks = 6000};

static void test_rate(void **unused)
{
	struct gyr_pace pace = {0};
	uint64_t sent = 0, start = 1000000, ticks = 300000;
	for (uint64_t now = start; now < start + ticks; now += 7) {
		while (gyr_pace_take(&pace, &rate, now, 1000))
			sent += 1000;
	}
	/* 1.5 ticks a byte, one burst ahead, and the piece that may begin at its end. */
	assert_in_range(sent * 3 / 2, ticks, ticks + rate.burst_ticks + 1500);
}

static void test_burst(void **unused)
{
	struct gyr_pace pace = {0};
	int taken = 0;
	while (gyr_pace_take(&pace, &rate, 5000, 1000))
		taken++;
	assert_int_equal(taken, 5); /* 4 x 1500 are the burst; one more may begin */
	assert_false(gyr_pace_take(&pace, &rate, 6499, 1));
	assert_true(gyr_pace_take(&pace, &rate, 6500, 1000));
	/* A rest is not saved up beyond the burst. */
	for (taken = 0; gyr_pace_take(&pace, &rate, 1u << 30, 1000); taken++)
		continue;
	assert_int_equal(taken, 5);
}

static void test_no_limit(void **unused)
{
	struct gyr_pace pace = {0};
	const struct gyr_pace_rate none = {0};
	for (int i = 0; i < 1000; i++)
		assert_true(gyr_pace_take(&pace, &none, 1, UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_no_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
