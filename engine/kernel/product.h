/*
 * Matrix products whose operands are both known only when a plan runs, in any layout: on microkernels, with what does not lie as they need it packed into
 * scratch. What few multiplications there are go to the twin, and a product with a single column is one of dot products.
 */
#ifndef GYR_ENGINE_KERNEL_PRODUCT_H
#define GYR_ENGINE_KERNEL_PRODUCT_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/kernel/pack.h"
#include "engine/ref/gemm.h"

struct gyr_product;

/*
 * Prepares GEMM, all of whose sizes are at least 1; the result lives in ARENA, its microkernels in PACKS. -ENOTSUP: oneDNN has no microkernel for this CPU.
 * -ENOMEM.
 */
GYR_MUST_CHECK int gyr_product_prepare(const struct gyr_gemm *gemm, struct gyr_arena *arena, struct gyr_packs *packs, const struct gyr_product **product,
				       struct gyr_error *error);

/* The scratch that a run needs: about the bytes of a B that is packed, and of 64 rows of an A that is. */
size_t gyr_product_scratch_bytes(const struct gyr_product *product);

/*
 * As gyr_ref_gemm, but sums of f32 in f32: |got - exact| <= 2^-23 * (k + 4) * (|alpha| * sum of |a b| + |beta c|). SCRATCH is 64-byte aligned. Any number of
 * threads at once, each with a scratch of its own. Hot path.
 */
void gyr_product_run(const struct gyr_product *product, const void *a, const void *b, const void *c, void *y, void *scratch);

#endif
