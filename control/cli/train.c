/* train: the options of gyr-worker handed through, and its progress shown. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/ctl.h"

const struct ctl_option ctl_train_options[] = {
	{"data", "FILE", "the inputs: CSV, NPY or IDX, also gzip'd; one row each"},
	{"targets", "FILE", "the right answers: class numbers for cross-entropy, else as many numbers as outputs"},
	{"data-columns", "LIST", "of a CSV file: names or numbers, such as a,b or 0-99"},
	{"target-columns", "LIST", "likewise"},
	{"held-data", "FILE", "rows that are not trained on, for the accuracy that is shown"},
	{"held-targets", "FILE", "likewise"},
	{"sizes", "N-N-...", "a new net: inputs, hidden layers, outputs"},
	{"from", "VERSION", "instead: train this version further"},
	{"divisor", "X", "a new net divides its inputs by this first, so that raw data may be asked"},
	{"loss", "mse|cross-entropy", "what is made small"},
	{"optimiser", "adam|sgd", "how"},
	{"rate", "X", "the step size"},
	{"momentum", "X", "of sgd, 0 to below 1"},
	{"epochs", "N", "how often all rows are seen"},
	{"batch", "N", "rows to a step"},
	{"seed", "N", "the same seed gives the same model"},
	{"shuffle", "yes|no", "a new order each epoch"},
	{"limit", "N", "take only the first rows"},
	{"bf16-bound", "X", "how far answers may be off for weights in bf16, over the largest number of an output (not at all)"},
	{"promote", NULL, "promote it when it is done"},
	{0},
};

static bool is_file(const char *name)
{
	static const char *const files[] = {"data", "targets", "held-data", "held-targets"};
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (strcmp(files[i], name) == 0)
			return true;
	return false;
}

enum ctl_exit ctl_train(struct ctl *ctl)
{
	struct gyr_rpc_parameter parameters[CTL_OPTIONS_MAX + 1] = {{"model", ctl->words[0]}};
	static char paths[4][4096];
	uint32_t count = 1, path_count = 0;
	struct gyr_error error;
	for (const struct ctl_option *option = ctl_train_options; option->name != NULL; option++) {
		const char *value = ctl_option(ctl, option->name);
		if (value == NULL)
			continue;
		if (is_file(option->name)) {
			if (ctl_path(value, true, paths[path_count], &error) != 0) {
				gyr_error_prefix(&error, 0, "--%s", option->name);
				return ctl_fail(&error);
			}
			value = paths[path_count++];
		}
		parameters[count++] = (struct gyr_rpc_parameter){option->name, value};
	}
	if (ctl_option(ctl, "data") == NULL || ctl_option(ctl, "targets") == NULL || (ctl_option(ctl, "sizes") == NULL) == (ctl_option(ctl, "from") == NULL)) {
		gyr_error_set(&error, 0, "train needs --data, --targets, and either --sizes or --from; see \"gyrctl train --help\"");
		return ctl_misused(&error);
	}
	yyjson_mut_doc *doc;
	enum ctl_exit result = ctl_call_job(ctl, "train", parameters, count, true, &doc);
	if (result != CTL_OK)
		return result;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json) {
		ctl_print_json(root);
	} else if (ctl_option(ctl, "dry-run") != NULL) {
		printf("%s version %" PRIu64 " would be registered, loss %.6g\n", ctl_text(root, "model"), ctl_whole(root, "version"),
		       ctl_number(root, "loss"));
	} else {
		printf("%s version %" PRIu64 ", loss %.6g", ctl_text(root, "model"), ctl_whole(root, "version"), ctl_number(root, "loss"));
		if (isfinite(ctl_number(root, "accuracy")))
			printf(", accuracy %.4f", ctl_number(root, "accuracy"));
		printf("%s\n", yyjson_mut_get_bool(yyjson_mut_obj_get(root, "promoted")) ? ", promoted" : "");
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
