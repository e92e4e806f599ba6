#include "control/rpc/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int gyr_rpc_client_init(struct gyr_rpc_client *client, const char *path, struct gyr_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*client = (struct gyr_rpc_client){.fd = -1};
	if (strlen(path) >= sizeof address.sun_path)
		return gyr_error_set(error, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path, sizeof address.sun_path - 1);
	strcpy(address.sun_path, path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd >= 0 && connect(client->fd, (struct sockaddr *)&address, sizeof address) == 0)
		return 0;
	int status = -errno;
	gyr_rpc_client_fini(client);
	if (status == -ENOENT || status == -ECONNREFUSED)
		return gyr_error_set(error, status, "no gyrd answers at %s; start it with \"gyrd\", or name its run directory with --run-dir or --config",
				     path);
	return gyr_error_set(error, status, "%s: %s", path, strerror(-status));
}

void gyr_rpc_client_fini(struct gyr_rpc_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->bytes);
	*client = (struct gyr_rpc_client){.fd = -1};
}

int gyr_rpc_client_process(const struct gyr_rpc_client *client, struct gyr_error *error)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return gyr_error_set(error, -errno, "SO_PEERCRED: %s", strerror(errno));
	int fd = peer.pid == 0 ? -1 : pidfd_open(peer.pid, 0);
	return fd >= 0 ? fd : gyr_error_set(error, peer.pid == 0 ? -ESRCH : -errno, "gyrd's process cannot be seen from here");
}

static int send_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;
	while (size > 0) {
		ssize_t count = send(fd, at, size, MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		at += count;
		size -= (size_t)count;
	}
	return 0;
}

static int receive_all(const struct gyr_rpc_client *client, void *bytes, size_t size)
{
	struct pollfd wait = {.fd = client->fd, .events = POLLIN};
	ssize_t count;
	char *at = bytes;
	while (size > 0) {
		if (client->while_waiting != NULL && ppoll(&wait, 1, NULL, client->while_waiting) < 0 && errno == EINTR)
			return -EINTR;
		count = recv(client->fd, at, size, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return -EPIPE;
		at += count;
		size -= (size_t)count;
	}
	return 0;
}

static int send_request(int fd, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, struct gyr_error *error)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_pack_begin(&buffer, 3);
	gyr_rpc_pack_text(&buffer.packer, call);
	msgpack_pack_map(&buffer.packer, count);
	for (uint32_t i = 0; i < count; i++)
		gyr_rpc_pair_text(&buffer.packer, parameters[i].name, parameters[i].value);
	int status;
	if (!gyr_rpc_pack_end(&buffer) || buffer.bytes.size - GYR_RPC_HEAD_BYTES > GYR_RPC_REQUEST_MAX)
		status = gyr_error_set(error, -E2BIG, "the request takes %zu bytes; at most %u are accepted", buffer.bytes.size, GYR_RPC_REQUEST_MAX);
	else
		status = send_all(fd, buffer.bytes.data, buffer.bytes.size);
	/* A gyrd that refused the connection has said why; that is read next. */
	if (status == -EPIPE || status == -ECONNRESET)
		status = 0;
	gyr_rpc_pack_fini(&buffer);
	return status;
}

static int receive_message(struct gyr_rpc_client *client, struct gyr_unpack *cursor, struct gyr_error *error)
{
	uint32_t bytes;
	int status = receive_all(client, &bytes, sizeof bytes);
	if (status == -EINTR)
		return gyr_error_set(error, status, "interrupted");
	if (status != 0)
		return gyr_error_set(error, status, "gyrd ended, or closed the connection, before it answered");
	bytes = ntohl(bytes);
	if (bytes == 0 || bytes > GYR_RPC_ANSWER_MAX)
		return gyr_error_set(error, -EBADMSG, "a message of %u bytes came; is this gyrd's socket?", bytes);
	free(client->bytes);
	client->bytes = malloc(bytes);
	if (client->bytes == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for an answer of %u bytes", bytes);
	status = receive_all(client, client->bytes, bytes);
	if (status == -EINTR)
		return gyr_error_set(error, status, "interrupted");
	if (status != 0)
		return gyr_error_set(error, status, "gyrd ended in the middle of its answer");
	*cursor = (struct gyr_unpack){.at = client->bytes, .end = client->bytes + bytes};
	return 0;
}

int gyr_rpc_client_call(struct gyr_rpc_client *client, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, gyr_rpc_news *news,
			void *user, struct gyr_unpack *body, struct gyr_error *error)
{
	int status = send_request(client->fd, call, parameters, count, error);
	while (status == 0) {
		struct gyr_unpack cursor;
		uint32_t values, length;
		uint64_t version, final;
		int64_t result;
		const char *text;
		status = receive_message(client, &cursor, error);
		if (status != 0)
			break;
		if (!gyr_unpack_array(&cursor, &values) || !gyr_unpack_uint(&cursor, &version) || version != GYR_RPC_VERSION ||
		    !gyr_unpack_uint(&cursor, &final))
			return gyr_error_set(error, -EBADMSG, "an answer of another form came; is this gyrd of another version?");
		if (final == 0) {
			if (news != NULL)
				news(user, cursor);
			continue;
		}
		if (!gyr_unpack_int(&cursor, &result) || result > 0 || result < -4095 || !gyr_unpack_str(&cursor, &text, &length))
			return gyr_error_set(error, -EBADMSG, "an answer of another form came; is this gyrd of another version?");
		*body = cursor;
		return result == 0 ? 0 : gyr_error_set(error, (int)result, "%.*s", (int)length, text);
	}
	return status;
}
