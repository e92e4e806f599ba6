/*
 * One table of keys serves the file, --set and the check that docs/gyr.conf is complete. Values are checked as they are set; what only the whole can
 * violate is checked by gyr_config_check.
 */
#include "base/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_internal.h"

enum kind {
	KIND_PATH,
	KIND_GROUP,
	KIND_BOOL,
	KIND_CPUS,
	KIND_PORTS,
	KIND_ADDRESS,
	KIND_ADDRESS6,
	KIND_GATEWAY,
	KIND_GATEWAY6,
	KIND_NETWORKS,
	KIND_U8,
	KIND_U16,
	KIND_U32,
	KIND_POWER,
	KIND_HUGEPAGES,
	KIND_IDLE
};

#define AT(field) offsetof(struct gyr_config, field)

static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint32_t min, max;
} keys[] = {
	{"gyrd.state_dir", KIND_PATH, AT(state_dir), 0, 0},
	{"gyrd.run_dir", KIND_PATH, AT(run_dir), 0, 0},
	{"gyrd.supervise", KIND_BOOL, AT(supervise), 0, 0},
	{"gyrd.stuck_s", KIND_U32, AT(stuck_s), 1, 3600},
	{"gyrd.warm_versions", KIND_U32, AT(warm_versions), 0, 63},
	{"gyrd.models_mb", KIND_U32, AT(models_mb), 0, 16777216},
	{"gyrd.warm_mb", KIND_U32, AT(warm_mb), 0, 16777216},
	{"gyrd.control_cpus", KIND_CPUS, AT(control_cpus), 0, 0},
	{"gyrd.operator_group", KIND_GROUP, AT(operator_group), 0, 0},
	{"gyrd.viewer_group", KIND_GROUP, AT(viewer_group), 0, 0},
	{"gyrd.follow_interval_s", KIND_U32, AT(follow_interval_s), 1, 86400},
	{"gyrd.import_memory_mb", KIND_U32, AT(import_memory_mb), 64, 16777216},
	{"gyrd.import_time_s", KIND_U32, AT(import_time_s), 1, 86400},
	{"dataplane.port", KIND_PORTS, AT(ports), 0, 0},
	{"dataplane.address", KIND_ADDRESS, AT(address), 0, 0},
	{"dataplane.address6", KIND_ADDRESS6, AT(address6), 0, 0},
	{"dataplane.gateway", KIND_GATEWAY, AT(gateway), 0, 0},
	{"dataplane.gateway6", KIND_GATEWAY6, AT(gateway6), 0, 0},
	{"dataplane.vlan", KIND_U16, AT(vlan), 0, 4094},
	{"dataplane.trusted", KIND_NETWORKS, AT(trusted), 0, 0},
	{"dataplane.udp_port", KIND_U16, AT(udp_port), 1, 65535},
	{"dataplane.queues", KIND_U32, AT(queues), 1, GYR_CONFIG_QUEUES_MAX},
	{"dataplane.io_cpus", KIND_CPUS, AT(io_cpus), 0, 0},
	{"dataplane.engine_cpus", KIND_CPUS, AT(engine_cpus), 0, 0},
	{"dataplane.idle", KIND_IDLE, AT(idle), 0, 0},
	{"dataplane.idle_after_us", KIND_U32, AT(idle_after_us), 1, 10000000},
	{"dataplane.idle_sleep_us", KIND_U32, AT(idle_sleep_us), 10, 100000},
	{"dataplane.hugepages", KIND_HUGEPAGES, AT(hugepages), 0, 0},
	{"dataplane.memory_mb", KIND_U32, AT(memory_mb), 64, 1048576},
	{"dataplane.mbufs", KIND_U32, AT(mbufs), 1024, 1048576},
	{"dataplane.mtu", KIND_U32, AT(mtu), 576, 9000},
	{"dataplane.ring_entries", KIND_POWER, AT(ring_entries), 64, 65536},
	{"dataplane.batch_max", KIND_POWER, AT(batch_max), 1, 64},
	{"dataplane.queue_target_us", KIND_U32, AT(queue_target_us), 10, 1000000},
	{"dataplane.queue_interval_us", KIND_U32, AT(queue_interval_us), 10, 1000000},
	{"dataplane.client_us_per_s", KIND_U32, AT(client_us_per_s), 0, 1000000},
	{"dataplane.large_mb", KIND_U32, AT(large_mb), 0, 65536},
	{"dataplane.large_message_kb", KIND_U32, AT(large_message_kb), 16, 1048576},
	{"dataplane.large_client_mb", KIND_U32, AT(large_client_mb), 1, 65536},
	{"dataplane.large_timeout_ms", KIND_U32, AT(large_timeout_ms), 1, 60000},
	{"dataplane.large_ask_us", KIND_U32, AT(large_ask_us), 100, 1000000},
	{"dataplane.large_pace_mbps", KIND_U32, AT(large_pace_mbps), 0, 1000000},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

static uint16_t cpu_last(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 0 : (uint16_t)(online - 1);
}

void gyr_config_defaults(struct gyr_config *config)
{
	*config = (struct gyr_config){
		.state_dir = "/var/lib/gyr",
		.run_dir = "/run/gyr",
		.supervise = true,
		.follow_interval_s = 10,
		.import_memory_mb = 4096,
		.import_time_s = 600,
		.stuck_s = 10,
		.warm_versions = 2,
		.warm_mb = 4096,
		.port_count = 1,
		.ports = {"net_memif0,role=server,id=0,socket=/run/gyr/memif.sock,socket-abstract=no"},
		.address = 192u << 24 | 0u << 16 | 2u << 8 | 1u, /* of the range that RFC 5737 keeps for examples */
		.prefix = 24,
		.udp_port = 4970,
		.queues = 1,
		.io_cpus = {.count = 1, .cpus = {cpu_last()}},
		.engine_cpus = {.count = 1, .cpus = {cpu_last()}},
		.idle = GYR_CONFIG_IDLE_POLL,
		.idle_after_us = 1000,
		.idle_sleep_us = 200,
		.hugepages = GYR_HUGEPAGES_AUTO,
		.memory_mb = 256,
		.mbufs = 8192,
		.mtu = 1500,
		.ring_entries = 1024,
		.batch_max = 64,
		.queue_target_us = 500,
		.queue_interval_us = 5000,
		.large_mb = 64,
		.large_message_kb = 1024,
		.large_client_mb = 16,
		.large_timeout_ms = 1000,
		.large_ask_us = 2000,
		.large_pace_mbps = 1000,
	};
}

static int parse_number(const char *text, const char **end, uint32_t *value)
{
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	char *stop;
	unsigned long long number = strtoull(text, &stop, 10);
	if (errno != 0 || number > UINT32_MAX)
		return -EINVAL;
	*end = stop;
	*value = (uint32_t)number;
	return 0;
}

/* "1,3-5" */
static int parse_cpus(const char *text, struct gyr_cpu_list *list)
{
	*list = (struct gyr_cpu_list){0};
	while (*text != '\0') {
		uint32_t first, last;
		if (parse_number(text, &text, &first) != 0)
			return -EINVAL;
		last = first;
		if (*text == '-' && parse_number(text + 1, &text, &last) != 0)
			return -EINVAL;
		if (last < first || last > UINT16_MAX || (list->count > 0 && first < list->cpus[list->count - 1]))
			return -EINVAL;
		for (uint32_t cpu = first; cpu <= last; cpu++) {
			if (list->count == GYR_CONFIG_LCORES_MAX)
				return -EINVAL;
			list->cpus[list->count++] = (uint16_t)cpu;
		}
		if (*text == '\0')
			break;
		if (*text++ != ',' || *text == '\0')
			return -EINVAL;
	}
	return 0;
}

static int parse_ports(const char *text, struct gyr_config *config)
{
	char ports[GYR_CONFIG_PORTS_MAX][GYR_CONFIG_TEXT_MAX] = {{0}};
	uint32_t count = 0;
	while (*(text += strspn(text, " \t")) != '\0') {
		size_t length = strcspn(text, " \t");
		if (count == GYR_CONFIG_PORTS_MAX || length >= GYR_CONFIG_TEXT_MAX)
			return -EINVAL;
		memcpy(ports[count++], text, length);
		text += length;
	}
	if (count == 0)
		return -EINVAL;
	memcpy(config->ports, ports, sizeof ports);
	config->port_count = count;
	return 0;
}

static int set_number(const struct key *key, void *at, const char *text)
{
	uint32_t value;
	if (parse_number(text, &text, &value) != 0 || *text != '\0' || value < key->min || value > key->max)
		return -EINVAL;
	if (key->kind == KIND_POWER && (value & (value - 1)) != 0)
		return -EINVAL;
	if (key->kind == KIND_U16)
		*(uint16_t *)at = (uint16_t)value;
	else
		*(uint32_t *)at = value;
	return 0;
}

/* The place of VALUE among COUNT names, or -EINVAL. */
static int find_name(const char *value, const char *const *names, int count)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(value, names[i]) == 0)
			return i;
	}
	return -EINVAL;
}

/* Sets the value, or says what would be accepted. */
static int set_value(const struct key *key, struct gyr_config *config, const char *value, char *accepted, size_t size)
{
	void *at = (char *)config + key->offset;
	switch (key->kind) {
	case KIND_PATH:
		snprintf(accepted, size, "an absolute path of at most %u bytes", GYR_CONFIG_PATH_MAX - 17);
		/* Room for "/" and a socket's name. */
		if (value[0] != '/' || strlen(value) > GYR_CONFIG_PATH_MAX - 17)
			return -EINVAL;
		memset(at, 0, GYR_CONFIG_PATH_MAX);
		memcpy(at, value, strlen(value));
		return 0;
	case KIND_GROUP:
		snprintf(accepted, size, "the name of a group, at most %u bytes, or nothing", GYR_CONFIG_GROUP_MAX - 1);
		if (strlen(value) >= GYR_CONFIG_GROUP_MAX)
			return -EINVAL;
		memset(at, 0, GYR_CONFIG_GROUP_MAX);
		memcpy(at, value, strlen(value));
		return 0;
	case KIND_BOOL:
		snprintf(accepted, size, "yes or no");
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return -EINVAL;
		*(bool *)at = strcmp(value, "yes") == 0;
		return 0;
	case KIND_HUGEPAGES: {
		static const char *const names[] = {"auto", "on", "off"};
		snprintf(accepted, size, "auto, on or off");
		int found = find_name(value, names, 3);
		if (found >= 0)
			config->hugepages = (enum gyr_config_hugepages)found;
		return found < 0 ? found : 0;
	}
	case KIND_IDLE: {
		static const char *const names[] = {"poll", "pause", "sleep"};
		snprintf(accepted, size, "poll, pause or sleep");
		int found = find_name(value, names, 3);
		if (found >= 0)
			config->idle = (enum gyr_config_idle)found;
		return found < 0 ? found : 0;
	}
	case KIND_CPUS: {
		snprintf(accepted, size, "CPU numbers in ascending order, such as 1 or 1,3-5, at most %u", GYR_CONFIG_LCORES_MAX);
		struct gyr_cpu_list list;
		if (parse_cpus(value, &list) != 0)
			return -EINVAL;
		memcpy(at, &list, sizeof list);
		return 0;
	}
	case KIND_PORTS:
		snprintf(accepted, size, "1 to %u DPDK devargs separated by spaces, each shorter than %u bytes", GYR_CONFIG_PORTS_MAX, GYR_CONFIG_TEXT_MAX);
		return parse_ports(value, config);
	case KIND_ADDRESS:
		snprintf(accepted, size, "a unicast IPv4 address with its prefix, such as 192.0.2.1/24");
		return gyr_config_parse_address(value, config);
	case KIND_ADDRESS6:
		snprintf(accepted, size, "a unicast IPv6 address with its prefix, such as 2001:db8::1/64, or nothing");
		return gyr_config_parse_address6(value, config);
	case KIND_GATEWAY: snprintf(accepted, size, "an IPv4 address, such as 192.0.2.254, or nothing"); return gyr_config_parse_gateway(value, true, at);
	case KIND_GATEWAY6: snprintf(accepted, size, "a unicast IPv6 address, such as fe80::1, or nothing"); return gyr_config_parse_gateway(value, false, at);
	case KIND_NETWORKS:
		snprintf(accepted, size, "at most %u networks separated by spaces, such as 192.0.2.0/24 2001:db8::/32, or nothing", GYR_CONFIG_TRUSTED_MAX);
		return gyr_config_parse_networks(value, config);
	case KIND_POWER: snprintf(accepted, size, "a power of two from %u to %u", key->min, key->max); return set_number(key, at, value);
	default: snprintf(accepted, size, "a whole number from %u to %u", key->min, key->max); return set_number(key, at, value);
	}
}

int gyr_config_set(struct gyr_config *config, const char *source, const char *name, const char *value, struct gyr_error *error)
{
	size_t section = strcspn(name, ".");
	char known[sizeof error->text / 2] = "";
	for (size_t i = 0; i < KEY_COUNT; i++) {
		char accepted[128];
		if (strcmp(keys[i].name, name) == 0) {
			if (set_value(&keys[i], config, value, accepted, sizeof accepted) == 0)
				return 0;
			return gyr_error_set(error, -EINVAL, "%s: %s = \"%.80s\" is refused; accepted: %s", source, name, value, accepted);
		}
		if (strncmp(keys[i].name, name, section + 1) == 0) {
			size_t used = strlen(known);
			snprintf(known + used, sizeof known - used, "%s%s", used == 0 ? "" : ", ", keys[i].name + section + 1);
		}
	}
	if (known[0] == '\0')
		return gyr_error_set(error, -EINVAL, "%s: unknown section [%.*s]; the sections are [gyrd] and [dataplane]", source, (int)section, name);
	return gyr_error_set(error, -EINVAL, "%s: unknown key \"%.64s\"; the keys of [%.*s] are: %s", source, name + section + (name[section] == '.'),
			     (int)section, name, known);
}

static int check_cpus(const struct gyr_cpu_list *list, const char *key, struct gyr_error *error)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->cpus[i] > cpu_last())
			return gyr_error_set(error, -EINVAL, "%s: CPU %u is not there; this machine has 0 to %u", key, list->cpus[i], cpu_last());
	return 0;
}

int gyr_config_check(const struct gyr_config *config, struct gyr_error *error)
{
	if (config->io_cpus.count == 0)
		return gyr_error_set(error, -EINVAL, "dataplane.io_cpus: at least one CPU must poll the ports");
	if (config->engine_cpus.count == 0)
		return gyr_error_set(error, -EINVAL, "dataplane.engine_cpus: at least one CPU must compute");
	int status = check_cpus(&config->io_cpus, "dataplane.io_cpus", error);
	if (status == 0)
		status = check_cpus(&config->engine_cpus, "dataplane.engine_cpus", error);
	if (status == 0)
		status = check_cpus(&config->control_cpus, "gyrd.control_cpus", error);
	if (status == 0 && config->queue_interval_us < config->queue_target_us)
		status = gyr_error_set(error, -EINVAL, "dataplane.queue_interval_us: %u is below queue_target_us, %u", config->queue_interval_us,
				       config->queue_target_us);
	return status == 0 ? gyr_config_check_network(config, error) : status;
}

struct reading {
	struct gyr_config *config;
	const char *path;
	FILE *file;
	unsigned line;
	int status;
	struct gyr_error *error;
};

static char *read_line(char *text, int size, void *user)
{
	struct reading *reading = user;
	if (reading->status != 0 || fgets(text, size, reading->file) == NULL)
		return NULL;
	reading->line++;
	if (strlen(text) == (size_t)size - 1 && text[size - 2] != '\n') {
		reading->status = gyr_error_set(reading->error, -EINVAL, "%s:%u: the line is longer than %d bytes", reading->path, reading->line, size - 2);
		return NULL;
	}
	return text;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reading *reading = user;
	char source[GYR_CONFIG_TEXT_MAX], key[GYR_CONFIG_TEXT_MAX];
	if (reading->status != 0)
		return 0;
	snprintf(source, sizeof source, "%s:%u", reading->path, reading->line);
	snprintf(key, sizeof key, "%s.%s", section, name);
	reading->status = gyr_config_set(reading->config, source, key, value, reading->error);
	return reading->status == 0;
}

int gyr_config_read(const char *path, struct gyr_config *config, struct gyr_error *error)
{
	gyr_config_defaults(config);
	struct reading reading = {.config = config, .path = path, .file = fopen(path, "re"), .error = error};
	if (reading.file == NULL)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	ini_max_line = 2048;
	ini_use_stack = true;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_stop_on_first_error = true;
	int bad_line = ini_parse_stream(read_line, &reading, take_pair, &reading);
	int read_error = ferror(reading.file) ? errno : 0;
	fclose(reading.file);
	if (reading.status != 0)
		return reading.status;
	if (read_error != 0)
		return gyr_error_set(error, -EIO, "%s: %s", path, strerror(read_error));
	if (bad_line != 0)
		return gyr_error_set(error, -EINVAL, "%s:%d: neither \"[section]\" nor \"key = value\" nor a comment that begins with # or ;", path, bad_line);
	int status = gyr_config_check(config, error);
	return status == 0 ? 0 : gyr_error_prefix(error, status, "%s", path);
}

const char *const *gyr_config_keys(void)
{
	static const char *names[KEY_COUNT + 1];
	for (size_t i = 0; i < KEY_COUNT; i++)
		names[i] = keys[i].name;
	return names;
}
