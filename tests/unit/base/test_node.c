/* What is wished of memory is what the kernel keeps for it, and a thread's wishes end when it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/node.h"

#define PAGES 8u
#define MASK_BITS 65u
/* Which nodes a machine has differs; it has the first. */
#define NODE 0

/* The policy of the page at AT, or of this thread where that is NULL. */
static int policy(void *at, uint64_t *nodes)
{
	int mode = -1;
	*nodes = 0;
	if (syscall(SYS_get_mempolicy, &mode, nodes, MASK_BITS, at, at != NULL ? MPOL_F_ADDR : 0) != 0)
		assert_int_equal(errno, 0);
	return mode;
}

static void keeps_a_range_on_its_node(void **state)
{
	uint64_t nodes;
	uint8_t *memory = gyr_node_map(PAGES * GYR_NODE_PAGE);
	assert_non_null(memory);
	gyr_node_prefer(memory, 2 * GYR_NODE_PAGE, NODE);
	gyr_node_prefer(memory + 2 * GYR_NODE_PAGE, GYR_NODE_PAGE, GYR_NODE_ANY);
	gyr_node_prefer(memory + 3 * GYR_NODE_PAGE, GYR_NODE_PAGE, 64);
	for (unsigned page = 0; page < PAGES; page++) {
		void *at = memory + page * GYR_NODE_PAGE;
		assert_int_equal(policy(at, &nodes), page < 2 ? MPOL_PREFERRED : MPOL_DEFAULT);
		assert_int_equal(nodes, page < 2 ? UINT64_C(1) << NODE : 0);
	}
	for (size_t i = 0; i < PAGES * GYR_NODE_PAGE; i++)
		assert_int_equal(memory[i], 0);
	memory[0] = 1; /* what is only read has no page of its own */
	int where = -1;
	void *first = memory;
	assert_int_equal(syscall(SYS_move_pages, 0, 1UL, &first, NULL, &where, 0), 0);
	assert_int_equal(where, NODE);
	gyr_node_unmap(memory, PAGES * GYR_NODE_PAGE);
	gyr_node_unmap(NULL, 0);
}

static void keeps_a_thread_on_its_nodes_until_it_leaves(void **state)
{
	uint64_t nodes;
	gyr_node_enter(gyr_node_bit(NODE));
	assert_int_equal(policy(NULL, &nodes), MPOL_PREFERRED);
	assert_int_equal(nodes, UINT64_C(1) << NODE);
	gyr_node_leave();
	assert_int_equal(policy(NULL, &nodes), MPOL_DEFAULT);
	/* Of several nodes the kernel keeps those that there are. */
	gyr_node_enter(gyr_node_bit(NODE) | gyr_node_bit(63));
	assert_int_equal(policy(NULL, &nodes), MPOL_INTERLEAVE);
	assert_int_equal(nodes & gyr_node_bit(NODE), gyr_node_bit(NODE));
	gyr_node_leave();
	gyr_node_enter(0);
	assert_int_equal(policy(NULL, &nodes), MPOL_DEFAULT);
	gyr_node_leave();
}

static void knows_what_cannot_be_wished(void **state)
{
	assert_int_equal(gyr_node_bit(GYR_NODE_ANY), 0);
	assert_int_equal(gyr_node_bit(64), 0);
	assert_true(gyr_node_bit(63) == UINT64_C(1) << 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_a_range_on_its_node),
		cmocka_unit_test(keeps_a_thread_on_its_nodes_until_it_leaves),
		cmocka_unit_test(knows_what_cannot_be_wished),
	};
	uint64_t nodes = 0;
	int mode;
	if (syscall(SYS_get_mempolicy, &mode, &nodes, MASK_BITS, NULL, 0) != 0) {
		print_message("skipped: the kernel has no policy of memory: %s\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
