/*
 * A model's queue, from a request's arrival to its batch.
 *
 *   empty -> delayed (the model's max_delay_us is above 0) -> ready -> empty
 *      `--------------------------------------------------------^
 *
 * Invariants: a model with requests is either delayed or in the share, never both; one without is in neither.
 */
#include "dataplane/loop/backlog.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/assertion.h"

#define COST_WEIGHT 8u       /* of what was known before, against one new run */
#define RETURN_INTERVALS 32u /* the longest time to come back after, in intervals */
#define BATCHES 2u           /* so many efficient batches of requests may always wait: for a model whose batch takes longer than the target */
#define COST_GROWTH 2u       /* a run that took longer than so many times the mean lost its CPU: it counts as that */

#define ALLOWANCE_US 100000u /* a client may use at once what it earns in this time */

struct gyr_backlog *gyr_backlog_create(const struct gyr_config *config, uint64_t tsc_per_us)
{
	struct gyr_backlog *backlog = calloc(1, sizeof *backlog);
	uint64_t salt;
	if (backlog == NULL || getentropy(&salt, sizeof salt) != 0 || gyr_queues_init(&backlog->queues, GYR_MODELS_MAX, config->ring_entries, salt) != 0 ||
	    gyr_share_init(&backlog->share, GYR_MODELS_MAX) != 0) {
		gyr_backlog_destroy(backlog);
		return NULL;
	}
	if (config->client_us_per_s > 0) {
		backlog->allowances = gyr_allowances_create(config->client_us_per_s, ALLOWANCE_US * tsc_per_us, salt);
		if (backlog->allowances == NULL) {
			gyr_backlog_destroy(backlog);
			return NULL;
		}
	}
	backlog->limits = (struct gyr_codel_limits){.target = config->queue_target_us * tsc_per_us, .interval = config->queue_interval_us * tsc_per_us};
	backlog->return_max_tsc = backlog->limits.interval * RETURN_INTERVALS;
	return backlog;
}

void gyr_backlog_destroy(struct gyr_backlog *backlog)
{
	if (backlog == NULL)
		return;
	gyr_queues_fini(&backlog->queues);
	gyr_share_fini(&backlog->share);
	gyr_allowances_destroy(backlog->allowances);
	free(backlog);
}

static struct gyr_request *request_of_item(struct gyr_queue_item *item)
{
	return (struct gyr_request *)(void *)((char *)item - offsetof(struct gyr_request, item));
}

/* Answers that MBUF is to come back AFTER_TSC from now. */
static void answer_busy(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_route_model *about, uint64_t after_tsc, const char *why)
{
	uint64_t after_us = after_tsc / lcore->loop->tsc_per_us + 1;
	lcore->backlog->refused++;
	gyr_counter_add(&gyr_model_counters_of(lcore, about)->refused[GYR_WIRE_BUSY], 1);
	gyr_answer_error(lcore, mbuf, gyr_request_of(mbuf)->message.id, GYR_WIRE_BUSY, why, (uint32_t)RTE_MIN(after_us, UINT32_MAX));
}

/* Turns MBUF away, whose model's requests take WAIT_TSC to serve. */
static void turn_away(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_route_model *about, uint64_t now, uint64_t wait_tsc, const char *why)
{
	struct gyr_backlog *backlog = lcore->backlog;
	uint32_t slot = about->slot;
	struct gyr_backlog_model *model = &backlog->models[slot];
	uint32_t spread = (uint32_t)(gyr_request_of(mbuf)->message.id * UINT32_C(0x9e3779b1));
	uint64_t after_tsc =
		gyr_codel_refuse(&model->codel, now, wait_tsc, gyr_share_stretch(&backlog->share, slot, model->cost_tsc), backlog->return_max_tsc, spread);
	answer_busy(lcore, mbuf, about, after_tsc, why);
}

/*
 * Whether one more request of CLIENT may wait. A client may have twice of what is still free, so one alone gets two thirds of the room, and room is left for
 * others however much it sends; several share it equally. Time is each client's own: the lines take turns, so before a client's next request come, of each
 * line, as many as it has itself, and no more. What the others have beyond that delays them, and is no reason to turn this one away.
 */
static bool may_wait(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint64_t client, const struct gyr_route_model *about, uint64_t now)
{
	struct gyr_backlog *backlog = lcore->backlog;
	const struct gyr_queues *queues = &backlog->queues;
	uint32_t slot = about->slot, queue_limit = about->policy.queue_limit;
	struct gyr_backlog_model *model = &backlog->models[slot];
	uint64_t waiting = queues->queues[slot].count, free_room = queues->items_max - queues->count;
	if (waiting == 0 && free_room > 0) {
		gyr_codel_begin(&model->codel, &backlog->limits, now);
		return true;
	}
	uint64_t held = gyr_queue_held(queues, slot, client), ahead = RTE_MIN(waiting, (held + 1) * queues->queues[slot].line_count);
	uint64_t wait_tsc = ahead * gyr_share_stretch(&backlog->share, slot, model->cost_tsc);
	if (held >= 2 * free_room || (queue_limit > 0 && held + 2 * waiting >= 2 * (uint64_t)queue_limit)) {
		turn_away(lcore, mbuf, about, now, wait_tsc, "too many requests are waiting");
		return false;
	}
	/* Who has nothing waiting is no reason for the queue to stand. */
	uint64_t allowed_tsc = held == 0 ? backlog->limits.interval : gyr_codel_allowed(&model->codel, &backlog->limits);
	if (ahead >= BATCHES * (uint64_t)model->batch_efficient && wait_tsc >= allowed_tsc) {
		turn_away(lcore, mbuf, about, now, wait_tsc, "requests to the model wait too long");
		return false;
	}
	return true;
}

/* When a request that arrived at ARRIVAL need not wait for others any longer. */
static uint64_t ready_at(const struct gyr_lcore *lcore, const struct gyr_request *request, uint32_t delay_us, uint64_t cost_tsc)
{
	uint64_t tsc_per_us = lcore->loop->tsc_per_us, delay_tsc = delay_us * tsc_per_us;
	if (request->message.deadline_us > 0) {
		/* What its run takes must fit in before the deadline, twice, as it may take longer; and a quarter of the time, for what is under way then. */
		uint64_t deadline_tsc = request->message.deadline_us * tsc_per_us, left_tsc = gyr_tsc_since(2 * cost_tsc, deadline_tsc - deadline_tsc / 4);
		delay_tsc = RTE_MIN(delay_tsc, left_tsc);
	}
	return request->arrival_tsc + delay_tsc;
}

static void end_delay(struct gyr_backlog *backlog, uint32_t slot)
{
	uint32_t at = 0;
	while (backlog->delayed[at] != slot)
		at++;
	backlog->delayed[at] = backlog->delayed[--backlog->delayed_count];
	backlog->models[slot].delayed = false;
}

/* Puts the model of a request that has come where it is to be: into the share, or among those that wait for more. */
static void wake(struct gyr_lcore *lcore, const struct gyr_request *request, const struct gyr_route_model *about)
{
	struct gyr_backlog *backlog = lcore->backlog;
	uint32_t slot = about->slot, delay_us = about->policy.max_delay_us, count = backlog->queues.queues[slot].count;
	struct gyr_backlog_model *model = &backlog->models[slot];
	uint32_t batch_turn = about->stable != NULL ? about->stable->batch_turn : lcore->loop->config->batch_max;
	if (delay_us == 0 || count >= batch_turn || (count > 1 && !model->delayed)) {
		if (model->delayed)
			end_delay(backlog, slot);
		gyr_share_wake(&backlog->share, slot);
		return;
	}
	uint64_t ready_tsc = ready_at(lcore, request, delay_us, model->single_tsc);
	if (!model->delayed || ready_tsc < model->ready_tsc)
		model->ready_tsc = ready_tsc;
	if (!model->delayed)
		backlog->delayed[backlog->delayed_count++] = (uint16_t)slot;
	model->delayed = true;
}

void gyr_backlog_take(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf *mbuf, uint64_t now)
{
	struct gyr_backlog *backlog = lcore->backlog;
	struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_route_model *model = gyr_route_model(route, &request->message.model);
	if (model == NULL || request->message.type == GYR_WIRE_DESCRIBE) {
		backlog->refused++;
		bool admitted = gyr_admit(lcore, route, mbuf, now);
		GYR_ASSERT(!admitted);
		return;
	}
	if (gyr_is_late(lcore, request, now)) {
		backlog->refused++;
		request->version = NULL;
		gyr_counter_add(&gyr_model_counters_of(lcore, model)->refused[GYR_WIRE_DEADLINE], 1);
		gyr_refuse_late(lcore, mbuf);
		return;
	}
	if (backlog->models[model->slot].handle != model->handle) {
		struct gyr_backlog_model *kept = &backlog->models[model->slot];
		*kept = (struct gyr_backlog_model){.handle = model->handle, .delayed = kept->delayed, .ready_tsc = kept->ready_tsc};
	}
	const struct gyr_net_endpoint source = gyr_net_source(mbuf);
	uint64_t client = gyr_queue_client(&source.address);
	uint64_t owed_tsc = backlog->allowances == NULL ? 0 : gyr_allowances_wait(backlog->allowances, client, now);
	if (owed_tsc > 0) {
		gyr_counter_add(&gyr_model_counters_of(lcore, model)->over_allowance, 1);
		answer_busy(lcore, mbuf, model, owed_tsc, "your address has used its engine time");
		return;
	}
	if (!may_wait(lcore, mbuf, client, model, now))
		return;
	request->item.client = client;
	gyr_share_set(&backlog->share, model->slot, model->policy.weight, model->policy.priority);
	gyr_queue_push(&backlog->queues, model->slot, &request->item);
	wake(lcore, request, model);
}

static void wake_ready(struct gyr_backlog *backlog, uint64_t now)
{
	for (uint32_t i = backlog->delayed_count; i-- > 0;) {
		uint32_t slot = backlog->delayed[i];
		if ((int64_t)(now - backlog->models[slot].ready_tsc) < 0)
			continue;
		end_delay(backlog, slot);
		gyr_share_wake(&backlog->share, slot);
	}
}

/* What was taken from a queue for one batch, in that order. */
struct pick {
	uint32_t count, rows, member_count;
	struct rte_mbuf *mbufs[2 * GYR_LOOP_BURST];
	bool member[2 * GYR_LOOP_BURST]; /* of the batch; the others go back */
};

/* Takes requests to one version from the queue of SLOT, as many as its turn has. False: there was none that could be computed. */
static bool pick_batch(struct gyr_lcore *lcore, const struct gyr_route *route, uint32_t slot, uint64_t now, struct pick *pick)
{
	struct gyr_queues *queues = &lcore->backlog->queues;
	const struct gyr_version *version = NULL;
	struct gyr_queue_item *item;
	bool passed_ordered = false;
	pick->count = pick->rows = pick->member_count = 0;
	while (pick->count < 2 * GYR_LOOP_BURST && pick->member_count < GYR_LOOP_BURST && (version == NULL || pick->rows < version->batch_turn) &&
	       (item = gyr_queue_pop(queues, slot)) != NULL) {
		struct gyr_request *request = request_of_item(item);
		struct rte_mbuf *mbuf = gyr_mbuf_of(request);
		if (!gyr_admit(lcore, route, mbuf, now))
			continue;
		if (version == NULL)
			version = request->version;
		bool fits = pick->rows == 0 || pick->rows + request->rows <= version->batch_turn;
		bool member = request->version == version && fits && !(passed_ordered && request->message.want_order);
		passed_ordered = passed_ordered || (!member && request->message.want_order);
		pick->mbufs[pick->count] = mbuf;
		pick->member[pick->count++] = member;
		pick->rows += member ? request->rows : 0;
		pick->member_count += member;
	}
	return version != NULL;
}

/* Gives back what is quicker computed after this batch than padded into it. */
static void cut(struct pick *pick, const struct gyr_version *version)
{
	uint32_t rows = version->cuts[pick->rows];
	for (uint32_t i = pick->count; i-- > 0 && pick->rows > rows && pick->member_count > 1;) {
		if (!pick->member[i])
			continue;
		uint32_t these = gyr_request_of(pick->mbufs[i])->rows;
		if (pick->rows - these < rows)
			return;
		pick->member[i] = false;
		pick->rows -= these;
		pick->member_count--;
	}
}

static uint64_t mean(uint64_t known, uint64_t measured)
{
	if (known == 0)
		return measured;
	measured = RTE_MIN(measured, COST_GROWTH * known);
	return (known * (COST_WEIGHT - 1) + measured + COST_WEIGHT - 1) / COST_WEIGHT;
}

/* What a run took is used by the clients of its COUNT requests, by rows. */
static void charge_clients(struct gyr_backlog *backlog, const uint64_t *clients, const uint32_t *rows, uint32_t count, uint64_t took_tsc)
{
	uint64_t now = rte_rdtsc(), all = 0;
	for (uint32_t i = 0; i < count; i++)
		all += rows[i];
	for (uint32_t i = 0; i < count; i++)
		gyr_allowances_charge(backlog->allowances, clients[i], took_tsc * rows[i] / all, now);
}

static void run_model(struct gyr_lcore *lcore, const struct gyr_route *route, uint32_t slot, uint64_t now)
{
	struct gyr_backlog *backlog = lcore->backlog;
	struct gyr_backlog_model *model = &backlog->models[slot];
	struct pick pick;
	struct rte_mbuf *members[GYR_LOOP_BURST];
	uint64_t clients[GYR_LOOP_BURST];
	uint32_t rows[GYR_LOOP_BURST], count = 0;
	if (!pick_batch(lcore, route, slot, now, &pick))
		return;
	const struct gyr_version *version = gyr_request_of(pick.mbufs[0])->version;
	cut(&pick, version);
	for (uint32_t i = pick.count; i-- > 0;) {
		struct gyr_request *request = gyr_request_of(pick.mbufs[i]);
		if (!pick.member[i])
			gyr_queue_push_back(&backlog->queues, slot, &request->item);
	}
	for (uint32_t i = 0; i < pick.count; i++) {
		const struct gyr_request *request = gyr_request_of(pick.mbufs[i]);
		if (!pick.member[i])
			continue;
		gyr_queue_charge(&backlog->queues, slot, request->item.client, request->rows);
		clients[count] = request->item.client;
		rows[count] = request->rows;
		members[count++] = pick.mbufs[i];
	}
	gyr_codel_leave(&model->codel, &backlog->limits, now, gyr_tsc_since(gyr_request_of(members[0])->arrival_tsc, now));
	gyr_compute(lcore, members, count, now);
	uint64_t took_tsc = rte_rdtsc() - now, cost_tsc = took_tsc / count;
	if (backlog->allowances != NULL)
		charge_clients(backlog, clients, rows, count, took_tsc);
	model->cost_tsc = mean(model->cost_tsc, cost_tsc);
	model->single_tsc = version->cost_tsc[0];
	model->batch_efficient = version->batch_efficient;
	uint64_t service_tsc = mean(atomic_load_explicit(&lcore->service_tsc, memory_order_relaxed), cost_tsc);
	atomic_store_explicit(&lcore->service_tsc, service_tsc < UINT32_MAX ? (uint32_t)service_tsc : UINT32_MAX, memory_order_relaxed);
}

bool gyr_backlog_run(struct gyr_lcore *lcore, const struct gyr_route *route, uint64_t now)
{
	struct gyr_backlog *backlog = lcore->backlog;
	if (__builtin_expect(backlog->delayed_count > 0, 0))
		wake_ready(backlog, now);
	uint32_t slot = gyr_share_first(&backlog->share);
	if (slot == GYR_SHARE_NONE)
		return false;
	run_model(lcore, route, slot, now);
	uint64_t end = rte_rdtsc();
	gyr_share_charge(&backlog->share, slot, end - now);
	if (backlog->queues.queues[slot].count == 0) {
		gyr_share_sleep(&backlog->share, slot);
		gyr_codel_empty(&backlog->models[slot].codel, end);
	}
	return true;
}
