/*
 * libgyr: asks a Gyr appliance over UDP. One header, no dependency at run time but the C library.
 *
 * Questions and answers larger than a datagram go in pieces by themselves, and what gets lost of them is sent again.
 *
 * A client belongs to one thread at a time. It has one connected socket; calls block at most for the timeout given. A request that
 * got no answer is sent again (same id: a repeat is safe) until the timeout.
 *
 *     struct gyr_client *client;
 *     float pixels[784], scores[10];
 *     if (gyr_client_create("192.0.2.1", 0, &client) != 0) ...
 *     struct gyr_tensor in = {.data = pixels, .bytes = sizeof pixels}, out = {.data = scores, .bytes = sizeof scores};
 *     if (gyr_predict(client, "fashion", NULL, &in, 1, &out, 1, 100000, NULL) != 0)
 *             puts(gyr_client_error(client));
 */
#ifndef GYR_H
#define GYR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GYR_CLIENT_TENSORS_MAX 8

struct gyr_client;

/* Elements in the type and shape that the model declares, row-major, little-endian. */
struct gyr_tensor {
	void *data;
	size_t bytes; /* inputs: of data; outputs: the room on the way in, what was written on the way out */
};

struct gyr_reply {
	uint64_t version;        /* that answered */
	uint64_t round_trip_ns;  /* from when the question was sent last to the whole answer; with attempts > 1 that may be to an earlier one */
	uint32_t attempts;       /* times that the question was sent, not counting pieces sent again */
	uint32_t retry_after_us; /* when the call returned -EBUSY; else 0 */
};

/*
 * Opens a client of HOST, a numeric address of either family ("192.0.2.1", "2001:db8::1", "fe80::1%eth1"), and UDP port (0: 4970). 0; -EINVAL: HOST is no such
 * address, or there is no such interface; -ENOMEM; or the socket's errno.
 */
int gyr_client_create(const char *host, uint16_t port, struct gyr_client **client);
void gyr_client_destroy(struct gyr_client *client); /* NULL is fine */

/*
 * With ON not 0, calls spin on the socket instead of sleeping in poll: some microseconds less for each answer, for a whole CPU while a call waits. Off after
 * create.
 */
void gyr_client_busy_poll(struct gyr_client *client, int on);

/* Why the last call failed, in words; empty when it did not. Owned by the client, until its next call. */
const char *gyr_client_error(const struct gyr_client *client);

/*
 * Asks MODEL. SELECT: NULL for the promoted version, else a label, or a version in decimal digits. TIMEOUT_US also goes along as the deadline (at most a
 * minute), so that nobody works on an answer that comes too late. REPLY may be NULL. 0, or -ETIMEDOUT: no answer within TIMEOUT_US; -ENOENT: unknown model,
 * version or label; -EINVAL: shape or type, a number of inputs or outputs that is not the model's, or a name that none can have; -EMSGSIZE: too large for
 * the server or for the room given; -EPERM: the answer is larger than the question, and the server does not trust our address with that; -EBUSY: turned away;
 * -ETIME: the deadline passed there; -EPROTO: not understood, there or here; -EIO: failed there; -ECONNREFUSED: nobody listens there; or another errno of the
 * socket.
 */
int gyr_predict(struct gyr_client *client, const char *model, const char *select, const struct gyr_tensor *inputs, uint32_t input_count,
		struct gyr_tensor *outputs, uint32_t output_count, uint32_t timeout_us, struct gyr_reply *reply);

/* Gets the model's description: a msgpack map of *BYTES bytes at *MAP, owned by the client until its next call. Errors as of gyr_predict. */
int gyr_describe(struct gyr_client *client, const char *model, const char *select, uint32_t timeout_us, const void **map, size_t *bytes);

/* One ping; the round trip in ROUND_TRIP_NS. Errors as of gyr_predict. */
int gyr_ping(struct gyr_client *client, uint32_t timeout_us, uint64_t *round_trip_ns);

#ifdef __cplusplus
}
#endif

#endif
