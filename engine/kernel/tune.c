/*
 * Choices: see tune.h.
 *
 * Exported: a msgpack array [version, CPU, [[kernel, choice, size...]...]].
 */
#include "engine/kernel/tune.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/assertion.h"
#include "base/clock.h"
#include "base/pack.h"
#include "base/unpack.h"

#define VERSION "1 " GYR_VERSION /* the number rises when candidates change their meaning */
#define CPU_BYTES 128u

#define CHOICE_NS (2 * GYR_NS_PER_MS)
#define SAMPLE_NS (10 * GYR_NS_PER_US) /* long against the clock's own cost */
#define ROUNDS_MAX 15u
#define ROUNDS_MIN 2u
#define CANDIDATES_MAX 16u
#define WORK_NS GYR_NS_PER_S
#define NOISE 0.97 /* of candidate 0's time: what another must be below */

struct entry {
	struct gyr_tune_key key;
	uint32_t choice;
};

static struct {
	pthread_mutex_t lock; /* over all here */
	uint32_t count, oldest;
	uint64_t made;
	struct entry entries[GYR_TUNE_ENTRIES_MAX];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local uint64_t spent_ns; /* by this thread's piece of work */

void gyr_tune_begin(void)
{
	spent_ns = 0;
}

static struct entry *find(const struct gyr_tune_key *key)
{
	for (uint32_t i = 0; i < table.count; i++)
		if (memcmp(&table.entries[i].key, key, sizeof *key) == 0)
			return &table.entries[i];
	return NULL;
}

static void add(const struct gyr_tune_key *key, uint32_t choice)
{
	uint32_t at = table.count < GYR_TUNE_ENTRIES_MAX ? table.count++ : table.oldest++ % GYR_TUNE_ENTRIES_MAX;
	table.entries[at] = (struct entry){.key = *key, .choice = choice};
}

static bool recall(const struct gyr_tune_key *key, uint32_t *choice)
{
	pthread_mutex_lock(&table.lock);
	const struct entry *entry = find(key);
	if (entry != NULL)
		*choice = entry->choice;
	pthread_mutex_unlock(&table.lock);
	return entry != NULL;
}

static void remember(const struct gyr_tune_key *key, uint32_t choice)
{
	pthread_mutex_lock(&table.lock);
	struct entry *entry = find(key);
	if (entry != NULL)
		entry->choice = choice;
	else
		add(key, choice);
	table.made++;
	pthread_mutex_unlock(&table.lock);
}

/* The candidates take turns, so that what disturbs the machine for a while disturbs all; of each the shortest time counts. */
static uint32_t measure(uint32_t count, gyr_tune_fn *run, void *context)
{
	uint64_t begun = gyr_clock_ns(), runs[CANDIDATES_MAX];
	double best[CANDIDATES_MAX];
	for (uint32_t i = 0; i < count; i++) {
		run(context, i); /* into the caches */
		uint64_t start = gyr_clock_ns();
		run(context, i);
		uint64_t once = gyr_clock_ns() - start + 1;
		runs[i] = once < SAMPLE_NS ? SAMPLE_NS / once + 1 : 1;
		best[i] = (double)once;
	}
	for (uint32_t round = 0; round < ROUNDS_MIN || (round < ROUNDS_MAX && gyr_clock_ns() - begun < CHOICE_NS); round++) {
		for (uint32_t i = 0; i < count; i++) {
			uint64_t start = gyr_clock_ns();
			for (uint64_t k = 0; k < runs[i]; k++)
				run(context, i);
			double took = (double)(gyr_clock_ns() - start) / (double)runs[i];
			best[i] = took < best[i] ? took : best[i];
		}
	}
	uint32_t choice = 0;
	for (uint32_t i = 1; i < count; i++)
		if (best[i] < best[choice] * (choice == 0 ? NOISE : 1))
			choice = i;
	spent_ns += gyr_clock_ns() - begun;
	return choice;
}

uint32_t gyr_tune_choose(const struct gyr_tune_key *key, uint32_t count, gyr_tune_fn *run, void *context)
{
	uint32_t choice;
	GYR_ASSERT(count >= 1);
	GYR_ASSERT(count <= CANDIDATES_MAX);
	if (count == 1)
		return 0;
	if (recall(key, &choice) && choice < count)
		return choice;
	if (spent_ns >= WORK_NS)
		return 0;
	choice = measure(count, run, context);
	remember(key, choice);
	return choice;
}

uint64_t gyr_tune_made(void)
{
	pthread_mutex_lock(&table.lock);
	uint64_t made = table.made;
	pthread_mutex_unlock(&table.lock);
	return made;
}

uint32_t gyr_tune_count(void)
{
	pthread_mutex_lock(&table.lock);
	uint32_t count = table.count;
	pthread_mutex_unlock(&table.lock);
	return count;
}

void gyr_tune_forget(void)
{
	pthread_mutex_lock(&table.lock);
	table.count = table.oldest = 0;
	pthread_mutex_unlock(&table.lock);
}

/* The CPU's name, its signature and what it can do: names alone do not tell some apart. */
static void name_cpu(char text[CPU_BYTES])
{
#if defined(__x86_64__)
	unsigned words[12] = {0}, signature = 0, sevens[3] = {0}, unused;
	for (unsigned i = 0; i < 3; i++)
		(void)__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
	(void)__get_cpuid(1, &signature, &unused, &unused, &unused);
	(void)__get_cpuid_count(7, 0, &unused, &sevens[0], &sevens[1], &sevens[2]);
	snprintf(text, CPU_BYTES, "%.48s/%x/%x/%x/%x", (const char *)words, signature, sevens[0], sevens[1], sevens[2]);
#else
	snprintf(text, CPU_BYTES, "unknown");
#endif
}

static uint32_t sizes_used(const struct gyr_tune_key *key)
{
	uint32_t used = GYR_TUNE_SIZES_MAX;
	while (used > 0 && key->sizes[used - 1] == 0)
		used--;
	return used;
}

size_t gyr_tune_export(void *to, size_t size)
{
	struct gyr_pack pack;
	char cpu[CPU_BYTES];
	name_cpu(cpu);
	gyr_pack_init(&pack, to, size);
	msgpack_pack_array(&pack.packer, 3);
	gyr_pack_str(&pack, VERSION);
	gyr_pack_str(&pack, cpu);
	pthread_mutex_lock(&table.lock);
	msgpack_pack_array(&pack.packer, table.count);
	for (uint32_t i = 0; i < table.count; i++) {
		const struct entry *entry = &table.entries[i];
		uint32_t used = sizes_used(&entry->key);
		msgpack_pack_array(&pack.packer, 2 + used);
		gyr_pack_str(&pack, entry->key.kernel);
		msgpack_pack_uint32(&pack.packer, entry->choice);
		for (uint32_t k = 0; k < used; k++)
			msgpack_pack_uint64(&pack.packer, entry->key.sizes[k]);
	}
	pthread_mutex_unlock(&table.lock);
	return pack.overflow ? 0 : pack.used;
}

static bool read_entry(struct gyr_unpack *cursor, struct entry *entry)
{
	uint32_t places, length;
	uint64_t choice;
	const char *kernel;
	*entry = (struct entry){0};
	if (!gyr_unpack_array(cursor, &places) || places < 2 || places > 2 + GYR_TUNE_SIZES_MAX || !gyr_unpack_str(cursor, &kernel, &length) || length == 0 ||
	    length > GYR_TUNE_KERNEL_MAX || memchr(kernel, 0, length) != NULL || !gyr_unpack_uint(cursor, &choice) || choice >= CANDIDATES_MAX)
		return false;
	memcpy(entry->key.kernel, kernel, length);
	entry->choice = (uint32_t)choice;
	for (uint32_t i = 0; i < places - 2; i++)
		if (!gyr_unpack_uint(cursor, &entry->key.sizes[i]))
			return false;
	return true;
}

static int bad(struct gyr_error *error, const char *what)
{
	return gyr_error_set(error, -EBADMSG, "remembered choices: %s", what);
}

int gyr_tune_import(const void *bytes, size_t size, struct gyr_error *error)
{
	struct gyr_unpack cursor = {bytes, (const uint8_t *)bytes + size};
	const char *version, *cpu;
	uint32_t places, version_length, cpu_length, count;
	char here[CPU_BYTES];
	struct entry entry;
	name_cpu(here);
	if (!gyr_unpack_array(&cursor, &places) || places != 3 || !gyr_unpack_str(&cursor, &version, &version_length))
		return bad(error, "no array of a version, a CPU and choices");
	if (!gyr_unpack_is(version, version_length, VERSION))
		return gyr_error_set(error, -ENOTSUP, "remembered choices: of another version of Gyr than %s", GYR_VERSION);
	if (!gyr_unpack_str(&cursor, &cpu, &cpu_length))
		return bad(error, "the CPU is no string");
	if (!gyr_unpack_is(cpu, cpu_length, here))
		return gyr_error_set(error, -ENOTSUP, "remembered choices: of another CPU than %s", here);
	if (!gyr_unpack_array(&cursor, &count) || count > GYR_TUNE_ENTRIES_MAX)
		return bad(error, "the choices are no array, or too many");
	struct gyr_unpack first = cursor; /* all is checked before any of it is remembered */
	for (uint32_t i = 0; i < count; i++)
		if (!read_entry(&cursor, &entry))
			return bad(error, "a choice is not [kernel, candidate, size...]");
	if (cursor.at != cursor.end)
		return bad(error, "bytes follow the array");
	pthread_mutex_lock(&table.lock);
	for (uint32_t i = 0; i < count && read_entry(&first, &entry); i++)
		if (find(&entry.key) == NULL && table.count < GYR_TUNE_ENTRIES_MAX)
			add(&entry.key, entry.choice);
	pthread_mutex_unlock(&table.lock);
	return 0;
}
