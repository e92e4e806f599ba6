/* What the files of this folder share of a rollout. */
#ifndef GYR_CONTROL_ROLLOUT_ROLLOUT_INTERNAL_H
#define GYR_CONTROL_ROLLOUT_ROLLOUT_INTERNAL_H

#include "base/clock.h"
#include "control/link/pulse.h"
#include "control/load/budget.h"
#include "control/load/loader.h"
#include "control/rollout/held.h"
#include "control/rollout/rollout.h"

#define ROLLOUT_RETRY_NS GYR_NS_PER_S /* the pause after the first failure */

enum verb { LOAD, UNLOAD, PROMOTE, SET };

/* What somebody waits for. */
struct operation {
	enum verb verb;
	char model[GYR_NAME_BYTES], label[GYR_NAME_BYTES];
	uint64_t number;
	bool was_wanted; /* the version, before; it stays so when this fails */
	gyr_rollout_done *done;
	void *user;
	struct gyr_rollout *rollout;
	struct gyr_timer limit;
	struct operation *next;
};

/* Why a version is not held, and when it is tried again. */
struct fault {
	char model[GYR_NAME_BYTES];
	uint64_t number, pause_ns, due_ns;
	char text[512];
	struct fault *next;
};

/* Settings that the data plane refused. */
struct refusal {
	char model[GYR_NAME_BYTES];
	struct gyr_link_policy policy;
	uint64_t due_ns; /* when they are tried again */
	struct refusal *next;
};

struct gyr_rollout {
	struct gyr_events *events;
	struct gyr_work *work;
	struct gyr_registry *registry;
	struct gyr_supervisor *supervisor; /* NULL: none */
	struct gyr_peer *peer;
	struct gyr_held held;         /* empty while the link is down */
	struct gyr_stats_view *stats; /* NULL: none */
	char *choices;                /* the path of the file of choices; NULL: none */
	bool asks_for_stats;          /* of the data plane that is linked, and that has not answered yet */
	bool stepping;                /* a step is under way */
	bool settled;                 /* nothing was left to be done, when it was looked for last */
	bool ending;                  /* no more steps */
	bool told_absent;             /* that nobody is there was said in the log */
	bool told_settled;            /* the data plane that is linked was told that all is there */
	struct gyr_budget budget;      /* of gyr_rollout_limit */
	struct gyr_budget_share *share; /* of the version that the data plane packs; NULL: none */
	atomic_bool cancel;            /* what is being read */
	uint32_t warm_versions;       /* of gyr_rollout_keep_warm */
	uint64_t warm_bytes;
	struct gyr_pulse pulse; /* of gyr_rollout_watch, as is what follows */
	struct gyr_timer look;
	struct operation *operations;
	struct fault *faults;
	struct withheld *withheld; /* labels that were routed and could not be written down */
	bool checking;             /* a file of what was held at the start is being read: of what follows */
	char checked_model[GYR_NAME_BYTES];
	uint64_t checked_number;
	struct refusal *refusals; /* of the data plane that is linked; the next that is due is the first */
	struct gyr_timer retry;
	char model[GYR_NAME_BYTES]; /* of the step under way, as is what follows */
	uint64_t number;
	struct gyr_link_request route;     /* or policy */
	bool loading;                      /* the step is a load ... */
	struct gyr_load_progress progress; /* ... which is so far */
};

/* operation.c: faults. */
struct fault *rollout_find_fault(const struct gyr_rollout *rollout, const char *model, uint64_t number);
void rollout_forget_fault(struct gyr_rollout *rollout, const char *model, uint64_t number);

/* A version that is wanted could not be loaded: what was intended with it is taken back, or it is tried again later. */
void rollout_fail_version(struct gyr_rollout *rollout, const char *model, uint64_t number, int status, const char *text);

void rollout_note_fault(struct gyr_rollout *rollout, const char *model, uint64_t number, const char *text);

/* standin.c: what a label shall be routed to now; 0: to nothing. */
uint64_t rollout_target(struct gyr_rollout *rollout, const struct gyr_label *label);
/* standin.c: a version that is to be loaded because another cannot be. */
bool rollout_stand_in_to_load(struct gyr_rollout *rollout, struct gyr_version *version);
bool rollout_is_stand_in(struct gyr_rollout *rollout, const char *model, uint64_t number);
/* standin.c: LABEL was routed as intended, which could not be written down for STATUS and TEXT: who waits for it is told. */
void rollout_withhold(struct gyr_rollout *rollout, const struct gyr_label *label, int status, const char *text);
/* standin.c: writes down that what is withheld is not intended any more. The errors of the registry: it is left for later. */
GYR_MUST_CHECK int rollout_take_back_withheld(struct gyr_rollout *rollout, struct gyr_error *error);
void rollout_forget_withheld(struct gyr_rollout *rollout);

/* adopt.c: reads the next file of what the data plane held when it was linked. */
void rollout_check_adopted(struct gyr_rollout *rollout);
void rollout_mark_checked(struct gyr_rollout *rollout, const char *model, uint64_t number);

/* operation.c: operations. */
/* Was a version wanted before all those who wait for it now? */
bool rollout_was_wanted(const struct gyr_rollout *rollout, const char *model, uint64_t number);
void rollout_begin_operation(struct gyr_rollout *rollout, enum verb verb, const char *model, const char *label, uint64_t number, bool was_wanted,
			     gyr_rollout_done *done, void *user);
void rollout_end_operation(struct operation *operation, int status, const char *text);
/* Ends all on a version. */
void rollout_end_operations(struct gyr_rollout *rollout, const char *model, uint64_t number, int status, const char *text);
/* Ends those that have come true. */
void rollout_settle_operations(struct gyr_rollout *rollout);
/* Does somebody wait until a version is loaded or promoted? */
bool rollout_is_awaited(const struct gyr_rollout *rollout, const char *model, uint64_t number);
/* Takes back all that is intended with a version. True when something was. */
bool rollout_take_back(struct gyr_rollout *rollout, const char *model, uint64_t number, const char *why);

/* Ends all that wait for the settings of MODEL. */
void rollout_end_settings(struct gyr_rollout *rollout, const char *model, int status, const char *text);

/* warm.c: a label has moved: versions that served before and are too many are wanted no more. */
void rollout_retire(struct gyr_rollout *rollout);

/* policy.c: gives a model that is held its settings, where they differ and were not refused. True: a step was begun. */
bool rollout_step_policy(struct gyr_rollout *rollout);
/* The same with settings that were refused, once they are due. True: a step was begun, or will be. */
bool rollout_step_refused(struct gyr_rollout *rollout);
/* Forgets what was refused of MODEL; NULL: of all. */
void rollout_forget_refusals(struct gyr_rollout *rollout, const char *model);
/* Has the data plane the settings of MODEL, as far as it holds any version of it? */
bool rollout_has_policy(struct gyr_rollout *rollout, const char *model);

/* steps.c: after something unexpected, asks what is so, and goes on from there a second later. The step under way goes on as this one. */
void rollout_refresh(struct gyr_rollout *rollout);
/* steps.c: looks for the next step and begins it, unless one is under way. */
void rollout_advance(struct gyr_rollout *rollout);
/* Looks again after DELAY_NS at the latest. */
void rollout_retry_in(struct gyr_rollout *rollout, uint64_t delay_ns);
/* Takes what the data plane says that it holds. */
void rollout_take_status(struct gyr_rollout *rollout, const uint8_t *body, uint32_t bytes);

#endif
