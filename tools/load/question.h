/*
 * Questions under way. A question has a place from its first datagram until it is answered or given up; places are used in turn, so that a place still
 * remembers its last question when a second answer to it comes. The id tells the place. Questions under way hang on the list of their lane, oldest datagram
 * first, whose head is the next to be asked again; those that rest (--backoff) hang on none.
 */
#ifndef GYR_TOOLS_LOAD_QUESTION_H
#define GYR_TOOLS_LOAD_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_NONE UINT32_MAX

struct load_question {
	uint64_t id;
	uint64_t due_ns, sent_ns; /* the time it is measured from; its latest datagram */
	uint64_t newest;          /* version that had answered its kind before it was asked */
	uint32_t client, example;
	uint32_t older, newer; /* on the list */
	uint32_t attempts, answers;
	uint16_t kind;
	uint8_t lane;
	bool waiting, resting, measured;
};

struct load_list {
	uint32_t oldest, newest; /* LOAD_NONE: empty */
};

struct load_questions {
	struct load_question *all;
	uint32_t count, next;
	uint64_t sequence; /* the upper bits of ids */
};

/* Places for IN_FLIGHT questions under way at once. False: no memory. */
bool load_questions_init(struct load_questions *questions, uint32_t in_flight);
void load_questions_fini(struct load_questions *questions);

/* The next free place, with a new id, all else zero. No more than IN_FLIGHT may be waiting. */
struct load_question *load_question_take(struct load_questions *questions);

/* The question that has ID, answered or not, as long as its place is not used again; NULL: none of ours. */
struct load_question *load_question_of(const struct load_questions *questions, uint64_t id);

void load_list_append(struct load_questions *questions, struct load_list *list, struct load_question *question);
void load_list_remove(struct load_questions *questions, struct load_list *list, const struct load_question *question);

#endif
