/*
 * The io part of an lcore: takes frames from its RX queues, and datagrams that other io lcores handed over (spread.c), answers ARP, echo and ping, and puts
 * requests into the ring of an engine lcore. It never looks at the route table.
 */
#include "dataplane/loop/idle.h"
#include "dataplane/loop/large.h"

/* Requests on their way to one engine lcore: those of one burst go in together. */
struct parcel {
	uint32_t count;
	struct rte_mbuf *mbufs[GYR_LOOP_BURST];
};

/* How long it takes about until the ring that is full now has been served. */
static uint32_t retry_after_us(const struct gyr_loop *loop, const struct gyr_lcore *target)
{
	uint64_t service_tsc = atomic_load_explicit(&target->service_tsc, memory_order_relaxed);
	uint64_t wait_us = service_tsc * loop->config->ring_entries / loop->tsc_per_us;
	return wait_us < 1 ? 1 : wait_us > GYR_WIRE_DEADLINE_US_MAX ? GYR_WIRE_DEADLINE_US_MAX : (uint32_t)wait_us;
}

static void deliver(struct gyr_lcore *lcore, struct gyr_lcore *target, struct parcel *parcel)
{
	uint64_t now = rte_rdtsc();
	for (uint32_t i = 0; i < parcel->count; i++)
		gyr_request_of(parcel->mbufs[i])->parsed_tsc = now;
	if (target == lcore)
		lcore->parsed_tsc = now;
	/* The ring knows whether it has one producer. */
	uint32_t taken = rte_ring_enqueue_burst(target->requests, (void **)parcel->mbufs, parcel->count, NULL);
	if (target != lcore)
		gyr_idle_ring(target);
	if (taken < parcel->count) {
		uint32_t wait_us = retry_after_us(lcore->loop, target);
		for (uint32_t i = taken; i < parcel->count; i++)
			gyr_answer_error(lcore, parcel->mbufs[i], gyr_request_of(parcel->mbufs[i])->message.id, GYR_WIRE_BUSY, "too many requests are waiting",
					 wait_us);
	}
	parcel->count = 0;
}

/* The engine lcore with the fewest waiting; among equals, the next in turn. */
static uint32_t choose_target(struct gyr_lcore *lcore)
{
	uint32_t best = lcore->target_next, fewest = UINT32_MAX;
	for (uint32_t i = 0, t = lcore->target_next; i < lcore->target_count; i++) {
		uint32_t waiting = rte_ring_count(lcore->targets[t]->requests) + atomic_load_explicit(&lcore->targets[t]->queued, memory_order_relaxed);
		if (waiting < fewest) {
			fewest = waiting;
			best = t;
		}
		t = t + 1 == lcore->target_count ? 0 : t + 1;
	}
	lcore->target_next = best + 1 == lcore->target_count ? 0 : best + 1;
	return best;
}

/*
 * Puts a request with what goes to an engine lcore together. One whose order is to be kept goes at once to the engine lcore that its client's address and port
 * name, where all of that client's go.
 */
static void put(struct gyr_lcore *lcore, struct parcel *parcel, struct rte_mbuf *mbuf)
{
	if (__builtin_expect(gyr_request_of(mbuf)->message.want_order, 0) && lcore->target_count > 1) {
		struct parcel alone = {.count = 1, .mbufs = {mbuf}};
		deliver(lcore, lcore->targets[gyr_spread_choose(mbuf, lcore->target_count)], &alone);
		return;
	}
	parcel->mbufs[parcel->count++] = mbuf;
}

static bool answers_type(enum gyr_wire_type type)
{
	return type == GYR_WIRE_RESULT || type == GYR_WIRE_ERROR || type == GYR_WIRE_DESCRIPTION;
}

/* What is left to do with a datagram that was parsed. */
enum left {
	LEFT_NOTHING, /* it was answered, or dropped */
	LEFT_REQUEST, /* a request or a describe, for an engine lcore */
	LEFT_PIECE,   /* something of a large message, for the io lcore of its client */
};

static enum left take_datagram(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const uint8_t *payload, uint32_t bytes, uint64_t now)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	struct gyr_wire_message *message = &request->message;
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(payload, bytes, message, &reason);
	request->arrival_tsc = now;
	request->home = lcore;
	request->large = NULL;
	if (code == GYR_WIRE_OK && (message->type == GYR_WIRE_REQUEST || message->type == GYR_WIRE_DESCRIBE))
		return LEFT_REQUEST;
	if (code == GYR_WIRE_OK && message->type == GYR_WIRE_PING) {
		if (bytes <= gyr_net_payload_room(gyr_host_of(lcore->loop, mbuf), mbuf))
			gyr_answer(lcore, mbuf, GYR_ANSWER_PONG, bytes);
		else
			gyr_answer_error(lcore, mbuf, message->id, GYR_WIRE_TOO_LARGE, "the way back to you holds no datagram as long", 0);
	} else if (answers_type(message->type) || !message->has_id) {
		/* To answer an answer could go round for ever; without an id nobody could tell what was answered. */
		gyr_counter_add(&lcore->counters->answers[GYR_ANSWER_NONE], 1);
		rte_pktmbuf_free(mbuf);
	} else if (code == GYR_WIRE_OK && lcore->large != NULL) {
		return LEFT_PIECE;
	} else if (code == GYR_WIRE_OK) {
		gyr_answer_error(lcore, mbuf, message->id, GYR_WIRE_UNSUPPORTED, "messages in pieces are not taken here", 0);
	} else {
		gyr_answer_error(lcore, mbuf, message->id, code, reason, 0);
	}
	return LEFT_NOTHING;
}

/* The same on the io lcore of the client. True when there is something for an engine lcore. */
static inline bool take_own(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const uint8_t *payload, uint32_t bytes, uint64_t now)
{
	enum left left = take_datagram(lcore, mbuf, payload, bytes, now);
	return left == LEFT_REQUEST || (__builtin_expect(left == LEFT_PIECE, 0) && gyr_large_take(lcore, mbuf));
}

static void take_frame(struct gyr_lcore *lcore, struct gyr_net_host *host, struct rte_mbuf *mbuf, uint64_t now, struct parcel *parcel)
{
	uint8_t *payload;
	uint32_t bytes;
	enum gyr_net_outcome outcome = gyr_net_input(host, mbuf, &payload, &bytes);
	gyr_counter_add(&lcore->counters->net[outcome], 1);
	if (outcome == GYR_NET_DATAGRAM) {
		if (__builtin_expect(lcore->owner_count > 0, 0) && gyr_spread(lcore, mbuf, now))
			return;
		if (take_own(lcore, mbuf, payload, bytes, now))
			put(lcore, parcel, mbuf);
	} else if (gyr_net_is_reply(outcome)) {
		gyr_send(lcore, mbuf);
	} else {
		rte_pktmbuf_free(mbuf);
	}
}

static void count_burst(struct gyr_rx_counters *counters, uint16_t frames, uint64_t bytes)
{
	gyr_counter_add(&counters->frames, frames);
	gyr_counter_add(&counters->bytes, bytes);
	gyr_counter_add(&counters->bursts, 1);
	if (frames == GYR_LOOP_BURST)
		gyr_counter_add(&counters->full, 1);
}

uint32_t gyr_io_poll(struct gyr_lcore *lcore)
{
	struct gyr_loop *loop = lcore->loop;
	uint32_t taken = 0;
	lcore->io_full = false;
	for (uint32_t q = 0; q < lcore->queue_count; q++) {
		struct rte_mbuf *frames[GYR_LOOP_BURST];
		uint32_t port = lcore->queues[q].port;
		uint16_t count = rte_eth_rx_burst(loop->ports[port].id, lcore->queues[q].queue, frames, GYR_LOOP_BURST);
		if (count == 0)
			continue;
		uint64_t now = rte_rdtsc();
		if (lcore->began_tsc == 0)
			lcore->began_tsc = now;
		struct parcel parcel;
		parcel.count = 0;
		uint64_t bytes = 0;
		for (uint16_t i = 0; i < count; i++) {
			if (i + 1 < count)
				rte_prefetch0(rte_pktmbuf_mtod(frames[i + 1], void *));
			frames[i]->port = loop->ports[port].id; /* not every driver sets it */
			bytes += rte_pktmbuf_pkt_len(frames[i]);
			take_frame(lcore, &loop->hosts[port], frames[i], now, &parcel);
		}
		/* Full of work: what is only dropped is no reason to put work off. */
		lcore->io_full |= parcel.count > GYR_LOOP_BURST / 2;
		count_burst(lcore->queues[q].counters, count, bytes);
		if (parcel.count > 0)
			deliver(lcore, lcore->targets[choose_target(lcore)], &parcel);
		taken += count;
	}
	if (taken > 0 && __builtin_expect(lcore->owner_count > 0, 0))
		gyr_spread_flush(lcore);
	return taken;
}

uint32_t gyr_io_poll_handed(struct gyr_lcore *lcore)
{
	struct rte_mbuf *mbufs[GYR_LOOP_BURST];
	struct parcel parcel;
	uint32_t count = rte_ring_sc_dequeue_burst(lcore->handed, (void **)mbufs, GYR_LOOP_BURST, NULL);
	if (count == 0)
		return 0;
	if (lcore->began_tsc == 0)
		lcore->began_tsc = rte_rdtsc();
	parcel.count = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (take_own(lcore, mbufs[i], gyr_payload_of(mbufs[i]), gyr_net_payload_bytes(mbufs[i]), gyr_request_of(mbufs[i])->arrival_tsc))
			put(lcore, &parcel, mbufs[i]);
	}
	if (parcel.count > 0)
		deliver(lcore, lcore->targets[choose_target(lcore)], &parcel);
	return count;
}

void gyr_io_turn_away(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	enum left left = take_datagram(lcore, mbuf, gyr_payload_of(mbuf), gyr_net_payload_bytes(mbuf), request->arrival_tsc);
	if (left == LEFT_REQUEST) {
		gyr_answer_error(lcore, mbuf, request->message.id, GYR_WIRE_BUSY, "too many datagrams are waiting",
				 retry_after_us(lcore->loop, lcore->targets[0]));
	} else if (left == LEFT_PIECE) {
		gyr_counter_add(&lcore->counters->answers[GYR_ANSWER_NO_ROOM], 1);
		rte_pktmbuf_free(mbuf);
	}
}
