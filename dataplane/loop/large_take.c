/* Large questions on the io lcore of their client: pieces come in, what is missing is asked for, and what engine lcores hand back is taken. */
#include <errno.h>
#include <string.h>

#include "base/assertion.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/loop/large.h"

static const char client_limit[] = "no room for another large message of this client";

struct gyr_message_key gyr_large_key(const struct gyr_lcore *lcore, const struct rte_mbuf *mbuf, uint64_t id)
{
	struct gyr_net_endpoint source = gyr_net_source(mbuf);
	struct gyr_message_key key;
	memset(&key, 0, sizeof key); /* keys are compared whole */
	key.address = source.address;
	key.udp_port = source.port;
	key.network = lcore->loop->port_index[mbuf->port];
	key.id = id;
	return key;
}

void gyr_large_envelope_fill(struct gyr_large_envelope *envelope, const struct rte_mbuf *mbuf)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	envelope->bytes = (uint16_t)(gyr_net_payload_of(mbuf) - frame);
	envelope->tx_offload = mbuf->tx_offload;
	envelope->rx_flags = mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED;
	envelope->vlan_tci = mbuf->vlan_tci;
	envelope->port = mbuf->port;
	GYR_ASSERT(envelope->bytes <= GYR_LARGE_HEADERS_MAX);
	memcpy(envelope->headers, frame, envelope->bytes);
}

static void drop(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_answer answer)
{
	gyr_counter_add(&lcore->counters->answers[answer], 1);
	rte_pktmbuf_free(mbuf);
}

/* The slot's question is whole: parsed, it is a request like any other. */
static bool begin(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, struct gyr_slot *slot, struct gyr_large_item *item)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(slot->bytes, slot->pieces.total, &request->message, &reason);
	request->large = item;
	gyr_counter_add(&lcore->counters->large_whole, 1);
	if (code == GYR_WIRE_OK && request->message.type == GYR_WIRE_REQUEST && request->message.id == slot->key.id)
		return true;
	if (code == GYR_WIRE_OK) {
		code = GYR_WIRE_MALFORMED;
		reason = "fragment: the message is no request with the id of its pieces";
	}
	gyr_answer_error(lcore, mbuf, slot->key.id, code, reason, 0);
	return false;
}

static bool take_piece(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	const struct gyr_wire_message *piece = &gyr_request_of(mbuf)->message;
	struct gyr_large *large = lcore->large;
	struct gyr_message_key key = gyr_large_key(lcore, mbuf, piece->id);
	struct gyr_slot *slot;
	enum gyr_piece outcome = gyr_reassembly_take(large->reassembly, &key, piece->total, piece->offset, piece->body, piece->body_bytes, rte_rdtsc(), &slot);
	struct gyr_large_item *item = NULL;
	if (slot != NULL) {
		item = &large->items[slot->index];
		if (slot->received == piece->body_bytes) { /* its first piece */
			*item = (struct gyr_large_item){.owner = lcore, .slot = slot};
			item->allowance = gyr_net_is_trusted(gyr_host_of(lcore->loop, mbuf), mbuf) ? UINT64_MAX : 0;
			gyr_large_envelope_fill(&item->envelope, mbuf);
		}
		if (item->allowance != UINT64_MAX)
			item->allowance += gyr_net_payload_bytes(mbuf);
	}
	switch (outcome) {
	case GYR_PIECE_WHOLE: return begin(lcore, mbuf, slot, item);
	case GYR_PIECE_TAKEN:
	case GYR_PIECE_ANSWERED: drop(lcore, mbuf, GYR_ANSWER_PIECE); return false;
	case GYR_PIECE_TOO_LARGE:
		gyr_answer_error(lcore, mbuf, key.id, GYR_WIRE_TOO_LARGE, "the message is larger than the limit, which describe tells", 0);
		return false;
	case GYR_PIECE_CLIENT_LIMIT:
	case GYR_PIECE_NO_ROOM: break;
	}
	/* Only the piece that begins a message is answered, as the others come right behind it. */
	if (piece->offset > 0)
		drop(lcore, mbuf, GYR_ANSWER_NO_ROOM);
	else
		gyr_answer_error(lcore, mbuf, key.id, GYR_WIRE_BUSY, outcome == GYR_PIECE_NO_ROOM ? "no room for another large message" : client_limit,
				 lcore->loop->config->large_ask_us);
	return false;
}

/* Pieces of an answer are asked for again. */
static void take_missing(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	struct gyr_wire_message *message = &gyr_request_of(mbuf)->message;
	struct gyr_reassembly *reassembly = lcore->large->reassembly;
	struct gyr_message_key key = gyr_large_key(lcore, mbuf, message->id);
	struct gyr_slot *slot = gyr_reassembly_find(reassembly, &key);
	struct gyr_wire_range range;
	int status = slot == NULL ? -ENOENT : 0;
	while (status == 0 && gyr_wire_next_range(message, &range))
		status = gyr_reassembly_again(reassembly, slot, message->total, &range);
	if (status == 0)
		drop(lcore, mbuf, GYR_ANSWER_MISSING);
	else if (status == -ENOSPC)
		gyr_answer_error(lcore, mbuf, key.id, GYR_WIRE_BUSY, client_limit, lcore->loop->config->large_ask_us);
	else
		gyr_answer_error(lcore, mbuf, key.id, GYR_WIRE_INCOMPLETE, "that answer is not kept any more", 0);
}

bool gyr_large_take(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	/* Times are this lcore's own from here on: a datagram that another handed over arrived before what happened since. */
	lcore->large->live = true;
	if (gyr_request_of(mbuf)->message.type == GYR_WIRE_FRAGMENT)
		return take_piece(lcore, mbuf);
	take_missing(lcore, mbuf);
	return false;
}

/* Sends an unasked datagram; false: BYTES are 0, as it may not be as long as it has to be. */
static bool send_payload(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, struct gyr_large_item *item, size_t bytes)
{
	if (bytes == 0 || bytes > item->allowance) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	if (item->allowance != UINT64_MAX)
		item->allowance -= bytes;
	gyr_net_reply(gyr_host_of(lcore->loop, mbuf), mbuf, (uint32_t)bytes);
	gyr_send(lcore, mbuf);
	return true;
}

/* Asks for what is missing, as far as one datagram tells it. */
static void ask(struct gyr_lcore *lcore, const struct gyr_slot *slot)
{
	struct gyr_wire_range ranges[GYR_WIRE_RANGES_MAX];
	uint32_t count = 0, from = 0;
	while (count < GYR_WIRE_RANGES_MAX && from < slot->pieces.total && gyr_pieces_next_missing(&slot->pieces, from, &ranges[count])) {
		from = ranges[count].offset + ranges[count].bytes;
		count++;
	}
	struct gyr_large_item *item = &lcore->large->items[slot->index];
	struct rte_mbuf *mbuf = gyr_large_datagram(lcore, &item->envelope);
	if (mbuf == NULL)
		return;
	uint32_t room = gyr_net_payload_room(gyr_host_of(lcore->loop, mbuf), mbuf);
	if (send_payload(lcore, mbuf, item, gyr_wire_pack_missing(gyr_payload_of(mbuf), room, slot->key.id, slot->pieces.total, ranges, count)))
		gyr_counter_add(&lcore->counters->large_asked, 1);
}

static void give_up(struct gyr_lcore *lcore, struct gyr_slot *slot)
{
	struct gyr_large_item *item = &lcore->large->items[slot->index];
	struct rte_mbuf *mbuf = gyr_large_datagram(lcore, &item->envelope);
	gyr_counter_add(&lcore->counters->large_given_up, 1);
	if (mbuf != NULL) {
		uint32_t room = gyr_net_payload_room(gyr_host_of(lcore->loop, mbuf), mbuf);
		size_t bytes = gyr_wire_pack_error(gyr_payload_of(mbuf), room, slot->key.id, GYR_WIRE_INCOMPLETE, "pieces of the request did not come", 0);
		if (send_payload(lcore, mbuf, item, bytes))
			gyr_counter_add(&lcore->counters->large_told, 1);
	}
	gyr_reassembly_drop(lcore->large->reassembly, slot);
}

static void take_handed(struct gyr_lcore *lcore, struct gyr_large_item *item, uint64_t now)
{
	struct gyr_large *large = lcore->large;
	struct gyr_slot *slot;
	switch (item->kind) {
	case GYR_LARGE_ANSWERED:
		/* The answer went in the last piece's mbuf, of what its sender may be sent. */
		if (item->allowance != UINT64_MAX)
			item->allowance -= RTE_MIN(item->allowance, (uint64_t)item->bytes);
		/* No memory to keep it in: a repeat is computed anew. */
		(void)gyr_reassembly_keep(large->reassembly, item->slot, item->bytes, now);
		break;
	case GYR_LARGE_REFUSED: gyr_reassembly_drop(large->reassembly, item->slot); break;
	case GYR_LARGE_ANSWER:
		slot = gyr_reassembly_send(large->reassembly, item->slot, &item->key, item + 1, item->bytes, item->held, now);
		if (slot == NULL)
			gyr_counter_add(&lcore->counters->large_lost, 1);
		else if (item->slot == NULL)
			large->items[slot->index] = (struct gyr_large_item){.owner = lcore, .slot = slot, .envelope = item->envelope, .allowance = UINT64_MAX};
		break;
	case GYR_LARGE_BLOCK: gyr_blocks_give(large->blocks, item); break;
	}
}

/* The oldest first: what was added last is on top. */
static struct gyr_large_item *take_all(struct gyr_large *large)
{
	struct gyr_large_item *item = atomic_exchange_explicit(&large->handed, NULL, memory_order_acquire); /* A8 pairs with R8 in large.c */
	struct gyr_large_item *first = NULL;
	while (item != NULL) {
		struct gyr_large_item *next = item->next;
		item->next = first;
		first = item;
		item = next;
	}
	return first;
}

uint32_t gyr_large_turn(struct gyr_lcore *lcore)
{
	struct gyr_large *large = lcore->large;
	struct gyr_slot *slot;
	uint32_t done = 0;
	uint64_t now = rte_rdtsc();
	for (struct gyr_large_item *item = take_all(large), *next; item != NULL; item = next, done++) {
		next = item->next;
		take_handed(lcore, item, now);
	}
	if (large->reassembly != NULL) {
		for (enum gyr_due due; (due = gyr_reassembly_due(large->reassembly, now, &slot)) != GYR_DUE_NOTHING; done++) {
			if (due == GYR_DUE_ASK)
				ask(lcore, slot);
			else
				give_up(lcore, slot);
		}
		done += gyr_large_send(lcore, now);
		large->live = gyr_reassembly_count(large->reassembly) > 0;
		atomic_store_explicit(&lcore->counters->large_messages, gyr_reassembly_count(large->reassembly), memory_order_relaxed);
		atomic_store_explicit(&lcore->counters->large_put_out, gyr_reassembly_put_out(large->reassembly), memory_order_relaxed);
	}
	atomic_store_explicit(&lcore->counters->large_bytes, gyr_blocks_used(large->blocks), memory_order_relaxed);
	if (done > 0 && lcore->began_tsc == 0)
		lcore->began_tsc = now;
	return done;
}
