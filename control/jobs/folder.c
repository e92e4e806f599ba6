#include "control/jobs/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The whole number that TEXT is up to END, one that does not begin with 0. */
static bool take_number(const char *text, const char **end, uint64_t *number)
{
	char *stop;
	if (text[0] < '1' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long long value = strtoull(text, &stop, 10);
	*end = stop;
	*number = value;
	return errno == 0 && value <= INT64_MAX;
}

int gyr_folder_policy_read(const char *text, struct gyr_folder_policy *policy, struct gyr_error *error)
{
	const char *at = text;
	uint64_t number;
	*policy = (struct gyr_folder_policy){.choice = GYR_FOLDER_ALL};
	if (strcmp(text, "all") == 0)
		return 0;
	if (strncmp(text, "latest:", 7) == 0) {
		policy->choice = GYR_FOLDER_LATEST;
		if (take_number(text + 7, &at, &number) && *at == '\0' && number <= GYR_FOLDER_VERSIONS_MAX) {
			policy->count = (uint32_t)number;
			return 0;
		}
		return gyr_error_set(error, -EINVAL, "versions \"%.60s\": a number from 1 to %u is expected behind \"latest:\"", text, GYR_FOLDER_VERSIONS_MAX);
	}
	policy->choice = GYR_FOLDER_GIVEN;
	while (policy->count < GYR_FOLDER_VERSIONS_MAX && take_number(at, &at, &number)) {
		if (policy->count > 0 && number <= policy->given[policy->count - 1])
			break;
		policy->given[policy->count++] = number;
		if (*at == '\0')
			return 0;
		if (*at++ != ',')
			break;
	}
	return gyr_error_set(error, -EINVAL, "versions \"%.60s\": all, latest:N, or numbers such as 1,3 in ascending order are expected, at most %u", text,
			     GYR_FOLDER_VERSIONS_MAX);
}

int gyr_folder_file(const char *path, uint64_t number, char *file, size_t size, struct gyr_error *error)
{
	if (snprintf(file, size, "%s/%llu/" GYR_FOLDER_FILE, path, (unsigned long long)number) < (int)size)
		return 0;
	return gyr_error_set(error, -ENAMETOOLONG, "%.100s...: the path is too long", path);
}

static bool is_given(const struct gyr_folder_policy *policy, uint64_t number)
{
	bool given = policy->choice != GYR_FOLDER_GIVEN;
	for (uint32_t i = 0; i < policy->count && policy->choice == GYR_FOLDER_GIVEN; i++)
		given = given || policy->given[i] == number;
	return given;
}

/* Puts a version where it belongs, and of too many leaves the lowest out where the latest are wanted. False: there are too many. */
static bool insert(struct gyr_folder *folder, const struct gyr_folder_policy *policy, const struct gyr_folder_version *version)
{
	uint32_t most = policy->choice == GYR_FOLDER_LATEST ? policy->count : GYR_FOLDER_VERSIONS_MAX;
	if (folder->count == most) {
		if (policy->choice != GYR_FOLDER_LATEST)
			return false;
		if (version->number < folder->versions[0].number)
			return true;
		memmove(&folder->versions[0], &folder->versions[1], --folder->count * sizeof folder->versions[0]);
	}
	uint32_t at = folder->count++;
	for (; at > 0 && folder->versions[at - 1].number > version->number; at--)
		folder->versions[at] = folder->versions[at - 1];
	folder->versions[at] = *version;
	return true;
}

static int check_given(const char *path, const struct gyr_folder_policy *policy, const struct gyr_folder *folder, struct gyr_error *error)
{
	for (uint32_t i = 0; policy->choice == GYR_FOLDER_GIVEN && i < policy->count; i++)
		if (i >= folder->count || folder->versions[i].number != policy->given[i])
			return gyr_error_set(error, -ENOENT, "%s/%llu/" GYR_FOLDER_FILE ": there is no such file", path, (unsigned long long)policy->given[i]);
	if (folder->count == 0)
		return gyr_error_set(error, -ENOENT, "%s: not a file, and no version in it: VERSION/" GYR_FOLDER_FILE " is expected, VERSION a whole number",
				     path);
	return 0;
}

int gyr_folder_read(const char *path, const struct gyr_folder_policy *policy, struct gyr_folder *folder, struct gyr_error *error)
{
	*folder = (struct gyr_folder){0};
	DIR *dir = opendir(path);
	if (dir == NULL)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	bool fits = true;
	struct dirent *entry;
	while (fits && (entry = readdir(dir)) != NULL) {
		const char *end;
		char file[64 + sizeof GYR_FOLDER_FILE];
		struct stat seen;
		struct gyr_folder_version version;
		if (!take_number(entry->d_name, &end, &version.number) || *end != '\0' || !is_given(policy, version.number))
			continue;
		snprintf(file, sizeof file, "%.60s/" GYR_FOLDER_FILE, entry->d_name);
		if (fstatat(dirfd(dir), file, &seen, 0) != 0 || !S_ISREG(seen.st_mode))
			continue;
		version.bytes = seen.st_size;
		version.changed_ns = seen.st_mtim.tv_sec * INT64_C(1000000000) + seen.st_mtim.tv_nsec;
		fits = insert(folder, policy, &version);
	}
	closedir(dir);
	if (!fits)
		return gyr_error_set(error, -E2BIG, "%s: over %u versions; choose some, such as latest:%u", path, GYR_FOLDER_VERSIONS_MAX,
				     GYR_FOLDER_VERSIONS_MAX);
	return check_given(path, policy, folder, error);
}
