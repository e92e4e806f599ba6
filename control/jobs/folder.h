/*
 * A folder of versions in the layout that Triton uses: FOLDER/VERSION/model.onnx, VERSION a whole number from 1 without leading zeros. Whatever else lies there
 * is not looked at.
 */
#ifndef GYR_CONTROL_JOBS_FOLDER_H
#define GYR_CONTROL_JOBS_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_FOLDER_FILE "model.onnx"
#define GYR_FOLDER_VERSIONS_MAX 64u /* that are chosen */

/* Which of the versions: the LATEST so many, ALL, or those GIVEN. */
enum gyr_folder_choice { GYR_FOLDER_LATEST, GYR_FOLDER_ALL, GYR_FOLDER_GIVEN };

struct gyr_folder_policy {
	enum gyr_folder_choice choice;
	uint32_t count; /* of the latest, or of those given */
	uint64_t given[GYR_FOLDER_VERSIONS_MAX];
};

struct gyr_folder_version {
	uint64_t number;
	int64_t bytes, changed_ns; /* of its file: another pair, another content */
};

struct gyr_folder {
	uint32_t count;
	struct gyr_folder_version versions[GYR_FOLDER_VERSIONS_MAX]; /* that the policy chose, ascending */
};

/* Reads "all", "latest:N", or "N,N,..." (ascending). -EINVAL. */
GYR_MUST_CHECK int gyr_folder_policy_read(const char *text, struct gyr_folder_policy *policy, struct gyr_error *error);

/* What POLICY chooses of the folder PATH. -ENOENT: nothing, or a version that was given is not there; -E2BIG: too many; the errno of opendir. Any thread. */
GYR_MUST_CHECK int gyr_folder_read(const char *path, const struct gyr_folder_policy *policy, struct gyr_folder *folder, struct gyr_error *error);

/* The path of a version's file. -ENAMETOOLONG. */
GYR_MUST_CHECK int gyr_folder_file(const char *path, uint64_t number, char *file, size_t size, struct gyr_error *error);

#endif
