/*
 * What the files of kernel families share. Inside engine/kernel.
 */
#ifndef GYR_ENGINE_KERNEL_FAMILY_H
#define GYR_ENGINE_KERNEL_FAMILY_H

#include "engine/kernel/kernel.h"
#include "engine/model/infer.h"

struct kernel_row {
	enum gyr_op op;
	gyr_prepare_fn *prepare;
};

struct kernel_family {
	const struct kernel_row *rows;
	uint32_t count;
};

/* Every family, kernel_family_NAME; one a line, sorted. */
#define KERNEL_FAMILIES(X)                                                                                                                                     \
	X(arrange)                                                                                                                                             \
	X(attention)                                                                                                                                           \
	X(choose)                                                                                                                                              \
	X(convolution)                                                                                                                                         \
	X(einsum)                                                                                                                                              \
	X(elementwise)                                                                                                                                         \
	X(filling)                                                                                                                                             \
	X(indexing)                                                                                                                                            \
	X(integer)                                                                                                                                             \
	X(labels)                                                                                                                                              \
	X(last)                                                                                                                                                \
	X(loss)                                                                                                                                                \
	X(matrix)                                                                                                                                              \
	X(ml)                                                                                                                                                  \
	X(movement)                                                                                                                                            \
	X(normalise)                                                                                                                                           \
	X(quantise)                                                                                                                                            \
	X(recurrent)                                                                                                                                           \
	X(reduce)                                                                                                                                              \
	X(resize)                                                                                                                                              \
	X(sample)                                                                                                                                              \
	X(signal)                                                                                                                                              \
	X(square)                                                                                                                                              \
	X(trees)

#define KERNEL_FAMILY_DECLARE(name) extern const struct kernel_family kernel_family_##name;
KERNEL_FAMILIES(KERNEL_FAMILY_DECLARE)
#undef KERNEL_FAMILY_DECLARE

#define KERNEL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Room for params: BYTES zeroed, which prepare->params then points at. NULL with the error set. */
void *kernel_params(struct gyr_prepare *prepare, size_t bytes);
#define KERNEL_PARAMS(prepare, type) ((type *)kernel_params((prepare), sizeof(type)))

/* The shape of input INDEX, or NULL where it is left out or beyond the last. */
const struct gyr_shape *kernel_input(const struct gyr_prepare *prepare, uint32_t index);

/* What an inference function takes, for the node that is prepared, so that a kernel reads attributes and contents as inference did; its OUTPUTS go there. */
struct gyr_infer kernel_infer(const struct gyr_prepare *prepare, struct gyr_shape *outputs);

/* The number of elements of SHAPE, and of its dimensions [FROM, TO). It was counted before, so nothing overflows. */
size_t kernel_count(const struct gyr_shape *shape);
size_t kernel_product(const struct gyr_shape *shape, uint32_t from, uint32_t to);

/* -ENOTSUP where SHAPE is not f32. */
GYR_MUST_CHECK int kernel_need_f32(struct gyr_prepare *prepare, const struct gyr_shape *shape);

/* For an operator whose result depends on shapes alone: CONTENT (BYTES of it, copied) is what running gives in output 0. */
GYR_MUST_CHECK int kernel_prepare_content(struct gyr_prepare *prepare, const void *content, size_t bytes);

#endif
