/*
 * What DPDK says. Its lines go to Gyr's log, but for the errors of a call whose failure we report ourselves: those become part of that report.
 */
#ifndef GYR_DATAPLANE_PORT_SAID_H
#define GYR_DATAPLANE_PORT_SAID_H

#include "base/error.h"

/* Takes DPDK's log over. Once, before DPDK starts. -ENOMEM. */
GYR_MUST_CHECK int gyr_said_init(struct gyr_error *error);

/* From here on, errors that DPDK logs on this thread are kept instead of printed. */
void gyr_said_keep(void);

/* Ends that, and returns them joined by "; " ("" when there was none). This thread's, until its next gyr_said_keep. */
const char *gyr_said_end(void);

#endif
