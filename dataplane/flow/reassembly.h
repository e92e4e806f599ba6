/*
 * Large messages of one io lcore: questions that are gathered from their pieces, and answers that go out in pieces and are kept for a while, so that pieces can
 * be asked for again and a repeated question is not computed anew. All memory is taken when it is made. Pure logic: time is the caller's, in any unit that only
 * grows, and nothing is sent here. One thread at a time.
 *
 *     (none) --piece--> GATHERING --last piece--> UNDER_WAY --answer--> SENDING --all sent--> KEPT --missing, repeat--> SENDING
 *
 * From GATHERING a slot ends when its time is over; from UNDER_WAY when the question was answered with an error; from KEPT when its memory is needed, and from
 * KEPT and SENDING when the answer's time is over, which begins when as many bytes were sent as it has: a client that asks for pieces again and again cannot
 * hold it any longer. The bounds: bytes and slots in all, bytes and slots of one client address, and the time from a message's first piece on. Bytes are those
 * of blocks, which are larger than what lies in them. A client answers for the block of each of its slots but those KEPT.
 *
 * Who is put out when there is no room: kept answers, the oldest first; then a gathering message of which a piece was asked for again and nothing new came for
 * ask_ticks since, the one that rested longest first. A message that makes progress is never put out, however many others are begun: those find no room.
 */
#ifndef GYR_DATAPLANE_FLOW_REASSEMBLY_H
#define GYR_DATAPLANE_FLOW_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net_address.h"
#include "dataplane/flow/pace.h"
#include "dataplane/wire/pieces.h"

struct gyr_blocks;

struct gyr_reassembly_limits {
	uint32_t slots;         /* messages in all */
	uint32_t message_bytes; /* of one message */
	uint32_t client_slots;  /* messages of one address */
	uint64_t client_bytes;  /* memory of one address's messages, but for what is only kept */
	uint64_t foreign_bytes; /* memory of others in which answers are kept; beyond it the oldest go, as the next answer comes */
	uint64_t ask_ticks;     /* without a new piece, until what is missing is asked for */
	uint64_t timeout_ticks; /* from the first piece until given up; from when an answer was sent once until forgotten */
};

/* Who asked, and about what. Bytes that are not named are zero. */
struct gyr_message_key {
	struct gyr_net_address address;
	uint64_t id;
	uint32_t network; /* addresses mean something within one: port and VLAN */
	uint32_t udp_port;
};

enum gyr_slot_state { GYR_SLOT_FREE, GYR_SLOT_GATHERING, GYR_SLOT_UNDER_WAY, GYR_SLOT_SENDING, GYR_SLOT_KEPT };

struct gyr_slot_link {
	struct gyr_slot_link *next, *previous;
};

/* Another room reads it; only the functions below change it. */
struct gyr_slot {
	struct gyr_message_key key;
	enum gyr_slot_state state;
	bool asked;               /* GATHERING: for what is missing */
	bool foreign;             /* the bytes are in another's block */
	uint32_t question_bytes;  /* length of the question; 0: it was no large one */
	uint8_t *bytes;           /* of the question, then of the answer: in a block of their own, with the bits behind */
	struct gyr_pieces pieces; /* GATHERING: there; SENDING, KEPT: sent. pieces.total is the length of the message */
	uint64_t received;        /* bytes of all pieces of it that came, also those that came twice */
	uint64_t sent;            /* bytes of all pieces of the answer that went, also those that went twice */
	uint64_t born, touched;   /* born: when its first piece came; of an answer that was sent once, when that was */
	uint32_t client, cursor;
	uint64_t held;    /* bytes of its block */
	uint64_t charged; /* of these, to the client */
	uint32_t index, hash_next;
	struct gyr_slot_link by_age, by_rest;
};

struct gyr_reassembly;

/* What became of a piece. */
enum gyr_piece {
	GYR_PIECE_TAKEN,        /* or nothing new */
	GYR_PIECE_WHOLE,        /* the message is whole, and under way from now on */
	GYR_PIECE_ANSWERED,     /* of a question that was answered: the answer goes out again */
	GYR_PIECE_TOO_LARGE,    /* the message, for limits.message_bytes */
	GYR_PIECE_CLIENT_LIMIT, /* no room for another message of this client, or to send it a kept answer again */
	GYR_PIECE_NO_ROOM,      /* nor of anybody */
};

/* What is due. */
enum gyr_due {
	GYR_DUE_NOTHING,
	GYR_DUE_ASK,     /* for the missing pieces of the slot; told once */
	GYR_DUE_GIVE_UP, /* on the slot, which the caller then drops */
};

/* What a block must hold for a message of BYTES and its bits. */
size_t gyr_reassembly_block_bytes(uint32_t bytes);

/*
 * Messages lie in BLOCKS (the caller's, for as long). RELEASE is called with USER and the bytes of each answer that was kept in another's block. SEED makes
 * places in the hash tables unguessable. NULL: no memory.
 */
struct gyr_reassembly *gyr_reassembly_create(const struct gyr_reassembly_limits *limits, struct gyr_blocks *blocks, uint64_t seed,
					     void (*release)(void *user, void *bytes), void *user);
void gyr_reassembly_destroy(struct gyr_reassembly *reassembly); /* NULL is fine; kept answers are released */

/*
 * Takes a piece that gyr_pieces_may_be allows. *SLOT is its message's; NULL for the last three outcomes.
 */
enum gyr_piece gyr_reassembly_take(struct gyr_reassembly *reassembly, const struct gyr_message_key *key, uint32_t total, uint32_t offset, const void *piece,
				   uint32_t bytes, uint64_t now, struct gyr_slot **slot);

/* The message of KEY, or NULL. */
struct gyr_slot *gyr_reassembly_find(struct gyr_reassembly *reassembly, const struct gyr_message_key *key);

/* Ends a slot in any state. */
void gyr_reassembly_drop(struct gyr_reassembly *reassembly, struct gyr_slot *slot);

/*
 * The answer of a slot UNDER_WAY: BYTES of it lie at the beginning of the slot's own block. It has been sent. -ENOMEM: no room to keep it; the slot is dropped.
 */
int gyr_reassembly_keep(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint32_t bytes, uint64_t now);

/*
 * An answer of TOTAL bytes at BYTES, in a block of another's that takes HELD (which holds gyr_reassembly_block_bytes from there on, and which it takes over),
 * that is still to be sent: of a slot UNDER_WAY, or, where SLOT is NULL, of a question that came in one datagram. The slot, or NULL: no room; then BYTES are
 * released.
 */
struct gyr_slot *gyr_reassembly_send(struct gyr_reassembly *reassembly, struct gyr_slot *slot, const struct gyr_message_key *key, void *bytes, uint32_t total,
				     uint64_t held, uint64_t now);

/*
 * Sends a range of a slot SENDING or KEPT once more. -ENOENT: it is in another state, or its message is not TOTAL bytes long. -ENOSPC: it is KEPT, and its
 * client has too much under way to answer for it again.
 */
GYR_MUST_CHECK int gyr_reassembly_again(struct gyr_reassembly *reassembly, struct gyr_slot *slot, uint32_t total, const struct gyr_wire_range *range);

/* The slot whose turn to send it is, or NULL; the next piece of at most PIECE_BYTES of it; and that this piece was sent, or that it is the next one's turn. */
struct gyr_slot *gyr_reassembly_sending(const struct gyr_reassembly *reassembly);
struct gyr_wire_range gyr_reassembly_next_piece(struct gyr_slot *slot, uint32_t piece_bytes);
void gyr_reassembly_sent(struct gyr_reassembly *reassembly, struct gyr_slot *slot, const struct gyr_wire_range *range, uint64_t now);
void gyr_reassembly_turn(struct gyr_reassembly *reassembly, struct gyr_slot *slot);

/* The pace of the slot's client. */
struct gyr_pace *gyr_reassembly_pace(struct gyr_reassembly *reassembly, const struct gyr_slot *slot);

/* The next thing that is due, with its slot; forgets what was kept long enough. */
enum gyr_due gyr_reassembly_due(struct gyr_reassembly *reassembly, uint64_t now, struct gyr_slot **slot);

/* Messages that there are, those of them that are only kept, and how many were put out so far while they were gathered. */
uint32_t gyr_reassembly_count(const struct gyr_reassembly *reassembly);
uint32_t gyr_reassembly_kept(const struct gyr_reassembly *reassembly);
uint64_t gyr_reassembly_put_out(const struct gyr_reassembly *reassembly);

#endif
