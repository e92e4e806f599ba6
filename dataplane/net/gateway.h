/* The MAC address of a gateway: asked for, believed, checked again, forgotten. Any lcore hears; one asks. */
#ifndef GYR_DATAPLANE_NET_GATEWAY_H
#define GYR_DATAPLANE_NET_GATEWAY_H

#include "dataplane/net/net.h"

/*
 * SENDER says that it is at MAC, in ANSWER to a question or unasked. True: it is the gateway, and was asked, so that MAC is where replies go now. What it says
 * unasked is not believed but makes us ask.
 */
bool gyr_net_gateway_hear(struct gyr_net_gateway *gateway, const struct gyr_net_address *sender, const struct rte_ether_addr *mac, bool answer);

/* Whether to ask now. Forgets a gateway that does not answer. */
bool gyr_net_gateway_due(struct gyr_net_gateway *gateway, uint32_t second);

#endif
