/*
 * One request at a time over one connected, non-blocking UDP socket. An answer belongs to the call under way when it carries that call's id; any other (late,
 * of a call given up, or doubled) is dropped, which is why ids start at random and are never used twice.
 */
#include "dataplane/client/gyr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "dataplane/wire/wire.h"

/* How long an answer is waited for before the same datagram goes again; doubled each time. */
#define RESEND_FIRST_NS (10 * GYR_NS_PER_MS)

_Static_assert(GYR_CLIENT_TENSORS_MAX == GYR_WIRE_TENSORS_MAX, "gyr.h and the wire agree");

struct gyr_client {
	int fd;
	bool busy_poll;
	uint64_t id; /* of the last call */
	struct gyr_error error;
	struct gyr_wire_message answer; /* points into RECEIVED */
	size_t request_bytes;
	uint8_t request[GYR_WIRE_DATAGRAM_MAX];
	uint8_t received[GYR_WIRE_DATAGRAM_MAX + 1]; /* one more, so that a longer one shows */
};

int gyr_client_create(const char *host, uint16_t port, struct gyr_client **client)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port == 0 ? GYR_WIRE_PORT : port)};
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -EINVAL;
	struct gyr_client *made = calloc(1, sizeof *made);
	if (made == NULL)
		return -ENOMEM;
	int status;
	made->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (made->fd < 0) {
		status = -errno;
		free(made);
		return status;
	}
	/* The server refuses fragments, so the kernel is to refuse what would become some. */
	int whole = IP_PMTUDISC_DO;
	if (setsockopt(made->fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole) != 0 ||
	    connect(made->fd, (const struct sockaddr *)&address, sizeof address) != 0 || getrandom(&made->id, sizeof made->id, 0) != sizeof made->id) {
		status = -errno;
		gyr_client_destroy(made);
		return status;
	}
	made->id >>= 1; /* room to count up */
	*client = made;
	return 0;
}

void gyr_client_destroy(struct gyr_client *client)
{
	if (client == NULL)
		return;
	close(client->fd);
	free(client);
}

void gyr_client_busy_poll(struct gyr_client *client, int on)
{
	client->busy_poll = on != 0;
}

const char *gyr_client_error(const struct gyr_client *client)
{
	return client->error.text;
}

/* Waits until the socket has something to read, or UNTIL_NS. */
static void wait_readable(struct gyr_client *client, uint64_t now_ns, uint64_t until_ns)
{
	struct pollfd waited = {.fd = client->fd, .events = POLLIN};
	uint64_t left_ns = until_ns - now_ns;
	struct timespec left = {.tv_sec = (time_t)(left_ns / GYR_NS_PER_S), .tv_nsec = (long)(left_ns % GYR_NS_PER_S)};
	/* However it ends, the caller looks at the socket and the clock again. */
	ppoll(&waited, 1, &left, NULL);
}

/* Receives one datagram. 1: the answer to this call, parsed; 0: nothing, or something else; -EPROTO; or the socket's errno. */
static int receive(struct gyr_client *client)
{
	ssize_t bytes = recv(client->fd, client->received, sizeof client->received, 0);
	if (bytes < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(client->received, (size_t)bytes, &client->answer, &reason);
	if (!client->answer.has_id || client->answer.id != client->id)
		return 0;
	if (code != GYR_WIRE_OK)
		return gyr_error_set(&client->error, -EPROTO, "the answer is not understood: %s", reason);
	return 1;
}

static int status_of(enum gyr_wire_code code)
{
	switch (code) {
	case GYR_WIRE_UNKNOWN_MODEL:
	case GYR_WIRE_UNKNOWN_VERSION:
	case GYR_WIRE_UNKNOWN_LABEL: return -ENOENT;
	case GYR_WIRE_BAD_SHAPE:
	case GYR_WIRE_BAD_DTYPE: return -EINVAL;
	case GYR_WIRE_TOO_LARGE: return -EMSGSIZE;
	case GYR_WIRE_DEADLINE: return -ETIME;
	case GYR_WIRE_BUSY: return -EBUSY;
	case GYR_WIRE_INTERNAL:
	case GYR_WIRE_INCOMPLETE: return -EIO;
	case GYR_WIRE_FORBIDDEN: return -EPERM;
	default: return -EPROTO;
	}
}

/*
 * Sends the packed request until it is answered by a message of type WANTED. Round trip, attempts and time to come back into REPLY.
 */
static int ask(struct gyr_client *client, enum gyr_wire_type wanted, uint32_t timeout_us, struct gyr_reply *reply)
{
	uint64_t now_ns = gyr_clock_ns(), give_up_ns = now_ns + timeout_us * GYR_NS_PER_US;
	uint64_t sent_ns = 0, resend_ns = now_ns, wait_ns = RESEND_FIRST_NS;
	int refused = 0;
	do {
		if (now_ns >= resend_ns) {
			if (send(client->fd, client->request, client->request_bytes, 0) < 0) {
				/* What an earlier datagram met is reported here too; a full queue empties by itself. */
				if (errno == ECONNREFUSED)
					refused = -errno;
				else if (errno == EMSGSIZE)
					return gyr_error_set(&client->error, -EMSGSIZE, "a question of %zu bytes fits no frame on the way there",
							     client->request_bytes);
				else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
					return gyr_error_set(&client->error, -errno, "send: %s", strerror(errno));
			}
			sent_ns = now_ns;
			reply->attempts++;
			resend_ns = now_ns + wait_ns;
			wait_ns *= 2;
		}
		int status = receive(client);
		now_ns = gyr_clock_ns();
		if (status == 1) {
			reply->round_trip_ns = now_ns - sent_ns;
			if (client->answer.type == wanted)
				return 0;
			if (client->answer.type != GYR_WIRE_ERROR)
				return gyr_error_set(&client->error, -EPROTO, "the answer is a message of type %d", (int)client->answer.type);
			reply->retry_after_us = client->answer.code == GYR_WIRE_BUSY ? client->answer.retry_after_us : 0;
			return gyr_error_set(&client->error, status_of(client->answer.code), "%s: %.*s", gyr_wire_code_name(client->answer.code),
					     (int)client->answer.text_length, client->answer.text);
		}
		if (status == -ECONNREFUSED)
			refused = status; /* it may be starting */
		else if (status == -EPROTO)
			return status;
		else if (status < 0)
			return gyr_error_set(&client->error, status, "receive: %s", strerror(-status));
		if (!client->busy_poll && now_ns < give_up_ns && now_ns < resend_ns)
			wait_readable(client, now_ns, resend_ns < give_up_ns ? resend_ns : give_up_ns);
		now_ns = gyr_clock_ns();
	} while (now_ns < give_up_ns);
	if (refused != 0)
		return gyr_error_set(&client->error, refused, "nobody listens on that port (%u datagrams sent)", reply->attempts);
	return gyr_error_set(&client->error, -ETIMEDOUT, "no answer in %u us to %u datagrams", timeout_us, reply->attempts);
}

static int ref_of(struct gyr_client *client, const char *what, const char *name, struct gyr_wire_ref *ref)
{
	*ref = (struct gyr_wire_ref){.name = name, .length = (uint32_t)strnlen(name, GYR_WIRE_NAME_MAX + 1), .present = true};
	if (gyr_wire_name_is_valid(name, ref->length))
		return 0;
	return gyr_error_set(&client->error, -EINVAL, "\"%.80s\" can be no %s: 1 to %u of a-z 0-9 . _ -, the first a letter or digit", name, what,
			     GYR_WIRE_NAME_MAX);
}

/* NULL: none; digits only: a version; else a label. */
static int select_of(struct gyr_client *client, const char *text, struct gyr_wire_ref *ref)
{
	*ref = (struct gyr_wire_ref){0};
	if (text == NULL)
		return 0;
	if (text[0] == 0 || text[strspn(text, "0123456789")] != 0)
		return ref_of(client, "label", text, ref);
	ref->present = true;
	errno = 0;
	ref->number = strtoull(text, NULL, 10);
	return errno == 0 ? 0 : gyr_error_set(&client->error, -EINVAL, "version %.80s is above 2^64 - 1", text);
}

/* What each call starts with. */
static int begin(struct gyr_client *client, const char *model, const char *select, struct gyr_wire_ref refs[2])
{
	client->error.text[0] = 0;
	client->id++;
	int status = ref_of(client, "model", model, &refs[0]);
	return status != 0 ? status : select_of(client, select, &refs[1]);
}

static int copy_outputs(struct gyr_client *client, struct gyr_tensor *outputs, uint32_t count)
{
	const struct gyr_wire_message *answer = &client->answer;
	if (answer->tensor_count != count)
		return gyr_error_set(&client->error, -EINVAL, "the model has %u outputs; room for %u was given", answer->tensor_count, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_wire_tensor *tensor = &answer->tensors[i];
		if (tensor->form == GYR_WIRE_PLAIN)
			return gyr_error_set(&client->error, -EPROTO, "output %u came as plain numbers, though bytes were sent", i);
		if (tensor->bytes > outputs[i].bytes)
			return gyr_error_set(&client->error, -EMSGSIZE, "output %u has %u bytes; room for %zu was given", i, tensor->bytes, outputs[i].bytes);
	}
	for (uint32_t i = 0; i < count; i++) {
		outputs[i].bytes = answer->tensors[i].bytes;
		if (outputs[i].bytes != 0)
			memcpy(outputs[i].data, answer->tensors[i].data, outputs[i].bytes);
	}
	return 0;
}

int gyr_predict(struct gyr_client *client, const char *model, const char *select, const struct gyr_tensor *inputs, uint32_t input_count,
		struct gyr_tensor *outputs, uint32_t output_count, uint32_t timeout_us, struct gyr_reply *reply)
{
	struct gyr_wire_ref refs[2];
	struct gyr_wire_output packed[GYR_WIRE_TENSORS_MAX];
	struct gyr_reply ignored;
	if (reply == NULL)
		reply = &ignored;
	*reply = (struct gyr_reply){0};
	int status = begin(client, model, select, refs);
	if (status != 0)
		return status;
	if (input_count == 0 || input_count > GYR_WIRE_TENSORS_MAX)
		return gyr_error_set(&client->error, -EINVAL, "%u inputs; a request takes 1 to %u", input_count, GYR_WIRE_TENSORS_MAX);
	for (uint32_t i = 0; i < input_count; i++) {
		if (inputs[i].bytes > GYR_WIRE_DATAGRAM_MAX)
			return gyr_error_set(&client->error, -EMSGSIZE, "input %u has %zu bytes; a datagram holds %u", i, inputs[i].bytes,
					     GYR_WIRE_DATAGRAM_MAX);
		packed[i] = (struct gyr_wire_output){
			.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {(int64_t)inputs[i].bytes}}, .data = inputs[i].data, .form = GYR_WIRE_BARE};
	}
	uint32_t deadline_us = timeout_us < GYR_WIRE_DEADLINE_US_MAX ? timeout_us : GYR_WIRE_DEADLINE_US_MAX;
	client->request_bytes =
		gyr_wire_pack_request(client->request, sizeof client->request, client->id, &refs[0], &refs[1], deadline_us, packed, input_count, false);
	if (client->request_bytes == 0)
		return gyr_error_set(&client->error, -EMSGSIZE, "the inputs do not fit a datagram of %u bytes", GYR_WIRE_DATAGRAM_MAX);
	status = ask(client, GYR_WIRE_RESULT, timeout_us, reply);
	if (status != 0)
		return status;
	reply->version = client->answer.version;
	return copy_outputs(client, outputs, output_count);
}

int gyr_describe(struct gyr_client *client, const char *model, const char *select, uint32_t timeout_us, const void **map, size_t *bytes)
{
	struct gyr_wire_ref refs[2];
	struct gyr_reply reply = {0};
	int status = begin(client, model, select, refs);
	if (status != 0)
		return status;
	client->request_bytes = gyr_wire_pack_describe(client->request, sizeof client->request, client->id, &refs[0], &refs[1]);
	status = ask(client, GYR_WIRE_DESCRIPTION, timeout_us, &reply);
	if (status != 0)
		return status;
	*map = client->answer.body;
	*bytes = client->answer.body_bytes;
	return 0;
}

int gyr_ping(struct gyr_client *client, uint32_t timeout_us, uint64_t *round_trip_ns)
{
	struct gyr_reply reply = {0};
	client->error.text[0] = 0;
	client->id++;
	client->request_bytes = gyr_wire_pack_ping(client->request, sizeof client->request, client->id, NULL, 0);
	int status = ask(client, GYR_WIRE_PING, timeout_us, &reply);
	if (status == 0)
		*round_trip_ns = reply.round_trip_ns;
	return status;
}
