/* Reads the values of options. NAME stands in the message of each -EINVAL, with the text and what would be accepted. */
#ifndef GYR_TOOLS_LOAD_READ_H
#define GYR_TOOLS_LOAD_READ_H

#include "tools/load/load.h"

GYR_MUST_CHECK int load_read_whole(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value, struct gyr_error *error);
GYR_MUST_CHECK int load_read_real(const char *name, const char *text, double *value, struct gyr_error *error); /* above 0 */

/* ADDR, ADDR:PORT or [ADDR6]:PORT; PORT and SCOPE may be NULL: then none is taken. */
GYR_MUST_CHECK int load_read_address(const char *name, const char *text, struct load_address *address, uint16_t *port, uint32_t *scope,
				     struct gyr_error *error);

/* A model's name; a version in digits or a label. TEXT must live on. */
GYR_MUST_CHECK int load_read_model(const char *name, const char *text, struct gyr_wire_ref *model, struct gyr_error *error);
GYR_MUST_CHECK int load_read_select(const char *name, const char *text, struct gyr_wire_ref *select, struct gyr_error *error);

/* MODEL[:WEIGHT[:BYTES[:ROWS]]],...: adds a kind for each to STREAM, the rest as in LIKE. TEXT is cut up, and must live on. */
GYR_MUST_CHECK int load_read_mix(char *text, const struct load_kind *like, struct load_options *options, struct load_stream *stream, struct gyr_error *error);

/* KEY=VALUE,...: adds a stream; see --help. TEXT is cut up, and must live on. */
GYR_MUST_CHECK int load_read_stream(char *text, const struct load_kind *like, struct load_options *options, struct gyr_error *error);

#endif
