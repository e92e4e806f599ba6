/* The loop that asks. */
#include "tools/load/run.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "tools/load/run_internal.h"

#define LATE_WAIT_NS (GYR_NS_PER_S / 4) /* the longest wait: often enough for --seconds, --progress and a signal that came before it */

/* Packs QUESTION where the transport wants it. 0: it does not fit, or there is no buffer now. */
static size_t pack(struct load_run *run, const struct load_question *question)
{
	const struct load_options *options = run->options;
	const struct load_kind *kind = &options->kinds[question->kind];
	const struct load_source *source = &run->sources[question->kind];
	struct gyr_wire_output input = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {source->bytes}},
					.data = source->tensors + (size_t)question->example * source->bytes,
					.form = GYR_WIRE_BARE};
	size_t size;
	uint8_t *to = run->transport->methods->buffer(run->transport, question->client, &size);
	if (to == NULL)
		return 0;
	return gyr_wire_pack_request(to, size, question->id, &kind->model, &kind->select, options->deadline_us, &input, 1, options->want_timing);
}

/* One datagram for QUESTION. Without a buffer nothing goes, as if the path had lost it. */
static void ask(struct load_run *run, struct load_question *question, uint64_t now_ns)
{
	size_t bytes = pack(run, question);
	if (bytes != 0)
		run->transport->methods->send(run->transport, bytes);
	else
		run->transport->unsent++;
	question->sent_ns = now_ns;
	question->attempts++;
	load_list_append(&run->questions, &run->lanes[question->lane].under_way, question);
}

static void lose(struct load_run *run, struct load_question *question)
{
	load_question_end(run, question);
	run->stats->kinds[question->kind].lost++;
	if (run->windows != NULL)
		run->windows->kinds[question->kind].lost++;
}

/* Asks again, or gives up, what has waited too long. */
static void expire(struct load_run *run, struct load_lane *lane, uint64_t now_ns)
{
	uint64_t timeout_ns = run->options->timeout_ms * GYR_NS_PER_MS;
	while (lane->under_way.oldest != LOAD_NONE && now_ns - run->questions.all[lane->under_way.oldest].sent_ns >= timeout_ns) {
		struct load_question *question = &run->questions.all[lane->under_way.oldest];
		if (question->attempts >= run->options->attempts) {
			lose(run, question);
			continue;
		}
		load_list_remove(&run->questions, &lane->under_way, question);
		run->stats->resent++;
		ask(run, question, now_ns);
	}
}

/* Asks again what has rested. */
static void wake(struct load_run *run, uint64_t now_ns)
{
	while (load_rest_due_ns(&run->rest) <= now_ns) {
		struct load_question *question = load_question_of(&run->questions, load_rest_take(&run->rest));
		/* A late answer to an earlier attempt may have ended it. */
		if (question == NULL || !question->resting)
			continue;
		question->resting = false;
		run->stats->resent++;
		ask(run, question, now_ns);
	}
}

static uint32_t draw_kind(struct load_run *run, struct load_lane *lane)
{
	const struct load_stream *stream = lane->stream;
	uint32_t kind = stream->kind_first, last = kind + stream->kind_count - 1;
	if (kind == last)
		return kind;
	double drawn = load_random_unit(&lane->random) * lane->weight;
	while (kind < last && drawn >= run->options->kinds[kind].weight)
		drawn -= run->options->kinds[kind++].weight;
	return kind;
}

static void issue(struct load_run *run, struct load_lane *lane, uint64_t due_ns, uint64_t now_ns)
{
	const struct load_stream *stream = lane->stream;
	uint32_t kind = draw_kind(run, lane);
	bool measured = run->issued++ >= run->options->warm_up;
	uint32_t example = (uint32_t)(run->kind_asked[kind]++ % run->sources[kind].count);
	uint32_t client = stream->client_first + lane->client_next;
	lane->client_next = lane->client_next + 1 == stream->client_count ? 0 : lane->client_next + 1;
	if (measured) {
		run->stats->kinds[kind].asked++;
		run->asked_ns = now_ns;
		if (run->measured++ == 0)
			run->first_ns = now_ns;
		if (run->windows != NULL)
			run->windows->kinds[kind].asked++;
		if (stream->rate > 0)
			gyr_histogram_add(&run->stats->late, now_ns - due_ns);
	}
	if (lane->waiting == stream->in_flight) {
		/* The schedule waits for nobody: the oldest goes, or where all rest, this one. */
		run->stats->crowded++;
		if (lane->under_way.oldest == LOAD_NONE) {
			run->stats->kinds[kind].lost++;
			return;
		}
		lose(run, &run->questions.all[lane->under_way.oldest]);
	}
	struct load_question *question = load_question_take(&run->questions);
	question->due_ns = due_ns;
	question->client = client;
	question->example = example;
	question->kind = (uint16_t)kind;
	question->lane = (uint8_t)(lane - run->lanes);
	question->waiting = true;
	question->measured = measured;
	question->newest = run->stats->kinds[kind].newest;
	lane->waiting++;
	run->waiting++;
	ask(run, question, now_ns);
}

/* Nothing more is to be asked. */
static bool is_over(const struct load_run *run, uint64_t start_ns, uint64_t now_ns)
{
	const struct load_options *options = run->options;
	if (options->count != 0 && run->measured >= options->count)
		return true;
	if (options->once && run->measured >= run->sources[0].count)
		return true;
	if (options->seconds > 0 && (double)(now_ns - start_ns) >= options->seconds * (double)GYR_NS_PER_S)
		return true;
	return options->until_version != 0 && load_has_answered(options, run->stats);
}

/* When LANE asks next, if nothing comes before; UINT64_MAX: only after an answer, or never. */
static uint64_t next_ns(const struct load_lane *lane, uint64_t now_ns)
{
	const struct load_stream *stream = lane->stream;
	uint64_t next = now_ns > lane->from_ns ? now_ns : lane->from_ns;
	if (stream->rate > 0)
		next = load_schedule_due_ns(&lane->schedule);
	else if (lane->waiting == stream->in_flight)
		return UINT64_MAX;
	return next >= lane->until_ns ? UINT64_MAX : next;
}

/* Asks what is due in LANE: no more than a burst, so that answers are not left lying while a schedule that fell behind is caught up with. True: all is asked.
 */
static bool ask_due(struct load_run *run, struct load_lane *lane, uint64_t start_ns, uint64_t *now_ns)
{
	for (unsigned i = 0; i < LOAD_BURST && !is_over(run, start_ns, *now_ns); i++) {
		uint64_t due_ns = next_ns(lane, *now_ns);
		if (due_ns > *now_ns)
			return false;
		issue(run, lane, lane->stream->rate > 0 ? due_ns : *now_ns, *now_ns);
		if (lane->stream->rate > 0)
			load_schedule_step(&lane->schedule);
		*now_ns = gyr_clock_ns();
	}
	return is_over(run, start_ns, *now_ns);
}

/* Until when there is nothing to do, if nothing comes. */
static uint64_t idle_until_ns(const struct load_run *run, bool over, uint64_t now_ns)
{
	uint64_t until_ns = now_ns + LATE_WAIT_NS, rested_ns = load_rest_due_ns(&run->rest);
	if (run->windows != NULL) {
		uint64_t window_ns = run->windows->begun_ns + (uint64_t)(run->options->window * (double)GYR_NS_PER_S);
		until_ns = window_ns < until_ns ? window_ns : until_ns;
	}
	until_ns = rested_ns < until_ns ? rested_ns : until_ns;
	for (uint32_t i = 0; i < run->options->stream_count; i++) {
		const struct load_lane *lane = &run->lanes[i];
		if (lane->under_way.oldest != LOAD_NONE) {
			uint64_t expires_ns = run->questions.all[lane->under_way.oldest].sent_ns + run->options->timeout_ms * GYR_NS_PER_MS;
			until_ns = expires_ns < until_ns ? expires_ns : until_ns;
		}
		uint64_t due_ns = over ? UINT64_MAX : next_ns(lane, now_ns);
		until_ns = due_ns < until_ns ? due_ns : until_ns;
	}
	return until_ns;
}

static void start_lanes(struct load_run *run, uint64_t start_ns)
{
	uint64_t seed = run->options->seed;
	for (uint32_t i = 0; i < run->options->stream_count; i++) {
		const struct load_stream *stream = &run->options->streams[i];
		struct load_lane *lane = &run->lanes[i];
		*lane = (struct load_lane){.stream = stream, .under_way = {LOAD_NONE, LOAD_NONE}, .random = load_random(&seed)};
		lane->from_ns = start_ns + (uint64_t)(stream->from_s * (double)GYR_NS_PER_S);
		lane->until_ns = stream->until_s > 0 ? start_ns + (uint64_t)(stream->until_s * (double)GYR_NS_PER_S) : UINT64_MAX;
		if (stream->rate > 0)
			load_schedule_start(&lane->schedule, stream->rate, stream->poisson, load_random(&seed), lane->from_ns);
		for (uint32_t k = stream->kind_first; k < stream->kind_first + stream->kind_count; k++)
			lane->weight += run->options->kinds[k].weight;
	}
}

static void loop(struct load_run *run, const atomic_bool *stop)
{
	const struct load_transport_methods *methods = run->transport->methods;
	uint64_t start_ns = gyr_clock_ns(), now_ns = start_ns;
	bool over = false;
	start_lanes(run, start_ns);
	if (run->windows != NULL)
		load_windows_start(run->windows, start_ns);
	while (!over || run->waiting > 0) {
		unsigned most = run->waiting == 0 ? 1 : run->waiting < LOAD_BURST ? run->waiting : LOAD_BURST;
		unsigned received = methods->receive(run->transport, most, load_take_answer, run);
		now_ns = gyr_clock_ns();
		over = over || atomic_load_explicit(stop, memory_order_relaxed);
		wake(run, now_ns);
		for (uint32_t i = 0; i < run->options->stream_count; i++) {
			expire(run, &run->lanes[i], now_ns);
			over = over || ask_due(run, &run->lanes[i], start_ns, &now_ns);
		}
		methods->flush(run->transport);
		if (run->windows != NULL && load_windows_turn(run->windows, now_ns) && !over)
			over = run->stats->stable = true;
		if (received == 0 && (!over || run->waiting > 0))
			methods->wait(run->transport, idle_until_ns(run, over, now_ns));
	}
}

/* Whether each kind's longest question fits a datagram. */
static int try_sizes(struct load_run *run, struct gyr_error *error)
{
	for (uint32_t i = 0; i < run->options->kind_count; i++)
		if (pack(run, &(struct load_question){.id = UINT64_MAX, .kind = (uint16_t)i}) == 0)
			return gyr_error_set(error, -EMSGSIZE, "questions of %u bytes to \"%.*s\" do not fit a datagram on this way", run->sources[i].bytes,
					     (int)run->options->kinds[i].model.length, run->options->kinds[i].model.name);
	return 0;
}

int load_run(const struct load_options *options, const struct load_source *sources, struct load_transport *transport, struct load_windows *windows,
	     const atomic_bool *stop, struct load_stats *stats, struct gyr_error *error)
{
	struct load_run run = {.options = options, .sources = sources, .transport = transport, .windows = windows, .stats = stats};
	uint32_t in_flight = 0;
	for (uint32_t i = 0; i < options->stream_count; i++)
		in_flight += options->streams[i].in_flight;
	load_stats_clear(stats);
	transport->rejected = transport->unsent = 0;
	bool ready = load_questions_init(&run.questions, in_flight) && (!options->backoff || load_rest_init(&run.rest, in_flight));
	int status = ready ? try_sizes(&run, error) : gyr_error_set(error, -ENOMEM, "no memory for %u questions under way", in_flight);
	if (status == 0) {
		loop(&run, stop);
		stats->rejected = transport->rejected;
		stats->unsent = transport->unsent;
		/* A server that answers no more has answered nothing for as long as it was still asked. */
		stats->elapsed_ns = (run.last_ns > run.asked_ns ? run.last_ns : run.asked_ns) - run.first_ns;
		stats->asking_ns = run.asked_ns - run.first_ns;
	}
	load_questions_fini(&run.questions);
	load_rest_fini(&run.rest);
	return status;
}
