/* What the files of reassembly share: the slots, in lists and tables. */
#ifndef GYR_DATAPLANE_FLOW_REASSEMBLY_INTERNAL_H
#define GYR_DATAPLANE_FLOW_REASSEMBLY_INTERNAL_H

#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/flow/reassembly.h"

/*
 * A slot is in exactly one list by_rest, by its state: FREE in spare; GATHERING in fresh, or in asked once its missing pieces were asked for; SENDING in
 * sending; KEPT in kept, or in foreign where its bytes are in another's block; one UNDER_WAY in none. Lists are in the order of `touched`, so what is due
 * stands first. GATHERING ones are also in ages, and those whose answer was sent once, SENDING or KEPT, in answered; both in the order of `born`.
 */

/* What is known of an address that has messages. */
struct gyr_slots_client {
	struct gyr_net_address address;
	uint32_t network, slots;
	uint64_t charged;
	struct gyr_pace pace;
	uint32_t hash_next; /* or, of one that is unused, the next such */
};

struct gyr_reassembly {
	struct gyr_reassembly_limits limits;
	struct gyr_blocks *blocks;
	uint64_t seed;
	void (*release)(void *user, void *bytes);
	void *user;
	struct gyr_slot_link spare, fresh, asked, sending, kept, foreign, ages, answered; /* heads of rings */
	uint32_t used, kept_count;
	uint64_t foreign_charged, put_out;
	uint32_t bucket_mask, client_spare;
	uint32_t *slot_buckets, *client_buckets;
	struct gyr_slots_client *clients;
	struct gyr_slot *slots;
};

/* The first slot of a list by_rest, or NULL. */
static inline struct gyr_slot *gyr_slots_first(const struct gyr_slot_link *head)
{
	return head->next == head ? NULL : (struct gyr_slot *)((char *)head->next - offsetof(struct gyr_slot, by_rest));
}

/* The first of a list by_age, or NULL. */
static inline struct gyr_slot *gyr_slots_oldest(const struct gyr_slot_link *head)
{
	return head->next == head ? NULL : (struct gyr_slot *)((char *)head->next - offsetof(struct gyr_slot, by_age));
}

static inline void gyr_link_remove(struct gyr_slot_link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->next = link->previous = link;
}

static inline void gyr_link_add(struct gyr_slot_link *head, struct gyr_slot_link *link)
{
	link->previous = head->previous;
	link->next = head;
	head->previous->next = link;
	head->previous = link;
}

/* The slot's message is TOTAL bytes at BYTES, of which no piece is there. */
void gyr_slot_set_message(struct gyr_slot *slot, void *bytes, uint32_t total);

/* The answer of the slot was sent once: NOW its last time begins. */
void gyr_slot_answered(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint64_t now);

/* A slot KEPT is SENDING once more, or one SENDING takes its turn again. False: its client has too much under way to answer for it. */
bool gyr_slot_send_again(struct gyr_reassembly *reassembly, struct gyr_slot *slot);

/* Lets the slot's memory go. */
void gyr_slot_release(struct gyr_reassembly *reassembly, struct gyr_slot *slot);

/* The slot is in STATE from now on, last in its list. */
void gyr_slot_enter(struct gyr_reassembly *reassembly, struct gyr_slot *slot, enum gyr_slot_state state);

/* Its client answers for BYTES of memory because of it. */
void gyr_slot_charge(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint64_t bytes);

/* Puts out the one whose turn it is, as reassembly.h tells: for memory of ours or, FOR_SLOT, a slot. False: nobody. */
bool gyr_slots_put_out(struct gyr_reassembly *reassembly, uint64_t now, bool for_slot);

/* A new slot for KEY, charged with BYTES, in no state yet: the caller enters one. NULL and *WHY. */
struct gyr_slot *gyr_slots_add(struct gyr_reassembly *reassembly, const struct gyr_message_key *key, uint64_t bytes, uint64_t now, enum gyr_piece *why);

#endif
