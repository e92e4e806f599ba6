#include "control/link/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"

#define RETRY_NS (200 * GYR_NS_PER_MS)
#define HELLO_NS (5 * GYR_NS_PER_S)

struct pending {
	struct gyr_link_request request;
	int fd;
	uint64_t timeout_ns;
	gyr_peer_done *done;
	void *user;
	struct pending *next;
};

enum state { DOWN, GREETING, UP };

struct gyr_peer {
	struct gyr_events *events;
	struct sockaddr_un address;
	struct gyr_peer_handlers handlers;
	void *user;
	enum state state;
	struct gyr_watch watch;
	struct gyr_timer timer; /* DOWN: the next try; else: the answer that is waited for is late */
	uint64_t seq;
	struct pending *first; /* sent, when SENT; the others behind it wait */
	uint32_t waiting;
	bool sent;
	int came; /* the descriptor that came with the last packet; -1: none, or taken */
	uint8_t bytes[GYR_LINK_BYTES_MAX];
};

static void try_connect(void *user);
static void send_first(struct gyr_peer *peer);

static void answer_first(struct gyr_peer *peer, const struct gyr_link_answer *answer)
{
	struct pending *pending = peer->first;
	peer->first = pending->next;
	peer->waiting--;
	peer->sent = false;
	if (pending->fd >= 0)
		close(pending->fd);
	pending->done(pending->user, answer);
	free(pending);
}

static void close_connection(struct gyr_peer *peer)
{
	int fd = peer->watch.fd;
	gyr_timer_cancel(peer->events, &peer->timer);
	gyr_watch_stop(peer->events, &peer->watch);
	if (fd >= 0)
		close(fd);
	peer->state = DOWN;
}

/* Fails all that waits; a request made meanwhile fails at once, for the state is DOWN. */
static void fail_all(struct gyr_peer *peer, int status, const char *why)
{
	while (peer->first != NULL) {
		struct gyr_link_answer answer = {.type = peer->first->request.type, .status = peer->sent ? status : -ENOTCONN};
		snprintf(answer.text, sizeof answer.text, "%s", why);
		answer_first(peer, &answer);
	}
}

static void lose(struct gyr_peer *peer, int status, const char *why)
{
	bool was_up = peer->state == UP;
	close_connection(peer);
	gyr_timer_start(peer->events, &peer->timer, RETRY_NS, try_connect, peer);
	fail_all(peer, status, why);
	if (was_up)
		peer->handlers.down(peer->user, why);
	else if (status != -ETIMEDOUT) /* else somebody is there, who does not answer */
		peer->handlers.absent(peer->user, why);
}

static void be_late(void *user)
{
	struct gyr_peer *peer = user;
	char why[128];
	snprintf(why, sizeof why, "the data plane did not answer in time");
	lose(peer, -ETIMEDOUT, why);
}

static void take_answer(struct gyr_peer *peer, const struct gyr_link_answer *answer)
{
	gyr_timer_cancel(peer->events, &peer->timer);
	if (peer->state == GREETING) {
		if (answer->type != GYR_LINK_HELLO || answer->status != 0) {
			lose(peer, -EPROTO, answer->text[0] != '\0' ? answer->text : "the data plane did not greet back");
			return;
		}
		peer->state = UP;
		peer->handlers.up(peer->user, answer->body, answer->body_bytes);
	} else {
		answer_first(peer, answer);
	}
	if (peer->state == UP && !peer->sent && peer->first != NULL)
		send_first(peer);
}

/* The next packet's length, as of recv with MSG_TRUNC; its descriptor in peer->came. The kernel closes what is more than one. */
static ssize_t receive(struct gyr_peer *peer)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = peer->bytes, .iov_len = sizeof peer->bytes};
	/* Not CMSG_SPACE: its padding would hold a second one. */
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t length = recvmsg(peer->watch.fd, &message, MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&peer->came, CMSG_DATA(header), sizeof peer->came);
	return length;
}

static void take_packet(struct gyr_peer *peer)
{
	struct gyr_error error;
	struct gyr_link_answer answer;
	ssize_t length = receive(peer);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		lose(peer, -ECONNRESET, "the data plane closed the link");
		return;
	}
	if ((size_t)length > sizeof peer->bytes) {
		lose(peer, -EPROTO, "the data plane sent a message over the link's limit");
		return;
	}
	if (gyr_link_parse_answer(peer->bytes, (size_t)length, &answer, &error) != 0) {
		lose(peer, -EPROTO, error.text);
		return;
	}
	if (answer.seq != peer->seq || (peer->state == UP && !peer->sent)) {
		lose(peer, -EPROTO, "the data plane answered what was not asked");
		return;
	}
	take_answer(peer, &answer);
}

static void be_ready(void *user, uint32_t ready)
{
	struct gyr_peer *peer = user;
	take_packet(peer);
	int left = gyr_peer_take_descriptor(peer);
	if (left >= 0)
		close(left);
}

static int send_request(struct gyr_peer *peer, struct gyr_link_request *request, int fd)
{
	request->seq = ++peer->seq;
	size_t length = gyr_link_pack_request(peer->bytes, sizeof peer->bytes, request);
	GYR_ASSERT(length > 0);
	struct iovec part = {.iov_base = peer->bytes, .iov_len = length};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control.room;
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(header), &fd, sizeof fd);
	}
	/* One request is under way at a time, so the socket's buffer is empty and this never has to wait. */
	return sendmsg(peer->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void send_first(struct gyr_peer *peer)
{
	struct pending *pending = peer->first;
	int status = send_request(peer, &pending->request, pending->fd);
	peer->sent = true;
	/* Told by the timer, so that nobody is answered from within his own call. */
	gyr_timer_start(peer->events, &peer->timer, status == 0 ? pending->timeout_ns : 0, be_late, peer);
}

static void try_connect(void *user)
{
	struct gyr_peer *peer = user;
	char why[256];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int status = fd < 0 ? -errno : 0;
	if (status == 0 && connect(fd, (struct sockaddr *)&peer->address, sizeof peer->address) != 0)
		status = -errno;
	if (status == 0)
		status = gyr_watch_start(peer->events, &peer->watch, fd, EPOLLIN);
	if (status != 0) {
		if (fd >= 0)
			close(fd);
		gyr_timer_start(peer->events, &peer->timer, RETRY_NS, try_connect, peer);
		snprintf(why, sizeof why, "%s: %s", peer->address.sun_path, strerror(-status));
		peer->handlers.absent(peer->user, why);
		return;
	}
	peer->state = GREETING;
	struct gyr_link_request hello = {.type = GYR_LINK_HELLO};
	status = send_request(peer, &hello, -1);
	gyr_timer_start(peer->events, &peer->timer, status == 0 ? HELLO_NS : 0, be_late, peer);
}

int gyr_peer_create(struct gyr_events *events, const char *path, const struct gyr_peer_handlers *handlers, void *user, struct gyr_peer **peer,
		    struct gyr_error *error)
{
	struct gyr_peer *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the link");
	if (strlen(path) >= sizeof made->address.sun_path) {
		free(made);
		return gyr_error_set(error, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path, sizeof made->address.sun_path - 1);
	}
	made->events = events;
	made->came = -1;
	made->handlers = *handlers;
	made->user = user;
	made->watch = (struct gyr_watch){.fd = -1, .ready = be_ready, .user = made};
	made->address.sun_family = AF_UNIX;
	strcpy(made->address.sun_path, path);
	gyr_timer_start(events, &made->timer, 0, try_connect, made);
	*peer = made;
	return 0;
}

void gyr_peer_destroy(struct gyr_peer *peer)
{
	if (peer == NULL)
		return;
	close_connection(peer);
	fail_all(peer, -ENOTCONN, "gyrd is ending");
	free(peer);
}

bool gyr_peer_is_up(const struct gyr_peer *peer)
{
	return peer->state == UP;
}

pid_t gyr_peer_pid(const struct gyr_peer *peer)
{
	struct ucred other = {0};
	socklen_t length = sizeof other;
	if (peer->state == DOWN || getsockopt(peer->watch.fd, SOL_SOCKET, SO_PEERCRED, &other, &length) != 0)
		return 0;
	return other.pid;
}

void gyr_peer_retry(struct gyr_peer *peer)
{
	if (peer->state == DOWN)
		gyr_timer_start(peer->events, &peer->timer, 0, try_connect, peer);
}

static void fail_unsent(struct pending *pending, const char *why)
{
	struct gyr_link_answer answer = {.type = pending->request.type, .status = -ENOTCONN};
	snprintf(answer.text, sizeof answer.text, "%s", why);
	if (pending->fd >= 0)
		close(pending->fd);
	pending->done(pending->user, &answer);
	free(pending);
}

void gyr_peer_send(struct gyr_peer *peer, const struct gyr_link_request *request, int fd, uint64_t timeout_ns, gyr_peer_done *done, void *user)
{
	struct pending *pending = malloc(sizeof *pending);
	GYR_ASSERT(pending != NULL);
	*pending = (struct pending){.request = *request, .fd = fd, .timeout_ns = timeout_ns, .done = done, .user = user};
	if (peer->state != UP) {
		fail_unsent(pending, "the data plane is not there");
		return;
	}
	struct pending **at = &peer->first;
	while (*at != NULL)
		at = &(*at)->next;
	*at = pending;
	peer->waiting++;
	if (!peer->sent)
		send_first(peer);
}

int gyr_peer_take_descriptor(struct gyr_peer *peer)
{
	int came = peer->came;
	peer->came = -1;
	return came;
}

uint32_t gyr_peer_waiting(const struct gyr_peer *peer)
{
	return peer->waiting;
}
