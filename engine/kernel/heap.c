/*
 * C++'s operator new and delete: see heap.h. A request that does not fit the thread's array goes to the C++ library's own operator, as does all else, so that
 * what a failure means (an exception) is unchanged.
 */
#include "engine/kernel/heap.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dlfcn.h>

#include "base/assertion.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifdef SANITIZED

void gyr_kernel_heap_begin(void)
{
}

void gyr_kernel_heap_end(void)
{
}

#else

#define HEAP_BYTES 8192u
#define HEAP_ALIGN 16u

static _Thread_local struct {
	size_t used;  /* back to 0 when nothing lives here */
	size_t alive; /* objects */
	size_t limit; /* HEAP_BYTES between begin and end, else 0 */
	_Alignas(64) uint8_t bytes[HEAP_BYTES];
} heap;

typedef void *new_fn(size_t bytes);
typedef void delete_fn(void *object);

/* operator new(unsigned long), operator delete(void *), operator delete(void *, unsigned long): the others of the C++ library call these. */
void *operator_new(size_t bytes) __asm__("_Znwm");
void operator_delete(void *object) __asm__("_ZdlPv");
void operator_delete_sized(void *object, size_t bytes) __asm__("_ZdlPvm");

static _Atomic(new_fn *) library_new;
static _Atomic(delete_fn *) library_delete;

void *operator_new(size_t bytes)
{
	size_t need = (bytes / HEAP_ALIGN + 1) * HEAP_ALIGN; /* never 0: each object has an address of its own */
	if (bytes <= HEAP_BYTES && heap.used + need <= heap.limit) {
		void *object = heap.bytes + heap.used;
		heap.used += need;
		heap.alive++;
		return object;
	}
	new_fn *library = atomic_load_explicit(&library_new, memory_order_relaxed); /* every thread finds the same */
	if (library == NULL) {
		library = (new_fn *)dlsym(RTLD_NEXT, "_Znwm");
		GYR_ASSERT(library != NULL);
		atomic_store_explicit(&library_new, library, memory_order_relaxed);
	}
	return library(bytes);
}

void operator_delete(void *object)
{
	uintptr_t at = (uintptr_t)object, low = (uintptr_t)heap.bytes;
	if (at >= low && at < low + HEAP_BYTES) {
		if (--heap.alive == 0)
			heap.used = 0;
		return;
	}
	delete_fn *library = atomic_load_explicit(&library_delete, memory_order_relaxed);
	if (library == NULL) {
		library = (delete_fn *)dlsym(RTLD_NEXT, "_ZdlPv");
		GYR_ASSERT(library != NULL);
		atomic_store_explicit(&library_delete, library, memory_order_relaxed);
	}
	library(object);
}

void operator_delete_sized(void *object, size_t bytes)
{
	operator_delete(object);
}

void gyr_kernel_heap_begin(void)
{
	heap.limit = HEAP_BYTES;
}

void gyr_kernel_heap_end(void)
{
	heap.limit = 0;
}

#endif
