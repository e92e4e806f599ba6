#include "control/rollout/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "control/load/loader.h"

struct import {
	struct gyr_task task; /* first */
	const struct gyr_blobs *blobs;
	char path[GYR_PATH_BYTES];
	struct gyr_facts facts;
	bool taken; /* FACTS is to be ended */
	int status;
	struct gyr_error error;
	gyr_import_done *done;
	void *user;
};

static int keep(const struct gyr_bundle *bundle, const void *bytes, uint64_t size, void *user, struct gyr_error *error)
{
	struct import *import = user;
	import->taken = true;
	int status = gyr_facts_take(&import->facts, bundle, size, error);
	return status == 0 ? gyr_blobs_put(import->blobs, import->facts.id, bytes, size, error) : status;
}

static void run_import(struct gyr_task *task)
{
	struct import *import = (struct import *)task;
	struct gyr_loaded loaded;
	import->status = gyr_load(import->path, NULL, keep, import, &loaded, &import->error);
	if (import->status == 0)
		close(loaded.fd);
}

static void end_import(struct gyr_task *task)
{
	struct import *import = (struct import *)task;
	import->done(import->user, import->status, import->error.text, &import->facts);
	if (import->taken)
		gyr_facts_fini(&import->facts);
	free(import);
}

void gyr_import_start(struct gyr_work *work, const struct gyr_blobs *blobs, const char *path, gyr_import_done *done, void *user)
{
	struct import *import = calloc(1, sizeof *import);
	GYR_ASSERT(import != NULL);
	import->task = (struct gyr_task){.run = run_import, .done = end_import};
	import->blobs = blobs;
	import->done = done;
	import->user = user;
	snprintf(import->path, sizeof import->path, "%s", path);
	gyr_work_submit(work, &import->task);
}

struct export
{
	struct gyr_task task; /* first */
	char from[GYR_BLOB_PATH_BYTES], to[GYR_PATH_BYTES], aside[GYR_PATH_BYTES + 32];
	int status;
	struct gyr_error error;
	gyr_export_done *done;
	void *user;
};

static int copy(int from, int to)
{
	char part[1 << 16];
	for (;;) {
		ssize_t got = read(from, part, sizeof part);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? 0 : -errno;
		for (ssize_t at = 0; at < got;) {
			ssize_t wrote = write(to, part + at, (size_t)(got - at));
			if (wrote < 0 && errno != EINTR)
				return -errno;
			at += wrote < 0 ? 0 : wrote;
		}
	}
}

static void run_export(struct gyr_task *task)
{
	struct export *export = (struct export *)task;
	int from = open(export->from, O_RDONLY | O_CLOEXEC);
	if (from < 0) {
		export->status = gyr_error_set(&export->error, -errno, "%s: %s", export->from, strerror(errno));
		return;
	}
	snprintf(export->aside, sizeof export->aside, "%s.part-%ld", export->to, (long)getpid());
	/* What lies there, left by a crash or a link that another user has laid, is not written to. */
	unlink(export->aside);
	int to = open(export->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int status = to < 0 ? -errno : copy(from, to);
	if (status == 0 && fsync(to) != 0)
		status = -errno;
	if (status == 0 && rename(export->aside, export->to) != 0)
		status = -errno;
	if (status != 0 && to >= 0)
		unlink(export->aside);
	if (to >= 0)
		close(to);
	close(from);
	export->status = status == 0 ? 0 : gyr_error_set(&export->error, status, "%.400s: cannot be written: %s", export->to, strerror(-status));
}

static void end_export(struct gyr_task *task)
{
	struct export *export = (struct export *)task;
	export->done(export->user, export->status, export->error.text);
	free(export);
}

void gyr_export_start(struct gyr_work *work, const struct gyr_blobs *blobs, const char *name, const char *path, gyr_export_done *done, void *user)
{
	struct export *export = calloc(1, sizeof *export);
	GYR_ASSERT(export != NULL);
	export->task = (struct gyr_task){.run = run_export, .done = end_export};
	export->done = done;
	export->user = user;
	gyr_blobs_path(blobs, name, export->from);
	snprintf(export->to, sizeof export->to, "%s", path);
	gyr_work_submit(work, &export->task);
}
