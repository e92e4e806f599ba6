/* Gathering of messages from their pieces, and what is due in time. */
#include "dataplane/flow/reassembly_internal.h"

size_t gyr_reassembly_block_bytes(uint32_t bytes)
{
	return ((size_t)bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t) + gyr_pieces_bytes(bytes);
}

/* A slot for a question of TOTAL bytes; NULL and *WHY. */
static struct gyr_slot *begin(struct gyr_reassembly *reassembly, const struct gyr_message_key *key, uint32_t total, uint64_t now, enum gyr_piece *why)
{
	*why = GYR_PIECE_TOO_LARGE;
	if (total > reassembly->limits.message_bytes)
		return NULL;
	size_t bytes = gyr_blocks_round(gyr_reassembly_block_bytes(total));
	struct gyr_slot *slot = gyr_slots_add(reassembly, key, bytes, now, why);
	if (slot == NULL)
		return NULL;
	gyr_slot_enter(reassembly, slot, GYR_SLOT_UNDER_WAY); /* so that it is not put out for itself */
	void *block;
	while ((block = gyr_blocks_take(reassembly->blocks, bytes)) == NULL && gyr_slots_put_out(reassembly, now, false))
		continue;
	if (block == NULL) {
		gyr_reassembly_drop(reassembly, slot);
		*why = GYR_PIECE_NO_ROOM;
		return NULL;
	}
	slot->question_bytes = total;
	gyr_slot_set_message(slot, block, total);
	gyr_slot_enter(reassembly, slot, GYR_SLOT_GATHERING);
	gyr_link_add(&reassembly->ages, &slot->by_age);
	return slot;
}

/* A piece of a message that is past gathering: a repeat of the question, where its answer has rested. */
static enum gyr_piece take_late(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint64_t now)
{
	if (slot->state != GYR_SLOT_KEPT || now - slot->touched <= reassembly->limits.ask_ticks)
		return GYR_PIECE_TAKEN;
	if (!gyr_slot_send_again(reassembly, slot))
		return GYR_PIECE_CLIENT_LIMIT;
	gyr_slot_set_message(slot, slot->bytes, slot->pieces.total);
	slot->touched = now;
	return GYR_PIECE_ANSWERED;
}

enum gyr_piece gyr_reassembly_take(struct gyr_reassembly *reassembly, const struct gyr_message_key *key, uint32_t total, uint32_t offset, const void *piece,
				   uint32_t bytes, uint64_t now, struct gyr_slot **slot)
{
	enum gyr_piece why;
	struct gyr_slot *found = gyr_reassembly_find(reassembly, key);
	if (found != NULL && found->question_bytes != total && found->state != GYR_SLOT_UNDER_WAY) {
		gyr_reassembly_drop(reassembly, found);
		found = NULL;
	}
	if (found == NULL)
		found = begin(reassembly, key, total, now, &why);
	*slot = found;
	if (found == NULL)
		return why;
	found->received += bytes;
	if (found->state != GYR_SLOT_GATHERING) {
		why = take_late(reassembly, found, now);
		*slot = why == GYR_PIECE_CLIENT_LIMIT ? NULL : found;
		return why;
	}
	memcpy(found->bytes + offset, piece, bytes);
	if (gyr_pieces_add(&found->pieces, offset, bytes) == 0)
		return GYR_PIECE_TAKEN;
	found->touched = now;
	if (found->pieces.left > 0) {
		gyr_slot_enter(reassembly, found, GYR_SLOT_GATHERING);
		return GYR_PIECE_TAKEN;
	}
	gyr_slot_enter(reassembly, found, GYR_SLOT_UNDER_WAY);
	return GYR_PIECE_WHOLE;
}

enum gyr_due gyr_reassembly_due(struct gyr_reassembly *reassembly, uint64_t now, struct gyr_slot **slot)
{
	while ((*slot = gyr_slots_oldest(&reassembly->answered)) != NULL && now - (*slot)->born > reassembly->limits.timeout_ticks)
		gyr_reassembly_drop(reassembly, *slot);
	*slot = gyr_slots_oldest(&reassembly->ages);
	if (*slot != NULL && now - (*slot)->born > reassembly->limits.timeout_ticks)
		return GYR_DUE_GIVE_UP;
	*slot = gyr_slots_first(&reassembly->fresh);
	if (*slot == NULL || now - (*slot)->touched <= reassembly->limits.ask_ticks)
		return GYR_DUE_NOTHING;
	(*slot)->asked = true;
	(*slot)->touched = now;
	gyr_slot_enter(reassembly, *slot, GYR_SLOT_GATHERING);
	return GYR_DUE_ASK;
}
