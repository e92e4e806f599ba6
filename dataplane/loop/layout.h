/* The lcores, queues and rings of the data path (layout.c). House thread, before the lcores run and after they have ended. */
#ifndef GYR_DATAPLANE_LOOP_LAYOUT_H
#define GYR_DATAPLANE_LOOP_LAYOUT_H

#include "dataplane/loop/loop_internal.h"

/* Makes loop->lcores from what loop->eal says. -ENOMEM. */
GYR_MUST_CHECK int gyr_layout_lcores(struct gyr_loop *loop, struct gyr_error *error);

/* The NUMA node of the first io lcore: for ports that have none of their own. */
int gyr_layout_io_socket(const struct gyr_loop *loop);

/* Connects them with each other and with the started ports. -ENOMEM. */
GYR_MUST_CHECK int gyr_layout_connect(struct gyr_loop *loop, struct gyr_error *error);

/* Frees all that was made, however far that came. */
void gyr_layout_free(struct gyr_loop *loop);

#endif
