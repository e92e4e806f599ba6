/*
 * A peer of a memif port: peer SOCKET CPU MICROSECONDS. Connects, pings, waits so long, and is gone without a word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_ip.h>

#include "base/clock.h"
#include "tests/unit/loop/client.h"

#define PINGS 3

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	char program[] = "peer", no_huge[] = "--no-huge", no_shconf[] = "--no-shconf", no_telemetry[] = "--no-telemetry", no_pci[] = "--no-pci",
	     memory[] = "-m", megabytes[] = "64", cpus[] = "-l", quiet[] = "--log-level=error";
	char *arguments[] = {program, no_huge, no_shconf, no_telemetry, no_pci, memory, megabytes, cpus, argv[2], quiet, NULL};
	if (rte_eal_init(10, arguments) < 0)
		return 2;
	uint8_t ping[64];
	struct client_answer answer;
	size_t bytes = gyr_wire_pack_ping(ping, sizeof ping, 1, "x", 1);
	client_start(argv[1], RTE_IPV4(192u, 0, 2, 1));
	for (int i = 0; i < PINGS; i++)
		client_ask(ping, bytes, 1, &answer);
	uint64_t until_ns = gyr_clock_ns() + strtoull(argv[3], NULL, 10) * GYR_NS_PER_US;
	while (gyr_clock_ns() < until_ns)
		;
	_exit(0);
}
