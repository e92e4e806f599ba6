/* What the files of this room share. */
#ifndef GYR_DATAPLANE_LOOP_LOOP_INTERNAL_H
#define GYR_DATAPLANE_LOOP_LOOP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "base/config.h"
#include "base/node.h"
#include "dataplane/flow/queue.h"
#include "dataplane/loop/counters.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/route.h"
#include "dataplane/loop/version.h"
#include "dataplane/net/net.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/port.h"
#include "dataplane/wire/wire.h"

#define GYR_LOOP_BURST 64u /* frames or requests taken at once */
#define GYR_LOOP_QUEUES_MAX (GYR_CONFIG_PORTS_MAX * GYR_CONFIG_QUEUES_MAX)
#define GYR_LOOP_WAIT_NS (2 * GYR_NS_PER_S) /* for engine lcores to let go of a route table: longer than any run of a plan */

/* A request or describe on its way, in the private area of its mbuf. */
struct gyr_request {
	struct gyr_wire_message message; /* points into the mbuf's frame */
	uint64_t arrival_tsc;
	uint64_t parsed_tsc;
	struct gyr_queue_item item;  /* while it is queued by an engine lcore */
	struct gyr_version *version; /* from the end of that on */
	uint32_t rows;
	bool has_rows;                /* the question's tensors had the dimension of rows; so will the answer's */
	struct gyr_lcore *home;       /* the io lcore that the client belongs to */
	struct gyr_large_item *large; /* of a question that came in pieces, whose bytes are not in the mbuf (large.h); else NULL */
};

/* Frames to send through one port. */
struct gyr_lcore_tx {
	int32_t queue;                    /* the lcore's own TX queue; -1: none, frames go to its outbox */
	struct gyr_tx_counters *counters; /* NULL for an lcore without a queue of its own */
	uint16_t count;
	struct rte_mbuf *frames[GYR_LOOP_BURST];
};

/* Datagrams of clients that belong to another io lcore: those of one burst are handed over together. */
struct gyr_lcore_owner {
	struct gyr_lcore *lcore;
	uint32_t count;
	struct rte_mbuf *mbufs[GYR_LOOP_BURST];
};

/* When a request went from one stage to the next. */
struct gyr_stage_times {
	uint64_t arrival, parsed, begin, end;
};

/* A request whose answer is on its way out. */
struct gyr_done {
	struct gyr_version_counters *counters;
	struct gyr_stage_times times;
};

/* One lcore of the data path. What is not atomic belongs to it alone once it runs. */
struct gyr_lcore {
	_Alignas(GYR_NODE_PAGE) struct gyr_loop *loop; /* pages of its own, on its node */
	uint16_t lcore, cpu;
	int node; /* of NUMA, that its CPU belongs to */
	bool io, engine;
	bool yields; /* it shares its CPU with other lcores */
	bool sleeps; /* it may; others read this too, and it never changes */
	bool rests;  /* its turns end with gyr_idle_turn */

	/* io */
	uint32_t queue_count;
	struct {
		uint16_t port, queue; /* index into loop->ports; DPDK's number of the RX queue */
		struct gyr_rx_counters *counters;
	} queues[GYR_LOOP_QUEUES_MAX];
	uint32_t target_count, target_next;
	struct gyr_lcore **targets;     /* engine lcores that it feeds */
	uint32_t owner_count;           /* 0: every datagram stays where it was received */
	struct gyr_lcore_owner *owners; /* all io lcores: a client belongs to the one that its address and port name */
	struct rte_ring *handed;        /* datagrams from other io lcores; this one consumes */

	/* engine */
	uint32_t engine_index;     /* among the engine lcores: its lane and its reader number */
	struct rte_ring *requests; /* mbufs from io lcores; this one consumes */
	struct gyr_backlog *backlog;
	bool behind;  /* it has spent too long on turning away: its ring, and the ports of a fused one, wait */
	bool io_full; /* fused: a port had a whole burst, and may have more */

	/* sending */
	struct gyr_lcore_tx tx[GYR_CONFIG_PORTS_MAX];
	struct rte_ring *outbox;  /* one producer, one consumer ... */
	struct gyr_lcore *sender; /* ... which is this */
	uint32_t inbox_count;
	struct rte_ring **inboxes; /* the outboxes of those that send through this one */

	struct gyr_large *large; /* NULL: no messages in pieces */

	uint64_t upkeep_tsc; /* when its hosts' turn comes again */
	uint64_t began_tsc;  /* when this turn found its first work; 0: none yet */
	uint64_t parsed_tsc; /* when this turn put requests into its own ring, so that nobody looks at the clock again (18 ns); 0: it did not */
	uint64_t sent_tsc;   /* when this turn's answers had been sent; 0: nothing was computed */
	struct {
		uint64_t since_tsc; /* its first turn without work since the last with; 0: the last had some */
		uint64_t after_tsc; /* so long without work before it rests */
		uint64_t latest_ns; /* how late it woke when that was measured */
		bool drowsy;
		bool announced;  /* whatever comes to it rings the bell or interrupts */
		int epoll, bell; /* -1: none */
	} idle;
	struct gyr_lcore_counters *counters;
	uint64_t turns_seen; /* by gyr_loop_moved: the house thread's */
	uint32_t done_count;
	struct gyr_done done[GYR_LOOP_BURST]; /* computed in this turn, not counted yet */

	_Alignas(RTE_CACHE_LINE_SIZE) _Atomic bool running;
	_Atomic uint32_t waits_out;  /* the pause for which it is, or was last, outside the ports */
	_Atomic uint32_t idle_state; /* enum gyr_idle_state */
	_Atomic uint32_t acked_phase;
	_Atomic uint32_t service_tsc; /* engine: about how long it takes for one request, for retry_after_us */
	_Atomic uint32_t queued;      /* engine: requests in its backlog, about */
};

/* The life of the loop; each phase begins when every lcore has acknowledged the one before, with a turn that found no work. */
enum gyr_loop_phase {
	GYR_PHASE_RUN,
	GYR_PHASE_DRAIN, /* io lcores take no more frames */
	GYR_PHASE_OWN,   /* no datagram is handed over any more: io lcores take those that were */
	GYR_PHASE_EMPTY, /* nothing comes into the request rings: engine lcores empty them */
	GYR_PHASE_END,   /* nothing comes into the outboxes: they are emptied, and the lcores end */
};

struct gyr_loop {
	const struct gyr_config *config;
	struct gyr_eal eal;
	uint32_t port_count;
	struct gyr_port ports[GYR_CONFIG_PORTS_MAX];
	struct gyr_net_host hosts[GYR_CONFIG_PORTS_MAX];
	uint8_t port_index[RTE_MAX_ETHPORTS]; /* from DPDK's port number */
	uint32_t lcore_count, io_count, engine_count;
	struct gyr_lcore *lcores;          /* lcore_count of them */
	int engine_nodes[GYR_EAL_HOT_MAX]; /* by engine lcore: its node */
	uint32_t payload_max;              /* the least of the ports */
	uint32_t message_max;              /* bytes of a message in pieces; 0: none are taken */
	uint64_t tsc_per_us;
	uint64_t ns_per_tsc_32; /* nanoseconds of 2^32 cycles */
	uint64_t started_ns, started_tsc;
	struct gyr_stats *stats;
	struct gyr_port_counters *port_counters[GYR_CONFIG_PORTS_MAX];
	struct gyr_house_counters *house_counters;

	_Alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t phase; /* enum gyr_loop_phase */
	_Atomic uint32_t pauses;                              /* begun and ended; odd: lcores stay out of the ports */
	atomic_bool restoring;                                /* of gyr_loop_restore; told after the tables were published, so its order is theirs */
	struct gyr_route_cell route;
};

static inline uint64_t gyr_loop_ns(const struct gyr_loop *loop, uint64_t tsc)
{
	return (uint64_t)((unsigned __int128)tsc * loop->ns_per_tsc_32 >> 32);
}

/* Cycles from EARLIER to LATER; 0 where two cores' counters disagree. */
static inline uint64_t gyr_tsc_since(uint64_t earlier, uint64_t later)
{
	return later > earlier ? later - earlier : 0;
}

static inline struct gyr_request *gyr_request_of(struct rte_mbuf *mbuf)
{
	return rte_mbuf_to_priv(mbuf);
}

static inline struct rte_mbuf *gyr_mbuf_of(struct gyr_request *request)
{
	return RTE_PTR_SUB(request, sizeof(struct rte_mbuf));
}

static inline struct gyr_net_host *gyr_host_of(struct gyr_loop *loop, const struct rte_mbuf *mbuf)
{
	return &loop->hosts[loop->port_index[mbuf->port]];
}

static inline struct gyr_version_lane *gyr_lane_of(const struct gyr_lcore *lcore, const struct gyr_version *version)
{
	return version->lanes[lcore->engine_index];
}

static inline struct gyr_model_counters *gyr_model_counters_of(const struct gyr_lcore *lcore, const struct gyr_route_model *model)
{
	return &model->counters[lcore->engine_index];
}

/* Where the payload of a datagram that was taken begins, and that of its answer. */
static inline uint8_t *gyr_payload_of(struct rte_mbuf *mbuf)
{
	return gyr_net_payload_of(mbuf);
}

/* send.c: all on the lcore's own thread. */

/* Takes the frame over; it goes out with the next flush. */
void gyr_send(struct gyr_lcore *lcore, struct rte_mbuf *mbuf);
/* Sends what was collected, and counts what was noted. */
void gyr_send_flush(struct gyr_lcore *lcore);
/* Takes the frames of those that send through this lcore; how many. */
uint32_t gyr_send_poll(struct gyr_lcore *lcore);

/* upkeep.c: what the hosts of this io lcore's ports send unasked, and forget. Now and then. */
void gyr_upkeep(struct gyr_lcore *lcore);

/* answer.c: all on the lcore's own thread. */

/* Turns MBUF into the answer whose payload of BYTES is written, counts it and sends it. */
void gyr_answer(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_answer answer, uint32_t bytes);
/* Answers with an error. */
void gyr_answer_error(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint64_t id, enum gyr_wire_code code, const char *text, uint32_t retry_after_us);
/* The same for a request, counted with its version where that is chosen. */
void gyr_refuse(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_wire_code code, const char *text);
/* Refuses a request to which WHAT, its answer, is too long: for any datagram, or for an address that is not trusted. */
void gyr_refuse_long(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const char *too_large);
/* Refuses what was computed, but not before its deadline: counted apart from what was not computed. */
void gyr_refuse_computed(struct gyr_lcore *lcore, struct rte_mbuf *mbuf);
/* Refuses a request with BUSY, to come back after about one service. */
void gyr_refuse_busy(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const char *text);
/* Answers with the rows from FIRST_ROW on of what was computed. False: with an error. */
bool gyr_answer_result(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint32_t first_row, const uint32_t timing_ns[3]);

/* admit.c: on an engine lcore. */

/* Finds the version in ROUTE and checks the request, or answers it. True: it is to be computed. */
bool gyr_admit(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf *mbuf, uint64_t now);
bool gyr_is_late(const struct gyr_lcore *lcore, const struct gyr_request *request, uint64_t now);
void gyr_refuse_late(struct gyr_lcore *lcore, struct rte_mbuf *mbuf);

/* compute.c: computes COUNT (at most GYR_LOOP_BURST) requests to one version, of batch_max rows together at most, and answers them. */
void gyr_compute(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count, uint64_t dequeued);

/* spread.c: all on the lcore's own thread. */

/* True: the datagram belongs to another io lcore, and goes there with the next flush. Only where owner_count > 0. */
bool gyr_spread(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint64_t now);
/* Which of COUNT a client has, by its address and port. */
uint32_t gyr_spread_choose(const struct rte_mbuf *mbuf, uint32_t count);
/* Hands over what was collected. */
void gyr_spread_flush(struct gyr_lcore *lcore);

/* stages.c: on an engine lcore. */

/* Counts what was noted; its answers had been sent at NOW. About 15 ns for each. */
void gyr_stages_count(struct gyr_lcore *lcore, uint64_t now);

/* A request was computed and its answer is with gyr_send; it is counted when that is sent. */
static inline void gyr_stages_note(struct gyr_lcore *lcore, struct gyr_version_counters *counters, struct gyr_stage_times times)
{
	if (__builtin_expect(lcore->done_count == GYR_LOOP_BURST, 0))
		gyr_send_flush(lcore);
	struct gyr_done *done = &lcore->done[lcore->done_count++];
	done->counters = counters;
	done->times = times;
}

/* counting.c: the house thread. */

/* Makes the counters' memory and gives each lcore, queue and port its place. */
GYR_MUST_CHECK int gyr_counting_init(struct gyr_loop *loop, struct gyr_error *error);

/* One turn of the io part, or the engine part: how many frames, or requests, it took. */
uint32_t gyr_io_poll(struct gyr_lcore *lcore);
/* The same for datagrams that other io lcores handed over. */
uint32_t gyr_io_poll_handed(struct gyr_lcore *lcore);
/* A datagram that its own io lcore has no room for: a request is answered with BUSY, anything else as ever. */
void gyr_io_turn_away(struct gyr_lcore *lcore, struct rte_mbuf *mbuf);
uint32_t gyr_engine_poll(struct gyr_lcore *lcore);

#endif
