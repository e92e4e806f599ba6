/* The command line of gyr-load. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/load/load.h"

static const char help[] = "usage: gyr-load [OPTION...]\n"
			   "Asks a Gyr over UDP and measures the round trip. Exit status: 0 when every question was answered as it should be, 1 when not, 2 "
			   "for a bad command line.\n"
			   "\n"
			   "the way there\n"
			   "  --server ADDR[:PORT]  IPv4 of the server (127.0.0.1:4970; with --memif 192.0.2.1:4970)\n"
			   "  --memif SOCKET        over a DPDK memif port, as its client, instead of a UDP socket\n"
			   "  --address ADDR        memif: our own IPv4 (the server's neighbour)\n"
			   "  --hugepages           memif: use hugepages\n"
			   "  --cpu N               run on this CPU\n"
			   "  --busy-poll           spin on the socket instead of sleeping (memif always spins)\n"
			   "what is asked\n"
			   "  --model NAME          (fashion)\n"
			   "  --select TEXT         a version in digits, or a label (the promoted version)\n"
			   "  --tensor-bytes N      random tensors of N bytes: f32 from 0 to 1 (784)\n"
			   "  --images FILE         the images of an IDX file, .gz or not, as bare u8 tensors\n"
			   "  --labels FILE         their labels: the largest f32 of the answer is compared with it\n"
			   "  --deadline-us N       the deadline of each question (0: none)\n"
			   "  --timing              ask for the server's own times and show them\n"
			   "  --echo                the other end is no Gyr but sends each datagram back as it came\n"
			   "how\n"
			   "  --in-flight N         questions under way at once (1; with --rate 4096)\n"
			   "  --rate N              open loop: N questions a second; the time is taken from when each was due\n"
			   "  --count N             so many questions (all images once, or 10000)\n"
			   "  --seconds S           for so long\n"
			   "  --repeat              until SIGINT or SIGTERM\n"
			   "  --until-version V     until version V has answered, and\n"
			   "  --then N              that N times (1)\n"
			   "  --warm-up N           N questions before those that are measured (0)\n"
			   "  --timeout-ms N        ask again after so long (100)\n"
			   "  --attempts N          at most so often (5)\n"
			   "what is told\n"
			   "  --progress            a line each second, on stderr\n"
			   "  --json[=FILE]         the figures as JSON, on stdout or in FILE\n"
			   "  --help, --version\n";

enum {
	SERVER = 1,
	MEMIF,
	ADDRESS,
	HUGEPAGES,
	CPU,
	BUSY_POLL,
	MODEL,
	SELECT,
	TENSOR_BYTES,
	IMAGES,
	LABELS,
	DEADLINE,
	TIMING,
	ECHO,
	IN_FLIGHT,
	RATE,
	COUNT,
	SECONDS,
	REPEAT,
	UNTIL_VERSION,
	THEN,
	WARM_UP,
	TIMEOUT,
	ATTEMPTS,
	PROGRESS,
	JSON,
	HELP,
	VERSION,
};

static const struct option known[] = {
	{"server", required_argument, NULL, SERVER},
	{"memif", required_argument, NULL, MEMIF},
	{"address", required_argument, NULL, ADDRESS},
	{"hugepages", no_argument, NULL, HUGEPAGES},
	{"cpu", required_argument, NULL, CPU},
	{"busy-poll", no_argument, NULL, BUSY_POLL},
	{"model", required_argument, NULL, MODEL},
	{"select", required_argument, NULL, SELECT},
	{"tensor-bytes", required_argument, NULL, TENSOR_BYTES},
	{"images", required_argument, NULL, IMAGES},
	{"labels", required_argument, NULL, LABELS},
	{"deadline-us", required_argument, NULL, DEADLINE},
	{"timing", no_argument, NULL, TIMING},
	{"echo", no_argument, NULL, ECHO},
	{"in-flight", required_argument, NULL, IN_FLIGHT},
	{"rate", required_argument, NULL, RATE},
	{"count", required_argument, NULL, COUNT},
	{"seconds", required_argument, NULL, SECONDS},
	{"repeat", no_argument, NULL, REPEAT},
	{"until-version", required_argument, NULL, UNTIL_VERSION},
	{"then", required_argument, NULL, THEN},
	{"warm-up", required_argument, NULL, WARM_UP},
	{"timeout-ms", required_argument, NULL, TIMEOUT},
	{"attempts", required_argument, NULL, ATTEMPTS},
	{"progress", no_argument, NULL, PROGRESS},
	{"json", optional_argument, NULL, JSON},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{NULL, 0, NULL, 0},
};

static int read_whole(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value, struct gyr_error *error)
{
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || *value < least || *value > most)
		return gyr_error_set(error, -EINVAL, "--%s %s: a whole number from %llu to %llu is expected", name, text, (unsigned long long)least,
				     (unsigned long long)most);
	return 0;
}

static int read_real(const char *name, const char *text, double *value, struct gyr_error *error)
{
	char *end;
	*value = strtod(text, &end);
	if (end == text || *end != 0 || !isfinite(*value) || *value <= 0)
		return gyr_error_set(error, -EINVAL, "--%s %s: a number above 0 is expected", name, text);
	return 0;
}

/* ADDR or, with PORT not NULL, ADDR:PORT. */
static int read_address(const char *name, const char *text, uint32_t *address, uint16_t *port, struct gyr_error *error)
{
	char host[INET_ADDRSTRLEN];
	struct in_addr parsed;
	const char *colon = port == NULL ? NULL : strchr(text, ':');
	size_t length = colon == NULL ? strlen(text) : (size_t)(colon - text);
	uint64_t number = 0;
	if (length < sizeof host) {
		memcpy(host, text, length);
		host[length] = 0;
	}
	if (length >= sizeof host || inet_pton(AF_INET, host, &parsed) != 1)
		return gyr_error_set(error, -EINVAL, "--%s %s: a numeric IPv4 address%s is expected", name, text, port == NULL ? "" : ", or ADDR:PORT,");
	if (colon != NULL) {
		int status = read_whole(name, colon + 1, 1, UINT16_MAX, &number, error);
		if (status != 0)
			return status;
		*port = (uint16_t)number;
	}
	*address = ntohl(parsed.s_addr);
	return 0;
}

static int read_select(const char *text, struct gyr_wire_ref *select, struct gyr_error *error)
{
	*select = (struct gyr_wire_ref){.present = true};
	if (text[0] != 0 && text[strspn(text, "0123456789")] == 0)
		return read_whole("select", text, 0, UINT64_MAX, &select->number, error);
	select->name = text;
	select->length = (uint32_t)strlen(text);
	if (!gyr_wire_name_is_valid(text, strlen(text)))
		return gyr_error_set(error, -EINVAL, "--select %s: neither a version nor a label", text);
	return 0;
}

static int read_one(int key, const char *name, const char *text, struct load_options *options, struct gyr_error *error)
{
	uint64_t number = 0;
	int status = 0;
	switch (key) {
	case SERVER: return read_address(name, text, &options->server, &options->port, error);
	case ADDRESS: return read_address(name, text, &options->address, NULL, error);
	case MEMIF: options->memif = text; break;
	case HUGEPAGES: options->hugepages = true; break;
	case BUSY_POLL: options->busy_poll = true; break;
	case MODEL:
		options->model = (struct gyr_wire_ref){.name = text, .length = (uint32_t)strlen(text), .present = true};
		if (!gyr_wire_name_is_valid(text, strlen(text)))
			status = gyr_error_set(error, -EINVAL, "--model %s: a name is 1 to %u of a-z 0-9 . _ -, the first a letter or digit", text,
					       GYR_WIRE_NAME_MAX);
		break;
	case SELECT: return read_select(text, &options->select, error);
	case IMAGES: options->images = text; break;
	case LABELS: options->labels = text; break;
	case TIMING: options->want_timing = true; break;
	case ECHO: options->echo = true; break;
	case RATE: return read_real(name, text, &options->rate, error);
	case SECONDS: return read_real(name, text, &options->seconds, error);
	case COUNT: return read_whole(name, text, 1, UINT64_MAX, &options->count, error);
	case UNTIL_VERSION: return read_whole(name, text, 1, UINT64_MAX, &options->until_version, error);
	case THEN: return read_whole(name, text, 1, UINT64_MAX, &options->then, error);
	case WARM_UP: return read_whole(name, text, 0, UINT64_MAX, &options->warm_up, error);
	case PROGRESS: options->progress = true; break;
	case JSON: options->json = text == NULL ? "-" : text; break;
	case CPU:
		status = read_whole(name, text, 0, 1023, &number, error);
		options->cpu = (int)number;
		break;
	case TENSOR_BYTES:
		status = read_whole(name, text, 1, 65000, &number, error);
		options->tensor_bytes = (uint32_t)number;
		break;
	case DEADLINE:
		status = read_whole(name, text, 0, GYR_WIRE_DEADLINE_US_MAX, &number, error);
		options->deadline_us = (uint32_t)number;
		break;
	case IN_FLIGHT:
		status = read_whole(name, text, 1, LOAD_IN_FLIGHT_MAX, &number, error);
		options->in_flight = (uint32_t)number;
		break;
	case TIMEOUT:
		status = read_whole(name, text, 1, 60000, &number, error);
		options->timeout_ms = (uint32_t)number;
		break;
	case ATTEMPTS:
		status = read_whole(name, text, 1, 1000, &number, error);
		options->attempts = (uint32_t)number;
		break;
	default: break;
	}
	return status;
}

int load_options_read(int argc, char **argv, struct load_options *options, struct gyr_error *error)
{
	bool repeat = false;
	*options = (struct load_options){
		.port = GYR_WIRE_PORT, .cpu = -1, .model = {.name = "fashion", .length = 7, .present = true}, .then = 1, .timeout_ms = 100, .attempts = 5};
	opterr = 0;
	for (;;) {
		int index = 0, key = getopt_long(argc, argv, "", known, &index);
		if (key == -1)
			break;
		if (key == '?')
			return gyr_error_set(error, -EINVAL, "%s: no such option, or its value is missing; --help lists them", argv[optind - 1]);
		if (key == HELP || key == VERSION) {
			fputs(key == HELP ? help : "gyr-load " GYR_VERSION "\n", stdout);
			return 1;
		}
		repeat |= key == REPEAT;
		int status = read_one(key, known[index].name, optarg, options, error);
		if (status != 0)
			return status;
	}
	if (optind < argc)
		return gyr_error_set(error, -EINVAL, "%s: only options are taken; --help lists them", argv[optind]);
	if (options->labels != NULL && options->images == NULL)
		return gyr_error_set(error, -EINVAL, "--labels needs --images");
	if (options->labels != NULL && options->echo)
		return gyr_error_set(error, -EINVAL, "--labels and --echo: an echo answers nothing that could be right");
	if (options->images != NULL && options->tensor_bytes != 0)
		return gyr_error_set(error, -EINVAL, "--images and --tensor-bytes: one of them");
	if (repeat && options->count != 0)
		return gyr_error_set(error, -EINVAL, "--repeat and --count: one of them");
	if (options->server == 0)
		options->server = options->memif != NULL ? 192u << 24 | 2u << 8 | 1u : INADDR_LOOPBACK;
	if (options->address == 0)
		options->address = (options->server & 0xff) < 254 ? options->server + 1 : options->server - 1;
	if (options->tensor_bytes == 0)
		options->tensor_bytes = 784;
	if (options->in_flight == 0)
		options->in_flight = options->rate > 0 ? 4096 : 1;
	if (!repeat && options->count == 0 && options->seconds == 0 && options->until_version == 0) {
		options->once = options->images != NULL;
		options->count = options->once ? 0 : 10000;
	}
	return 0;
}
