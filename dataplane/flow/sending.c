/* Answers of slots: sent in pieces, kept, and sent again. */
#include "dataplane/flow/reassembly_internal.h"

#include <errno.h>

int gyr_reassembly_keep(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint32_t bytes, uint64_t now)
{
	GYR_ASSERT(slot->state == GYR_SLOT_UNDER_WAY);
	/* In a block of its own size, since a large one that was cut would leave the room in parts. */
	void *block = gyr_blocks_take(reassembly->blocks, gyr_reassembly_block_bytes(bytes));
	if (block == NULL) {
		gyr_reassembly_drop(reassembly, slot);
		return -ENOMEM;
	}
	memcpy(block, slot->bytes, bytes);
	gyr_slot_release(reassembly, slot);
	gyr_slot_charge(reassembly, slot, 0);
	gyr_slot_set_message(slot, block, bytes);
	gyr_pieces_add(&slot->pieces, 0, bytes);
	slot->sent = bytes;
	slot->held = gyr_blocks_round(gyr_reassembly_block_bytes(bytes));
	slot->touched = now;
	gyr_slot_enter(reassembly, slot, GYR_SLOT_KEPT);
	gyr_slot_answered(reassembly, slot, now);
	return 0;
}

struct gyr_slot *gyr_reassembly_send(struct gyr_reassembly *reassembly, struct gyr_slot *slot, const struct gyr_message_key *key, void *bytes, uint32_t total,
				     uint64_t held, uint64_t now)
{
	enum gyr_piece why;
	if (slot == NULL) {
		/* A repeat whose answer comes beside the one that is there takes its place. */
		slot = gyr_reassembly_find(reassembly, key);
		if (slot != NULL && slot->state != GYR_SLOT_UNDER_WAY)
			gyr_reassembly_drop(reassembly, slot);
		slot = slot != NULL && slot->state == GYR_SLOT_UNDER_WAY ? NULL : gyr_slots_add(reassembly, key, held, now, &why);
	} else {
		gyr_slot_release(reassembly, slot);
	}
	if (slot == NULL) {
		reassembly->release(reassembly->user, bytes);
	} else {
		slot->held = held;
		gyr_slot_charge(reassembly, slot, held);
		gyr_slot_set_message(slot, bytes, total);
		slot->foreign = true;
		reassembly->foreign_charged += held;
		slot->touched = now;
		gyr_slot_enter(reassembly, slot, GYR_SLOT_SENDING);
	}
	/* Also when there was no room: what has been sent since the last answer counts as kept now. */
	while (reassembly->foreign_charged > reassembly->limits.foreign_bytes && gyr_slots_first(&reassembly->foreign) != NULL)
		gyr_reassembly_drop(reassembly, gyr_slots_first(&reassembly->foreign));
	return slot;
}

int gyr_reassembly_again(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint32_t total, const struct gyr_wire_range *range)
{
	if ((slot->state != GYR_SLOT_SENDING && slot->state != GYR_SLOT_KEPT) || slot->pieces.total != total)
		return -ENOENT;
	if (!gyr_slot_send_again(reassembly, slot))
		return -ENOSPC;
	gyr_pieces_remove(&slot->pieces, range->offset, range->bytes);
	slot->cursor = 0;
	return 0;
}

struct gyr_slot *gyr_reassembly_sending(const struct gyr_reassembly *reassembly)
{
	return gyr_slots_first(&reassembly->sending);
}

struct gyr_wire_range gyr_reassembly_next_piece(struct gyr_slot *slot, uint32_t piece_bytes)
{
	struct gyr_wire_range range;
	GYR_ASSERT(slot->state == GYR_SLOT_SENDING);
	if (!gyr_pieces_next_missing(&slot->pieces, slot->cursor, &range)) {
		bool found = gyr_pieces_next_missing(&slot->pieces, 0, &range);
		GYR_ASSERT(found);
	}
	range.bytes = range.bytes < piece_bytes ? range.bytes : piece_bytes;
	return range;
}

void gyr_reassembly_sent(struct gyr_reassembly *reassembly, struct gyr_slot *slot, const struct gyr_wire_range *range, uint64_t now)
{
	gyr_pieces_add(&slot->pieces, range->offset, range->bytes);
	slot->cursor = range->offset;
	bool once = slot->sent >= slot->pieces.total;
	slot->sent += range->bytes;
	/* Not when nothing is left: whoever asks for pieces while others are still to go could put that off for ever. */
	if (!once && slot->sent >= slot->pieces.total)
		gyr_slot_answered(reassembly, slot, now);
	if (slot->pieces.left > 0)
		return;
	gyr_slot_charge(reassembly, slot, 0);
	slot->touched = now;
	gyr_slot_enter(reassembly, slot, GYR_SLOT_KEPT);
}

void gyr_reassembly_turn(struct gyr_reassembly *reassembly, struct gyr_slot *slot)
{
	GYR_ASSERT(slot->state == GYR_SLOT_SENDING);
	gyr_slot_enter(reassembly, slot, GYR_SLOT_SENDING);
}

struct gyr_pace *gyr_reassembly_pace(struct gyr_reassembly *reassembly, const struct gyr_slot *slot)
{
	return &reassembly->clients[slot->client].pace;
}
