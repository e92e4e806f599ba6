#include "control/rollout/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "control/load/loader.h"

struct check {
	struct gyr_task task; /* first */
	char path[GYR_BLOB_PATH_BYTES], name[GYR_BLOB_NAME_BYTES];
	int status;
	struct gyr_error error;
	gyr_check_done *done;
	void *user;
};

static void run_check(struct gyr_task *task)
{
	struct check *check = (struct check *)task;
	struct gyr_loaded loaded;
	char id[GYR_BLOB_NAME_BYTES];
	check->status = gyr_load(&(struct gyr_load_request){.path = check->path}, &loaded, &check->error);
	if (check->status != 0)
		return;
	close(loaded.fd);
	gyr_bundle_id_text(loaded.id, id);
	if (strcmp(id, check->name) != 0)
		check->status = gyr_error_set(&check->error, -EBADMSG, "%s holds the bundle %s", check->path, id);
}

static void end_check(struct gyr_task *task)
{
	struct check *check = (struct check *)task;
	check->done(check->user, check->status, check->error.text);
	free(check);
}

void gyr_check_start(struct gyr_work *work, const struct gyr_blobs *blobs, const char *name, gyr_check_done *done, void *user)
{
	struct check *check = calloc(1, sizeof *check);
	GYR_ASSERT(check != NULL);
	check->task = (struct gyr_task){.run = run_check, .done = end_check};
	check->done = done;
	check->user = user;
	snprintf(check->name, sizeof check->name, "%s", name);
	gyr_blobs_path(blobs, name, check->path);
	gyr_work_submit(work, &check->task);
}
