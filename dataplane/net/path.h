/*
 * Path MTUs: which clients cannot be reached with packets of our own MTU, as routers on the way tell (RFC 1191, RFC 8201). Bounded, and nothing is allocated:
 * two tables of words at the place that a keyed hash of the client gives, where the newer takes the older's place.
 *
 *   sent     the longest of the last seconds that a router could still complain of: half a hash, the packet's length, the second
 *   known    path MTUs: half a hash, the MTU, the second at which it was told
 *
 * A router's word is believed when it quotes a packet that we have sent in the last seconds: our address and port, a client that was sent a packet of just that
 * length. Two clients with the same half of a hash share an MTU, which makes answers smaller and nothing else.
 */
#ifndef GYR_DATAPLANE_NET_PATH_H
#define GYR_DATAPLANE_NET_PATH_H

#include "dataplane/net/net.h"

/* Remembers that CLIENT is sent an IP packet of BYTES. Any lcore; 10 ns. */
void gyr_net_path_sent(struct gyr_net_host *host, const struct gyr_net_endpoint *client, uint32_t bytes);

/* A router says that only MTU bytes pass, of a packet of BYTES to CLIENT. Any io lcore. False: not believed. */
bool gyr_net_path_tell(struct gyr_net_host *host, const struct gyr_net_endpoint *client, uint32_t bytes, uint32_t mtu);

/* Forgets what is too old. The lcore that calls gyr_net_due. */
void gyr_net_path_age(struct gyr_net_host *host, uint32_t second);

#endif
