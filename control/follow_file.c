/*
 * What is followed, on the disk: STATE_DIR/follows, a file of JSON that is written aside, synced and renamed, so that the next gyrd goes on. What is there is a
 * wish: were the file lost, no version would be.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/assertion.h"
#include "control/follow.h"
#include "control/registry/disk.h"

static void make_path(const struct gyrd *gyrd, const char *end, char path[GYR_PATH_BYTES])
{
	snprintf(path, GYR_PATH_BYTES, "%s/follows%s", gyrd->config.state_dir, end);
}

static yyjson_mut_val *to_json(yyjson_mut_doc *doc, const struct gyrd_follow *follow)
{
	yyjson_mut_val *object = yyjson_mut_obj(doc), *groups, *seen;
	yyjson_mut_obj_add_str(doc, object, "model", follow->model);
	yyjson_mut_obj_add_str(doc, object, "path", follow->path);
	yyjson_mut_obj_add_str(doc, object, "versions", follow->versions);
	yyjson_mut_obj_add_bool(doc, object, "promote", follow->promote);
	yyjson_mut_obj_add_uint(doc, object, "uid", follow->peer.uid);
	yyjson_mut_obj_add_uint(doc, object, "gid", follow->peer.gid);
	groups = yyjson_mut_obj_add_arr(doc, object, "groups");
	for (uint32_t i = 0; i < follow->peer.group_count; i++)
		yyjson_mut_arr_add_uint(doc, groups, follow->peer.groups[i]);
	seen = yyjson_mut_obj_add_arr(doc, object, "done");
	for (uint32_t i = 0; i < follow->done.count; i++) {
		const struct gyr_folder_version *version = &follow->done.versions[i];
		yyjson_mut_val *row = yyjson_mut_arr_add_arr(doc, seen);
		yyjson_mut_arr_add_uint(doc, row, version->number);
		yyjson_mut_arr_add_sint(doc, row, version->bytes);
		yyjson_mut_arr_add_sint(doc, row, version->changed_ns);
		yyjson_mut_arr_add_uint(doc, row, follow->numbers[i]);
	}
	return object;
}

static int write_file(const char *path, const char *aside, const char *text, size_t length, struct gyr_error *error)
{
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int status = fd < 0 ? -errno : 0;
	errno = 0;
	if (status == 0 && write(fd, text, length) != (ssize_t)length)
		status = errno != 0 ? -errno : -ENOSPC;
	if (status == 0)
		gyr_disk_sync(fd, aside, "follows-sync");
	if (fd >= 0)
		close(fd);
	if (status == 0 && rename(aside, path) != 0)
		status = -errno;
	if (status == 0)
		gyr_disk_sync_parent(path, "follows-folder-sync");
	else
		unlink(aside);
	return status == 0 ? 0 : gyr_error_set(error, status, "%s: cannot be written: %s", path, strerror(-status));
}

int gyrd_follows_save(const struct gyrd *gyrd, struct gyr_error *error)
{
	char path[GYR_PATH_BYTES], aside[GYR_PATH_BYTES];
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	GYR_ASSERT(doc != NULL);
	yyjson_mut_val *root = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, root);
	for (const struct gyrd_follow *follow = gyrd->follows; follow != NULL; follow = follow->next)
		yyjson_mut_arr_append(root, to_json(doc, follow));
	size_t length;
	char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &length);
	yyjson_mut_doc_free(doc);
	GYR_ASSERT(text != NULL);
	make_path(gyrd, "", path);
	make_path(gyrd, ".part", aside);
	int status = write_file(path, aside, text, length, error);
	free(text);
	return status;
}

static void take_done(struct gyrd_follow *follow, yyjson_val *rows)
{
	size_t index, max;
	yyjson_val *row;
	yyjson_arr_foreach(rows, index, max, row)
	{
		if (index == GYR_FOLDER_VERSIONS_MAX)
			break;
		follow->done.versions[index] = (struct gyr_folder_version){
			.number = yyjson_get_uint(yyjson_arr_get(row, 0)),
			.bytes = yyjson_get_sint(yyjson_arr_get(row, 1)),
			.changed_ns = yyjson_get_sint(yyjson_arr_get(row, 2)),
		};
		follow->numbers[index] = yyjson_get_uint(yyjson_arr_get(row, 3));
		follow->done.count++;
	}
	follow->tried = follow->done;
}

static bool take_text(yyjson_val *object, const char *key, char *text, size_t size)
{
	const char *value = yyjson_get_str(yyjson_obj_get(object, key));
	return value != NULL && snprintf(text, size, "%s", value) < (int)size;
}

/* False: it is not what was written. */
static bool from_json(struct gyrd_follow *follow, yyjson_val *object)
{
	size_t index, max;
	yyjson_val *group;
	if (!take_text(object, "model", follow->model, sizeof follow->model) || !take_text(object, "path", follow->path, sizeof follow->path) ||
	    !take_text(object, "versions", follow->versions, sizeof follow->versions) || gyr_name_check("model", follow->model, NULL) != 0 ||
	    gyr_folder_policy_read(follow->versions, &follow->policy, NULL) != 0 || !yyjson_is_uint(yyjson_obj_get(object, "uid")))
		return false;
	follow->promote = yyjson_get_bool(yyjson_obj_get(object, "promote"));
	follow->peer.uid = (uid_t)yyjson_get_uint(yyjson_obj_get(object, "uid"));
	follow->peer.gid = (gid_t)yyjson_get_uint(yyjson_obj_get(object, "gid"));
	yyjson_arr_foreach(yyjson_obj_get(object, "groups"), index, max, group)
	{
		if (index < GYR_RPC_GROUPS_MAX)
			follow->peer.groups[follow->peer.group_count++] = (gid_t)yyjson_get_uint(group);
	}
	take_done(follow, yyjson_obj_get(object, "done"));
	return true;
}

int gyrd_follows_read(struct gyrd *gyrd, struct gyr_error *error)
{
	char path[GYR_PATH_BYTES];
	yyjson_read_err why;
	size_t index, max;
	yyjson_val *object;
	/* What a gyrd that was killed had not written whole. */
	make_path(gyrd, ".part", path);
	unlink(path);
	make_path(gyrd, "", path);
	yyjson_doc *doc = yyjson_read_file(path, 0, NULL, &why);
	bool absent = doc == NULL && access(path, F_OK) != 0 && errno == ENOENT;
	if (doc == NULL && !absent)
		return gyr_error_set(error, -EBADMSG, "%s: %s; move it away to go on without what it follows", path, why.msg);
	yyjson_arr_foreach(yyjson_doc_get_root(doc), index, max, object)
	{
		struct gyrd_follow *follow = calloc(1, sizeof *follow);
		GYR_ASSERT(follow != NULL);
		follow->gyrd = gyrd;
		follow->next = gyrd->follows;
		gyrd->follows = follow;
		if (!from_json(follow, object)) {
			yyjson_doc_free(doc);
			return gyr_error_set(error, -EBADMSG, "%s: entry %zu is not of the form that gyrd writes; move the file away to go on without it", path,
					     index + 1);
		}
	}
	yyjson_doc_free(doc);
	return 0;
}
