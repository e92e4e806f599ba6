/*
 * What DFT and STFT say about themselves, for those who infer and those who run them.
 */
#ifndef GYR_ENGINE_MODEL_SIGNAL_H
#define GYR_ENGINE_MODEL_SIGNAL_H

#include <stdbool.h>

#include "engine/model/infer.h"

/*
 * COUNT times FRAMES transforms of LENGTH complex numbers, of which the first BINS are kept. Of a signal, elements INNER apart are one after another in time;
 * frame f starts STEP * f elements into it, and there are SIGNAL of them in all (what is missing is 0). PARTS (1 real, 2 complex) numbers make an element.
 */
struct gyr_dft {
	int64_t outer, inner, signal, frames, step, length, bins, parts;
	bool inverse;
};

#define GYR_DFT_LENGTH_MAX (INT64_C(1) << 20)        /* of a power of two, */
#define GYR_DFT_LENGTH_DIRECT_MAX (INT64_C(1) << 14) /* and of any other, which takes its square in time */

/* Infers a DFT or STFT and says what it does. -EINVAL; -EAGAIN: a length, a step or an axis is not known yet. */
GYR_MUST_CHECK int gyr_infer_dft(struct gyr_infer *infer, struct gyr_dft *dft);

#endif
