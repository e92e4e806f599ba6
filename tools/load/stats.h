/* What was seen. */
#ifndef GYR_TOOLS_LOAD_STATS_H
#define GYR_TOOLS_LOAD_STATS_H

#include "base/histogram.h"
#include "tools/load/load.h"

#define LOAD_VERSIONS_MAX 16u /* of one kind; the last place is shared by all beyond */

struct load_version {
	uint64_t version, answers;
	uint64_t right, wrong;           /* of those that were judged */
	struct gyr_histogram round_trip; /* open loop: from the time that the question was due */
};

/* Of one kind; the warm-up counts in none of these but lost. */
struct load_kind_stats {
	uint64_t asked;                           /* distinct questions */
	uint64_t lost;                            /* no answer to any attempt */
	uint64_t malformed;                       /* answers that wire.h refuses, or of another type than asked for */
	uint64_t put_off;                         /* BUSY answers after which the same question was asked again (--backoff) */
	uint64_t errors[GYR_WIRE_CODE_COUNT + 1]; /* by code; the last counts codes that we do not know */
	uint64_t newest;                          /* version that has answered */
	uint64_t went_back;                       /* answers by an older version than one that had answered before they were asked for */
	uint32_t version_count;
	struct load_version versions[LOAD_VERSIONS_MAX]; /* an echo's is 0 */
};

struct load_stats {
	uint64_t resent;                /* datagrams sent beyond the first of each question */
	uint64_t doubled;               /* answers beyond one for each datagram sent */
	uint64_t stray;                 /* datagrams that answer no question of ours */
	uint64_t rejected;              /* frames with a wrong length, address or checksum (DPDK) */
	uint64_t unsent;                /* datagrams for which the port or the socket had no room */
	uint64_t crowded;               /* questions given up before their time, because in_flight were under way when the next was due */
	uint64_t elapsed_ns;            /* first question to last answer or last question, whichever is later, without the warm-up */
	uint64_t asking_ns;             /* first question to the last, the same */
	bool stable;                    /* ended by until_stable */
	struct gyr_histogram late;      /* open loop: from when a question was due until it was sent */
	struct gyr_histogram timing[3]; /* as of gyr_wire_message.timing_ns */
	uint32_t kind_count;
	struct load_kind_stats kinds[];
};

/* All of KIND, or of all kinds with KIND UINT32_MAX. */
struct load_sum {
	uint64_t asked, answered, lost, malformed, put_off, busy, refused; /* refused: by another error than BUSY */
	uint64_t right, wrong, went_back;
	uint64_t errors[GYR_WIRE_CODE_COUNT + 1];
	struct gyr_histogram round_trip;
};
void load_stats_sum(const struct load_stats *stats, uint32_t kind, struct load_sum *sum);

/* The place of version NUMBER in KIND, taken where it is new. */
uint32_t load_version_place(struct load_kind_stats *kind, uint64_t number);

/* Nothing lost, doubled, malformed, refused or wrong, and something answered; with --until-version: that version has answered. */
bool load_is_clean(const struct load_options *options, const struct load_stats *stats);
bool load_has_answered(const struct load_options *options, const struct load_stats *stats);

/* Empty ones for KINDS; NULL: no memory. free() ends it. */
struct load_stats *load_stats_make(uint32_t kinds);
void load_stats_clear(struct load_stats *stats);

#endif
