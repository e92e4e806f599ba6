/*
 * Large messages: questions that come in pieces, and answers that go out in pieces.
 *
 * The io lcore to which a client belongs gathers its pieces (dataplane/flow/reassembly). A question that is whole travels like any other, in the mbuf of its
 * last piece, and its tensors lie in its slot's block: gyr_request's `large` says so. However it is answered, gyr_answer tells the slot's lcore. An answer that
 * no datagram holds is packed by the engine lcore into a block of its own and handed to the client's io lcore, which sends it in pieces at a bounded pace,
 * keeps it for a while, and gives the block back.
 *
 *     io lcore --question--> engine lcore --gyr_large_item--> io lcore --gyr_large_item (the block)--> engine lcore
 *
 * What one lcore hands to another goes on a stack that never fills, as its links lie in what is handed over. Memory is taken at start, on each lcore's own
 * thread's behalf; nothing here runs where large messages are off (loop->message_max is 0).
 */
#ifndef GYR_DATAPLANE_LOOP_LARGE_H
#define GYR_DATAPLANE_LOOP_LARGE_H

#include "dataplane/flow/reassembly.h"
#include "dataplane/loop/loop_internal.h"

struct gyr_blocks;

#define GYR_LARGE_HEADERS_MAX 96u /* of any datagram: Ethernet with tags, IPv6, UDP */

/* Where an answer goes: the headers of the question, and what of them the port took off. */
struct gyr_large_envelope {
	uint64_t tx_offload; /* of its mbuf: the headers' lengths */
	uint64_t rx_flags;   /* of its mbuf: whether the tag is in vlan_tci */
	uint16_t port, bytes, vlan_tci;
	uint8_t headers[GYR_LARGE_HEADERS_MAX];
};

enum gyr_large_kind {
	GYR_LARGE_ANSWERED, /* a large question, whose answer of `bytes` lies in its slot: to be kept */
	GYR_LARGE_REFUSED,  /* a large question that is over */
	GYR_LARGE_ANSWER,   /* an answer of `bytes` behind this item, to be sent */
	GYR_LARGE_BLOCK,    /* the block that the item lies in, given back */
};

/* Something that goes from lcore to lcore. One lies beside each slot, for its question; one at the beginning of each block that holds an answer. */
struct gyr_large_item {
	struct gyr_large_item *next;
	enum gyr_large_kind kind;
	uint32_t bytes;
	uint64_t held;              /* in a block: how large that is */
	uint64_t allowance;         /* beside a slot: bytes that may still be sent to a client that is not trusted; else UINT64_MAX */
	struct gyr_lcore *owner;    /* of the slot, or of the block */
	struct gyr_slot *slot;      /* NULL: an answer to a question that came in one datagram */
	struct gyr_message_key key; /* that question's */
	struct gyr_large_envelope envelope;
};

/* One lcore's part. */
struct gyr_large {
	struct gyr_blocks *blocks;
	struct gyr_reassembly *reassembly; /* io; else NULL */
	struct gyr_large_item *items;      /* io: by slot */
	struct gyr_pace_rate rate;         /* to one client */
	bool live;                         /* io: there are messages, so time matters */

	_Alignas(RTE_CACHE_LINE_SIZE) struct gyr_large_item *_Atomic handed; /* any lcore adds; this one takes all */
};

/* Takes the memory of all lcores, by the configuration. -EINVAL: too little of it for one message; -ENOMEM. */
GYR_MUST_CHECK int gyr_large_create(struct gyr_loop *loop, struct gyr_error *error);
/* Frees it, however far that came. */
void gyr_large_destroy(struct gyr_loop *loop);

/* Hands ITEM to TO. Any lcore. */
void gyr_large_hand(struct gyr_lcore *to, struct gyr_large_item *item);

/* large_take.c: on the io lcore that the client belongs to. */

/* Takes a fragment or a missing, which are parsed. True: a question is whole, and the mbuf goes to an engine lcore. */
bool gyr_large_take(struct gyr_lcore *lcore, struct rte_mbuf *mbuf);
/* Whether gyr_large_turn has anything to do. Once in each turn of the loop: two loads. */
static inline bool gyr_large_is_live(const struct gyr_large *large)
{
	return large->live || atomic_load_explicit(&large->handed, memory_order_relaxed) != NULL;
}

/* Asks for pieces, gives up, takes what was handed over, and sends what is due; how many things were done. Any lcore. */
uint32_t gyr_large_turn(struct gyr_lcore *lcore);

/* Who asked. */
struct gyr_message_key gyr_large_key(const struct gyr_lcore *lcore, const struct rte_mbuf *mbuf, uint64_t id);
void gyr_large_envelope_fill(struct gyr_large_envelope *envelope, const struct rte_mbuf *mbuf);

/* large_send.c: on an io lcore. */

/*
 * Whether a drain is to wait for LCORE in PHASE: large answers are still to be sent by it, or, as phases end, through it.
 */
bool gyr_large_holds_up(const struct gyr_lcore *lcore, uint32_t phase);
/* Sends pieces that are due; how many frames. */
uint32_t gyr_large_send(struct gyr_lcore *lcore, uint64_t now);
/* An empty datagram to where ENVELOPE came from, to be filled, turned by gyr_net_reply and sent; NULL: no mbuf. */
struct rte_mbuf *gyr_large_datagram(struct gyr_lcore *lcore, const struct gyr_large_envelope *envelope);

/* large_answer.c: on the lcore that answers. */

/* The answer to a large question is written at the payload's place in MBUF. */
void gyr_large_answered(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_answer answer, uint32_t bytes);

/*
 * Answers with a result that no datagram holds: packed from COUNT outputs, with TIMING_NS where that is not NULL. False: MBUF was answered with an error
 * instead.
 */
bool gyr_large_result(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_wire_output *outputs, uint32_t count, const uint32_t timing_ns[3]);

/*
 * Room for an answer of at most BYTES that no datagram holds: gyr_large_post sends as much of it as was filled. NULL: no memory, or no message may be so long.
 */
uint8_t *gyr_large_room(struct gyr_lcore *lcore, size_t bytes);
/* Sends BYTES at PLACE, which gyr_large_room gave, as the answer to MBUF, and counts it; with 0 gives the room back, and MBUF stays. */
void gyr_large_post(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint8_t *place, enum gyr_answer answer, uint32_t bytes);

#endif
