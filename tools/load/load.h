/*
 * gyr-load: asks a Gyr (or an echoing port) and measures the round trip. What its files share: the options. One thread; nothing is allocated between the first
 * question and the last answer, and nothing printed but the lines of --progress and --csv.
 *
 * A STREAM asks on a schedule of its own: closed loop or open, from a range of clients. What it asks is drawn from its KINDS, by weight.
 */
#ifndef GYR_TOOLS_LOAD_LOAD_H
#define GYR_TOOLS_LOAD_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dataplane/wire/wire.h"

#define LOAD_IN_FLIGHT_MAX 65536u /* of one stream */
#define LOAD_KINDS_MAX 16u
#define LOAD_STREAMS_MAX 8u
#define LOAD_CLIENTS_MAX 1024u
#define LOAD_BURST 32u

/* An IPv6 address, or an IPv4 one mapped into it (RFC 4291, 2.5.5.2); all zero: none. */
struct load_address {
	uint8_t bytes[16];
};

struct load_address load_address_of(const struct load_address *base, uint32_t i); /* the I-th after BASE */
bool load_address_is_ipv4(const struct load_address *address);
bool load_address_is_given(const struct load_address *address);

struct load_kind {
	struct gyr_wire_ref model, select;
	double weight;
	uint32_t tensor_bytes; /* of one row; random tensors, unless a file is named */
	uint32_t rows;
	const char *images, *labels;  /* IDX files */
	const char *inputs, *outputs; /* npy files */
};

struct load_stream {
	char name[16];
	uint32_t kind_first, kind_count;
	uint32_t client_first, client_count;
	uint32_t in_flight;
	double rate; /* questions a second, open loop; 0: closed loop */
	bool poisson;
	double from_s, until_s; /* after the start; until 0: the end */
};

struct load_options {
	/* The way there. */
	struct load_address server;
	uint32_t scope; /* of a link-local server (UDP); 0: none */
	uint16_t port;
	const char *memif, *devargs; /* a DPDK port; both NULL: UDP sockets */
	struct load_address address; /* of the first client, the others follow; none: any (UDP), the server's neighbour (DPDK) */
	struct load_address gateway; /* DPDK: the next hop; none: the server is a neighbour */
	uint32_t mtu;                /* DPDK */
	bool hugepages;              /* DPDK */
	int cpu;                     /* to run on; -1: any */
	bool busy_poll;              /* UDP: spin instead of sleeping in poll */

	/* What is asked, and when. */
	uint32_t kind_count, stream_count, client_count;
	struct load_kind kinds[LOAD_KINDS_MAX];
	struct load_stream streams[LOAD_STREAMS_MAX];
	uint32_t deadline_us;
	bool want_timing;
	bool echo;        /* the other end sends each datagram back as it came */
	bool check;       /* answers to one question by one version must be the same */
	double tolerance; /* of what is the same: f32, over 1 + the expected; 0: bit for bit */
	bool backoff;     /* a question that was answered BUSY is asked again when it was told to be */
	uint64_t seed;

	/* For how long. */
	uint64_t count;               /* 0: no bound */
	bool once;                    /* until each image was asked */
	double seconds;               /* 0: no bound */
	uint64_t warm_up;             /* questions before those that are measured */
	uint64_t until_version, then; /* until that version has answered THEN times; version 0: not so */
	double window;                /* seconds */
	double until_stable;          /* until p50 and p99 of the last windows differ by less than this part; 0: not so */
	uint32_t timeout_ms, attempts;

	/* The highest rate that holds P99_US. */
	bool find_rate;
	double p99_us;
	double within; /* how close to the highest */

	/* What is told. */
	bool progress;
	const char *json; /* a file; "-" is stdout; NULL: none */
	const char *csv;  /* the same */
};

/* Reads the command line. 0; 1: --help or --version was printed; -EINVAL. */
GYR_MUST_CHECK int load_options_read(int argc, char **argv, struct load_options *options, struct gyr_error *error);

/* The text of --help. */
extern const char load_help[];

#endif
