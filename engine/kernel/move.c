/*
 * Moving elements: see move.h.
 */
#include "engine/kernel/move.h"

#include <stdbool.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/kernel/turn.h"

void gyr_move_add(struct gyr_move *move, size_t dim, ptrdiff_t from_step, ptrdiff_t to_step)
{
	GYR_ASSERT(move->rank < GYR_MOVE_RANK_MAX);
	move->dims[move->rank] = dim;
	move->from_steps[move->rank] = from_step;
	move->to_steps[move->rank++] = to_step;
}

void gyr_move_simplify(struct gyr_move *move)
{
	uint32_t rank = 0;
	for (uint32_t i = 0; i < move->rank; i++) {
		ptrdiff_t dim = (ptrdiff_t)move->dims[i], from = move->from_steps[i], to = move->to_steps[i];
		if (dim == 1)
			continue;
		if (rank > 0 && move->from_steps[rank - 1] == from * dim && move->to_steps[rank - 1] == to * dim)
			move->dims[--rank] *= (size_t)dim;
		else
			move->dims[rank] = (size_t)dim;
		move->from_steps[rank] = from;
		move->to_steps[rank++] = to;
	}
	move->rank = rank;
	if (rank > 0 && move->from_steps[rank - 1] == (ptrdiff_t)move->bytes && move->to_steps[rank - 1] == (ptrdiff_t)move->bytes)
		move->bytes *= move->dims[--move->rank];
}

/* COUNT elements in one dimension. Of a constant size, a copy is one load and one store. */
static void along(size_t bytes, size_t count, const char *restrict from, ptrdiff_t from_step, char *restrict to, ptrdiff_t to_step)
{
#define COPY(size)                                                                                                                                             \
	for (ptrdiff_t i = 0; i < (ptrdiff_t)count; i++)                                                                                                       \
	memcpy(to + i * to_step, from + i * from_step, (size))
	switch (bytes) {
	case 1: COPY(1); break;
	case 2: COPY(2); break;
	case 4: COPY(4); break;
	case 8: COPY(8); break;
	case 16: COPY(16); break;
	default: COPY(bytes); break;
	}
#undef COPY
}

/* Whether the last two dimensions of MOVE, of four bytes an element, are a matrix that is turned. */
static bool turns(const struct gyr_move *move)
{
	const uint32_t i = move->rank - 2, j = move->rank - 1;
	return move->rank >= 2 && move->bytes == 4 && move->from_steps[i] == 4 && move->to_steps[j] == 4 && move->from_steps[j] > 0 && move->to_steps[i] > 0 &&
	       move->from_steps[j] % 4 == 0 && move->to_steps[i] % 4 == 0;
}

void gyr_kernel_move(const struct gyr_move *move, const void *from, void *to)
{
	const char *source = (const char *)from + move->from;
	char *target = (char *)to + move->to;
	size_t at[GYR_MOVE_RANK_MAX] = {0};
	if (move->rank == 0) {
		memcpy(target, source, move->bytes);
		return;
	}
	for (uint32_t i = 0; i < move->rank; i++)
		if (move->dims[i] == 0)
			return;
	const bool matrix = turns(move);
	const uint32_t last = move->rank - 1, inner = matrix ? last - 1 : last; /* from the dimension INNER on it goes in one call */
	for (;;) {
		if (matrix)
			gyr_kernel_turn(move->dims[last], move->dims[inner], 1, source, (size_t)move->from_steps[last] / 4, target,
					(size_t)move->to_steps[inner] / 4);
		else
			along(move->bytes, move->dims[inner], source, move->from_steps[inner], target, move->to_steps[inner]);
		uint32_t i = inner;
		for (; i > 0; i--) {
			source += move->from_steps[i - 1];
			target += move->to_steps[i - 1];
			if (++at[i - 1] < move->dims[i - 1])
				break;
			source -= move->from_steps[i - 1] * (ptrdiff_t)move->dims[i - 1];
			target -= move->to_steps[i - 1] * (ptrdiff_t)move->dims[i - 1];
			at[i - 1] = 0;
		}
		if (i == 0)
			return;
	}
}
