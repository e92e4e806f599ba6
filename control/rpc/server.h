/*
 * The server's end of the control socket. The loop's thread only.
 *
 * Who may do what goes by the credentials that the kernel gives. An operator may look and change: root, the user that gyrd runs as, and the members of the
 * operators' group. A viewer may look: the members of the viewers' group, or, where there is none, everybody on the machine.
 */
#ifndef GYR_CONTROL_RPC_SERVER_H
#define GYR_CONTROL_RPC_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/event/events.h"
#include "control/rpc/rpc.h"

#define GYR_RPC_CONNECTIONS_MAX 64u /* more wait until one ends */
#define GYR_RPC_LOOKERS_MAX 32u     /* of them, of those who may only look: they cannot keep out who may change things */
#define GYR_RPC_GROUPS_MAX 60u      /* of a caller; of more, the first count */
#define GYR_RPC_CALL_MAX 4096u      /* bytes of a request, where its method does not say more */
#define GYR_RPC_IDLE_S 10u          /* a connection without a call is closed after so long */

struct gyr_rpc_server;

/* Who asks, as the kernel says. */
struct gyr_rpc_peer {
	uid_t uid;
	gid_t gid;
	uint32_t group_count; /* besides GID */
	gid_t groups[GYR_RPC_GROUPS_MAX];
};

/* A call that is to be answered, once. */
struct gyr_rpc_call {
	struct gyr_rpc_request request;
	struct gyr_rpc_peer peer;
	/* Set by the one who serves the call, when he cares: the caller is gone. The call is still to be answered, and nobody will hear it. */
	void (*gone)(struct gyr_rpc_call *call);
	void *user;
	struct gyr_rpc_connection *connection; /* NULL when gone */
	uint8_t *bytes;                        /* that the request lies in */
};

/* One of the calls there are. */
struct gyr_rpc_method {
	const char *name;                                     /* NULL ends the table */
	bool changes;                                         /* only for operators */
	void (*serve)(void *user, struct gyr_rpc_call *call); /* must come to gyr_rpc_answer, now or later */
	uint32_t bytes_max;                                   /* of a request; 0: GYR_RPC_CALL_MAX */
};

/* The groups whose members have a role besides those who always have it; "" for no such group. */
struct gyr_rpc_roles {
	const char *operators, *viewers;
};

/* Listens at PATH (mode 0666), taking the place of a socket that is left over. METHODS must stay. -ENOENT: no such group as ROLES names; -ENAMETOOLONG, -EACCES
 * and what else bind and listen give. */
GYR_MUST_CHECK int gyr_rpc_server_create(struct gyr_events *events, const char *path, const struct gyr_rpc_method *methods, const struct gyr_rpc_roles *roles,
					 void *user, struct gyr_rpc_server **server, struct gyr_error *error);
/* Closes everything and removes the socket; calls that were not answered are told that their caller is gone, and are answered after that, before this returns.
 */
void gyr_rpc_server_destroy(struct gyr_rpc_server *server);

/* Starts a news message, to be filled with one object through BUFFER->packer and sent. */
void gyr_rpc_news_begin(struct gyr_rpc_buffer *buffer);
void gyr_rpc_news_send(struct gyr_rpc_call *call, struct gyr_rpc_buffer *buffer);

/* Starts the answer of a call that went well, likewise. Sending it frees the call. */
void gyr_rpc_answer_begin(struct gyr_rpc_buffer *buffer);
void gyr_rpc_answer_send(struct gyr_rpc_call *call, struct gyr_rpc_buffer *buffer);

/* Answers with a status and a text, without a body, and frees the call. */
void gyr_rpc_answer(struct gyr_rpc_call *call, int status, const char *text);

#endif
