/* The slots of reassembly: found by key, counted by client, and put out when there is no room. */
#include "dataplane/flow/reassembly_internal.h"

#define NONE UINT32_MAX

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_address(const struct gyr_reassembly *reassembly, const struct gyr_net_address *address, uint32_t network)
{
	uint64_t halves[2];
	memcpy(halves, address, sizeof halves);
	uint64_t hash = mix(halves[0] ^ reassembly->seed, halves[1] ^ UINT64_C(0x9e3779b97f4a7c15));
	return (uint32_t)mix(hash ^ network, reassembly->seed | 1) & reassembly->bucket_mask;
}

static uint32_t hash_key(const struct gyr_reassembly *reassembly, const struct gyr_message_key *key)
{
	uint64_t halves[2];
	memcpy(halves, &key->address, sizeof halves);
	uint64_t hash = mix(halves[0] ^ reassembly->seed, halves[1] ^ UINT64_C(0x9e3779b97f4a7c15));
	hash = mix(hash ^ key->id, reassembly->seed ^ ((uint64_t)key->network << 32 | key->udp_port));
	return (uint32_t)mix(hash, reassembly->seed | 1) & reassembly->bucket_mask;
}

void gyr_slot_set_message(struct gyr_slot *slot, void *bytes, uint32_t total)
{
	slot->bytes = bytes;
	slot->cursor = 0;
	gyr_pieces_init(&slot->pieces, (uint64_t *)(void *)(slot->bytes + gyr_reassembly_block_bytes(total) - gyr_pieces_bytes(total)), total);
}

static void link_init(struct gyr_slot_link *link)
{
	link->next = link->previous = link;
}

struct gyr_reassembly *gyr_reassembly_create(const struct gyr_reassembly_limits *limits, struct gyr_blocks *blocks, uint64_t seed,
					     void (*release)(void *user, void *bytes), void *user)
{
	GYR_ASSERT(limits->slots > 0);
	GYR_ASSERT(limits->slots < UINT32_MAX / 4);
	struct gyr_reassembly *made = calloc(1, sizeof *made);
	if (made == NULL)
		return NULL;
	uint32_t buckets = 1;
	while (buckets < limits->slots * 2)
		buckets *= 2;
	*made = (struct gyr_reassembly){.limits = *limits, .blocks = blocks, .seed = seed, .release = release, .user = user, .bucket_mask = buckets - 1};
	struct gyr_slot_link *heads[] = {&made->spare, &made->fresh, &made->asked, &made->sending, &made->kept, &made->foreign, &made->ages, &made->answered};
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
		link_init(heads[i]);
	made->slot_buckets = malloc(buckets * sizeof(uint32_t));
	made->client_buckets = malloc(buckets * sizeof(uint32_t));
	made->slots = calloc(limits->slots, sizeof *made->slots);
	made->clients = calloc(limits->slots, sizeof *made->clients);
	if (made->slot_buckets == NULL || made->client_buckets == NULL || made->slots == NULL || made->clients == NULL) {
		gyr_reassembly_destroy(made);
		return NULL;
	}
	memset(made->slot_buckets, 0xff, buckets * sizeof(uint32_t));
	memset(made->client_buckets, 0xff, buckets * sizeof(uint32_t));
	for (uint32_t i = 0; i < limits->slots; i++) {
		made->slots[i].index = i;
		link_init(&made->slots[i].by_age);
		gyr_link_add(&made->spare, &made->slots[i].by_rest);
		made->clients[i].hash_next = i + 1 < limits->slots ? i + 1 : NONE;
	}
	return made;
}

void gyr_reassembly_destroy(struct gyr_reassembly *reassembly)
{
	if (reassembly == NULL)
		return;
	for (uint32_t i = 0; reassembly->slots != NULL && i < reassembly->limits.slots; i++) {
		if (reassembly->slots[i].foreign)
			reassembly->release(reassembly->user, reassembly->slots[i].bytes);
	}
	free(reassembly->slot_buckets);
	free(reassembly->client_buckets);
	free(reassembly->slots);
	free(reassembly->clients);
	free(reassembly);
}

struct gyr_slot *gyr_reassembly_find(struct gyr_reassembly *reassembly, const struct gyr_message_key *key)
{
	uint32_t at = reassembly->slot_buckets[hash_key(reassembly, key)];
	while (at != NONE && memcmp(&reassembly->slots[at].key, key, sizeof *key) != 0)
		at = reassembly->slots[at].hash_next;
	return at == NONE ? NULL : &reassembly->slots[at];
}

/* The client of KEY, or NONE. */
static uint32_t find_client(const struct gyr_reassembly *reassembly, const struct gyr_message_key *key)
{
	uint32_t at = reassembly->client_buckets[hash_address(reassembly, &key->address, key->network)];
	while (at != NONE && !(gyr_net_address_is_same(&reassembly->clients[at].address, &key->address) && reassembly->clients[at].network == key->network))
		at = reassembly->clients[at].hash_next;
	return at;
}

/* Every client has a slot, so there is always one unused. */
static uint32_t add_client(struct gyr_reassembly *reassembly, const struct gyr_message_key *key)
{
	uint32_t at = reassembly->client_spare, *bucket = &reassembly->client_buckets[hash_address(reassembly, &key->address, key->network)];
	struct gyr_slots_client *client = &reassembly->clients[at];
	GYR_ASSERT(at != NONE);
	reassembly->client_spare = client->hash_next;
	*client = (struct gyr_slots_client){.address = key->address, .network = key->network, .hash_next = *bucket};
	*bucket = at;
	return at;
}

static void leave_client(struct gyr_reassembly *reassembly, uint32_t at, const struct gyr_message_key *key)
{
	struct gyr_slots_client *client = &reassembly->clients[at];
	if (--client->slots > 0)
		return;
	uint32_t *from = &reassembly->client_buckets[hash_address(reassembly, &key->address, key->network)];
	while (*from != at)
		from = &reassembly->clients[*from].hash_next;
	*from = client->hash_next;
	client->hash_next = reassembly->client_spare;
	reassembly->client_spare = at;
}

void gyr_slot_charge(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint64_t bytes)
{
	struct gyr_slots_client *client = &reassembly->clients[slot->client];
	client->charged += bytes - slot->charged;
	slot->charged = bytes;
}

void gyr_slot_release(struct gyr_reassembly *reassembly, struct gyr_slot *slot)
{
	if (slot->foreign) {
		reassembly->foreign_charged -= slot->held;
		reassembly->release(reassembly->user, slot->bytes);
	} else if (slot->bytes != NULL) {
		gyr_blocks_give(reassembly->blocks, slot->bytes);
	}
	slot->bytes = NULL;
	slot->foreign = false;
}

static void move(struct gyr_slot_link *head, struct gyr_slot *slot)
{
	gyr_link_remove(&slot->by_rest);
	gyr_link_add(head, &slot->by_rest);
}

void gyr_slot_enter(struct gyr_reassembly *reassembly, struct gyr_slot *slot, enum gyr_slot_state state)
{
	reassembly->kept_count += (state == GYR_SLOT_KEPT) - (uint32_t)(slot->state == GYR_SLOT_KEPT);
	slot->state = state;
	if (state == GYR_SLOT_FREE || state == GYR_SLOT_UNDER_WAY)
		gyr_link_remove(&slot->by_age);
	switch (state) {
	case GYR_SLOT_FREE: move(&reassembly->spare, slot); break;
	case GYR_SLOT_GATHERING: move(slot->asked ? &reassembly->asked : &reassembly->fresh, slot); break;
	case GYR_SLOT_UNDER_WAY: gyr_link_remove(&slot->by_rest); break;
	case GYR_SLOT_SENDING: move(&reassembly->sending, slot); break;
	case GYR_SLOT_KEPT: move(slot->foreign ? &reassembly->foreign : &reassembly->kept, slot); break;
	}
}

void gyr_slot_answered(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint64_t now)
{
	slot->born = now;
	gyr_link_add(&reassembly->answered, &slot->by_age);
}

bool gyr_slot_send_again(struct gyr_reassembly *reassembly, struct gyr_slot *slot)
{
	if (slot->state == GYR_SLOT_KEPT) {
		if (reassembly->clients[slot->client].charged + slot->held > reassembly->limits.client_bytes)
			return false;
		gyr_slot_charge(reassembly, slot, slot->held);
	}
	gyr_slot_enter(reassembly, slot, GYR_SLOT_SENDING);
	return true;
}

void gyr_reassembly_drop(struct gyr_reassembly *reassembly, struct gyr_slot *slot)
{
	GYR_ASSERT(slot->state != GYR_SLOT_FREE);
	gyr_slot_release(reassembly, slot);
	gyr_slot_charge(reassembly, slot, 0);
	uint32_t *from = &reassembly->slot_buckets[hash_key(reassembly, &slot->key)];
	while (*from != slot->index)
		from = &reassembly->slots[*from].hash_next;
	*from = slot->hash_next;
	leave_client(reassembly, slot->client, &slot->key);
	gyr_slot_enter(reassembly, slot, GYR_SLOT_FREE);
	reassembly->used--;
}

bool gyr_slots_put_out(struct gyr_reassembly *reassembly, uint64_t now, bool for_slot)
{
	struct gyr_slot *slot = gyr_slots_first(&reassembly->kept);
	if (slot == NULL && for_slot)
		slot = gyr_slots_first(&reassembly->foreign);
	if (slot == NULL) {
		slot = gyr_slots_first(&reassembly->asked);
		if (slot == NULL || now - slot->touched <= reassembly->limits.ask_ticks)
			return false;
		reassembly->put_out++;
	}
	gyr_reassembly_drop(reassembly, slot);
	return true;
}

struct gyr_slot *gyr_slots_add(struct gyr_reassembly *reassembly, const struct gyr_message_key *key, uint64_t charged, uint64_t now, enum gyr_piece *why)
{
	uint32_t client = find_client(reassembly, key);
	*why = GYR_PIECE_CLIENT_LIMIT;
	if (charged > reassembly->limits.client_bytes)
		return NULL;
	if (client != NONE && (reassembly->clients[client].slots >= reassembly->limits.client_slots ||
			       reassembly->clients[client].charged > reassembly->limits.client_bytes - charged))
		return NULL;
	*why = GYR_PIECE_NO_ROOM;
	while (gyr_slots_first(&reassembly->spare) == NULL) {
		if (!gyr_slots_put_out(reassembly, now, true))
			return NULL;
	}
	/* Whoever was put out may have been this client's last. */
	client = find_client(reassembly, key);
	if (client == NONE)
		client = add_client(reassembly, key);
	struct gyr_slot *slot = gyr_slots_first(&reassembly->spare);
	uint32_t *bucket = &reassembly->slot_buckets[hash_key(reassembly, key)];
	slot->key = *key;
	slot->asked = slot->foreign = false;
	slot->question_bytes = 0;
	slot->received = slot->sent = 0;
	slot->born = slot->touched = now;
	slot->client = client;
	slot->charged = 0;
	slot->held = charged;
	slot->hash_next = *bucket;
	*bucket = slot->index;
	reassembly->used++;
	reassembly->clients[client].slots++;
	gyr_slot_charge(reassembly, slot, charged);
	return slot;
}

uint32_t gyr_reassembly_count(const struct gyr_reassembly *reassembly)
{
	return reassembly->used;
}

uint32_t gyr_reassembly_kept(const struct gyr_reassembly *reassembly)
{
	return reassembly->kept_count;
}

uint64_t gyr_reassembly_put_out(const struct gyr_reassembly *reassembly)
{
	return reassembly->put_out;
}
