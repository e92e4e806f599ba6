/* Sending: frames collect for each port through one turn of the loop and go out in one burst at its end. */
#include <string.h>

#include "dataplane/loop/idle.h"

#define TX_ATTEMPTS 64 /* a full TX queue is offered its frames again so often, a few microseconds in all, before they are dropped */

static void drop(struct gyr_lcore *lcore, struct rte_mbuf **frames, uint32_t count)
{
	if (count == 0)
		return;
	rte_pktmbuf_free_bulk(frames, count);
	gyr_counter_add(&lcore->counters->unsent, count);
}

static void count_burst(struct gyr_tx_counters *counters, uint16_t frames, uint64_t bytes, uint32_t attempts)
{
	gyr_counter_add(&counters->frames, frames);
	gyr_counter_add(&counters->bytes, bytes);
	gyr_counter_add(&counters->bursts, 1);
	if (attempts > 1)
		gyr_counter_add(&counters->full, attempts - 1);
}

/* Has the driver look at frames for which it is to do something. Those that it refuses are dropped. */
static void prepare(struct gyr_lcore *lcore, const struct gyr_port *port, struct gyr_lcore_tx *tx)
{
	uint16_t ready = 0;
	while (ready < tx->count) {
		ready += rte_eth_tx_prepare(port->id, (uint16_t)tx->queue, tx->frames + ready, tx->count - ready);
		if (ready == tx->count)
			break;
		drop(lcore, tx->frames + ready, 1);
		tx->count--;
		memmove(tx->frames + ready, tx->frames + ready + 1, (tx->count - ready) * sizeof tx->frames[0]);
	}
}

static void flush_port(struct gyr_lcore *lcore, uint32_t port)
{
	struct gyr_lcore_tx *tx = &lcore->tx[port];
	uint16_t sent = 0;
	if (tx->queue >= 0) {
		if (lcore->loop->ports[port].tx_offloads != 0)
			prepare(lcore, &lcore->loop->ports[port], tx);
		uint64_t bytes = 0;
		/* Before they are the port's. What it does not take is taken off again. */
		for (uint16_t i = 0; i < tx->count; i++)
			bytes += rte_pktmbuf_pkt_len(tx->frames[i]);
		int attempt = 0;
		for (; sent < tx->count && attempt < TX_ATTEMPTS; attempt++)
			sent += rte_eth_tx_burst(lcore->loop->ports[port].id, (uint16_t)tx->queue, tx->frames + sent, tx->count - sent);
		for (uint16_t i = sent; i < tx->count; i++)
			bytes -= rte_pktmbuf_pkt_len(tx->frames[i]);
		count_burst(tx->counters, sent, bytes, (uint32_t)attempt);
	} else {
		sent = (uint16_t)rte_ring_sp_enqueue_burst(lcore->outbox, (void **)tx->frames, tx->count, NULL);
		gyr_idle_ring(lcore->sender);
	}
	drop(lcore, tx->frames + sent, tx->count - sent);
	tx->count = 0;
}

void gyr_send(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	uint32_t port = lcore->loop->port_index[mbuf->port];
	struct gyr_lcore_tx *tx = &lcore->tx[port];
	tx->frames[tx->count++] = mbuf;
	if (tx->count == GYR_LOOP_BURST)
		flush_port(lcore, port);
}

void gyr_send_flush(struct gyr_lcore *lcore)
{
	for (uint32_t port = 0; port < lcore->loop->port_count; port++) {
		if (lcore->tx[port].count > 0)
			flush_port(lcore, port);
	}
	if (lcore->done_count > 0) {
		lcore->sent_tsc = rte_rdtsc();
		gyr_stages_count(lcore, lcore->sent_tsc);
	}
}

uint32_t gyr_send_poll(struct gyr_lcore *lcore)
{
	uint32_t taken = 0;
	for (uint32_t i = 0; i < lcore->inbox_count; i++) {
		struct rte_mbuf *frames[GYR_LOOP_BURST];
		uint32_t count = rte_ring_sc_dequeue_burst(lcore->inboxes[i], (void **)frames, GYR_LOOP_BURST, NULL);
		for (uint32_t f = 0; f < count; f++)
			gyr_send(lcore, frames[f]);
		taken += count;
	}
	if (taken > 0 && lcore->began_tsc == 0)
		lcore->began_tsc = rte_rdtsc();
	return taken;
}
