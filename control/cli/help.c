/* What the table of commands says, for people: the list of commands, the help of one, and the man page. */
#include <stdio.h>
#include <string.h>

#include "control/cli/ctl.h"
#include "control/cli/table.h"

#define LEFT 32 /* columns of an option's name */

static const char exits[] = "Exit status: 0 done, 1 refused or failed, 2 not understood.";

/* TEXT from column INDENT on (where the cursor is), in lines that fit the terminal. */
static void print_folded(FILE *to, const char *text, size_t indent)
{
	size_t room = to == stdout ? ctl_columns() : SIZE_MAX, at = indent;
	while (*text != '\0') {
		size_t word = strcspn(text, " ");
		if (at > indent && room > indent + 20 && at + 1 + word >= room) {
			fprintf(to, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fprintf(to, "%.*s", (int)word, text);
		at += word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void print_options(const struct ctl_option *options)
{
	for (; options->name != NULL; options++) {
		char left[64];
		snprintf(left, sizeof left, "--%s %s", options->name, options->value == NULL ? "" : options->value);
		printf("  %-*s ", LEFT, left);
		print_folded(stdout, options->help, LEFT + 3);
	}
}

void ctl_print_usage(FILE *to)
{
	const struct ctl_option *lists[CTL_OPTION_LISTS_MAX];
	fprintf(to, "usage: gyrctl COMMAND [WORD...] [OPTION...]\n\n");
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++) {
		if (command->summary == NULL)
			continue;
		fprintf(to, "  %-14s %-18s ", command->name, command->words);
		print_folded(to, command->summary, 36);
	}
	fprintf(to, "\nOptions of all commands:\n");
	ctl_option_lists(NULL, lists);
	for (const struct ctl_option *option = lists[0]; option->name != NULL; option++)
		fprintf(to, "  --%-*s %s\n", LEFT - 2, option->name, option->help);
	fprintf(to, "\n\"gyrctl COMMAND --help\" says more. %s\n", exits);
}

/* The lines of a command's help: an example begins with two spaces. */
static const char *next_line(const char *text, bool *example)
{
	*example = strncmp(text, "  ", 2) == 0;
	return text + strcspn(text, "\n");
}

void ctl_print_help(const struct ctl_command *command)
{
	const struct ctl_option *lists[CTL_OPTION_LISTS_MAX];
	bool example, was_example = false;
	printf("usage: gyrctl %s%s%s [OPTION...]\n", command->name, command->words[0] == '\0' ? "" : " ", command->words);
	if (command->summary != NULL)
		printf("%s.\n\n", command->summary);
	for (const char *at = command->help; *at != '\0';) {
		const char *end = next_line(at, &example);
		char line[512];
		snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
		if (example && !was_example)
			printf("%sExamples:\n", at == command->help ? "" : "\n");
		if (example)
			printf("%s\n", line);
		else
			print_folded(stdout, line, 0);
		was_example = example;
		at = *end == '\0' ? end : end + 1;
	}
	printf("\nOptions:\n");
	ctl_option_lists(command, lists);
	for (uint32_t i = 0; lists[i] != NULL; i++)
		print_options(lists[i]);
}

/* --- the man page --- */

/* TEXT as roff takes it: no backslash, dash or first dot of its own meaning. */
static void print_roff(const char *text, size_t length)
{
	if (length > 0 && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\')
			fputs("\\e", stdout);
		else if (text[i] == '-')
			fputs("\\-", stdout);
		else
			putchar(text[i]);
	}
}

static void print_roff_line(const char *text)
{
	print_roff(text, strlen(text));
	putchar('\n');
}

static void print_roff_options(const struct ctl_option *options)
{
	for (; options->name != NULL; options++) {
		printf(".TP\n\\fB\\-\\-");
		print_roff(options->name, strlen(options->name));
		printf("\\fR");
		if (options->value != NULL) {
			printf(" \\fI");
			print_roff(options->value, strlen(options->value));
			printf("\\fR");
		}
		putchar('\n');
		print_roff_line(options->help);
	}
}

static void print_roff_command(const struct ctl_command *command)
{
	const struct ctl_option *lists[CTL_OPTION_LISTS_MAX];
	bool example, was_example = false;
	printf(".SS gyrctl %s %s\n", command->name, command->words);
	print_roff(command->summary, strlen(command->summary));
	printf(".\n");
	for (const char *at = command->help; *at != '\0';) {
		const char *end = next_line(at, &example);
		if (example != was_example)
			printf(example ? ".PP\n.EX\n" : ".EE\n.PP\n");
		print_roff(at, (size_t)(end - at));
		putchar('\n');
		was_example = example;
		at = *end == '\0' ? end : end + 1;
	}
	if (was_example)
		printf(".EE\n");
	ctl_option_lists(command, lists);
	/* The last list is that of all commands. */
	for (uint32_t i = 0; lists[i + 1] != NULL; i++)
		print_roff_options(lists[i]);
}

enum ctl_exit ctl_man(struct ctl *ctl)
{
	const struct ctl_option *lists[CTL_OPTION_LISTS_MAX];
	printf(".TH GYRCTL 1 \"\" \"Gyr " GYR_VERSION "\" \"Gyr\"\n.SH NAME\ngyrctl \\- looks after models and the appliance that serves them\n"
	       ".SH SYNOPSIS\n.B gyrctl\n\\fICOMMAND\\fR [\\fIWORD\\fR...] [\\fIOPTION\\fR...]\n.SH DESCRIPTION\n"
	       "Speaks to \\fBgyrd\\fR over its Unix socket. What it prints for people fits the terminal; \\fB\\-\\-json\\fR prints all of it for programs.\n"
	       ".SH COMMANDS\n");
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++)
		if (command->summary != NULL)
			print_roff_command(command);
	printf(".SH OPTIONS OF ALL COMMANDS\n");
	ctl_option_lists(NULL, lists);
	print_roff_options(lists[0]);
	printf(".SH EXIT STATUS\n");
	print_roff_line(exits);
	printf(".SH ENVIRONMENT\n.TP\nNO_COLOR\nSet to anything: no colours. There are none either where the output is no terminal.\n"
	       ".TP\nCOLUMNS\nThe width that tables are made for, over the terminal's.\n");
	return CTL_OK;
}
