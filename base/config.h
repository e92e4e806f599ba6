/*
 * The configuration: one INI file for gyrd and gyr-dataplane, read with libinih. Every key has a default, so no file is needed. docs/gyr.conf is the sample
 * with every key.
 */
#ifndef GYR_BASE_CONFIG_H
#define GYR_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net_address.h"

#define GYR_CONFIG_PATH_MAX 108u /* with its zero; a Unix socket's address holds no more */
#define GYR_CONFIG_TEXT_MAX 256u
#define GYR_CONFIG_GROUP_MAX 33u /* with its zero */
#define GYR_CONFIG_PORTS_MAX 4u
#define GYR_CONFIG_LCORES_MAX 127u
#define GYR_CONFIG_QUEUES_MAX 16u
#define GYR_CONFIG_TRUSTED_MAX 16u

enum gyr_config_idle { GYR_CONFIG_IDLE_POLL, GYR_CONFIG_IDLE_PAUSE, GYR_CONFIG_IDLE_SLEEP };
enum gyr_config_hugepages { GYR_HUGEPAGES_AUTO, GYR_HUGEPAGES_ON, GYR_HUGEPAGES_OFF };

struct gyr_cpu_list {
	uint32_t count;
	uint16_t cpus[GYR_CONFIG_LCORES_MAX]; /* ascending; one that is named twice has two lcores */
};

struct gyr_config {
	/* [gyrd] */
	char state_dir[GYR_CONFIG_PATH_MAX]; /* the registry and the blobs */
	char run_dir[GYR_CONFIG_PATH_MAX];   /* sockets */
	bool supervise;                      /* start gyr-dataplane and start it again when it dies */
	uint32_t stuck_s;                    /* how long it may stand still before it is killed and started again */
	uint32_t warm_versions;              /* of a model that stay loaded after labels have moved away, ... */
	uint32_t models_mb;                  /* memory for all versions, loaded and being loaded; 0: three quarters of the machine's */
	uint32_t warm_mb;                    /* ... and how much of all models */
	struct gyr_cpu_list control_cpus;    /* where gyrd and its workers run; empty: anywhere but the data plane's */

	char operator_group[GYR_CONFIG_GROUP_MAX]; /* whose members may change things; "": none */
	char viewer_group[GYR_CONFIG_GROUP_MAX];   /* whose members may look; "": everybody */
	uint32_t follow_interval_s;                /* between looks at folders that are followed */
	uint32_t import_memory_mb;                 /* that reading a model file may take, besides a multiple of the file */
	uint32_t import_time_s;                    /* that it may take */

	/* [dataplane] */
	uint32_t port_count;
	char ports[GYR_CONFIG_PORTS_MAX][GYR_CONFIG_TEXT_MAX]; /* DPDK devargs: PCI addresses or vdevs; key "port", separated by spaces */
	uint32_t address;                                      /* IPv4, host byte order */
	uint8_t prefix;                                        /* 0 to 32 */
	struct gyr_net_address address6;                       /* all zeros: no IPv6 */
	uint8_t prefix6;                                       /* 0 to 128 */
	struct gyr_net_address gateway, gateway6;              /* all zeros: none, replies go where the question came from */
	uint16_t vlan;                                         /* 0: untagged; or 1 to 4094 */
	uint32_t trusted_count;                                /* 0: the subnets of our own addresses */
	struct gyr_net_network trusted[GYR_CONFIG_TRUSTED_MAX];
	uint16_t udp_port;
	uint32_t queues;                          /* RX queues a port, 1 to GYR_CONFIG_QUEUES_MAX */
	struct gyr_cpu_list io_cpus, engine_cpus; /* a CPU in both lists polls and computes (fused) */
	enum gyr_config_idle idle;                /* what an lcore without work does ... */
	uint32_t idle_after_us;                   /* ... after so long */
	uint32_t idle_sleep_us;                   /* the longest nap, where no interrupt can end it */
	enum gyr_config_hugepages hugepages;
	uint32_t memory_mb;         /* DPDK's memory */
	uint32_t mbufs;             /* buffers a port */
	uint32_t mtu;               /* 576 to 9000 */
	uint32_t ring_entries;      /* requests that may wait for one engine lcore; a power of two */
	uint32_t batch_max;         /* 1 to 64 */
	uint32_t queue_target_us;   /* how long requests may go on waiting for an engine lcore */
	uint32_t queue_interval_us; /* how long they may wait in a burst; not below the target */
	uint32_t client_us_per_s;   /* engine time that a client address may use, of each engine lcore; 0: no bound */
	uint32_t large_mb;          /* memory for messages in pieces; 0: none are taken */
	uint32_t large_message_kb;  /* the largest such message */
	uint32_t large_client_mb;   /* of one client address */
	uint32_t large_timeout_ms;  /* for a question to come whole; for an answer to be kept */
	uint32_t large_ask_us;      /* without a new piece, until what is missing is asked for */
	uint32_t large_pace_mbps;   /* of pieces to one client; 0: no limit */
};

/* The built-in defaults. */
void gyr_config_defaults(struct gyr_config *config);

/*
 * Reads PATH over the defaults and checks it. -ENOENT, -EIO; -EINVAL: an unknown section or key, a value out of range, a CPU that is not there (the message
 * gives file, line and key, and what would be accepted).
 */
GYR_MUST_CHECK int gyr_config_read(const char *path, struct gyr_config *config, struct gyr_error *error);

/* Sets one key ("dataplane.port") as a line of a file would; SOURCE names where it came from in messages. -EINVAL. */
GYR_MUST_CHECK int gyr_config_set(struct gyr_config *config, const char *source, const char *key, const char *value, struct gyr_error *error);

/* What only a whole configuration can violate: CPUs that are not there, no io or engine lcore. -EINVAL. gyr_config_read has called it. */
GYR_MUST_CHECK int gyr_config_check(const struct gyr_config *config, struct gyr_error *error);

/* The names of all keys ("gyrd.state_dir", ...), NULL at the end. */
const char *const *gyr_config_keys(void);

#endif
