/*
 * The route table: which models and versions there are and which version a request goes to. A table is immutable. The house thread builds one, publishes it
 * through one atomic pointer, and frees the one before when every engine lcore has said that it holds no pointer into it any more.
 */
#ifndef GYR_DATAPLANE_LOOP_ROUTE_H
#define GYR_DATAPLANE_LOOP_ROUTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

#include "base/error.h"
#include "dataplane/link/link.h"
#include "dataplane/link/policy.h"
#include "dataplane/wire/wire.h"

struct gyr_model_counters; /* counters.h */
struct gyr_version;        /* version.h: owned by the house thread, which frees one only after a table without it has been published */

/* What a table is built from, and what it holds of one model. */
struct gyr_route_model {
	char name[GYR_WIRE_NAME_MAX + 1];
	uint32_t name_length;
	uint64_t handle; /* never used again for another name in the life of the process; below GYR_ROUTE_HANDLES_MAX */
	uint32_t version_count, label_count;
	const uint64_t *numbers;             /* of the versions, ascending */
	struct gyr_version *const *versions; /* in the same order */
	const struct gyr_wire_label *labels;
	uint32_t slot; /* below GYR_MODELS_MAX; of no other model in the same table */
	struct gyr_link_policy policy;
	struct gyr_version *stable;          /* where a request without a select goes; NULL: nowhere */
	struct gyr_model_counters *counters; /* by engine lcore; owned by the house thread like the versions */
};

#define GYR_ROUTE_HANDLES_MAX 65536u

struct gyr_route;

/*
 * Builds a table from COUNT models, which it copies (but not the versions). `stable` is found from the labels. Every label's version is among the model's.
 * NULL without memory.
 */
struct gyr_route *gyr_route_create(const struct gyr_route_model *models, uint32_t count);
void gyr_route_destroy(struct gyr_route *route); /* NULL is fine */

/*
 * Finds the version that a request or describe asks for. OK with *MODEL and *VERSION, or UNKNOWN_MODEL, UNKNOWN_VERSION, UNKNOWN_LABEL. Hot path: about 10 ns.
 */
enum gyr_wire_code gyr_route_find(const struct gyr_route *route, const struct gyr_wire_ref *model_ref, const struct gyr_wire_ref *select,
				  const struct gyr_route_model **model, struct gyr_version **version);

/* The model that REF names; NULL: none. Hot path. */
const struct gyr_route_model *gyr_route_model(const struct gyr_route *route, const struct gyr_wire_ref *ref);

/* Whether some model waits for more rows before it computes. Hot path: a load. */
bool gyr_route_delays(const struct gyr_route *route);

/* The pointer that readers go by, and what tells when they have let go. */
struct gyr_route_cell {
	_Atomic(const struct gyr_route *) current;
	struct rte_rcu_qsbr *readers;
	uint64_t stuck; /* publishes whose readers did not let go in time: each kept memory. House thread */
};

/* Starts with an empty table for READER_COUNT readers, each of which must be reporting before the first publish. -ENOMEM. */
GYR_MUST_CHECK int gyr_route_cell_init(struct gyr_route_cell *cell, uint32_t reader_count, struct gyr_error *error);
/* Frees the current table too; no reader is left. */
void gyr_route_cell_fini(struct gyr_route_cell *cell);

/* Reader READER begins, or ends, to read; between it must report. */
void gyr_route_reader_start(struct gyr_route_cell *cell, uint32_t reader);
void gyr_route_reader_stop(struct gyr_route_cell *cell, uint32_t reader);

/* Between these the reader holds nothing and need not report: it may sleep. */
static inline void gyr_route_reader_rest(const struct gyr_route_cell *cell, uint32_t reader)
{
	rte_rcu_qsbr_thread_offline(cell->readers, reader);
}

static inline void gyr_route_reader_resume(const struct gyr_route_cell *cell, uint32_t reader)
{
	rte_rcu_qsbr_thread_online(cell->readers, reader);
}

/* The table as it is now, valid until the reader's next report. Hot path. */
static inline const struct gyr_route *gyr_route_read(const struct gyr_route_cell *cell)
{
	/* A1 pairs with R1 in gyr_route_publish. */
	return atomic_load_explicit(&cell->current, memory_order_acquire);
}

/* The reader holds no pointer that it got from gyr_route_read. Hot path: a few ns. */
static inline void gyr_route_report(const struct gyr_route_cell *cell, uint32_t reader)
{
	rte_rcu_qsbr_quiescent(cell->readers, reader);
}

/*
 * Waits until every reader has reported once since the call. False after TIMEOUT_NS: a reader is stuck, and nothing may be freed that one could still hold.
 * House thread; sleeps.
 */
bool gyr_route_wait(struct gyr_route_cell *cell, uint64_t timeout_ns);

/*
 * Makes NEXT, which the cell then owns, the current table and waits as gyr_route_wait does. True: the table before is freed, and versions that NEXT does
 * not hold may be. False: it is kept for ever, counted, and so must those versions be. House thread.
 */
GYR_MUST_CHECK bool gyr_route_publish(struct gyr_route_cell *cell, const struct gyr_route *next, uint64_t timeout_ns);

#endif
