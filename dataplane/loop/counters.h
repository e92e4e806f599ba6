/*
 * What the data plane counts, in the shared memory of dataplane/link/stats.h. To add a counter, add a line to one of the lists: it is then shown, under its
 * name, by gyrctl stats and gyrctl status, and described in docs/OPERATIONS.md. Each word has one writer, named with its struct; adding costs a load, an add
 * and a store (gyr_counter_add).
 *
 * What must add up, whenever nothing is under way (docs/OPERATIONS.md):
 *     rx.frames of all queues  = net.* of all lcores: a frame has one outcome
 *     net.datagram             = answer.* of all lcores: a datagram has one answer, or one reason why it gets none
 *     answer.result            = requests of all versions, and retired.requests
 *     answer.late              = late of all versions, and retired.late, but for those withheld
 *     answer.CODE              = refused.CODE of all versions and models, those of retired.refused, and refusals before a model was known, but for those
 *                                withheld: a version or model counts what it refused also when its sender may not even be told so
 *     tx.frames + send.dropped = answer.* but none, withheld, piece, no_room and missing, replies of net.* (names that end so), and send.unasked,
 *                                and large.sent, large.asked and large.told, less large.answers: an answer in pieces has one frame for each
 */
#ifndef GYR_DATAPLANE_LOOP_COUNTERS_H
#define GYR_DATAPLANE_LOOP_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/histogram.h"
#include "dataplane/link/stats.h"
#include "dataplane/net/net.h"
#include "dataplane/wire/wire.h"

/* What became of a datagram for us: exactly one of these, beside those under way. Error codes of the wire come first, under their own numbers. */
enum gyr_answer {
	GYR_ANSWER_RESULT = GYR_WIRE_OK,
	GYR_ANSWER_DESCRIPTION = GYR_WIRE_CODE_COUNT,
	GYR_ANSWER_PONG,
	GYR_ANSWER_WITHHELD, /* not even an error without words would have been as short as the question of a client that is not trusted */
	GYR_ANSWER_LATE,     /* computed, but not before its deadline: answered like one that was not begun */
	GYR_ANSWER_NONE,     /* an answer sent to us, or nothing that carries an id */
	GYR_ANSWER_PIECE,    /* of a question that is not whole yet, or was whole before */
	GYR_ANSWER_NO_ROOM,  /* a piece of a question that there was no room for */
	GYR_ANSWER_MISSING,  /* asked for pieces of an answer again */
	GYR_ANSWERS
};

/* "result", "bad_shape", "pong", ...: the names of the counters. */
const char *gyr_answer_name(enum gyr_answer answer);

/* The parts of a request's time, which follow each other without a gap, and the whole. */
enum gyr_stage {
	GYR_STAGE_PARSED, /* arrival until it, and the burst that it came with, was parsed */
	GYR_STAGE_QUEUED, /* until the run that it is part of begins: the ring, those before it, gathering */
	GYR_STAGE_COMPUTED,
	GYR_STAGE_SENT, /* the end of the run until the answer was handed to the port, or to the lcore that sends for this one */
	GYR_STAGE_TOTAL,
	GYR_STAGES
};

/* X(member, kind, name, help): words of their own. Arrays follow in the structs. */

#define GYR_LCORE_COUNTERS(X)                                                                                                                                  \
	X(polls, COUNTER, "polls", "turns of the lcore's loop")                                                                                                \
	X(busy_cycles, CYCLES, "busy_ns", "time in turns that had work")                                                                                       \
	X(sleeps, COUNTER, "sleeps", "times that the lcore slept, as it had nothing to do (idle = sleep)")                                                     \
	X(slept_cycles, CYCLES, "slept_ns", "time in these")                                                                                                   \
	X(queued, GAUGE, "queued", "requests that waited for the lcore when it looked last")                                                                   \
	X(large_whole, COUNTER, "large.whole", "questions in pieces that came whole")                                                                          \
	X(large_asked, COUNTER, "large.asked", "times that missing pieces were asked for")                                                                     \
	X(large_given_up, COUNTER, "large.given_up", "questions in pieces given up, as they did not come whole in time")                                       \
	X(large_told, COUNTER, "large.told", "of these, those whose sender could be told")                                                                     \
	X(large_put_out, COUNTER, "large.put_out", "questions in pieces given up to make room for others")                                                     \
	X(large_answers, COUNTER, "large.answers", "answers handed over to be sent in pieces")                                                                 \
	X(large_lost, COUNTER, "large.lost", "of these, answers that there was no room to keep, or no leave to send whole")                                    \
	X(large_sent, COUNTER, "large.sent", "datagrams with pieces of answers, or with a kept answer sent again")                                             \
	X(large_messages, GAUGE, "large.messages", "questions and answers in pieces that there are, kept ones included")                                       \
	X(large_bytes, GAUGE, "large.bytes", "memory that they take")                                                                                          \
	X(unasked, COUNTER, "send.unasked", "frames made to announce ourselves, or to find a gateway")                                                         \
	X(unsent, COUNTER, "send.dropped", "frames dropped because the port, or the ring to the lcore that sends, stayed full")

#define GYR_RX_COUNTERS(X)                                                                                                                                     \
	X(frames, COUNTER, "rx.frames", "frames taken from the queue")                                                                                         \
	X(bytes, COUNTER, "rx.bytes", "bytes of them, without what the wire adds")                                                                             \
	X(bursts, COUNTER, "rx.bursts", "times that there was something to take")                                                                              \
	X(full, COUNTER, "rx.full", "of these, times that a whole burst was taken: more may have waited")

#define GYR_TX_COUNTERS(X)                                                                                                                                     \
	X(frames, COUNTER, "tx.frames", "frames that the port took")                                                                                           \
	X(bytes, COUNTER, "tx.bytes", "bytes of them, without what the wire adds")                                                                             \
	X(bursts, COUNTER, "tx.bursts", "times that there was something to send")                                                                              \
	X(full, COUNTER, "tx.full", "times that the port's queue was full and was offered the rest again")

/* What DPDK's driver counts; the house thread copies it now and then. */
#define GYR_PORT_COUNTERS(X)                                                                                                                                   \
	X(received, COUNTER, "port.received", "frames that the driver received")                                                                               \
	X(received_bytes, COUNTER, "port.received_bytes", "bytes of them")                                                                                     \
	X(sent, COUNTER, "port.sent", "frames that the driver sent")                                                                                           \
	X(sent_bytes, COUNTER, "port.sent_bytes", "bytes of them")                                                                                             \
	X(missed, COUNTER, "port.missed", "frames lost because the receive queue was full")                                                                    \
	X(no_buffer, COUNTER, "port.no_buffer", "frames lost because no buffer was free")                                                                      \
	X(receive_errors, COUNTER, "port.receive_errors", "frames that the driver gave up")                                                                    \
	X(send_errors, COUNTER, "port.send_errors", "frames that the driver could not send")                                                                   \
	X(link_changes, COUNTER, "link_changes", "times that the link went up or down; a change and back within a tenth of a second may be missed")            \
	X(link_up, GAUGE, "link", "1 while the link, or the peer of a virtual port, is up")                                                                    \
	X(mbufs_used, GAUGE, "mbufs_used", "buffers that hold a frame, or wait in an lcore's cache or the driver to hold one")                                 \
	X(copied_ns, GAUGE, "copied_ns", "when this was copied, on the clock of started_ns")

/* The house thread's. */
#define GYR_HOUSE_COUNTERS(X)                                                                                                                                  \
	X(loads, COUNTER, "house.loads", "versions loaded")                                                                                                    \
	X(retired_results, COUNTER, "retired.requests", "results of versions that were unloaded since")                                                        \
	X(retired_late, COUNTER, "retired.late", "late ones of versions that were unloaded since")                                                             \
	X(retired_refused, COUNTER, "retired.refused", "refusals of versions, and models, that were unloaded since")                                           \
	X(unloads, COUNTER, "house.unloads", "versions unloaded")                                                                                              \
	X(stuck, COUNTER, "route.stuck", "route tables that an engine lcore did not let go in time: each kept its memory")

/* By engine lcore, for a version; the first line of what a request touches. */
#define GYR_VERSION_COUNTERS(X)                                                                                                                                \
	X(requests, COUNTER, "requests", "requests answered with a result")                                                                                    \
	X(rows, COUNTER, "rows", "rows of them")                                                                                                               \
	X(late, COUNTER, "late", "requests computed, but not before their deadline: answered with deadline_passed")                                            \
	X(engine_cycles, CYCLES, "engine_ns", "time in which the version computed")

#define GYR_COUNTERS_WORD(member, kind, name, help) _Atomic uint64_t member;

/* Writer: the lcore. The words of every turn and of every request come first, on one line. */
struct gyr_lcore_counters {
	GYR_LCORE_COUNTERS(GYR_COUNTERS_WORD)
	_Atomic uint64_t net[GYR_NET_OUTCOMES];
	_Atomic uint64_t answers[GYR_ANSWERS];
};

/* Writer: the lcore that polls the queue. */
struct gyr_rx_counters {
	GYR_RX_COUNTERS(GYR_COUNTERS_WORD)
};

/* Writer: the lcore whose queue it is. */
struct gyr_tx_counters {
	GYR_TX_COUNTERS(GYR_COUNTERS_WORD)
};

/* Writer: the house thread. */
struct gyr_port_counters {
	GYR_PORT_COUNTERS(GYR_COUNTERS_WORD)
};

/* Writer: the house thread. */
struct gyr_house_counters {
	GYR_HOUSE_COUNTERS(GYR_COUNTERS_WORD)
};

/* Writer: an engine lcore. Refusals that name the model, but before a version of it was chosen. */
struct gyr_model_counters {
	_Alignas(GYR_STATS_LANE_ALIGN) _Atomic uint64_t refused[GYR_WIRE_CODE_COUNT];
	_Atomic uint64_t over_allowance; /* of those with BUSY */
};

#define GYR_COUNTERS_BATCHES 17u /* runs of up to 1, 2, 4, ... 65,536 rows */

/* Writer: an engine lcore. */
struct gyr_version_counters {
	GYR_VERSION_COUNTERS(GYR_COUNTERS_WORD)
	_Atomic uint64_t stage_sums_ns[GYR_STAGES];
	_Atomic uint64_t runs[GYR_COUNTERS_BATCHES];
	_Atomic uint64_t refused[GYR_WIRE_CODE_COUNT];
	_Atomic uint64_t stages[GYR_STAGES][GYR_HISTOGRAM_BUCKETS];
};

/* One more, or N more, of a counter that only this thread writes. */
static inline void gyr_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Which of `runs` counts a run of ROWS (1 or more). */
static inline unsigned gyr_counters_batch(uint32_t rows)
{
	unsigned up = rows <= 1 ? 0 : 32u - (unsigned)__builtin_clz(rows - 1);
	return up < GYR_COUNTERS_BATCHES ? up : GYR_COUNTERS_BATCHES - 1;
}

/* What the slots are of: the heads that readers see. */

struct gyr_lcore_head {
	uint64_t lcore, cpu;
	char roles[16];
};

struct gyr_queue_head {
	char port[64];
	uint64_t queue, lcore;
};

struct gyr_port_head {
	char name[64], devargs[256], mac[24], address[64];
	uint64_t queues, tx_queues, mbufs;
};

struct gyr_house_head {
	uint64_t hugepages;
};

struct gyr_model_head {
	char model[64];
	uint64_t handle;
};

struct gyr_version_head {
	char model[64];
	uint64_t version;
	char id[72], precision[8];
	uint64_t batch_max, weight_bytes, scratch_bytes, nodes, steps;
};

/* The tables, in their order in the memory. */
enum gyr_counters_table {
	GYR_COUNTERS_LCORES,
	GYR_COUNTERS_RX,
	GYR_COUNTERS_TX,
	GYR_COUNTERS_PORTS,
	GYR_COUNTERS_HOUSE,
	GYR_COUNTERS_MODELS,   /* lanes: the engine lcores */
	GYR_COUNTERS_VERSIONS, /* lanes: the engine lcores */
	GYR_COUNTERS_TABLES
};

#define GYR_COUNTERS_VERSIONS_MAX 4096u /* loaded at once, of all models */

/* Makes the memory for so many of each. The errors of gyr_stats_create. */
GYR_MUST_CHECK int gyr_counters_create(uint32_t lcores, uint32_t rx_queues, uint32_t tx_queues, uint32_t ports, uint32_t models, uint32_t engines,
				       uint64_t cycles_per_s, struct gyr_stats **stats, struct gyr_error *error);

#endif
