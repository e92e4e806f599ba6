/* gyrctl: the reading of the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/ctl.h"

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

static bool errors_as_json;

/* For people, or for the program that asked for JSON. */
static void say(struct gyr_error *error)
{
	yyjson_mut_doc *doc = errors_as_json ? yyjson_mut_doc_new(NULL) : NULL;
	yyjson_mut_val *root = doc == NULL ? NULL : yyjson_mut_obj(doc);
	const char *plain = ctl_plain(error->text);
	char *json = NULL;
	if (yyjson_mut_obj_add_str(doc, root, "error", plain))
		json = yyjson_mut_val_write(root, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
	fprintf(stderr, "%s%s\n", json != NULL ? "" : "gyrctl: ", json != NULL ? json : plain);
	free(json);
	yyjson_mut_doc_free(doc);
}

enum ctl_exit ctl_fail(struct gyr_error *error)
{
	say(error);
	return CTL_FAILED;
}

enum ctl_exit ctl_misused(struct gyr_error *error)
{
	say(error);
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
	const struct ctl_option *option = NULL, *lists[CTL_OPTION_LISTS_MAX];
	ctl_option_lists(command, lists);
	for (uint32_t i = 0; option == NULL && lists[i] != NULL; i++)
		option = find_option(lists[i], name, length);
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

/* WORD begins no command; or it begins several of two words, which are named. */
static int name_unknown(const char *word, struct gyr_error *error)
{
	char seconds[256] = "";
	size_t used = 0, length = strlen(word);
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++)
		if (strncmp(command->name, word, length) == 0 && command->name[length] == ' ' && used < sizeof seconds)
			used += (size_t)snprintf(seconds + used, sizeof seconds - used, "%s%s", used == 0 ? "" : ", ", command->name + length + 1);
	if (used > 0)
		return gyr_error_set(error, -EINVAL, "%s which? There are: %s; \"gyrctl --help\" says what they do", word, seconds);
	return gyr_error_set(error, -EINVAL, "unknown command \"%.64s\"; \"gyrctl --help\" lists the commands", word);
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
			ctl->command = ctl_find_command(arguments, &taken);
			if (ctl->command == NULL)
				return name_unknown(*arguments, error);
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
		ctl_print_usage(stderr);
		return CTL_USAGE;
	}
	int status = read_words(&ctl, argv + 1, &error);
	ctl.json = errors_as_json = ctl_option(&ctl, "json") != NULL;
	if (status != 0)
		return ctl_misused(&error);
	if (ctl_option(&ctl, "help") != NULL) {
		if (ctl.command == NULL)
			ctl_print_usage(stdout);
		else
			ctl_print_help(ctl.command);
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
	enum ctl_exit result = ctl.command->run(&ctl);
	/* What could not be printed was not told. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		gyr_error_set(&error, -EIO, "standard output: %s", strerror(errno));
		return ctl_fail(&error);
	}
	return result == CTL_DETACHED ? CTL_OK : result;
}
