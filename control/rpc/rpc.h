/*
 * gyrd's control socket: RUN_DIR/gyrd.sock, a Unix stream of messages, each a 32-bit big-endian length and one msgpack array. A connection carries one call at
 * a time:
 *
 *     request  [1, call, {name: text, ...}]
 *     news     [1, 0, body]                        while the call goes on, any number
 *     answer   [1, 1, status, text, body]          status 0, or a negative errno with the reason; body: nil or any object
 *
 * This is the codec of both ends; server.h and client.h are the ends. Any thread.
 */
#ifndef GYR_CONTROL_RPC_RPC_H
#define GYR_CONTROL_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack.h>

#include "base/error.h"

#define GYR_RPC_VERSION 1u
#define GYR_RPC_SOCKET "gyrd.sock" /* in the run directory */
#define GYR_RPC_HEAD_BYTES 4u
#define GYR_RPC_REQUEST_MAX 65536u     /* bytes of a request, without its head */
#define GYR_RPC_ANSWER_MAX (16u << 20) /* bytes of an answer */
#define GYR_RPC_PARAMETERS_MAX 48u
#define GYR_RPC_CALL_BYTES 32u

struct gyr_rpc_parameter {
	const char *name, *value; /* zero-terminated */
};

struct gyr_rpc_request {
	char call[GYR_RPC_CALL_BYTES];
	uint32_t count;
	struct gyr_rpc_parameter parameters[GYR_RPC_PARAMETERS_MAX];
};

/*
 * Parses SIZE bytes of a request, without the head. The parameters' texts are made where they lie in BYTES, which is changed and must stay. Any content is
 * safe. -EBADMSG with the place at fault; -EPROTONOSUPPORT: another version; -E2BIG: too many parameters.
 */
GYR_MUST_CHECK int gyr_rpc_parse(uint8_t *bytes, size_t size, struct gyr_rpc_request *request, struct gyr_error *error);

/* The value of a parameter, or NULL. */
const char *gyr_rpc_value(const struct gyr_rpc_request *request, const char *name);

/* The whole number in a parameter; *NUMBER stays where there is none. -EINVAL: no number. */
GYR_MUST_CHECK int gyr_rpc_number(const struct gyr_rpc_request *request, const char *name, uint64_t *number, struct gyr_error *error);

/* A message that is being packed: the head's room comes first. */
struct gyr_rpc_buffer {
	msgpack_sbuffer bytes;
	msgpack_packer packer;
};

/* Starts a message of VALUES array elements; gyr_rpc_pack_end fills in the head and says whether memory and GYR_RPC_ANSWER_MAX sufficed. */
void gyr_rpc_pack_begin(struct gyr_rpc_buffer *buffer, size_t values);
GYR_MUST_CHECK bool gyr_rpc_pack_end(struct gyr_rpc_buffer *buffer);
void gyr_rpc_pack_fini(struct gyr_rpc_buffer *buffer);

/* Values and pairs, for bodies. */
void gyr_rpc_pack_text(msgpack_packer *packer, const char *text);
void gyr_rpc_pair_text(msgpack_packer *packer, const char *key, const char *text);
void gyr_rpc_pair_whole(msgpack_packer *packer, const char *key, uint64_t number);
void gyr_rpc_pair_number(msgpack_packer *packer, const char *key, double number); /* nil when not finite */
void gyr_rpc_pair_bool(msgpack_packer *packer, const char *key, bool value);

#endif
