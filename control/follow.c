/*
 * Folders that are followed: each is looked at again and again, what its policy chooses is imported and loaded, and what it chooses no more is unloaded.
 *
 *     looked at --another choice--> importing --done--> loading, unloading (left to the rollout) --> looked at
 *                                       \--failed--> looked at, but not tried again before the folder changes
 *
 * They are kept in STATE_DIR/follows, a file of JSON that is written aside, synced and renamed, so that the next gyrd goes on. What is there is a wish: were
 * the file lost, no version would be.
 */
#include "control/follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define FOLLOWS_MAX 256u

/* --- looking --- */

static void log_end(void *user, int status, const char *text)
{
	if (status != 0)
		gyr_log_warning("a folder that is followed: %s", text);
}

static bool has(const struct gyr_folder *folder, const uint64_t *numbers, uint64_t number)
{
	bool found = false;
	for (uint32_t i = 0; i < folder->count; i++)
		found = found || numbers[i] == number;
	return found;
}

/* Brings what is served to what the folder's versions got as numbers; BEFORE had those. */
static void serve_versions(struct gyrd_follow *follow, const struct gyr_folder *before, const uint64_t *numbers_before)
{
	struct gyr_rollout *rollout = follow->gyrd->rollout;
	uint64_t newest = follow->numbers[follow->done.count - 1];
	uid_t actor = follow->peer.uid;
	for (uint32_t i = 0; i < follow->done.count; i++)
		gyr_rollout_load(rollout, follow->model, follow->numbers[i], actor, log_end, follow->gyrd);
	if (follow->promote)
		gyr_rollout_promote(rollout, follow->model, GYR_LINK_STABLE, newest, false, actor, log_end, follow->gyrd);
	for (uint32_t i = 0; i < before->count; i++)
		if (!has(&follow->done, follow->numbers, numbers_before[i]))
			gyr_rollout_unload(rollout, follow->model, numbers_before[i], actor, log_end, follow->gyrd);
}

static void note_fault(struct gyrd_follow *follow, const char *text)
{
	if (text[0] != '\0' && strcmp(text, follow->fault.text) != 0)
		gyr_log_warning("%s, which follows %s: %s", follow->model, follow->path, text);
	snprintf(follow->fault.text, sizeof follow->fault.text, "%s", text);
}

static void end_import(struct gyrd_job *job)
{
	struct gyrd_follow *follow = job->user;
	struct gyr_folder before = follow->done;
	uint64_t numbers[GYR_FOLDER_VERSIONS_MAX];
	struct gyr_error error;
	follow->job = NULL;
	note_fault(follow, job->state == GYRD_JOB_DONE ? "" : job->text);
	if (job->state != GYRD_JOB_DONE)
		return;
	memcpy(numbers, follow->numbers, sizeof numbers);
	follow->done = job->folder->found;
	memcpy(follow->numbers, job->folder->numbers, sizeof follow->numbers);
	/* What is to be served is in the registry first: a gyrd that ends in between imports and asks for it again, and neither changes anything twice. */
	serve_versions(follow, &before, numbers);
	if (gyrd_follows_save(follow->gyrd, &error) != 0)
		gyr_log_error("%s", error.text);
}

static bool is_same(const struct gyr_folder *a, const struct gyr_folder *b)
{
	bool same = a->count == b->count;
	for (uint32_t i = 0; same && i < a->count; i++)
		same = a->versions[i].number == b->versions[i].number && a->versions[i].bytes == b->versions[i].bytes &&
		       a->versions[i].changed_ns == b->versions[i].changed_ns;
	return same;
}

static void look_at(struct gyrd_follow *follow)
{
	struct gyr_folder found;
	struct gyr_error error;
	if (follow->job != NULL || follow->gyrd->collecting)
		return;
	if (gyr_folder_read(follow->path, &follow->policy, &found, &error) != 0) {
		note_fault(follow, error.text);
		return;
	}
	if (is_same(&found, &follow->tried))
		return;
	follow->tried = found;
	follow->job = gyrd_job_make(follow->gyrd, "model.import", follow->model, &follow->peer);
	follow->job->ended = end_import;
	follow->job->user = follow;
	gyrd_folder_start(follow->job, NULL, 0, follow->path, &found);
}

static void look(void *user)
{
	struct gyrd *gyrd = user;
	/* One import at a time: what is asked for by people goes before. */
	bool busy = gyrd->stopping;
	for (struct gyrd_follow *follow = gyrd->follows; follow != NULL && !busy; follow = follow->next) {
		look_at(follow);
		busy = follow->job != NULL;
	}
	gyr_timer_start(&gyrd->events, &gyrd->follow_timer, gyrd->config.follow_interval_s * GYR_NS_PER_S, look, gyrd);
}

int gyrd_follows_init(struct gyrd *gyrd, struct gyr_error *error)
{
	int status = gyrd_follows_read(gyrd, error);
	if (status == 0)
		gyr_timer_start(&gyrd->events, &gyrd->follow_timer, 0, look, gyrd);
	return status;
}

void gyrd_follows_fini(struct gyrd *gyrd)
{
	gyr_timer_cancel(&gyrd->events, &gyrd->follow_timer);
	while (gyrd->follows != NULL) {
		struct gyrd_follow *follow = gyrd->follows;
		gyrd->follows = follow->next;
		if (follow->job != NULL)
			follow->job->ended = NULL;
		free(follow);
	}
}

/* --- the calls --- */

static struct gyrd_follow **find(struct gyrd *gyrd, const char *model)
{
	struct gyrd_follow **at = &gyrd->follows;
	while (*at != NULL && strcmp((*at)->model, model) != 0)
		at = &(*at)->next;
	return at;
}

static void remove_follow(struct gyrd_follow **at)
{
	struct gyrd_follow *follow = *at;
	*at = follow->next;
	if (follow->job != NULL)
		follow->job->ended = NULL;
	free(follow);
}

/* Fills in what CALL asks for, and looks whether the folder is one. */
static int read_follow(struct gyrd_follow *follow, struct gyr_rpc_call *call, const char *model, const char *path, struct gyr_error *error)
{
	const char *versions = gyr_rpc_value(&call->request, "versions");
	struct gyr_folder found;
	int status = gyr_name_check("model", model, error);
	if (status == 0)
		status = gyr_folder_policy_read(versions == NULL ? "latest:1" : versions, &follow->policy, error);
	if (status == 0 && versions != NULL && strlen(versions) >= sizeof follow->versions)
		status = gyr_error_set(error, -EINVAL, "versions: at most %zu bytes", sizeof follow->versions - 1);
	if (status == 0)
		status = gyr_folder_read(path, &follow->policy, &found, error);
	if (status != 0)
		return status;
	snprintf(follow->model, sizeof follow->model, "%s", model);
	snprintf(follow->path, sizeof follow->path, "%s", path);
	snprintf(follow->versions, sizeof follow->versions, "%s", versions == NULL ? "latest:1" : versions);
	follow->peer = call->peer;
	follow->promote = gyrd_says_yes(call, "promote");
	return 0;
}

static void pack_follow(msgpack_packer *packer, const struct gyrd_follow *follow)
{
	msgpack_pack_map(packer, 6);
	gyr_rpc_pair_text(packer, "model", follow->model);
	gyr_rpc_pair_text(packer, "path", follow->path);
	gyr_rpc_pair_text(packer, "versions", follow->versions);
	gyr_rpc_pair_bool(packer, "promote", follow->promote);
	gyr_rpc_pair_text(packer, "fault", follow->fault.text);
	gyr_rpc_pack_text(packer, "followed");
	msgpack_pack_array(packer, follow->done.count);
	for (uint32_t i = 0; i < follow->done.count; i++) {
		msgpack_pack_map(packer, 2);
		gyr_rpc_pair_whole(packer, "source", follow->done.versions[i].number);
		gyr_rpc_pair_whole(packer, "version", follow->numbers[i]);
	}
}

static void answer_follow(struct gyr_rpc_call *call, const struct gyrd_follow *follow)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	pack_follow(&buffer.packer, follow);
	gyr_rpc_answer_send(call, &buffer);
}

/* Takes the place of what MODEL followed before, of which the versions that are served stay until the first import. */
static int keep_follow(struct gyrd *gyrd, struct gyrd_follow *follow, struct gyr_error *error)
{
	struct gyrd_follow **before = find(gyrd, follow->model);
	uint32_t count = 0;
	for (const struct gyrd_follow *other = gyrd->follows; other != NULL; other = other->next)
		count++;
	if (*before == NULL && count == FOLLOWS_MAX)
		return gyr_error_set(error, -E2BIG, "%u folders are followed, which is the most", FOLLOWS_MAX);
	struct gyrd_follow *old = *before;
	if (old != NULL) {
		follow->done = old->done;
		memcpy(follow->numbers, old->numbers, sizeof follow->numbers);
		*before = old->next;
	}
	follow->next = gyrd->follows;
	gyrd->follows = follow;
	int status = gyrd_follows_save(gyrd, error);
	if (status == 0 && old != NULL) {
		remove_follow(&old);
	} else if (status != 0) {
		gyrd->follows = follow->next;
		if (old != NULL) {
			old->next = gyrd->follows;
			gyrd->follows = old;
		}
	}
	return status;
}

void gyrd_serve_follow(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	const char *model, *path;
	struct gyr_error error;
	if (!gyrd_read_model(call, &model) || !gyrd_read_path(call, &path))
		return;
	struct gyrd_follow *follow = calloc(1, sizeof *follow);
	GYR_ASSERT(follow != NULL);
	follow->gyrd = gyrd;
	int status = read_follow(follow, call, model, path, &error);
	bool dry = gyrd_says_yes(call, "dry-run");
	if (status == 0 && !dry)
		status = keep_follow(gyrd, follow, &error);
	if (status != 0) {
		free(follow);
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	if (!dry)
		gyr_log_info("%s follows %s, versions: %s, by user %u", model, path, follow->versions, (unsigned)call->peer.uid);
	answer_follow(call, follow);
	if (dry)
		free(follow);
	else
		gyr_timer_start(&gyrd->events, &gyrd->follow_timer, 0, look, gyrd);
}

/* What is served stays so. */
void gyrd_serve_unfollow(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	const char *model;
	struct gyr_error error;
	if (!gyrd_read_model(call, &model))
		return;
	struct gyrd_follow **at = find(gyrd, model), *found = *at;
	int status = 0;
	if (found != NULL && !gyrd_says_yes(call, "dry-run")) {
		*at = found->next;
		status = gyrd_follows_save(gyrd, &error);
		if (status == 0) {
			gyr_log_info("%s follows no folder any more, by user %u", model, (unsigned)call->peer.uid);
			remove_follow(&found);
		} else {
			found->next = gyrd->follows;
			gyrd->follows = found;
		}
	}
	gyr_rpc_answer(call, status, status == 0 ? "" : error.text);
}

void gyrd_serve_follows(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_rpc_buffer buffer;
	uint32_t count = 0;
	for (const struct gyrd_follow *follow = gyrd->follows; follow != NULL; follow = follow->next)
		count++;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_array(&buffer.packer, count);
	for (const struct gyrd_follow *follow = gyrd->follows; follow != NULL; follow = follow->next)
		pack_follow(&buffer.packer, follow);
	gyr_rpc_answer_send(call, &buffer);
}
