/*
 * The data plane as gyrd reaches it: one connection to its socket, made again whenever it is gone, and requests that are sent one after another. The loop's
 * thread only.
 *
 *     down --connect, HELLO sent--> greeting --answered--> up
 *       ^                              |                    |
 *       +------- refused, lost, late, not understood -------+     (tried again after RETRY_NS, or by gyr_peer_retry)
 */
#ifndef GYR_CONTROL_LINK_PEER_H
#define GYR_CONTROL_LINK_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/event/events.h"
#include "dataplane/link/link.h"

struct gyr_peer;

struct gyr_peer_handlers {
	void (*up)(void *user, const uint8_t *body, uint32_t bytes); /* greeted; BODY as of STATUS, only during the call */
	void (*down)(void *user, const char *why);                   /* a connection that was up is gone; after the requests that waited were answered */
	void (*absent)(void *user, const char *why);                 /* nobody is there who answers or may yet; after each try */
};

/* Called once for each request: what came back, or status -ENOTCONN (it never went), -ECONNRESET (lost while it waited) or -ETIMEDOUT. */
typedef void gyr_peer_done(void *user, const struct gyr_link_answer *answer);

/* Makes a peer at the socket PATH and tries to connect at once (told from within the loop). -ENAMETOOLONG, -ENOMEM. */
GYR_MUST_CHECK int gyr_peer_create(struct gyr_events *events, const char *path, const struct gyr_peer_handlers *handlers, void *user, struct gyr_peer **peer,
				   struct gyr_error *error);
/* Closes the connection; requests that wait are answered with -ENOTCONN. */
void gyr_peer_destroy(struct gyr_peer *peer);

/* Greeted, so that requests go. */
bool gyr_peer_is_up(const struct gyr_peer *peer);

/* The process at the other end, 0 when there is none. */
pid_t gyr_peer_pid(const struct gyr_peer *peer);

/* Tries to connect now rather than when the next try is due. */
void gyr_peer_retry(struct gyr_peer *peer);

/*
 * Sends REQUEST (its seq is filled in) with descriptor FD, or -1, which is closed once it was sent or not. DONE may send another. An answer that takes longer
 * than TIMEOUT_NS after the request went ends the connection: what the data plane then holds is asked anew.
 */
void gyr_peer_send(struct gyr_peer *peer, const struct gyr_link_request *request, int fd, uint64_t timeout_ns, gyr_peer_done *done, void *user);

/* The descriptor that came with the answer which is being told (only during gyr_peer_done), the caller's from now on; -1: none came. */
int gyr_peer_take_descriptor(struct gyr_peer *peer);

/* Requests that were not answered yet. */
uint32_t gyr_peer_waiting(const struct gyr_peer *peer);

#endif
