/* The way over connected UDP sockets, one for each client. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/load/transport.h"

#define SOCKET_BUFFER_BYTES (4 * 1024 * 1024)

struct udp {
	struct load_transport transport;
	bool busy_poll;
	int epoll;
	uint32_t client_count, staged_count, next_client;
	struct {
		uint32_t client;
		size_t bytes;
	} staged[LOAD_BURST];
	uint8_t sent[LOAD_BURST][GYR_WIRE_DATAGRAM_MAX], received[LOAD_BURST][GYR_WIRE_DATAGRAM_MAX];
	int fds[];
};

/* Sends what one client has staged in COUNT messages. */
static void send_all(struct udp *udp, int fd, struct mmsghdr *messages, unsigned count)
{
	unsigned done = 0;
	for (bool waited = false; done < count;) {
		int sent = sendmmsg(fd, messages + done, count - done, 0);
		if (sent > 0) {
			done += (unsigned)sent;
			continue;
		}
		/* What met a port where nobody listens, the path has lost; so it has what has no room even after a wait. */
		if (errno != EAGAIN || waited) {
			done++;
			udp->transport.unsent++;
			continue;
		}
		struct pollfd full = {.fd = fd, .events = POLLOUT};
		poll(&full, 1, 10);
		waited = true;
	}
}

static void udp_flush(struct load_transport *transport)
{
	struct udp *udp = (struct udp *)transport;
	bool gone[LOAD_BURST] = {false};
	struct mmsghdr messages[LOAD_BURST];
	struct iovec parts[LOAD_BURST];
	for (uint32_t i = 0; i < udp->staged_count; i++) {
		unsigned count = 0;
		for (uint32_t j = i; j < udp->staged_count; j++) {
			if (gone[j] || udp->staged[j].client != udp->staged[i].client)
				continue;
			parts[count] = (struct iovec){.iov_base = udp->sent[j], .iov_len = udp->staged[j].bytes};
			messages[count] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[count], .msg_iovlen = 1}};
			gone[j] = true;
			count++;
		}
		if (count > 0)
			send_all(udp, udp->fds[udp->staged[i].client], messages, count);
	}
	udp->staged_count = 0;
}

static uint8_t *udp_buffer(struct load_transport *transport, uint32_t client, size_t *size)
{
	struct udp *udp = (struct udp *)transport;
	udp->next_client = client;
	*size = sizeof udp->sent[0];
	return udp->sent[udp->staged_count];
}

static void udp_send(struct load_transport *transport, size_t bytes)
{
	struct udp *udp = (struct udp *)transport;
	udp->staged[udp->staged_count].client = udp->next_client;
	udp->staged[udp->staged_count].bytes = bytes;
	if (++udp->staged_count == LOAD_BURST)
		udp_flush(transport);
}

static unsigned receive_one(struct udp *udp, uint32_t client, unsigned most, load_handler *handler, void *context)
{
	struct mmsghdr messages[LOAD_BURST];
	struct iovec parts[LOAD_BURST];
	if (most == 1) {
		ssize_t bytes = recv(udp->fds[client], udp->received[0], sizeof udp->received[0], 0);
		if (bytes >= 0)
			handler(context, client, udp->received[0], (size_t)bytes);
		return bytes >= 0;
	}
	for (unsigned i = 0; i < most; i++) {
		parts[i] = (struct iovec){.iov_base = udp->received[i], .iov_len = sizeof udp->received[i]};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	int count = recvmmsg(udp->fds[client], messages, most, 0, NULL);
	for (int i = 0; i < count; i++)
		handler(context, client, udp->received[i], messages[i].msg_len);
	return count > 0 ? (unsigned)count : 0;
}

static unsigned udp_receive(struct load_transport *transport, unsigned most, load_handler *handler, void *context)
{
	struct udp *udp = (struct udp *)transport;
	struct epoll_event events[LOAD_BURST];
	unsigned done = 0;
	if (udp->client_count == 1)
		return receive_one(udp, 0, most, handler, context);
	int count = epoll_wait(udp->epoll, events, LOAD_BURST, 0);
	for (int i = 0; i < count && done < most; i++)
		done += receive_one(udp, events[i].data.u32, most - done, handler, context);
	return done;
}

static void udp_wait(struct load_transport *transport, uint64_t until_ns)
{
	struct udp *udp = (struct udp *)transport;
	uint64_t now_ns = gyr_clock_ns();
	if (udp->busy_poll || until_ns <= now_ns)
		return;
	struct pollfd waited = {.fd = udp->client_count == 1 ? udp->fds[0] : udp->epoll, .events = POLLIN};
	struct timespec left = {.tv_sec = (time_t)((until_ns - now_ns) / GYR_NS_PER_S), .tv_nsec = (long)((until_ns - now_ns) % GYR_NS_PER_S)};
	ppoll(&waited, 1, &left, NULL);
}

static void udp_close(struct load_transport *transport)
{
	struct udp *udp = (struct udp *)transport;
	for (uint32_t i = 0; i < udp->client_count; i++)
		if (udp->fds[i] >= 0)
			close(udp->fds[i]);
	if (udp->epoll >= 0)
		close(udp->epoll);
	free(udp);
}

union socket_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t fill(const struct load_address *address, uint16_t port, uint32_t scope, union socket_address *to)
{
	if (load_address_is_ipv4(address)) {
		to->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		memcpy(&to->v4.sin_addr, address->bytes + 12, 4);
		return sizeof to->v4;
	}
	to->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope};
	memcpy(&to->v6.sin6_addr, address->bytes, 16);
	return sizeof to->v6;
}

static int open_client(struct udp *udp, const struct load_options *options, uint32_t client, struct gyr_error *error)
{
	union socket_address server, own;
	socklen_t bytes = fill(&options->server, options->port, options->scope, &server);
	int fd = udp->fds[client] = socket(server.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return gyr_error_set(error, -errno, "a socket for client %u: %s", client, strerror(errno));
	if (load_address_is_given(&options->address)) {
		struct load_address address = load_address_of(&options->address, client);
		socklen_t own_bytes = fill(&address, 0, options->scope, &own);
		if (bind(fd, &own.any, own_bytes) != 0)
			return gyr_error_set(error, -errno, "--address: client %u: %s", client, strerror(errno));
	}
	if (connect(fd, &server.any, bytes) != 0)
		return gyr_error_set(error, -errno, "--server: %s", strerror(errno));
	/* As much as the kernel allows, which is all for who may set up networks; less only means that a burst may be lost. */
	int room = SOCKET_BUFFER_BYTES;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = client};
	if (epoll_ctl(udp->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		return gyr_error_set(error, -errno, "client %u: %s", client, strerror(errno));
	return 0;
}

int load_udp_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error)
{
	static const struct load_transport_methods methods = {udp_buffer, udp_send, udp_flush, udp_receive, udp_wait, udp_close};
	struct udp *udp = calloc(1, sizeof *udp + options->client_count * sizeof udp->fds[0]);
	if (udp == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the sockets' buffers");
	udp->transport.methods = &methods;
	udp->busy_poll = options->busy_poll;
	udp->client_count = options->client_count;
	for (uint32_t i = 0; i < udp->client_count; i++)
		udp->fds[i] = -1;
	/* The kernel lets a sleep last up to 50 us longer than asked, unless told otherwise: a schedule would be late by as much. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	udp->epoll = epoll_create1(EPOLL_CLOEXEC);
	int status = udp->epoll < 0 ? gyr_error_set(error, -errno, "epoll: %s", strerror(errno)) : 0;
	for (uint32_t i = 0; status == 0 && i < udp->client_count; i++)
		status = open_client(udp, options, i, error);
	if (status != 0) {
		udp_close(&udp->transport);
		return status;
	}
	*transport = &udp->transport;
	return 0;
}
