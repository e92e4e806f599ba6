/*
 * Rollouts: what the data plane shall hold and route by is written in the registry first; then the data plane is brought to it, one step at a time, until it is
 * so. A start of gyrd, a start of the data plane and an operator's call are therefore the same work, and a step that is done twice does no harm.
 *
 * The loop's thread only.
 */
#ifndef GYR_CONTROL_ROLLOUT_ROLLOUT_H
#define GYR_CONTROL_ROLLOUT_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/event/work.h"
#include "control/link/peer.h"
#include "control/link/supervisor.h"
#include "control/registry/registry.h"
#include "control/rollout/held.h"
#include "dataplane/link/policy.h"
#include "dataplane/link/stats.h"

struct gyr_rollout;

/* The end of an operation: 0, or a negative errno with the reason. */
typedef void gyr_rollout_done(void *user, int status, const char *text);

/*
 * Begins: connects to SOCKET, has SUPERVISOR (NULL: nobody) start the data plane where none answers, and brings it to what REGISTRY says. All must stay.
 * -ENAMETOOLONG, -ENOMEM.
 */
GYR_MUST_CHECK int gyr_rollout_create(struct gyr_events *events, struct gyr_work *work, struct gyr_registry *registry, const char *socket,
				      struct gyr_supervisor *supervisor, struct gyr_rollout **rollout, struct gyr_error *error);
/*
 * Has the data plane keep what its plans choose by measuring in the file PATH, which is made when it is missing, so that the next one finds it: each data plane
 * that is linked gets it. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_rollout_keep_choices(struct gyr_rollout *rollout, const char *path, struct gyr_error *error);
/* How many bytes all versions may take together (control/load/budget.h). Before: any number. Once, before anything is loaded. */
void gyr_rollout_limit(struct gyr_rollout *rollout, uint64_t bytes);
/* How many versions of a model stay loaded that labels have moved away from, and of how many bytes of all models, the latest first. Before: all. */
void gyr_rollout_keep_warm(struct gyr_rollout *rollout, uint32_t versions, uint64_t bytes);
/*
 * Has the data plane that the supervisor keeps watched from now on: one of whose threads stands still for STUCK_S seconds is killed, and so started again.
 * Without a supervisor nothing is done. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_rollout_watch(struct gyr_rollout *rollout, uint32_t stuck_s, struct gyr_error *error);
/* Begins no more steps. Before gyr_work_fini, which ends the step that is in the helper thread. */
void gyr_rollout_end(struct gyr_rollout *rollout);
/* After gyr_rollout_end and gyr_work_fini: operations that wait are told -ESHUTDOWN; what they intended stays written. */
void gyr_rollout_destroy(struct gyr_rollout *rollout);

/*
 * Each is done when the data plane has it so, or has refused it: then what it intended is taken back, and a version that was wanted before stays so. After a
 * minute without a data plane it is given up with -ETIMEDOUT. DONE may be called from within the call (-ENOENT, -EBUSY, -EPERM as of gyr_registry_want and
 * gyr_registry_intend).
 *
 * load: the data plane holds the version. unload: it does not. promote: it holds the version, and LABEL points at it; the version it pointed at stays loaded,
 * and the ones before that as gyr_rollout_keep_warm says.
 */
void gyr_rollout_load(struct gyr_rollout *rollout, const char *model, uint64_t number, uid_t actor, gyr_rollout_done *done, void *user);
void gyr_rollout_unload(struct gyr_rollout *rollout, const char *model, uint64_t number, uid_t actor, gyr_rollout_done *done, void *user);
void gyr_rollout_promote(struct gyr_rollout *rollout, const char *model, const char *label, uint64_t number, bool force, uid_t actor, gyr_rollout_done *done,
			 void *user);

/*
 * Sets how MODEL is treated beside others (dataplane/link/policy.h), over what was set before. Done when the data plane has it so, or holds none of its
 * versions and will get it with them. -EINVAL: no such setting, or a value out of its range; -ENOENT: no such model.
 */
void gyr_rollout_set(struct gyr_rollout *rollout, const char *model, const struct gyr_setting *settings, uint32_t count, uid_t actor, gyr_rollout_done *done,
		     void *user);
/* What is set for MODEL, and the defaults for the rest. -EIO. */
GYR_MUST_CHECK int gyr_rollout_policy(struct gyr_rollout *rollout, const char *model, struct gyr_link_policy *policy, struct gyr_error *error);

/* Does the data plane hold that version, as far as is known? */
bool gyr_rollout_holds(const struct gyr_rollout *rollout, const char *model, uint64_t number);

/* How far a version is that is being loaded: bytes of its file that were read, and all of them. False: it is not being loaded. */
bool gyr_rollout_progress(const struct gyr_rollout *rollout, const char *model, uint64_t number, uint64_t *read, uint64_t *bytes);

/* Why a version that is wanted is not held; NULL: no reason known. */
const char *gyr_rollout_fault(const struct gyr_rollout *rollout, const char *model, uint64_t number);

/* Is the data plane as the registry says, but for versions that cannot be loaded (gyr_rollout_fault)? */
bool gyr_rollout_is_settled(const struct gyr_rollout *rollout);

/* Is the data plane linked, and has it been asked for its counters? */
bool gyr_rollout_is_linked(const struct gyr_rollout *rollout);

/* The counters of the data plane that was linked last; NULL: of none yet, or it has none to show. They stay when it dies. */
const struct gyr_stats_view *gyr_rollout_stats(const struct gyr_rollout *rollout);

/* The labels that the data plane routes MODEL by, as far as is known; NULL: none. */
const struct gyr_held_route *gyr_rollout_route(const struct gyr_rollout *rollout, const char *model);

/* The link, for questions (STATUS, STOP) that change nothing of what is held. */
struct gyr_peer *gyr_rollout_peer(struct gyr_rollout *rollout);

#endif
