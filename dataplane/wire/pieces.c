#include "dataplane/wire/pieces.h"

#include <string.h>

#define WORD_BITS 64u

/* 64-bit sums, as a message may be 2^32 - 1 bytes long. */
static uint32_t grains_of(uint32_t bytes)
{
	return (uint32_t)(((uint64_t)bytes + GYR_PIECES_GRAIN - 1) / GYR_PIECES_GRAIN);
}

size_t gyr_pieces_bytes(uint32_t total)
{
	return ((size_t)grains_of(total) + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t);
}

void gyr_pieces_init(struct gyr_pieces *pieces, uint64_t *bits, uint32_t total)
{
	*pieces = (struct gyr_pieces){.bits = bits, .total = total, .left = grains_of(total)};
	memset(bits, 0, gyr_pieces_bytes(total));
}

/* The bits from FIRST on, COUNT (1 to 64) of them, within one word. */
static uint64_t mask_of(uint32_t first, uint32_t count)
{
	return UINT64_MAX >> (WORD_BITS - count) << first;
}

/* Sets the range to THERE; how many grains changed. */
static uint32_t change(struct gyr_pieces *pieces, uint32_t offset, uint32_t bytes, bool there)
{
	uint32_t at = offset / GYR_PIECES_GRAIN, end = at + grains_of(bytes), changed = 0;
	while (at < end) {
		uint32_t first = at % WORD_BITS, count = end - at < WORD_BITS - first ? end - at : WORD_BITS - first;
		uint64_t *word = &pieces->bits[at / WORD_BITS], mask = mask_of(first, count), after = there ? *word | mask : *word & ~mask;
		changed += (uint32_t)__builtin_popcountll(*word ^ after);
		*word = after;
		at += count;
	}
	return changed;
}

uint32_t gyr_pieces_add(struct gyr_pieces *pieces, uint32_t offset, uint32_t bytes)
{
	uint32_t added = change(pieces, offset, bytes, true);
	pieces->left -= added;
	return added;
}

uint32_t gyr_pieces_remove(struct gyr_pieces *pieces, uint32_t offset, uint32_t bytes)
{
	uint32_t removed = change(pieces, offset, bytes, false);
	pieces->left += removed;
	return removed;
}

/* The first grain from AT on whose bit is VALUE; GRAINS when there is none. */
static uint32_t find(const uint64_t *bits, uint32_t at, uint32_t grains, bool value)
{
	while (at < grains) {
		uint64_t word = (value ? bits[at / WORD_BITS] : ~bits[at / WORD_BITS]) >> at % WORD_BITS;
		if (word != 0) {
			at += (uint32_t)__builtin_ctzll(word);
			return at < grains ? at : grains;
		}
		at += WORD_BITS - at % WORD_BITS;
	}
	return grains;
}

bool gyr_pieces_next_missing(const struct gyr_pieces *pieces, uint32_t from, struct gyr_wire_range *range)
{
	uint32_t grains = grains_of(pieces->total), first = find(pieces->bits, from / GYR_PIECES_GRAIN, grains, false);
	if (first == grains)
		return false;
	uint32_t end = find(pieces->bits, first, grains, true);
	range->offset = first * GYR_PIECES_GRAIN;
	range->bytes = (end == grains ? pieces->total : end * GYR_PIECES_GRAIN) - range->offset;
	return true;
}
