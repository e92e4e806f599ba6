/* gyrctl: the table of commands, their help, and the reading of the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/ctl.h"

static const struct ctl_option common_options[] = {
	{"config", "FILE", "the configuration that gyrd was started with (docs/gyr.conf shows every key)"},
	{"run-dir", "DIR", "where gyrd's socket is, over the configuration's gyrd.run_dir"},
	{"json", NULL, "print JSON"},
	{"help", NULL, "print this"},
	{0},
};

static const struct ctl_option promote_options[] = {
	{"label", "NAME", "the label that shall point at the version; default: stable, which requests go by that name none"},
	{"force", NULL, "promote also a version with other inputs or outputs than the present one"},
	{0},
};

static const struct ctl_option import_options[] = {
	{"dim", "NAME=SIZE", "the size of a dimension that an ONNX file leaves open, but for the batch; may be repeated"},
	{"shape", "INPUT=SIZE,...", "the whole shape of an input, the first size perhaps N, the batch; may be repeated"},
	{"value", "INPUT=NUMBER", "what an input always holds; it is then no input any more; may be repeated"},
	{"bf16-bound", "X", "how far answers may be off for weights in bf16, over the largest number of an output, such as 0.02 (not at all)"},
	{0},
};

static const struct ctl_option export_options[] = {
	{"format", "onnx|bundle", "default: onnx when FILE ends with .onnx, else bundle"},
	{0},
};

static const struct ctl_option stop_options[] = {
	{"keep-dataplane", NULL, "end only gyrd; the data plane serves on, and the next gyrd takes it over"},
	{0},
};

const struct ctl_command ctl_commands[] = {
	{"status", "", 0, 0, NULL, "how gyrd and the data plane are",
	 "Shows whether the data plane answers, its ports, cores and loaded versions, and the counters that are not 0.\n"
	 "  gyrctl status\n  gyrctl status --json | jq .dataplane.state\n",
	 ctl_status},
	{"stats", "", 0, 0, ctl_stats_options, "every counter of the data plane",
	 "Shows what the data plane has counted: each lcore, queue, port, model and version. Without --json, what is 0 is left out.\n"
	 "  gyrctl stats --explain\n  gyrctl stats --json | jq '.versions[].stages.total'\n",
	 ctl_stats},
	{"top", "", 0, 0, ctl_top_options, "what the data plane does, live",
	 "Shows rates, how busy each lcore is, and each version's times, of the last interval alone. q ends it.\n"
	 "  gyrctl top\n  gyrctl top --json --interval 10000 >> figures\n",
	 ctl_top},
	{"train", "NAME", 1, 1, ctl_train_options, "train a model and register it as the next version",
	 "Trains a dense net, or trains a version further, on CSV, NPY or IDX files, and registers the result. Interrupting it ends the training.\n"
	 "  gyrctl train fashion --data train-images-idx3-ubyte.gz --targets train-labels-idx1-ubyte.gz \\\n"
	 "    --sizes 784-128-10 --divisor 255 --loss cross-entropy --epochs 5 --batch 64\n"
	 "  gyrctl train fashion --from 1 --data ... --targets ... --loss cross-entropy --epochs 3 --promote\n",
	 ctl_train},
	{"model import", "NAME FILE", 2, 2, import_options, "register an ONNX file or a bundle as the next version",
	 "The content tells which of both FILE is. A content that the model has already gives its version.\n  gyrctl model import fraud fraud.onnx\n"
	 "  gyrctl model import fraud fraud.onnx --bf16-bound 0.02\n"
	 "  gyrctl model import reader reader.onnx --dim steps=64 --shape picture=N,3,48,192\n"
	 "  gyrctl model import voice voice.onnx --shape input=1,512 --shape state=2,1,128 --value sr=16000\n",
	 ctl_model_import},
	{"model list", "", 0, 0, NULL, "the models, their versions and labels", "  gyrctl model list\n", ctl_model_list},
	{"model show", "NAME [VERSION]", 1, 2, NULL, "one model, and one version's signature and lineage",
	 "Without VERSION, the newest is shown.\n  gyrctl model show fashion 2\n", ctl_model_show},
	{"model set", "NAME SETTING=VALUE...", 2, 9, NULL, "set how a model is treated beside others",
	 "weight (1 to 1000): its part of the engines' time against other models of its priority. priority (0 to 7): it comes before all of lesser priority.\n"
	 "queue_limit: requests that may wait for one engine CPU, 0 for no limit of its own. max_delay_us: how long a request may wait for others to be\n"
	 "computed with. What is not named stays as it was.\n  gyrctl model set fraud weight=3 max_delay_us=50\n",
	 ctl_model_set},
	{"model export", "NAME VERSION FILE", 3, 3, export_options, "write a version to a file", "  gyrctl model export fashion 2 fashion.onnx\n",
	 ctl_model_export},
	{"model remove", "NAME VERSION", 2, 2, NULL, "take a version out of the registry",
	 "One that the data plane holds, or shall hold, is refused. Its number is not given again. Its file stays until \"gyrctl gc\" frees it.\n"
	 "  gyrctl model remove fashion 1\n",
	 ctl_model_remove},
	{"load", "NAME [VERSION]", 1, 2, NULL, "have the data plane hold a version",
	 "Without VERSION, the newest is loaded. It serves requests that ask for it by its number.\n"
	 "  gyrctl load fashion 2\n",
	 ctl_load},
	{"unload", "NAME VERSION", 2, 2, NULL, "have the data plane drop a version",
	 "A version that a label points at is refused.\n  gyrctl unload fashion 1\n", ctl_unload},
	{"promote", "NAME [VERSION]", 1, 2, promote_options, "point a label at a version, loading it first",
	 "Without VERSION, the newest is promoted. The version before stays loaded: promoting it again is the way back.\n"
	 "  gyrctl promote fashion 2\n  gyrctl promote fashion 3 --label canary\n",
	 ctl_promote},
	{"predict", "NAME INPUT...", 2, 9, ctl_predict_options, "ask a model over UDP",
	 "Each INPUT is a JSON array (of a scalar its number), or a file: JSON, IDX (also gzip'd) or raw elements, of which --row takes one row.\n"
	 "  gyrctl predict iris '[5.1, 3.5, 1.4, 0.2]'\n  gyrctl predict fashion t10k-images-idx3-ubyte.gz --row 7\n",
	 ctl_predict},
	{"verify", "", 0, 0, NULL, "check that everything that is kept is as it was written",
	 "Reads the whole database, the audit's chain and every version's file. The exit status is 1 when something is damaged.\n"
	 "  gyrctl verify\n  gyrctl verify --json | tail -n 1 | jq .faults\n",
	 ctl_verify},
	{"gc", "", 0, 0, ctl_gc_options, "show, and free, files that no version refers to",
	 "Such files are left by removed versions and by imports that were cut short. Without --yes nothing is freed.\n"
	 "  gyrctl gc\n  gyrctl gc --yes\n",
	 ctl_gc},
	{"audit", "[NAME]", 0, 1, ctl_audit_options, "who changed what, and when",
	 "The newest first; of one model where NAME is given. Each row carries a hash over itself and the row before.\n"
	 "  gyrctl audit\n  gyrctl audit fashion --limit 100 --json\n",
	 ctl_audit},
	{"stop", "", 0, 0, stop_options, "end gyrd, and the data plane that it supervises", "  gyrctl stop\n", ctl_stop},
	{0},
};

static void print_options(FILE *to, const struct ctl_option *options)
{
	for (; options != NULL && options->name != NULL; options++) {
		char left[64];
		snprintf(left, sizeof left, "--%s %s", options->name, options->value == NULL ? "" : options->value);
		fprintf(to, "  %-32s %s\n", left, options->help);
	}
}

static void print_usage(FILE *to)
{
	fprintf(to, "usage: gyrctl COMMAND [WORD...] [OPTION...]\n\n");
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++)
		fprintf(to, "  %-14s %-18s %s\n", command->name, command->words, command->summary);
	fprintf(to, "\nOptions of all commands:\n");
	print_options(to, common_options);
	fprintf(to, "\n\"gyrctl COMMAND --help\" says more. Exit status: 0 done, 1 refused or failed, 2 not understood.\n");
}

static void print_help(const struct ctl_command *command)
{
	printf("usage: gyrctl %s%s%s [OPTION...]\n%s.\n\n%s\n", command->name, command->words[0] == '\0' ? "" : " ", command->words, command->summary,
	       command->help);
	print_options(stdout, command->options);
	print_options(stdout, common_options);
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
	const char *value = NULL;
	for (uint32_t i = 0; i < ctl->option_count; i++)
		if (strcmp(ctl->options[i].name, name) == 0)
			value = ctl->options[i].value;
	return value;
}

int ctl_option_number(const struct ctl *ctl, const char *name, uint64_t otherwise, uint64_t least, uint64_t most, uint64_t *number, struct gyr_error *error)
{
	const char *value = ctl_option(ctl, name);
	char *end = NULL;
	*number = otherwise;
	if (value == NULL)
		return 0;
	errno = 0;
	*number = strtoull(value, &end, 10);
	if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0 && *number >= least && *number <= most)
		return 0;
	return gyr_error_set(error, -EINVAL, "--%s %.64s: expected a whole number from %llu to %llu", name, value, (unsigned long long)least,
			     (unsigned long long)most);
}

enum ctl_exit ctl_fail(struct gyr_error *error)
{
	fprintf(stderr, "gyrctl: %s\n", ctl_plain(error->text));
	return CTL_FAILED;
}

enum ctl_exit ctl_misused(struct gyr_error *error)
{
	fprintf(stderr, "gyrctl: %s\n", ctl_plain(error->text));
	return CTL_USAGE;
}

static const struct ctl_option *find_option(const struct ctl_option *options, const char *name, size_t length)
{
	for (; options != NULL && options->name != NULL; options++)
		if (strlen(options->name) == length && memcmp(options->name, name, length) == 0)
			return options;
	return NULL;
}

/* Takes the option at ARGUMENTS[0] ("--name value", "--name=value", "--name"): the number of arguments it takes up, or -EINVAL. */
static int take_option(struct ctl *ctl, const struct ctl_command *command, char **arguments, struct gyr_error *error)
{
	const char *name = arguments[0] + 2, *equals = strchr(name, '=');
	size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct ctl_option *option = find_option(common_options, name, length);
	if (option == NULL && command != NULL)
		option = find_option(command->options, name, length);
	if (option == NULL)
		return gyr_error_set(error, -EINVAL, "unknown option --%.*s; see \"gyrctl %s%s--help\"", (int)length, name,
				     command == NULL ? "" : command->name, command == NULL ? "" : " ");
	if (ctl->option_count == CTL_OPTIONS_MAX)
		return gyr_error_set(error, -EINVAL, "more than %u options", CTL_OPTIONS_MAX);
	const char *value = "yes";
	int taken = 1;
	if (option->value != NULL) {
		value = equals != NULL ? equals + 1 : arguments[1];
		taken = equals != NULL ? 1 : 2;
		if (value == NULL)
			return gyr_error_set(error, -EINVAL, "--%s needs a value: %s", option->name, option->value);
	} else if (equals != NULL) {
		return gyr_error_set(error, -EINVAL, "--%s takes no value", option->name);
	}
	ctl->options[ctl->option_count++] = (struct gyr_rpc_parameter){option->name, value};
	return taken;
}

/* The command of one or two words at ARGUMENTS; *TAKEN of them. */
static const struct ctl_command *find_command(char **arguments, int *taken)
{
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++) {
		size_t first = strcspn(command->name, " ");
		if (strlen(arguments[0]) != first || strncmp(arguments[0], command->name, first) != 0)
			continue;
		*taken = 1;
		if (command->name[first] == '\0')
			return command;
		*taken = 2;
		if (arguments[1] != NULL && strcmp(arguments[1], command->name + first + 1) == 0)
			return command;
	}
	return NULL;
}

static int read_words(struct ctl *ctl, char **arguments, struct gyr_error *error)
{
	bool only_words = false;
	int taken = 0;
	for (; *arguments != NULL; arguments += taken) {
		taken = 1;
		if (!only_words && strcmp(*arguments, "--") == 0) {
			only_words = true;
		} else if (!only_words && strncmp(*arguments, "--", 2) == 0) {
			taken = take_option(ctl, ctl->command, arguments, error);
			if (taken < 0)
				return taken;
		} else if (ctl->command == NULL) {
			ctl->command = find_command(arguments, &taken);
			if (ctl->command == NULL)
				return gyr_error_set(error, -EINVAL, "unknown command \"%.64s\"; \"gyrctl --help\" lists the commands", *arguments);
		} else if (ctl->word_count == CTL_WORDS_MAX) {
			return gyr_error_set(error, -EINVAL, "more than %u words", CTL_WORDS_MAX);
		} else {
			ctl->words[ctl->word_count++] = *arguments;
		}
	}
	return 0;
}

static int read_config(struct ctl *ctl, struct gyr_error *error)
{
	const char *file = ctl_option(ctl, "config"), *run_dir = ctl_option(ctl, "run-dir");
	int status = 0;
	gyr_config_defaults(&ctl->config);
	if (file != NULL)
		status = gyr_config_read(file, &ctl->config, error);
	if (status == 0 && run_dir != NULL)
		status = gyr_config_set(&ctl->config, "--run-dir", "gyrd.run_dir", run_dir, error);
	return status;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	struct gyr_error error;
	if (argc < 2) {
		print_usage(stderr);
		return CTL_USAGE;
	}
	if (read_words(&ctl, argv + 1, &error) != 0)
		return ctl_misused(&error);
	if (ctl_option(&ctl, "help") != NULL) {
		if (ctl.command == NULL)
			print_usage(stdout);
		else
			print_help(ctl.command);
		return CTL_OK;
	}
	if (ctl.command == NULL) {
		gyr_error_set(&error, 0, "which command? \"gyrctl --help\" lists them");
		return ctl_misused(&error);
	}
	if (ctl.word_count < ctl.command->words_min || ctl.word_count > ctl.command->words_max) {
		gyr_error_set(&error, 0, "usage: gyrctl %s %s; see \"gyrctl %s --help\"", ctl.command->name, ctl.command->words, ctl.command->name);
		return ctl_misused(&error);
	}
	/* Where a command takes a version, it is the word behind the model's name. */
	if (strstr(ctl.command->words, "VERSION") != NULL && ctl.word_count > 1 && strspn(ctl.words[1], "0123456789") != strlen(ctl.words[1])) {
		gyr_error_set(&error, 0, "\"%.64s\" is no version: a whole number is expected, such as \"model list\" shows", ctl.words[1]);
		return ctl_misused(&error);
	}
	if (read_config(&ctl, &error) != 0)
		return ctl_misused(&error);
	ctl.json = ctl_option(&ctl, "json") != NULL;
	enum ctl_exit result = ctl.command->run(&ctl);
	/* What could not be printed was not told. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		gyr_error_set(&error, -EIO, "standard output: %s", strerror(errno));
		return ctl_fail(&error);
	}
	return result;
}
