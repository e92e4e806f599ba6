/*
 * A bad network between two interfaces: forwarder A B SEED. What comes in at A goes out at B and the other way round, after the harm that was asked for
 * (lane.h). A line on stdin sets it, and is answered by one on stdout:
 *
 *   ab loss=0.01 delay_us=100     from A to B; ba: from B to A; both
 *   stats                         what was done so far, as JSON: {"ab": {...}, "ba": {...}}
 *
 * It ends with its stdin. Where a packet is larger than the mtu, it answers as the router would that it stands for: ICMP "fragmentation needed" (when the
 * packet must not be fragmented) and "packet too big".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lane.h"

#define NS_PER_S 1000000000u
#define BURST 64
#define LINE_BYTES 512
#define BUFFER_BYTES (4 << 20)
#define QUOTED4 28u   /* of a packet that is too big: its header and 8 bytes (RFC 792) */
#define QUOTED6 1232u /* as much as 1280 bytes hold (RFC 4443) */
#define IP4_DONT_FRAGMENT 0x4000u

static const uint8_t router4[4] = {192, 0, 2, 254};
static const uint8_t router6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0xfe};

struct side {
	int socket;
	uint8_t mac[6];
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "forwarder: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void open_side(struct side *side, const char *interface)
{
	struct ifreq request = {0};
	struct packet_mreq all = {.mr_ifindex = (int)if_nametoindex(interface), .mr_type = PACKET_MR_PROMISC};
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = all.mr_ifindex};
	int on = 1, bytes = BUFFER_BYTES;
	strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
	side->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (side->socket < 0 || ioctl(side->socket, SIOCGIFHWADDR, &request) != 0)
		die(interface);
	memcpy(side->mac, request.ifr_hwaddr.sa_data, sizeof side->mac);
	if (setsockopt(side->socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
	    setsockopt(side->socket, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
	    setsockopt(side->socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0 ||
	    bind(side->socket, (struct sockaddr *)&address, sizeof address) != 0)
		die(interface);
}

static void transmit(const struct side *side, const struct frame *frame)
{
	/* What the interface does not take is lost, as on any wire. */
	(void)!send(side->socket, frame->bytes, frame->size, 0);
}

/* Tells the sender of FRAME, which came in at SIDE, the most that goes through. */
static void tell_too_big(const struct side *side, const struct frame *frame, struct lane *lane)
{
	static struct frame answer;
	struct path path;
	const uint8_t *ip = frame->bytes + FRAME_ETHER;
	uint32_t bytes = frame->size - FRAME_ETHER, mtu = (uint32_t)lane->harm.mtu;
	memcpy(path.to, frame->bytes + 6, sizeof path.to);
	memcpy(path.from, side->mac, sizeof path.from);
	if (get16(frame->bytes + 12) == ETHER_IP4) {
		if ((get16(ip + 6) & IP4_DONT_FRAGMENT) == 0)
			return;
		memcpy(path.source4, router4, sizeof path.source4);
		memcpy(path.server4, ip + 12, sizeof path.server4);
		frame_too_big4(&answer, &path, mtu, ip, QUOTED4);
	} else {
		memcpy(path.source6, router6, sizeof path.source6);
		memcpy(path.server6, ip + 8, sizeof path.server6);
		frame_too_big6(&answer, &path, mtu, ip, bytes < QUOTED6 ? bytes : QUOTED6);
	}
	lane->stats.told++;
	transmit(side, &answer);
}

static void receive(const struct side *side, struct lane *lane)
{
	static struct frame frame;
	for (int i = 0; i < BURST; i++) {
		ssize_t size = recv(side->socket, frame.bytes, sizeof frame.bytes, 0);
		if (size < (ssize_t)FRAME_ETHER)
			return;
		frame.size = (uint32_t)size;
		if (!lane_put(lane, &frame, now_ns()))
			tell_too_big(side, &frame, lane);
	}
}

static void deliver(const struct side *side, struct lane *lane)
{
	const struct frame *frame;
	while ((frame = lane_get(lane, now_ns())) != NULL)
		transmit(side, frame);
}

static bool set_one(struct lane_harm *harm, const char *word)
{
	const struct {
		const char *name;
		double *value;
	} keys[] = {{"loss=", &harm->loss},
		    {"duplicate=", &harm->duplicate},
		    {"reorder=", &harm->reorder},
		    {"corrupt=", &harm->corrupt},
		    {"delay_us=", &harm->delay_us},
		    {"jitter_us=", &harm->jitter_us},
		    {"reorder_us=", &harm->reorder_us},
		    {"mbps=", &harm->mbps},
		    {"mtu=", &harm->mtu}};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		size_t length = strlen(keys[i].name);
		char *end;
		if (strncmp(word, keys[i].name, length) != 0)
			continue;
		*keys[i].value = strtod(word + length, &end);
		return *end == '\0' && *keys[i].value >= 0;
	}
	return false;
}

static bool set_harm(struct lane_harm *harm, const char *words)
{
	char copy[LINE_BYTES], *rest;
	snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok_r(copy, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
		if (!set_one(harm, word))
			return false;
	}
	return true;
}

static void print_stats(const char *name, const struct lane_stats *stats)
{
	printf("\"%s\":{\"in\":%lu,\"out\":%lu,\"lost\":%lu,\"duplicated\":%lu,\"reordered\":%lu,\"corrupted\":%lu,\"too_big\":%lu,\"overflown\":%lu,\"told\":%"
	       "lu}",
	       name, stats->in, stats->out, stats->lost, stats->duplicated, stats->reordered, stats->corrupted, stats->too_big, stats->overflown, stats->told);
}

/* "ab", "ba" or "both", and the harm. */
static bool set(struct lane *ab, struct lane *ba, const char *line)
{
	struct lane_harm there = ab->harm, back = ba->harm;
	size_t length = strcspn(line, " \n");
	bool both = length == 4 && strncmp(line, "both", 4) == 0, good = both;
	if (both || (length == 2 && strncmp(line, "ab", 2) == 0))
		good = set_harm(&there, line + length);
	if ((both && good) || (length == 2 && strncmp(line, "ba", 2) == 0))
		good = set_harm(&back, line + length);
	if (good) {
		ab->harm = there;
		ba->harm = back;
	}
	return good;
}

/* Does what a line of stdin asks for; false: stdin has ended. */
static bool obey(struct lane *ab, struct lane *ba)
{
	char line[LINE_BYTES];
	if (fgets(line, sizeof line, stdin) == NULL)
		return false;
	if (strcmp(line, "stats\n") == 0) {
		printf("{");
		print_stats("ab", &ab->stats);
		printf(",");
		print_stats("ba", &ba->stats);
		printf("}\n");
	} else {
		printf("%s\n", set(ab, ba, line) ? "done" : "not understood");
	}
	fflush(stdout);
	return true;
}

/* Nanoseconds until the next frame is due; at most a second. */
static struct timespec patience(const struct lane *ab, const struct lane *ba)
{
	uint64_t due_ns = lane_due_ns(ab) < lane_due_ns(ba) ? lane_due_ns(ab) : lane_due_ns(ba), now = now_ns();
	uint64_t wait_ns = due_ns <= now ? 0 : due_ns - now;
	return wait_ns < NS_PER_S ? (struct timespec){.tv_nsec = (long)wait_ns} : (struct timespec){.tv_sec = 1};
}

int main(int argc, char **argv)
{
	static struct lane ab, ba;
	struct side a, b;
	if (argc != 4) {
		fprintf(stderr, "usage: forwarder A B SEED\n");
		return 2;
	}
	open_side(&a, argv[1]);
	open_side(&b, argv[2]);
	lane_init(&ab, strtoull(argv[3], NULL, 10));
	lane_init(&ba, strtoull(argv[3], NULL, 10) + 1);
	setvbuf(stdin, NULL, _IONBF, 0); /* poll must see what is left of it */
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd polls[] = {{.fd = a.socket, .events = POLLIN}, {.fd = b.socket, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
		struct timespec wait = patience(&ab, &ba);
		if (ppoll(polls, 3, &wait, NULL) < 0 && errno != EINTR)
			die("poll");
		if (polls[0].revents != 0)
			receive(&a, &ab);
		if (polls[1].revents != 0)
			receive(&b, &ba);
		deliver(&b, &ab);
		deliver(&a, &ba);
		if (polls[2].revents != 0 && !obey(&ab, &ba))
			return 0;
	}
}
