/*
 * The counters' shared memory: the data plane writes it, gyrd maps it read-only (it comes with the answer to GYR_LINK_STATS) and reads it at any time, without
 * a word to the data plane. A memfd of fixed size, sealed: it neither grows nor shrinks, and is handed on by a descriptor that only reads. It survives its
 * writer.
 *
 * It describes itself, so that a reader knows no counter by heart and one built before a counter was added shows it too: a header, tables, fields with names
 * and help, then the slots. Offsets are bytes from the start; there are no pointers. Everything is little-endian.
 *
 *     header | tables | fields | of one table after the other: states, slots
 *     slot:  head (what it is of: texts and numbers), then lane_count lanes (what was counted), each the work of one writer
 *
 * A counter is a 64-bit word that one thread writes with relaxed stores and anybody reads; a histogram is GYR_HISTOGRAM_BUCKETS of them and a sum elsewhere in
 * its lane. The value of a slot is the sum over its lanes. A slot's state is odd while it is in use, and changes whenever what it is of does:
 *
 *     writer   state even, fence (W1); words; state odd (W2)
 *     reader   state odd (R2 pairs with W2); words; fence (R1 pairs with W1), state the same? else nothing was read
 *
 * Memory is taken when a slot is, and given back with it; what no slot uses takes none. A reader must not touch slots whose state is even: that takes memory.
 * No DPDK. Writing: one thread for slots (gyr_stats_take, show, release), the lanes' owners for what lies in them.
 */
#ifndef GYR_DATAPLANE_LINK_STATS_H
#define GYR_DATAPLANE_LINK_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"

#define GYR_STATS_MAGIC UINT64_C(0x3153544154535947) /* "GYSTATS1" */
#define GYR_STATS_VERSION 1u                         /* of this layout; names of counters come and go without it */
#define GYR_STATS_TABLES_MAX 16u
#define GYR_STATS_FIELDS_MAX 128u   /* of one table */
#define GYR_STATS_HISTOGRAMS_MAX 8u /* of one table */
#define GYR_STATS_HEAD_BYTES_MAX 1024u
#define GYR_STATS_LANES_MAX (1u << 20) /* of all slots of all tables */
#define GYR_STATS_LANE_ALIGN 128u /* a cache line and the one that the CPU fetches with it: no two writers share one */

enum gyr_stats_kind {
	GYR_STATS_TEXT = 1,  /* head: BYTES bytes, zero-terminated */
	GYR_STATS_NUMBER,    /* head: a word */
	GYR_STATS_COUNTER,   /* lane: only ever grows */
	GYR_STATS_GAUGE,     /* lane: how much there is now */
	GYR_STATS_CYCLES,    /* lane: grows, in cycles of the header's cycles_per_s; named and shown as nanoseconds */
	GYR_STATS_HISTOGRAM, /* lane: GYR_HISTOGRAM_BUCKETS counters of nanoseconds, the sum at SUM_OFFSET of the lane */
};

struct gyr_stats_field {
	char name[40];  /* what it is called wherever it is shown; never changes its meaning */
	char help[128]; /* in a few words */
	uint32_t kind;  /* enum gyr_stats_kind */
	uint32_t offset, bytes, sum_offset;
};

struct gyr_stats_table {
	char name[24];
	uint32_t slot_count, lane_count;
	uint32_t field_first, field_count; /* each table's follow those of the table before */
	uint64_t states_at;            /* slot_count words */
	uint64_t slots_at, slot_bytes; /* head_bytes + lane_count * lane_bytes */
	uint64_t head_bytes, lane_bytes;
};

struct gyr_stats_header {
	uint64_t magic;
	uint32_t version, histogram_sub_bits, histogram_bits_max, table_count;
	uint64_t bytes; /* of all */
	uint64_t pid, started_ns, cycles_per_s;
	uint64_t tables_at, fields_at;
	uint32_t table_bytes, field_bytes, field_count, unused;
};

/* --- the writer's end --- */

/* One table to be made. A lane's size is rounded up to GYR_STATS_LANE_ALIGN, a large one's to pages. */
struct gyr_stats_plan {
	const char *name;
	uint32_t slot_count, lane_count;
	uint32_t head_bytes, lane_bytes; /* at least what the fields say; multiples of 8 */
	uint32_t field_count;
	const struct gyr_stats_field *fields;
};

struct gyr_stats;

/* Makes the memory for COUNT tables, all slots free. -ENOMEM, or what memfd_create, ftruncate, mmap and fcntl give. */
GYR_MUST_CHECK int gyr_stats_create(const struct gyr_stats_plan *plans, uint32_t count, uint64_t cycles_per_s, struct gyr_stats **stats,
				    struct gyr_error *error);
void gyr_stats_destroy(struct gyr_stats *stats); /* NULL is fine; readers keep what they have mapped */

/* A descriptor that reads the memory, to be passed on; STATS keeps it. */
int gyr_stats_descriptor(const struct gyr_stats *stats);

/* Takes a free slot of table TABLE, all zero and all in memory, not shown yet. Its index, or -ENOSPC. */
GYR_MUST_CHECK int gyr_stats_take(struct gyr_stats *stats, uint32_t table);
/* Fills in the head (as many bytes as the plan said) and shows the slot to readers. */
void gyr_stats_show(struct gyr_stats *stats, uint32_t table, int slot, const void *head);
/* Nobody writes its lanes any more: takes it from readers and gives the memory back. */
void gyr_stats_release(struct gyr_stats *stats, uint32_t table, int slot);

/* Lane LANE of a slot that was taken; where the lane's size is a multiple of GYR_STATS_LANE_ALIGN and below a page, the next lane follows it as in an array. */
void *gyr_stats_lane(const struct gyr_stats *stats, uint32_t table, int slot, uint32_t lane);

/* --- the reader's end --- */

struct gyr_stats_view;

/* What was read of a slot, summed over lanes. Large: not for a stack. */
struct gyr_stats_reading {
	_Alignas(8) uint8_t head[GYR_STATS_HEAD_BYTES_MAX];
	uint64_t values[GYR_STATS_FIELDS_MAX];                     /* by field of the table; numbers of the head too, cycles as nanoseconds */
	struct gyr_histogram histograms[GYR_STATS_HISTOGRAMS_MAX]; /* in the order of the table's fields of that kind */
};

/*
 * Maps what DESCRIPTOR (the caller closes it) holds. Anything may be in it: whatever does not fit together is refused, and nothing that is written to it later
 * makes a read go astray. -EINVAL: it is no memfd sealed against shrinking; -EBADMSG: not this layout, with what is wrong; -ENOMEM, or what mmap gives.
 */
GYR_MUST_CHECK int gyr_stats_view_open(int descriptor, struct gyr_stats_view **view, struct gyr_error *error);
void gyr_stats_view_close(struct gyr_stats_view *view); /* NULL is fine */

const struct gyr_stats_header *gyr_stats_view_header(const struct gyr_stats_view *view);
/* The table of that name or NULL; table I, NULL behind the last. */
const struct gyr_stats_table *gyr_stats_view_find(const struct gyr_stats_view *view, const char *name);
const struct gyr_stats_table *gyr_stats_view_table(const struct gyr_stats_view *view, uint32_t i);
/* The first of a table's field_count fields. */
const struct gyr_stats_field *gyr_stats_view_fields(const struct gyr_stats_view *view, const struct gyr_stats_table *table);

/*
 * Reads slot SLOT of TABLE, lanes LANE_FIRST up to but not LANE_END (cut to what there is), its histograms only where asked for. False: the slot is not in
 * use, or it changed meanwhile. About 3 us for each histogram of a lane.
 */
GYR_MUST_CHECK bool gyr_stats_view_read(const struct gyr_stats_view *view, const struct gyr_stats_table *table, uint32_t slot, uint32_t lane_first,
					uint32_t lane_end, bool histograms, struct gyr_stats_reading *reading);

/* Slots of TABLE that are in use now. */
uint32_t gyr_stats_view_used(const struct gyr_stats_view *view, const struct gyr_stats_table *table);

/* A field of a reading by its name: its value, or its text; 0 and "" where TABLE has no such field. */
uint64_t gyr_stats_value(const struct gyr_stats_view *view, const struct gyr_stats_table *table, const struct gyr_stats_reading *reading, const char *name);
const char *gyr_stats_text(const struct gyr_stats_view *view, const struct gyr_stats_table *table, const struct gyr_stats_reading *reading, const char *name);

#endif
