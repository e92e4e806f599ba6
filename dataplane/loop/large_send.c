/* Large answers on the io lcore of their client: a piece of each in turn, no faster than their client's pace. */
#include <string.h>

#include "dataplane/loop/large.h"

#define FRAMES_MAX 32u /* in one turn of the loop, so that small answers wait no longer than these take */

struct rte_mbuf *gyr_large_datagram(struct gyr_lcore *lcore, const struct gyr_large_envelope *envelope)
{
	struct gyr_loop *loop = lcore->loop;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(loop->ports[loop->port_index[envelope->port]].pool);
	if (mbuf == NULL)
		return NULL;
	mbuf->port = envelope->port;
	mbuf->tx_offload = envelope->tx_offload;
	mbuf->ol_flags |= envelope->rx_flags;
	mbuf->vlan_tci = envelope->vlan_tci;
	memcpy(rte_pktmbuf_mtod(mbuf, void *), envelope->headers, envelope->bytes);
	return mbuf;
}

/* The slot's next piece as a datagram's payload, whole where it fits; how many bytes, or 0: no piece fits. */
static size_t pack(struct gyr_slot *slot, uint8_t *to, uint32_t room, struct gyr_wire_range *range)
{
	uint32_t total = slot->pieces.total;
	if (total <= room) {
		*range = (struct gyr_wire_range){0, total};
		memcpy(to, slot->bytes, total);
		return total;
	}
	*range = (struct gyr_wire_range){0, total};
	if (room < GYR_WIRE_FRAGMENT_HEAD_MAX + GYR_PIECES_GRAIN)
		return 0;
	*range = gyr_reassembly_next_piece(slot, gyr_pieces_size(room));
	return gyr_wire_pack_fragment(to, room, slot->key.id, total, range->offset, slot->bytes + range->offset, range->bytes);
}

bool gyr_large_holds_up(const struct gyr_lcore *lcore, uint32_t phase)
{
	const struct gyr_large *large = lcore->large;
	const struct gyr_loop *loop = lcore->loop;
	if (atomic_load_explicit(&large->handed, memory_order_relaxed) != NULL)
		return true;
	if (large->reassembly != NULL && gyr_reassembly_sending(large->reassembly) != NULL)
		return true;
	if (phase != GYR_PHASE_END || lcore->inbox_count == 0)
		return false;
	/* Nothing is handed to io lcores in the last phase, but those that send through this one may still have large answers. They send through nobody else,
	 * so nobody waits in a circle. */
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		/* A5 pairs with R5 in run.c: what it put into its outbox is there. */
		if (loop->lcores[i].sender == lcore && atomic_load_explicit(&loop->lcores[i].acked_phase, memory_order_acquire) != GYR_PHASE_END)
			return true;
	}
	for (uint32_t i = 0; i < lcore->inbox_count; i++) {
		if (!rte_ring_empty(lcore->inboxes[i]))
			return true;
	}
	return false;
}

uint32_t gyr_large_send(struct gyr_lcore *lcore, uint64_t now)
{
	struct gyr_large *large = lcore->large;
	struct gyr_slot *slot;
	uint32_t sent = 0;
	const struct gyr_slot *waiting = NULL; /* the first that may not send yet */
	for (uint32_t tries = 0; tries < FRAMES_MAX && (slot = gyr_reassembly_sending(large->reassembly)) != NULL && slot != waiting; tries++) {
		struct gyr_large_item *item = &large->items[slot->index];
		struct gyr_net_host *host = &lcore->loop->hosts[lcore->loop->port_index[item->envelope.port]];
		if (!gyr_pace_take(gyr_reassembly_pace(large->reassembly, slot), &large->rate, now, RTE_MIN(host->mtu, slot->pieces.total))) {
			waiting = waiting == NULL ? slot : waiting;
			gyr_reassembly_turn(large->reassembly, slot);
			continue;
		}
		struct rte_mbuf *mbuf = gyr_large_datagram(lcore, &item->envelope);
		if (mbuf == NULL)
			break;
		struct gyr_wire_range range;
		size_t bytes = pack(slot, gyr_payload_of(mbuf), gyr_net_payload_room(host, mbuf), &range);
		if (bytes == 0 || bytes > item->allowance) {
			/* The rest may not be sent to this client. */
			rte_pktmbuf_free(mbuf);
			gyr_counter_add(&lcore->counters->large_lost, 1);
			range = (struct gyr_wire_range){0, slot->pieces.total};
		} else {
			item->allowance -= item->allowance == UINT64_MAX ? 0 : bytes;
			gyr_net_reply(host, mbuf, (uint32_t)bytes);
			gyr_send(lcore, mbuf);
			gyr_counter_add(&lcore->counters->large_sent, 1);
		}
		gyr_reassembly_sent(large->reassembly, slot, &range, now);
		if (slot->state == GYR_SLOT_SENDING)
			gyr_reassembly_turn(large->reassembly, slot);
		sent++;
	}
	return sent;
}
