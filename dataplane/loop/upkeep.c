/* Upkeep of the hosts: about once a second, the io lcore that polls a port's first queue sends what is due on it. */
#include "dataplane/loop/loop_internal.h"

static void send_due(struct gyr_lcore *lcore, const struct gyr_port *port, struct gyr_net_host *host, uint32_t second)
{
	unsigned due = gyr_net_due(host, second);
	for (unsigned bit = 1; bit < GYR_NET_DUE_END; bit <<= 1) {
		if ((due & bit) == 0)
			continue;
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(port->pool);
		if (mbuf == NULL)
			return; /* none is free: what matters comes round again */
		mbuf->port = port->id;
		if (!gyr_net_make(host, mbuf, (enum gyr_net_due)bit)) {
			rte_pktmbuf_free(mbuf);
			continue;
		}
		gyr_counter_add(&lcore->counters->unasked, 1);
		gyr_send(lcore, mbuf);
	}
}

void gyr_upkeep(struct gyr_lcore *lcore)
{
	struct gyr_loop *loop = lcore->loop;
	uint64_t now = rte_rdtsc(), tsc_per_s = loop->tsc_per_us * 1000000;
	if (now < lcore->upkeep_tsc)
		return;
	lcore->upkeep_tsc = now + tsc_per_s;
	for (uint32_t q = 0; q < lcore->queue_count; q++) {
		uint32_t port = lcore->queues[q].port;
		if (lcore->queues[q].queue == 0)
			send_due(lcore, &loop->ports[port], &loop->hosts[port], (uint32_t)(now / tsc_per_s));
	}
	gyr_send_flush(lcore);
}
