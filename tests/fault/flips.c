/*
 * Bits that a disk has changed, one at a time, in the registry's database and in blobs: a registry with any of them does not open, and a blob with any of them
 * does not load. GYR_LONG: 10,000 of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"
#include "control/load/loader.h"
#include "control/registry/registry.h"
#include "tests/unit/control/sample.h"

enum { VERSIONS = 24, PATH_BYTES = 200 };

static char folder[64];
static struct gyr_error error;
static char blobs[VERSIONS][PATH_BYTES];

static void must(int status)
{
	if (status == 0)
		return;
	fprintf(stderr, "%s\n", error.text);
	exit(1);
}

static void add(struct gyr_registry *registry, unsigned i)
{
	char name[8];
	void *bytes;
	size_t size;
	struct gyr_bundle *bundle;
	struct gyr_facts facts;
	uint64_t number;
	bool known;
	snprintf(name, sizeof name, "m%u", i % 3);
	sample_bundle(4 + i / 3 % 2, (float)i, &bytes, &size);
	must(gyr_bundle_open(bytes, size, &bundle, &error));
	must(gyr_facts_take(&facts, bundle, size, &error));
	must(gyr_blobs_put(gyr_registry_blobs(registry), facts.id, bytes, size, &error));
	must(gyr_registry_add(registry, name, &facts, 0, &number, &known, &error));
	gyr_blobs_path(gyr_registry_blobs(registry), facts.id, blobs[i]);
	must(gyr_registry_intend(registry, name, "stable", number, true, 0, &error));
	must(gyr_registry_settle(registry, name, "stable", &error));
	gyr_facts_fini(&facts);
	gyr_bundle_close(bundle);
	free(bytes);
}

/* Also pages that hold nothing any more. */
static void make_registry(void)
{
	struct gyr_registry *registry;
	struct gyr_setting weight = {"weight", 3};
	must(gyr_registry_open(folder, &registry, &error));
	for (unsigned i = 0; i < VERSIONS; i++)
		add(registry, i);
	must(gyr_registry_set(registry, "m0", &weight, 1, 0, &error));
	must(gyr_registry_want(registry, "m0", 1, false, 0, &error));
	must(gyr_registry_remove(registry, "m0", 1, 0, &error));
	gyr_registry_close(registry);
}

static void flip(const char *path, uint64_t bit)
{
	uint8_t byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	GYR_ASSERT(fd >= 0);
	GYR_ASSERT(pread(fd, &byte, 1, (off_t)(bit / 8)) == 1);
	byte ^= (uint8_t)(1u << bit % 8);
	GYR_ASSERT(pwrite(fd, &byte, 1, (off_t)(bit / 8)) == 1);
	close(fd);
}

static uint64_t bits_of(const char *path)
{
	struct stat seen;
	GYR_ASSERT(stat(path, &seen) == 0);
	return 8 * (uint64_t)seen.st_size;
}

static bool is_refused(const char *path, bool database)
{
	struct gyr_registry *registry;
	struct gyr_loaded loaded;
	struct gyr_load_request request = {.path = path};
	int status = database ? gyr_registry_open(folder, &registry, &error) : gyr_load(&request, &loaded, &error);
	if (status == 0 && database)
		gyr_registry_close(registry);
	else if (status == 0)
		close(loaded.fd);
	return status != 0 && error.text[0] != '\0';
}

int main(void)
{
	char database[PATH_BYTES];
	unsigned flips = getenv("GYR_LONG") != NULL && getenv("GYR_LONG")[0] != '\0' ? 10000 : 600, missed = 0;
	gyr_log_init("flips", GYR_LOG_ERROR);
	sample_folder(folder);
	snprintf(database, sizeof database, "%s/registry.db", folder);
	make_registry();
	srandom(1);
	for (unsigned i = 0; i < flips; i++) {
		bool of_database = i % 2 == 0;
		const char *path = of_database ? database : blobs[1 + (unsigned)random() % (VERSIONS - 1)];
		/* The first page of each file says how the rest is read: its head comes more often than chance would have it. */
		uint64_t bit = (uint64_t)random() % (i % 8 < 2 ? 8 * 128 : bits_of(path));
		flip(path, bit);
		if (!is_refused(path, of_database)) {
			fprintf(stderr, "%s: bit %llu of byte %llu was not seen\n", path, (unsigned long long)(bit % 8), (unsigned long long)(bit / 8));
			missed++;
		}
		flip(path, bit);
	}
	/* Unchanged, all is taken: what was refused was refused for the one bit. */
	bool sound = !is_refused(database, true);
	for (unsigned i = 0; i < VERSIONS; i++)
		sound = sound && !is_refused(blobs[i], false);
	sample_remove(folder);
	printf("%u bits flipped, %u not seen; unchanged, all is %s\n", flips, missed, sound ? "taken" : "refused");
	return missed == 0 && sound ? 0 : 1;
}
