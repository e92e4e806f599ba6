/*
 * The caller's end of the control socket: blocking, one call at a time.
 */
#ifndef GYR_CONTROL_RPC_CLIENT_H
#define GYR_CONTROL_RPC_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/unpack.h"
#include "control/rpc/rpc.h"

struct gyr_rpc_client {
	int fd;
	uint8_t *bytes; /* of the last message */
	/* The signals that are blocked while an answer is waited for, and one of the others ends the call with -EINTR. NULL: none does. */
	const sigset_t *while_waiting;
};

/* Called for each piece of news; BODY is one object. */
typedef void gyr_rpc_news(void *user, struct gyr_unpack body);

/* Connects to the socket PATH. -ENOENT, -ECONNREFUSED: no gyrd there (the message says how to start one). -EACCES, -ENAMETOOLONG. */
GYR_MUST_CHECK int gyr_rpc_client_init(struct gyr_rpc_client *client, const char *path, struct gyr_error *error);
void gyr_rpc_client_fini(struct gyr_rpc_client *client);

/* A descriptor that becomes readable when gyrd, as a process, has ended; close(2) it. -ESRCH: it is none that can be seen from here (a container's). */
GYR_MUST_CHECK int gyr_rpc_client_process(const struct gyr_rpc_client *client, struct gyr_error *error);

/*
 * Makes one call and waits for its end, however long it takes. NEWS may be NULL. *BODY is the answer's object, until the next call. The answer's status with
 * its text, or -EPIPE: gyrd went away; -EINTR: as of while_waiting; -EBADMSG: no answer of ours; -E2BIG: the parameters do not fit a request.
 */
GYR_MUST_CHECK int gyr_rpc_client_call(struct gyr_rpc_client *client, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count,
				       gyr_rpc_news *news, void *user, struct gyr_unpack *body, struct gyr_error *error);

#endif
