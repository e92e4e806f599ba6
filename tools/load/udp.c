/* The way over a connected UDP socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/load/load.h"

#define SOCKET_BUFFER_BYTES (4 * 1024 * 1024)

struct udp {
	struct load_transport transport;
	int fd;
	bool busy_poll;
	uint8_t sent[GYR_WIRE_DATAGRAM_MAX], received[GYR_WIRE_DATAGRAM_MAX];
};

static uint8_t *udp_buffer(struct load_transport *transport, size_t *size)
{
	struct udp *udp = (struct udp *)transport;
	*size = sizeof udp->sent;
	return udp->sent;
}

static void udp_send(struct load_transport *transport, size_t bytes)
{
	struct udp *udp = (struct udp *)transport;
	if (send(udp->fd, udp->sent, bytes, 0) >= 0 || errno != EAGAIN)
		return;
	struct pollfd full = {.fd = udp->fd, .events = POLLOUT};
	poll(&full, 1, 10);
	/* What has no room even now the path has lost; so it has what met a port where nobody listens. */
	ssize_t ignored = send(udp->fd, udp->sent, bytes, 0);
	(void)ignored;
}

static void udp_flush(struct load_transport *transport)
{
	/* Each datagram went when it was sent. */
	(void)transport;
}

static unsigned udp_receive(struct load_transport *transport, unsigned most, void (*handler)(void *context, const uint8_t *bytes, size_t size), void *context)
{
	struct udp *udp = (struct udp *)transport;
	for (unsigned done = 0; done < most; done++) {
		ssize_t bytes = recv(udp->fd, udp->received, sizeof udp->received, 0);
		if (bytes < 0)
			return done;
		handler(context, udp->received, (size_t)bytes);
	}
	return most;
}

static void udp_wait(struct load_transport *transport, uint64_t until_ns)
{
	struct udp *udp = (struct udp *)transport;
	uint64_t now_ns = gyr_clock_ns();
	if (udp->busy_poll || until_ns <= now_ns)
		return;
	struct pollfd waited = {.fd = udp->fd, .events = POLLIN};
	struct timespec left = {.tv_sec = (time_t)((until_ns - now_ns) / GYR_NS_PER_S), .tv_nsec = (long)((until_ns - now_ns) % GYR_NS_PER_S)};
	ppoll(&waited, 1, &left, NULL);
}

static void udp_close(struct load_transport *transport)
{
	struct udp *udp = (struct udp *)transport;
	close(udp->fd);
	free(udp);
}

int load_udp_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error)
{
	static const struct load_transport_methods methods = {udp_buffer, udp_send, udp_flush, udp_receive, udp_wait, udp_close};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port), .sin_addr.s_addr = htonl(options->server)};
	struct udp *udp = calloc(1, sizeof *udp);
	if (udp == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the socket's buffers");
	udp->transport.methods = &methods;
	udp->busy_poll = options->busy_poll;
	udp->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (udp->fd < 0 || connect(udp->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		int status = gyr_error_set(error, -errno, "--server: %s", strerror(errno));
		if (udp->fd >= 0)
			close(udp->fd);
		free(udp);
		return status;
	}
	/* As much as the kernel allows; less only means that a burst may be lost and asked again. */
	int bytes = SOCKET_BUFFER_BYTES;
	setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	setsockopt(udp->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	*transport = &udp->transport;
	return 0;
}
