/* The forwarder's harm is what was asked for: shares, order, lateness, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lane.h"

#define FRAMES 20000u
#define SPACING_NS 10000u

static struct lane lane;

static void make(struct frame *frame, uint32_t number, uint32_t size)
{
	memset(frame->bytes, 0, size);
	put16(frame->bytes + 12, ETHER_IP4);
	put32(frame->bytes + 20, number);
	frame->size = size;
}

/* What came out of FRAMES that went in one after another: how many, how many behind a later one, and how many with another bit. */
struct seen {
	uint32_t count, overtaken, damaged;
};

static struct seen run(struct lane_harm harm)
{
	static struct frame frame, right;
	struct seen seen = {0};
	uint32_t highest = 0;
	lane_init(&lane, 7);
	lane.harm = harm;
	for (uint64_t now = 0, i = 0; i < FRAMES || lane.count > 0; now += SPACING_NS, i++) {
		make(&frame, (uint32_t)i, 200);
		if (i < FRAMES)
			assert_true(lane_put(&lane, &frame, now));
		const struct frame *out;
		while ((out = lane_get(&lane, now)) != NULL) {
			uint32_t number = get16(out->bytes + 20) << 16 | get16(out->bytes + 22);
			make(&right, number, 200);
			seen.count++;
			seen.overtaken += number < highest;
			seen.damaged += out->size != right.size || memcmp(out->bytes, right.bytes, right.size) != 0;
			highest = number > highest && number < FRAMES ? number : highest;
		}
	}
	assert_int_equal(lane.stats.in, FRAMES);
	assert_int_equal(lane.stats.out, seen.count);
	assert_int_equal(lane.free_count, LANE_HELD_MAX);
	lane_fini(&lane);
	return seen;
}

static void no_harm(void **state)
{
	struct seen seen = run((struct lane_harm){0});
	assert_int_equal(seen.count, FRAMES);
	assert_int_equal(seen.overtaken + seen.damaged, 0);
}

static void loss(void **state)
{
	struct seen seen = run((struct lane_harm){.loss = 0.1});
	assert_in_range(seen.count, FRAMES * 88 / 100, FRAMES * 92 / 100);
	assert_int_equal(lane.stats.lost, FRAMES - seen.count);
	assert_int_equal(seen.overtaken, 0);
}

static void duplication(void **state)
{
	struct seen seen = run((struct lane_harm){.duplicate = 0.1});
	assert_in_range(seen.count, FRAMES * 108 / 100, FRAMES * 112 / 100);
	assert_int_equal(lane.stats.duplicated, seen.count - FRAMES);
}

static void reordering(void **state)
{
	struct seen seen = run((struct lane_harm){.reorder = 0.1, .reorder_us = 35});
	assert_int_equal(seen.count, FRAMES);
	assert_in_range(seen.overtaken, FRAMES * 8 / 100, FRAMES * 12 / 100);
}

static void damage(void **state)
{
	struct seen seen = run((struct lane_harm){.corrupt = 0.1});
	assert_int_equal(seen.count, FRAMES);
	assert_in_range(lane.stats.corrupted, FRAMES * 8 / 100, FRAMES * 12 / 100);
	/* Some of it changed the number that tells a frame, to that of another that is as right. */
	assert_in_range(seen.damaged, lane.stats.corrupted * 9 / 10, lane.stats.corrupted);
}

static void lateness(void **state)
{
	struct seen seen = run((struct lane_harm){.delay_us = 100, .jitter_us = 300});
	assert_int_equal(seen.count, FRAMES);
	assert_int_equal(seen.overtaken, 0);

	struct frame frame;
	make(&frame, 1, 1250);
	lane_init(&lane, 7);
	lane.harm = (struct lane_harm){.delay_us = 100, .mbps = 100};
	assert_true(lane_put(&lane, &frame, 0));
	assert_true(lane_put(&lane, &frame, 0));
	assert_null(lane_get(&lane, 199999));
	assert_int_equal(lane_due_ns(&lane), 200000);
	assert_non_null(lane_get(&lane, 200000));
	assert_int_equal(lane_due_ns(&lane), 300000);
	assert_null(lane_get(&lane, 299999));
	assert_non_null(lane_get(&lane, 300000));
	assert_int_equal(lane_due_ns(&lane), UINT64_MAX);
	lane_fini(&lane);
}

static void bounds(void **state)
{
	struct frame frame;
	lane_init(&lane, 7);
	lane.harm = (struct lane_harm){.delay_us = 1e6, .mtu = 500};
	make(&frame, 1, FRAME_ETHER + 501);
	assert_false(lane_put(&lane, &frame, 0));
	make(&frame, 1, FRAME_ETHER + 500);
	for (uint32_t i = 0; i < LANE_HELD_MAX + 3; i++)
		assert_true(lane_put(&lane, &frame, 0));
	assert_int_equal(lane.stats.too_big, 1);
	assert_int_equal(lane.stats.overflown, 3);
	while (lane_get(&lane, 2000000000) != NULL)
		;
	lane_fini(&lane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_harm), cmocka_unit_test(loss),     cmocka_unit_test(duplication), cmocka_unit_test(reordering),
		cmocka_unit_test(damage),  cmocka_unit_test(lateness), cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
