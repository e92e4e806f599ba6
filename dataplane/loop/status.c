/* The answer to STATUS: what runs, and what it has counted. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/pack.h"
#include "dataplane/loop/models_internal.h"
#include "engine/plan/profile.h"

static void pack_uint(struct gyr_pack *pack, const char *name, uint64_t value)
{
	gyr_pack_str(pack, name);
	msgpack_pack_uint64(&pack->packer, value);
}

static void pack_text(struct gyr_pack *pack, const char *name, const char *value)
{
	gyr_pack_str(pack, name);
	gyr_pack_str(pack, value);
}

static void pack_port(struct gyr_pack *pack, const struct gyr_loop *loop, const struct gyr_port *port)
{
	char name[RTE_ETH_NAME_MAX_LEN] = "", mac[RTE_ETHER_ADDR_FMT_SIZE], address[32];
	uint32_t ip = loop->config->address;
	rte_eth_dev_get_name_by_port(port->id, name);
	rte_ether_format_addr(mac, sizeof mac, &port->mac);
	snprintf(address, sizeof address, "%u.%u.%u.%u/%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, loop->config->prefix);
	msgpack_pack_map(&pack->packer, 7);
	pack_text(pack, "name", name);
	pack_text(pack, "devargs", port->devargs);
	pack_text(pack, "mac", mac);
	pack_text(pack, "address", address);
	gyr_pack_str(pack, "link");
	if (gyr_port_link_up(port))
		msgpack_pack_true(&pack->packer);
	else
		msgpack_pack_false(&pack->packer);
	pack_uint(pack, "queues", port->rx_queues);
	pack_uint(pack, "mbufs_used", rte_mempool_in_use_count(port->pool));
}

static void pack_lcore(struct gyr_pack *pack, const struct gyr_loop *loop, const struct gyr_lcore *lcore)
{
	uint64_t busy = atomic_load_explicit(&lcore->counters->busy_cycles, memory_order_relaxed), all = gyr_tsc_since(loop->started_tsc, rte_rdtsc());
	msgpack_pack_map(&pack->packer, 5);
	pack_uint(pack, "lcore", lcore->lcore);
	pack_uint(pack, "cpu", lcore->cpu);
	pack_text(pack, "roles", lcore->io && lcore->engine ? "io+engine" : lcore->io ? "io" : "engine");
	pack_uint(pack, "polls", atomic_load_explicit(&lcore->counters->polls, memory_order_relaxed));
	gyr_pack_str(pack, "busy");
	msgpack_pack_double(&pack->packer, all == 0 ? 0 : (double)busy / (double)all);
}

static void pack_version(struct gyr_pack *pack, const struct gyr_version *version)
{
	static struct gyr_histogram stages[GYR_STAGES]; /* the house thread's */
	memset(stages, 0, sizeof stages);
	uint64_t requests = 0, rows = 0, errors = 0;
	for (uint32_t i = 0; i < version->lane_count; i++) {
		const struct gyr_version_counters *counters = version->lanes[i]->counters;
		requests += atomic_load_explicit(&counters->requests, memory_order_relaxed);
		rows += atomic_load_explicit(&counters->rows, memory_order_relaxed);
		for (unsigned code = 0; code < GYR_WIRE_CODE_COUNT; code++)
			errors += atomic_load_explicit(&counters->refused[code], memory_order_relaxed);
		for (unsigned stage = 0; stage < GYR_STAGES; stage++)
			gyr_histogram_read(&stages[stage], counters->stages[stage], &counters->stage_sums_ns[stage]);
	}
	msgpack_pack_map(&pack->packer, 18);
	pack_uint(pack, "version", version->number);
	pack_text(pack, "id", version->id);
	pack_text(pack, "state", "ready");
	pack_uint(pack, "batch_max", version->batch_max);
	pack_text(pack, "precision", gyr_plan_precision(version->plan) == GYR_PLAN_BF16 ? "bf16" : "f32");
	pack_uint(pack, "weight_bytes", gyr_plan_weight_bytes(version->plan));
	pack_uint(pack, "scratch_bytes", gyr_plan_scratch_bytes(version->plan));
	pack_uint(pack, "nodes", gyr_plan_node_count(version->plan));
	pack_uint(pack, "steps", gyr_plan_step_count(version->plan, 1));
	pack_uint(pack, "requests", requests);
	pack_uint(pack, "rows", rows);
	pack_uint(pack, "errors", errors);
	pack_uint(pack, "p50_ns", gyr_histogram_quantile(&stages[GYR_STAGE_TOTAL], 0.5));
	pack_uint(pack, "p99_ns", gyr_histogram_quantile(&stages[GYR_STAGE_TOTAL], 0.99));
	pack_uint(pack, "queued_p50_ns", gyr_histogram_quantile(&stages[GYR_STAGE_QUEUED], 0.5));
	pack_uint(pack, "queued_p99_ns", gyr_histogram_quantile(&stages[GYR_STAGE_QUEUED], 0.99));
	pack_uint(pack, "compute_p50_ns", gyr_histogram_quantile(&stages[GYR_STAGE_COMPUTED], 0.5));
	pack_uint(pack, "compute_p99_ns", gyr_histogram_quantile(&stages[GYR_STAGE_COMPUTED], 0.99));
}

static void pack_model(struct gyr_pack *pack, const struct gyr_model *model)
{
	msgpack_pack_map(&pack->packer, 4);
	pack_text(pack, "model", model->name);
	pack_uint(pack, "handle", model->handle);
	gyr_pack_str(pack, "versions");
	msgpack_pack_array(&pack->packer, model->version_count);
	for (uint32_t i = 0; i < model->version_count; i++)
		pack_version(pack, model->versions[i]);
	gyr_pack_str(pack, "labels");
	msgpack_pack_map(&pack->packer, model->label_count);
	for (uint32_t i = 0; i < model->label_count; i++)
		pack_uint(pack, model->labels[i].name, model->labels[i].version);
}

static void pack_counters(struct gyr_pack *pack, const struct gyr_loop *loop)
{
	uint64_t net[GYR_NET_OUTCOMES] = {0}, answers[GYR_ANSWERS] = {0}, unsent = 0, missed = 0, no_buffer = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		const struct gyr_lcore_counters *counters = loop->lcores[l].counters;
		for (unsigned i = 0; i < GYR_NET_OUTCOMES; i++)
			net[i] += atomic_load_explicit(&counters->net[i], memory_order_relaxed);
		for (unsigned i = 0; i < GYR_ANSWERS; i++)
			answers[i] += atomic_load_explicit(&counters->answers[i], memory_order_relaxed);
		unsent += atomic_load_explicit(&counters->unsent, memory_order_relaxed);
	}
	for (uint32_t p = 0; p < loop->port_count; p++) {
		struct rte_eth_stats stats;
		if (rte_eth_stats_get(loop->ports[p].id, &stats) != 0)
			continue;
		missed += stats.imissed;
		no_buffer += stats.rx_nombuf;
	}
	msgpack_pack_map(&pack->packer, (size_t)GYR_NET_OUTCOMES + GYR_ANSWERS + 4);
	for (unsigned i = 0; i < GYR_NET_OUTCOMES; i++) {
		char name[64];
		snprintf(name, sizeof name, "net.%s", gyr_net_outcome_name(i));
		pack_uint(pack, name, net[i]);
	}
	for (unsigned i = 0; i < GYR_ANSWERS; i++) {
		char name[64];
		snprintf(name, sizeof name, "answer.%s", gyr_answer_name((enum gyr_answer)i));
		for (char *c = name; *c != '\0'; c++)
			*c = *c == ' ' ? '_' : *c;
		pack_uint(pack, name, answers[i]);
	}
	pack_uint(pack, "send.dropped", unsent);
	pack_uint(pack, "port.missed", missed);
	pack_uint(pack, "port.no_buffer", no_buffer);
	pack_uint(pack, "route.stuck", loop->route.stuck);
}

/* All but MODEL_COUNT models left out; false when it does not fit. */
static bool pack_status(const struct gyr_models *models, uint32_t model_count, void *to, uint32_t size, uint32_t *bytes)
{
	const struct gyr_loop *loop = models->loop;
	struct gyr_pack pack;
	gyr_pack_init(&pack, to, size);
	msgpack_pack_map(&pack.packer, 8);
	pack_uint(&pack, "pid", (uint64_t)getpid());
	pack_uint(&pack, "uptime_ns", gyr_clock_ns() - loop->started_ns);
	gyr_pack_str(&pack, "hugepages");
	if (loop->eal.hugepages)
		msgpack_pack_true(&pack.packer);
	else
		msgpack_pack_false(&pack.packer);
	gyr_pack_str(&pack, "ports");
	msgpack_pack_array(&pack.packer, loop->port_count);
	for (uint32_t i = 0; i < loop->port_count; i++)
		pack_port(&pack, loop, &loop->ports[i]);
	gyr_pack_str(&pack, "lcores");
	msgpack_pack_array(&pack.packer, loop->lcore_count);
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		pack_lcore(&pack, loop, &loop->lcores[i]);
	gyr_pack_str(&pack, "counters");
	pack_counters(&pack, loop);
	gyr_pack_str(&pack, "models");
	msgpack_pack_array(&pack.packer, model_count);
	for (uint32_t i = 0; i < model_count; i++)
		pack_model(&pack, models->models[i]);
	pack_uint(&pack, "models_left_out", models->count - model_count);
	*bytes = (uint32_t)pack.used;
	return !pack.overflow;
}

uint32_t gyr_models_status(struct gyr_models *models, void *to, uint32_t size)
{
	uint32_t bytes, model_count = models->count;
	gyr_counting_copy_ports(models->loop);
	while (!pack_status(models, model_count, to, size, &bytes)) {
		GYR_ASSERT(model_count > 0);
		model_count /= 2;
	}
	return bytes;
}
