/* The port: opened by its devargs, looked at now and then, polled. See dpdk.h. */
#include "tools/load/dpdk.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/quiet.h"

#define MBUFS 8191u
#define RING_ENTRIES 1024u
#define MEMORY_MB 64u    /* buffers for frames of up to 2 KiB, and the port's own; larger ones take as much more as they are larger */
#define FRAME_SLACK 288u /* what a driver may leave before the frame beyond the headroom (AF_XDP: 256), and what follows it */
#define LINK_WAIT_NS (10 * GYR_NS_PER_S)
#define ASK_EVERY_NS (100 * GYR_NS_PER_MS)
#define CONNECT_EVERY_NS (200 * GYR_NS_PER_MS) /* what the two ends have to say to each other takes less */
#define LOOK_EVERY_NS (10 * GYR_NS_PER_MS)
#define EAL_ARGUMENTS_MAX 16
#define LCORES_TEXT_MAX 8192u

static void dpdk_flush(struct load_transport *transport)
{
	struct load_dpdk *dpdk = (struct load_dpdk *)transport;
	if (dpdk->staged_count == 0)
		return;
	unsigned sent = dpdk->started ? rte_eth_tx_burst(dpdk->port, 0, dpdk->staged, (uint16_t)dpdk->staged_count) : 0;
	/* A ring that is full loses what does not fit, as a wire would. */
	if (sent < dpdk->staged_count) {
		rte_pktmbuf_free_bulk(dpdk->staged + sent, dpdk->staged_count - sent);
		transport->unsent += dpdk->staged_count - sent;
	}
	dpdk->staged_count = 0;
}

void load_dpdk_stage(struct load_dpdk *dpdk, struct rte_mbuf *mbuf)
{
	dpdk->staged[dpdk->staged_count++] = mbuf;
	if (dpdk->staged_count == LOAD_BURST)
		dpdk_flush(&dpdk->transport);
}

static uint8_t *dpdk_buffer(struct load_transport *transport, uint32_t client, size_t *size)
{
	struct load_dpdk *dpdk = (struct load_dpdk *)transport;
	dpdk->next_client = client;
	if (dpdk->next == NULL)
		dpdk->next = rte_pktmbuf_alloc(dpdk->pool);
	if (dpdk->next == NULL)
		return NULL;
	*size = dpdk->mtu + sizeof(struct rte_ether_hdr) - dpdk->header_bytes;
	return rte_pktmbuf_mtod_offset(dpdk->next, uint8_t *, dpdk->header_bytes);
}

static void dpdk_send(struct load_transport *transport, size_t bytes)
{
	struct load_dpdk *dpdk = (struct load_dpdk *)transport;
	struct rte_mbuf *mbuf = dpdk->next;
	dpdk->next = NULL;
	load_frame_finish(dpdk, mbuf, dpdk->next_client, bytes);
	load_dpdk_stage(dpdk, mbuf);
}

static unsigned dpdk_receive(struct load_transport *transport, unsigned most, load_handler *handler, void *context)
{
	struct load_dpdk *dpdk = (struct load_dpdk *)transport;
	struct rte_mbuf *mbufs[LOAD_BURST];
	gyr_quiet_turn();
	unsigned count = dpdk->started ? rte_eth_rx_burst(dpdk->port, 0, mbufs, (uint16_t)most) : 0, handed = 0;
	for (unsigned i = 0; i < count; i++) {
		uint32_t client;
		size_t size;
		const uint8_t *datagram = load_frame_datagram(dpdk, mbufs[i], &client, &size);
		if (datagram != NULL) {
			handler(context, client, datagram, size);
			handed++;
		} else if (!load_neighbour_take(dpdk, mbufs[i])) {
			transport->rejected++;
		}
	}
	if (count > 0)
		rte_pktmbuf_free_bulk(mbufs, count);
	return handed;
}

/* Fails as long as nobody listens, of which the driver would say so each time. */
static void connect_again(struct load_dpdk *dpdk)
{
	uint32_t level = rte_log_get_global_level();
	rte_log_set_global_level(RTE_LOG_EMERG);
	dpdk->started = (!dpdk->started || rte_eth_dev_stop(dpdk->port) == 0) && rte_eth_dev_start(dpdk->port) == 0;
	rte_log_set_global_level(level);
	dpdk->connect_ns = gyr_clock_ns() + CONNECT_EVERY_NS;
}

/* Looks at the link. A server that went and came again may have another Ethernet address; and a memif client connects only when it is started. */
static void look(struct load_dpdk *dpdk)
{
	struct rte_eth_link link;
	bool up = rte_eth_link_get_nowait(dpdk->port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
	if (!up && dpdk->is_memif_client && gyr_clock_ns() >= dpdk->connect_ns)
		connect_again(dpdk);
	if (up && !dpdk->link_up && !dpdk->echo)
		dpdk->hop_known = false;
	dpdk->link_up = up;
	if (up && !dpdk->hop_known && !dpdk->echo) {
		load_neighbour_ask(dpdk);
		dpdk_flush(&dpdk->transport);
	}
}

static void dpdk_wait(struct load_transport *transport, uint64_t until_ns)
{
	struct load_dpdk *dpdk = (struct load_dpdk *)transport;
	uint64_t now_ns = gyr_clock_ns();
	(void)until_ns; /* a port that is polled has nothing to sleep on */
	if (now_ns < dpdk->look_ns) {
		rte_pause();
		return;
	}
	dpdk->look_ns = now_ns + LOOK_EVERY_NS;
	look(dpdk);
	if (memcmp(&dpdk->headers[0].ether.dst_addr, &dpdk->hop, sizeof dpdk->hop) != 0)
		load_frame_prepare(dpdk, rte_be_to_cpu_16(dpdk->ipv4 ? dpdk->headers[0].v4.udp.dst_port : dpdk->headers[0].v6.udp.dst_port));
}

static void dpdk_close(struct load_transport *transport)
{
	struct load_dpdk *dpdk = (struct load_dpdk *)transport;
	gyr_quiet_end();
	rte_pktmbuf_free(dpdk->next);
	if (dpdk->port != RTE_MAX_ETHPORTS) {
		rte_eth_dev_stop(dpdk->port);
		rte_eth_dev_close(dpdk->port);
	}
	rte_mempool_free(dpdk->pool);
	free(dpdk);
	/* DPDK's environment ends with the process: see dataplane/port/eal.h. */
}

/* One lcore, on the CPUs that this thread may use: DPDK would bind it to the one where it happens to be. */
static void write_lcores(char text[LCORES_TEXT_MAX])
{
	cpu_set_t cpus;
	size_t used = (size_t)snprintf(text, LCORES_TEXT_MAX, "0@(");
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof cpus, &cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE && used < LCORES_TEXT_MAX - 8; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			used += (size_t)snprintf(text + used, LCORES_TEXT_MAX - used, "%d,", cpu);
	text[used - 1] = ')';
}

static int start_eal(const struct load_options *options, const char *devargs, struct gyr_error *error)
{
	char lcores[LCORES_TEXT_MAX], megabytes[16];
	/* DPDK refuses --in-memory beside --no-huge. virtio_user hands its memory over as few files. */
	const char *const hugepages[] = {"--in-memory", "--single-file-segments"}, *const none[] = {"--no-huge", "--no-shconf", "-m", megabytes};
	const char *const fixed[] = {"gyr-load", "--lcores", lcores, "--no-telemetry", "--log-level=*:error"};
	char *arguments[EAL_ARGUMENTS_MAX];
	int count = 0;
	snprintf(megabytes, sizeof megabytes, "%u", MEMORY_MB + MBUFS * (options->mtu / 1024u) / 1024u);
	write_lcores(lcores);
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		arguments[count++] = (char *)(uintptr_t)fixed[i];
	/* Only the device that was named is touched. */
	if (gyr_eal_is_pci(devargs)) {
		arguments[count++] = (char *)(uintptr_t)"-a";
		arguments[count++] = (char *)(uintptr_t)devargs;
	} else {
		arguments[count++] = (char *)(uintptr_t)"--no-pci";
	}
	for (size_t i = 0; options->hugepages && i < sizeof hugepages / sizeof hugepages[0]; i++)
		arguments[count++] = (char *)(uintptr_t)hugepages[i];
	for (size_t i = 0; !options->hugepages && i < sizeof none / sizeof none[0]; i++)
		arguments[count++] = (char *)(uintptr_t)none[i];
	if (rte_eal_init(count, arguments) < 0)
		return gyr_error_set(error, -rte_errno, "DPDK did not start: %s%s", rte_strerror(rte_errno),
				     options->hugepages ? " (are there free hugepages?)" : "");
	return 0;
}

static int find_port(const char *devargs, uint16_t *port)
{
	struct rte_dev_iterator iterator;
	int status = rte_dev_probe(devargs);
	if (status != 0 && status != -EEXIST)
		return status == -1 ? -ENODEV : status;
	RTE_ETH_FOREACH_MATCHING_DEV(*port, devargs, &iterator)
	{
		rte_eth_iterator_cleanup(&iterator);
		return 0;
	}
	return -ENODEV;
}

static int start_port(struct load_dpdk *dpdk, const char *devargs, struct gyr_error *error)
{
	/* A memif port names an ordinary frame as its longest, and carries what its rings' buffers hold (bsize). */
	bool memif = strncmp(devargs, "net_memif", 9) == 0;
	const struct rte_eth_conf conf = {.rxmode.mtu = memif ? RTE_MIN(dpdk->mtu, (uint32_t)RTE_ETHER_MTU) : dpdk->mtu};
	uint16_t rx_entries = RING_ENTRIES, tx_entries = RING_ENTRIES;
	int status = find_port(devargs, &dpdk->port);
	if (status != 0) {
		dpdk->port = RTE_MAX_ETHPORTS;
		return gyr_error_set(error, status, "port %s: cannot be opened: %s", devargs, strerror(-status));
	}
	status = rte_eth_dev_configure(dpdk->port, 1, 1, &conf);
	if (status == 0)
		status = rte_eth_dev_adjust_nb_rx_tx_desc(dpdk->port, &rx_entries, &tx_entries);
	if (status == 0)
		status = rte_eth_rx_queue_setup(dpdk->port, 0, rx_entries, SOCKET_ID_ANY, NULL, dpdk->pool);
	if (status == 0)
		status = rte_eth_tx_queue_setup(dpdk->port, 0, tx_entries, SOCKET_ID_ANY, NULL);
	if (status == 0)
		status = rte_eth_dev_start(dpdk->port);
	if (status == 0)
		status = rte_eth_macaddr_get(dpdk->port, &dpdk->own);
	if (status != 0)
		return gyr_error_set(error, status, "port %s: did not start: %s", devargs, strerror(-status));
	dpdk->started = true;
	/* Solicitations for our clients come to multicast addresses. A port that has no filter needs none opened. */
	if (!dpdk->ipv4)
		status = rte_eth_allmulticast_enable(dpdk->port);
	return status == 0 || status == -ENOTSUP ? 0 : gyr_error_set(error, status, "port %s: takes no multicast: %s", devargs, strerror(-status));
}

static void ignore(void *context, uint32_t client, const uint8_t *bytes, size_t size)
{
	(void)context;
	(void)client;
	(void)bytes;
	(void)size;
}

/* Until the other end is there and, without --echo, the next hop has told its Ethernet address. */
static int find_hop(struct load_dpdk *dpdk, const char *devargs, struct gyr_error *error)
{
	uint64_t now_ns = gyr_clock_ns(), give_up_ns = now_ns + LINK_WAIT_NS, ask_ns = now_ns;
	while (!dpdk->link_up || !dpdk->hop_known) {
		gyr_quiet_turn();
		now_ns = gyr_clock_ns();
		if (now_ns >= give_up_ns)
			return gyr_error_set(error, -ETIMEDOUT,
					     dpdk->link_up ? "port %s: nobody told the address of the server (or the gateway) in 10 s"
							   : "port %s: no link in 10 s: is there a server at the other end?",
					     devargs);
		if (!dpdk->link_up || now_ns >= ask_ns) {
			look(dpdk);
			ask_ns = now_ns + ASK_EVERY_NS;
			rte_delay_us_sleep(dpdk->link_up ? 0 : 1000);
		}
		dpdk_receive(&dpdk->transport, LOAD_BURST, ignore, NULL);
	}
	return 0;
}

int load_dpdk_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error)
{
	static const struct load_transport_methods methods = {dpdk_buffer, dpdk_send, dpdk_flush, dpdk_receive, dpdk_wait, dpdk_close};
	char memif[256];
	const char *devargs = options->devargs != NULL ? options->devargs : memif;
	if (options->devargs == NULL) {
		int length = snprintf(memif, sizeof memif, "net_memif0,role=client,id=0,socket-abstract=no,socket=%s", options->memif);
		if (strchr(options->memif, ',') != NULL || length >= (int)sizeof memif)
			return gyr_error_set(error, -EINVAL, "--memif %s: a path without a comma, of at most 107 bytes, is expected", options->memif);
	}
	int status = start_eal(options, devargs, error);
	if (status != 0)
		return status;
	struct load_dpdk *dpdk = calloc(1, sizeof *dpdk + options->client_count * sizeof dpdk->headers[0]);
	if (dpdk == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the port");
	uint32_t buffer = RTE_ALIGN(options->mtu + RTE_ETHER_HDR_LEN + FRAME_SLACK, RTE_CACHE_LINE_SIZE);
	*dpdk = (struct load_dpdk){
		.transport.methods = &methods,
		.port = RTE_MAX_ETHPORTS,
		.ipv4 = load_address_is_ipv4(&options->server),
		.echo = options->echo,
		.connect_ns = gyr_clock_ns() + CONNECT_EVERY_NS,
		.is_memif_client = strncmp(devargs, "net_memif", 9) == 0 && strstr(devargs, "role=server") == NULL,
		.hop_known = options->echo, /* an echoing port takes any address */
		.mtu = options->mtu,
		.server = options->server,
		.hop_address = load_address_is_given(&options->gateway) ? options->gateway : options->server,
		.base = options->address,
		.client_count = options->client_count,
		.pool = rte_pktmbuf_pool_create("load", MBUFS, LOAD_BURST * 4, 0, (uint16_t)(RTE_PKTMBUF_HEADROOM + RTE_MAX(buffer, 2048u)), SOCKET_ID_ANY),
	};
	dpdk->header_bytes = dpdk->ipv4 ? LOAD_HEADERS_V4 : LOAD_HEADERS_V6;
	status = dpdk->pool == NULL ? gyr_error_set(error, -rte_errno, "no memory for %u buffers: %s", MBUFS, rte_strerror(rte_errno))
				    : start_port(dpdk, devargs, error);
	gyr_quiet_begin();
	if (status == 0)
		status = find_hop(dpdk, devargs, error);
	if (status != 0) {
		dpdk_close(&dpdk->transport);
		return status;
	}
	load_frame_prepare(dpdk, options->port);
	*transport = &dpdk->transport;
	return 0;
}
