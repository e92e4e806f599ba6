#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdio.h>

#include "base/clock.h"
#include "dataplane/port/quiet.h"
#include "way.h"

#define MBUFS 8191u
#define RING_ENTRIES 1024u
#define LINK_WAIT_NS (10 * GYR_NS_PER_S)
#define STUCK_NS (10 * GYR_NS_PER_S)

static struct memif {
	struct way way;
	uint16_t port;
	struct rte_mempool *pool;
	uint32_t staged_count;
	struct rte_mbuf *staged[WAY_BURST];
} memif;

static unsigned memif_poll(struct way *way)
{
	struct rte_mbuf *mbufs[WAY_BURST];
	uint8_t whole[FRAME_MAX];
	gyr_quiet_turn();
	unsigned count = rte_eth_rx_burst(memif.port, 0, mbufs, WAY_BURST);
	for (unsigned i = 0; i < count; i++) {
		uint32_t size = mbufs[i]->pkt_len < FRAME_MAX ? mbufs[i]->pkt_len : FRAME_MAX;
		way->handler(way->context, rte_pktmbuf_read(mbufs[i], 0, size, whole), size);
	}
	rte_pktmbuf_free_bulk(mbufs, count);
	if (count == 0)
		sched_yield(); /* the server may share this CPU */
	return count;
}

static void memif_flush(struct way *way)
{
	uint64_t until_ns = 0;
	for (uint32_t sent = 0; sent < memif.staged_count;) {
		uint32_t now = rte_eth_tx_burst(memif.port, 0, memif.staged + sent, (uint16_t)(memif.staged_count - sent));
		sent += now;
		memif_poll(way);
		if (now > 0) {
			until_ns = 0;
		} else if (until_ns == 0) {
			until_ns = gyr_clock_ns() + STUCK_NS;
		} else if (gyr_clock_ns() > until_ns) {
			way_die("the server has taken no frame for 10 s");
		}
	}
	way->sent += memif.staged_count;
	memif.staged_count = 0;
}

static void memif_send(struct way *way, const struct frame *frame)
{
	struct rte_mbuf *head = NULL, *last = NULL;
	for (uint32_t at = 0; at < frame->size;) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(memif.pool);
		if (mbuf == NULL)
			way_die("no buffer is left");
		uint32_t room = rte_pktmbuf_tailroom(mbuf), bytes = frame->size - at < room ? frame->size - at : room;
		memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), frame->bytes + at, bytes);
		mbuf->data_len = (uint16_t)bytes;
		mbuf->pkt_len = bytes;
		at += bytes;
		if (head == NULL) {
			head = mbuf;
		} else {
			last->next = mbuf;
			head->nb_segs++;
			head->pkt_len += bytes;
		}
		last = mbuf;
	}
	memif.staged[memif.staged_count++] = head;
	if (memif.staged_count == WAY_BURST)
		memif_flush(way);
}

static int start_port(void)
{
	const struct rte_eth_conf plain = {0};
	struct rte_ether_addr mac;
	int status = rte_eth_dev_get_port_by_name("net_memif0", &memif.port);
	if (status == 0)
		status = rte_eth_dev_configure(memif.port, 1, 1, &plain);
	if (status == 0)
		status = rte_eth_rx_queue_setup(memif.port, 0, RING_ENTRIES, SOCKET_ID_ANY, NULL, memif.pool);
	if (status == 0)
		status = rte_eth_tx_queue_setup(memif.port, 0, RING_ENTRIES, SOCKET_ID_ANY, NULL);
	if (status == 0)
		status = rte_eth_dev_start(memif.port);
	if (status == 0)
		status = rte_eth_macaddr_get(memif.port, &mac);
	if (status == 0)
		memcpy(memif.way.own, mac.addr_bytes, sizeof memif.way.own);
	return status;
}

static void wait_for_link(void)
{
	struct rte_eth_link link = {0};
	uint64_t until_ns = gyr_clock_ns() + LINK_WAIT_NS;
	while (rte_eth_link_get_nowait(memif.port, &link) != 0 || link.link_status != RTE_ETH_LINK_UP) {
		gyr_quiet_turn();
		if (gyr_clock_ns() > until_ns)
			way_die("no server came to the memif socket in 10 s");
		rte_delay_us_sleep(1000);
	}
}

struct way *way_memif(const char *socket)
{
	char cpu[16], device[256];
	snprintf(device, sizeof device, "--vdev=net_memif0,role=client,id=0,socket-abstract=no,socket=%s", socket);
	snprintf(cpu, sizeof cpu, "%d", sched_getcpu());
	const char *words[] = {"storm", "-l", cpu, device, "--no-telemetry", "--no-pci", "--log-level=*:error", "--no-huge", "--no-shconf", "-m", "64"};
	char *arguments[sizeof words / sizeof words[0]];
	memcpy(arguments, words, sizeof words);
	if (rte_eal_init((int)(sizeof words / sizeof words[0]), arguments) < 0)
		way_die("DPDK did not start: %s", rte_strerror(rte_errno));
	memif.way = (struct way){.send = memif_send, .flush = memif_flush, .poll = memif_poll, .least = 1, .most = FRAME_MAX};
	memif.pool = rte_pktmbuf_pool_create("storm", MBUFS, WAY_BURST, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (memif.pool == NULL || start_port() != 0)
		way_die("the memif port did not start: %s", rte_strerror(rte_errno));
	gyr_quiet_begin();
	wait_for_link();
	return &memif.way;
}
