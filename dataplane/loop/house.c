#include "dataplane/loop/house.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "dataplane/link/link.h"
#include "dataplane/loop/choices.h"

#define LOCK_FILE "dataplane.lock"
#define DESCRIPTORS_MAX 4 /* taken out of one packet; a LOAD and CHOICES have one */
#define SEND_TIMEOUT_S 2
#define COPY_MS 100 /* how old the drivers' figures among the counters get, but for while a load is under way */
#define DRAIN_TIMEOUT_NS (10 * GYR_NS_PER_S)
#define LOAD_MAX_NS (150 * GYR_NS_PER_S) /* beyond what gyrd waits for one */
#define ANSWER_HEAD_MAX 640u             /* an answer without its body */
#define BODY_MAX (GYR_LINK_BYTES_MAX - ANSWER_HEAD_MAX)

struct house_request {
	struct gyr_link_request request;
	int status; /* of receiving and parsing */
	int descriptor_count;
	int descriptors[DESCRIPTORS_MAX];
};

struct gyr_house {
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int lock, listener, signals;
	int peer; /* -1: none */
	struct gyr_choices_file choices;
	uint8_t packet[GYR_LINK_BYTES_MAX];
	uint8_t body[BODY_MAX];
};

static int take_run_dir(const struct gyr_config *config, struct gyr_house *house, struct gyr_error *error)
{
	char path[GYR_CONFIG_PATH_MAX + sizeof LOCK_FILE];
	if (mkdir(config->run_dir, 0755) != 0 && errno != EEXIST)
		return gyr_error_set(error, -errno, "run_dir %s: %s", config->run_dir, strerror(errno));
	snprintf(path, sizeof path, "%s/%s", config->run_dir, LOCK_FILE);
	house->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (house->lock < 0)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (flock(house->lock, LOCK_EX | LOCK_NB) != 0)
		return gyr_error_set(error, -EBUSY, "run_dir %s: another gyr-dataplane runs there; stop it, or give this one another run_dir", config->run_dir);
	return 0;
}

static int listen_on_socket(const struct gyr_config *config, struct gyr_house *house, struct gyr_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", config->run_dir, GYR_LINK_SOCKET);
	if ((size_t)length >= sizeof address.sun_path)
		return gyr_error_set(error, -ENAMETOOLONG, "run_dir %s: at most %zu bytes, for the sockets in it", config->run_dir,
				     sizeof address.sun_path - sizeof GYR_LINK_SOCKET - 1);
	house->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (house->listener < 0)
		return gyr_error_set(error, -errno, "socket: %s", strerror(errno));
	/* We hold the lock: a socket that lies there is left from one that died. */
	unlink(address.sun_path);
	mode_t before = umask(0177);
	int status = bind(house->listener, (const struct sockaddr *)&address, sizeof address) != 0 || listen(house->listener, 4) != 0 ? -errno : 0;
	umask(before);
	if (status != 0)
		return gyr_error_set(error, status, "%s: %s", address.sun_path, strerror(-status));
	memcpy(house->socket_path, address.sun_path, sizeof house->socket_path);
	return 0;
}

static int take_signals(struct gyr_house *house, struct gyr_error *error)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	int status = pthread_sigmask(SIG_BLOCK, &set, NULL);
	GYR_ASSERT(status == 0);
	/* Whoever reads the log may go away, with gyrd or without; answers go on. */
	signal(SIGPIPE, SIG_IGN);
	house->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return house->signals < 0 ? gyr_error_set(error, -errno, "signalfd: %s", strerror(errno)) : 0;
}

int gyr_house_create(const struct gyr_config *config, struct gyr_house **house, struct gyr_error *error)
{
	struct gyr_house *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the house thread");
	made->lock = made->listener = made->signals = made->peer = made->choices.descriptor = -1;
	int status = take_run_dir(config, made, error);
	if (status == 0)
		status = listen_on_socket(config, made, error);
	if (status == 0)
		status = take_signals(made, error);
	if (status != 0) {
		gyr_house_destroy(made);
		return status;
	}
	*house = made;
	return 0;
}

static void close_descriptor(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

void gyr_house_destroy(struct gyr_house *house)
{
	if (house == NULL)
		return;
	if (house->socket_path[0] != '\0')
		unlink(house->socket_path);
	close_descriptor(&house->peer);
	close_descriptor(&house->listener);
	close_descriptor(&house->signals);
	close_descriptor(&house->lock);
	gyr_choices_file_fini(&house->choices);
	free(house);
}

static void accept_peer(struct gyr_house *house)
{
	house->peer = accept4(house->listener, NULL, NULL, SOCK_CLOEXEC);
	if (house->peer < 0) {
		gyr_log_warning("link: accept: %s", strerror(errno));
		return;
	}
	/* A peer that does not read must not hold the house thread up. */
	struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
	setsockopt(house->peer, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	int room = 2 * GYR_LINK_BYTES_MAX;
	setsockopt(house->peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

/* False: the peer is gone. */
static bool receive(struct gyr_house *house, struct house_request *into, struct gyr_error *error)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = house->packet, .iov_len = sizeof house->packet};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t bytes = recvmsg(house->peer, &message, MSG_CMSG_CLOEXEC);
	if (bytes <= 0)
		return false;
	into->descriptor_count = 0;
	for (struct cmsghdr *part_of = CMSG_FIRSTHDR(&message); part_of != NULL; part_of = CMSG_NXTHDR(&message, part_of)) {
		if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS)
			continue;
		into->descriptor_count = (int)((part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(into->descriptors, CMSG_DATA(part_of), (size_t)into->descriptor_count * sizeof(int));
	}
	if ((message.msg_flags & MSG_TRUNC) != 0)
		into->status = gyr_error_set(error, -EBADMSG, "link: a packet of more than %u bytes", GYR_LINK_BYTES_MAX);
	else
		into->status = gyr_link_parse_request(house->packet, (size_t)bytes, &into->request, error);
	return true;
}

/* DESCRIPTOR goes with it; -1: none. */
static bool send_answer(struct gyr_house *house, struct gyr_link_answer *answer, int descriptor)
{
	size_t bytes = gyr_link_pack_answer(house->packet, sizeof house->packet, answer);
	GYR_ASSERT(bytes > 0);
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof descriptor)];
	} control = {0};
	struct iovec part = {.iov_base = house->packet, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (descriptor >= 0) {
		control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof descriptor)};
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
		message.msg_control = &control;
		message.msg_controllen = sizeof control.bytes;
	}
	if (sendmsg(house->peer, &message, MSG_NOSIGNAL) == (ssize_t)bytes)
		return true;
	gyr_log_warning("link: an answer could not be sent: %s", strerror(errno));
	return false;
}

static int obey(struct gyr_house *house, struct gyr_loop *loop, struct gyr_models *models, const struct house_request *got, struct gyr_link_answer *answer,
		struct gyr_error *error)
{
	const struct gyr_link_request *request = &got->request;
	int status;
	switch (request->type) {
	case GYR_LINK_HELLO:
	case GYR_LINK_STATUS:
		answer->body = house->body;
		answer->body_bytes = gyr_models_status(models, request->version, house->body, sizeof house->body);
		return 0;
	case GYR_LINK_LOAD:
		if (got->descriptor_count != 1)
			return gyr_error_set(error, -EINVAL, "link: LOAD carries one descriptor, not %d", got->descriptor_count);
		gyr_notify_busy(LOAD_MAX_NS);
		status = gyr_models_load(models, request->model, request->version, got->descriptors[0], error);
		gyr_choices_file_save(&house->choices);
		gyr_notify_idle();
		break;
	case GYR_LINK_UNLOAD: status = gyr_models_unload(models, request->model, request->version, error); break;
	case GYR_LINK_ROUTE: status = gyr_models_route(models, request->model, request->labels, request->label_count, error); break;
	case GYR_LINK_POLICY: status = gyr_models_policy(models, request->model, request->labels, request->label_count, error); break;
	case GYR_LINK_STOP: return 0;  /* by gyr_house_run */
	case GYR_LINK_STATS: return 0; /* by serve */
	case GYR_LINK_SETTLED: gyr_loop_restore(loop, false); return 0;
	case GYR_LINK_CHOICES:
		if (got->descriptor_count != 1)
			return gyr_error_set(error, -EINVAL, "link: CHOICES carries one descriptor, not %d", got->descriptor_count);
		return gyr_choices_file_take(&house->choices, got->descriptors[0], error);
	default: return gyr_error_set(error, -EBADMSG, "link: no such request");
	}
	static const char *const verbs[] = {[GYR_LINK_LOAD] = "load", [GYR_LINK_UNLOAD] = "unload", [GYR_LINK_ROUTE] = "route", [GYR_LINK_POLICY] = "policy"};
	if (status != 0) {
		gyr_log_warning("%s: %s", verbs[request->type], error->text);
	} else if (request->type == GYR_LINK_POLICY) {
		for (uint32_t i = 0; i < request->label_count; i++)
			gyr_log_info("policy %s: %s is %llu", request->model, request->labels[i].name, (unsigned long long)request->labels[i].version);
	} else if (request->type != GYR_LINK_ROUTE) {
		gyr_log_info("%s %s version %llu", verbs[request->type], request->model, (unsigned long long)request->version);
	} else {
		for (uint32_t i = 0; i < request->label_count; i++)
			gyr_log_info("route %s: %s is version %llu", request->model, request->labels[i].name, (unsigned long long)request->labels[i].version);
	}
	return status;
}

static int drain(struct gyr_loop *loop, struct gyr_error *error)
{
	gyr_notify("STOPPING=1");
	if (gyr_loop_drain(loop, DRAIN_TIMEOUT_NS))
		return 0;
	return gyr_error_set(error, -ETIMEDOUT, "an lcore did not end within %llu s", (unsigned long long)(DRAIN_TIMEOUT_NS / GYR_NS_PER_S));
}

/* Serves one request. True when it was STOP: the loop has been drained, with *STATUS. */
static bool serve(struct gyr_house *house, struct gyr_loop *loop, struct gyr_models *models, int *status, struct gyr_error *error)
{
	struct house_request got = {0};
	struct gyr_error reason = {""};
	if (!receive(house, &got, &reason)) {
		close_descriptor(&house->peer);
		return false;
	}
	struct gyr_link_answer answer = {.type = got.request.type, .seq = got.request.seq, .status = got.status};
	if (answer.type < GYR_LINK_HELLO || answer.type > GYR_LINK_TYPE_MAX)
		answer.type = GYR_LINK_HELLO; /* not even that was legible */
	if (answer.status == 0)
		answer.status = obey(house, loop, models, &got, &answer, &reason);
	for (int i = 0; i < got.descriptor_count; i++)
		close(got.descriptors[i]);
	bool stop = got.status == 0 && got.request.type == GYR_LINK_STOP;
	if (stop)
		*status = answer.status = drain(loop, error);
	/* What was found on the way to a success is nobody's business. */
	if (answer.status != 0)
		snprintf(answer.text, sizeof answer.text, "%s", stop ? error->text : reason.text);
	bool stats = answer.status == 0 && answer.type == GYR_LINK_STATS;
	if (!send_answer(house, &answer, stats ? gyr_loop_stats(loop) : -1))
		close_descriptor(&house->peer);
	return stop;
}

int gyr_house_run(struct gyr_house *house, struct gyr_loop *loop, struct gyr_models *models, struct gyr_error *error)
{
	for (;;) {
		/* The next peer waits in the listener's queue until this one is gone. */
		struct pollfd waits[] = {{.fd = house->signals, .events = POLLIN}, {.fd = house->peer >= 0 ? house->peer : house->listener, .events = POLLIN}};
		if (poll(waits, 2, COPY_MS) < 0) {
			if (errno == EINTR)
				continue;
			return gyr_error_set(error, -errno, "poll: %s", strerror(errno));
		}
		gyr_loop_copy_stats(loop);
		/* An lcore that stands still is as bad as a house thread that does. */
		if (gyr_notify_interval_ns() > 0 && gyr_loop_moved(loop))
			gyr_notify_alive();
		if (waits[0].revents != 0) {
			struct signalfd_siginfo info;
			ssize_t bytes = read(house->signals, &info, sizeof info);
			gyr_log_info("%s: answering what was accepted, then ending", bytes == sizeof info ? strsignal((int)info.ssi_signo) : "signal");
			return drain(loop, error);
		}
		int status;
		if (waits[1].revents == 0)
			continue;
		if (house->peer < 0)
			accept_peer(house);
		else if (serve(house, loop, models, &status, error))
			return status;
	}
}
