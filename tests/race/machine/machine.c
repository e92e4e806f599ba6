/*
 * The machine's memory and its threads; driver.c chooses seeds and sites. The file is long because they are one state: every load, store, lock and switch reads or
 * moves what the running thread has seen.
 */
#include "tests/race/machine/machine_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/assertion.h"

#define THREADS_MAX 6u
#define STACK_BYTES (256u * 1024)
#define PLACES_MAX 96u /* atomic locations */
#define MUTEXES_MAX 4u
#define STORES_KEPT 16u /* of each: how far a load can lag behind */
#define OBJECTS_MAX 512u
#define STEPS_MAX 200000u /* a run that takes more stands still */
#define STEP_NS 100

/* What a thread has seen: the number of a store of each place, and how far each thread had come. */
struct view {
	uint32_t stores[PLACES_MAX];
	uint32_t clocks[THREADS_MAX];
};

struct store {
	uint64_t value;
	unsigned thread;
	struct view carried;
};

struct place {
	const volatile void *address;
	uint32_t newest; /* the number of its newest store; the first has 1 */
	uint32_t newest_sc;
	struct store stores[STORES_KEPT]; /* by number */
};

/* Who wrote it last and who read it since: a thread's clock then, 0 where it did not. */
struct object {
	const char *at;
	size_t bytes;
	uint32_t written[THREADS_MAX], read[THREADS_MAX];
	bool freed, ours;
};

struct mutex {
	const void *address;
	bool locked;
	struct view view; /* of who unlocked it last */
};

struct thread {
	ucontext_t context; /* before it first runs */
	jmp_buf place;      /* afterwards: to jump there takes no system call */
	bool entered;
	char *stack;
	void (*run)(void *);
	void *argument;
	bool alive;
	struct view view;
	struct view loaded;   /* what relaxed loads would have brought, for an acquire fence */
	struct view released; /* what a release fence lets relaxed stores carry */
};

static struct {
	uint64_t random, now_ns, steps;
	unsigned keep_of_256, old_of_256; /* how often the same thread goes on, and how often a load is not of the newest */
	unsigned thread_count, running, place_count, object_count, mutex_count;
	bool tracing, failed;
	const struct machine_site *weakened;
	char failure[512];
	struct view sc;
	struct thread threads[THREADS_MAX];
	struct place places[PLACES_MAX];
	struct object objects[OBJECTS_MAX];
	struct mutex mutexes[MUTEXES_MAX];
	jmp_buf home; /* out of a run */
} machine;

struct machine_site *machine_sites;
unsigned machine_case_number;

static uint64_t next_random(void)
{
	uint64_t z = machine.random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned machine_random(unsigned limit)
{
	return (unsigned)((next_random() >> 32) * limit >> 32);
}

unsigned machine_self(void)
{
	return machine.running;
}

static void join_view(struct view *into, const struct view *from)
{
	for (unsigned i = 0; i < machine.place_count; i++)
		into->stores[i] = from->stores[i] > into->stores[i] ? from->stores[i] : into->stores[i];
	for (unsigned i = 0; i < THREADS_MAX; i++)
		into->clocks[i] = from->clocks[i] > into->clocks[i] ? from->clocks[i] : into->clocks[i];
}

static void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void trace(const char *format, ...)
{
	va_list arguments;
	if (!machine.tracing)
		return;
	printf("  thread %u  ", machine.running);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* Threads */

_Noreturn void machine_fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(machine.failure, sizeof machine.failure, format, arguments);
	va_end(arguments);
	trace("FAILED: %s", machine.failure);
	machine.failed = true;
	_longjmp(machine.home, 1);
}

/* In the product an assertion ends the process; here it ends the run. */
void gyr_assert_failed(const char *condition, const char *file, int line)
{
	machine_fail("%s:%d: assertion failed: %s", file, line, condition);
}

static _Noreturn void enter(unsigned next)
{
	struct thread *thread = &machine.threads[next];
	machine.running = next;
	if (thread->entered)
		_longjmp(thread->place, 1);
	thread->entered = true;
	setcontext(&thread->context);
	abort();
}

static void switch_to(unsigned next)
{
	if (next != machine.running && _setjmp(machine.threads[machine.running].place) == 0)
		enter(next);
}

/* One that lives, other than the one that runs where there is another. */
static unsigned choose_other(void)
{
	unsigned alive[THREADS_MAX], count = 0;
	for (unsigned i = 0; i < machine.thread_count; i++) {
		if (machine.threads[i].alive && i != machine.running)
			alive[count++] = i;
	}
	return count == 0 ? machine.running : alive[machine_random(count)];
}

static void count_step(void)
{
	machine.now_ns += STEP_NS;
	machine.threads[machine.running].view.clocks[machine.running]++;
	if (++machine.steps > STEPS_MAX)
		machine_fail("nothing moves on any more: %u steps", STEPS_MAX);
}

static void step(void)
{
	if (machine_random(256) >= machine.keep_of_256)
		switch_to(choose_other());
	count_step();
}

void machine_pause(void)
{
	switch_to(choose_other());
	count_step();
}

static void run_thread(void)
{
	struct thread *self = &machine.threads[machine.running];
	self->run(self->argument);
	trace("ends");
	self->alive = false;
	if (machine.running == 0)
		_longjmp(machine.home, 1);
	enter(choose_other());
}

unsigned machine_spawn(void (*run)(void *), void *argument)
{
	unsigned number = machine.thread_count++;
	if (number >= THREADS_MAX)
		machine_fail("more than %u threads", THREADS_MAX);
	struct thread *thread = &machine.threads[number];
	if (thread->stack == NULL)
		thread->stack = malloc(STACK_BYTES);
	if (thread->stack == NULL)
		abort();
	thread->run = run;
	thread->argument = argument;
	thread->alive = true;
	thread->entered = false;
	thread->view = number == 0 ? (struct view){0} : machine.threads[machine.running].view;
	thread->view.clocks[number] = 1;
	thread->loaded = thread->released = (struct view){0};
	getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = thread->stack;
	thread->context.uc_stack.ss_size = STACK_BYTES;
	thread->context.uc_link = NULL;
	makecontext(&thread->context, run_thread, 0);
	return number;
}

void machine_join(unsigned thread)
{
	while (machine.threads[thread].alive)
		machine_pause();
	join_view(&machine.threads[machine.running].view, &machine.threads[thread].view);
}

static struct mutex *mutex_at(const void *address)
{
	for (unsigned i = 0; i < machine.mutex_count; i++) {
		if (machine.mutexes[i].address == address)
			return &machine.mutexes[i];
	}
	if (machine.mutex_count == MUTEXES_MAX)
		machine_fail("more than %u mutexes", MUTEXES_MAX);
	struct mutex *mutex = &machine.mutexes[machine.mutex_count++];
	*mutex = (struct mutex){.address = address};
	return mutex;
}

int machine_lock(const void *address)
{
	struct mutex *mutex = mutex_at(address);
	step();
	while (mutex->locked)
		machine_pause();
	mutex->locked = true;
	join_view(&machine.threads[machine.running].view, &mutex->view);
	return 0;
}

int machine_unlock(const void *address)
{
	struct mutex *mutex = mutex_at(address);
	mutex->locked = false;
	mutex->view = machine.threads[machine.running].view;
	step();
	return 0;
}

int machine_clock(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){.tv_sec = (time_t)(machine.now_ns / 1000000000), .tv_nsec = (long)(machine.now_ns % 1000000000)};
	return 0;
}

int machine_sleep(const struct timespec *time, struct timespec *left)
{
	(void)left;
	machine.now_ns += (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
	machine_pause();
	return 0;
}

/* Atomic memory */

static bool acquires(int order)
{
	return order == memory_order_acquire || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static bool releases(int order)
{
	return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

bool machine_is_same(const struct machine_site *one, const struct machine_site *other)
{
	return one == other || (other != NULL && one->line == other->line && one->op == other->op && strcmp(one->function, other->function) == 0);
}

/* The order that the run goes by, of a site that is asked for ORDER. */
static int order_at(struct machine_site *site, int order)
{
	if (site->known_in != machine_case_number) {
		site->known_in = machine_case_number;
		site->order = order;
		site->next = machine_sites;
		machine_sites = site;
	}
	if (!machine_is_same(site, machine.weakened))
		return order;
	return order == memory_order_seq_cst ? memory_order_acq_rel : memory_order_relaxed;
}

static uint64_t value_in_memory(const volatile void *address, size_t size)
{
	switch (size) {
	case 1: return *(const volatile uint8_t *)address;
	case 2: return *(const volatile uint16_t *)address;
	case 4: return *(const volatile uint32_t *)address;
	case 8: return *(const volatile uint64_t *)address;
	default: abort();
	}
}

static void put_in_memory(volatile void *address, size_t size, uint64_t value)
{
	switch (size) {
	case 1: *(volatile uint8_t *)address = (uint8_t)value; break;
	case 2: *(volatile uint16_t *)address = (uint16_t)value; break;
	case 4: *(volatile uint32_t *)address = (uint32_t)value; break;
	case 8: *(volatile uint64_t *)address = value; break;
	default: abort();
	}
}

static struct store *add_store(struct place *place, uint64_t value)
{
	struct view *view = &machine.threads[machine.running].view;
	struct store *store = &place->stores[++place->newest % STORES_KEPT];
	const struct store *before = &place->stores[(place->newest - 1) % STORES_KEPT];
	store->value = value;
	store->carried = (struct view){0};
	store->thread = machine.running;
	/* C17's release sequence: what a thread stores after its own release goes on carrying that. */
	if (place->newest > 1 && before->thread == machine.running)
		store->carried = before->carried;
	view->stores[place - machine.places] = store->carried.stores[place - machine.places] = place->newest;
	return store;
}

/* The place at ADDRESS. A value in memory that is not the newest store's was put there by an ordinary store: of its only writer, or before there were threads.
 */
static struct place *place_at(const volatile void *address, size_t size)
{
	uint64_t value = value_in_memory(address, size);
	struct place *place = machine.places;
	while (place < machine.places + machine.place_count && place->address != address)
		place++;
	if (place == machine.places + machine.place_count) {
		if (machine.place_count++ == PLACES_MAX)
			machine_fail("more than %u atomic locations", PLACES_MAX);
		place->address = address;
		place->newest = place->newest_sc = 0;
		add_store(place, value);
	} else if (place->stores[place->newest % STORES_KEPT].value != value) {
		add_store(place, value);
	}
	return place;
}

void machine_load(struct machine_site *site, const volatile void *address, size_t size, void *value, int order)
{
	step();
	order = order_at(site, order);
	struct place *place = place_at(address, size);
	struct thread *self = &machine.threads[machine.running];
	uint32_t index = (uint32_t)(place - machine.places), oldest = self->view.stores[index], chosen = place->newest;
	if (oldest == 0)
		oldest = 1;
	if (order == memory_order_seq_cst && oldest < place->newest_sc)
		oldest = place->newest_sc;
	if (place->newest >= STORES_KEPT && oldest <= place->newest - STORES_KEPT)
		oldest = place->newest - STORES_KEPT + 1;
	if (oldest < chosen && machine_random(256) < machine.old_of_256)
		chosen = machine_random(2) == 0 ? oldest : oldest + machine_random(chosen - oldest + 1);
	const struct store *store = &place->stores[chosen % STORES_KEPT];
	self->view.stores[index] = chosen;
	join_view(&self->loaded, &store->carried);
	if (acquires(order))
		join_view(&self->view, &store->carried);
	memcpy(value, &store->value, size);
	trace("%s:%d: load %s: 0x%llx, its store %u of %u%s", site->function, site->line, site->what, (unsigned long long)store->value, chosen, place->newest,
	      acquires(order) ? ", acquire" : "");
}

static void carry(struct thread *self, struct place *place, struct store *store, int order)
{
	join_view(&store->carried, releases(order) ? &self->view : &self->released);
	if (order == memory_order_seq_cst)
		place->newest_sc = place->newest;
}

void machine_store(struct machine_site *site, volatile void *address, size_t size, const void *value, int order)
{
	step();
	order = order_at(site, order);
	uint64_t number = 0;
	memcpy(&number, value, size);
	struct place *place = place_at(address, size);
	carry(&machine.threads[machine.running], place, add_store(place, number), order);
	put_in_memory(address, size, number);
	trace("%s:%d: store %s: 0x%llx, number %u%s", site->function, site->line, site->what, (unsigned long long)number, place->newest,
	      releases(order) ? ", release" : "");
}

bool machine_exchanges(uint64_t *value, uint64_t operand, uint64_t unused)
{
	(void)unused;
	*value = operand;
	return true;
}

bool machine_adds(uint64_t *value, uint64_t operand, uint64_t unused)
{
	(void)unused;
	*value += operand;
	return true;
}

bool machine_ors(uint64_t *value, uint64_t operand, uint64_t unused)
{
	(void)unused;
	*value |= operand;
	return true;
}

bool machine_ands(uint64_t *value, uint64_t operand, uint64_t unused)
{
	(void)unused;
	*value &= operand;
	return true;
}

bool machine_compares(uint64_t *value, uint64_t operand, uint64_t expected)
{
	if (*value != expected)
		return false;
	*value = operand;
	return true;
}

bool machine_change(struct machine_site *site, volatile void *address, size_t size, void *value, uint64_t operand,
		    bool (*change)(uint64_t *value, uint64_t operand, uint64_t expected), int order, int load_order)
{
	step();
	order = order_at(site, order);
	struct place *place = place_at(address, size);
	struct thread *self = &machine.threads[machine.running];
	struct store *before = &place->stores[place->newest % STORES_KEPT];
	struct view carried = before->carried;
	uint64_t number = before->value, expected = 0;
	memcpy(&expected, value, size);
	memcpy(value, &before->value, size);
	bool changes = change(&number, operand, expected);
	self->view.stores[place - machine.places] = place->newest;
	join_view(&self->loaded, &carried);
	if (acquires(changes || order == memory_order_relaxed ? order : load_order))
		join_view(&self->view, &carried);
	if (changes) {
		put_in_memory(address, size, number);
		struct store *store = add_store(place, value_in_memory(address, size));
		/* What a read-modify-write follows on, it carries on. */
		join_view(&store->carried, &carried);
		carry(self, place, store, order);
	}
	trace("%s:%d: change %s: 0x%llx to 0x%llx, number %u%s%s", site->function, site->line, site->what, (unsigned long long)before->value,
	      (unsigned long long)number, place->newest, releases(order) ? ", release" : "", changes ? "" : ": did not");
	return changes;
}

void machine_fence(struct machine_site *site, int order)
{
	step();
	order = order_at(site, order);
	struct thread *self = &machine.threads[machine.running];
	if (acquires(order))
		join_view(&self->view, &self->loaded);
	if (order == memory_order_seq_cst) {
		join_view(&self->view, &machine.sc);
		machine.sc = self->view;
	}
	if (releases(order))
		self->released = self->view;
	trace("%s:%d: fence", site->function, site->line);
}

/* Objects */

static struct object *object_at(const void *at)
{
	for (unsigned i = 0; i < machine.object_count; i++) {
		struct object *object = &machine.objects[i];
		if ((const char *)at >= object->at && (const char *)at < object->at + object->bytes)
			return object;
	}
	if (machine.object_count == OBJECTS_MAX)
		machine_fail("more than %u objects", OBJECTS_MAX);
	struct object *object = &machine.objects[machine.object_count++];
	*object = (struct object){.at = at, .bytes = 1};
	return object;
}

/* Fails unless every access in THESE happened before the thread that runs came here. */
static void come_after(const uint32_t these[THREADS_MAX], const struct object *object, const char *what)
{
	const struct view *view = &machine.threads[machine.running].view;
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		if (these[i] > view->clocks[i])
			machine_fail("thread %u %s an object (number %u) that thread %u uses at the same time", machine.running, what,
				     (unsigned)(object - machine.objects), i);
	}
}

static void access_object(struct object *object, bool writes, const char *what)
{
	trace("%s object %u", what, (unsigned)(object - machine.objects));
	if (object->freed)
		machine_fail("thread %u %s an object (number %u) that has been freed", machine.running, what, (unsigned)(object - machine.objects));
	come_after(object->written, object, what);
	if (writes)
		come_after(object->read, object, what);
	/* Later than all that this thread has released. */
	(writes ? object->written : object->read)[machine.running] = ++machine.threads[machine.running].view.clocks[machine.running];
}

void machine_read(const void *at)
{
	step();
	access_object(object_at(at), false, "reads");
	step();
}

void machine_write(const void *at)
{
	step();
	access_object(object_at(at), true, "writes");
	step();
}

void *machine_alloc(size_t align, size_t bytes)
{
	char *memory = aligned_alloc(align, (bytes + align - 1) / align * align);
	if (memory == NULL || machine.object_count == OBJECTS_MAX)
		machine_fail("no memory for %zu bytes, or more than %u objects", bytes, OBJECTS_MAX);
	memset(memory, 0, bytes);
	struct object *object = &machine.objects[machine.object_count++];
	*object = (struct object){.at = memory, .bytes = bytes, .ours = true};
	access_object(object, true, "makes");
	return memory;
}

void machine_free(void *memory)
{
	if (memory == NULL)
		return;
	struct object *object = object_at(memory);
	step();
	access_object(object, true, "frees");
	object->freed = true;
}

/* One run */

static void run_body(void *body)
{
	(*(void (**)(void))body)();
}

bool machine_run(void (*body)(void), uint64_t seed, const struct machine_site *weakened, bool tracing, const char **failure)
{
	static const unsigned keep[] = {0, 128, 192, 240}, old[] = {0, 64, 128, 200};
	machine.random = seed;
	machine.now_ns = machine.steps = 0;
	machine.thread_count = machine.running = machine.place_count = machine.object_count = machine.mutex_count = 0;
	machine.tracing = tracing;
	machine.failed = false;
	machine.weakened = weakened;
	machine.sc = (struct view){0};
	machine.keep_of_256 = keep[machine_random(4)];
	machine.old_of_256 = old[machine_random(4)];
	machine_spawn(run_body, &body);
	if (_setjmp(machine.home) == 0)
		enter(0);
	for (unsigned i = 0; i < machine.object_count; i++) {
		if (machine.objects[i].ours)
			free((void *)(uintptr_t)machine.objects[i].at);
	}
	*failure = machine.failure;
	return !machine.failed;
}
