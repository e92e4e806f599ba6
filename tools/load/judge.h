/* Judges answers: by labels, by the outputs of a file, or by what the same version answered to the same question before. */
#ifndef GYR_TOOLS_LOAD_JUDGE_H
#define GYR_TOOLS_LOAD_JUDGE_H

#include "tools/load/source.h"

enum load_verdict { LOAD_UNJUDGED, LOAD_RIGHT, LOAD_WRONG };

/*
 * Judges an answer of COUNT tensors (1 or more) to EXAMPLE by version NUMBER, which has place PLACE (below LOAD_VERSIONS_MAX): the first tensor by the file,
 * all by what is remembered. The first answer that is remembered is right; in the last place, which versions share, none is remembered.
 */
enum load_verdict load_judge(const struct load_source *source, uint32_t example, uint64_t number, uint32_t place, const struct gyr_wire_tensor *answer,
			     uint32_t count, double tolerance);

/* What is remembered of first answers to COUNT examples: all that it will ever take is taken here. -ENOMEM. */
GYR_MUST_CHECK int load_memory_make(uint32_t count, struct load_memory **memory, struct gyr_error *error);
void load_memory_free(struct load_memory *memory);

#endif
