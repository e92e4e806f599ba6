/*
 * The software spread: a datagram goes to the io lcore that its client's address and port name, whichever port or queue it came from. So all that one client
 * sends meets on one lcore, as it does behind a port that spreads by flow itself (our own address and port are always the same, so either end names the flow).
 */
#include <string.h>

#include "dataplane/loop/backlog.h"
#include "dataplane/loop/idle.h"

/* Multiplicative hashing: the high bits of the product depend on all of the address and the port. */
uint32_t gyr_spread_choose(const struct rte_mbuf *mbuf, uint32_t count)
{
	struct gyr_net_endpoint source = gyr_net_source(mbuf);
	uint64_t high, low;
	memcpy(&high, source.address.bytes, sizeof high);
	memcpy(&low, source.address.bytes + sizeof high, sizeof low);
	uint64_t hash = ((high * UINT64_C(0x9e3779b97f4a7c15)) ^ low ^ source.port) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)((hash >> 32) * count >> 32);
}

/* Turns away what its own lcore has no room for. It takes this one's time: one that computes, too, has it charged as what it turns away itself (engine.c). */
static void turn_away(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count)
{
	uint64_t began_tsc = rte_rdtsc();
	for (uint32_t i = 0; i < count; i++)
		gyr_io_turn_away(lcore, mbufs[i]);
	gyr_send_flush(lcore);
	if (lcore->backlog != NULL)
		lcore->backlog->debt_tsc += (int64_t)gyr_tsc_since(began_tsc, rte_rdtsc());
}

static void hand_over(struct gyr_lcore *lcore, struct gyr_lcore_owner *owner)
{
	uint32_t taken = rte_ring_mp_enqueue_burst(owner->lcore->handed, (void **)owner->mbufs, owner->count, NULL);
	gyr_idle_ring(owner->lcore);
	if (taken < owner->count)
		turn_away(lcore, owner->mbufs + taken, owner->count - taken);
	owner->count = 0;
}

bool gyr_spread(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint64_t now)
{
	struct gyr_lcore_owner *owner = &lcore->owners[gyr_spread_choose(mbuf, lcore->owner_count)];
	if (owner->lcore == lcore)
		return false;
	gyr_request_of(mbuf)->arrival_tsc = now;
	owner->mbufs[owner->count++] = mbuf;
	if (owner->count == GYR_LOOP_BURST)
		hand_over(lcore, owner);
	return true;
}

void gyr_spread_flush(struct gyr_lcore *lcore)
{
	for (uint32_t i = 0; i < lcore->owner_count; i++) {
		if (lcore->owners[i].count > 0)
			hand_over(lcore, &lcore->owners[i]);
	}
}
