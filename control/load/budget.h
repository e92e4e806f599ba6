/*
 * How much memory versions may take, all together: those that are being loaded and those that are held. Who takes what is kept by name, so that a refusal can
 * say so. Any thread.
 */
#ifndef GYR_CONTROL_LOAD_BUDGET_H
#define GYR_CONTROL_LOAD_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_BUDGET_NAME_BYTES 128u

struct gyr_budget_share {
	char name[GYR_BUDGET_NAME_BYTES];
	uint64_t bytes;
	bool held;
	struct gyr_budget_share *next;
};

struct gyr_budget {
	pthread_mutex_t lock; /* guards what follows */
	uint64_t limit, taken;
	struct gyr_budget_share *shares; /* the latest first */
};

/* LIMIT in bytes. */
void gyr_budget_init(struct gyr_budget *budget, uint64_t limit);
void gyr_budget_fini(struct gyr_budget *budget);

/* Takes BYTES for NAME. -ENOSPC: they do not fit; the message says who has the rest. -ENOMEM. */
GYR_MUST_CHECK int gyr_budget_take(struct gyr_budget *budget, const char *name, uint64_t bytes, struct gyr_budget_share **share, struct gyr_error *error);
/* Gives a share back. NULL is fine. */
void gyr_budget_give(struct gyr_budget *budget, struct gyr_budget_share *share);

/* What is held already is only noted: anew each time, from the first on. -ENOMEM. */
void gyr_budget_forget_held(struct gyr_budget *budget);
GYR_MUST_CHECK int gyr_budget_note_held(struct gyr_budget *budget, const char *name, uint64_t bytes);

#endif
