/*
 * The loop that asks. A question has a slot from its first datagram until it is answered or given up; slots are used in turn, so that a slot still remembers
 * its last question when a second answer to it comes. The id tells the slot. Questions under way hang on a list, oldest datagram first, whose head is the next
 * to be asked again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "tools/load/load.h"

#define SLOT_BITS 18u /* more than twice LOAD_IN_FLIGHT_MAX */
#define SLOTS_MIN 1024u
#define NONE UINT32_MAX

_Static_assert(LOAD_IN_FLIGHT_MAX * 2 <= 1u << SLOT_BITS, "a slot for each question under way and as many that remember");

struct slot {
	uint64_t id;
	uint64_t due_ns, sent_ns; /* the time it is measured from; its latest datagram */
	uint32_t example;
	uint32_t attempts, answers;
	uint32_t older, newer; /* on the list of those under way */
	bool waiting, measured;
};

struct run {
	const struct load_options *options;
	const struct load_source *source;
	struct load_transport *transport;
	struct load_stats *stats;
	struct slot *slots;
	uint32_t slot_count, next_slot;
	uint32_t oldest, newest; /* under way */
	uint32_t waiting;
	uint64_t sequence;                    /* the upper bits of ids */
	uint64_t issued;                      /* with the warm-up */
	uint64_t start_ns, first_ns, last_ns; /* of the loop, of what is measured */
};

static void unlink_slot(struct run *run, struct slot *slot)
{
	*(slot->older == NONE ? &run->oldest : &run->slots[slot->older].newer) = slot->newer;
	*(slot->newer == NONE ? &run->newest : &run->slots[slot->newer].older) = slot->older;
}

static void append_slot(struct run *run, struct slot *slot)
{
	uint32_t index = (uint32_t)(slot - run->slots);
	slot->older = run->newest;
	slot->newer = NONE;
	*(run->newest == NONE ? &run->oldest : &run->slots[run->newest].newer) = index;
	run->newest = index;
}

/* The question is over, however it ended. */
static void end_slot(struct run *run, struct slot *slot)
{
	unlink_slot(run, slot);
	slot->waiting = false;
	run->waiting--;
}

/* Packs the question in SLOT where the transport wants it. 0: it does not fit, or there is no buffer now. */
static size_t pack_slot(struct run *run, const struct slot *slot)
{
	const struct load_options *options = run->options;
	struct gyr_wire_output input = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {run->source->bytes}},
					.data = run->source->tensors + (size_t)slot->example * run->source->bytes,
					.form = GYR_WIRE_BARE};
	size_t size;
	uint8_t *to = run->transport->methods->buffer(run->transport, &size);
	if (to == NULL)
		return 0;
	return gyr_wire_pack_request(to, size, slot->id, &options->model, &options->select, options->deadline_us, &input, 1, options->want_timing);
}

/* One datagram for the question in SLOT. Without a buffer nothing goes, as if the path had lost it. */
static void send_slot(struct run *run, struct slot *slot)
{
	size_t bytes = pack_slot(run, slot);
	if (bytes != 0)
		run->transport->methods->send(run->transport, bytes);
	slot->attempts++;
	append_slot(run, slot);
}

/* Whether the slot whose turn it is can be used. One long unanswered question must not stop the others, so those under way are passed over. */
static struct slot *free_slot(struct run *run)
{
	for (;;) {
		struct slot *slot = &run->slots[run->next_slot];
		run->next_slot = run->next_slot + 1 == run->slot_count ? 0 : run->next_slot + 1;
		if (!slot->waiting)
			return slot;
	}
}

static void issue(struct run *run, uint64_t due_ns, uint64_t now_ns)
{
	struct slot *slot = free_slot(run);
	*slot = (struct slot){
		.id = run->sequence++ << SLOT_BITS | (uint64_t)(slot - run->slots),
		.due_ns = due_ns,
		.sent_ns = now_ns,
		.example = (uint32_t)(run->issued % run->source->count),
		.waiting = true,
		.measured = run->issued >= run->options->warm_up,
	};
	run->issued++;
	run->waiting++;
	if (slot->measured && run->stats->asked++ == 0)
		run->first_ns = now_ns;
	send_slot(run, slot);
}

/* Asks again, or gives up, what has waited too long. */
static void expire(struct run *run, uint64_t now_ns)
{
	uint64_t timeout_ns = run->options->timeout_ms * GYR_NS_PER_MS;
	while (run->oldest != NONE && now_ns - run->slots[run->oldest].sent_ns >= timeout_ns) {
		struct slot *slot = &run->slots[run->oldest];
		if (slot->attempts >= run->options->attempts) {
			end_slot(run, slot);
			run->stats->lost++;
			continue;
		}
		unlink_slot(run, slot);
		slot->sent_ns = now_ns;
		run->stats->resent++;
		send_slot(run, slot);
	}
}

static struct load_version *version_of(struct load_stats *stats, uint64_t number)
{
	for (uint32_t i = 0; i < stats->version_count; i++)
		if (stats->versions[i].version == number)
			return &stats->versions[i];
	/* Beyond the last place all share it. */
	if (stats->version_count == LOAD_VERSIONS_MAX)
		return &stats->versions[LOAD_VERSIONS_MAX - 1];
	stats->versions[stats->version_count] = (struct load_version){.version = number};
	return &stats->versions[stats->version_count++];
}

static bool is_correct(const struct load_source *source, uint32_t example, const struct gyr_wire_tensor *scores)
{
	uint32_t best = 0;
	float most = 0;
	for (uint32_t i = 0; i < scores->bytes / sizeof(float); i++) {
		float score;
		memcpy(&score, scores->data + i * sizeof score, sizeof score);
		if (i == 0 || score > most) {
			most = score;
			best = i;
		}
	}
	return best == source->labels[example];
}

static void count_result(struct run *run, const struct slot *slot, const struct gyr_wire_message *answer)
{
	struct load_stats *stats = run->stats;
	stats->answered++;
	if (run->options->echo)
		return;
	struct load_version *version = version_of(stats, answer->version);
	version->answers++;
	if (run->source->labels != NULL && is_correct(run->source, slot->example, &answer->tensors[0])) {
		stats->correct++;
		version->correct++;
	}
	if (answer->has_timing)
		for (unsigned i = 0; i < 3; i++)
			gyr_histogram_add(&stats->timing[i], answer->timing_ns[i]);
}

static void handle(void *context, const uint8_t *bytes, size_t size)
{
	struct run *run = context;
	uint64_t now_ns = gyr_clock_ns();
	struct gyr_wire_message answer;
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(bytes, size, &answer, &reason);
	uint64_t index = answer.id & ((1u << SLOT_BITS) - 1);
	struct slot *slot = &run->slots[index < run->slot_count ? index : 0];
	if (!answer.has_id || slot->attempts == 0 || slot->id != answer.id) {
		run->stats->stray++;
		return;
	}
	slot->answers++;
	if (!slot->waiting) {
		/* A second answer is right when we asked twice. */
		run->stats->doubled += slot->answers > slot->attempts;
		return;
	}
	end_slot(run, slot);
	if (!slot->measured)
		return;
	run->last_ns = now_ns;
	if (code == GYR_WIRE_OK && answer.type == (run->options->echo ? GYR_WIRE_REQUEST : GYR_WIRE_RESULT)) {
		count_result(run, slot, &answer);
		gyr_histogram_add(&run->stats->round_trip, now_ns - slot->due_ns);
	} else if (code == GYR_WIRE_OK && answer.type == GYR_WIRE_ERROR) {
		run->stats->errors[answer.code < GYR_WIRE_CODE_COUNT ? answer.code : GYR_WIRE_CODE_COUNT]++;
	} else {
		run->stats->malformed++;
	}
}

static bool has_answered(const struct load_options *options, const struct load_stats *stats)
{
	for (uint32_t i = 0; i < stats->version_count; i++)
		if (stats->versions[i].version == options->until_version)
			return stats->versions[i].answers >= options->then;
	return false;
}

/* Nothing more is to be asked. */
static bool is_over(const struct run *run, uint64_t now_ns)
{
	const struct load_options *options = run->options;
	if (options->count != 0 && run->stats->asked >= options->count)
		return true;
	if (options->once && run->stats->asked >= run->source->count)
		return true;
	if (options->seconds > 0 && (double)(now_ns - run->start_ns) >= options->seconds * (double)GYR_NS_PER_S)
		return true;
	return options->until_version != 0 && has_answered(options, run->stats);
}

static void progress(const struct run *run, uint64_t now_ns, uint64_t *told_ns, uint64_t *told_answered)
{
	if (now_ns - *told_ns < GYR_NS_PER_S)
		return;
	load_report_progress(run->stats, (double)(now_ns - run->start_ns) / (double)GYR_NS_PER_S, *told_answered,
			     (double)(now_ns - *told_ns) / (double)GYR_NS_PER_S);
	*told_ns = now_ns;
	*told_answered = run->stats->answered;
}

static void loop(struct run *run, const atomic_bool *stop)
{
	const struct load_options *options = run->options;
	const struct load_transport_methods *methods = run->transport->methods;
	uint64_t now_ns = gyr_clock_ns(), told_ns = now_ns, told_answered = 0, scheduled = 0, next_ns = now_ns;
	bool over = false;
	run->start_ns = now_ns;
	while (!over || run->waiting > 0) {
		unsigned most = run->waiting == 0 ? 1 : run->waiting < LOAD_BURST ? run->waiting : LOAD_BURST;
		unsigned received = methods->receive(run->transport, most, handle, run);
		now_ns = gyr_clock_ns();
		expire(run, now_ns);
		over = over || atomic_load_explicit(stop, memory_order_relaxed) || is_over(run, now_ns);
		/* No more than a burst, so that answers are not left lying while a schedule that fell behind is caught up with. */
		for (unsigned i = 0; i < LOAD_BURST && !over && run->waiting < options->in_flight && (options->rate == 0 || next_ns <= now_ns); i++) {
			issue(run, options->rate == 0 ? now_ns : next_ns, now_ns);
			next_ns = run->start_ns + (uint64_t)((double)++scheduled * (double)GYR_NS_PER_S / (options->rate == 0 ? 1 : options->rate));
			now_ns = gyr_clock_ns();
			over = is_over(run, now_ns);
		}
		methods->flush(run->transport);
		if (options->progress)
			progress(run, now_ns, &told_ns, &told_answered);
		if (received > 0)
			continue;
		uint64_t until_ns = now_ns + GYR_NS_PER_S / 4; /* often enough for --seconds, --progress and a signal that came before the wait */
		if (run->oldest != NONE && run->slots[run->oldest].sent_ns + options->timeout_ms * GYR_NS_PER_MS < until_ns)
			until_ns = run->slots[run->oldest].sent_ns + options->timeout_ms * GYR_NS_PER_MS;
		if (!over && options->rate > 0 && run->waiting < options->in_flight && next_ns < until_ns)
			until_ns = next_ns;
		if (!over || run->waiting > 0)
			methods->wait(run->transport, until_ns);
	}
}

int load_run(const struct load_options *options, const struct load_source *source, struct load_transport *transport, const atomic_bool *stop,
	     struct load_stats *stats, struct gyr_error *error)
{
	uint32_t start = 0;
	struct run run = {.options = options, .source = source, .transport = transport, .stats = stats, .oldest = NONE, .newest = NONE};
	run.slot_count = options->in_flight * 2 < SLOTS_MIN ? SLOTS_MIN : options->in_flight * 2;
	run.slots = calloc(run.slot_count, sizeof *run.slots);
	if (run.slots == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for %u questions under way", options->in_flight);
	/* A random start, so that an answer to an earlier run on the same port is a stray one. */
	if (getrandom(&start, sizeof start, 0) != sizeof start)
		start = (uint32_t)gyr_clock_ns();
	run.sequence = start;
	/* The longest id there is. */
	if (pack_slot(&run, &(struct slot){.id = UINT64_MAX}) == 0) {
		free(run.slots);
		return gyr_error_set(error, -EMSGSIZE, "questions of %u bytes do not fit a datagram on this way", source->bytes);
	}
	loop(&run, stop);
	stats->rejected = transport->rejected;
	stats->elapsed_ns = run.last_ns > run.first_ns ? run.last_ns - run.first_ns : 0;
	free(run.slots);
	return 0;
}

bool load_is_clean(const struct load_options *options, const struct load_stats *stats)
{
	uint64_t bad = stats->lost + stats->doubled + stats->malformed;
	for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
		bad += stats->errors[i];
	return bad == 0 && stats->answered > 0 && (options->until_version == 0 || has_answered(options, stats));
}
