/* The data plane's counters, as gyrd tells them. Private to the files beside it. */
#ifndef GYR_CONTROL_STATS_H
#define GYR_CONTROL_STATS_H

#include "control/rollout/rollout.h"
#include "control/rpc/server.h"

/* What status says of the data plane: one map. */
void gyrd_pack_status(msgpack_packer *packer, const struct gyr_rollout *rollout, const struct gyr_stats_view *view);

/* The call "stats". */
void gyrd_serve_stats(void *user, struct gyr_rpc_call *call);

#endif
