/*
 * The house thread: DPDK's main lcore, which does all that is slow. It serves the link to gyrd (dataplane/link/link.h), compiles and publishes, and ends the
 * process in order. Signals reach it through a descriptor: SIGTERM and SIGINT are blocked before the first thread starts.
 */
#ifndef GYR_DATAPLANE_LOOP_HOUSE_H
#define GYR_DATAPLANE_LOOP_HOUSE_H

#include "base/config.h"
#include "base/error.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/models.h"

struct gyr_house;

/*
 * Takes RUN_DIR for this process (a lock that ends with it), makes it when missing, and listens on its socket. Blocks SIGTERM and SIGINT. -EBUSY: another data
 * plane runs on it; -ENAMETOOLONG; or the errno of what failed, with its path.
 */
GYR_MUST_CHECK int gyr_house_create(const struct gyr_config *config, struct gyr_house **house, struct gyr_error *error);

/* Removes the socket and lets RUN_DIR go. NULL is fine. */
void gyr_house_destroy(struct gyr_house *house);

/*
 * Obeys until STOP, SIGTERM or SIGINT, then drains the loop (before STOP is answered). -ETIMEDOUT: an lcore is stuck, and nothing may be freed; or the errno of
 * a failed wait.
 */
GYR_MUST_CHECK int gyr_house_run(struct gyr_house *house, struct gyr_loop *loop, struct gyr_models *models, struct gyr_error *error);

#endif
