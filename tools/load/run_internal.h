/* What run.c (the loop) and answer.c (what comes in) share. */
#ifndef GYR_TOOLS_LOAD_RUN_INTERNAL_H
#define GYR_TOOLS_LOAD_RUN_INTERNAL_H

#include "tools/load/question.h"
#include "tools/load/rest.h"
#include "tools/load/run.h"
#include "tools/load/schedule.h"

/* One stream as it runs. */
struct load_lane {
	const struct load_stream *stream;
	struct load_schedule schedule; /* open loop */
	uint64_t from_ns, until_ns, random;
	struct load_list under_way;
	uint32_t waiting; /* with those that rest */
	uint32_t client_next;
	double weight; /* of all its kinds */
};

struct load_run {
	const struct load_options *options;
	const struct load_source *sources;
	struct load_transport *transport;
	struct load_windows *windows; /* or NULL */
	struct load_stats *stats;
	struct load_questions questions;
	struct load_rest rest;
	struct load_lane lanes[LOAD_STREAMS_MAX];
	uint64_t kind_asked[LOAD_KINDS_MAX]; /* with the warm-up */
	uint32_t waiting;
	uint64_t issued, measured;            /* with, and without, the warm-up */
	uint64_t first_ns, asked_ns, last_ns; /* of what is measured: the first question, the last one, the last answer */
};

/* A load_handler: one datagram that has come. CONTEXT is the run. */
load_handler load_take_answer;

/* The question is over, however it ended. */
void load_question_end(struct load_run *run, struct load_question *question);

#endif
