#include "dataplane/net/path.h"

#include <string.h>

#include "dataplane/net/net_internal.h"

#define SENT_VALID_S 4u    /* a router answers within a round trip */
#define KNOWN_VALID_S 600u /* RFC 1191, section 6.3: ten minutes */

/* A word of either table: the upper half of a hash, then VALUE, then the second's lower bits. */
static uint64_t word_of(uint64_t hash, uint32_t value, uint32_t second)
{
	return (hash & UINT64_C(0xffffffff00000000)) | (uint64_t)(uint16_t)value << 16 | (uint16_t)second;
}

static uint16_t value_of(uint64_t word)
{
	return (uint16_t)(word >> 16);
}

static uint16_t second_of(uint64_t word)
{
	return (uint16_t)word;
}

static bool same_tag(uint64_t word, uint64_t hash)
{
	return word >> 32 == hash >> 32;
}

/* A multiply-and-fold hash: the secret keeps a stranger from choosing who shares a place with whom. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* PORT is 0 for what holds for all of an address. */
static uint64_t hash_of(const struct gyr_net_paths *paths, const struct gyr_net_address *address, uint16_t port)
{
	uint64_t words[2];
	memcpy(words, address, sizeof words);
	return mix(mix(words[0] ^ paths->secret[0], words[1] ^ paths->secret[1]) ^ port, paths->secret[0] | 1);
}

static uint32_t place_of(uint64_t hash)
{
	return (uint32_t)hash % GYR_NET_PATHS;
}

/* Whether the 16 bits of a second lie at most AGE before NOW. */
static bool is_recent(uint16_t second, uint32_t now, uint32_t age)
{
	return (uint16_t)((uint16_t)now - second) <= age;
}

/* What a packet to the client of HASH, which is of an address, may have. */
static uint32_t mtu_of(const struct gyr_net_host *host, uint64_t hash)
{
	uint64_t known = atomic_load_explicit(&host->paths.known[place_of(hash)], memory_order_relaxed);
	return known != 0 && same_tag(known, hash) ? RTE_MIN(host->mtu, (uint32_t)value_of(known)) : host->mtu;
}

void gyr_net_path_sent(struct gyr_net_host *host, const struct gyr_net_endpoint *client, uint32_t bytes)
{
	struct gyr_net_paths *paths = &host->paths;
	uint64_t hash = hash_of(paths, &client->address, client->port);
	uint32_t second = atomic_load_explicit(&paths->second, memory_order_relaxed);
	uint64_t before = atomic_load_explicit(&paths->sent[place_of(hash)], memory_order_relaxed);
	/* A longer one stays while a router may still complain of it, unless one has: what it let pass, the next one on the way may not. */
	if (same_tag(before, hash) && is_recent(second_of(before), second, SENT_VALID_S) && value_of(before) > bytes &&
	    value_of(before) <= mtu_of(host, hash_of(paths, &client->address, 0)))
		return;
	atomic_store_explicit(&paths->sent[place_of(hash)], word_of(hash, bytes, second), memory_order_relaxed);
}

bool gyr_net_path_tell(struct gyr_net_host *host, const struct gyr_net_endpoint *client, uint32_t bytes, uint32_t mtu)
{
	struct gyr_net_paths *paths = &host->paths;
	uint64_t hash = hash_of(paths, &client->address, client->port);
	uint64_t sent = atomic_load_explicit(&paths->sent[place_of(hash)], memory_order_relaxed);
	uint32_t second = atomic_load_explicit(&paths->second, memory_order_relaxed);
	uint32_t least = gyr_net_address_is_ipv4(&client->address) ? IPV4_MTU_MIN : IPV6_MTU_MIN;
	if (sent == 0 || !same_tag(sent, hash) || value_of(sent) != bytes || !is_recent(second_of(sent), second, SENT_VALID_S) || mtu >= bytes)
		return false;
	hash = hash_of(paths, &client->address, 0);
	atomic_store_explicit(&paths->known[place_of(hash)], word_of(hash, RTE_MAX(mtu, least), second), memory_order_relaxed);
	atomic_store_explicit(&host->any_path, true, memory_order_release); /* R8 pairs with A8 in gyr_net_path_age */
	return true;
}

uint32_t gyr_net_path_mtu(const struct gyr_net_host *host, const struct rte_mbuf *mbuf)
{
	struct gyr_net_endpoint client = gyr_net_source(mbuf);
	return mtu_of(host, hash_of(&host->paths, &client.address, 0));
}

void gyr_net_path_age(struct gyr_net_host *host, uint32_t second)
{
	struct gyr_net_paths *paths = &host->paths;
	atomic_store_explicit(&paths->second, second, memory_order_relaxed);
	/* Taken down first: one that is told meanwhile puts it up again. A8 pairs with R8 in gyr_net_path_tell: it is seen below, or it has put it up. */
	if (!atomic_load_explicit(&host->any_path, memory_order_relaxed) || !atomic_exchange_explicit(&host->any_path, false, memory_order_acq_rel))
		return;
	bool any = false;
	for (uint32_t i = 0; i < GYR_NET_PATHS; i++) {
		uint64_t word = atomic_load_explicit(&paths->known[i], memory_order_relaxed);
		if (word == 0)
			continue;
		if (is_recent(second_of(word), second, KNOWN_VALID_S))
			any = true;
		else
			atomic_compare_exchange_strong_explicit(&paths->known[i], &word, 0, memory_order_relaxed, memory_order_relaxed);
	}
	if (any)
		atomic_store_explicit(&host->any_path, true, memory_order_relaxed);
}
