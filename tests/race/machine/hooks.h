/*
 * Included before everything else in code that runs on the machine (machine.h): its atomics, and those of DPDK's inline functions, become calls to it, and so
 * do what spins, sleeps, tells the time and takes memory.
 */
#ifndef GYR_TESTS_RACE_HOOKS_H
#define GYR_TESTS_RACE_HOOKS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <rte_atomic.h>
#include <rte_stdatomic.h>

#include "tests/race/machine/machine.h"

/* The comma takes atomic and volatile from the type. */
#define HOOK_TYPE(at) __typeof__((void)0, *(at))
#define HOOK_SITE(kind, words) static struct machine_site site_ = {.function = __func__, .what = words, .line = __LINE__, .op = kind}

#define HOOK_LOAD(at, wanted)                                                                                                                                  \
	__extension__({                                                                                                                                        \
		HOOK_SITE(MACHINE_LOAD, #at);                                                                                                                  \
		HOOK_TYPE(at) value_;                                                                                                                          \
		machine_load(&site_, (at), sizeof value_, &value_, wanted);                                                                                    \
		value_;                                                                                                                                        \
	})
#define HOOK_STORE(at, to, wanted)                                                                                                                             \
	__extension__({                                                                                                                                        \
		HOOK_SITE(MACHINE_STORE, #at);                                                                                                                 \
		HOOK_TYPE(at) value_ = (to);                                                                                                                   \
		machine_store(&site_, (at), sizeof value_, &value_, wanted);                                                                                   \
	})
#define HOOK_CHANGE(at, operand, change, wanted)                                                                                                               \
	__extension__({                                                                                                                                        \
		HOOK_SITE(MACHINE_CHANGE, #at);                                                                                                                \
		HOOK_TYPE(at) value_ = 0;                                                                                                                      \
		machine_change(&site_, (at), sizeof value_, &value_, (uint64_t)(operand), change, wanted, wanted);                                             \
		value_;                                                                                                                                        \
	})
#define HOOK_COMPARE(at, expected, to, wanted, failure)                                                                                                        \
	__extension__({                                                                                                                                        \
		HOOK_SITE(MACHINE_CHANGE, #at);                                                                                                                \
		machine_change(&site_, (at), sizeof *(expected), (expected), (uint64_t)(to), machine_compares, wanted, failure);                               \
	})
#define HOOK_FENCE(wanted)                                                                                                                                     \
	__extension__({                                                                                                                                        \
		HOOK_SITE(MACHINE_FENCE, "fence");                                                                                                             \
		machine_fence(&site_, wanted);                                                                                                                 \
	})

#undef atomic_load_explicit
#define atomic_load_explicit(at, order) HOOK_LOAD(at, order)
#undef atomic_store_explicit
#define atomic_store_explicit(at, to, order) HOOK_STORE(at, to, order)
#undef atomic_exchange_explicit
#define atomic_exchange_explicit(at, to, order) HOOK_CHANGE(at, to, machine_exchanges, order)
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(at, by, order) HOOK_CHANGE(at, by, machine_adds, order)
#undef atomic_thread_fence
#define atomic_thread_fence(order) HOOK_FENCE(order)
/* What is not hooked must not slip by. */
#undef atomic_load
#undef atomic_store
#undef atomic_exchange
#undef atomic_fetch_add
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit

#undef rte_atomic_load_explicit
#define rte_atomic_load_explicit(at, order) HOOK_LOAD(at, order)
#undef rte_atomic_store_explicit
#define rte_atomic_store_explicit(at, to, order) HOOK_STORE(at, to, order)
#undef rte_atomic_exchange_explicit
#define rte_atomic_exchange_explicit(at, to, order) HOOK_CHANGE(at, to, machine_exchanges, order)
#undef rte_atomic_fetch_add_explicit
#define rte_atomic_fetch_add_explicit(at, by, order) HOOK_CHANGE(at, by, machine_adds, order)
#undef rte_atomic_fetch_or_explicit
#define rte_atomic_fetch_or_explicit(at, bits, order) HOOK_CHANGE(at, bits, machine_ors, order)
#undef rte_atomic_fetch_and_explicit
#define rte_atomic_fetch_and_explicit(at, bits, order) HOOK_CHANGE(at, bits, machine_ands, order)
#undef rte_atomic_compare_exchange_strong_explicit
#define rte_atomic_compare_exchange_strong_explicit(at, expected, to, order, failure) HOOK_COMPARE(at, expected, to, order, failure)
#define rte_atomic_thread_fence(order) HOOK_FENCE(order)

#include <rte_pause.h>
#define rte_pause() machine_pause()
#include "tests/race/wait.h"
#define sched_yield() machine_pause()
#define pthread_mutex_lock(mutex) machine_lock(mutex)
#define pthread_mutex_unlock(mutex) machine_unlock(mutex)
#define clock_gettime(clock, now) machine_clock(clock, now)
#define nanosleep(time, left) machine_sleep(time, left)
#define malloc(bytes) machine_alloc(16, bytes)
#define calloc(count, bytes) machine_alloc(16, (count) * (bytes))
#define aligned_alloc(align, bytes) machine_alloc(align, bytes)
#define free(memory) machine_free(memory)

#endif
