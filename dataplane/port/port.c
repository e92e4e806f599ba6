#include "dataplane/port/port.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/log.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/quiet.h"
#include "dataplane/port/said.h"

#define DESCRIPTORS 512u  /* of each queue, where the port has no wish of its own */
#define RSS_KEY_BYTES 40u /* where a port does not say: what Toeplitz hashing needs for IPv6 */
#define CACHE_MBUFS 256u  /* kept by each lcore */
/* What a driver may leave before the frame beyond DPDK's headroom (AF_XDP: 256), and VLAN tags and CRC behind it. */
#define FRAME_SLACK 288u
#define BUFFER_MIN 2048u

static int fail(const struct gyr_port *port, struct gyr_error *error, int status, const char *what, const char *said, const char *advice)
{
	return gyr_error_set(error, status, "port %s: %s: %s%s%s%s%s", port->devargs, what, strerror(-status), said[0] != '\0' ? "; DPDK says: " : "", said,
			     advice[0] != '\0' ? "; " : "", advice);
}

static bool is_memif(const char *devargs)
{
	return strncmp(devargs, "net_memif", 9) == 0;
}

/* A memif port names an ordinary frame as its longest, and carries what its client makes the rings' buffers for (bsize). */
static uint32_t mtu_to_set(const struct gyr_config *config, const char *devargs)
{
	return is_memif(devargs) ? RTE_MIN(config->mtu, (uint32_t)RTE_ETHER_MTU) : config->mtu;
}

/* What would work, for a device that did not come up. */
static const char *probe_advice(const char *devargs)
{
	if (gyr_eal_is_pci(devargs))
		return "the address must be one that lspci shows, bound to vfio-pci (dpdk-devbind.py --bind=vfio-pci ADDRESS)";
	if (strncmp(devargs, "net_af_xdp", 10) == 0 || strncmp(devargs, "net_af_packet", 13) == 0)
		return "iface= must name an interface that `ip link` shows, and root or CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF are needed";
	if (is_memif(devargs))
		return "socket= must lie in a folder that exists and be used by no other process";
	return "a port is a PCI address or a virtual device such as net_af_xdp0,iface=eth1 or net_memif0,role=server,id=0,socket=/run/gyr/memif.sock";
}

/*
 * A memif server that was killed leaves its socket behind, and the next one could not bind it: removes it when nobody listens there. The driver leaves this to
 * its user.
 */
static void remove_stale_socket(const char *devargs)
{
	static const char key[] = "socket=";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = strstr(devargs, key);
	if (!is_memif(devargs) || strstr(devargs, "role=server") == NULL || path == NULL)
		return;
	path += sizeof key - 1;
	size_t length = strcspn(path, ",");
	if (length >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, length);
	struct stat about;
	if (lstat(address.sun_path, &about) != 0 || !S_ISSOCK(about.st_mode))
		return;
	int knock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (knock < 0)
		return;
	if (connect(knock, (const struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED)
		unlink(address.sun_path);
	close(knock);
}

static int probe(struct gyr_port *port, struct gyr_error *error)
{
	remove_stale_socket(port->devargs);
	gyr_said_keep();
	/* A PCI device that was allowed at start has been probed there. */
	int status = rte_dev_probe(port->devargs);
	const char *said = gyr_said_end();
	if (status != 0 && status != -EEXIST)
		return fail(port, error, status == -1 ? -ENODEV : status, "cannot be opened", said, probe_advice(port->devargs));
	struct rte_dev_iterator iterator;
	uint16_t id;
	gyr_said_keep();
	RTE_ETH_FOREACH_MATCHING_DEV(id, port->devargs, &iterator)
	{
		port->id = id;
		rte_eth_iterator_cleanup(&iterator);
		gyr_said_end();
		return 0;
	}
	return fail(port, error, -ENODEV, "no driver took it", gyr_said_end(), probe_advice(port->devargs));
}

/* The kernel takes no buffer for AF_XDP, with DPDK's own words and ours in it, that is larger than a page. */
static int check_page(const struct gyr_config *config, const struct gyr_port_wishes *wishes, const struct gyr_port *port, struct gyr_error *error)
{
	if (strncmp(port->devargs, "net_af_xdp", 10) != 0)
		return 0;
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), object = (uint32_t)sizeof(struct rte_mbuf) + wishes->private_bytes + RTE_PKTMBUF_HEADROOM;
	uint32_t room = page - rte_mempool_calc_obj_size(RTE_ALIGN(object, RTE_CACHE_LINE_SIZE), 0, NULL);
	uint32_t mtu_max = room / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE - RTE_ETHER_HDR_LEN - FRAME_SLACK;
	char advice[128];
	if (config->mtu <= mtu_max)
		return 0;
	snprintf(advice, sizeof advice, "AF_XDP has buffers of one page of %u bytes: set mtu = %u or less", page, mtu_max);
	return fail(port, error, -EINVAL, "refuses the mtu", "", advice);
}

/* Where PORT's memory should lie. */
static int socket_of(const struct gyr_port *port, const struct gyr_port_wishes *wishes)
{
	int socket = rte_eth_dev_socket_id(port->id);
	return socket != SOCKET_ID_ANY ? socket : wishes->socket;
}

static int make_pool(const struct gyr_config *config, const struct gyr_port_wishes *wishes, struct gyr_port *port, struct gyr_error *error)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	snprintf(name, sizeof name, "gyr-port-%u", port->id);
	uint32_t frame = config->mtu + RTE_ETHER_HDR_LEN + FRAME_SLACK;
	uint32_t buffer = RTE_PKTMBUF_HEADROOM + (frame > BUFFER_MIN ? RTE_ALIGN(frame, RTE_CACHE_LINE_SIZE) : BUFFER_MIN);
	port->pool = rte_pktmbuf_pool_create(name, config->mbufs, CACHE_MBUFS, (uint16_t)RTE_ALIGN(wishes->private_bytes, RTE_MBUF_PRIV_ALIGN),
					     (uint16_t)buffer, socket_of(port, wishes));
	if (port->pool == NULL)
		return fail(port, error, -rte_errno, "no memory for its buffers", "", "make mbufs smaller or memory_mb larger");
	return 0;
}

/*
 * A Toeplitz key whose 16 bits repeat hashes a flow and its reverse alike, as source and destination may change places in what is hashed (Woo and Park,
 * "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling", 2012).
 */
static void set_rss(const struct rte_eth_dev_info *info, uint64_t fields, struct rte_eth_conf *conf)
{
	static uint8_t key[UINT8_MAX + 1];
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = i % 2 == 0 ? 0x6d : 0x5a;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = fields;
	conf->rx_adv_conf.rss_conf.rss_key = key;
	conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size != 0 ? info->hash_key_size : RSS_KEY_BYTES;
}

/* How many RX queues PORT gets. SPREADS: it has RSS, by its own hardware: what virtual ports say of theirs is not so. */
static uint16_t choose_rx_queues(const struct gyr_config *config, const struct gyr_port_wishes *wishes, const struct gyr_port *port, uint16_t max, bool spreads)
{
	/* A memif peer that brings one ring is polled through every queue that we have more than it, and each of its frames taken once for each. */
	uint32_t most = is_memif(port->devargs) ? 1 : max, wanted = config->queues;
	/* The kernel deals frames out to all sockets of an AF_PACKET port, polled or not. */
	if (strncmp(port->devargs, "net_af_packet", 13) == 0)
		wanted = RTE_MAX(wanted, most);
	if (wanted > most)
		gyr_log_warning("port %s: has %u RX queues of the %u asked for", port->devargs, most, wanted);
	/* Each queue keeps as many buffers as it has descriptors. */
	uint32_t fed = RTE_MIN(wishes->rx_queues, config->mbufs / (2 * DESCRIPTORS));
	if (spreads && fed > wanted)
		wanted = RTE_MIN(fed, GYR_CONFIG_QUEUES_MAX);
	return (uint16_t)RTE_MIN(wanted, most);
}

static int configure(const struct gyr_config *config, const struct gyr_port_wishes *wishes, struct gyr_port *port, struct gyr_error *error)
{
	struct rte_eth_dev_info info;
	int status = rte_eth_dev_info_get(port->id, &info);
	if (status != 0)
		return fail(port, error, status, "cannot be asked what it offers", "", "");
	bool physical = gyr_eal_is_pci(port->devargs);
	uint64_t spread = info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	port->rx_queues = choose_rx_queues(config, wishes, port, info.max_rx_queues, physical && spread != 0);
	port->tx_queues = (uint16_t)RTE_MIN(physical ? wishes->tx_queues : port->rx_queues, info.max_tx_queues);
	port->keeps_flows = port->rx_queues == 1 || (physical && spread != 0);
	if (port->rx_queues == 0 || port->tx_queues == 0)
		return fail(port, error, -EINVAL, "can only send or only receive", "", "give it a way in and a way out");

	port->tx_offloads = info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
	uint64_t rx_offloads = info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	/* A tag is left to the port only both ways: a reply's is then the question's. */
	if (config->vlan != 0 && (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0 && (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0) {
		rx_offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		port->tx_offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	}
	struct rte_eth_conf conf = {
		.rxmode.mtu = mtu_to_set(config, port->devargs),
		.rxmode.offloads = rx_offloads,
		/* Every mbuf that a queue sends comes from the port's one pool and has one owner. */
		.txmode.offloads = port->tx_offloads | (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE),
	};
	port->interrupts = config->idle == GYR_CONFIG_IDLE_SLEEP;
	conf.intr_conf.rxq = port->interrupts;
	if (port->rx_queues > 1 && spread != 0)
		set_rss(&info, spread, &conf);
	gyr_said_keep();
	status = rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &conf);
	const char *said = gyr_said_end();
	if (status != 0) {
		char advice[128];
		snprintf(advice, sizeof advice, "it takes %u RX and %u TX queues and an mtu of %u to %u", info.max_rx_queues, info.max_tx_queues, info.min_mtu,
			 RTE_MIN(info.max_mtu, info.max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN));
		return fail(port, error, status, "refuses its settings", said, advice);
	}
	return 0;
}

static int set_up_queues(const struct gyr_config *config, const struct gyr_port_wishes *wishes, struct gyr_port *port, struct gyr_error *error)
{
	uint16_t rx_descriptors = DESCRIPTORS, tx_descriptors = DESCRIPTORS;
	int status = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx_descriptors, &tx_descriptors);
	gyr_said_keep();
	int socket = socket_of(port, wishes);
	for (uint16_t q = 0; status == 0 && q < port->rx_queues; q++)
		status = rte_eth_rx_queue_setup(port->id, q, rx_descriptors, (unsigned)socket, NULL, port->pool);
	for (uint16_t q = 0; status == 0 && q < port->tx_queues; q++)
		status = rte_eth_tx_queue_setup(port->id, q, tx_descriptors, (unsigned)socket, NULL);
	const char *said = gyr_said_end();
	if (status != 0) {
		char advice[96];
		snprintf(advice, sizeof advice, "it has %u mbufs for %u queues", config->mbufs, port->rx_queues);
		return fail(port, error, status, "cannot have its queues", said, advice);
	}
	return 0;
}

static int start(const struct gyr_config *config, struct gyr_port *port, struct gyr_error *error)
{
	gyr_said_keep();
	int status = rte_eth_dev_start(port->id);
	const char *said = gyr_said_end();
	if (status != 0)
		return fail(port, error, status, "cannot be started", said, "");
	port->started = true;
	gyr_said_keep();
	/* Many virtual ports have no MTU to set: they carry what their buffers hold. */
	status = rte_eth_dev_set_mtu(port->id, (uint16_t)mtu_to_set(config, port->devargs));
	said = gyr_said_end();
	if (status != 0 && status != -ENOTSUP)
		return fail(port, error, status, "refuses the mtu", said, "");
	status = rte_eth_macaddr_get(port->id, &port->mac);
	if (status != 0)
		return fail(port, error, status, "has no MAC address", "", "");
	return 0;
}

int gyr_port_start(const struct gyr_config *config, uint32_t index, const struct gyr_port_wishes *wishes, struct gyr_port *port, struct gyr_error *error)
{
	*port = (struct gyr_port){.id = RTE_MAX_ETHPORTS};
	snprintf(port->devargs, sizeof port->devargs, "%s", config->ports[index]);
	int status = probe(port, error);
	if (status == 0)
		status = configure(config, wishes, port, error);
	if (status == 0)
		status = check_page(config, wishes, port, error);
	if (status == 0)
		status = make_pool(config, wishes, port, error);
	if (status == 0)
		status = set_up_queues(config, wishes, port, error);
	if (status == 0)
		status = start(config, port, error);
	if (status != 0)
		gyr_port_stop(port);
	return status;
}

void gyr_port_join(struct gyr_port *port, struct rte_ether_addr *groups, uint32_t count)
{
	if (count == 0 || rte_eth_dev_set_mc_addr_list(port->id, groups, count) == 0 || rte_eth_allmulticast_enable(port->id) == 0)
		return;
	int status = rte_eth_promiscuous_enable(port->id);
	if (status != 0 && status != -ENOTSUP)
		gyr_log_warning("port %s: takes no frames to groups: %s; neighbour discovery will not find us", port->devargs, strerror(-status));
}

void gyr_port_stop(struct gyr_port *port)
{
	if (port->id != RTE_MAX_ETHPORTS) {
		gyr_quiet_hold();
		if (port->started)
			rte_eth_dev_stop(port->id);
		rte_eth_dev_close(port->id);
		gyr_quiet_release();
		port->id = RTE_MAX_ETHPORTS;
	}
	rte_mempool_free(port->pool);
	port->pool = NULL;
	port->started = false;
}

int gyr_port_rx_interrupt(const struct gyr_port *port, uint16_t queue)
{
	if (!port->interrupts)
		return -1;
	gyr_said_keep();
	int descriptor = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, queue);
	gyr_said_end();
	return descriptor;
}

void gyr_port_set_rx_interrupt(const struct gyr_port *port, uint16_t queue, bool on)
{
	if (!port->interrupts)
		return;
	/* A TAP has no switch: its interrupts are on. */
	if (on)
		(void)rte_eth_dev_rx_intr_enable(port->id, queue);
	else
		(void)rte_eth_dev_rx_intr_disable(port->id, queue);
}

/* Whether the kernel's interface under an AF_XDP or AF_PACKET port is there and has its link; the first driver does not say, the second not when it is gone. */
static bool interface_runs(const struct gyr_port *port)
{
	static const char key[] = "iface=";
	struct ifreq request = {0};
	const char *at = strncmp(port->devargs, "net_af_", 7) == 0 ? strstr(port->devargs, key) : NULL;
	if (at == NULL)
		return true;
	at += sizeof key - 1;
	snprintf(request.ifr_name, sizeof request.ifr_name, "%.*s", (int)strcspn(at, ","), at);
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return true;
	bool runs = ioctl(descriptor, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING) != 0;
	close(descriptor);
	return runs;
}

bool gyr_port_link_up(const struct gyr_port *port)
{
	struct rte_eth_link link;
	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP && interface_runs(port);
}
