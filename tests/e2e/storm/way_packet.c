#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "way.h"

#define BUFFER_BYTES (8 << 20)

static struct packet {
	struct way way;
	int socket;
	uint32_t staged_count;
	struct frame staged[WAY_BURST];
} packet;

static unsigned packet_poll(struct way *way)
{
	static uint8_t bytes[WAY_BURST][FRAME_MAX];
	struct iovec vectors[WAY_BURST];
	struct mmsghdr messages[WAY_BURST];
	memset(messages, 0, sizeof messages);
	for (unsigned i = 0; i < WAY_BURST; i++) {
		vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	int count = recvmmsg(packet.socket, messages, WAY_BURST, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++)
		way->handler(way->context, bytes[i], messages[i].msg_len);
	return count < 0 ? 0 : (unsigned)count;
}

static void packet_flush(struct way *way)
{
	for (uint32_t i = 0; i < packet.staged_count;) {
		if (send(packet.socket, packet.staged[i].bytes, packet.staged[i].size, 0) >= 0)
			i++;
		else if (errno == ENOBUFS || errno == EAGAIN)
			packet_poll(way);
		else
			way_die("a frame of %u bytes was not sent: %s", packet.staged[i].size, strerror(errno));
	}
	way->sent += packet.staged_count;
	packet.staged_count = 0;
}

static void packet_send(struct way *way, const struct frame *frame)
{
	struct frame *to = &packet.staged[packet.staged_count++];
	to->size = frame->size;
	memcpy(to->bytes, frame->bytes, frame->size);
	if (packet.staged_count == WAY_BURST)
		packet_flush(way);
}

struct way *way_packet(const char *interface)
{
	struct ifreq request = {0};
	int on = 1, bytes = BUFFER_BYTES;
	packet.way = (struct way){.send = packet_send, .flush = packet_flush, .poll = packet_poll, .least = FRAME_ETHER};
	packet.socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
	if (packet.socket < 0 || ioctl(packet.socket, SIOCGIFMTU, &request) != 0)
		way_die("%s: %s", interface, strerror(errno));
	packet.way.most = (uint32_t)request.ifr_mtu + FRAME_ETHER;
	if (ioctl(packet.socket, SIOCGIFHWADDR, &request) != 0)
		way_die("%s: %s", interface, strerror(errno));
	memcpy(packet.way.own, request.ifr_hwaddr.sa_data, sizeof packet.way.own);
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(interface)};
	if (setsockopt(packet.socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
	    setsockopt(packet.socket, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
	    bind(packet.socket, (struct sockaddr *)&address, sizeof address) != 0)
		way_die("%s: %s", interface, strerror(errno));
	return &packet.way;
}
