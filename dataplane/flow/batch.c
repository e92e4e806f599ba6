#include "dataplane/flow/batch.h"

#include "base/assertion.h"

#define EFFICIENT_PART 10u /* by so much of the best may a row cost more */
#define SPLIT_GAIN 16u     /* splitting must save this part of the time: it is more work than the plan's run */

void gyr_batch_cuts(const uint64_t cost[GYR_BATCH_SIZES], uint32_t rows_max, uint8_t cuts[GYR_BATCH_ROWS_MAX + 1])
{
	uint64_t best[GYR_BATCH_ROWS_MAX + 1] = {0};
	GYR_ASSERT(rows_max <= GYR_BATCH_ROWS_MAX);
	for (uint32_t rows = 1, up = 0; rows <= rows_max; rows++) {
		if (rows > 1u << up)
			up++;
		best[rows] = cost[up];
		cuts[rows] = (uint8_t)rows;
		if (rows == 1u << up)
			continue;
		uint32_t down = 1u << (up - 1);
		uint64_t split = cost[up - 1] + best[rows - down];
		if (split + split / SPLIT_GAIN < cost[up]) {
			best[rows] = split;
			cuts[rows] = (uint8_t)down;
		}
	}
}

uint32_t gyr_batch_efficient(const uint64_t cost[GYR_BATCH_SIZES], uint32_t rows_max)
{
	uint32_t best = 0, size = 0;
	/* Of one row each, times 64, so that whole numbers tell them apart. */
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; 1u << i <= rows_max; i++) {
		uint64_t row = cost[i] * GYR_BATCH_ROWS_MAX >> i;
		least = row < least ? row : least;
		best = i;
	}
	while (size < best && cost[size] * GYR_BATCH_ROWS_MAX >> size > least + least / EFFICIENT_PART)
		size++;
	return 1u << size;
}

uint32_t gyr_batch_turn(const uint64_t cost[GYR_BATCH_SIZES], uint32_t rows_max, uint64_t time)
{
	uint32_t rows = gyr_batch_efficient(cost, rows_max);
	for (uint32_t i = 0; 1u << i <= rows_max; i++) {
		if (1u << i > rows && cost[i] <= time)
			rows = 1u << i;
	}
	return rows;
}
