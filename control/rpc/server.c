/*
 *     idle --a whole request--> serving --answer--> idle (the bytes that came meanwhile are read now)
 *       |                          |
 *       +--------- gone -----------+---> closed: what waits to be sent is dropped, the call lives on without a connection until it is answered
 *
 * While it serves, a connection is watched for its end only, so that one caller can neither queue up calls nor have gyrd hold more than one request of his.
 */
#include "control/rpc/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define NEWS_BACKLOG_MAX (1u << 20) /* news beyond that, to one who does not read, is dropped */

enum role { STRANGER, VIEWER, OPERATOR };

struct gyr_rpc_connection {
	struct gyr_rpc_server *server;
	struct gyr_watch watch;
	struct gyr_timer idle;
	struct gyr_rpc_peer peer;
	enum role role;
	uint8_t head[GYR_RPC_HEAD_BYTES];
	uint8_t *request;                 /* NULL until the head is whole */
	uint32_t request_bytes, received; /* of head, then of request */
	struct gyr_rpc_call *call;        /* being served */
	msgpack_sbuffer out;
	size_t sent;
	bool closing; /* once OUT is sent */
	struct gyr_rpc_connection *next;
};

struct gyr_rpc_server {
	struct gyr_events *events;
	const struct gyr_rpc_method *methods;
	void *user;
	struct gyr_watch watch;
	bool has_operators, has_viewers;
	gid_t operators, viewers; /* groups */
	struct sockaddr_un address;
	uint32_t connection_count, looker_count;
	struct gyr_rpc_connection *connections;
};

static void close_connection(struct gyr_rpc_connection *connection)
{
	struct gyr_rpc_server *server = connection->server;
	struct gyr_rpc_connection **at = &server->connections;
	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	server->looker_count -= connection->role != OPERATOR;
	if (server->connection_count-- == GYR_RPC_CONNECTIONS_MAX)
		gyr_watch_interest(server->events, &server->watch, EPOLLIN);
	int fd = connection->watch.fd;
	gyr_watch_stop(server->events, &connection->watch);
	close(fd);
	gyr_timer_cancel(server->events, &connection->idle);
	struct gyr_rpc_call *call = connection->call;
	free(connection->request);
	msgpack_sbuffer_destroy(&connection->out);
	free(connection);
	if (call != NULL) {
		call->connection = NULL;
		if (call->gone != NULL)
			call->gone(call);
	}
}

static void set_interest(struct gyr_rpc_connection *connection)
{
	uint32_t interest = EPOLLRDHUP;
	if (connection->sent < connection->out.size)
		interest |= EPOLLOUT;
	if (connection->call == NULL && !connection->closing)
		interest |= EPOLLIN;
	gyr_watch_interest(connection->server->events, &connection->watch, interest);
}

static void be_idle_too_long(void *user)
{
	close_connection(user);
}

/* Sends what waits. False when the connection is no more. */
static bool flush(struct gyr_rpc_connection *connection)
{
	while (connection->sent < connection->out.size) {
		ssize_t count = send(connection->watch.fd, connection->out.data + connection->sent, connection->out.size - connection->sent, MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0) {
			close_connection(connection);
			return false;
		}
		connection->sent += (size_t)count;
	}
	if (connection->sent == connection->out.size) {
		msgpack_sbuffer_clear(&connection->out);
		connection->sent = 0;
		if (connection->closing) {
			close_connection(connection);
			return false;
		}
	}
	set_interest(connection);
	return true;
}

static void send_buffer(struct gyr_rpc_connection *connection, const struct gyr_rpc_buffer *buffer)
{
	int status = msgpack_sbuffer_write(&connection->out, buffer->bytes.data, buffer->bytes.size);
	GYR_ASSERT(status == 0);
	flush(connection);
}

void gyr_rpc_news_begin(struct gyr_rpc_buffer *buffer)
{
	gyr_rpc_pack_begin(buffer, 3);
	msgpack_pack_int(&buffer->packer, 0);
}

void gyr_rpc_news_send(struct gyr_rpc_call *call, struct gyr_rpc_buffer *buffer)
{
	if (call->connection != NULL && call->connection->out.size < NEWS_BACKLOG_MAX && gyr_rpc_pack_end(buffer))
		send_buffer(call->connection, buffer);
	gyr_rpc_pack_fini(buffer);
}

/* Bytes of the UTF-8 character at AT, which a zero ends; 0: there is none. */
static size_t character_bytes(const unsigned char *at)
{
	size_t bytes = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < bytes; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
	bool beyond = (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90);
	return overlong || beyond ? 0 : bytes;
}

/* A message may quote a request's bytes, or be cut within a character; what goes out is UTF-8, as msgpack promises. */
static void pack_message(msgpack_packer *packer, const char *text)
{
	char *copy = strdup(text);
	GYR_ASSERT(copy != NULL);
	for (unsigned char *at = (unsigned char *)copy; *at != '\0';) {
		size_t bytes = character_bytes(at);
		if (bytes == 0)
			*at = '?';
		at += bytes == 0 ? 1 : bytes;
	}
	gyr_rpc_pack_text(packer, copy);
	free(copy);
}

static void begin_answer(struct gyr_rpc_buffer *buffer, int status, const char *text)
{
	gyr_rpc_pack_begin(buffer, 5);
	msgpack_pack_int(&buffer->packer, 1);
	msgpack_pack_int(&buffer->packer, status);
	pack_message(&buffer->packer, text);
}

void gyr_rpc_answer_begin(struct gyr_rpc_buffer *buffer)
{
	begin_answer(buffer, 0, "");
}

void gyr_rpc_answer_send(struct gyr_rpc_call *call, struct gyr_rpc_buffer *buffer)
{
	if (!gyr_rpc_pack_end(buffer)) {
		gyr_rpc_pack_fini(buffer);
		begin_answer(buffer, -EMSGSIZE, "the answer is larger than a message may be; ask for less");
		msgpack_pack_nil(&buffer->packer);
		bool fits = gyr_rpc_pack_end(buffer);
		GYR_ASSERT(fits);
	}
	struct gyr_rpc_connection *connection = call->connection;
	if (connection != NULL) {
		connection->call = NULL;
		gyr_timer_start(connection->server->events, &connection->idle, GYR_RPC_IDLE_S * GYR_NS_PER_S, be_idle_too_long, connection);
		send_buffer(connection, buffer);
	}
	gyr_rpc_pack_fini(buffer);
	free(call->bytes);
	free(call);
}

void gyr_rpc_answer(struct gyr_rpc_call *call, int status, const char *text)
{
	struct gyr_rpc_buffer buffer;
	begin_answer(&buffer, status, text);
	msgpack_pack_nil(&buffer.packer);
	gyr_rpc_answer_send(call, &buffer);
}

static const struct gyr_rpc_method *find_method(const struct gyr_rpc_server *server, const char *name)
{
	for (const struct gyr_rpc_method *method = server->methods; method->name != NULL; method++)
		if (strcmp(method->name, name) == 0)
			return method;
	return NULL;
}

static void serve(struct gyr_rpc_connection *connection)
{
	struct gyr_rpc_server *server = connection->server;
	struct gyr_rpc_call *call = calloc(1, sizeof *call);
	GYR_ASSERT(call != NULL);
	call->connection = connection;
	call->peer = connection->peer;
	call->bytes = connection->request;
	connection->call = call;
	connection->request = NULL;
	connection->received = 0;
	gyr_timer_cancel(server->events, &connection->idle);
	set_interest(connection);
	struct gyr_error error;
	int status = gyr_rpc_parse(call->bytes, connection->request_bytes, &call->request, &error);
	const struct gyr_rpc_method *method = status == 0 ? find_method(server, call->request.call) : NULL;
	if (status == 0 && method == NULL)
		status = gyr_error_set(&error, -ENOSYS, "this gyrd knows no call \"%s\"", call->request.call);
	if (status == 0 && connection->request_bytes > (method->bytes_max == 0 ? GYR_RPC_CALL_MAX : method->bytes_max))
		status = gyr_error_set(&error, -EMSGSIZE, "a request \"%s\" of %u bytes; at most %u are accepted", method->name, connection->request_bytes,
				       method->bytes_max == 0 ? GYR_RPC_CALL_MAX : method->bytes_max);
	if (status == 0 && (connection->role == STRANGER || (method->changes && connection->role != OPERATOR)))
		status = gyr_error_set(&error, -EPERM,
				       connection->role == STRANGER
					       ? "user %u may not look; be a member of gyrd's viewer_group or operator_group, root, or user %u, "
						 "which gyrd runs as"
					       : "user %u may look but not change anything; be a member of gyrd's operator_group, root, or user %u, "
						 "which gyrd runs as",
				       (unsigned)call->peer.uid, (unsigned)getuid());
	if (status != 0)
		gyr_rpc_answer(call, status, error.text);
	else
		method->serve(server->user, call);
}

/* Says why and closes: what follows in the stream cannot be told apart any more. */
static void refuse(struct gyr_rpc_connection *connection, int status, const char *text)
{
	struct gyr_rpc_buffer buffer;
	begin_answer(&buffer, status, text);
	msgpack_pack_nil(&buffer.packer);
	bool fits = gyr_rpc_pack_end(&buffer);
	GYR_ASSERT(fits);
	connection->closing = true;
	send_buffer(connection, &buffer);
	gyr_rpc_pack_fini(&buffer);
}

/* Head whole: makes room for the request. False when the connection is refused. */
static bool take_head(struct gyr_rpc_connection *connection)
{
	uint32_t bytes;
	memcpy(&bytes, connection->head, sizeof bytes);
	bytes = ntohl(bytes);
	if (bytes == 0 || bytes > GYR_RPC_REQUEST_MAX) {
		char text[128];
		snprintf(text, sizeof text, "a request of %u bytes; 1 to %u are accepted", bytes, GYR_RPC_REQUEST_MAX);
		refuse(connection, -EMSGSIZE, text);
		return false;
	}
	connection->request = malloc(bytes);
	GYR_ASSERT(connection->request != NULL);
	connection->request_bytes = bytes;
	connection->received = 0;
	return true;
}

static void be_ready(void *user, uint32_t ready)
{
	struct gyr_rpc_connection *connection = user;
	if ((ready & EPOLLOUT) != 0 && !flush(connection))
		return;
	if ((ready & EPOLLIN) == 0) {
		if ((ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
			close_connection(connection);
		return;
	}
	bool in_head = connection->request == NULL;
	uint8_t *to = in_head ? connection->head : connection->request;
	uint32_t wanted = in_head ? GYR_RPC_HEAD_BYTES : connection->request_bytes;
	ssize_t count = recv(connection->watch.fd, to + connection->received, wanted - connection->received, 0);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		close_connection(connection);
		return;
	}
	connection->received += (uint32_t)count;
	if (connection->received < wanted)
		return;
	if (in_head)
		take_head(connection);
	else
		serve(connection);
}

static bool read_peer(int fd, struct gyr_rpc_peer *peer)
{
	struct ucred process;
	socklen_t length = sizeof process;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &length) != 0)
		return false;
	*peer = (struct gyr_rpc_peer){.uid = process.uid, .gid = process.gid};
	gid_t groups[NGROUPS_MAX];
	length = sizeof groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) != 0)
		return true;
	peer->group_count = length / sizeof *groups < GYR_RPC_GROUPS_MAX ? (uint32_t)(length / sizeof *groups) : GYR_RPC_GROUPS_MAX;
	memcpy(peer->groups, groups, peer->group_count * sizeof *groups);
	return true;
}

static bool is_member(const struct gyr_rpc_peer *peer, gid_t group)
{
	bool member = peer->gid == group;
	for (uint32_t i = 0; i < peer->group_count; i++)
		member = member || peer->groups[i] == group;
	return member;
}

static enum role find_role(const struct gyr_rpc_server *server, const struct gyr_rpc_peer *peer)
{
	if (peer->uid == 0 || peer->uid == getuid() || (server->has_operators && is_member(peer, server->operators)))
		return OPERATOR;
	return !server->has_viewers || is_member(peer, server->viewers) ? VIEWER : STRANGER;
}

static int find_group(const char *name, bool *has, gid_t *group, struct gyr_error *error)
{
	*has = name[0] != '\0';
	const struct group *found = *has ? getgrnam(name) : NULL;
	if (*has && found == NULL)
		return gyr_error_set(error, -ENOENT, "there is no group \"%s\" on this machine, which the configuration names", name);
	if (*has)
		*group = found->gr_gid;
	return 0;
}

static void accept_one(void *user, uint32_t ready)
{
	struct gyr_rpc_server *server = user;
	int fd = accept4(server->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct gyr_rpc_connection *connection = calloc(1, sizeof *connection);
	GYR_ASSERT(connection != NULL);
	connection->server = server;
	connection->watch = (struct gyr_watch){.fd = -1, .ready = be_ready, .user = connection};
	msgpack_sbuffer_init(&connection->out);
	if (!read_peer(fd, &connection->peer) || gyr_watch_start(server->events, &connection->watch, fd, EPOLLIN | EPOLLRDHUP) != 0) {
		close(fd);
		free(connection);
		return;
	}
	gyr_timer_start(server->events, &connection->idle, GYR_RPC_IDLE_S * GYR_NS_PER_S, be_idle_too_long, connection);
	connection->role = find_role(server, &connection->peer);
	connection->next = server->connections;
	server->connections = connection;
	server->looker_count += connection->role != OPERATOR;
	if (++server->connection_count == GYR_RPC_CONNECTIONS_MAX)
		gyr_watch_interest(server->events, &server->watch, 0);
	if (connection->role != OPERATOR && server->looker_count > GYR_RPC_LOOKERS_MAX)
		refuse(connection, -EBUSY, "too many who may only look are connected; try again later");
}

int gyr_rpc_server_create(struct gyr_events *events, const char *path, const struct gyr_rpc_method *methods, const struct gyr_rpc_roles *roles, void *user,
			  struct gyr_rpc_server **server, struct gyr_error *error)
{
	struct gyr_rpc_server *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the control socket");
	made->events = events;
	made->methods = methods;
	made->user = user;
	made->watch = (struct gyr_watch){.fd = -1, .ready = accept_one, .user = made};
	made->address.sun_family = AF_UNIX;
	int fd = -1, status = find_group(roles->operators, &made->has_operators, &made->operators, error);
	if (status == 0)
		status = find_group(roles->viewers, &made->has_viewers, &made->viewers, error);
	if (status != 0) {
		free(made);
		return status;
	}
	status = strlen(path) < sizeof made->address.sun_path ? 0 : -ENAMETOOLONG;
	if (status == 0) {
		strcpy(made->address.sun_path, path);
		unlink(path);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)&made->address, sizeof made->address) != 0 || chmod(path, 0666) != 0 || listen(fd, 64) != 0)
			status = -errno;
	}
	if (status == 0)
		status = gyr_watch_start(events, &made->watch, fd, EPOLLIN);
	if (status != 0) {
		if (fd >= 0)
			close(fd);
		free(made);
		return gyr_error_set(error, status, "%s: %s", path, strerror(-status));
	}
	*server = made;
	return 0;
}

void gyr_rpc_server_destroy(struct gyr_rpc_server *server)
{
	if (server == NULL)
		return;
	int fd = server->watch.fd;
	gyr_watch_stop(server->events, &server->watch);
	close(fd);
	unlink(server->address.sun_path);
	/* Not counted down to one less than the most: the listening socket is watched no more. */
	server->connection_count = 0;
	while (server->connections != NULL)
		close_connection(server->connections);
	free(server);
}
