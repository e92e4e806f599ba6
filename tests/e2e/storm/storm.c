/*
 * The storm: frames by the million into one port of a Gyr, wrong in every way, while a good client asks through the same port.
 *
 *   quiet   the good client alone
 *   clean   each frame has one thing wrong, and is counted as one reason: the counts that Gyr must come to are printed
 *   mixed   frames with anything wrong, as fast as the port takes them
 *
 * With --lockstep each burst waits until the good client's next question, which goes behind it, is answered: then nothing is under way that could be lost.
 * Prints one JSON object. The seed repeats it all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dataplane/wire/wire.h"
#include "fault.h"
#include "good.h"
#include "mutate.h"
#include "way.h"

#define SETTLE_NS (300 * GYR_NS_PER_MS)
#define ARP_WAIT_NS (10 * GYR_NS_PER_S)
#define ARP_EVERY_NS (100 * GYR_NS_PER_MS)
#define GOOD_PORT 49700u
#define GOOD_HOST 9u
#define TYPES 16u
#define FAULTS_MAX 256u

static struct options {
	const char *mode, *memif, *interface, *model, *pairs;
	uint64_t count, seed;
	uint32_t flight, batch_max, mtu;
	bool lockstep;
} options = {.mode = "quiet", .model = "net", .count = 100000, .seed = 1, .flight = 4, .batch_max = 64, .mtu = 1500};

static struct storm {
	struct way *way;
	struct scene scene;
	struct good_pairs pairs;
	struct good good;
	struct frame frame;
	bool server_known;
	uint64_t arp, fuzz, unsound, asking, replies[FRAME_ASKING + 1u], answers[TYPES], codes[GYR_WIRE_CODE_COUNT + 1u];
	uint64_t by_fault[FAULTS_MAX];
} storm;

void way_die(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "storm: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(2);
}

/* An answer to a client that is not the good one: it must be a whole message of a type that answers. */
static void take_answer(const uint8_t *bytes, uint32_t size)
{
	struct gyr_wire_message message;
	const char *reason;
	if (gyr_wire_parse(bytes, size, &message, &reason) != GYR_WIRE_OK || message.type == GYR_WIRE_REQUEST || message.type == GYR_WIRE_DESCRIBE ||
	    message.type >= TYPES) {
		storm.unsound++;
		return;
	}
	storm.answers[message.type]++;
	if (message.type == GYR_WIRE_ERROR)
		storm.codes[message.code < GYR_WIRE_CODE_COUNT ? message.code : GYR_WIRE_CODE_COUNT]++;
}

static void take(void *context, const uint8_t *bytes, uint32_t size)
{
	(void)context;
	struct path *path = &storm.scene.path;
	const uint8_t *payload;
	uint32_t payload_bytes;
	uint8_t to[4];
	uint16_t to_port;
	if (!storm.server_known && size >= FRAME_ETHER && get16(bytes + 12) == ETHER_ARP) {
		memcpy(path->to, bytes + 6, 6);
		storm.server_known = true;
	}
	enum frame_kind kind = frame_read(bytes, size, path, &payload, &payload_bytes, to, &to_port);
	storm.replies[kind]++;
	if (kind != FRAME_UDP_ANSWER)
		return;
	if (memcmp(to, storm.good.path.source4, 4) == 0 && to_port == GOOD_PORT)
		good_take(&storm.good, payload, payload_bytes, gyr_clock_ns());
	else
		take_answer(payload, payload_bytes);
}

static void find_server(void)
{
	uint64_t until_ns = gyr_clock_ns() + ARP_WAIT_NS, next_ns = 0;
	while (!storm.server_known) {
		uint64_t now_ns = gyr_clock_ns();
		if (now_ns > until_ns)
			way_die("nobody told the server's address by ARP in 10 s");
		if (now_ns >= next_ns) {
			frame_arp(&storm.frame, &storm.scene.path);
			storm.way->send(storm.way, &storm.frame);
			storm.way->flush(storm.way);
			storm.arp++;
			next_ns = now_ns + ARP_EVERY_NS;
		}
		storm.way->poll(storm.way);
	}
}

static void make(bool clean)
{
	if (!clean) {
		mutate_frame(&storm.scene, &storm.frame);
		return;
	}
	scene_turn(&storm.scene);
	uint32_t which = storm_below(&storm.scene.random, fault_count());
	fault_at(which)->build(&storm.scene, &storm.frame);
	if (storm.frame.size >= storm.way->least && storm.frame.size <= storm.way->most)
		storm.by_fault[which]++;
}

/* What the way cannot carry is left out. */
static bool send_one(bool clean)
{
	make(clean);
	if (storm.frame.size < storm.way->least || storm.frame.size > storm.way->most)
		return false;
	storm.way->send(storm.way, &storm.frame);
	storm.fuzz++;
	return true;
}

/* Lets all that is under way end. */
static void settle(void)
{
	uint64_t quiet_ns = gyr_clock_ns();
	while (gyr_clock_ns() - quiet_ns < SETTLE_NS) {
		uint32_t waiting = good_turn(&storm.good, storm.way, gyr_clock_ns(), false);
		storm.way->flush(storm.way);
		if (storm.way->poll(storm.way) > 0 || waiting > 0)
			quiet_ns = gyr_clock_ns();
	}
}

static void ask_and_wait(void)
{
	good_turn(&storm.good, storm.way, gyr_clock_ns(), true);
	do {
		storm.way->flush(storm.way);
		storm.way->poll(storm.way);
	} while (good_turn(&storm.good, storm.way, gyr_clock_ns(), false) > 0);
}

static void blow(bool clean)
{
	while (storm.fuzz < options.count) {
		for (uint32_t i = 0; i < WAY_BURST / 2; i++)
			send_one(clean);
		if (options.lockstep) {
			ask_and_wait();
			continue;
		}
		good_turn(&storm.good, storm.way, gyr_clock_ns(), true);
		storm.way->flush(storm.way);
		while (storm.way->poll(storm.way) > 0)
			;
	}
}

static void be_quiet(void)
{
	while (storm.good.asked < options.count) {
		good_turn(&storm.good, storm.way, gyr_clock_ns(), true);
		storm.way->flush(storm.way);
		storm.way->poll(storm.way);
	}
}

static void report_faults(void)
{
	for (uint32_t i = 0; i < fault_count(); i++) {
		const struct fault *fault = fault_at(i);
		printf("%s{\"name\":\"%s\",\"net\":\"%s\",\"answer\":\"%s\",\"count\":%lu}", i == 0 ? "" : ",", fault->name, fault->net,
		       fault->answer != NULL ? fault->answer : "", storm.by_fault[i]);
	}
}

static void report(double seconds)
{
	const struct good *good = &storm.good;
	printf("{\"frames\":%lu,\"fuzz\":%lu,\"arp\":%lu,\"seconds\":%.3f,", storm.way->sent, storm.fuzz, storm.arp, seconds);
	printf("\"good\":{\"sent\":%lu,\"asked\":%lu,\"answered\":%lu,\"wrong\":%lu,\"lost\":%lu,\"busy\":%lu,\"refused\":%lu,\"stray\":%lu,\"worst_us\":%lu},",
	       good->sent, good->asked, good->answered, good->wrong, good->lost, good->busy, good->refused, good->stray, good->worst_ns / GYR_NS_PER_US);
	printf("\"received\":{\"unsound\":%lu,\"udp\":%lu,\"arp_reply\":%lu,\"echo_reply\":%lu,\"advertisement\":%lu,\"asking\":%lu},\"types\":[",
	       storm.unsound + storm.replies[FRAME_UNSOUND], storm.replies[FRAME_UDP_ANSWER], storm.replies[FRAME_ARP_REPLY], storm.replies[FRAME_ECHO_REPLY],
	       storm.replies[FRAME_ADVERTISEMENT], storm.replies[FRAME_ASKING]);
	for (uint32_t i = 0; i < TYPES; i++)
		printf("%s%lu", i == 0 ? "" : ",", storm.answers[i]);
	printf("],\"codes\":[");
	for (uint32_t i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
		printf("%s%lu", i == 0 ? "" : ",", storm.codes[i]);
	printf("],\"faults\":[");
	report_faults();
	printf("]}\n");
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {{"mode", 1, NULL, 'M'},     {"memif", 1, NULL, 'm'},     {"interface", 1, NULL, 'i'}, {"model", 1, NULL, 'o'},
					      {"pairs", 1, NULL, 'p'},    {"count", 1, NULL, 'c'},     {"seed", 1, NULL, 's'},      {"flight", 1, NULL, 'f'},
					      {"lockstep", 0, NULL, 'l'}, {"batch-max", 1, NULL, 'b'}, {NULL, 0, NULL, 0}};
	int letter;
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (letter) {
		case 'M': options.mode = optarg; break;
		case 'm': options.memif = optarg; break;
		case 'i': options.interface = optarg; break;
		case 'o': options.model = optarg; break;
		case 'p': options.pairs = optarg; break;
		case 'c': options.count = strtoull(optarg, NULL, 10); break;
		case 's': options.seed = strtoull(optarg, NULL, 10); break;
		case 'f': options.flight = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': options.batch_max = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'l': options.lockstep = true; break;
		default: exit(2);
		}
	}
	if ((options.memif == NULL) == (options.interface == NULL) || options.pairs == NULL || options.flight == 0 || options.flight > GOOD_FLIGHT_MAX)
		way_die("--pairs FILE and either --memif SOCKET or --interface NAME are needed; --flight is 1 to %u", GOOD_FLIGHT_MAX);
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	if (fault_count() > FAULTS_MAX)
		way_die("more than %u faults", FAULTS_MAX);
	storm.way = options.memif != NULL ? way_memif(options.memif) : way_packet(options.interface);
	storm.way->handler = take;
	good_read(options.pairs, &storm.pairs);
	struct path path = {.source4 = {192, 0, 2, GOOD_HOST}, .server4 = {192, 0, 2, 1}, .source_port = GOOD_PORT, .server_port = 4970};
	memcpy(path.from, storm.way->own, sizeof path.from);
	inet_pton(AF_INET6, "2001:db8::9", path.source6);
	inet_pton(AF_INET6, "2001:db8::1", path.server6);
	storm.scene = (struct scene){.random = {options.seed},
				     .path = path,
				     .model = options.model,
				     .row_elements = storm.pairs.in,
				     .batch_max = options.batch_max,
				     .mtu = options.mtu,
				     .next_id = 1};
	find_server();
	storm.good =
		(struct good){.pairs = &storm.pairs, .model = options.model, .path = storm.scene.path, .flight = options.flight, .next = options.seed << 20};
	uint64_t began_ns = gyr_clock_ns();
	if (strcmp(options.mode, "quiet") == 0)
		be_quiet();
	else
		blow(strcmp(options.mode, "clean") == 0);
	double seconds = (double)(gyr_clock_ns() - began_ns) / GYR_NS_PER_S;
	settle();
	report(seconds);
	return 0;
}
