/*
 * One request at a time over one connected, non-blocking UDP socket. An answer belongs to the call under way when it carries that call's id; any other (late,
 * of a call given up, or doubled) is dropped, which is why ids start at random and are never used twice.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/client/client_internal.h"

#define REQUEST_HEAD_MAX 512u        /* bytes of a request beside its tensors' elements */
#define ANSWER_HEAD_MAX 1024u        /* the same of a result */
#define DESCRIPTION_MAX 65536u       /* bytes of a description that comes in pieces */
#define RECEIVE_BUFFER (4 << 20)     /* asked of the kernel for answers in pieces, which it may cut */
#define ID_LARGE (UINT64_C(1) << 62) /* so that every id is packed in 9 bytes */

_Static_assert(GYR_CLIENT_TENSORS_MAX == GYR_WIRE_TENSORS_MAX, "gyr.h and the wire agree");

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

/* "192.0.2.1", "2001:db8::1" or "fe80::1%eth1" into ADDRESS; its length, or 0. */
static socklen_t parse_host(const char *host, uint16_t port, union address *address)
{
	char text[INET6_ADDRSTRLEN];
	*address = (union address){.ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
	if (inet_pton(AF_INET, host, &address->ipv4.sin_addr) == 1)
		return sizeof address->ipv4;
	size_t length = strcspn(host, "%");
	*address = (union address){.ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
	if (length >= sizeof text)
		return 0;
	memcpy(text, host, length);
	text[length] = 0;
	if (inet_pton(AF_INET6, text, &address->ipv6.sin6_addr) != 1)
		return 0;
	if (host[length] == 0)
		return sizeof address->ipv6;
	address->ipv6.sin6_scope_id = if_nametoindex(host + length + 1);
	return address->ipv6.sin6_scope_id == 0 ? 0 : sizeof address->ipv6;
}

/* The server refuses IP fragments, so the kernel is to refuse what would become some. */
static int forbid_fragments(int fd, sa_family_t family)
{
	int whole = family == AF_INET6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
	return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &whole, sizeof whole)
				  : setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole);
}

int gyr_client_create(const char *host, uint16_t port, struct gyr_client **client)
{
	union address address;
	socklen_t length = parse_host(host, port == 0 ? GYR_WIRE_PORT : port, &address);
	if (length == 0)
		return -EINVAL;
	struct gyr_client *made = calloc(1, sizeof *made);
	if (made == NULL)
		return -ENOMEM;
	int status;
	made->family = address.any.sa_family;
	made->fd = socket(made->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (made->fd < 0) {
		status = -errno;
		free(made);
		return status;
	}
	int room = RECEIVE_BUFFER;
	if (forbid_fragments(made->fd, made->family) != 0 || setsockopt(made->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) != 0 ||
	    connect(made->fd, &address.any, length) != 0 || getrandom(&made->id, sizeof made->id, 0) != sizeof made->id) {
		status = -errno;
		gyr_client_destroy(made);
		return status;
	}
	made->id = made->id >> 2 | ID_LARGE; /* room to count up */
	*client = made;
	return 0;
}

void gyr_client_destroy(struct gyr_client *client)
{
	if (client == NULL)
		return;
	close(client->fd);
	free(client->question.bytes);
	free(client->whole.bytes);
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

static int make_room(struct gyr_client *client, size_t length)
{
	int status = gyr_client_room(&client->question, length);
	return status == 0 ? 0 : gyr_error_set(&client->error, status, "no memory for a question of %zu bytes", length);
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
	size_t length = REQUEST_HEAD_MAX;
	for (uint32_t i = 0; i < input_count; i++) {
		if (inputs[i].bytes > UINT32_MAX - length)
			return gyr_error_set(&client->error, -EMSGSIZE, "the inputs have more than the 4 GiB of a message");
		length += inputs[i].bytes;
		packed[i] = (struct gyr_wire_output){
			.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {(int64_t)inputs[i].bytes}}, .data = inputs[i].data, .form = GYR_WIRE_BARE};
	}
	status = make_room(client, length);
	if (status != 0)
		return status;
	client->answer_max = ANSWER_HEAD_MAX;
	for (uint32_t i = 0; i < output_count; i++)
		client->answer_max += outputs[i].bytes;
	uint32_t deadline_us = timeout_us < GYR_WIRE_DEADLINE_US_MAX ? timeout_us : GYR_WIRE_DEADLINE_US_MAX;
	client->question.length =
		gyr_wire_pack_request(client->question.bytes, length, client->id, &refs[0], &refs[1], deadline_us, packed, input_count, false);
	status = gyr_client_ask(client, GYR_WIRE_RESULT, timeout_us, reply);
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
	status = make_room(client, REQUEST_HEAD_MAX);
	if (status != 0)
		return status;
	client->answer_max = DESCRIPTION_MAX;
	client->question.length = gyr_wire_pack_describe(client->question.bytes, REQUEST_HEAD_MAX, client->id, &refs[0], &refs[1]);
	status = gyr_client_ask(client, GYR_WIRE_DESCRIPTION, timeout_us, &reply);
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
	int status = make_room(client, REQUEST_HEAD_MAX);
	if (status != 0)
		return status;
	client->answer_max = 0;
	client->question.length = gyr_wire_pack_ping(client->question.bytes, REQUEST_HEAD_MAX, client->id, NULL, 0);
	status = gyr_client_ask(client, GYR_WIRE_PING, timeout_us, &reply);
	if (status == 0)
		*round_trip_ns = reply.round_trip_ns;
	return status;
}
