/*
 * A producer of a DPDK ring that has another before it waits for the other's store to the tail with a relaxed load, and then stores its own: the consumer,
 * which sees only the second, has not come after the first by C11's rules. No CPU lets a store pass the load that it depends on by a branch, and each shows a
 * store to all others at once, so nothing goes wrong; but C11's tools must report it. Here that load acquires. Included before rte_ring.h.
 */
#ifndef GYR_TESTS_RACE_WAIT_H
#define GYR_TESTS_RACE_WAIT_H

#include <rte_pause.h>
#include <rte_stdatomic.h>

#define rte_wait_until_equal_32(at, expected, order)                                                                                                           \
	do {                                                                                                                                                   \
		while (rte_atomic_load_explicit(at, rte_memory_order_acquire) != (expected))                                                                   \
			rte_pause();                                                                                                                           \
	} while (0)

#endif
