/*
 * What an engine lcore has queued: a queue for each model, fair among clients (flow/queue.h); engine time shared among models by weight (flow/share.h); and how
 * much may wait (flow/codel.h). No pointer into the route table is kept in it: a request's model and version are found anew when its turn comes. The lcore's
 * own thread, once it runs.
 */
#ifndef GYR_DATAPLANE_LOOP_BACKLOG_H
#define GYR_DATAPLANE_LOOP_BACKLOG_H

#include "dataplane/flow/allowance.h"
#include "dataplane/flow/codel.h"
#include "dataplane/flow/queue.h"
#include "dataplane/flow/share.h"
#include "dataplane/loop/loop_internal.h"
#include "dataplane/loop/models.h"

/* What is kept of one model, by its slot in the route table. */
struct gyr_backlog_model {
	struct gyr_codel codel;
	uint64_t cost_tsc;   /* of one request, about, from the runs so far; 0: none yet */
	uint64_t single_tsc; /* of a run for a single row */
	uint32_t batch_efficient;
	uint64_t ready_tsc; /* while it is delayed: when it need not wait for more rows any longer */
	uint64_t handle;    /* whose all this is: a slot may get another model */
	bool delayed;
};

struct gyr_backlog {
	struct gyr_queues queues;
	struct gyr_share share; /* models with requests that need not wait for more */
	struct gyr_codel_limits limits;
	struct gyr_allowances *allowances; /* NULL: clients may use what they get */
	uint64_t return_max_tsc;           /* the longest time to come back after */
	int64_t debt_tsc;                  /* spent on turning away, less its part of the time spent on computing */
	uint32_t refused;                  /* in this turn, or answered without being computed */
	uint32_t put_off;                  /* turns in a row that left the computing for the next one, as the port had more */
	uint32_t delayed_count;
	uint16_t delayed[GYR_MODELS_MAX]; /* slots of the models that wait for more rows */
	struct gyr_backlog_model models[GYR_MODELS_MAX];
};

/* For one engine lcore, by CONFIG. NULL without memory. */
struct gyr_backlog *gyr_backlog_create(const struct gyr_config *config, uint64_t tsc_per_us);
void gyr_backlog_destroy(struct gyr_backlog *backlog); /* NULL is fine */

/* Queues a request (or answers a describe), or turns it away. */
void gyr_backlog_take(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf *mbuf, uint64_t now);

/* Computes one batch of what is queued: that of the model whose turn it is. False: nothing is ready. */
bool gyr_backlog_run(struct gyr_lcore *lcore, const struct gyr_route *route, uint64_t now);

#endif
