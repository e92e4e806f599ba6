/* A client whose questions and answers are known: it checks every number, and counts what is lost. It never asks twice, but where it was told to come back. */
#ifndef GYR_TESTS_E2E_STORM_GOOD_H
#define GYR_TESTS_E2E_STORM_GOOD_H

#include "message.h"
#include "way.h"

#define GOOD_FLIGHT_MAX 64u

/* Questions of one row each and their answers. */
struct good_pairs {
	uint32_t count, in, out; /* floats of a question's row, and of an answer's */
	float *questions, *answers;
};

struct good_slot {
	uint64_t id;
	uint64_t sent_ns;  /* 0: not asked */
	uint64_t again_ns; /* told to come back then; 0: not told */
	uint32_t first, rows;
};

struct good {
	const struct good_pairs *pairs;
	const char *model;
	struct path path;
	uint32_t flight; /* how many it asks at once, a power of two */
	struct good_slot slots[GOOD_FLIGHT_MAX];
	uint64_t next;
	struct message message;
	struct frame frame;
	/* What it saw. */
	uint64_t sent, asked, answered, wrong, lost, busy, refused, stray;
	uint64_t worst_ns;
};

/* Reads PATH: three 32-bit numbers (count, in, out), then all questions, then all answers. Ends the program when it cannot. */
void good_read(const char *path, struct good_pairs *pairs);

/* Asks what may be asked, while ASK, and gives up what had no answer for five seconds; how many are waited for. */
uint32_t good_turn(struct good *good, struct way *way, uint64_t now_ns, bool ask);

/* Takes an answer to its address and port. */
void good_take(struct good *good, const uint8_t *bytes, uint32_t size, uint64_t now_ns);

#endif
