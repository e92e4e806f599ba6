#include "dataplane/flow/batch.h"

#include "base/assertion.h"

#define SPLIT_GAIN 16u /* splitting must save this part of the time: it is more work than the plan's run */

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
