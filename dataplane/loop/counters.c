/* The fields of every table, made from the lists in the header and from the names that other rooms give. */
#include "dataplane/loop/counters.h"

#include <stdio.h>
#include <string.h>

#include "base/assertion.h"

/* The fields of one table, as they are put together. */
struct list {
	uint32_t count;
	struct gyr_stats_field fields[GYR_STATS_FIELDS_MAX];
};

static struct gyr_stats_field *add(struct list *list, enum gyr_stats_kind kind, size_t offset, size_t bytes, const char *name, const char *help)
{
	GYR_ASSERT(list->count < GYR_STATS_FIELDS_MAX);
	struct gyr_stats_field *field = &list->fields[list->count++];
	*field = (struct gyr_stats_field){.kind = (uint32_t)kind, .offset = (uint32_t)offset, .bytes = (uint32_t)bytes};
	GYR_ASSERT(strlen(name) < sizeof field->name);
	GYR_ASSERT(strlen(help) < sizeof field->help);
	strcpy(field->name, name);
	strcpy(field->help, help);
	return field;
}

/* PREFIX.NAME, with '_' for spaces; "runs" and the like. */
static void add_named(struct list *list, size_t offset, const char *prefix, const char *name, const char *help)
{
	char whole[64];
	snprintf(whole, sizeof whole, "%s.%s", prefix, name);
	for (char *c = whole; *c != '\0'; c++)
		*c = *c == ' ' ? '_' : *c;
	add(list, GYR_STATS_COUNTER, offset, sizeof(uint64_t), whole, help);
}

#define ADD_WORD(member, kind, name, help) add(list, GYR_STATS_##kind, offsetof(STRUCT, member), sizeof(uint64_t), name, help);
#define ADD_HEAD(type, kind, member, help) add(list, GYR_STATS_##kind, offsetof(type, member), sizeof(((type *)0)->member), #member, help)

const char *gyr_answer_name(enum gyr_answer answer)
{
	switch (answer) {
	case GYR_ANSWER_RESULT: return "result";
	case GYR_ANSWER_DESCRIPTION: return "description";
	case GYR_ANSWER_PONG: return "pong";
	case GYR_ANSWER_WITHHELD: return "withheld";
	case GYR_ANSWER_LATE: return "late";
	case GYR_ANSWER_NONE: return "none";
	case GYR_ANSWER_PIECE: return "piece";
	case GYR_ANSWER_NO_ROOM: return "no_room";
	case GYR_ANSWER_MISSING: return "missing";
	default: return gyr_wire_code_name((enum gyr_wire_code)answer);
	}
}

static void list_lcore(struct list *list)
{
	ADD_HEAD(struct gyr_lcore_head, NUMBER, lcore, "DPDK's number of the lcore");
	ADD_HEAD(struct gyr_lcore_head, NUMBER, cpu, "the CPU that it runs on");
	ADD_HEAD(struct gyr_lcore_head, TEXT, roles, "io, engine, or both");
#define STRUCT struct gyr_lcore_counters
	GYR_LCORE_COUNTERS(ADD_WORD)
#undef STRUCT
	for (unsigned i = 0; i < GYR_NET_OUTCOMES; i++)
		add_named(list, offsetof(struct gyr_lcore_counters, net) + i * sizeof(uint64_t), "net", gyr_net_outcome_name((enum gyr_net_outcome)i),
			  "frames received, by what became of them");
	for (unsigned i = 0; i < GYR_ANSWERS; i++)
		add_named(list, offsetof(struct gyr_lcore_counters, answers) + i * sizeof(uint64_t), "answer", gyr_answer_name((enum gyr_answer)i),
			  "datagrams for us, by their answer");
}

static void list_queue(struct list *list, const char *lcore_help)
{
	ADD_HEAD(struct gyr_queue_head, TEXT, port, "DPDK's name of the port");
	ADD_HEAD(struct gyr_queue_head, NUMBER, queue, "number of the queue");
	ADD_HEAD(struct gyr_queue_head, NUMBER, lcore, lcore_help);
}

static void list_rx(struct list *list)
{
	list_queue(list, "the lcore that polls it");
#define STRUCT struct gyr_rx_counters
	GYR_RX_COUNTERS(ADD_WORD)
#undef STRUCT
}

static void list_tx(struct list *list)
{
	list_queue(list, "the lcore that sends through it");
#define STRUCT struct gyr_tx_counters
	GYR_TX_COUNTERS(ADD_WORD)
#undef STRUCT
}

static void list_port(struct list *list)
{
	ADD_HEAD(struct gyr_port_head, TEXT, name, "DPDK's name of the port");
	ADD_HEAD(struct gyr_port_head, TEXT, devargs, "how it was opened");
	ADD_HEAD(struct gyr_port_head, TEXT, mac, "its MAC address");
	ADD_HEAD(struct gyr_port_head, TEXT, address, "its IP address and prefix");
	ADD_HEAD(struct gyr_port_head, NUMBER, queues, "receive queues");
	ADD_HEAD(struct gyr_port_head, NUMBER, tx_queues, "send queues");
	ADD_HEAD(struct gyr_port_head, NUMBER, mbufs, "buffers that it has");
#define STRUCT struct gyr_port_counters
	GYR_PORT_COUNTERS(ADD_WORD)
#undef STRUCT
}

static void list_house(struct list *list)
{
	ADD_HEAD(struct gyr_house_head, NUMBER, hugepages, "1 when packets lie in huge pages");
#define STRUCT struct gyr_house_counters
	GYR_HOUSE_COUNTERS(ADD_WORD)
#undef STRUCT
}

static void list_refused(struct list *list, size_t offset, const char *help)
{
	for (unsigned i = GYR_WIRE_OK + 1; i < GYR_WIRE_CODE_COUNT; i++)
		add_named(list, offset + i * sizeof(uint64_t), "refused", gyr_wire_code_name((enum gyr_wire_code)i), help);
}

static void list_model(struct list *list)
{
	ADD_HEAD(struct gyr_model_head, TEXT, model, "name of the model");
	ADD_HEAD(struct gyr_model_head, NUMBER, handle, "the number that describe gives for the name");
	list_refused(list, offsetof(struct gyr_model_counters, refused), "requests refused before a version was chosen, by reason");
#define STRUCT struct gyr_model_counters
	ADD_WORD(over_allowance, COUNTER, "over_allowance", "of those with busy: the client had used its engine time")
#undef STRUCT
}

static void list_version(struct list *list)
{
	static const char *const stages[GYR_STAGES][2] = {
		[GYR_STAGE_PARSED] = {"parsed", "arrival until parsed with its burst"},
		[GYR_STAGE_QUEUED] = {"queued", "from then until the run that it is part of begins"},
		[GYR_STAGE_COMPUTED] = {"computed", "the run"},
		[GYR_STAGE_SENT] = {"sent", "the end of the run until handed to the port, or to the lcore that sends"},
		[GYR_STAGE_TOTAL] = {"total", "all of these together"},
	};
	ADD_HEAD(struct gyr_version_head, TEXT, model, "name of the model");
	ADD_HEAD(struct gyr_version_head, NUMBER, version, "number of the version");
	ADD_HEAD(struct gyr_version_head, TEXT, id, "hash of its content");
	ADD_HEAD(struct gyr_version_head, TEXT, precision, "what its products are computed in");
	ADD_HEAD(struct gyr_version_head, NUMBER, batch_max, "rows that a run takes at most");
	ADD_HEAD(struct gyr_version_head, NUMBER, weight_bytes, "bytes of packed weights");
	ADD_HEAD(struct gyr_version_head, NUMBER, scratch_bytes, "bytes of scratch memory a core");
	ADD_HEAD(struct gyr_version_head, NUMBER, nodes, "nodes of the graph");
	ADD_HEAD(struct gyr_version_head, NUMBER, steps, "steps that they became, at batch size 1");
#define STRUCT struct gyr_version_counters
	GYR_VERSION_COUNTERS(ADD_WORD)
#undef STRUCT
	for (unsigned i = 0; i < GYR_COUNTERS_BATCHES; i++) {
		char rows[16];
		snprintf(rows, sizeof rows, "%u", 1u << i);
		add_named(list, offsetof(struct gyr_version_counters, runs) + i * sizeof(uint64_t), "runs", rows,
			  "runs of so many rows or fewer, but more than half as many");
	}
	list_refused(list, offsetof(struct gyr_version_counters, refused), "requests refused after the version was chosen, by reason");
	for (unsigned i = 0; i < GYR_STAGES; i++) {
		size_t offset = offsetof(struct gyr_version_counters, stages) + i * GYR_HISTOGRAM_BUCKETS * sizeof(uint64_t);
		struct gyr_stats_field *field = add(list, GYR_STATS_HISTOGRAM, offset, GYR_HISTOGRAM_BUCKETS * sizeof(uint64_t), stages[i][0], stages[i][1]);
		field->sum_offset = (uint32_t)(offsetof(struct gyr_version_counters, stage_sums_ns) + i * sizeof(uint64_t));
	}
}

int gyr_counters_create(uint32_t lcores, uint32_t rx_queues, uint32_t tx_queues, uint32_t ports, uint32_t models, uint32_t engines, uint64_t cycles_per_s,
			struct gyr_stats **stats, struct gyr_error *error)
{
	static void (*const list_of[GYR_COUNTERS_TABLES])(struct list *) = {list_lcore, list_rx, list_tx, list_port, list_house, list_model, list_version};
	struct list lists[GYR_COUNTERS_TABLES] = {0};
	struct gyr_stats_plan plans[GYR_COUNTERS_TABLES] = {
		{"lcores", lcores, 1, sizeof(struct gyr_lcore_head), sizeof(struct gyr_lcore_counters)},
		{"rx", rx_queues, 1, sizeof(struct gyr_queue_head), sizeof(struct gyr_rx_counters)},
		{"tx", tx_queues, 1, sizeof(struct gyr_queue_head), sizeof(struct gyr_tx_counters)},
		{"ports", ports, 1, sizeof(struct gyr_port_head), sizeof(struct gyr_port_counters)},
		{"house", 1, 1, sizeof(struct gyr_house_head), sizeof(struct gyr_house_counters)},
		{"models", models, engines, sizeof(struct gyr_model_head), sizeof(struct gyr_model_counters)},
		{"versions", GYR_COUNTERS_VERSIONS_MAX, engines, sizeof(struct gyr_version_head), sizeof(struct gyr_version_counters)},
	};
	for (unsigned i = 0; i < GYR_COUNTERS_TABLES; i++) {
		list_of[i](&lists[i]);
		plans[i].field_count = lists[i].count;
		plans[i].fields = lists[i].fields;
	}
	return gyr_stats_create(plans, GYR_COUNTERS_TABLES, cycles_per_s, stats, error);
}
