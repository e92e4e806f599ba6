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
	const struct gyr_load_request request = {.path = import->path, .use = keep, .user = import};
	import->status = gyr_load(&request, &loaded, &import->error);
	if (import->status == 0)
		gyr_loaded_release(&loaded);
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
