/*
 * The file in which gyrd keeps, over restarts of the data plane, what plans chose by measuring on this CPU. It comes as a descriptor over the link; what is in
 * it is taken over, and it is written anew when a load has measured more. A file that cannot be read or written costs time at the next load, and nothing else.
 * The house thread only.
 */
#ifndef GYR_DATAPLANE_LOOP_CHOICES_H
#define GYR_DATAPLANE_LOOP_CHOICES_H

#include <stdint.h>

#include "base/error.h"

struct gyr_choices_file {
	int descriptor; /* -1: none */
	uint64_t saved; /* gyr_choices_made, when it was written last */
};

/* Takes over what DESCRIPTOR (the caller's) holds, and keeps a duplicate of it in the place of the one before. -EINVAL: it is no file. The errno of what
 * failed. */
GYR_MUST_CHECK int gyr_choices_file_take(struct gyr_choices_file *file, int descriptor, struct gyr_error *error);

/* Writes what is remembered now, if that is more than is in it. Failures are logged. */
void gyr_choices_file_save(struct gyr_choices_file *file);

/* Lets the descriptor go. */
void gyr_choices_file_fini(struct gyr_choices_file *file);

#endif
