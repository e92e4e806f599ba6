/*
 *   unknown --answer--> known --30 s--> known and asked --answer--> known
 *      ^                                   |
 *      +------- three questions unanswered +
 *
 * A question is asked at most once a second.
 */
#include "dataplane/net/gateway.h"

#include <string.h>

#define REFRESH_S 30u /* as Linux' neighbour table */
#define UNANSWERED_MAX 3u

bool gyr_net_gateway_hear(struct gyr_net_gateway *gateway, const struct gyr_net_address *sender, const struct rte_ether_addr *mac, bool answer)
{
	if (gyr_net_address_is_zero(&gateway->address) || !gyr_net_address_is_same(&gateway->address, sender))
		return false;
	uint64_t word = 0;
	memcpy(&word, mac, sizeof *mac);
	if (!answer || !atomic_load_explicit(&gateway->asking, memory_order_relaxed)) {
		if (word != atomic_load_explicit(&gateway->mac, memory_order_relaxed))
			atomic_store_explicit(&gateway->doubtful, true, memory_order_relaxed);
		return false;
	}
	atomic_store_explicit(&gateway->mac, word, memory_order_relaxed);
	atomic_store_explicit(&gateway->asking, false, memory_order_relaxed);
	atomic_store_explicit(&gateway->answered, true, memory_order_relaxed);
	return true;
}

bool gyr_net_gateway_due(struct gyr_net_gateway *gateway, uint32_t second)
{
	if (gyr_net_address_is_zero(&gateway->address))
		return false;
	if (atomic_exchange_explicit(&gateway->answered, false, memory_order_relaxed)) {
		gateway->unanswered = 0;
		gateway->ask_at_s = second + REFRESH_S;
	}
	if (atomic_exchange_explicit(&gateway->doubtful, false, memory_order_relaxed))
		gateway->ask_at_s = second;
	if (second < gateway->ask_at_s)
		return false;
	if (gateway->unanswered >= UNANSWERED_MAX)
		atomic_store_explicit(&gateway->mac, 0, memory_order_relaxed);
	else
		gateway->unanswered++;
	gateway->ask_at_s = second + 1;
	atomic_store_explicit(&gateway->asking, true, memory_order_relaxed);
	return true;
}
