/*
 * How many of the rows that wait are computed together. A plan computes only powers of two, so 33 rows are computed as 64, or as 32 and then 1: what is quicker
 * by the times that were measured. Pure.
 */
#ifndef GYR_DATAPLANE_FLOW_BATCH_H
#define GYR_DATAPLANE_FLOW_BATCH_H

#include <stdint.h>

#define GYR_BATCH_SIZES 7u /* 1, 2, 4, ... 64 rows */
#define GYR_BATCH_ROWS_MAX (1u << (GYR_BATCH_SIZES - 1))

/*
 * Fills CUTS[r] for r from 1 to ROWS_MAX (a power of two, at most GYR_BATCH_ROWS_MAX) with how many rows to compute first of r: r itself (padded), or the power
 * of two below. COST[i] is the time that 2^i rows take.
 */
void gyr_batch_cuts(const uint64_t cost[GYR_BATCH_SIZES], uint32_t rows_max, uint8_t cuts[GYR_BATCH_ROWS_MAX + 1]);

/* The least number of rows at which a row costs at most a tenth more than at the best: what must wait for a plan to be run as fast as it can be. COST and
 * ROWS_MAX as above. */
uint32_t gyr_batch_efficient(const uint64_t cost[GYR_BATCH_SIZES], uint32_t rows_max);

/* The most rows that are computed together, so that the next requests, and other models, do not wait for what hardly anybody gains by: the efficient ones, or as
 * many as take no longer than TIME. */
uint32_t gyr_batch_turn(const uint64_t cost[GYR_BATCH_SIZES], uint32_t rows_max, uint64_t time);

#endif
