/* Watches over the data plane that the supervisor keeps: one that is stuck is killed, and so started again. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/rollout/rollout_internal.h"

#define LOOK_NS (500 * GYR_NS_PER_MS)
#define LOOKS_PER_S (GYR_NS_PER_S / LOOK_NS)
#define SILENT_S 150u /* longer than any request is waited for, also by a gyrd that was killed meanwhile */

static void look(void *user)
{
	struct gyr_rollout *rollout = user;
	struct gyr_supervisor *supervisor = rollout->supervisor;
	char why[128];
	gyr_timer_start(rollout->events, &rollout->look, LOOK_NS, look, rollout);
	struct gyr_pulse_look now = {
		/* One that was running before us, and has never greeted us, is known by its end of the link. */
		.pid = supervisor->process.pid != 0 ? supervisor->process.pid : gyr_peer_pid(rollout->peer),
		.linked = gyr_peer_is_up(rollout->peer),
		.asked = gyr_peer_waiting(rollout->peer) > 0,
		.view = rollout->stats,
	};
	if (supervisor->enabled && gyr_pulse_look(&rollout->pulse, &now, why, sizeof why))
		gyr_supervisor_kill(supervisor, now.pid, why);
}

int gyr_rollout_watch(struct gyr_rollout *rollout, uint32_t stuck_s, struct gyr_error *error)
{
	if (rollout->supervisor == NULL)
		return 0;
	int status = gyr_pulse_init(&rollout->pulse, stuck_s * LOOKS_PER_S, SILENT_S * LOOKS_PER_S, error);
	if (status == 0)
		gyr_timer_start(rollout->events, &rollout->look, LOOK_NS, look, rollout);
	return status;
}
