/*
 * The completion of words. The shells' scripts only hand over what stands on the line: "gyrctl complete AT WORD..." prints what word AT (0 is gyrctl) may
 * become, one a line, from the table of commands, and from gyrd where names of its own are asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/ctl.h"

static const char bash[] = "_gyrctl()\n"
			   "{\n"
			   "\tlocal IFS=$'\\n'\n"
			   "\tCOMPREPLY=($(gyrctl complete -- \"$COMP_CWORD\" \"${COMP_WORDS[@]}\" 2>/dev/null))\n"
			   "}\n"
			   "complete -o default -F _gyrctl gyrctl\n";

static const char zsh[] = "#compdef gyrctl\n"
			  "_gyrctl()\n"
			  "{\n"
			  "\tlocal -a found\n"
			  "\tfound=(${(f)\"$(gyrctl complete -- $((CURRENT - 1)) \"${words[@]}\" 2>/dev/null)\"})\n"
			  "\tif (( ${#found} )); then compadd -a found; else _files; fi\n"
			  "}\n"
			  "compdef _gyrctl gyrctl\n";

enum ctl_exit ctl_completion(struct ctl *ctl)
{
	struct gyr_error error;
	bool for_bash = strcmp(ctl->words[0], "bash") == 0;
	if (for_bash || strcmp(ctl->words[0], "zsh") == 0) {
		fputs(for_bash ? bash : zsh, stdout);
		return CTL_OK;
	}
	gyr_error_set(&error, 0, "\"%.64s\": expected bash or zsh", ctl->words[0]);
	return ctl_misused(&error);
}

/* The line: the command on it, and the words of the command before the one that is completed. */
struct line {
	const struct ctl_command *command; /* NULL: not whole yet */
	const struct ctl_option *takes;    /* the word is this option's value; NULL: none's */
	const char *words[CTL_WORDS_MAX];
	uint32_t word_count;
	const char *part; /* of the word that is there */
	const char *run_dir;
};

static void offer(const struct line *line, const char *text, size_t length)
{
	if (strncmp(text, line->part, strlen(line->part)) == 0 && strlen(line->part) <= length)
		printf("%.*s\n", (int)length, text);
}

static const struct ctl_option *find_option(const struct ctl_command *command, const char *name)
{
	const struct ctl_option *lists[CTL_OPTION_LISTS_MAX];
	ctl_option_lists(command, lists);
	for (uint32_t i = 0; lists[i] != NULL; i++)
		for (const struct ctl_option *option = lists[i]; option->name != NULL; option++)
			if (strcmp(option->name, name) == 0)
				return option;
	return NULL;
}

static void offer_options(const struct line *line)
{
	const struct ctl_option *lists[CTL_OPTION_LISTS_MAX];
	ctl_option_lists(line->command, lists);
	for (uint32_t i = 0; lists[i] != NULL; i++)
		for (const struct ctl_option *option = lists[i]; option->name != NULL; option++) {
			char text[64];
			int length = snprintf(text, sizeof text, "--%s", option->name);
			offer(line, text, (size_t)length);
		}
}

/* The first words of commands, each once, or the second words of those that begin with the one that is there. */
static void offer_commands(const struct line *line)
{
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++) {
		size_t first = strcspn(command->name, " ");
		bool again = command > ctl_commands && strncmp(command[-1].name, command->name, first + 1) == 0;
		if (command->summary == NULL)
			continue;
		if (line->word_count == 0 && !again)
			offer(line, command->name, first);
		else if (line->word_count == 1 && command->name[first] == ' ' && strlen(line->words[0]) == first &&
			 strncmp(command->name, line->words[0], first) == 0)
			offer(line, command->name + first + 1, strlen(command->name + first + 1));
	}
}

/* "a|b|c" */
static void offer_choices(const struct line *line, const char *choices)
{
	while (strchr(choices, '|') != NULL || *choices != '\0') {
		size_t length = strcspn(choices, "|");
		offer(line, choices, length);
		choices += length + (choices[length] == '|');
	}
}

/* What gyrd knows: the names of models, the versions of one, or the numbers of jobs. It is silent where there is no gyrd. */
static void offer_known(const struct line *line, const char *call, const char *key)
{
	yyjson_mut_doc *doc;
	size_t i, j, count, version_count;
	yyjson_mut_val *item, *version;
	if (!ctl_call(line->run_dir, call, NULL, 0, NULL, NULL, &doc))
		return;
	yyjson_mut_arr_foreach(yyjson_mut_doc_get_root(doc), i, count, item)
	{
		char number[24];
		if (strcmp(key, "model") == 0) {
			offer(line, ctl_text(item, key), strlen(ctl_text(item, key)));
		} else if (strcmp(key, "job") == 0) {
			offer(line, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, ctl_whole(item, key)));
		} else if (line->word_count > 0 && strcmp(ctl_text(item, "model"), line->words[0]) == 0) {
			yyjson_mut_arr_foreach(yyjson_mut_obj_get(item, "versions"), j, version_count, version)
			{
				offer(line, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, ctl_whole(version, "version")));
			}
		}
	}
	yyjson_mut_doc_free(doc);
}

/* The word of the command's own at the cursor, as its help names it. */
static void offer_words(const struct line *line)
{
	const char *at = line->command->words;
	for (uint32_t i = 0; i < line->word_count && *at != '\0'; i++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	at += strspn(at, "[");
	size_t length = strcspn(at, " ]");
	char name[64];
	snprintf(name, sizeof name, "%.*s", (int)length, at);
	if (strcmp(name, "NAME") == 0)
		offer_known(line, "model.list", "model");
	else if (strcmp(name, "VERSION") == 0)
		offer_known(line, "model.list", "version");
	else if (strcmp(name, "JOB") == 0)
		offer_known(line, "job.list", "job");
	else if (strchr(name, '|') != NULL)
		offer_choices(line, name);
}

/* Reads what stands before the word. */
static void read_line(struct line *line, char **words, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct ctl_option *option;
		int taken;
		char *pair[] = {line->word_count > 0 ? (char *)(uintptr_t)line->words[0] : words[i], line->word_count > 0 ? words[i] : NULL, NULL};
		line->takes = NULL;
		if (strncmp(words[i], "--", 2) == 0) {
			option = find_option(line->command, words[i] + 2);
			if (option == NULL || option->value == NULL)
				continue;
			if (i + 1 == count)
				line->takes = option;
			else if (strcmp(option->name, "run-dir") == 0)
				line->run_dir = words[i + 1];
			i++;
		} else if (line->command == NULL) {
			line->command = ctl_find_command(pair, &taken);
			line->words[line->word_count++] = words[i];
			if (line->command != NULL)
				line->word_count = 0;
		} else {
			line->words[line->word_count++] = words[i];
		}
	}
}

enum ctl_exit ctl_complete(struct ctl *ctl)
{
	struct line line = {.part = "", .run_dir = ctl->config.run_dir};
	uint32_t at = (uint32_t)strtoul(ctl->words[0], NULL, 10);
	/* Words 2 and on are those behind gyrctl's own name. */
	if (at == 0 || ctl->word_count < 2)
		return CTL_OK;
	if (at + 1 < ctl->word_count)
		line.part = ctl->words[at + 1];
	else
		at = ctl->word_count - 1;
	read_line(&line, (char **)(uintptr_t)&ctl->words[2], at - 1);
	if (line.takes != NULL && strchr(line.takes->value, '|') != NULL)
		offer_choices(&line, line.takes->value);
	else if (line.takes == NULL && strncmp(line.part, "--", 2) == 0)
		offer_options(&line);
	else if (line.takes == NULL && line.command == NULL)
		offer_commands(&line);
	else if (line.takes == NULL)
		offer_words(&line);
	return CTL_OK;
}
