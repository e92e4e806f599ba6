/* Reassembly: every outcome, every bound, and who is put out when there is no room. Time is a number here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/node.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/flow/reassembly.h"

#define LARGEST 65536u
#define ASK 10u
#define TIMEOUT 100u
#define HELD(bytes) gyr_reassembly_block_bytes(bytes) /* as foreign() takes it */

static const struct gyr_reassembly_limits limits = {
	.slots = 8,
	.message_bytes = 60000,
	.client_slots = 4,
	.client_bytes = 2 * LARGEST + 8192,
	.foreign_bytes = LARGEST,
	.ask_ticks = ASK,
	.timeout_ticks = TIMEOUT,
};

static struct gyr_blocks *blocks;
static struct gyr_reassembly *reassembly;
static struct gyr_slot *slot;
static uint8_t text[LARGEST];
static void *released[16];
static uint32_t released_count;

static void release(void *user, void *bytes)
{
	assert_ptr_equal(user, text);
	released[released_count++ % 16] = bytes;
	free(bytes);
}

static int set_up(void **unused)
{
	for (uint32_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 31 + i / 251);
	released_count = 0;
	blocks = gyr_blocks_create(4 * LARGEST, LARGEST, GYR_NODE_ANY);
	reassembly = gyr_reassembly_create(&limits, blocks, 12345, release, text);
	return blocks == NULL || reassembly == NULL;
}

/* Whatever a test did: all comes back. */
static int tear_down(void **unused)
{
	for (uint32_t client = 0; client < 256; client++) {
		for (uint32_t id = 0; id < 256; id++) {
			const struct gyr_message_key key = {.address.bytes = {[15] = (uint8_t)client}, .udp_port = 5000, .id = id};
			struct gyr_slot *left = gyr_reassembly_find(reassembly, &key);
			if (left != NULL)
				gyr_reassembly_drop(reassembly, left);
		}
	}
	assert_int_equal(gyr_reassembly_count(reassembly), 0);
	assert_int_equal(gyr_reassembly_kept(reassembly), 0);
	assert_int_equal(gyr_blocks_used(blocks), 0);
	gyr_reassembly_destroy(reassembly);
	gyr_blocks_destroy(blocks);
	return 0;
}

static struct gyr_message_key key_of(uint32_t client, uint64_t id)
{
	return (struct gyr_message_key){.address.bytes = {[15] = (uint8_t)client}, .udp_port = 5000, .id = id};
}

static enum gyr_piece take(uint32_t client, uint64_t id, uint32_t total, uint32_t offset, uint32_t bytes, uint64_t now)
{
	const struct gyr_message_key key = key_of(client, id);
	return gyr_reassembly_take(reassembly, &key, total, offset, text + offset, bytes, now, &slot);
}

static enum gyr_due due(uint64_t now)
{
	return gyr_reassembly_due(reassembly, now, &slot);
}

static void *foreign(uint32_t total)
{
	void *bytes = calloc(1, gyr_reassembly_block_bytes(total));
	assert_non_null(bytes);
	return bytes;
}

static void test_any_order(void **unused)
{
	/* The end first, then the middle twice and overlapping, the beginning last. */
	assert_int_equal(take(1, 1, 1000, 960, 40, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 1, 1000, 128, 512, 1), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 1, 1000, 128, 512, 1), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 1, 1000, 448, 552, 2), GYR_PIECE_TAKEN);
	assert_int_equal(gyr_reassembly_count(reassembly), 1);
	assert_int_equal(take(1, 1, 1000, 0, 128, 3), GYR_PIECE_WHOLE);
	assert_int_equal(slot->state, GYR_SLOT_UNDER_WAY);
	assert_memory_equal(slot->bytes, text, 1000);
	assert_int_equal(slot->received, 40 + 512 + 512 + 552 + 128);
	/* More pieces of it change nothing, and time neither. */
	memset(slot->bytes, 9, 64);
	assert_int_equal(take(1, 1, 1000, 0, 64, 4), GYR_PIECE_TAKEN);
	assert_int_equal(slot->bytes[0], 9);
	assert_int_equal(due(1000000), GYR_DUE_NOTHING);
}

static void test_keys(void **unused)
{
	/* Another id, another port, another network, another address: each is another message. */
	struct gyr_message_key key = key_of(1, 1);
	assert_int_equal(gyr_reassembly_take(reassembly, &key, 128, 0, text, 64, 0, &slot), GYR_PIECE_TAKEN);
	key.udp_port++;
	assert_int_equal(gyr_reassembly_take(reassembly, &key, 128, 64, text, 64, 0, &slot), GYR_PIECE_TAKEN);
	gyr_reassembly_drop(reassembly, slot);
	key = key_of(1, 2);
	assert_int_equal(gyr_reassembly_take(reassembly, &key, 128, 64, text, 64, 0, &slot), GYR_PIECE_TAKEN);
	key = key_of(2, 1);
	assert_int_equal(gyr_reassembly_take(reassembly, &key, 128, 64, text, 64, 0, &slot), GYR_PIECE_TAKEN);
	key = key_of(1, 1);
	key.network = 1;
	assert_int_equal(gyr_reassembly_take(reassembly, &key, 128, 64, text, 64, 0, &slot), GYR_PIECE_TAKEN);
	gyr_reassembly_drop(reassembly, slot);
	assert_int_equal(gyr_reassembly_count(reassembly), 3);
	assert_int_equal(take(1, 1, 128, 64, 64, 1), GYR_PIECE_WHOLE);
}

static void test_other_total(void **unused)
{
	assert_int_equal(take(1, 1, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 1, 128, 64, 64, 1), GYR_PIECE_TAKEN); /* the first is forgotten */
	assert_int_equal(gyr_reassembly_count(reassembly), 1);
	assert_int_equal(slot->received, 64);
	assert_int_equal(take(1, 1, 128, 0, 64, 2), GYR_PIECE_WHOLE);
	/* While it is under way nothing takes its place. */
	assert_int_equal(take(1, 1, 1000, 0, 64, 3), GYR_PIECE_TAKEN);
	assert_int_equal(slot->pieces.total, 128);
}

static void test_asked_once_then_given_up(void **unused)
{
	assert_int_equal(take(1, 1, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 1, 1000, 64, 64, 8), GYR_PIECE_TAKEN);
	assert_int_equal(due(8 + ASK), GYR_DUE_NOTHING);
	assert_int_equal(due(9 + ASK), GYR_DUE_ASK);
	assert_int_equal(slot->key.id, 1);
	assert_int_equal(due(9 + ASK), GYR_DUE_NOTHING);
	/* A new piece, and rest again: not asked twice. */
	assert_int_equal(take(1, 1, 1000, 128, 64, 30), GYR_PIECE_TAKEN);
	assert_int_equal(due(60), GYR_DUE_NOTHING);
	assert_int_equal(due(TIMEOUT), GYR_DUE_NOTHING);
	assert_int_equal(due(TIMEOUT + 1), GYR_DUE_GIVE_UP);
	gyr_reassembly_drop(reassembly, slot);
	assert_int_equal(due(TIMEOUT + 1), GYR_DUE_NOTHING);
	assert_int_equal(gyr_blocks_used(blocks), 0);
}

static void test_slow_drip_is_given_up(void **unused)
{
	/* One piece of 64 bytes again and again before it is asked: the time from the first on is bounded all the same. */
	uint64_t now = 0;
	for (uint32_t offset = 0;; offset += 64, now += ASK - 1) {
		enum gyr_due what = due(now);
		if (what == GYR_DUE_GIVE_UP)
			break;
		assert_int_equal(what, GYR_DUE_NOTHING);
		assert_int_equal(take(1, 1, 60000, offset, 64, now), GYR_PIECE_TAKEN);
	}
	assert_in_range(now, TIMEOUT + 1, TIMEOUT + ASK);
	gyr_reassembly_drop(reassembly, slot);
}

static void test_limits(void **unused)
{
	assert_int_equal(take(1, 1, 60001, 0, 64, 0), GYR_PIECE_TOO_LARGE);
	assert_null(slot);
	assert_int_equal(take(1, 1, UINT32_MAX, 0, 64, 0), GYR_PIECE_TOO_LARGE);
	/* Bytes of one client. */
	assert_int_equal(take(1, 1, 60000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 2, 60000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 3, 60000, 0, 64, 0), GYR_PIECE_CLIENT_LIMIT);
	assert_null(slot);
	/* Slots of one client. */
	assert_int_equal(take(1, 4, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 5, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 6, 1000, 0, 64, 0), GYR_PIECE_CLIENT_LIMIT);
	/* Others still have room: the last of it. */
	assert_int_equal(take(2, 1, 60000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(3, 1, 60000, 0, 64, 0), GYR_PIECE_NO_ROOM);
	assert_null(slot);
	assert_int_equal(take(3, 2, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
	/* What ends makes room for its client. */
	const struct gyr_message_key key = key_of(1, 5);
	gyr_reassembly_drop(reassembly, gyr_reassembly_find(reassembly, &key));
	assert_int_equal(take(1, 6, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
}

static void test_slots_end(void **unused)
{
	for (uint32_t client = 0; client < 8; client++)
		assert_int_equal(take(client, 1, 1000, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(take(8, 1, 1000, 0, 64, 0), GYR_PIECE_NO_ROOM);
}

/* A flood of half-sent messages of many addresses, and one honest client, slower than they. */
static void test_flood_leaves_progress_alone(void **unused)
{
	uint64_t now = 0, begun = 0, refused = 0, honest = 0, asked = 0;
	uint32_t offset = 0;
	for (; honest < 20; now++) {
		/* A piece of 640 bytes every third tick: slow, but never resting for as long as ASK. Where there is no room, later ones try again. */
		if (now % 3 == 0) {
			enum gyr_piece outcome = take(1, honest, 6400, offset, 640, now);
			assert_true(outcome == GYR_PIECE_TAKEN || outcome == GYR_PIECE_WHOLE || (outcome == GYR_PIECE_NO_ROOM && slot == NULL));
			if (outcome == GYR_PIECE_TAKEN || outcome == GYR_PIECE_WHOLE)
				offset = (offset + 640) % 6400;
			else
				assert_int_equal(offset, 0); /* once begun it is never put out */
			if (outcome == GYR_PIECE_WHOLE) {
				honest++;
				gyr_reassembly_drop(reassembly, slot);
			}
		}
		for (uint32_t i = 0; i < 5; i++) {
			enum gyr_piece outcome = take(2 + (uint32_t)(now * 5 + i) % 250, now % 256, 60000, 0, 64, now);
			begun += outcome == GYR_PIECE_TAKEN;
			refused += outcome == GYR_PIECE_NO_ROOM;
		}
		for (enum gyr_due what; (what = due(now)) != GYR_DUE_NOTHING;) {
			assert_int_not_equal(slot->key.address.bytes[15], 1);
			asked += what == GYR_DUE_ASK;
			if (what == GYR_DUE_GIVE_UP)
				gyr_reassembly_drop(reassembly, slot);
		}
		assert_in_range(now, 0, 20 * 200);
	}
	assert_true(begun > 50);
	assert_true(refused > begun);
	assert_true(asked > 20);
	assert_true(gyr_reassembly_put_out(reassembly) > 20);
}

static void whole(uint32_t client, uint64_t id, uint32_t total, uint64_t now)
{
	assert_int_equal(take(client, id, total, 0, total, now), GYR_PIECE_WHOLE);
}

static void test_small_answer_is_kept(void **unused)
{
	whole(1, 1, 60000, 0);
	memcpy(slot->bytes, "answer", 6);
	assert_int_equal(gyr_reassembly_keep(reassembly, slot, 6, 5), 0);
	assert_int_equal(gyr_blocks_used(blocks), GYR_BLOCKS_MIN);
	assert_int_equal(gyr_reassembly_kept(reassembly), 1);
	assert_null(gyr_reassembly_sending(reassembly));
	/* A repeat, not at once: so many pieces of it bring one answer. */
	assert_int_equal(take(1, 1, 60000, 0, 640, 5 + ASK), GYR_PIECE_TAKEN);
	assert_int_equal(take(1, 1, 60000, 0, 640, 6 + ASK), GYR_PIECE_ANSWERED);
	assert_ptr_equal(gyr_reassembly_sending(reassembly), slot);
	struct gyr_wire_range range = gyr_reassembly_next_piece(slot, 1408);
	assert_int_equal(range.offset, 0);
	assert_int_equal(range.bytes, 6);
	assert_memory_equal(slot->bytes, "answer", 6);
	gyr_reassembly_sent(reassembly, slot, &range, 17);
	assert_null(gyr_reassembly_sending(reassembly));
	assert_int_equal(take(1, 1, 60000, 640, 640, 18), GYR_PIECE_TAKEN);
	/* Another question under that id takes its place. */
	assert_int_equal(take(1, 1, 50000, 0, 640, 18), GYR_PIECE_TAKEN);
	assert_int_equal(gyr_reassembly_kept(reassembly), 0);
	assert_int_equal(slot->state, GYR_SLOT_GATHERING);
}

static void test_kept_is_forgotten(void **unused)
{
	whole(1, 1, 1000, 0);
	assert_int_equal(gyr_reassembly_keep(reassembly, slot, 6, 5), 0);
	assert_int_equal(due(5 + TIMEOUT), GYR_DUE_NOTHING);
	assert_int_equal(gyr_reassembly_count(reassembly), 1);
	assert_int_equal(due(6 + TIMEOUT), GYR_DUE_NOTHING);
	assert_int_equal(gyr_reassembly_count(reassembly), 0);
}

static void test_kept_makes_room(void **unused)
{
	for (uint32_t client = 0; client < 8; client++) {
		whole(client, 1, 60000, client);
		assert_int_equal(gyr_reassembly_keep(reassembly, slot, 6, client), 0);
	}
	assert_int_equal(gyr_reassembly_kept(reassembly), 8);
	/* The oldest goes for its slot, and as many as it takes for memory. */
	assert_int_equal(take(9, 1, 100, 0, 64, 20), GYR_PIECE_TAKEN);
	assert_int_equal(gyr_reassembly_kept(reassembly), 7);
	for (uint32_t id = 0; id < 3; id++)
		assert_int_equal(take(10 + id, id, 60000, 0, 64, 20), GYR_PIECE_TAKEN);
	assert_int_equal(gyr_reassembly_put_out(reassembly), 0);
}

static void test_large_answer(void **unused)
{
	whole(1, 1, 60000, 0);
	uint8_t *bytes = foreign(3000);
	assert_ptr_equal(gyr_reassembly_send(reassembly, slot, NULL, bytes, 3000, HELD(3000), 5), slot);
	assert_int_equal(gyr_blocks_used(blocks), 0);
	/* Round by round, in pieces of at most 1408. */
	uint32_t want[][2] = {{0, 1408}, {1408, 1408}, {2816, 184}};
	for (int i = 0; i < 3; i++) {
		struct gyr_slot *next = gyr_reassembly_sending(reassembly);
		struct gyr_wire_range range = gyr_reassembly_next_piece(next, 1408);
		assert_ptr_equal(next, slot);
		assert_int_equal(range.offset, want[i][0]);
		assert_int_equal(range.bytes, want[i][1]);
		gyr_reassembly_sent(reassembly, next, &range, 6);
	}
	assert_null(gyr_reassembly_sending(reassembly));
	/* Two pieces are asked for again. */
	assert_int_equal(gyr_reassembly_again(reassembly, slot, 2999, &(struct gyr_wire_range){0, 64}), -ENOENT);
	assert_int_equal(gyr_reassembly_again(reassembly, slot, 3000, &(struct gyr_wire_range){2816, 184}), 0);
	assert_int_equal(gyr_reassembly_again(reassembly, slot, 3000, &(struct gyr_wire_range){0, 1408}), 0);
	assert_ptr_equal(gyr_reassembly_sending(reassembly), slot);
	struct gyr_wire_range range = gyr_reassembly_next_piece(slot, 640);
	assert_int_equal(range.offset, 0);
	assert_int_equal(range.bytes, 640);
	gyr_reassembly_sent(reassembly, slot, &range, 7);
	range = gyr_reassembly_next_piece(slot, 1408);
	assert_int_equal(range.offset, 640);
	gyr_reassembly_sent(reassembly, slot, &range, 7);
	range = gyr_reassembly_next_piece(slot, 1408);
	assert_int_equal(range.offset, 2816);
	gyr_reassembly_sent(reassembly, slot, &range, 8);
	assert_null(gyr_reassembly_sending(reassembly));
	assert_int_equal(released_count, 0);
	assert_int_equal(due(9 + TIMEOUT), GYR_DUE_NOTHING);
	assert_int_equal(released_count, 1);
	assert_ptr_equal(released[0], bytes);
}

static void test_answer_to_a_small_question(void **unused)
{
	const struct gyr_message_key key = key_of(1, 1);
	uint8_t *bytes = foreign(3000), *again = foreign(3000);
	slot = gyr_reassembly_send(reassembly, NULL, &key, bytes, 3000, HELD(3000), 0);
	assert_non_null(slot);
	assert_ptr_equal(gyr_reassembly_find(reassembly, &key), slot);
	/* The repeat's answer takes the place of the first. */
	slot = gyr_reassembly_send(reassembly, NULL, &key, again, 3000, HELD(3000), 1);
	assert_non_null(slot);
	assert_int_equal(released_count, 1);
	assert_ptr_equal(released[0], bytes);
	assert_int_equal(gyr_reassembly_count(reassembly), 1);
	/* One that is under way under the same id does not lose its slot. */
	whole(2, 1, 100, 0);
	const struct gyr_message_key other = key_of(2, 1);
	assert_null(gyr_reassembly_send(reassembly, NULL, &other, foreign(3000), 3000, HELD(3000), 1));
	assert_int_equal(released_count, 2);
	assert_int_equal(slot->state, GYR_SLOT_UNDER_WAY);
}

static void test_turns(void **unused)
{
	for (uint32_t client = 0; client < 3; client++) {
		const struct gyr_message_key key = key_of(client, 1);
		assert_non_null(gyr_reassembly_send(reassembly, NULL, &key, foreign(6000), 6000, HELD(6000), 0));
	}
	for (uint32_t i = 0; i < 6; i++) {
		struct gyr_slot *next = gyr_reassembly_sending(reassembly);
		assert_int_equal(next->key.address.bytes[15], i % 3);
		struct gyr_wire_range range = gyr_reassembly_next_piece(next, 1408);
		gyr_reassembly_sent(reassembly, next, &range, 0);
		gyr_reassembly_turn(reassembly, next);
	}
	/* The pace is a client's, not a message's. */
	const struct gyr_message_key first = key_of(0, 1), second = key_of(0, 2);
	struct gyr_slot *other = gyr_reassembly_send(reassembly, NULL, &second, foreign(6000), 6000, HELD(6000), 0);
	assert_ptr_equal(gyr_reassembly_pace(reassembly, other), gyr_reassembly_pace(reassembly, gyr_reassembly_find(reassembly, &first)));
}

static void test_answers_are_bounded(void **unused)
{
	/* Kept ones go when there are more bytes than foreign_bytes; one client's unsent ones are bounded by its share. */
	for (uint32_t client = 0; client < 6; client++) {
		const struct gyr_message_key key = key_of(client, 1);
		slot = gyr_reassembly_send(reassembly, NULL, &key, foreign(20000), 20000, HELD(20000), client);
		assert_non_null(slot);
		struct gyr_wire_range range = gyr_reassembly_next_piece(slot, 20000);
		gyr_reassembly_sent(reassembly, slot, &range, client);
	}
	assert_in_range(gyr_reassembly_kept(reassembly), 3, 4);
	uint32_t before = released_count, taken = 0;
	for (uint32_t id = 0; id < 4; id++) {
		const struct gyr_message_key key = key_of(7, id);
		taken += gyr_reassembly_send(reassembly, NULL, &key, foreign(60000), 60000, HELD(60000), 50) != NULL;
	}
	assert_int_equal(taken, 2);
	assert_int_equal(released_count - before, 4 - taken + 3 /* the kept ones */);
	assert_int_equal(gyr_reassembly_kept(reassembly), 0);
}

/* What counts is the block: a message of a little more than half of it holds all of it. */
static void test_blocks_are_charged(void **unused)
{
	for (uint32_t id = 0; id < 2; id++)
		assert_int_equal(take(1, id, LARGEST / 2, 0, 64, 0), GYR_PIECE_TAKEN);
	assert_int_equal(gyr_blocks_used(blocks), 2 * LARGEST);
	assert_int_equal(take(1, 2, LARGEST / 2, 0, 64, 0), GYR_PIECE_CLIENT_LIMIT);
	/* The same for answers in blocks of another's, which may be larger than they had to be. */
	for (uint32_t client = 2; client < 5; client++) {
		const struct gyr_message_key key = key_of(client, 1);
		slot = gyr_reassembly_send(reassembly, NULL, &key, foreign(1000), 1000, LARGEST / 2, client);
		gyr_reassembly_sent(reassembly, slot, &(struct gyr_wire_range){0, 1000}, client);
	}
	assert_int_equal(released_count, 1);
	assert_int_equal(gyr_reassembly_kept(reassembly), 2);
}

static uint32_t send_all(uint64_t now)
{
	uint32_t count = 0;
	for (struct gyr_slot *next; (next = gyr_reassembly_sending(reassembly)) != NULL; count++) {
		struct gyr_wire_range range = gyr_reassembly_next_piece(next, 1408);
		gyr_reassembly_sent(reassembly, next, &range, now);
	}
	return count;
}

/* A client answers for what it has sent again as for any other message. */
static void test_again_is_charged(void **unused)
{
	const struct gyr_wire_range range = {0, 64};
	struct gyr_slot *kept[2];
	for (uint32_t id = 0; id < 2; id++) {
		const struct gyr_message_key key = key_of(1, id);
		kept[id] = gyr_reassembly_send(reassembly, NULL, &key, foreign(3000), 3000, 8192, 0);
		assert_int_equal(send_all(0), 3);
		assert_int_equal(take(1, 10 + id, 60000, 0, 64, 0), GYR_PIECE_TAKEN);
	}
	assert_int_equal(gyr_reassembly_again(reassembly, kept[0], 3000, &range), 0); /* up to the limit */
	assert_int_equal(gyr_reassembly_again(reassembly, kept[0], 3000, &range), 0); /* that it is SENDING already is no reason to refuse */
	assert_int_equal(gyr_reassembly_again(reassembly, kept[1], 3000, &range), -ENOSPC);
	assert_int_equal(kept[1]->state, GYR_SLOT_KEPT);
	assert_int_equal(send_all(2), 1);
	assert_int_equal(gyr_reassembly_again(reassembly, kept[1], 3000, &range), 0);
}

/* So too for the repeat of a question. */
static void test_repeat_is_charged(void **unused)
{
	whole(1, 1, 60000, 0);
	assert_int_equal(gyr_reassembly_keep(reassembly, slot, 6, 0), 0);
	for (uint32_t id = 2; id < 4; id++)
		assert_int_equal(take(1, id, id == 2 ? 60000 : LARGEST / 2, 0, 64, 0), GYR_PIECE_TAKEN);
	const struct gyr_message_key key = key_of(1, 4);
	assert_non_null(gyr_reassembly_send(reassembly, NULL, &key, foreign(1000), 1000, 8192, 0));
	assert_int_equal(take(1, 1, 60000, 0, 640, 1 + ASK), GYR_PIECE_CLIENT_LIMIT);
	assert_null(slot);
	assert_int_equal(send_all(1 + ASK), 1);
	assert_int_equal(take(1, 1, 60000, 0, 640, 1 + ASK), GYR_PIECE_ANSWERED);
}

/* However often it is asked for again, an answer is forgotten when its time is over: all at once, or while it goes for the first time. */
static void test_again_is_bounded(void **unused)
{
	const struct gyr_wire_range first = {0, 1408};
	for (uint32_t early = 0; early < 2; early++) {
		const struct gyr_message_key key = key_of(1, early);
		struct gyr_slot *pinned = gyr_reassembly_send(reassembly, NULL, &key, foreign(3000), 3000, HELD(3000), 0);
		uint64_t now = 0;
		for (; gyr_reassembly_find(reassembly, &key) != NULL; now++) {
			assert_int_equal(gyr_reassembly_again(reassembly, pinned, 3000, &first), 0);
			struct gyr_wire_range range = gyr_reassembly_next_piece(pinned, 1408);
			gyr_reassembly_sent(reassembly, pinned, &range, now);
			if (early == 0)
				send_all(now);
			assert_int_equal(due(now), GYR_DUE_NOTHING);
			assert_in_range(now, 0, TIMEOUT + 3);
		}
		assert_in_range(now, TIMEOUT, TIMEOUT + 4);
		assert_int_equal(released_count, early + 1);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_any_order),
		TEST(test_keys),
		TEST(test_other_total),
		TEST(test_asked_once_then_given_up),
		TEST(test_slow_drip_is_given_up),
		TEST(test_limits),
		TEST(test_slots_end),
		TEST(test_flood_leaves_progress_alone),
		TEST(test_small_answer_is_kept),
		TEST(test_kept_is_forgotten),
		TEST(test_kept_makes_room),
		TEST(test_large_answer),
		TEST(test_answer_to_a_small_question),
		TEST(test_turns),
		TEST(test_answers_are_bounded),
		TEST(test_blocks_are_charged),
		TEST(test_again_is_charged),
		TEST(test_repeat_is_charged),
		TEST(test_again_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
