/* Answers to large questions, and answers that no datagram holds, on the lcore that answers. */
#include <string.h>

#include "base/assertion.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/loop/large.h"

/* The longest forms that msgpack has for them. */
#define HEAD_MAX 64u                              /* of a result, with its timing */
#define TENSOR_HEAD_MAX (16u + 9u * GYR_RANK_MAX) /* dtype, shape and the bin's length */
#define NUMBER_MAX 9u

void gyr_large_answered(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_answer answer, uint32_t bytes)
{
	struct gyr_large_item *item = gyr_request_of(mbuf)->large;
	gyr_request_of(mbuf)->large = NULL;
	item->kind = GYR_LARGE_REFUSED;
	/* The question's bytes are not needed any more. An answer that is longer than they are is cheap to make again. */
	if (answer == GYR_ANSWER_RESULT && bytes <= item->slot->question_bytes) {
		item->kind = GYR_LARGE_ANSWERED;
		item->bytes = bytes;
		memcpy(item->slot->bytes, gyr_payload_of(mbuf), bytes);
	}
	gyr_large_hand(item->owner, item);
}

uint8_t *gyr_large_room(struct gyr_lcore *lcore, size_t bytes)
{
	if (bytes > lcore->loop->message_max)
		return NULL;
	size_t with_item = sizeof(struct gyr_large_item) + gyr_reassembly_block_bytes((uint32_t)bytes);
	struct gyr_large_item *item = gyr_blocks_take(lcore->large->blocks, with_item);
	if (item == NULL)
		return NULL;
	item->owner = lcore;
	item->held = gyr_blocks_round(with_item);
	return (uint8_t *)(item + 1);
}

void gyr_large_post(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint8_t *place, enum gyr_answer answer, uint32_t bytes)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	struct gyr_large_item *item = (struct gyr_large_item *)(void *)place - 1, *question = request->large;
	if (bytes == 0) {
		gyr_blocks_give(lcore->large->blocks, item);
		return;
	}
	item->kind = GYR_LARGE_ANSWER;
	item->bytes = bytes;
	item->slot = NULL;
	if (question != NULL) {
		item->slot = question->slot;
	} else {
		item->key = gyr_large_key(lcore, mbuf, request->message.id);
		gyr_large_envelope_fill(&item->envelope, mbuf);
	}
	gyr_counter_add(&lcore->counters->answers[answer], 1);
	gyr_counter_add(&lcore->counters->large_answers, 1);
	gyr_large_hand(request->home, item);
	rte_pktmbuf_free(mbuf);
}

/* The most bytes that a result takes. */
static size_t bound(const struct gyr_wire_output *outputs, uint32_t count)
{
	size_t most = HEAD_MAX, elements, bytes;
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_shape *shape = &outputs[i].shape;
		bool known = gyr_shape_count(shape, 0, &elements) && gyr_shape_bytes(shape, 0, &bytes);
		GYR_ASSERT(known); /* the version's arrays hold it */
		most += TENSOR_HEAD_MAX + (outputs[i].form == GYR_WIRE_PLAIN ? elements * (NUMBER_MAX + shape->rank) : bytes);
	}
	return most;
}

bool gyr_large_result(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_wire_output *outputs, uint32_t count, const uint32_t timing_ns[3])
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	size_t most = RTE_MIN(bound(outputs, count), (size_t)lcore->loop->message_max);
	bool trusted = gyr_net_is_trusted(gyr_host_of(lcore->loop, mbuf), mbuf);
	if (most == 0 || (!trusted && request->large == NULL)) {
		gyr_refuse_long(lcore, mbuf, "no datagram holds the result");
		return false;
	}
	uint8_t *place = gyr_large_room(lcore, most);
	if (place == NULL) {
		gyr_refuse_busy(lcore, mbuf, "no room for another large result");
		return false;
	}
	size_t bytes = gyr_wire_pack_result(place, most, request->message.id, request->version->number, outputs, count, timing_ns, NULL);
	/* No more than came: less would do, as a piece's head is more than a datagram's. */
	if (!trusted && bytes > request->large->slot->question_bytes)
		bytes = 0;
	gyr_large_post(lcore, mbuf, place, GYR_ANSWER_RESULT, (uint32_t)bytes);
	if (bytes == 0)
		gyr_refuse_long(lcore, mbuf, "the result is larger than the limit of a message, which describe tells");
	return bytes > 0;
}
