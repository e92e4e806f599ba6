/*
 * Keeps oneDNN off the heap while a plan runs. dnnl_brgemm_execute takes a few bytes from C++'s operator new at each call; this room replaces that operator (as
 * C++ lets a program do) by one that, between begin and end on a thread, hands out a small array of that thread, and that passes everything else on.
 *
 * Under a sanitizer, which has an operator new of its own, nothing is replaced and the two functions do nothing.
 */
#ifndef GYR_ENGINE_KERNEL_HEAP_H
#define GYR_ENGINE_KERNEL_HEAP_H

/* What this thread asks of operator new until gyr_kernel_heap_end, and gives back before that, lives in its own array. Not nested. A few cycles. */
void gyr_kernel_heap_begin(void);
void gyr_kernel_heap_end(void);

#endif
