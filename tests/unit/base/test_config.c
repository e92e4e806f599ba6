/* The configuration: defaults, every key, every refusal with what it names, and that docs/gyr.conf shows every key with its default. */
#include "base/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/gyr-test-config.XXXXXX";

static int read_text(const char *text, struct gyr_config *config, struct gyr_error *error)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	memset(error, 0, sizeof *error);
	return gyr_config_read(path, config, error);
}

static void refuses(const char *text, const char *first, const char *second)
{
	struct gyr_config config;
	struct gyr_error error;
	assert_int_equal(read_text(text, &config, &error), -EINVAL);
	if (strstr(error.text, first) == NULL || strstr(error.text, second) == NULL)
		fail_msg("\"%s\" names neither \"%s\" nor \"%s\"", error.text, first, second);
}

static void test_defaults_are_valid(void **state)
{
	struct gyr_config config;
	struct gyr_error error;
	gyr_config_defaults(&config);
	assert_int_equal(gyr_config_check(&config, &error), 0);
	assert_int_equal(config.udp_port, 4970);
	assert_int_equal(config.port_count, 1);
}

static void test_reads_every_key(void **state)
{
	struct gyr_config config;
	struct gyr_error error;
	const char *text = "# a comment\n[gyrd]\nstate_dir = /a/state\nrun_dir=/a/run\nsupervise = no\ncontrol_cpus = 0\n"
			   "; another\n[dataplane]\nport = net_ring0  0000:3b:00.0\naddress = 198.51.100.7/25\naddress6 = 2001:db8::7/48\n"
			   "gateway = 198.51.100.1\ngateway6 = fe80::1\nvlan = 4094\ntrusted = 10.1.2.3/8  2001:db8:1::/33\nudp_port = 65535\nqueues = 16\nio_cpus = 0\n"
			   "engine_cpus = 0\nidle = sleep\nidle_after_us = 1\nidle_sleep_us = 100000\nhugepages = off\nmemory_mb = 64\nmbufs = 1024\nmtu = 9000\nring_entries = 64\nbatch_max = 1\nqueue_target_us = 50\n"
			   "queue_interval_us = 700\n";
	if (read_text(text, &config, &error) != 0)
		fail_msg("%s", error.text);
	assert_string_equal(config.state_dir, "/a/state");
	assert_string_equal(config.run_dir, "/a/run");
	assert_false(config.supervise);
	assert_int_equal(config.control_cpus.count, 1);
	assert_int_equal(config.port_count, 2);
	assert_string_equal(config.ports[0], "net_ring0");
	assert_string_equal(config.ports[1], "0000:3b:00.0");
	assert_int_equal(config.address, 198u << 24 | 51u << 16 | 100u << 8 | 7u);
	assert_int_equal(config.prefix, 25);
	static const struct gyr_net_address address6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 7}}, gateway6 = {{0xfe, 0x80, [15] = 1}};
	static const struct gyr_net_address gateway = {{[10] = 0xff, 0xff, 198, 51, 100, 1}}, first = {{[10] = 0xff, 0xff, 10}};
	assert_memory_equal(&config.address6, &address6, sizeof address6);
	assert_int_equal(config.prefix6, 48);
	assert_memory_equal(&config.gateway, &gateway, sizeof gateway);
	assert_memory_equal(&config.gateway6, &gateway6, sizeof gateway6);
	assert_int_equal(config.vlan, 4094);
	assert_int_equal(config.trusted_count, 2);
	assert_memory_equal(&config.trusted[0].address, &first, sizeof first);
	assert_int_equal(config.trusted[0].prefix, 104);
	assert_int_equal(config.trusted[1].prefix, 33);
	assert_int_equal(config.udp_port, 65535);
	assert_int_equal(config.queues, 16);
	assert_int_equal(config.io_cpus.cpus[0], 0);
	assert_int_equal(config.idle, GYR_CONFIG_IDLE_SLEEP);
	assert_int_equal(config.idle_after_us, 1);
	assert_int_equal(config.idle_sleep_us, 100000);
	assert_int_equal(config.hugepages, GYR_HUGEPAGES_OFF);
	assert_int_equal(config.memory_mb, 64);
	assert_int_equal(config.mbufs, 1024);
	assert_int_equal(config.mtu, 9000);
	assert_int_equal(config.ring_entries, 64);
	assert_int_equal(config.batch_max, 1);
	assert_int_equal(config.queue_target_us, 50);
	assert_int_equal(config.queue_interval_us, 700);
}

static void test_refuses(void **state)
{
	refuses("[gyrd]\nspeed = 9\n", ":2: unknown key \"speed\"", "state_dir, run_dir");
	refuses("[gyr]\nstate_dir = /a\n", "unknown section [gyr]", "[dataplane]");
	refuses("udp_port = 1\n", "unknown section []", "[gyrd]");
	refuses("[dataplane]\n\nudp_port = 0\n", ":3: dataplane.udp_port = \"0\"", "1 to 65535");
	refuses("[dataplane]\nudp_port = 65536\n", "udp_port", "1 to 65535");
	refuses("[dataplane]\nudp_port = 12x\n", "udp_port", "1 to 65535");
	refuses("[dataplane]\nudp_port = 99999999999999999999999\n", "udp_port", "1 to 65535");
	refuses("[dataplane]\nqueue_target_us = 6000\n", "queue_interval_us", "5000");
	refuses("[dataplane]\nring_entries = 100\n", "ring_entries", "a power of two");
	refuses("[dataplane]\nqueues = 17\n", "queues", "1 to 16");
	refuses("[dataplane]\nidle = doze\n", "idle", "poll, pause or sleep");
	refuses("[dataplane]\nidle_sleep_us = 9\n", "idle_sleep_us", "10 to 100000");
	refuses("[dataplane]\nhugepages = maybe\n", "hugepages", "auto, on or off");
	refuses("[gyrd]\nsupervise = 1\n", "supervise", "yes or no");
	refuses("[gyrd]\nrun_dir = relative\n", "run_dir", "absolute path");
	refuses("[dataplane]\naddress = 192.0.2.1\n", "address", "192.0.2.1/24");
	refuses("[dataplane]\naddress = 192.0.2.256/24\n", "address", "unicast");
	refuses("[dataplane]\naddress = 192.0.2.1/33\n", "address", "unicast");
	refuses("[dataplane]\naddress = 224.0.0.1/8\n", "address", "unicast");
	refuses("[dataplane]\naddress = 2001:db8::1/64\n", "address", "unicast IPv4");
	refuses("[dataplane]\naddress = 0.0.0.0/8\n", "address", "unicast IPv4");
	refuses("[dataplane]\naddress6 = 2001:db8::1\n", "address6", "2001:db8::1/64");
	refuses("[dataplane]\naddress6 = 2001:db8::1/129\n", "address6", "unicast IPv6");
	refuses("[dataplane]\naddress6 = ff02::1/64\n", "address6", "unicast IPv6");
	refuses("[dataplane]\naddress6 = ::1/64\n", "address6", "unicast IPv6");
	refuses("[dataplane]\naddress6 = 192.0.2.1/24\n", "address6", "unicast IPv6");
	refuses("[dataplane]\naddress6 = ::ffff:192.0.2.1/120\n", "address6", "unicast IPv6");
	refuses("[dataplane]\naddress6 = 2001:db8::1/64\nmtu = 1279\n", "mtu", "1280");
	refuses("[dataplane]\ngateway = fe80::1\n", "gateway", "an IPv4 address");
	refuses("[dataplane]\ngateway = 198.51.100.1\n", "dataplane.gateway:", "the subnet");
	refuses("[dataplane]\ngateway = 192.0.2.1\n", "dataplane.gateway:", "another address");
	refuses("[dataplane]\ngateway6 = 192.0.2.1\n", "gateway6", "unicast IPv6");
	refuses("[dataplane]\ngateway6 = fe80::1\n", "gateway6", "without dataplane.address6");
	refuses("[dataplane]\naddress6 = 2001:db8::1/64\ngateway6 = 2001:db8:1::1\n", "gateway6", "the subnet");
	refuses("[dataplane]\naddress6 = 2001:db8::1/64\ngateway6 = 2001:db8::1\n", "gateway6", "another address");
	refuses("[dataplane]\nvlan = 4095\n", "vlan", "0 to 4094");
	refuses("[dataplane]\ntrusted = 192.0.2.0\n", "trusted", "at most 16 networks");
	refuses("[dataplane]\ntrusted = 192.0.2.0/33\n", "trusted", "at most 16 networks");
	refuses("[dataplane]\ntrusted = 0/0 1/0 2/0\n", "trusted", "at most 16 networks");
	refuses("[dataplane]\ntrusted = ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0 ::/0\n", "trusted", "at most 16");
	refuses("[dataplane]\nport =\n", "port", "devargs");
	refuses("[dataplane]\nport = a b c d e\n", "port", "1 to 4");
	refuses("[dataplane]\nio_cpus = 1-0\n", "io_cpus", "ascending");
	refuses("[dataplane]\nio_cpus = 1,0\n", "io_cpus", "ascending");
	refuses("[dataplane]\nio_cpus = 0,\n", "io_cpus", "ascending");
	refuses("[dataplane]\nio_cpus = 0-70000\n", "io_cpus", "ascending");
	refuses("[dataplane]\nio_cpus = 60000\n", "io_cpus: CPU 60000 is not there", "this machine has 0 to");
	refuses("[dataplane]\nengine_cpus = 60000\n", "engine_cpus: CPU 60000", "this machine has");
	refuses("[gyrd]\ncontrol_cpus = 60000\n", "control_cpus: CPU 60000", "this machine has");
	refuses("[dataplane]\nio_cpus =\n", "io_cpus", "at least one");
	refuses("[dataplane]\nengine_cpus =\n", "engine_cpus", "at least one");
	refuses("[dataplane]\nnonsense\n", ":2", "key = value");
}

static void test_refuses_long_line_and_missing_file(void **state)
{
	static char text[4096] = "[gyrd]\n# ";
	struct gyr_config config;
	struct gyr_error error;
	memset(text + 9, 'x', 3000);
	assert_int_equal(read_text(text, &config, &error), -EINVAL);
	assert_non_null(strstr(error.text, ":2: the line is longer"));
	assert_int_equal(gyr_config_read("/nonexistent/gyr.conf", &config, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/gyr.conf"));
}

/* The sample shows each key once, commented out with its default: uncommented, it reads as the defaults (but for those that the machine gives). */
static void test_sample_is_complete(void **state)
{
	static char sample[16384], text[16384];
	FILE *file = fopen(GYR_SAMPLE, "r");
	assert_non_null(file);
	size_t size = fread(sample, 1, sizeof sample - 1, file), used = 0;
	fclose(file);
	assert_in_range(size, 1, sizeof sample - 2);
	for (char *line = strtok(sample, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		bool example = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
		if (example && (strncmp(line, "#io_cpus", 8) == 0 || strncmp(line, "#engine_cpus", 12) == 0))
			used += (size_t)snprintf(text + used, sizeof text - used, "%.*s= 0\n", (int)strcspn(line + 1, "="), line + 1);
		else
			used += (size_t)snprintf(text + used, sizeof text - used, "%s\n", line + example);
	}
	struct gyr_config config, defaults;
	struct gyr_error error;
	if (read_text(text, &config, &error) != 0)
		fail_msg("%s", error.text);
	gyr_config_defaults(&defaults);
	config.io_cpus = defaults.io_cpus;
	config.engine_cpus = defaults.engine_cpus;
	assert_memory_equal(&config, &defaults, sizeof config);
	for (const char *const *key = gyr_config_keys(); *key != NULL; key++) {
		char line[128];
		snprintf(line, sizeof line, "\n%s =", strchr(*key, '.') + 1);
		if (strstr(text, line) == NULL)
			fail_msg("docs/gyr.conf does not show %s", *key);
	}
}

static void test_set(void **state)
{
	struct gyr_config config;
	struct gyr_error error;
	gyr_config_defaults(&config);
	assert_int_equal(gyr_config_set(&config, "--set", "dataplane.mtu", "1400", &error), 0);
	assert_int_equal(config.mtu, 1400);
	assert_int_equal(gyr_config_set(&config, "--set", "mtu", "1400", &error), -EINVAL);
	assert_non_null(strstr(error.text, "--set: unknown section [mtu]"));
	assert_int_equal(gyr_config_set(&config, "--set", "dataplane.mtu", "575", NULL), -EINVAL);
	assert_int_equal(config.mtu, 1400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_valid),
		cmocka_unit_test(test_reads_every_key),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_refuses_long_line_and_missing_file),
		cmocka_unit_test(test_sample_is_complete),
		cmocka_unit_test(test_set),
	};
	int made = mkstemp(path);
	if (made < 0)
		return 99;
	close(made);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
