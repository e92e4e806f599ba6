#include "control/jobs/option.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether WORD is NAME=... */
static bool gives(const char *word, const char *name)
{
	size_t length = strlen(name);
	return strncmp(word, name, length) == 0 && word[length] == '=';
}

const char *gyr_job_option(const struct gyr_job_options *options, const char *name)
{
	return gyr_job_option_at(options, name, 0);
}

const char *gyr_job_option_at(const struct gyr_job_options *options, const char *name, int index)
{
	for (int i = 0; i < options->count; i++)
		if (gives(options->words[i], name) && index-- == 0)
			return strchr(options->words[i], '=') + 1;
	return NULL;
}

/* The option of the list that WORD gives, or NULL. */
static const struct gyr_job_option *find(const struct gyr_job_option *list, const char *word)
{
	while (list->name != NULL && !gives(word, list->name))
		list++;
	return list->name != NULL ? list : NULL;
}

/* The names of a list: "a, b, c". */
static void names_of(const struct gyr_job_option *list, char *text, size_t size)
{
	size_t used = 0;
	text[0] = 0;
	for (; list->name != NULL && used + strlen(list->name) + 3 < size; list++) {
		if (used != 0)
			used = (size_t)(stpcpy(text + used, ", ") - text);
		used = (size_t)(stpcpy(text + used, list->name) - text);
	}
}

int gyr_job_options_check(const struct gyr_job_options *options, struct gyr_error *error)
{
	char names[400];
	names_of(options->list, names, sizeof names);
	for (int i = 0; i < options->count; i++) {
		const struct gyr_job_option *option = find(options->list, options->words[i]);
		if (option == NULL)
			return gyr_error_set(error, -EINVAL, "\"%.60s\" is no option of this command; NAME=VALUE is expected with one of: %s",
					     options->words[i], names);
		for (int j = 0; j < i; j++)
			if (!option->repeated && gives(options->words[j], option->name))
				return gyr_error_set(error, -EINVAL, "option %s is given twice", option->name);
		if (strchr(options->words[i], '=')[1] == 0)
			return gyr_error_set(error, -EINVAL, "option %s is empty; %s=%s is expected", option->name, option->name, option->value);
	}
	for (const struct gyr_job_option *option = options->list; option->name != NULL; option++)
		if (option->required && gyr_job_option(options, option->name) == NULL)
			return gyr_error_set(error, -EINVAL, "option %s is missing; %s=%s is expected", option->name, option->name, option->value);
	return 0;
}

int gyr_job_option_whole(const struct gyr_job_options *options, const char *name, uint64_t least, uint64_t most, uint64_t *value, struct gyr_error *error)
{
	const char *text = gyr_job_option(options, name);
	if (text == NULL)
		return 0;
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || number < least || number > most)
		return gyr_error_set(error, -EINVAL, "option %s is \"%.60s\"; a whole number from %" PRIu64 " to %" PRIu64 " is expected", name, text, least,
				     most);
	*value = number;
	return 0;
}

int gyr_job_option_number(const struct gyr_job_options *options, const char *name, float *value, struct gyr_error *error)
{
	const char *text = gyr_job_option(options, name);
	if (text == NULL)
		return 0;
	char *end;
	float number = strtof(text, &end);
	if (*end != 0 || strspn(text, "+-.0123456789eE") != strlen(text) || !isfinite(number))
		return gyr_error_set(error, -EINVAL, "option %s is \"%.60s\"; a number such as 0.001 is expected", name, text);
	*value = number;
	return 0;
}

int gyr_job_option_word(const struct gyr_job_options *options, const char *name, const char *const *words, uint32_t *index, struct gyr_error *error)
{
	const char *text = gyr_job_option(options, name);
	if (text == NULL)
		return 0;
	for (uint32_t i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0) {
			*index = i;
			return 0;
		}
	return gyr_error_set(error, -EINVAL, "option %s is \"%.60s\"; %s or %s is expected", name, text, words[0], words[1]);
}

int gyr_job_option_name(const struct gyr_job_options *options, const char *otherwise, const char **name, struct gyr_error *error)
{
	const char *text = gyr_job_option(options, "name");
	*name = text != NULL ? text : otherwise;
	size_t length = strlen(*name);
	if (length < 1 || length > 63 || strspn(*name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != length || strchr("._-", (*name)[0]) != NULL)
		return gyr_error_set(error, -EINVAL,
				     "option name is \"%.80s\"; 1 to 63 of a-z, 0-9, '.', '_' and '-' are expected, the first a letter or digit", *name);
	return 0;
}

int gyr_job_option_bound(const struct gyr_job_options *options, float *bound, struct gyr_error *error)
{
	int result = gyr_job_option_number(options, "bf16-bound", bound, error);
	if (result == 0 && gyr_job_option(options, "bf16-bound") != NULL && !(*bound > 0 && *bound <= 1))
		result = gyr_error_set(error, -EINVAL, "option bf16-bound is %g; a number over 0 and up to 1 is expected", (double)*bound);
	return result;
}
