/* Queues that are fair among clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/flow/queue.h"

#define QUEUES 4
#define ITEMS 64

static struct gyr_queues queues;
static struct gyr_queue_item items[ITEMS];

static int set_up(void **state)
{
	memset(items, 0, sizeof items);
	return gyr_queues_init(&queues, QUEUES, ITEMS, 0x123456789);
}

static int tear_down(void **state)
{
	gyr_queues_fini(&queues);
	return 0;
}

static void push(uint32_t queue, uint32_t item, uint64_t client)
{
	items[item].client = client;
	gyr_queue_push(&queues, queue, &items[item]);
}

static void expect(uint32_t queue, int item)
{
	struct gyr_queue_item *got = gyr_queue_pop(&queues, queue);
	assert_ptr_equal(got, item < 0 ? NULL : &items[item]);
}

static void expect_nothing_left(void)
{
	assert_int_equal(queues.count, 0);
	assert_int_equal(queues.empty_count, 0);
	uint32_t free_count = 0;
	for (uint32_t at = queues.free; at != GYR_QUEUE_NONE; at = queues.lines[at].next)
		free_count++;
	assert_int_equal(free_count, 2 * ITEMS);
	for (uint32_t hash = 0; hash <= queues.hash_mask; hash++)
		assert_int_equal(queues.alike[hash], GYR_QUEUE_NONE);
}

static void one_client_is_served_in_order(void **state)
{
	expect(0, -1);
	for (uint32_t i = 0; i < ITEMS; i++)
		push(0, i, 9);
	assert_int_equal(gyr_queue_held(&queues, 0, 9), ITEMS);
	assert_int_equal(gyr_queue_held(&queues, 1, 9), 0);
	for (int i = 0; i < ITEMS; i++)
		expect(0, i);
	expect(0, -1);
	expect_nothing_left();
}

/* However much the first has sent, the second is the next but one. */
static void clients_take_turns(void **state)
{
	for (uint32_t i = 0; i < 10; i++)
		push(0, i, 1);
	push(0, 10, 2);
	push(0, 11, 2);
	push(0, 12, 3);
	expect(0, 0);
	expect(0, 10);
	expect(0, 12);
	expect(0, 1);
	expect(0, 11);
	for (int i = 2; i < 10; i++)
		expect(0, i);
	expect_nothing_left();
}

static void queues_are_apart(void **state)
{
	push(0, 0, 1);
	push(1, 1, 1);
	push(1, 2, 1);
	assert_int_equal(queues.queues[1].count, 2);
	assert_int_equal(queues.count, 3);
	expect(1, 1);
	expect(0, 0);
	expect(0, -1);
	expect(1, 2);
	expect_nothing_left();
}

static void what_is_put_back_comes_first_of_its_client(void **state)
{
	push(0, 0, 1);
	push(0, 1, 1);
	push(0, 2, 2);
	push(0, 3, 1);
	expect(0, 0);
	expect(0, 2);
	expect(0, 1);
	gyr_queue_push_back(&queues, 0, &items[1]);
	gyr_queue_push_back(&queues, 0, &items[2]);
	gyr_queue_push_back(&queues, 0, &items[0]);
	assert_int_equal(gyr_queue_held(&queues, 0, 1), 3);
	int at[4];
	for (int i = 0; i < 4; i++)
		at[gyr_queue_pop(&queues, 0) - items] = i;
	assert_true(at[0] < at[1]);
	assert_true(at[1] < at[3]);
	expect_nothing_left();
}

/* Whoever is passed over for what goes together is first the next time, with a line that has emptied and with one that has not. */
static void nobody_is_passed_over_twice(void **state)
{
	for (uint32_t waiting = 1; waiting < 8; waiting += 6) {
		for (uint32_t i = 0; i < 12; i++)
			push(0, i, 1 + i % 2);
		for (uint32_t i = 0; i < waiting; i++)
			push(0, 12 + i, 3);
		struct gyr_queue_item *passed[8];
		uint32_t passed_count = 0;
		for (uint32_t taken = 0; taken < 6;) {
			struct gyr_queue_item *item = gyr_queue_pop(&queues, 0);
			if (item->client == 3)
				passed[passed_count++] = item;
			else
				taken++;
		}
		assert_in_range(passed_count, 1, waiting);
		while (passed_count > 0)
			gyr_queue_push_back(&queues, 0, passed[--passed_count]);
		expect(0, 12);
		while (gyr_queue_pop(&queues, 0) != NULL)
			continue;
		expect_nothing_left();
	}
}

/* One asks for 16 rows at a time, the other for one: they get as many rows. */
static void rows_are_what_is_shared(void **state)
{
	uint32_t rows[3] = {0}, free_items[ITEMS], free_count = 0;
	for (uint32_t i = 0; i < 40; i++)
		push(0, i, 1 + i % 2);
	for (int i = 0; i < 4000; i++) {
		struct gyr_queue_item *item = gyr_queue_pop(&queues, 0);
		uint32_t weight = item->client == 1 ? 16 : 1;
		rows[item->client] += weight;
		gyr_queue_charge(&queues, 0, item->client, weight);
		free_items[free_count++] = (uint32_t)(item - items);
		push(0, free_items[--free_count], item->client);
	}
	assert_in_range(rows[1] * 100 / rows[2], 90, 110);
}

/* The same when its requests come one by one, so that its line is empty in between. */
static void turns_are_sat_out_with_an_empty_line(void **state)
{
	uint32_t rows[3] = {0};
	push(0, 0, 1);
	for (uint32_t i = 1; i < 10; i++)
		push(0, i, 2);
	for (int i = 0; i < 4000; i++) {
		struct gyr_queue_item *item = gyr_queue_pop(&queues, 0);
		uint32_t weight = item->client == 1 ? 16 : 1;
		rows[item->client] += weight;
		gyr_queue_charge(&queues, 0, item->client, weight);
		gyr_queue_push(&queues, 0, item);
	}
	assert_in_range(rows[1] * 100 / rows[2], 90, 110);
}

/* Who was alone kept nobody waiting: it has no turns to sit out when another comes. */
static void time_alone_is_free(void **state)
{
	for (uint32_t i = 0; i < 20; i++)
		push(0, i, 1);
	for (int i = 0; i < 10; i++) {
		expect(0, i);
		gyr_queue_charge(&queues, 0, 1, 64);
	}
	push(0, 20, 2);
	push(0, 21, 2);
	struct gyr_queue_item *first = gyr_queue_pop(&queues, 0), *second = gyr_queue_pop(&queues, 0);
	assert_true(first->client != second->client || first->client == 2);
	while (gyr_queue_pop(&queues, 0) != NULL)
		continue;
	expect_nothing_left();
}

/* Everything at random, against a plain count: nothing is lost, each client's order is kept, and all lines are free in the end. */
static void keeps_its_books(void **state)
{
	uint32_t seed = 99, in_use = 0, held[QUEUES][8] = {{0}};
	bool used[ITEMS] = {false};
	uint64_t pushed[ITEMS], stamp = 0, last[QUEUES][8] = {{0}};
	uint32_t queue_of[ITEMS];
	for (int step = 0; step < 200000; step++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t queue = (seed >> 10) % QUEUES, client = (seed >> 14) % 8, item = (seed >> 18) % ITEMS;
		if ((seed >> 28) < 8 && !used[item]) {
			push(queue, item, client);
			used[item] = true;
			pushed[item] = ++stamp;
			queue_of[item] = queue;
			held[queue][client]++;
			in_use++;
		} else if ((seed >> 28) >= 8) {
			struct gyr_queue_item *got = gyr_queue_pop(&queues, queue);
			if (got == NULL) {
				for (int c = 0; c < 8; c++)
					assert_int_equal(held[queue][c], 0);
				continue;
			}
			uint32_t index = (uint32_t)(got - items);
			assert_true(used[index]);
			assert_int_equal(queue_of[index], queue);
			assert_true(pushed[index] > last[queue][got->client]);
			gyr_queue_charge(&queues, queue, got->client, 1 + (seed >> 20) % 64);
			if ((seed >> 28) == 15) {
				gyr_queue_push_back(&queues, queue, got);
				continue;
			}
			last[queue][got->client] = pushed[index];
			used[index] = false;
			held[queue][got->client]--;
			in_use--;
		}
		assert_int_equal(queues.count, in_use);
		assert_int_equal(gyr_queue_held(&queues, queue, client), held[queue][client]);
		assert_true(queues.empty_count <= ITEMS);
	}
	for (uint32_t queue = 0; queue < QUEUES; queue++) {
		while (gyr_queue_pop(&queues, queue) != NULL)
			continue;
	}
	expect_nothing_left();
}

static void a_client_is_an_address_or_a_network(void **state)
{
	struct gyr_net_address one = gyr_net_address_of_ipv4(0x01020304), other = gyr_net_address_of_ipv4(0x01020305);
	assert_int_not_equal(gyr_queue_client(&one), gyr_queue_client(&other));
	struct gyr_net_address six = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}}, near = six, far = six;
	near.bytes[8] = 7;
	far.bytes[7] = 7;
	assert_int_equal(gyr_queue_client(&six), gyr_queue_client(&near));
	assert_int_not_equal(gyr_queue_client(&six), gyr_queue_client(&far));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_client_is_served_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clients_take_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(queues_are_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_put_back_comes_first_of_its_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_passed_over_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rows_are_what_is_shared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(turns_are_sat_out_with_an_empty_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_alone_is_free, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_its_books, set_up, tear_down),
		cmocka_unit_test(a_client_is_an_address_or_a_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
