/*
 * One exchange: the question goes out, whole or in pieces, again and again until its answer is there, whole or in pieces.
 *
 * A question that is larger than the path's MTU, and one larger than any MTU that got no answer, goes in pieces, a few at a time, so that neither the server's
 * ring nor a switch overflows. What the server misses it asks for; what we miss of an answer we ask for once. Where nothing is heard, the first piece alone goes
 * again, to find out: a server that computes takes no notice, one that has answered does so again, and one that has nothing asks for the rest. When that does
 * not help all is sent again, and once pieces of an answer have come, under a new id: another version may answer then, and pieces of two answers must not meet.
 *
 * How long the first wait is, earlier answers tell: twice what they usually took. Where something was sent again nobody knows which of the two was answered, so
 * that exchange tells nothing of it; the next then waits as long as that one came to wait (Karn and Partridge, Improving Round-Trip Time Estimates, 1987).
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/unpack.h"
#include "dataplane/client/client_internal.h"

/* How long an answer is waited for before something goes again; doubled each time. */
#define RESEND_FIRST_NS (10 * GYR_NS_PER_MS)
#define RESEND_LAST_NS (160 * GYR_NS_PER_MS) /* of a question in pieces, which the server does not keep for long; and of any call's first wait */
#define PROBE_WAITS 4u                       /* after the first piece alone, so many times as long as before it: there is more to lose than to win */
#define USUAL_OVER 8u                        /* answers */
#define ASK_NS (4 * GYR_NS_PER_MS)           /* without a piece of the answer, until those missing are asked for */
#define BURST 16u                            /* pieces sent at once */
#define NS_PER_BYTE 8u                       /* the pace: 1 Gbit/s */
#define IPV4_HEADERS 28u
#define IPV6_HEADERS 48u
#define MTU_ANYWHERE 1500u /* what nearly every path carries */
#define ID_AT 3u           /* after the array's head, version and type */
#define MSGPACK_UINT64 0xcf

struct exchange {
	struct gyr_client *client;
	struct gyr_reply *reply;
	uint64_t now_ns, sent_ns, resend_ns, wait_ns;
	uint64_t burst_ns; /* when the next pieces may go */
	uint64_t heard_ns; /* when the last piece of the answer came */
	uint64_t asked_ns; /* when all of the question was sent */
	uint64_t took_ns;  /* from then on, until the first of the answer; 0: nothing yet */
	uint32_t piece_bytes, cursor;
	bool in_pieces, sending, asked;
	bool probed; /* the first piece alone was sent again, since all was */
	bool again;  /* anything was sent or asked for again */
	int refused; /* -ECONNREFUSED, once it was told */
};

int gyr_client_room(struct gyr_client_message *message, size_t length)
{
	if (length > UINT32_MAX)
		return -EMSGSIZE;
	size_t places = (length + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t), size = places + gyr_pieces_bytes((uint32_t)length);
	if (size > message->size) {
		uint8_t *bytes = realloc(message->bytes, size);
		if (bytes == NULL)
			return -ENOMEM;
		message->bytes = bytes;
		message->size = size;
	}
	message->length = length;
	gyr_pieces_init(&message->pieces, (uint64_t *)(void *)(message->bytes + places), (uint32_t)length);
	return 0;
}

/* The largest payload that the way there is known to carry in one packet. */
static uint32_t path_payload(const struct gyr_client *client)
{
	int mtu = 0;
	socklen_t size = sizeof mtu;
	bool ipv6 = client->family == AF_INET6;
	uint32_t headers = ipv6 ? IPV6_HEADERS : IPV4_HEADERS;
	if (getsockopt(client->fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_MTU : IP_MTU, &mtu, &size) != 0 || mtu < (int)headers)
		return MTU_ANYWHERE - headers;
	uint32_t payload = (uint32_t)mtu - headers;
	return payload < GYR_WIRE_DATAGRAM_MAX ? payload : GYR_WIRE_DATAGRAM_MAX;
}

/* The bytes of a piece, but for the last, on a path that carries PAYLOAD: the kernel tells of a path that carries not even the smallest. */
static uint32_t piece_of(uint32_t payload)
{
	return payload < GYR_WIRE_FRAGMENT_HEAD_MAX + GYR_PIECES_GRAIN ? GYR_PIECES_GRAIN : gyr_pieces_size(payload);
}

/* The whole question goes (again), from here on. */
static void start(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	uint32_t path = path_payload(client), anywhere = MTU_ANYWHERE - (client->family == AF_INET6 ? IPV6_HEADERS : IPV4_HEADERS);
	size_t length = client->question.length;
	int same = gyr_client_room(&client->question, length);
	GYR_ASSERT(same == 0);
	if (client->whole.length > 0) {
		client->id++;
		for (unsigned i = 0; i < sizeof client->id; i++)
			client->question.bytes[ID_AT + 1 + i] = (uint8_t)(client->id >> 8 * (sizeof client->id - 1 - i));
		client->whole.length = 0;
	}
	exchange->in_pieces = length > path || (length > anywhere && exchange->reply->attempts > 1);
	exchange->piece_bytes = piece_of(path < anywhere ? path : anywhere);
	exchange->cursor = 0;
	exchange->sending = true;
	exchange->asked = exchange->probed = false;
	exchange->again = exchange->reply->attempts > 0;
	exchange->sent_ns = exchange->burst_ns = exchange->now_ns;
	exchange->reply->attempts++;
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

/* Sends one datagram. 1: it is on its way, or as good as lost; 0: the queue is full; -EMSGSIZE; or another errno, in words. */
static int send_datagram(struct exchange *exchange, const void *bytes, size_t size)
{
	struct gyr_client *client = exchange->client;
	if (send(client->fd, bytes, size, 0) >= 0)
		return 1;
	switch (errno) {
	case ECONNREFUSED: exchange->refused = -errno; return 1; /* what an earlier datagram met is reported here too */
	case EMSGSIZE: return -EMSGSIZE;
	case EAGAIN:
	case EINTR:
	case ENOBUFS: return 0;
	default: return gyr_error_set(&client->error, -errno, "send: %s", strerror(errno));
	}
}

/* All that was to be sent is on its way. */
static void end_sending(struct exchange *exchange)
{
	exchange->sending = false;
	exchange->asked_ns = exchange->now_ns;
	exchange->resend_ns = exchange->now_ns + exchange->wait_ns;
}

/* Sends as many pieces as may go now. */
static int send_pieces(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	struct gyr_client_message *question = &client->question;
	struct gyr_wire_range range;
	uint8_t datagram[MTU_ANYWHERE];
	uint32_t bytes = 0;
	for (uint32_t i = 0; i < BURST; i++) {
		if (!gyr_pieces_next_missing(&question->pieces, exchange->cursor, &range) && !gyr_pieces_next_missing(&question->pieces, 0, &range))
			break;
		range.bytes = range.bytes < exchange->piece_bytes ? range.bytes : exchange->piece_bytes;
		size_t size = gyr_wire_pack_fragment(datagram, sizeof datagram, client->id, (uint32_t)question->length, range.offset,
						     question->bytes + range.offset, range.bytes);
		int status = send_datagram(exchange, datagram, size);
		if (status == -EMSGSIZE && exchange->piece_bytes > GYR_PIECES_GRAIN) {
			/* The path has become narrower: the kernel knows by now. */
			uint32_t known = piece_of(path_payload(client));
			exchange->piece_bytes = known < exchange->piece_bytes ? known : GYR_PIECES_GRAIN;
			continue;
		}
		if (status <= 0) {
			if (status < 0 && client->error.text[0] == 0)
				return gyr_error_set(&client->error, status, "a piece of %zu bytes fits no frame on the way there", size);
			if (status < 0)
				return status;
			break;
		}
		gyr_pieces_add(&question->pieces, range.offset, range.bytes);
		exchange->cursor = range.offset;
		bytes += range.bytes;
	}
	exchange->burst_ns = exchange->now_ns + (bytes > 0 ? (uint64_t)bytes * NS_PER_BYTE : GYR_NS_PER_MS);
	if (question->pieces.left == 0)
		end_sending(exchange);
	return 0;
}

/* Sends what is to be sent now. */
static int send_due(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	if (exchange->in_pieces)
		return send_pieces(exchange);
	int status = send_datagram(exchange, client->question.bytes, client->question.length);
	if (status == -EMSGSIZE) {
		exchange->in_pieces = true;
		exchange->piece_bytes = piece_of(path_payload(client));
		return 0;
	}
	if (status < 0)
		return status;
	end_sending(exchange); /* a full queue empties by itself until the next time */
	return 0;
}

/* The server misses pieces of the question. */
static void send_missing_again(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	struct gyr_wire_range range;
	/* A server that forgot what it has begun to answer would answer anew. */
	if (!exchange->in_pieces || client->answer.total != client->question.length || client->whole.length > 0)
		return;
	exchange->again = true;
	while (gyr_wire_next_range(&client->answer, &range))
		gyr_pieces_remove(&client->question.pieces, range.offset, range.bytes);
	exchange->sending = true;
	exchange->burst_ns = exchange->now_ns;
}

/* Nothing was heard for long enough. */
static void send_again(struct exchange *exchange)
{
	struct gyr_client_message *question = &exchange->client->question;
	bool probe = exchange->in_pieces && !exchange->probed && exchange->client->whole.length == 0;
	exchange->wait_ns *= probe ? PROBE_WAITS : 2;
	if (exchange->in_pieces && exchange->wait_ns > RESEND_LAST_NS)
		exchange->wait_ns = RESEND_LAST_NS;
	if (!probe) {
		start(exchange);
		return;
	}
	exchange->probed = exchange->again = exchange->sending = true;
	exchange->burst_ns = exchange->now_ns;
	gyr_pieces_remove(&question->pieces, 0, exchange->piece_bytes);
}

/* A piece of the answer. 1: that is whole, and in client->answer. */
static int take_piece(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	struct gyr_client_message *whole = &client->whole;
	const struct gyr_wire_message *piece = &client->answer;
	const char *reason;
	if (piece->total > client->answer_max)
		return gyr_error_set(&client->error, -EMSGSIZE, "the answer has %u bytes, more than the room given", piece->total);
	if (whole->length == 0 && gyr_client_room(whole, piece->total) != 0)
		return gyr_error_set(&client->error, -ENOMEM, "no memory for an answer of %u bytes", piece->total);
	if (whole->length != piece->total)
		return 0;
	memcpy(whole->bytes + piece->offset, piece->body, piece->body_bytes);
	if (gyr_pieces_add(&whole->pieces, piece->offset, piece->body_bytes) > 0) {
		exchange->heard_ns = exchange->now_ns;
		exchange->resend_ns = exchange->now_ns + exchange->wait_ns;
	}
	if (whole->pieces.left > 0)
		return 0;
	enum gyr_wire_code code = gyr_wire_parse(whole->bytes, whole->length, &client->answer, &reason);
	if (code != GYR_WIRE_OK)
		return gyr_error_set(&client->error, -EPROTO, "the answer is not understood: %s", reason);
	return client->answer.id == client->id ? 1 : gyr_error_set(&client->error, -EPROTO, "the answer has another id than its pieces");
}

/* Asks for what is missing of the answer. */
static int ask_missing(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	const struct gyr_client_message *whole = &client->whole;
	struct gyr_wire_range ranges[GYR_WIRE_RANGES_MAX];
	uint8_t datagram[MTU_ANYWHERE - IPV6_HEADERS];
	uint32_t count = 0, from = 0;
	while (count < GYR_WIRE_RANGES_MAX && from < whole->length && gyr_pieces_next_missing(&whole->pieces, from, &ranges[count])) {
		from = ranges[count].offset + ranges[count].bytes;
		count++;
	}
	exchange->asked = exchange->again = true;
	size_t size = gyr_wire_pack_missing(datagram, sizeof datagram, client->id, (uint32_t)whole->length, ranges, count);
	int status = send_datagram(exchange, datagram, size);
	return status < 0 ? status : 0;
}

/* Receives one datagram. 1: the answer to this call, parsed; 0: nothing yet; -EPROTO; or the socket's errno. */
static int receive(struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	ssize_t bytes = recv(client->fd, client->received, sizeof client->received, 0);
	if (bytes < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(client->received, (size_t)bytes, &client->answer, &reason);
	if (!client->answer.has_id || client->answer.id != client->id)
		return 0;
	if (code != GYR_WIRE_OK)
		return gyr_error_set(&client->error, -EPROTO, "the answer is not understood: %s", reason);
	if (client->answer.type == GYR_WIRE_MISSING) {
		send_missing_again(exchange);
		return 0;
	}
	if (exchange->took_ns == 0 && exchange->asked_ns != 0)
		exchange->took_ns = exchange->now_ns - exchange->asked_ns;
	if (client->answer.type == GYR_WIRE_FRAGMENT)
		return take_piece(exchange);
	if (client->answer.type == GYR_WIRE_ERROR && client->answer.code == GYR_WIRE_INCOMPLETE && (exchange->in_pieces || client->whole.length > 0)) {
		start(exchange);
		return 0;
	}
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

/* The answer is in client->answer: is it one of type WANTED? */
static int judge(struct exchange *exchange, enum gyr_wire_type wanted)
{
	struct gyr_client *client = exchange->client;
	const struct gyr_wire_message *answer = &client->answer;
	exchange->reply->round_trip_ns = exchange->now_ns - exchange->sent_ns;
	if (answer->type == wanted)
		return 0;
	if (answer->type != GYR_WIRE_ERROR)
		return gyr_error_set(&client->error, -EPROTO, "the answer is a message of type %d", (int)answer->type);
	exchange->reply->retry_after_us = answer->code == GYR_WIRE_BUSY ? answer->retry_after_us : 0;
	return gyr_error_set(&client->error, status_of(answer->code), "%s: %.*s", gyr_wire_code_name(answer->code), (int)answer->text_length, answer->text);
}

/* What an exchange that was answered tells about the next one's first wait. */
static void learn(const struct exchange *exchange)
{
	struct gyr_client *client = exchange->client;
	if (!exchange->again)
		client->usual_ns = client->usual_ns == 0 ? exchange->took_ns : (client->usual_ns * (USUAL_OVER - 1) + exchange->took_ns) / USUAL_OVER;
	uint64_t wait_ns = exchange->again ? exchange->wait_ns : 2 * client->usual_ns;
	wait_ns = wait_ns > RESEND_FIRST_NS ? wait_ns : RESEND_FIRST_NS;
	client->wait_ns = wait_ns < RESEND_LAST_NS ? wait_ns : RESEND_LAST_NS;
}

/* When there is something to do, if nothing is received before. */
static uint64_t next_ns(const struct exchange *exchange)
{
	if (exchange->sending)
		return exchange->burst_ns;
	bool will_ask = exchange->client->whole.length > 0 && !exchange->asked && exchange->heard_ns + ASK_NS < exchange->resend_ns;
	return will_ask ? exchange->heard_ns + ASK_NS : exchange->resend_ns;
}

int gyr_client_ask(struct gyr_client *client, enum gyr_wire_type wanted, uint32_t timeout_us, struct gyr_reply *reply)
{
	struct exchange exchange = {.client = client, .reply = reply, .now_ns = gyr_clock_ns(), .wait_ns = client->wait_ns};
	if (exchange.wait_ns == 0)
		exchange.wait_ns = RESEND_FIRST_NS;
	uint64_t give_up_ns = exchange.now_ns + timeout_us * GYR_NS_PER_US;
	GYR_ASSERT(client->question.bytes[ID_AT] == MSGPACK_UINT64);
	client->whole.length = 0;
	start(&exchange);
	do {
		int status = 0;
		if (exchange.sending && exchange.now_ns >= exchange.burst_ns) {
			status = send_due(&exchange);
		} else if (!exchange.sending && exchange.now_ns >= exchange.resend_ns) {
			send_again(&exchange);
			continue;
		} else if (exchange.now_ns >= next_ns(&exchange)) {
			status = ask_missing(&exchange);
		}
		if (status < 0)
			return status;
		status = receive(&exchange);
		exchange.now_ns = gyr_clock_ns();
		if (status == 1) {
			status = judge(&exchange, wanted);
			if (status == 0)
				learn(&exchange);
			return status;
		}
		if (status == -ECONNREFUSED)
			exchange.refused = status; /* it may be starting */
		else if (status < 0)
			return client->error.text[0] != 0 ? status : gyr_error_set(&client->error, status, "receive: %s", strerror(-status));
		uint64_t until_ns = next_ns(&exchange) < give_up_ns ? next_ns(&exchange) : give_up_ns;
		if (!client->busy_poll && exchange.now_ns < until_ns)
			wait_readable(client, exchange.now_ns, until_ns);
		exchange.now_ns = gyr_clock_ns();
	} while (exchange.now_ns < give_up_ns);
	if (exchange.refused != 0)
		return gyr_error_set(&client->error, exchange.refused, "nobody listens on that port (asked %u times)", reply->attempts);
	return gyr_error_set(&client->error, -ETIMEDOUT, "no answer in %u us (asked %u times)", timeout_us, reply->attempts);
}
