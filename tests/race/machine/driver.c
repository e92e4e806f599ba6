/* Seeds, and sites weakened one by one. Each weakened run is in a child of its own: a failed run leaves behind what it had half done. */
#include "tests/race/machine/machine_internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 10000u
#define SEEDS_SPARE 2000u
#define SEEDS_WEAKENED 50000u /* until one of them fails */
#define LONG_FACTOR 100u

static unsigned factor(void)
{
	const char *is_long = getenv("GYR_LONG");
	return is_long != NULL && is_long[0] != '\0' ? LONG_FACTOR : 1;
}

static void name_site(const struct machine_site *site, char *text, size_t size)
{
	static const char *const ops[] = {"load", "store", "change", "fence"};
	snprintf(text, size, "%s %s %s", site->function, ops[site->op], site->what);
}

static bool is_spare(const struct machine_case *this, const char *name)
{
	for (unsigned i = 0; this->spare != NULL && this->spare[i] != NULL; i++) {
		if (strcmp(this->spare[i], name) == 0)
			return true;
	}
	return false;
}

/* The first seed that fails, or 0. Seed 0 is not used. */
static uint64_t find_failure(const struct machine_case *this, const struct machine_site *weakened, uint64_t seeds, const char **failure)
{
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		if (!machine_run(this->body, seed, weakened, false, failure))
			return seed;
	}
	return 0;
}

/* Whether some seed fails with SITE weakened. */
static bool is_needed(const struct machine_case *this, const struct machine_site *site, const char *name, uint64_t seeds)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		const char *failure;
		uint64_t seed = find_failure(this, site, seeds * factor(), &failure);
		if (seed != 0)
			printf("   without \"%s\", seed %" PRIu64 ": %s\n", name, seed, failure);
		fflush(stdout);
		_exit(seed != 0);
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* Whether the list has the same place before SITE. */
static bool was_seen(const struct machine_site *site)
{
	for (const struct machine_site *other = machine_sites; other != site; other = other->next) {
		if (machine_is_same(other, site))
			return true;
	}
	return false;
}

/* How many orders of the case are not as they should be. */
static unsigned weaken_each(const struct machine_case *this)
{
	unsigned wrong = 0, needed = 0;
	for (const struct machine_site *site = machine_sites; site != NULL; site = site->next) {
		char name[256];
		if (site->order == memory_order_relaxed || was_seen(site))
			continue;
		name_site(site, name, sizeof name);
		bool spare = is_spare(this, name), is = is_needed(this, site, name, spare ? SEEDS_SPARE : SEEDS_WEAKENED);
		needed += is;
		if (is != spare)
			continue;
		wrong++;
		printf("%s: \"%s\" %s\n", this->name, name,
		       spare ? "is listed as spare, and is needed" : "is not needed, or this test does not see what it is for");
	}
	printf("%s: %u orders needed\n", this->name, needed);
	return wrong;
}

static bool try_case(const struct machine_case *this)
{
	const char *failure;
	machine_sites = NULL;
	machine_case_number++;
	uint64_t seeds = (uint64_t)SEEDS * factor(), seed = find_failure(this, NULL, seeds, &failure);
	if (seed != 0) {
		printf("%s fails: %s\nsee it with --case %s --seed %" PRIu64 "\n", this->name, failure, this->name, seed);
		return false;
	}
	printf("%s: %" PRIu64 " seeds passed\n", this->name, seeds);
	return weaken_each(this) == 0;
}

/* Sites are known by name only once they have been reached. */
static int replay(const struct machine_case *this, uint64_t seed, const char *without)
{
	const struct machine_site *weakened = NULL;
	const char *failure;
	machine_case_number = 1;
	find_failure(this, NULL, without != NULL ? SEEDS : 0, &failure);
	for (const struct machine_site *site = machine_sites; without != NULL && site != NULL; site = site->next) {
		char name[256];
		name_site(site, name, sizeof name);
		if (strcmp(name, without) == 0)
			weakened = site;
	}
	if (without != NULL && weakened == NULL) {
		printf("%s never reaches \"%s\"\n", this->name, without);
		return 2;
	}
	return machine_run(this->body, seed, weakened, true, &failure) ? 0 : 1;
}

int machine_main(int argc, char **argv, const struct machine_case *cases, unsigned count)
{
	const char *only = NULL, *without = NULL;
	uint64_t seed = 0;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--case") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--without") == 0)
			without = argv[i + 1];
		else
			argc = 0;
	}
	if (argc % 2 == 0 || (seed != 0 && only == NULL)) {
		fprintf(stderr, "usage: %s [--case NAME [--seed N [--without SITE]]]\n", argv[0]);
		return 2;
	}
	bool good = true;
	for (unsigned i = 0; i < count; i++) {
		if (only != NULL && strcmp(only, cases[i].name) != 0)
			continue;
		if (seed != 0)
			return replay(&cases[i], seed, without);
		good = try_case(&cases[i]) && good;
	}
	return good ? 0 : 1;
}
