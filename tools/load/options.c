/* The command line of gyr-load. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/load/read.h"
#include "tools/load/source.h"

enum key {
	SERVER = 1,
	MEMIF,
	PORT,
	ADDRESS,
	GATEWAY,
	MTU,
	HUGEPAGES,
	CPU,
	BUSY_POLL,
	MODEL,
	SELECT,
	TENSOR_BYTES,
	ROWS,
	MIX,
	IMAGES,
	LABELS,
	INPUTS,
	OUTPUTS,
	CHECK,
	TOLERANCE,
	DEADLINE,
	TIMING,
	ECHO,
	CLIENTS,
	IN_FLIGHT,
	RATE,
	POISSON,
	STREAM,
	BACKOFF,
	SEED,
	COUNT,
	SECONDS,
	REPEAT,
	UNTIL_VERSION,
	THEN,
	UNTIL_STABLE,
	WARM_UP,
	TIMEOUT,
	ATTEMPTS,
	FIND_RATE,
	P99,
	WITHIN,
	WINDOW,
	PROGRESS,
	CSV,
	JSON,
	HELP,
	VERSION,
};

static const struct option known[] = {
	{"server", required_argument, NULL, SERVER},
	{"memif", required_argument, NULL, MEMIF},
	{"port", required_argument, NULL, PORT},
	{"address", required_argument, NULL, ADDRESS},
	{"gateway", required_argument, NULL, GATEWAY},
	{"mtu", required_argument, NULL, MTU},
	{"hugepages", no_argument, NULL, HUGEPAGES},
	{"cpu", required_argument, NULL, CPU},
	{"busy-poll", no_argument, NULL, BUSY_POLL},
	{"model", required_argument, NULL, MODEL},
	{"select", required_argument, NULL, SELECT},
	{"tensor-bytes", required_argument, NULL, TENSOR_BYTES},
	{"rows", required_argument, NULL, ROWS},
	{"mix", required_argument, NULL, MIX},
	{"images", required_argument, NULL, IMAGES},
	{"labels", required_argument, NULL, LABELS},
	{"inputs", required_argument, NULL, INPUTS},
	{"outputs", required_argument, NULL, OUTPUTS},
	{"check", no_argument, NULL, CHECK},
	{"tolerance", required_argument, NULL, TOLERANCE},
	{"deadline-us", required_argument, NULL, DEADLINE},
	{"timing", no_argument, NULL, TIMING},
	{"echo", no_argument, NULL, ECHO},
	{"clients", required_argument, NULL, CLIENTS},
	{"in-flight", required_argument, NULL, IN_FLIGHT},
	{"rate", required_argument, NULL, RATE},
	{"poisson", no_argument, NULL, POISSON},
	{"stream", required_argument, NULL, STREAM},
	{"backoff", no_argument, NULL, BACKOFF},
	{"seed", required_argument, NULL, SEED},
	{"count", required_argument, NULL, COUNT},
	{"seconds", required_argument, NULL, SECONDS},
	{"repeat", no_argument, NULL, REPEAT},
	{"until-version", required_argument, NULL, UNTIL_VERSION},
	{"then", required_argument, NULL, THEN},
	{"until-stable", required_argument, NULL, UNTIL_STABLE},
	{"warm-up", required_argument, NULL, WARM_UP},
	{"timeout-ms", required_argument, NULL, TIMEOUT},
	{"attempts", required_argument, NULL, ATTEMPTS},
	{"find-rate", no_argument, NULL, FIND_RATE},
	{"p99-us", required_argument, NULL, P99},
	{"within", required_argument, NULL, WITHIN},
	{"window", required_argument, NULL, WINDOW},
	{"progress", no_argument, NULL, PROGRESS},
	{"csv", optional_argument, NULL, CSV},
	{"json", optional_argument, NULL, JSON},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{NULL, 0, NULL, 0},
};

/* What the options of the first stream say, until all are read. */
struct reading {
	struct load_options *options;
	struct load_stream main;
	struct load_kind kind;
	char *mix, *streams[LOAD_STREAMS_MAX];
	uint32_t stream_count;
	bool repeat, bytes_given;
};

/* Options with a whole number. */
static const struct whole {
	enum key key;
	uint64_t least, most;
} wholes[] = {
	{MTU, 576, 9000},
	{CPU, 0, 1023},
	{TENSOR_BYTES, 1, LOAD_TENSOR_MAX},
	{ROWS, 1, LOAD_TENSOR_MAX},
	{DEADLINE, 0, GYR_WIRE_DEADLINE_US_MAX},
	{CLIENTS, 1, LOAD_CLIENTS_MAX},
	{IN_FLIGHT, 1, LOAD_IN_FLIGHT_MAX},
	{SEED, 0, UINT64_MAX},
	{COUNT, 1, UINT64_MAX},
	{UNTIL_VERSION, 1, UINT64_MAX},
	{THEN, 1, UINT64_MAX},
	{WARM_UP, 0, UINT64_MAX},
	{TIMEOUT, 1, 60000},
	{ATTEMPTS, 1, 1000},
};

static void set_whole(struct reading *reading, enum key key, uint64_t number)
{
	struct load_options *options = reading->options;
	switch (key) {
	case MTU: options->mtu = (uint32_t)number; break;
	case CPU: options->cpu = (int)number; break;
	case TENSOR_BYTES:
		reading->kind.tensor_bytes = (uint32_t)number;
		reading->bytes_given = true;
		break;
	case ROWS: reading->kind.rows = (uint32_t)number; break;
	case DEADLINE: options->deadline_us = (uint32_t)number; break;
	case CLIENTS: reading->main.client_count = (uint32_t)number; break;
	case IN_FLIGHT: reading->main.in_flight = (uint32_t)number; break;
	case SEED: options->seed = number; break;
	case COUNT: options->count = number; break;
	case UNTIL_VERSION: options->until_version = number; break;
	case THEN: options->then = number; break;
	case WARM_UP: options->warm_up = number; break;
	case TIMEOUT: options->timeout_ms = (uint32_t)number; break;
	case ATTEMPTS: options->attempts = (uint32_t)number; break;
	default: break;
	}
}

static int read_one(struct reading *reading, enum key key, const char *name, char *text, struct gyr_error *error)
{
	struct load_options *options = reading->options;
	struct load_kind *kind = &reading->kind;
	double percent = 0;
	int status = 0;
	switch (key) {
	case SERVER: return load_read_address(name, text, &options->server, &options->port, &options->scope, error);
	case ADDRESS: return load_read_address(name, text, &options->address, NULL, NULL, error);
	case GATEWAY: return load_read_address(name, text, &options->gateway, NULL, NULL, error);
	case MEMIF: options->memif = text; return 0;
	case PORT: options->devargs = text; return 0;
	case HUGEPAGES: options->hugepages = true; return 0;
	case BUSY_POLL: options->busy_poll = true; return 0;
	case MODEL: return load_read_model(name, text, &kind->model, error);
	case SELECT: return load_read_select(name, text, &kind->select, error);
	case MIX: reading->mix = text; return 0;
	case IMAGES: kind->images = text; return 0;
	case LABELS: kind->labels = text; return 0;
	case INPUTS: kind->inputs = text; return 0;
	case OUTPUTS: kind->outputs = text; return 0;
	case CHECK: options->check = true; return 0;
	case TOLERANCE: return strcmp(text, "0") == 0 ? (options->tolerance = 0) : load_read_real(name, text, &options->tolerance, error);
	case TIMING: options->want_timing = true; return 0;
	case ECHO: options->echo = true; return 0;
	case RATE: return load_read_real(name, text, &reading->main.rate, error);
	case POISSON: reading->main.poisson = true; return 0;
	case STREAM:
		/* The place of the first stream is not theirs. */
		if (reading->stream_count + 1 == LOAD_STREAMS_MAX)
			return gyr_error_set(error, -EINVAL, "--stream: at most %u are taken, with the first", LOAD_STREAMS_MAX);
		reading->streams[reading->stream_count++] = text;
		return 0;
	case BACKOFF: options->backoff = true; return 0;
	case SECONDS: return load_read_real(name, text, &options->seconds, error);
	case REPEAT: reading->repeat = true; return 0;
	case UNTIL_STABLE:
		status = load_read_real(name, text, &percent, error);
		options->until_stable = percent / 100;
		return status;
	case FIND_RATE: options->find_rate = true; return 0;
	case P99: return load_read_real(name, text, &options->p99_us, error);
	case WITHIN:
		status = load_read_real(name, text, &percent, error);
		options->within = percent / 100;
		return status;
	case WINDOW: return load_read_real(name, text, &options->window, error);
	case PROGRESS: options->progress = true; return 0;
	case CSV: options->csv = text == NULL ? "-" : text; return 0;
	case JSON: options->json = text == NULL ? "-" : text; return 0;
	default: break;
	}
	for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
		if (wholes[i].key == key) {
			uint64_t number = 0;
			status = load_read_whole(name, text, wholes[i].least, wholes[i].most, &number, error);
			set_whole(reading, key, number);
		}
	return status;
}

static int check_together(const struct reading *reading, struct gyr_error *error)
{
	const struct load_options *options = reading->options;
	const struct load_kind *kind = &reading->kind;
	bool file = kind->images != NULL || kind->inputs != NULL, judged = kind->labels != NULL || kind->outputs != NULL || options->check;
	const struct {
		bool wrong;
		const char *why;
	} rules[] = {
		{kind->labels != NULL && kind->images == NULL, "--labels needs --images"},
		{kind->outputs != NULL && kind->inputs == NULL, "--outputs needs --inputs"},
		{judged && options->echo, "--labels, --outputs or --check, and --echo: an echo answers nothing that could be right"},
		{kind->images != NULL && kind->inputs != NULL, "--images and --inputs: one of them"},
		{file && (reading->bytes_given || kind->rows != 1 || reading->mix != NULL),
		 "--images or --inputs, and --tensor-bytes, --rows or --mix: a file says what is asked"},
		{file && reading->stream_count > 0, "--images or --inputs, and --stream: a file serves one stream"},
		{options->tolerance >= 0 && !judged, "--tolerance needs --outputs or --check"},
		{reading->repeat && options->count != 0, "--repeat and --count: one of them"},
		{reading->main.poisson && reading->main.rate == 0 && !options->find_rate, "--poisson needs --rate"},
		{options->memif != NULL && options->devargs != NULL, "--memif and --port: one of them"},
		{options->find_rate && options->p99_us == 0, "--find-rate needs --p99-us"},
		{options->find_rate && (options->count != 0 || reading->repeat || options->until_stable > 0 || options->until_version != 0),
		 "--find-rate and --count, --repeat, --until-version or --until-stable: its trials last --seconds"},
		{options->csv != NULL && options->json != NULL && strcmp(options->csv, "-") == 0 && strcmp(options->json, "-") == 0,
		 "--csv and --json: at most one on stdout"},
		{load_address_is_given(&options->address) && load_address_is_given(&options->server) &&
			 load_address_is_ipv4(&options->address) != load_address_is_ipv4(&options->server),
		 "--address and --server: both IPv4 or both IPv6"},
		{load_address_is_given(&options->gateway) && load_address_is_given(&options->server) &&
			 load_address_is_ipv4(&options->gateway) != load_address_is_ipv4(&options->server),
		 "--gateway and --server: both IPv4 or both IPv6"},
	};
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].wrong)
			return gyr_error_set(error, -EINVAL, "%s", rules[i].why);
	return 0;
}

/* What was not said. */
static void fill_in(struct reading *reading)
{
	struct load_options *options = reading->options;
	bool dpdk = options->memif != NULL || options->devargs != NULL, open = false;
	if (!load_address_is_given(&options->server))
		options->server = (struct load_address){{[10] = 0xff, 0xff, dpdk ? 192 : 127, 0, dpdk ? 2 : 0, 1}};
	if (dpdk && !load_address_is_given(&options->address)) {
		options->address = load_address_of(&options->server, 1);
		if (options->server.bytes[15] >= 254)
			options->address = load_address_of(&options->server, UINT32_MAX);
	}
	for (uint32_t i = 0; i < options->stream_count; i++) {
		struct load_stream *stream = &options->streams[i];
		open |= stream->rate > 0;
		if (stream->in_flight == 0)
			stream->in_flight = stream->rate > 0 || (i == 0 && options->find_rate) ? LOAD_IN_FLIGHT_MAX : 1;
		stream->client_first = options->client_count;
		options->client_count += stream->client_count;
	}
	/* A question that is asked again is load beyond the rate. */
	if (options->attempts == 0)
		options->attempts = (open || options->find_rate) && !options->backoff ? 1 : 5;
	if (options->tolerance < 0)
		options->tolerance = reading->kind.outputs != NULL ? 1e-4 : 0;
	if (options->find_rate && options->seconds == 0)
		options->seconds = 1;
	if (!reading->repeat && options->count == 0 && options->seconds == 0 && options->until_version == 0 && options->until_stable == 0) {
		options->once = reading->kind.images != NULL || reading->kind.inputs != NULL;
		options->count = options->once ? 0 : 10000;
	}
}

static int make_streams(struct reading *reading, struct gyr_error *error)
{
	struct load_options *options = reading->options;
	options->streams[0] = reading->main;
	options->stream_count = 1;
	int status = 0;
	if (reading->mix != NULL) {
		status = load_read_mix(reading->mix, &reading->kind, options, &options->streams[0], error);
	} else {
		options->kinds[options->kind_count++] = reading->kind;
		options->streams[0].kind_count = 1;
	}
	if (status == 0 && reading->kind.images == NULL && reading->kind.inputs == NULL &&
	    (uint64_t)reading->kind.tensor_bytes * reading->kind.rows > LOAD_TENSOR_MAX)
		status = gyr_error_set(error, -EINVAL, "--rows %u: of %u bytes each; a datagram holds %u", reading->kind.rows, reading->kind.tensor_bytes,
				       LOAD_TENSOR_MAX);
	for (uint32_t i = 0; status == 0 && i < reading->stream_count; i++)
		status = load_read_stream(reading->streams[i], &reading->kind, options, error);
	return status;
}

int load_options_read(int argc, char **argv, struct load_options *options, struct gyr_error *error)
{
	static const struct gyr_wire_ref fashion = {.name = "fashion", .length = 7, .present = true};
	struct reading reading = {
		.options = options, .main = {.name = "main", .client_count = 1}, .kind = {.model = fashion, .weight = 1, .tensor_bytes = 784, .rows = 1}};
	*options = (struct load_options){
		.port = GYR_WIRE_PORT, .cpu = -1, .mtu = 1500, .then = 1, .timeout_ms = 100, .tolerance = -1, .seed = 1, .window = 1, .within = 0.02};
	opterr = 0;
	for (;;) {
		int index = 0, key = getopt_long(argc, argv, "", known, &index);
		if (key == -1)
			break;
		if (key == '?')
			return gyr_error_set(error, -EINVAL, "%s: no such option, or its value is missing; --help lists them", argv[optind - 1]);
		if (key == HELP || key == VERSION) {
			fputs(key == HELP ? load_help : "gyr-load " GYR_VERSION "\n", stdout);
			return 1;
		}
		int status = read_one(&reading, (enum key)key, known[index].name, optarg, error);
		if (status != 0)
			return status;
	}
	if (optind < argc)
		return gyr_error_set(error, -EINVAL, "%s: only options are taken; --help lists them", argv[optind]);
	int status = check_together(&reading, error);
	if (status == 0)
		status = make_streams(&reading, error);
	if (status == 0)
		fill_in(&reading);
	if (status == 0 && options->client_count > LOAD_CLIENTS_MAX)
		status = gyr_error_set(error, -EINVAL, "--clients: at most %u in all", LOAD_CLIENTS_MAX);
	return status;
}
