/*
 * Walking trees: see walk_internal.h for the layout, walk_layout.c for how it is made.
 */
#include "engine/kernel/walk.h"

#include <string.h>

#include "engine/kernel/walk_internal.h"
#include "engine/ref/unaligned.h"

#define CHECK_STEPS 4u /* ragged groups look this often */

/* One step from AT, a node of either form, with the keys at KEYS. SCALE: keys of one row are that many apart. */
static inline __attribute__((always_inline)) const walk_narrow *step_narrow(const walk_narrow *at, const char *keys, size_t scale)
{
	uint64_t node = *at, key;
	int64_t way = ((const int16_t *)(const void *)at)[1];
	memcpy(&key, keys + (node & 0xffff) * scale, sizeof key);
	return at + (way + (node < key));
}

static inline __attribute__((always_inline)) const struct walk_wide *step_wide(const struct walk_wide *at, const char *keys, size_t scale)
{
	uint64_t key;
	memcpy(&key, keys + (at->top & UINT32_MAX) * scale, sizeof key);
	return at + ((int64_t)at->way + (at->top < key));
}

static inline uint64_t top_narrow(const walk_narrow *node)
{
	return *node;
}

static inline uint64_t top_wide(const struct walk_wide *node)
{
	return node->top;
}

static inline int64_t way_narrow(const walk_narrow *node)
{
	return ((const int16_t *)(const void *)node)[1];
}

static inline int64_t way_wide(const struct walk_wide *node)
{
	return node->way;
}

/*
 * Walks WALK_LANES lanes in step from AT until all have arrived at their leaves, and gives what those hold. Lane i reads the keys at KEYS + i * apart.
 */
#define WALK_LANES_IN_STEP(name, type, step, top, way)                                                                                                         \
	static inline __attribute__((always_inline)) void name(const type *at[WALK_LANES], const struct walk_group *group, const char *keys, size_t scale,     \
							       size_t apart, uint32_t held[WALK_LANES])                                                        \
	{                                                                                                                                                      \
		const type *a = at[0], *b = at[1], *c = at[2], *d = at[3], *e = at[4], *f = at[5], *g = at[6], *h = at[7];                                     \
		for (uint32_t left = group->steps; left > 0; left--) {                                                                                         \
			a = step(a, keys, scale);                                                                                                              \
			b = step(b, keys + apart, scale);                                                                                                      \
			c = step(c, keys + 2 * apart, scale);                                                                                                  \
			d = step(d, keys + 3 * apart, scale);                                                                                                  \
			e = step(e, keys + 4 * apart, scale);                                                                                                  \
			f = step(f, keys + 5 * apart, scale);                                                                                                  \
			g = step(g, keys + 6 * apart, scale);                                                                                                  \
			h = step(h, keys + 7 * apart, scale);                                                                                                  \
			if (group->ragged && left % CHECK_STEPS == 0 && (way(a) | way(b) | way(c) | way(d) | way(e) | way(f) | way(g) | way(h)) == 0)          \
				break;                                                                                                                         \
		}                                                                                                                                              \
		const type *arrived[WALK_LANES] = {a, b, c, d, e, f, g, h};                                                                                    \
		for (uint32_t lane = 0; lane < WALK_LANES; lane++)                                                                                             \
			held[lane] = (uint32_t)(top(arrived[lane]) >> 32);                                                                                     \
	}
WALK_LANES_IN_STEP(lanes_narrow, walk_narrow, step_narrow, top_narrow, way_narrow)
WALK_LANES_IN_STEP(lanes_wide, struct walk_wide, step_wide, top_wide, way_wide)

static inline float weight_of(uint32_t held)
{
	float weight;
	memcpy(&weight, &held, sizeof weight);
	return weight;
}

/* Adds what a leaf holds to the sums of one row. */
static inline void add_leaf(const struct gyr_walk *walk, uint32_t held, float *sums)
{
	if (walk->leaves == WALK_ROWS_OF_WEIGHTS) {
		const float *weights = walk->weights + (size_t)held * walk->targets;
		for (uint32_t i = 0; i < walk->targets; i++)
			sums[i] += weights[i];
		return;
	}
	for (uint32_t i = walk->entries_at[held]; i < walk->entries_at[held + 1]; i++)
		sums[walk->entries[i].target] += (float)walk->entries[i].weight;
}

/* One row: a group's trees walk in step, while the roots of the next come nearer. With one target their weights are added up lane by lane. */
#define ROW(name, type, lanes, member)                                                                                                                         \
	static void name(const struct gyr_walk *walk, const char *keys, float *sums)                                                                           \
	{                                                                                                                                                      \
		bool simple = walk->leaves == WALK_VALUES && walk->targets == 1;                                                                               \
		float parts[WALK_LANES] = {0};                                                                                                                 \
		uint32_t held[WALK_LANES];                                                                                                                     \
		for (uint32_t g = 0; g < walk->group_count; g++) {                                                                                             \
			const struct walk_group *group = &walk->groups[g];                                                                                     \
			const type *at[WALK_LANES];                                                                                                            \
			for (uint32_t lane = 0; lane < WALK_LANES; lane++) {                                                                                   \
				at[lane] = walk->member + group->roots[lane];                                                                                  \
				__builtin_prefetch(walk->member + group[1].roots[lane]);                                                                       \
			}                                                                                                                                      \
			lanes(at, group, keys, 1, 0, held);                                                                                                    \
			if (simple) {                                                                                                                          \
				for (uint32_t lane = 0; lane < WALK_LANES; lane++)                                                                             \
					parts[lane] += weight_of(held[lane]);                                                                                  \
				continue;                                                                                                                      \
			}                                                                                                                                      \
			for (uint32_t lane = 0; lane < WALK_LANES; lane++) {                                                                                   \
				if (walk->leaves != WALK_VALUES)                                                                                               \
					add_leaf(walk, held[lane], sums);                                                                                      \
				else                                                                                                                           \
					sums[group->targets[lane]] += weight_of(held[lane]);                                                                   \
			}                                                                                                                                      \
		}                                                                                                                                              \
		for (uint32_t lane = 0; lane < WALK_LANES; lane++)                                                                                             \
			sums[0] += parts[lane];                                                                                                                \
	}
ROW(row_narrow, walk_narrow, lanes_narrow, narrow)
ROW(row_wide, struct walk_wide, lanes_wide, wides)

/* WALK_LANES rows at a time walk the same tree in step; a tree serves all rows while it is in the cache. */
#define BLOCKS(name, type, lanes, member)                                                                                                                      \
	static void name(const struct gyr_walk *walk, const char *keys, size_t blocks, float *sums)                                                            \
	{                                                                                                                                                      \
		uint32_t held[WALK_LANES];                                                                                                                     \
		for (uint32_t tree = 0; tree < walk->group_count * WALK_LANES; tree++) {                                                                       \
			const struct walk_group *group = &walk->groups[tree / WALK_LANES];                                                                     \
			const type *root = walk->member + group->roots[tree % WALK_LANES];                                                                     \
			uint32_t target = group->targets[tree % WALK_LANES];                                                                                   \
			for (size_t block = 0; block < blocks; block++) {                                                                                      \
				const type *at[WALK_LANES] = {root, root, root, root, root, root, root, root};                                                 \
				float *own = sums + block * WALK_LANES * walk->targets;                                                                        \
				lanes(at, group, keys + block * walk->slots * WALK_LANES * sizeof(uint64_t), WALK_LANES, sizeof(uint64_t), held);              \
				for (uint32_t lane = 0; lane < WALK_LANES; lane++) {                                                                           \
					if (walk->leaves != WALK_VALUES)                                                                                       \
						add_leaf(walk, held[lane], own + lane * walk->targets);                                                        \
					else                                                                                                                   \
						own[lane * walk->targets + target] += weight_of(held[lane]);                                                   \
				}                                                                                                                              \
			}                                                                                                                                      \
		}                                                                                                                                              \
	}
BLOCKS(blocks_narrow, walk_narrow, lanes_narrow, narrow)
BLOCKS(blocks_wide, struct walk_wide, lanes_wide, wides)

/* The key of a float's bits, in the upper half; NaN as INSTEAD. */
static inline uint64_t key_of(uint32_t bits, uint32_t instead)
{
	uint32_t size = bits & 0x7fffffffu;
	uint32_t key = 0x80000000u + (bits >> 31 != 0 ? -size : size);
	return (uint64_t)(size > 0x7f800000u ? instead : key) << 32;
}

static inline __attribute__((always_inline)) uint32_t bits_at(enum gyr_dtype dtype, const void *x, size_t i)
{
	float value;
	uint32_t bits;
	if (dtype == GYR_DTYPE_F32)
		return ((const gyr_u32_u *)x)[i];
	value = dtype == GYR_DTYPE_I32 ? (float)((const gyr_i32_u *)x)[i] : (float)((const gyr_i64_u *)x)[i];
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* The keys of one row, each APART from the next. */
static inline __attribute__((always_inline)) void make_keys_of(const struct gyr_walk *walk, enum gyr_dtype dtype, const void *x, size_t row, size_t apart,
							       uint64_t *keys)
{
	size_t first = row * walk->features;
	for (size_t i = 0; i < walk->features; i++)
		keys[i * apart] = key_of(bits_at(dtype, x, first + i), UINT32_MAX);
	keys[walk->features * apart] = 0;
	for (size_t i = 0; walk->missing && i < walk->features; i++)
		keys[(walk->features + 1 + i) * apart] = key_of(bits_at(dtype, x, first + i), 0);
}

static void make_keys(const struct gyr_walk *walk, enum gyr_dtype dtype, const void *x, size_t row, size_t apart, uint64_t *keys)
{
	switch (dtype) {
	case GYR_DTYPE_F32: make_keys_of(walk, GYR_DTYPE_F32, x, row, apart, keys); break;
	case GYR_DTYPE_I32: make_keys_of(walk, GYR_DTYPE_I32, x, row, apart, keys); break;
	default: make_keys_of(walk, GYR_DTYPE_I64, x, row, apart, keys); break;
	}
}

/* Whole blocks of rows, and rows one by one in a scratch of their own. */
static size_t blocks_of(size_t rows)
{
	return rows / WALK_LANES;
}

size_t gyr_walk_scratch(const struct gyr_walk *walk, size_t rows)
{
	size_t blocks = blocks_of(rows < GYR_WALK_ROWS ? rows : GYR_WALK_ROWS);
	return (blocks == 0 ? 1 : blocks * WALK_LANES) * walk->slots * sizeof(uint64_t);
}

void gyr_walk_sums(const struct gyr_walk *walk, enum gyr_dtype x_dtype, const void *x, size_t from, size_t rows, void *scratch, float *sums)
{
	uint64_t *keys = scratch;
	size_t blocks = blocks_of(rows);
	memset(sums, 0, rows * walk->targets * sizeof *sums);
	for (size_t row = 0; row < blocks * WALK_LANES; row++)
		make_keys(walk, x_dtype, x, from + row, WALK_LANES, keys + row / WALK_LANES * WALK_LANES * walk->slots + row % WALK_LANES);
	if (blocks != 0 && walk->wide)
		blocks_wide(walk, scratch, blocks, sums);
	else if (blocks != 0)
		blocks_narrow(walk, scratch, blocks, sums);
	for (size_t row = blocks * WALK_LANES; row < rows; row++) {
		make_keys(walk, x_dtype, x, from + row, 1, keys);
		if (walk->wide)
			row_wide(walk, scratch, sums + row * walk->targets);
		else
			row_narrow(walk, scratch, sums + row * walk->targets);
	}
}
