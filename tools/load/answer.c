/* What comes in: which question it answers, how, and whether rightly. */
#include "base/clock.h"
#include "tools/load/judge.h"
#include "tools/load/run_internal.h"

void load_question_end(struct load_run *run, struct load_question *question)
{
	struct load_lane *lane = &run->lanes[question->lane];
	if (!question->resting)
		load_list_remove(&run->questions, &lane->under_way, question);
	question->waiting = question->resting = false;
	lane->waiting--;
	run->waiting--;
}

static void count_result(struct load_run *run, const struct load_question *question, const struct gyr_wire_message *answer, uint64_t round_trip_ns)
{
	struct load_kind_stats *stats = &run->stats->kinds[question->kind];
	uint32_t place = load_version_place(stats, run->options->echo ? 0 : answer->version);
	struct load_version *version = &stats->versions[place];
	version->answers++;
	gyr_histogram_add(&version->round_trip, round_trip_ns);
	if (run->windows != NULL) {
		run->windows->kinds[question->kind].answered++;
		gyr_histogram_add(&run->windows->kinds[question->kind].round_trip, round_trip_ns);
	}
	if (run->options->echo)
		return;
	stats->went_back += answer->version < question->newest;
	if (answer->version > stats->newest)
		stats->newest = answer->version;
	enum load_verdict verdict = load_judge(&run->sources[question->kind], question->example, answer->version, place, answer->tensors,
					       answer->tensor_count, run->options->tolerance);
	version->right += verdict == LOAD_RIGHT;
	version->wrong += verdict == LOAD_WRONG;
	if (answer->has_timing)
		for (unsigned i = 0; i < 3; i++)
			gyr_histogram_add(&run->stats->timing[i], answer->timing_ns[i]);
}

static void count_error(struct load_run *run, const struct load_question *question, enum gyr_wire_code code)
{
	run->stats->kinds[question->kind].errors[code < GYR_WIRE_CODE_COUNT ? code : GYR_WIRE_CODE_COUNT]++;
	if (run->windows != NULL) {
		struct load_window_kind *window = &run->windows->kinds[question->kind];
		*(code == GYR_WIRE_BUSY ? &window->busy : &window->refused) += 1;
	}
}

/* Whether the question is kept, to be asked again when the server said. */
static bool put_off(struct load_run *run, struct load_question *question, const struct gyr_wire_message *answer, uint64_t now_ns)
{
	if (!run->options->backoff || answer->code != GYR_WIRE_BUSY || question->attempts >= run->options->attempts)
		return false;
	if (!load_rest_add(&run->rest, now_ns + answer->retry_after_us * GYR_NS_PER_US, question->id))
		return false;
	load_list_remove(&run->questions, &run->lanes[question->lane].under_way, question);
	question->resting = true;
	run->stats->kinds[question->kind].put_off += question->measured;
	return true;
}

void load_take_answer(void *context, uint32_t client, const uint8_t *bytes, size_t size)
{
	struct load_run *run = context;
	uint64_t now_ns = gyr_clock_ns();
	struct gyr_wire_message answer;
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(bytes, size, &answer, &reason);
	struct load_question *question = answer.has_id ? load_question_of(&run->questions, answer.id) : NULL;
	if (question == NULL || question->client != client) {
		run->stats->stray++;
		return;
	}
	question->answers++;
	if (!question->waiting) {
		/* A second answer is right when we asked twice. */
		run->stats->doubled += question->answers > question->attempts;
		return;
	}
	bool refused = code == GYR_WIRE_OK && answer.type == GYR_WIRE_ERROR;
	if (refused && answer.code == GYR_WIRE_BUSY && question->resting) {
		/* It was told already. */
		run->stats->doubled += question->answers > question->attempts;
		return;
	}
	if (refused && put_off(run, question, &answer, now_ns))
		return;
	load_question_end(run, question);
	if (!question->measured)
		return;
	run->last_ns = now_ns;
	if (code == GYR_WIRE_OK && answer.type == (run->options->echo ? GYR_WIRE_REQUEST : GYR_WIRE_RESULT))
		count_result(run, question, &answer, now_ns - question->due_ns);
	else if (refused)
		count_error(run, question, answer.code);
	else
		run->stats->kinds[question->kind].malformed++;
}
