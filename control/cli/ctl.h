/*
 * gyrctl: what its commands share. Private to this folder.
 */
#ifndef GYR_CONTROL_CLI_CTL_H
#define GYR_CONTROL_CLI_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <yyjson.h>

#include "base/config.h"
#include "base/error.h"
#include "base/unpack.h"
#include "control/rpc/rpc.h"

#define CTL_OPTIONS_MAX 32u
#define CTL_WORDS_MAX 64u

/* What gyrctl exits with; CTL_DETACHED is 0 to the world. */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_DETACHED = -1 };

struct ctl_option {
	const char *name;
	const char *value; /* what it takes, for the help; NULL: nothing */
	const char *help;
};

/* What commands may be besides, each with options of its own. */
enum ctl_kind { CTL_CHANGES = 1, CTL_JOB = 2, CTL_GUARDED = 4 };

struct ctl;

struct ctl_command {
	const char *name;  /* of one or two words */
	const char *words; /* that follow, for the help */
	uint32_t words_min, words_max;
	const struct ctl_option *options; /* besides those of KINDS and those that all have; a NULL name ends them; NULL: none */
	const char *summary;              /* one line */
	const char *help;                 /* more, with an example */
	enum ctl_exit (*run)(struct ctl *ctl);
	unsigned kinds; /* of enum ctl_kind */
};

struct ctl {
	struct gyr_config config;
	const struct ctl_command *command;
	bool json;
	uint32_t word_count, option_count;
	const char *words[CTL_WORDS_MAX];
	struct gyr_rpc_parameter options[CTL_OPTIONS_MAX]; /* that were given; a flag's value is "yes" */
};

/* The commands, a NULL name at the end. */
extern const struct ctl_command ctl_commands[];

/* The lists of options that COMMAND takes, one after another: a NULL list ends them. */
#define CTL_OPTION_LISTS_MAX 6u
void ctl_option_lists(const struct ctl_command *command, const struct ctl_option *lists[CTL_OPTION_LISTS_MAX]);
/* The command of one or two words at ARGUMENTS, which NULL ends; *TAKEN of them. NULL: there is none. */
const struct ctl_command *ctl_find_command(char **arguments, int *taken);

/* help.c */
void ctl_print_usage(FILE *to);
void ctl_print_help(const struct ctl_command *command);

/* The value of an option that was given last, or NULL. */
const char *ctl_option(const struct ctl *ctl, const char *name);

/* The whole number of an option, or OTHERWISE where it was not given. -EINVAL: not one from LEAST to MOST. */
GYR_MUST_CHECK int ctl_option_number(const struct ctl *ctl, const char *name, uint64_t otherwise, uint64_t least, uint64_t most, uint64_t *number,
				     struct gyr_error *error);

/* Says on stderr what went wrong, as {"error": TEXT} after --json, else ERROR's text, which is made plain; gives the exit status. */
enum ctl_exit ctl_fail(struct gyr_error *error);
enum ctl_exit ctl_misused(struct gyr_error *error);

/*
 * Calls gyrd and gives the answer as JSON; free *DOC with yyjson_mut_doc_free. NEWS (may be NULL) gets each piece of news. False: it failed, and that was said.
 */
typedef void ctl_news(void *user, yyjson_mut_val *body);
GYR_MUST_CHECK bool ctl_call(const char *run_dir, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, ctl_news *news, void *user,
			     yyjson_mut_doc **doc);

/*
 * Makes a call that is a job (control/job.h), with the options of ctl_job_options, --dry-run and --expect where they were given, and shows its progress until
 * it ends. CTL_OK: *DOC is the answer, to be freed. CTL_DETACHED: it goes on, and that was printed. CTL_FAILED: that was said. Interrupted, the job is
 * cancelled where it CANCELS, and else goes on.
 */
GYR_MUST_CHECK enum ctl_exit ctl_call_job(struct ctl *ctl, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, bool cancels,
					  yyjson_mut_doc **doc);

/* One msgpack object as JSON: bins as arrays of numbers, what JSON cannot hold as null. NULL: no whole object, or nested deeper than 32. */
yyjson_mut_val *ctl_to_json(yyjson_mut_doc *doc, struct gyr_unpack *cursor);

/* Prints VALUE as JSON, pretty on a terminal. */
void ctl_print_json(const yyjson_mut_val *value);

/*
 * TEXT, which is changed, with '?' for every control character: names and messages quote what models and files brought along, and a terminal would obey it.
 * Everything that is not JSON is printed through this or ctl_text. "" for NULL.
 */
const char *ctl_plain(const char *text);

/* Members of an object, with something harmless where there are none; texts plain. */
const char *ctl_text(yyjson_mut_val *object, const char *key);
uint64_t ctl_whole(yyjson_mut_val *object, const char *key);
double ctl_number(yyjson_mut_val *object, const char *key); /* NAN */

/* "1.5 MB", "12 s", "2026-01-31 12:00" into TEXT of SIZE bytes, which is returned. */
const char *ctl_bytes_text(uint64_t bytes, char *text, size_t size);
const char *ctl_duration_text(double seconds, char *text, size_t size);
const char *ctl_time_text(int64_t at_s, char *text, size_t size);

/* The absolute path of a file; it must be there when MUST. -ENOENT and what else realpath gives; -ENAMETOOLONG. */
GYR_MUST_CHECK int ctl_path(const char *path, bool must, char absolute[4096], struct gyr_error *error);

/* Prints the settings of a model. */
void ctl_print_policy(yyjson_mut_val *policy);

/* The commands. */
enum ctl_exit ctl_status(struct ctl *ctl);
enum ctl_exit ctl_stats(struct ctl *ctl);
enum ctl_exit ctl_top(struct ctl *ctl);
enum ctl_exit ctl_train(struct ctl *ctl);
enum ctl_exit ctl_model_import(struct ctl *ctl);
enum ctl_exit ctl_model_follow(struct ctl *ctl);
enum ctl_exit ctl_model_unfollow(struct ctl *ctl);
enum ctl_exit ctl_model_follows(struct ctl *ctl);
enum ctl_exit ctl_model_list(struct ctl *ctl);
enum ctl_exit ctl_model_show(struct ctl *ctl);
enum ctl_exit ctl_model_set(struct ctl *ctl);
enum ctl_exit ctl_model_export(struct ctl *ctl);
enum ctl_exit ctl_model_remove(struct ctl *ctl);
enum ctl_exit ctl_verify(struct ctl *ctl);
enum ctl_exit ctl_gc(struct ctl *ctl);
enum ctl_exit ctl_audit(struct ctl *ctl);
enum ctl_exit ctl_load(struct ctl *ctl);
enum ctl_exit ctl_unload(struct ctl *ctl);
enum ctl_exit ctl_promote(struct ctl *ctl);
enum ctl_exit ctl_predict(struct ctl *ctl);
enum ctl_exit ctl_job_list(struct ctl *ctl);
enum ctl_exit ctl_job_show(struct ctl *ctl);
enum ctl_exit ctl_job_follow(struct ctl *ctl);
enum ctl_exit ctl_job_cancel(struct ctl *ctl);
enum ctl_exit ctl_stop(struct ctl *ctl);
enum ctl_exit ctl_man(struct ctl *ctl);
enum ctl_exit ctl_completion(struct ctl *ctl);
enum ctl_exit ctl_complete(struct ctl *ctl);

extern const struct ctl_option ctl_job_options[], ctl_follow_options[], ctl_train_options[], ctl_predict_options[], ctl_stats_options[], ctl_top_options[],
	ctl_gc_options[], ctl_audit_options[];

#endif
