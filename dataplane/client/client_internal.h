/* What the files of libgyr share. */
#ifndef GYR_DATAPLANE_CLIENT_CLIENT_INTERNAL_H
#define GYR_DATAPLANE_CLIENT_CLIENT_INTERNAL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"
#include "dataplane/client/gyr.h"
#include "dataplane/wire/pieces.h"
#include "dataplane/wire/wire.h"

/* A message, and which pieces of it went or came: the bits lie behind the bytes, in memory that only grows. */
struct gyr_client_message {
	uint8_t *bytes;
	size_t size, length;
	struct gyr_pieces pieces;
};

struct gyr_client {
	int fd;
	sa_family_t family;
	bool busy_poll;
	uint64_t id; /* of the last call; always 9 bytes long in msgpack */
	uint64_t usual_ns; /* from a question's last byte to its answer's first; 0: not known yet */
	uint64_t wait_ns;  /* for the next answer, until something goes again; 0: as before any */
	struct gyr_error error;
	struct gyr_wire_message answer; /* points into received, or into whole */
	struct gyr_client_message question;
	struct gyr_client_message whole;             /* an answer that comes in pieces */
	size_t answer_max;                           /* a longer one is not taken */
	uint8_t received[GYR_WIRE_DATAGRAM_MAX + 1]; /* one more, so that a longer one shows */
};

/* Makes room for a message of LENGTH bytes, none of whose pieces is there. -ENOMEM; -EMSGSIZE: longer than any message. */
int gyr_client_room(struct gyr_client_message *message, size_t length);

/*
 * Sends the question, in pieces where it has to be, until it is answered by a message of type WANTED; its answer in client->answer. Round trip, attempts and
 * time to come back into REPLY.
 */
int gyr_client_ask(struct gyr_client *client, enum gyr_wire_type wanted, uint32_t timeout_us, struct gyr_reply *reply);

#endif
