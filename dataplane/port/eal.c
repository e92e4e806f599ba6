#include "dataplane/port/eal.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "base/assertion.h"
#include "base/log.h"
#include "dataplane/port/said.h"

#define ARGUMENTS_MAX (16u + GYR_CONFIG_PORTS_MAX * 2u)
#define LCORES_TEXT_MAX 8192u /* every lcore's "127@1023," and one list of every CPU */

_Static_assert(GYR_EAL_HOT_MAX < RTE_MAX_LCORE, "the house thread is an lcore too");

/* Free bytes in hugepages of all sizes. */
static uint64_t hugepages_free(void)
{
	static const char folder[] = "/sys/kernel/mm/hugepages";
	uint64_t bytes = 0;
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		unsigned long long size_kb, count;
		char path[512];
		if (sscanf(entry->d_name, "hugepages-%llukB", &size_kb) != 1)
			continue;
		snprintf(path, sizeof path, "%s/%s/free_hugepages", folder, entry->d_name);
		FILE *file = fopen(path, "r");
		if (file == NULL)
			continue;
		if (fscanf(file, "%llu", &count) == 1)
			bytes += count * size_kb * 1024;
		fclose(file);
	}
	closedir(dir);
	return bytes;
}

static int choose_memory(const struct gyr_config *config, struct gyr_eal *eal, struct gyr_error *error)
{
	uint64_t wanted = (uint64_t)config->memory_mb << 20, free = hugepages_free();
	eal->hugepages = config->hugepages != GYR_HUGEPAGES_OFF && free >= wanted;
	if (eal->hugepages || config->hugepages == GYR_HUGEPAGES_OFF)
		return 0;
	if (config->hugepages == GYR_HUGEPAGES_ON)
		return gyr_error_set(error, -ENOMEM,
				     "hugepages = on, but %llu MiB are free in hugepages and memory_mb is %u: write %u to /proc/sys/vm/nr_hugepages, or set "
				     "hugepages = auto",
				     (unsigned long long)(free >> 20), config->memory_mb, (config->memory_mb + 1) / 2);
	gyr_log_warning("%llu MiB are free in hugepages and memory_mb is %u: running on ordinary pages, which costs TLB misses (a higher p99) and bars "
			"physical ports; write %u to /proc/sys/vm/nr_hugepages to have them",
			(unsigned long long)(free >> 20), config->memory_mb, (config->memory_mb + 1) / 2);
	return 0;
}

static uint32_t count_cpu(const struct gyr_cpu_list *list, uint32_t cpu)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < list->count; i++)
		count += list->cpus[i] == cpu;
	return count;
}

static bool has_cpu(const struct gyr_cpu_list *list, uint32_t cpu)
{
	return count_cpu(list, cpu) > 0;
}

static int list_hot(const struct gyr_config *config, struct gyr_eal *eal, struct gyr_error *error)
{
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		uint32_t io = count_cpu(&config->io_cpus, cpu), engine = count_cpu(&config->engine_cpus, cpu), count = io > engine ? io : engine;
		if (count > GYR_EAL_HOT_MAX - eal->hot_count)
			return gyr_error_set(error, -EINVAL, "io_cpus and engine_cpus ask for more than %u lcores together", GYR_EAL_HOT_MAX);
		if (count > 1)
			gyr_log_warning("CPU %u is named more than once: its %u lcores take turns, and a request waits for the others' turns", cpu, count);
		for (uint32_t i = 0; i < count; i++) {
			uint16_t lcore = (uint16_t)(GYR_EAL_HOUSE_LCORE + 1 + eal->hot_count);
			eal->hot[eal->hot_count++] =
				(struct gyr_eal_lcore){.lcore = lcore, .cpu = (uint16_t)cpu, .io = i < io, .engine = i < engine, .shares_cpu = count > 1};
		}
	}
	GYR_ASSERT(eal->hot_count > 0);
	return 0;
}

/* Writes DPDK's map, such as "0@(0,2),1@1,2@3". */
static int map_lcores(const struct gyr_config *config, struct gyr_eal *eal, char *text, size_t size, struct gyr_error *error)
{
	cpu_set_t allowed;
	if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
		return gyr_error_set(error, -errno, "sched_getaffinity: %s", strerror(errno));
	size_t used = (size_t)snprintf(text, size, "%u@(", GYR_EAL_HOUSE_LCORE), first = used;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		bool ours = config->control_cpus.count == 0 ? CPU_ISSET(cpu, &allowed) : has_cpu(&config->control_cpus, cpu);
		if (ours && !has_cpu(&config->io_cpus, cpu) && !has_cpu(&config->engine_cpus, cpu))
			used += (size_t)snprintf(text + used, size - used, "%s%u", used > first ? "," : "", cpu);
		GYR_ASSERT(used < size);
	}
	if (used == first) {
		eal->house_is_hot = true;
		used += (size_t)snprintf(text + used, size - used, "%u", eal->hot[0].cpu);
		gyr_log_warning("no CPU is left for the house thread: it shares CPU %u with the data path, whose tail latency will show it", eal->hot[0].cpu);
	}
	used += (size_t)snprintf(text + used, size - used, ")");
	for (uint32_t i = 0; i < eal->hot_count; i++)
		used += (size_t)snprintf(text + used, size - used, ",%u@%u", eal->hot[i].lcore, eal->hot[i].cpu);
	GYR_ASSERT(used < size);
	return 0;
}

bool gyr_eal_is_pci(const char *devargs)
{
	unsigned domain, bus, device, function;
	return sscanf(devargs, "%4x:%2x:%2x.%1x", &domain, &bus, &device, &function) == 4 || sscanf(devargs, "%2x:%2x.%1x", &bus, &device, &function) == 3;
}

int gyr_eal_start(const struct gyr_config *config, struct gyr_eal *eal, struct gyr_error *error)
{
	static char lcores[LCORES_TEXT_MAX]; /* DPDK keeps pointers to its arguments */
	static char memory[16];
	*eal = (struct gyr_eal){0};
	int status = list_hot(config, eal, error);
	if (status == 0)
		status = choose_memory(config, eal, error);
	if (status == 0)
		status = map_lcores(config, eal, lcores, sizeof lcores, error);
	if (status == 0)
		status = gyr_said_init(error);
	if (status != 0)
		return status;

	snprintf(memory, sizeof memory, "%u", config->memory_mb);
	char *arguments[ARGUMENTS_MAX];
	int count = 0;
	const char *const fixed[] = {"gyr-dataplane", "--no-shconf", "--no-telemetry", "--log-level=warning", "--lcores", lcores, "-m", memory};
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		arguments[count++] = (char *)(uintptr_t)fixed[i];
	static char in_memory[] = "--in-memory", no_huge[] = "--no-huge", no_pci[] = "--no-pci", allow[] = "-a";
	arguments[count++] = eal->hugepages ? in_memory : no_huge;
	bool pci = false;
	static char allowed_devices[GYR_CONFIG_PORTS_MAX][GYR_CONFIG_TEXT_MAX];
	for (uint32_t i = 0; i < config->port_count; i++) {
		if (!gyr_eal_is_pci(config->ports[i]))
			continue;
		pci = true;
		snprintf(allowed_devices[i], sizeof allowed_devices[i], "%s", config->ports[i]);
		arguments[count++] = allow;
		arguments[count++] = allowed_devices[i];
	}
	if (!pci)
		arguments[count++] = no_pci;
	arguments[count] = NULL;

	gyr_said_keep();
	status = rte_eal_init(count, arguments);
	const char *said = gyr_said_end();
	if (status < 0)
		return gyr_error_set(error, -EIO, "DPDK did not start (%s): %s", rte_strerror(rte_errno), said[0] != '\0' ? said : "it gave no reason");
	return 0;
}
