/*
 * Fuzzes reassembly against a model that keeps one byte of state for each byte of each message: pieces of any message in any order, time that passes, answers,
 * repeats. What is whole has exactly the bytes that came last; nothing that makes progress is put out; every bound holds after every step, and in the end all
 * memory comes back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/node.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/flow/reassembly.h"

#define CLIENTS 4u
#define IDS 4u
#define MESSAGE_MAX 2048u
#define BLOCKS 6u
#define STEP_BYTES 8u

/* Stays on whatever the build: it is what a fuzzer is for. */
#define MUST(condition) ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort()))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
	bool there, asked;
	enum gyr_slot_state state;
	uint32_t total;
	uint64_t born, touched, foreign_bytes, answer_bytes, sent, sent_at; /* sent_at: when all of the answer had gone once */
	uint8_t present[MESSAGE_MAX], content[MESSAGE_MAX];
};

static const struct gyr_reassembly_limits limits = {
	.slots = 9,
	.message_bytes = MESSAGE_MAX - 200,
	.client_slots = 3,
	.client_bytes = 2 * GYR_BLOCKS_MIN + MESSAGE_MAX,
	.foreign_bytes = 2 * MESSAGE_MAX,
	.ask_ticks = 50,
	.timeout_ticks = 1000,
};

static struct model models[CLIENTS][IDS];
static struct gyr_reassembly *reassembly;
static struct gyr_blocks *blocks;
static uint64_t now;
static uint32_t foreign;

static void release(void *user, void *bytes)
{
	MUST(foreign > 0);
	foreign--;
	free(bytes);
}

static struct gyr_message_key key_of(uint32_t client, uint32_t id)
{
	return (struct gyr_message_key){.address.bytes = {[3] = (uint8_t)client}, .udp_port = 1000, .id = id};
}

static bool was_sent(const struct model *model)
{
	return (model->state == GYR_SLOT_SENDING || model->state == GYR_SLOT_KEPT) && model->sent >= model->answer_bytes;
}

/* The slot's message is there, and the model agrees; or both say that it is not. Whoever went may have gone. */
static void compare(uint32_t client, uint32_t id)
{
	struct model *model = &models[client][id];
	const struct gyr_message_key key = key_of(client, id);
	const struct gyr_slot *slot = gyr_reassembly_find(reassembly, &key);
	if (slot == NULL) {
		bool resting = model->state == GYR_SLOT_GATHERING && model->asked && now - model->touched > limits.ask_ticks;
		bool over = was_sent(model) && now - model->sent_at > limits.timeout_ticks;
		MUST(!model->there || model->state == GYR_SLOT_KEPT || resting || over);
		model->there = false;
		return;
	}
	MUST(model->there && slot->state == model->state);
	MUST(slot->charged == (slot->state == GYR_SLOT_KEPT ? 0 : slot->held));
	if (slot->state != GYR_SLOT_GATHERING && slot->state != GYR_SLOT_UNDER_WAY)
		return;
	MUST(slot->pieces.total == model->total && slot->question_bytes == model->total);
	uint32_t left = 0;
	for (uint32_t at = 0; at < model->total; at++) {
		MUST(!model->present[at] || slot->bytes[at] == model->content[at]);
		left += at % GYR_PIECES_GRAIN == 0 && !model->present[at];
	}
	MUST(slot->pieces.left == left && (left == 0) == (slot->state == GYR_SLOT_UNDER_WAY));
}

static void compare_all(void)
{
	uint32_t count = 0, kept = 0;
	for (uint32_t client = 0; client < CLIENTS; client++) {
		uint32_t slots = 0;
		for (uint32_t id = 0; id < IDS; id++) {
			compare(client, id);
			slots += models[client][id].there;
			kept += models[client][id].there && models[client][id].state == GYR_SLOT_KEPT;
		}
		MUST(slots <= limits.client_slots);
		count += slots;
	}
	MUST(count == gyr_reassembly_count(reassembly) && count <= limits.slots);
	MUST(kept == gyr_reassembly_kept(reassembly));
	MUST(gyr_blocks_used(blocks) <= gyr_blocks_bytes(blocks));
	MUST(count > 0 || gyr_blocks_used(blocks) == 0);
}

static void take(uint32_t client, uint32_t id, uint32_t total, uint32_t offset, uint32_t bytes, uint8_t fill)
{
	static uint8_t piece[MESSAGE_MAX];
	struct model *model = &models[client][id];
	const struct gyr_message_key key = key_of(client, id);
	struct gyr_slot *slot;
	if (!gyr_pieces_may_be(total, offset, bytes) || bytes > sizeof piece)
		return;
	memset(piece, fill, bytes);
	if (model->there && model->total != total && model->state != GYR_SLOT_UNDER_WAY)
		model->there = false;
	bool was_there = model->there;
	enum gyr_piece outcome = gyr_reassembly_take(reassembly, &key, total, offset, piece, bytes, now, &slot);
	MUST((slot == NULL) == (outcome >= GYR_PIECE_TOO_LARGE));
	MUST((outcome == GYR_PIECE_TOO_LARGE) == (total > limits.message_bytes && !was_there));
	MUST(slot != NULL || !was_there || (outcome == GYR_PIECE_CLIENT_LIMIT && model->state == GYR_SLOT_KEPT));
	if (slot == NULL)
		return;
	if (!was_there) {
		*model = (struct model){.there = true, .state = GYR_SLOT_GATHERING, .total = total, .born = now, .touched = now};
		MUST(outcome == GYR_PIECE_TAKEN || outcome == GYR_PIECE_WHOLE);
	}
	if (model->state != GYR_SLOT_GATHERING) {
		MUST(outcome == GYR_PIECE_TAKEN || (outcome == GYR_PIECE_ANSWERED && model->state == GYR_SLOT_KEPT));
		model->state = outcome == GYR_PIECE_ANSWERED ? GYR_SLOT_SENDING : model->state;
		return;
	}
	bool more = false, whole = true;
	for (uint32_t at = offset; at < offset + bytes; at++)
		more = more || !model->present[at];
	memset(model->present + offset, 1, bytes);
	memset(model->content + offset, fill, bytes);
	for (uint32_t at = 0; at < total; at++)
		whole = whole && model->present[at];
	model->touched = more ? now : model->touched;
	model->state = whole ? GYR_SLOT_UNDER_WAY : GYR_SLOT_GATHERING;
	MUST((outcome == GYR_PIECE_WHOLE) == whole);
}

static void run_due(void)
{
	struct gyr_slot *slot;
	enum gyr_due due;
	while ((due = gyr_reassembly_due(reassembly, now, &slot)) != GYR_DUE_NOTHING) {
		struct model *model = &models[slot->key.address.bytes[3]][slot->key.id];
		MUST(model->there && model->state == GYR_SLOT_GATHERING);
		if (due == GYR_DUE_ASK) {
			MUST(!model->asked && now - model->touched > limits.ask_ticks);
			model->asked = true;
			model->touched = now;
		} else {
			MUST(now - model->born > limits.timeout_ticks);
			gyr_reassembly_drop(reassembly, slot);
			model->there = false;
		}
	}
	for (uint32_t i = 0; i < CLIENTS * IDS; i++) {
		const struct model *model = &models[i / IDS][i % IDS];
		MUST(!model->there || model->state != GYR_SLOT_GATHERING || now - model->born <= limits.timeout_ticks);
		compare(i / IDS, i % IDS);
		MUST(!model->there || !was_sent(model) || now - model->sent_at <= limits.timeout_ticks);
	}
}

/* What is kept of answers in others' memory went until the rest fits. */
static void check_foreign(void)
{
	uint64_t bytes = 0;
	bool kept = false;
	for (uint32_t i = 0; i < CLIENTS * IDS; i++) {
		const struct model *model = &models[i / IDS][i % IDS];
		compare(i / IDS, i % IDS);
		bytes += model->there ? model->foreign_bytes : 0;
		kept = kept || (model->there && model->foreign_bytes > 0 && model->state == GYR_SLOT_KEPT);
	}
	MUST(!kept || bytes <= limits.foreign_bytes);
}

/* Answers a question that is under way, or one that came in one datagram. */
static void answer(uint32_t client, uint32_t id, uint32_t bytes, unsigned how)
{
	struct model *model = &models[client][id];
	const struct gyr_message_key key = key_of(client, id);
	struct gyr_slot *slot = model->there && model->state == GYR_SLOT_UNDER_WAY ? gyr_reassembly_find(reassembly, &key) : NULL;
	bytes = bytes % MESSAGE_MAX + 1;
	if (slot != NULL && how % 3 == 0) {
		gyr_reassembly_drop(reassembly, slot);
		model->there = false;
	} else if (slot != NULL && how % 3 == 1) {
		bytes = bytes < slot->question_bytes ? bytes : slot->question_bytes;
		model->there = gyr_reassembly_keep(reassembly, slot, bytes, now) == 0;
		model->state = GYR_SLOT_KEPT;
		model->sent = model->answer_bytes = bytes;
		model->sent_at = now;
	} else {
		uint8_t *own = calloc(1, gyr_reassembly_block_bytes(bytes));
		MUST(own != NULL);
		foreign++;
		bool blocked = slot == NULL && model->there && model->state == GYR_SLOT_UNDER_WAY;
		if (slot == NULL && !blocked)
			model->there = false;
		uint32_t total = slot == NULL ? 0 : slot->question_bytes;
		slot = gyr_reassembly_send(reassembly, slot, &key, own, bytes, gyr_reassembly_block_bytes(bytes), now);
		if (slot != NULL)
			*model = (struct model){.there = true,
						.state = GYR_SLOT_SENDING,
						.total = total,
						.foreign_bytes = gyr_reassembly_block_bytes(bytes),
						.answer_bytes = bytes};
		check_foreign();
	}
}

static void send_some(uint32_t count, uint32_t piece_bytes)
{
	struct gyr_slot *slot;
	while (count-- > 0 && (slot = gyr_reassembly_sending(reassembly)) != NULL) {
		struct gyr_wire_range range = gyr_reassembly_next_piece(slot, piece_bytes);
		MUST(gyr_pieces_may_be(slot->pieces.total, range.offset, range.bytes) && range.bytes <= piece_bytes);
		uint32_t left = slot->pieces.left;
		struct model *model = &models[slot->key.address.bytes[3]][slot->key.id];
		if (model->sent < model->answer_bytes && model->sent + range.bytes >= model->answer_bytes)
			model->sent_at = now;
		model->sent += range.bytes;
		gyr_reassembly_sent(reassembly, slot, &range, now);
		MUST(slot->pieces.left < left);
		if (slot->state == GYR_SLOT_SENDING)
			gyr_reassembly_turn(reassembly, slot);
		else
			model->state = GYR_SLOT_KEPT;
	}
}

static void send_again(uint32_t client, uint32_t id, uint32_t offset, uint32_t bytes)
{
	const struct gyr_message_key key = key_of(client, id);
	struct gyr_slot *slot = gyr_reassembly_find(reassembly, &key);
	const struct gyr_wire_range range = {offset, bytes};
	if (slot == NULL || !gyr_pieces_may_be(slot->pieces.total, offset, bytes))
		return;
	bool sends = slot->state == GYR_SLOT_SENDING || slot->state == GYR_SLOT_KEPT;
	uint64_t charged = slot->held;
	for (uint32_t other = 0; other < IDS; other++) {
		const struct gyr_message_key beside = key_of(client, other);
		const struct gyr_slot *others = gyr_reassembly_find(reassembly, &beside);
		charged += others == NULL ? 0 : others->charged;
	}
	bool too_much = slot->state == GYR_SLOT_KEPT && charged > limits.client_bytes;
	int status = gyr_reassembly_again(reassembly, slot, slot->pieces.total, &range);
	MUST(status == (!sends ? -ENOENT : too_much ? -ENOSPC : 0));
	if (status == 0)
		models[client][id].state = GYR_SLOT_SENDING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(models, 0, sizeof models);
	now = 1000;
	foreign = 0;
	blocks = gyr_blocks_create((size_t)BLOCKS * GYR_BLOCKS_MIN, GYR_BLOCKS_MIN, GYR_NODE_ANY);
	MUST(blocks != NULL);
	reassembly = gyr_reassembly_create(&limits, blocks, size, release, NULL);
	MUST(reassembly != NULL);
	for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
		uint32_t client = data[0] % CLIENTS, id = data[1] % IDS;
		uint32_t total = (data[3] % 8 + 1) * 250u, offset = data[4] % 32 * GYR_PIECES_GRAIN, bytes = (data[5] % 16 + 1) * GYR_PIECES_GRAIN;
		if (offset < total && bytes > total - offset)
			bytes = total - offset;
		switch (data[2] % 16) {
		default: take(client, id, total, offset, bytes, data[6]); break;
		case 11: now += data[4]; break;
		case 12: run_due(); break;
		case 13: answer(client, id, data[4] * 64u + data[5], data[6]); break;
		case 14: send_some(data[4] % 32, (data[5] % 32 + 1) * GYR_PIECES_GRAIN); break;
		case 15: send_again(client, id, offset, bytes); break;
		}
		/* What is kept goes by time as well, and everything else as the model says. */
		compare_all();
	}
	gyr_reassembly_destroy(reassembly);
	MUST(foreign == 0);
	gyr_blocks_destroy(blocks);
	return 0;
}
