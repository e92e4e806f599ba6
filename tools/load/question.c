/* Questions under way: see question.h. */
#include "tools/load/question.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "tools/load/load.h"

#define PLACE_BITS 21u
#define PLACES_MIN 1024u

_Static_assert(LOAD_IN_FLIGHT_MAX *LOAD_STREAMS_MAX * 2 <= 1u << PLACE_BITS, "a place for each question under way and as many that remember");

bool load_questions_init(struct load_questions *questions, uint32_t in_flight)
{
	uint32_t start = 0;
	*questions = (struct load_questions){.count = in_flight * 2 < PLACES_MIN ? PLACES_MIN : in_flight * 2};
	questions->all = calloc(questions->count, sizeof *questions->all);
	/* A random start, so that an answer to an earlier run on the same port is a stray one. */
	if (getrandom(&start, sizeof start, 0) != sizeof start)
		start = (uint32_t)gyr_clock_ns();
	questions->sequence = start;
	return questions->all != NULL;
}

void load_questions_fini(struct load_questions *questions)
{
	free(questions->all);
	questions->all = NULL;
}

struct load_question *load_question_take(struct load_questions *questions)
{
	/* One long unanswered question must not stop the others, so those under way are passed over. */
	for (;;) {
		struct load_question *question = &questions->all[questions->next];
		uint64_t place = questions->next;
		questions->next = questions->next + 1 == questions->count ? 0 : questions->next + 1;
		if (question->waiting)
			continue;
		*question = (struct load_question){.id = questions->sequence++ << PLACE_BITS | place};
		return question;
	}
}

struct load_question *load_question_of(const struct load_questions *questions, uint64_t id)
{
	uint64_t place = id & ((1u << PLACE_BITS) - 1);
	struct load_question *question = &questions->all[place < questions->count ? place : 0];
	return question->attempts > 0 && question->id == id ? question : NULL;
}

void load_list_append(struct load_questions *questions, struct load_list *list, struct load_question *question)
{
	uint32_t place = (uint32_t)(question - questions->all);
	question->older = list->newest;
	question->newer = LOAD_NONE;
	*(list->newest == LOAD_NONE ? &list->oldest : &questions->all[list->newest].newer) = place;
	list->newest = place;
}

void load_list_remove(struct load_questions *questions, struct load_list *list, const struct load_question *question)
{
	*(question->older == LOAD_NONE ? &list->oldest : &questions->all[question->older].newer) = question->newer;
	*(question->newer == LOAD_NONE ? &list->newest : &questions->all[question->newer].older) = question->older;
}
