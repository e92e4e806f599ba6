/* Examples: what one kind of question asks, and what is known of the answers. */
#ifndef GYR_TOOLS_LOAD_SOURCE_H
#define GYR_TOOLS_LOAD_SOURCE_H

#include "tools/load/load.h"

#define LOAD_TENSOR_MAX 65000u

struct load_memory;

/* COUNT tensors of BYTES each. */
struct load_source {
	uint32_t count, bytes;
	uint8_t *tensors;
	uint8_t *labels;            /* of IDX files; NULL: unknown */
	uint8_t *outputs;           /* what is expected, OUTPUT_BYTES for each, OUTPUT_PARTS times; NULL: unknown */
	uint32_t output_parts;      /* version V goes by part V % OUTPUT_PARTS */
	uint32_t output_bytes;      /* of one example */
	bool output_f32;            /* compared within the tolerance; else bit for bit */
	struct load_memory *memory; /* of first answers; NULL: not checked */
};

/* Reads the files of KIND or makes random tensors. -EINVAL, -ENOMEM, -EIO or what opening said; the message names the file. */
GYR_MUST_CHECK int load_source_open(const struct load_options *options, const struct load_kind *kind, struct load_source *source, struct gyr_error *error);
void load_source_close(struct load_source *source);

/* Reads a npy file (numpy.lib.format, versions 1 to 3) of rows in C order: COUNT rows of ROW_BYTES. The caller frees ITEMS. */
GYR_MUST_CHECK int load_npy_read(const char *path, uint32_t *count, uint32_t *row_bytes, bool *f32, uint8_t **items, struct gyr_error *error);

#endif
