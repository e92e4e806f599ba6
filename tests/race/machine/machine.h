/*
 * A machine for lock-free code: the threads of a test as coroutines of one thread, and C11's memory between them, all choices drawn from one seed. What fails
 * under a seed fails under it always.
 *
 * The code under test is compiled unchanged, behind hooks.h, which puts calls to this machine in the place of its atomics. Before each of them another thread
 * may go on. A load may return any value that the C11 rules permit, not only the newest: what a thread has seen of each location is its *view*; a release store
 * carries the view, an acquire load of it takes it over. Stores to one location are ordered as they are made, which is exact for locations with one writer and
 * for read-modify-writes. Plain memory has no old values; instead objects are watched: an access that does not happen after a conflicting one fails the run.
 *
 * Each atomic in the source is a *site*. After the seeds have passed, every site that asks for an order is weakened alone (acquire, release: to relaxed;
 * seq_cst: to acquire and release), and some seed must then fail; else the order is not needed, or the test does not see what it is for.
 */
#ifndef GYR_TESTS_RACE_MACHINE_H
#define GYR_TESTS_RACE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum machine_op { MACHINE_LOAD, MACHINE_STORE, MACHINE_CHANGE, MACHINE_FENCE };

/* One atomic in the source; hooks.h makes them. */
struct machine_site {
	const char *function, *what; /* where it stands, and the words of its argument */
	int line;
	enum machine_op op;
	int order;         /* as the source asks */
	unsigned known_in; /* the case that has reached it, counted from 1 */
	struct machine_site *next;
};

/* What a test does under each seed. */
struct machine_case {
	const char *name;
	void (*body)(void);       /* runs as thread 0, which starts the others and joins them */
	const char *const *spare; /* "function what": orders that this case cannot need; NULL at the end, or none */
};

/*
 * Runs all cases: the seeds, then each site weakened. 0, or 1 after saying what went wrong and how to replay it. With `--case NAME --seed N [--without SITE]`
 * it replays one run and prints every step.
 */
int machine_main(int argc, char **argv, const struct machine_case *cases, unsigned count);

/* Within a body: */

/* Starts a thread that has seen what its maker has; its number. */
unsigned machine_spawn(void (*run)(void *), void *argument);
/* Waits until it has ended; what it did has then been seen. */
void machine_join(unsigned thread);
/* Ends the run as a failure. */
_Noreturn void machine_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Another thread may go on here; what a spinning or sleeping thread calls. */
void machine_pause(void);
/* A number below LIMIT, of the seed. */
unsigned machine_random(unsigned limit);
/* The number of the thread that runs. */
unsigned machine_self(void);

/* Memory that is watched as one object. Freed memory stays in place until the run has ended, so that its late users are found out. */
void *machine_alloc(size_t align, size_t bytes);
void machine_free(void *memory);
/* The thread reads, or writes, the object that AT lies in; outside of all of them it becomes one by itself. Another thread may go on before and after. */
void machine_read(const void *at);
void machine_write(const void *at);

/* Called by hooks.h. */
void machine_load(struct machine_site *site, const volatile void *address, size_t size, void *value, int order);
void machine_store(struct machine_site *site, volatile void *address, size_t size, const void *value, int order);
/* Replaces the newest value by what CHANGE makes of it, OPERAND and what *VALUE was, where it says so; *VALUE gets the one before. Where not, it was a load. */
bool machine_change(struct machine_site *site, volatile void *address, size_t size, void *value, uint64_t operand,
		    bool (*change)(uint64_t *value, uint64_t operand, uint64_t expected), int order, int load_order);
bool machine_exchanges(uint64_t *value, uint64_t operand, uint64_t unused);
bool machine_adds(uint64_t *value, uint64_t operand, uint64_t unused);
bool machine_ors(uint64_t *value, uint64_t operand, uint64_t unused);
bool machine_ands(uint64_t *value, uint64_t operand, uint64_t unused);
bool machine_compares(uint64_t *value, uint64_t operand, uint64_t expected);
void machine_fence(struct machine_site *site, int order);
int machine_lock(const void *mutex);
int machine_unlock(const void *mutex);
int machine_clock(clockid_t clock, struct timespec *now);
int machine_sleep(const struct timespec *time, struct timespec *left);

#endif
