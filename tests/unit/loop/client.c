#include "client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <rte_arp.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_udp.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/net.h"

#define OUR_ADDRESS RTE_IPV4(192u, 0, 2, 9)
#define OUR_PORT 40000
#define PATIENCE_NS (10 * GYR_NS_PER_S)

static struct {
	uint16_t port;
	struct rte_mempool *pool;
	struct gyr_net_host host;
	uint32_t server;
	struct rte_ether_addr server_mac;
	uint64_t sent;
} client;

static void *append(struct rte_mbuf *mbuf, size_t bytes)
{
	void *at = rte_pktmbuf_append(mbuf, (uint16_t)bytes);
	GYR_ASSERT(at != NULL);
	memset(at, 0, bytes);
	return at;
}

static struct rte_mbuf *start_frame(uint16_t ether_type, const struct rte_ether_addr *to)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(client.pool);
	assert_non_null(mbuf);
	struct rte_ether_hdr *ether = append(mbuf, sizeof *ether);
	ether->dst_addr = *to;
	ether->src_addr = client.host.mac;
	ether->ether_type = rte_cpu_to_be_16(ether_type);
	return mbuf;
}

static void start_ip(struct rte_mbuf *mbuf, uint8_t protocol, size_t bytes)
{
	struct rte_ipv4_hdr *ip = append(mbuf, sizeof *ip);
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
				    .total_length = rte_cpu_to_be_16((uint16_t)(sizeof *ip + bytes)),
				    .time_to_live = 64,
				    .next_proto_id = protocol,
				    .src_addr = client.host.address_be,
				    .dst_addr = rte_cpu_to_be_32(client.server)};
	ip->hdr_checksum = gyr_checksum_finish(gyr_checksum_add(0, ip, sizeof *ip));
}

static void send_frame(struct rte_mbuf *mbuf)
{
	uint64_t until_ns = gyr_clock_ns() + PATIENCE_NS;
	while (rte_eth_tx_burst(client.port, 0, &mbuf, 1) == 0)
		assert_true(gyr_clock_ns() < until_ns);
	client.sent++;
}

static struct rte_mbuf *receive_frame(uint64_t timeout_ns)
{
	struct rte_mbuf *mbuf;
	uint64_t until_ns = gyr_clock_ns() + timeout_ns;
	while (rte_eth_rx_burst(client.port, 0, &mbuf, 1) == 0) {
		if (gyr_clock_ns() >= until_ns)
			return NULL;
		rte_pause();
	}
	return mbuf;
}

static void find_server(void)
{
	static const struct rte_ether_addr everybody = {{255, 255, 255, 255, 255, 255}};
	struct rte_mbuf *mbuf = start_frame(RTE_ETHER_TYPE_ARP, &everybody);
	struct rte_arp_hdr *arp = append(mbuf, sizeof *arp);
	*arp = (struct rte_arp_hdr){
		.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = 6,
		.arp_plen = 4,
		.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST),
		.arp_data = {.arp_sha = client.host.mac, .arp_sip = rte_cpu_to_be_32(OUR_ADDRESS), .arp_tip = rte_cpu_to_be_32(client.server)}};
	send_frame(mbuf);
	mbuf = receive_frame(PATIENCE_NS);
	assert_non_null(mbuf);
	arp = rte_pktmbuf_mtod_offset(mbuf, struct rte_arp_hdr *, sizeof(struct rte_ether_hdr));
	assert_int_equal(rte_be_to_cpu_16(arp->arp_opcode), RTE_ARP_OP_REPLY);
	assert_int_equal(rte_be_to_cpu_32(arp->arp_data.arp_sip), client.server);
	client.server_mac = arp->arp_data.arp_sha;
	rte_pktmbuf_free(mbuf);
}

void client_start(const char *socket, uint32_t server)
{
	char devargs[256];
	struct rte_ether_addr mac;
	struct rte_eth_conf conf = {0};
	struct rte_eth_link link;
	snprintf(devargs, sizeof devargs, "net_memif9,role=client,id=0,socket=%s,socket-abstract=no", socket);
	assert_int_equal(rte_dev_probe(devargs), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_memif9", &client.port), 0);
	client.pool = rte_pktmbuf_pool_create("client", 4095, 32, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(client.pool);
	assert_int_equal(rte_eth_dev_configure(client.port, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(client.port, 0, 1024, SOCKET_ID_ANY, NULL, client.pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(client.port, 0, 1024, SOCKET_ID_ANY, NULL), 0);
	assert_int_equal(rte_eth_dev_start(client.port), 0);
	assert_int_equal(rte_eth_macaddr_get(client.port, &mac), 0);
	struct gyr_config config;
	gyr_config_defaults(&config);
	config.address = OUR_ADDRESS;
	config.udp_port = OUR_PORT;
	gyr_net_host_init(&client.host, &config, &mac, 0);
	client.server = server;
	uint64_t until_ns = gyr_clock_ns() + PATIENCE_NS;
	do {
		assert_true(gyr_clock_ns() < until_ns);
		assert_int_equal(rte_eth_link_get_nowait(client.port, &link), 0);
	} while (link.link_status != RTE_ETH_LINK_UP);
	/*
	 * A memif client that has not looked at its RX queue yet has given the server no buffer to answer into: one that asked first and then lost its CPU
	 * never heard the answer.
	 */
	struct rte_mbuf *early;
	while (rte_eth_rx_burst(client.port, 0, &early, 1) != 0)
		rte_pktmbuf_free(early);
	find_server();
}

void client_stop(void)
{
	assert_int_equal(rte_eth_dev_stop(client.port), 0);
	assert_int_equal(rte_eth_dev_close(client.port), 0);
	rte_mempool_free(client.pool);
}

void client_set_address(uint32_t address)
{
	client.host.address = address != 0 ? address : OUR_ADDRESS;
	client.host.address_be = rte_cpu_to_be_32(client.host.address);
}

void client_set_port(uint16_t port)
{
	client.host.udp_port_be = rte_cpu_to_be_16(port);
}

uint64_t client_frames_sent(void)
{
	return client.sent;
}

void client_send(const void *payload, size_t bytes)
{
	struct rte_mbuf *mbuf = start_frame(RTE_ETHER_TYPE_IPV4, &client.server_mac);
	start_ip(mbuf, IPPROTO_UDP, sizeof(struct rte_udp_hdr) + bytes);
	struct rte_udp_hdr *udp = append(mbuf, sizeof *udp);
	udp->src_port = client.host.udp_port_be;
	udp->dst_port = RTE_BE16(GYR_WIRE_PORT);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof *udp + bytes));
	memcpy(append(mbuf, bytes), payload, bytes);
	send_frame(mbuf);
}

bool client_echo(void)
{
	struct rte_mbuf *mbuf = start_frame(RTE_ETHER_TYPE_IPV4, &client.server_mac);
	start_ip(mbuf, IPPROTO_ICMP, sizeof(struct rte_icmp_hdr));
	struct rte_icmp_hdr *icmp = append(mbuf, sizeof *icmp);
	icmp->icmp_type = RTE_ICMP_TYPE_ECHO_REQUEST;
	icmp->icmp_cksum = gyr_checksum_finish(gyr_checksum_add(0, icmp, sizeof *icmp));
	send_frame(mbuf);
	mbuf = receive_frame(PATIENCE_NS);
	if (mbuf == NULL)
		return false;
	icmp = rte_pktmbuf_mtod_offset(mbuf, struct rte_icmp_hdr *, sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr));
	bool good = mbuf->data_len == 42 && icmp->icmp_type == RTE_ICMP_TYPE_ECHO_REPLY;
	rte_pktmbuf_free(mbuf);
	return good;
}

bool client_receive(struct client_answer *answer, uint32_t timeout_ms)
{
	struct rte_mbuf *mbuf = receive_frame(timeout_ms * GYR_NS_PER_MS);
	uint8_t *payload;
	if (mbuf == NULL)
		return false;
	/* We read as the data plane does: addresses, lengths and checksums are right, or this is no datagram for us. */
	assert_int_equal(gyr_net_input(&client.host, mbuf, &payload, &answer->size), GYR_NET_DATAGRAM);
	assert_true(answer->size <= sizeof answer->bytes);
	memcpy(answer->bytes, payload, answer->size);
	rte_pktmbuf_free(mbuf);
	const char *reason;
	assert_int_equal(gyr_wire_parse(answer->bytes, answer->size, &answer->message, &reason), GYR_WIRE_OK);
	return true;
}

void client_ask(const void *payload, size_t bytes, uint64_t id, struct client_answer *answer)
{
	client_send(payload, bytes);
	assert_true(client_receive(answer, 10000));
	assert_int_equal(answer->message.id, id);
}
