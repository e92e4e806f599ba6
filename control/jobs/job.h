/*
 * What the commands of gyr-worker share: their options, the lines that they print, the files that they read and write.
 */
#ifndef GYR_CONTROL_JOBS_JOB_H
#define GYR_CONTROL_JOBS_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/bundle.h"
#include "engine/model/graph.h"

#define GYR_JOB_TOOL "gyr " GYR_VERSION
#define GYR_JOB_LINEAGE_BYTES 128u

/* An option as a command lists it. */
struct gyr_job_option {
	const char *name;
	const char *value; /* what it takes, for the usage text */
	bool required;
};

/* The values that were given, beside the list. */
struct gyr_job_options {
	const struct gyr_job_option *list; /* a NULL name ends it */
	char *const *words;                /* NAME=VALUE each */
	int count;
};

/* Checks that each word is NAME=VALUE with a listed name, each at most once, and that none that is required is missing. -EINVAL. */
GYR_MUST_CHECK int gyr_job_options_check(const struct gyr_job_options *options, struct gyr_error *error);

/* The value of an option, or NULL. */
const char *gyr_job_option(const struct gyr_job_options *options, const char *name);

/* Read an option where it is given, and leave *VALUE alone where not. -EINVAL: no such number, or out of range; the message names option and range. */
GYR_MUST_CHECK int gyr_job_option_whole(const struct gyr_job_options *options, const char *name, uint64_t least, uint64_t most, uint64_t *value,
					struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_option_number(const struct gyr_job_options *options, const char *name, float *value, struct gyr_error *error);

/* Reads an option whose value is one of WORDS ("a", "b", NULL): *INDEX becomes its place. -EINVAL. */
GYR_MUST_CHECK int gyr_job_option_word(const struct gyr_job_options *options, const char *name, const char *const *words, uint32_t *index,
				       struct gyr_error *error);

/* The option "name", or OTHERWISE: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or digit. -EINVAL. */
GYR_MUST_CHECK int gyr_job_option_name(const struct gyr_job_options *options, const char *otherwise, const char **name, struct gyr_error *error);

/* A member of an event. */
struct gyr_job_field {
	const char *name;
	const char *text; /* a string, or NULL: NUMBER, which is left out when it is not finite */
	double number;
};

/* Prints {"event":EVENT, FIELDS...} as one line with one write to stdout. */
void gyr_job_event(const char *event, const struct gyr_job_field *fields, size_t count);

/* Reads a regular file of at most BYTES_MAX bytes whole (*BYTES, 4 KiB aligned; free(3) it). -ENOENT, -EIO, -E2BIG, -ENOMEM, -EBADMSG: not a regular file, or empty. */
GYR_MUST_CHECK int gyr_job_file_read(const char *path, uint64_t bytes_max, void **bytes, size_t *size, struct gyr_error *error);

/*
 * Makes PATH hold SIZE bytes, or not at all what it does not hold already: written beside it, synced, renamed, the folder synced. -EIO, or another errno of
 * opening or writing.
 */
GYR_MUST_CHECK int gyr_job_file_write(const char *path, const void *bytes, size_t size, struct gyr_error *error);

/* Removes what gyr_job_file_write has begun. Only from a signal handler that then ends the process. */
void gyr_job_file_abandon(void);

/* Golden vectors with the memory that they need. */
struct gyr_job_golden {
	struct gyr_golden golden;
	void *inputs[GYR_GRAPH_ENDS_MAX], *outputs[GYR_GRAPH_ENDS_MAX];
};

#define GYR_JOB_GOLDEN_ROWS 8u

/* Takes memory for GYR_JOB_GOLDEN_ROWS rows of each input, or 1 where the graph's batch is fixed (golden.batch), to be filled. -ENOMEM, -E2BIG. */
GYR_MUST_CHECK int gyr_job_golden_init(struct gyr_job_golden *golden, const struct gyr_graph *graph, struct gyr_error *error);
void gyr_job_golden_fini(struct gyr_job_golden *golden);

/* Fills the inputs with random numbers from SEED: between -1 and 1, or small whole ones. */
void gyr_job_golden_random(struct gyr_job_golden *golden, const struct gyr_graph *graph, uint64_t seed);

/*
 * Computes the outputs with the reference plan, and the tolerance from what this CPU's plan answers instead: 8 times the largest difference, between 1e-4 and 1e-2.
 * *FINITE: false when an answer is not finite, which no tolerance covers. -ENOTSUP, -ENOMEM.
 */
GYR_MUST_CHECK int gyr_job_golden_compute(struct gyr_job_golden *golden, const struct gyr_graph *graph, bool *finite, struct gyr_error *error);

/* A model from a file, a bundle or ONNX, told by its first bytes. */
struct gyr_job_model {
	struct gyr_graph *graph;
	struct gyr_bundle *bundle; /* NULL: from ONNX */
	void *bytes;               /* of the bundle */
	uint8_t digest[32];        /* the bundle's id, or ONNX's BLAKE2b-256 */
};

/*
 * Reads a model. ONNX is imported with the address space limited to what that may take, for the rest of the process. Errors of gyr_job_file_read, gyr_bundle_open
 * and gyr_onnx_import.
 */
GYR_MUST_CHECK int gyr_job_model_read(const char *path, struct gyr_job_model *model, struct gyr_error *error);
void gyr_job_model_fini(struct gyr_job_model *model);

/* Gives a graph that this process made its name. -ENOMEM. */
GYR_MUST_CHECK int gyr_job_rename(struct gyr_graph *graph, const char *name, struct gyr_error *error);

/* Builds a bundle and writes it to PATH; the id goes to ID. -EINVAL, -E2BIG, -ENOMEM, -EIO. */
GYR_MUST_CHECK int gyr_job_bundle_write(const char *path, const struct gyr_graph *graph, const struct gyr_bundle_info *info, uint8_t id[GYR_BUNDLE_ID_BYTES],
					struct gyr_error *error);

/* The commands: 0 or a negative errno with a message. */
extern const struct gyr_job_option gyr_job_train_options[], gyr_job_import_options[], gyr_job_export_options[];
GYR_MUST_CHECK int gyr_job_train(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_import(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_export(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);

#endif
