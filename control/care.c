/*
 * The calls that look after the registry: verify, gc, audit and the removal of versions.
 *
 * verify goes through the database in the loop, and through the blobs one by one in the helper thread, so that loads and imports come in between. gc frees in
 * the helper thread, and no job begins meanwhile: an import could name what is being freed.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/log.h"
#include "control/gyrd.h"
#include "control/rollout/check.h"

#define AUDIT_ROWS_MAX 10000u
#define FAULTS_MAX 1000u /* that are told one by one */

static void *grow(void *list, uint32_t count, size_t bytes)
{
	void *grown = reallocarray(list, count + 1, bytes);
	GYR_ASSERT(grown != NULL);
	return grown;
}

/* --- verify --- */

struct verify {
	struct gyrd *gyrd;
	struct gyr_rpc_call *call;
	struct gyr_registry_check check;
	uint32_t version_count, at; /* of VERSIONS, the one that is being read */
	struct gyr_version *versions;
	uint64_t bytes, loose, loose_bytes;
	uint32_t fault_count; /* at most FAULTS_MAX are kept, all are counted in check.faults */
	char **faults;
};

static void add_fault(void *user, const char *text)
{
	struct verify *verify = user;
	gyr_log_error("verify: %s", text);
	if (verify->fault_count == FAULTS_MAX)
		return;
	verify->faults = grow(verify->faults, verify->fault_count, sizeof *verify->faults);
	char *copy = strdup(text);
	GYR_ASSERT(copy != NULL);
	verify->faults[verify->fault_count++] = copy;
}

static void free_verify(struct verify *verify)
{
	for (uint32_t i = 0; i < verify->fault_count; i++)
		free(verify->faults[i]);
	free(verify->faults);
	free(verify->versions);
	free(verify);
}

static void fail_verify(struct verify *verify, int status, const char *text)
{
	gyr_rpc_answer(verify->call, status, text);
	free_verify(verify);
}

static bool note_version(void *user, const struct gyr_version *version)
{
	struct verify *verify = user;
	verify->versions = grow(verify->versions, verify->version_count, sizeof *verify->versions);
	verify->versions[verify->version_count] = *version;
	verify->versions[verify->version_count++].signature = NULL;
	return true;
}

static bool count_loose(void *user, const char *name, uint64_t bytes)
{
	struct verify *verify = user;
	verify->loose++;
	verify->loose_bytes += bytes;
	return true;
}

static void answer_verify(struct verify *verify)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_packer *packer = &buffer.packer;
	msgpack_pack_map(packer, 9);
	gyr_rpc_pair_whole(packer, "versions", verify->version_count);
	gyr_rpc_pair_whole(packer, "bytes", verify->bytes);
	gyr_rpc_pair_whole(packer, "pages", verify->check.pages);
	gyr_rpc_pair_whole(packer, "audit_rows", verify->check.audit_rows);
	gyr_rpc_pair_text(packer, "audit_head", verify->check.audit_head);
	gyr_rpc_pair_whole(packer, "loose", verify->loose);
	gyr_rpc_pair_whole(packer, "loose_bytes", verify->loose_bytes);
	gyr_rpc_pair_whole(packer, "fault_count", verify->check.faults);
	gyr_rpc_pack_text(packer, "faults");
	msgpack_pack_array(packer, verify->fault_count);
	for (uint32_t i = 0; i < verify->fault_count; i++)
		gyr_rpc_pack_text(packer, verify->faults[i]);
	gyr_rpc_answer_send(verify->call, &buffer);
	free_verify(verify);
}

static void send_progress(const struct verify *verify)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_news_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 2);
	gyr_rpc_pair_whole(&buffer.packer, "done", verify->at);
	gyr_rpc_pair_whole(&buffer.packer, "of", verify->version_count);
	gyr_rpc_news_send(verify->call, &buffer);
}

static void check_next(struct verify *verify);

static void end_check(void *user, int status, const char *text)
{
	struct verify *verify = user;
	const struct gyr_version *version = &verify->versions[verify->at++];
	struct gyr_version now;
	struct gyr_error fault;
	/* One that was removed since may be gone. */
	bool is_there = gyr_registry_version(verify->gyrd->registry, version->model, version->number, &now, NULL) == 0;
	if (status == -ENOMEM) {
		fail_verify(verify, status, text);
		return;
	}
	if (status != 0 && is_there) {
		gyr_error_set(&fault, 0, "%s version %llu: %s", version->model, (unsigned long long)version->number, text);
		verify->check.faults++;
		add_fault(verify, fault.text);
	}
	verify->bytes += status == 0 ? version->bytes : 0;
	if (verify->gyrd->stopping) {
		fail_verify(verify, -ESHUTDOWN, "gyrd is ending");
	} else if (verify->call->connection == NULL) {
		fail_verify(verify, -ECANCELED, "the caller is gone");
	} else {
		send_progress(verify);
		check_next(verify);
	}
}

static void check_next(struct verify *verify)
{
	if (verify->at == verify->version_count)
		answer_verify(verify);
	else
		gyr_check_start(&verify->gyrd->work, gyr_registry_blobs(verify->gyrd->registry), verify->versions[verify->at].id, end_check, verify);
}

void gyrd_serve_verify(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_error error;
	struct verify *verify = calloc(1, sizeof *verify);
	GYR_ASSERT(verify != NULL);
	verify->gyrd = gyrd;
	verify->call = call;
	int status = gyr_registry_verify(gyrd->registry, &verify->check, add_fault, verify, &error);
	/* A database that is wrong may name anything. */
	if (status == 0 && verify->check.faults == 0)
		status = gyr_registry_each_version(gyrd->registry, NULL, false, note_version, verify, &error);
	if (status == 0 && verify->check.faults == 0)
		status = gyr_registry_each_loose(gyrd->registry, count_loose, verify, &error);
	if (status != 0)
		fail_verify(verify, status, error.text);
	else
		check_next(verify);
}

/* --- gc --- */

struct loose {
	char name[GYR_CONFIG_TEXT_MAX]; /* of any file that lies there */
	uint64_t bytes;
};

struct collection {
	struct gyr_task task; /* first */
	struct gyrd *gyrd;
	struct gyr_rpc_call *call;
	uint32_t count;
	struct loose *list;
	char digest[GYR_BLOB_NAME_BYTES];
	bool frees;
	int status;
	struct gyr_error error;
};

static bool note_loose(void *user, const char *name, uint64_t bytes)
{
	struct collection *collection = user;
	if (strlen(name) >= sizeof collection->list->name)
		return true;
	collection->list = grow(collection->list, collection->count, sizeof *collection->list);
	struct loose *loose = &collection->list[collection->count++];
	snprintf(loose->name, sizeof loose->name, "%s", name);
	loose->bytes = bytes;
	return true;
}

static int compare_loose(const void *a, const void *b)
{
	return strcmp(((const struct loose *)a)->name, ((const struct loose *)b)->name);
}

/* What stands for the whole list, so that what is freed is what was shown. */
static void digest_list(struct collection *collection)
{
	crypto_generichash_state state;
	uint8_t bytes[GYR_BUNDLE_ID_BYTES];
	crypto_generichash_init(&state, NULL, 0, sizeof bytes);
	for (uint32_t i = 0; i < collection->count; i++)
		crypto_generichash_update(&state, (const uint8_t *)collection->list[i].name, strlen(collection->list[i].name) + 1);
	crypto_generichash_final(&state, bytes, sizeof bytes);
	gyr_bundle_id_text(bytes, collection->digest);
}

static void free_collection(struct collection *collection)
{
	free(collection->list);
	free(collection);
}

static void answer_collection(struct collection *collection)
{
	struct gyr_rpc_buffer buffer;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < collection->count; i++)
		bytes += collection->list[i].bytes;
	gyr_rpc_answer_begin(&buffer);
	msgpack_packer *packer = &buffer.packer;
	msgpack_pack_map(packer, 4);
	gyr_rpc_pair_bool(packer, "freed", collection->frees);
	gyr_rpc_pair_whole(packer, "bytes", bytes);
	gyr_rpc_pair_text(packer, "digest", collection->digest);
	gyr_rpc_pack_text(packer, "files");
	msgpack_pack_array(packer, collection->count);
	for (uint32_t i = 0; i < collection->count; i++) {
		msgpack_pack_map(packer, 2);
		gyr_rpc_pair_text(packer, "name", collection->list[i].name);
		gyr_rpc_pair_whole(packer, "bytes", collection->list[i].bytes);
	}
	gyr_rpc_answer_send(collection->call, &buffer);
	free_collection(collection);
}

/* No row is written while this goes on: what no version named when it was listed, none names now. */
static void run_collection(struct gyr_task *task)
{
	struct collection *collection = (struct collection *)task;
	const struct gyr_blobs *blobs = gyr_registry_blobs(collection->gyrd->registry);
	for (uint32_t i = 0; collection->status == 0 && i < collection->count; i++)
		collection->status = gyr_blobs_remove(blobs, collection->list[i].name, &collection->error);
}

static void end_collection(struct gyr_task *task)
{
	struct collection *collection = (struct collection *)task;
	collection->gyrd->collecting = false;
	if (collection->status == 0) {
		gyr_log_info("gc: %u files freed", collection->count);
		answer_collection(collection);
		return;
	}
	gyr_rpc_answer(collection->call, collection->status, collection->error.text);
	free_collection(collection);
}

void gyrd_serve_gc(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	const char *expected = gyr_rpc_value(&call->request, "free");
	struct collection *collection = calloc(1, sizeof *collection);
	GYR_ASSERT(collection != NULL);
	collection->task = (struct gyr_task){.run = run_collection, .done = end_collection};
	collection->gyrd = gyrd;
	collection->call = call;
	collection->frees = expected != NULL;
	struct gyr_error *error = &collection->error;
	int status = 0;
	if (gyrd->stopping)
		status = gyr_error_set(error, -ESHUTDOWN, "gyrd is ending");
	else if (collection->frees && (gyrd->job_count > 0 || gyrd->collecting))
		status = gyr_error_set(error, -EBUSY, "%s under way; try again when it has ended", gyrd->collecting ? "another gc is" : "a job is");
	if (status == 0)
		status = gyr_registry_each_loose(gyrd->registry, note_loose, collection, error);
	if (status == 0 && collection->count > 0)
		qsort(collection->list, collection->count, sizeof *collection->list, compare_loose);
	if (status == 0)
		digest_list(collection);
	if (status == 0 && collection->frees && strcmp(expected, collection->digest) != 0)
		status = gyr_error_set(error, -EAGAIN, "what nothing refers to is not what was shown any more; nothing was freed; look again");
	if (status != 0) {
		gyr_rpc_answer(call, status, error->text);
		free_collection(collection);
	} else if (collection->frees && collection->count > 0) {
		gyrd->collecting = true;
		gyr_work_submit(&gyrd->work, &collection->task);
	} else {
		answer_collection(collection);
	}
}

/* --- audit --- */

struct audit {
	msgpack_packer *packer; /* NULL: rows are only counted */
	uint64_t left, count;
};

static bool pack_row(void *user, const struct gyr_audit *row)
{
	struct audit *audit = user;
	if (audit->left-- == 0)
		return false;
	audit->count++;
	if (audit->packer == NULL)
		return true;
	msgpack_packer *packer = audit->packer;
	msgpack_pack_map(packer, 8);
	gyr_rpc_pair_whole(packer, "id", row->id);
	gyr_rpc_pair_whole(packer, "at_s", (uint64_t)row->at_s);
	gyr_rpc_pair_whole(packer, "actor", row->actor);
	gyr_rpc_pair_text(packer, "action", row->action);
	gyr_rpc_pair_text(packer, "model", row->model);
	gyr_rpc_pair_whole(packer, "version", row->version);
	gyr_rpc_pair_text(packer, "text", row->text);
	gyr_rpc_pair_text(packer, "hash", row->hash);
	return true;
}

void gyrd_serve_audit(void *user, struct gyr_rpc_call *call)
{
	struct gyr_registry *registry = ((struct gyrd *)user)->registry;
	const char *model = gyr_rpc_value(&call->request, "model");
	struct gyr_error error;
	uint64_t limit = 20;
	int status = gyr_rpc_number(&call->request, "limit", &limit, &error);
	if (status == 0 && (limit == 0 || limit > AUDIT_ROWS_MAX))
		status = gyr_error_set(&error, -EINVAL, "limit: 1 to %u", AUDIT_ROWS_MAX);
	struct audit counted = {.left = limit};
	if (status == 0)
		status = gyr_registry_each_audit(registry, model, pack_row, &counted, &error);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_array(&buffer.packer, counted.count);
	struct audit packed = {.packer = &buffer.packer, .left = counted.count};
	status = gyr_registry_each_audit(registry, model, pack_row, &packed, &error);
	/* The same thread has just read the same rows. */
	GYR_ASSERT(status == 0);
	gyr_rpc_answer_send(call, &buffer);
}

/* --- remove --- */

void gyrd_serve_remove(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_version version;
	struct gyr_error error;
	struct gyr_rpc_buffer buffer;
	if (gyr_rpc_value(&call->request, "version") == NULL) {
		gyr_rpc_answer(call, -EINVAL, "the call names no version to remove");
		return;
	}
	if (!gyrd_read_version(gyrd, call, &version))
		return;
	int status = 0;
	if (gyr_rollout_holds(gyrd->rollout, version.model, version.number))
		status = gyr_error_set(&error, -EBUSY, "%s version %llu is held by the data plane; unload it first", version.model,
				       (unsigned long long)version.number);
	bool dry = gyrd_says_yes(call, "dry-run");
	if (status == 0 && dry && version.wanted)
		status = gyr_error_set(&error, -EBUSY, "%s version %llu is to be held by the data plane; unload it first", version.model,
				       (unsigned long long)version.number);
	if (status == 0 && !dry)
		status = gyr_registry_remove(gyrd->registry, version.model, version.number, call->peer.uid, &error);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 2);
	gyr_rpc_pair_text(&buffer.packer, "model", version.model);
	gyr_rpc_pair_whole(&buffer.packer, "version", version.number);
	gyr_rpc_answer_send(call, &buffer);
}
