/* registry-state DIR...: opens each registry as gyrd does, checks all of it and every blob, and prints what it says, a fact a line; "." ends each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/registry/registry.h"

static struct gyr_registry *registry;
static struct gyr_error error;
static bool sound;

static void fault(void *user, const char *text)
{
	printf("fault %s\n", text);
	sound = false;
}

static bool check_blob(const struct gyr_version *version)
{
	char path[GYR_BLOB_PATH_BYTES], id[GYR_BLOB_NAME_BYTES];
	struct gyr_bundle *bundle;
	void *bytes;
	gyr_blobs_path(gyr_registry_blobs(registry), version->id, path);
	int fd = open(path, O_RDONLY);
	if (fd < 0 || posix_memalign(&bytes, GYR_BUNDLE_ALIGN, version->bytes + GYR_BUNDLE_ALIGN) != 0)
		return false;
	ssize_t got = read(fd, bytes, version->bytes + 1);
	bool whole = got == (ssize_t)version->bytes && gyr_bundle_open(bytes, version->bytes, &bundle, &error) == 0;
	if (whole) {
		gyr_bundle_id_text(bundle->id, id);
		whole = strcmp(id, version->id) == 0;
		gyr_bundle_close(bundle);
	}
	close(fd);
	free(bytes);
	return whole;
}

static bool print_version(void *user, const struct gyr_version *version)
{
	printf("version %s %llu %s\nwanted %s %llu %d\n", version->model, (unsigned long long)version->number, version->id, version->model,
	       (unsigned long long)version->number, version->wanted);
	if (!check_blob(version))
		fault(NULL, version->id);
	return true;
}

static bool print_label(void *user, const struct gyr_label *label)
{
	printf("label %s/%s %llu\nintended %s/%s %llu\n", label->model, label->name, (unsigned long long)label->version, label->model, label->name,
	       (unsigned long long)label->intended);
	return true;
}

static bool print_setting(void *user, const struct gyr_setting *setting)
{
	printf("setting %s %llu\n", setting->name, (unsigned long long)setting->value);
	return true;
}

static void print_all(const char *dir)
{
	struct gyr_registry_check check;
	sound = true;
	int status = gyr_registry_open(dir, &registry, &error);
	if (status == 0)
		status = gyr_registry_verify(registry, &check, fault, NULL, &error);
	if (status == 0)
		status = gyr_registry_each_version(registry, NULL, false, print_version, NULL, &error);
	if (status == 0)
		status = gyr_registry_each_label(registry, NULL, print_label, NULL, &error);
	if (status == 0)
		status = gyr_registry_each_setting(registry, "net", print_setting, NULL, &error);
	if (status == 0)
		printf("audit rows %llu\n", (unsigned long long)check.audit_rows);
	else
		fault(NULL, error.text);
	printf(".\n");
	gyr_registry_close(registry);
	registry = NULL;
}

int main(int argc, char **argv)
{
	gyr_log_init("registry-state", GYR_LOG_ERROR);
	for (int i = 1; i < argc; i++) {
		print_all(argv[i]);
		if (!sound)
			return 1;
	}
	return 0;
}
