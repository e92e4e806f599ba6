/* The calls that only look. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/gyrd.h"
#include "control/stats.h"

/* --- status --- */

static const char *dataplane_state(const struct gyrd *gyrd)
{
	if (gyr_rollout_is_linked(gyrd->rollout))
		return "ready";
	if (!gyrd->config.supervise)
		return "absent";
	return gyrd->supervisor.process.pid != 0 ? "starting" : "down";
}

static void pack_dataplane(msgpack_packer *packer, const struct gyrd *gyrd)
{
	const struct gyr_stats_view *stats = gyr_rollout_stats(gyrd->rollout);
	const struct gyr_supervisor *supervisor = &gyrd->supervisor;
	pid_t pid = gyr_peer_pid(gyr_rollout_peer(gyrd->rollout));
	if (pid == 0 && gyrd->config.supervise)
		pid = supervisor->process.pid;
	gyr_rpc_pack_text(packer, "dataplane");
	msgpack_pack_map(packer, 6);
	gyr_rpc_pair_text(packer, "state", dataplane_state(gyrd));
	gyr_rpc_pair_whole(packer, "pid", (uint64_t)pid);
	gyr_rpc_pair_text(packer, "supervisor", gyrd->config.supervise ? supervisor->said : "off");
	gyr_rpc_pair_whole(packer, "starts", gyrd->config.supervise ? supervisor->starts : 0);
	gyr_rpc_pair_bool(packer, "settled", gyr_rollout_is_settled(gyrd->rollout));
	gyr_rpc_pack_text(packer, "status");
	if (stats != NULL)
		gyrd_pack_status(packer, gyrd->rollout, stats);
	else
		msgpack_pack_nil(packer);
}

static bool count_version(void *user, const struct gyr_version *version)
{
	++*(uint64_t *)user;
	return true;
}

void gyrd_serve_status(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_rpc_buffer buffer;
	struct gyr_error error;
	uint64_t versions = 0;
	if (gyr_registry_each_version(gyrd->registry, NULL, false, count_version, &versions, &error) != 0)
		gyr_log_error("%s", error.text);
	gyr_rpc_answer_begin(&buffer);
	msgpack_packer *packer = &buffer.packer;
	msgpack_pack_map(packer, 2);
	gyr_rpc_pack_text(packer, "gyrd");
	msgpack_pack_map(packer, 7);
	gyr_rpc_pair_text(packer, "version", GYR_VERSION);
	gyr_rpc_pair_whole(packer, "pid", (uint64_t)getpid());
	gyr_rpc_pair_whole(packer, "uptime_ns", gyr_clock_ns() - gyrd->started_ns);
	gyr_rpc_pair_text(packer, "state_dir", gyrd->config.state_dir);
	gyr_rpc_pair_text(packer, "run_dir", gyrd->config.run_dir);
	gyr_rpc_pair_whole(packer, "versions", versions);
	gyr_rpc_pair_whole(packer, "jobs", gyrd->job_count);
	pack_dataplane(packer, gyrd);
	gyr_rpc_answer_send(call, &buffer);
}

/* --- lists: collected first, for a map's size stands before it --- */

struct lists {
	struct gyrd *gyrd;
	uint32_t version_count, label_count, pair_count;
	struct gyr_version *versions; /* without signatures */
	struct gyr_label *labels;
	struct pair {
		char *key, *value;
	} *pairs;
};

static void *grow(void *list, uint32_t count, size_t bytes)
{
	void *grown = reallocarray(list, count + 1, bytes);
	GYR_ASSERT(grown != NULL);
	return grown;
}

static bool collect_version(void *user, const struct gyr_version *version)
{
	struct lists *lists = user;
	lists->versions = grow(lists->versions, lists->version_count, sizeof *lists->versions);
	lists->versions[lists->version_count] = *version;
	lists->versions[lists->version_count++].signature = NULL;
	return true;
}

static bool collect_label(void *user, const struct gyr_label *label)
{
	struct lists *lists = user;
	lists->labels = grow(lists->labels, lists->label_count, sizeof *lists->labels);
	lists->labels[lists->label_count++] = *label;
	return true;
}

static bool collect_pair(void *user, const char *key, const char *value)
{
	struct lists *lists = user;
	lists->pairs = grow(lists->pairs, lists->pair_count, sizeof *lists->pairs);
	struct pair *pair = &lists->pairs[lists->pair_count++];
	pair->key = strdup(key);
	pair->value = strdup(value);
	GYR_ASSERT(pair->key != NULL);
	GYR_ASSERT(pair->value != NULL);
	return true;
}

static void free_lists(struct lists *lists)
{
	for (uint32_t i = 0; i < lists->pair_count; i++) {
		free(lists->pairs[i].key);
		free(lists->pairs[i].value);
	}
	free(lists->pairs);
	free(lists->labels);
	free(lists->versions);
}

static void pack_labels(msgpack_packer *packer, const struct lists *lists, const char *model)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < lists->label_count; i++)
		count += strcmp(lists->labels[i].model, model) == 0;
	gyr_rpc_pack_text(packer, "labels");
	msgpack_pack_array(packer, count);
	for (uint32_t i = 0; i < lists->label_count; i++) {
		const struct gyr_label *label = &lists->labels[i];
		if (strcmp(label->model, model) != 0)
			continue;
		msgpack_pack_map(packer, 4);
		gyr_rpc_pair_text(packer, "label", label->name);
		gyr_rpc_pair_whole(packer, "version", label->version);
		gyr_rpc_pair_whole(packer, "former", label->former);
		gyr_rpc_pair_whole(packer, "intended", label->intended);
	}
}

static void pack_version(msgpack_packer *packer, const struct gyrd *gyrd, const struct gyr_version *version)
{
	const char *fault = gyr_rollout_fault(gyrd->rollout, version->model, version->number);
	bool held = gyr_rollout_holds(gyrd->rollout, version->model, version->number);
	msgpack_pack_map(packer, 6);
	gyr_rpc_pair_whole(packer, "version", version->number);
	gyr_rpc_pair_text(packer, "state", held ? version->wanted ? "loaded" : "unloading" : version->wanted ? fault != NULL ? "failed" : "loading" : "stored");
	gyr_rpc_pair_text(packer, "fault", fault == NULL ? "" : fault);
	gyr_rpc_pair_whole(packer, "bytes", version->bytes);
	gyr_rpc_pair_whole(packer, "created_s", (uint64_t)version->created_s);
	gyr_rpc_pair_text(packer, "id", version->id);
}

/* Versions FROM and on, as long as they are of one model; the first that is not. */
static uint32_t pack_versions(msgpack_packer *packer, const struct gyrd *gyrd, const struct lists *lists, uint32_t from)
{
	uint32_t to = from;
	while (to < lists->version_count && strcmp(lists->versions[to].model, lists->versions[from].model) == 0)
		to++;
	gyr_rpc_pack_text(packer, "versions");
	msgpack_pack_array(packer, to - from);
	for (uint32_t i = from; i < to; i++)
		pack_version(packer, gyrd, &lists->versions[i]);
	return to;
}

void gyrd_serve_list(void *user, struct gyr_rpc_call *call)
{
	struct lists lists = {.gyrd = user};
	struct gyr_error error;
	int status = gyr_registry_each_version(lists.gyrd->registry, NULL, false, collect_version, &lists, &error);
	if (status == 0)
		status = gyr_registry_each_label(lists.gyrd->registry, NULL, collect_label, &lists, &error);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		free_lists(&lists);
		return;
	}
	uint32_t models = 0;
	for (uint32_t i = 0; i < lists.version_count; i++)
		models += i == 0 || strcmp(lists.versions[i].model, lists.versions[i - 1].model) != 0;
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_array(&buffer.packer, models);
	for (uint32_t i = 0; i < lists.version_count;) {
		const char *model = lists.versions[i].model;
		msgpack_pack_map(&buffer.packer, 3);
		gyr_rpc_pair_text(&buffer.packer, "model", model);
		pack_labels(&buffer.packer, &lists, model);
		i = pack_versions(&buffer.packer, lists.gyrd, &lists, i);
	}
	gyr_rpc_answer_send(call, &buffer);
	free_lists(&lists);
}

void gyrd_pack_policy(msgpack_packer *packer, const struct gyr_link_policy *policy)
{
	gyr_rpc_pack_text(packer, "policy");
	msgpack_pack_map(packer, GYR_LINK_SETTINGS);
	for (uint32_t i = 0; i < GYR_LINK_SETTINGS; i++)
		gyr_rpc_pair_whole(packer, gyr_link_settings[i].name, gyr_link_policy_get(policy, i));
}

void gyrd_serve_show(void *user, struct gyr_rpc_call *call)
{
	struct lists lists = {.gyrd = user};
	struct gyr_registry *registry = lists.gyrd->registry;
	struct gyr_version version;
	struct gyr_error error;
	if (!gyrd_read_version(lists.gyrd, call, &version))
		return;
	int status = gyr_registry_each_version(registry, version.model, false, collect_version, &lists, &error);
	if (status == 0)
		status = gyr_registry_each_label(registry, version.model, collect_label, &lists, &error);
	struct gyr_link_policy policy;
	if (status == 0)
		status = gyr_rollout_policy(lists.gyrd->rollout, version.model, &policy, &error);
	if (status == 0)
		status = gyr_registry_each_lineage(registry, version.model, version.number, collect_pair, &lists, &error);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		free_lists(&lists);
		return;
	}
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_packer *packer = &buffer.packer;
	msgpack_pack_map(packer, 7);
	gyr_rpc_pair_text(packer, "model", version.model);
	gyr_rpc_pair_whole(packer, "version", version.number);
	gyr_rpc_pair_text(packer, "signature", version.signature);
	gyr_rpc_pack_text(packer, "lineage");
	msgpack_pack_map(packer, lists.pair_count);
	for (uint32_t i = 0; i < lists.pair_count; i++)
		gyr_rpc_pair_text(packer, lists.pairs[i].key, lists.pairs[i].value);
	gyrd_pack_policy(packer, &policy);
	pack_labels(packer, &lists, version.model);
	pack_versions(packer, lists.gyrd, &lists, 0);
	gyr_rpc_answer_send(call, &buffer);
	free_lists(&lists);
}
