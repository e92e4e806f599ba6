/*
 * DPDK's environment: started once in the life of the process, from the configuration. One thread, which becomes DPDK's main lcore: the house thread. It is
 * never ended (rte_eal_cleanup unmaps memory that DPDK's own interrupt thread still reads, and killed half of our failed starts): what outlives a process is
 * closed with the ports.
 */
#ifndef GYR_DATAPLANE_PORT_EAL_H
#define GYR_DATAPLANE_PORT_EAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"

#define GYR_EAL_HOT_MAX 127u /* DPDK's 128 lcores but the house's */
#define GYR_EAL_HOUSE_LCORE 0u

/* One lcore that runs on a CPU of its own, or shares it where the configuration names a CPU more than once. */
struct gyr_eal_lcore {
	uint16_t lcore; /* DPDK's number: 1 and up */
	uint16_t cpu;
	bool io, engine; /* at least one */
	bool shares_cpu; /* with other lcores: they take turns */
};

struct gyr_eal {
	uint32_t hot_count;
	struct gyr_eal_lcore hot[GYR_EAL_HOT_MAX]; /* ascending by CPU */
	bool hugepages;                            /* DPDK's memory lies in them */
	bool house_is_hot;                         /* no CPU was left for the house thread: it shares that of a hot lcore */
};

/*
 * Starts DPDK and binds the calling thread to the CPUs that the configuration leaves: control_cpus, or else all that are not hot, or else the first hot one
 * (and says so in the log, as it does when hugepages are missing). -ENOMEM: hugepages are asked for and too few are free. -EINVAL: more lcores than DPDK
 * has. -EIO: DPDK did not start (the message holds its words).
 */
GYR_MUST_CHECK int gyr_eal_start(const struct gyr_config *config, struct gyr_eal *eal, struct gyr_error *error);

/* Whether DEVARGS begin with a PCI address ("0000:3b:00.0" or "3b:00.0"); else they name a virtual device. */
bool gyr_eal_is_pci(const char *devargs);

#endif
