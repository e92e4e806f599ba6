/*
 * gyr-load: asks a Gyr (or an echoing port) and measures the round trip. What its files share: the options, the examples that are asked, the way to the server,
 * and what was seen. One thread; nothing is allocated or printed between the first question and the last answer, but for the lines of --progress.
 */
#ifndef GYR_TOOLS_LOAD_LOAD_H
#define GYR_TOOLS_LOAD_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"
#include "dataplane/wire/wire.h"

#define LOAD_IN_FLIGHT_MAX 65536u
#define LOAD_VERSIONS_MAX 64u
#define LOAD_BURST 32u

struct load_options {
	/* The way there. */
	uint32_t server; /* IPv4, host byte order */
	uint16_t port;
	const char *memif; /* socket path; NULL: a UDP socket */
	uint32_t address;  /* memif: our own IPv4, host byte order; 0: the server's neighbour */
	bool hugepages;    /* memif */
	int cpu;           /* to run on; -1: any */
	bool busy_poll;    /* UDP: spin instead of sleeping in poll */

	/* What is asked. */
	struct gyr_wire_ref model, select;
	uint32_t tensor_bytes;       /* random tensors of this size, unless: */
	const char *images, *labels; /* IDX files */
	uint32_t deadline_us;
	bool want_timing;
	bool echo; /* the other end sends each datagram back as it came */

	/* How, and for how long. */
	uint32_t in_flight;
	double rate;                  /* questions a second, open loop; 0: closed loop */
	uint64_t count;               /* 0: no bound */
	bool once;                    /* until each image was asked */
	double seconds;               /* 0: no bound */
	uint64_t warm_up;             /* questions before those that are measured */
	uint64_t until_version, then; /* until that version has answered THEN times; version 0: not so */
	uint32_t timeout_ms, attempts;

	/* What is told. */
	bool progress;
	const char *json; /* a file; "-" is stdout; NULL: none */
};

/* Reads the command line. 0; 1: --help or --version was printed; -EINVAL. */
GYR_MUST_CHECK int load_options_read(int argc, char **argv, struct load_options *options, struct gyr_error *error);

/* Examples: COUNT tensors of BYTES each, and their labels where known. */
struct load_source {
	uint32_t count, bytes;
	uint8_t *tensors;
	uint8_t *labels; /* NULL: unknown */
};

/* Reads the IDX files of OPTIONS or makes random tensors. -EINVAL, -ENOMEM, -EIO or what opening said; the message names the file. */
GYR_MUST_CHECK int load_source_open(const struct load_options *options, struct load_source *source, struct gyr_error *error);
void load_source_close(struct load_source *source);

/* The way to the server. BUFFER, then SEND, for each datagram; FLUSH when none follows at once. */
struct load_transport {
	const struct load_transport_methods {
		/* Where to put the next datagram, and how many bytes fit; NULL when there is no buffer now. */
		uint8_t *(*buffer)(struct load_transport *transport, size_t *size);
		/* Sends the BYTES there. What the path loses, it loses: a resend mends that. */
		void (*send)(struct load_transport *transport, size_t bytes);
		void (*flush)(struct load_transport *transport);
		/* Hands up to MOST (at most LOAD_BURST) datagrams that have come to HANDLER. */
		unsigned (*receive)(struct load_transport *transport, unsigned most, void (*handler)(void *context, const uint8_t *bytes, size_t size),
				    void *context);
		/* Waits until something has come, or UNTIL_NS, or a signal; may return at once. */
		void (*wait)(struct load_transport *transport, uint64_t until_ns);
		void (*close)(struct load_transport *transport);
	} *methods;
	uint64_t rejected; /* as of load_stats */
};

/* Each opens one way; *TRANSPORT lives until its close. 0, or a negative errno and the reason. */
GYR_MUST_CHECK int load_udp_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error);
GYR_MUST_CHECK int load_memif_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error);

struct load_version {
	uint64_t version, answers, correct;
};

/* The warm-up counts in lost, resent, doubled and stray only. */
struct load_stats {
	uint64_t asked;                           /* distinct questions */
	uint64_t answered;                        /* by a result (or, with --echo, an echo) */
	uint64_t lost;                            /* no answer to any attempt */
	uint64_t resent;                          /* datagrams sent beyond the first of each question */
	uint64_t doubled;                         /* answers beyond one for each datagram sent */
	uint64_t stray;                           /* datagrams that answer no question of ours */
	uint64_t malformed;                       /* answers that wire.h refuses, or of another type than asked for */
	uint64_t rejected;                        /* frames with a wrong length, address or checksum (memif) */
	uint64_t errors[GYR_WIRE_CODE_COUNT + 1]; /* by code; the last counts codes that we do not know */
	uint64_t correct;
	uint64_t elapsed_ns; /* first question to last answer, without the warm-up */
	uint32_t version_count;
	struct load_version versions[LOAD_VERSIONS_MAX];
	struct gyr_histogram round_trip; /* open loop: from the time that the question was due */
	struct gyr_histogram timing[3];  /* as of gyr_wire_message.timing_ns */
};

/* Asks until the options' end or until *STOP is set (by a signal). 0; -ENOMEM; -EMSGSIZE: an example fits no datagram of TRANSPORT. */
GYR_MUST_CHECK int load_run(const struct load_options *options, const struct load_source *source, struct load_transport *transport, const atomic_bool *stop,
			    struct load_stats *stats, struct gyr_error *error);

/* Nothing lost, doubled, malformed or refused, and something answered; with --until-version: that version has answered. */
bool load_is_clean(const struct load_options *options, const struct load_stats *stats);

/* The table on stdout (stderr when --json has stdout). */
void load_report_table(const struct load_options *options, const struct load_source *source, const struct load_stats *stats);

/* The same as JSON. -EIO. */
GYR_MUST_CHECK int load_report_json(const struct load_options *options, const struct load_source *source, const struct load_stats *stats,
				    struct gyr_error *error);

/* One line of --progress on stderr: what came since the line before. */
void load_report_progress(const struct load_stats *stats, double seconds, uint64_t answered_before, double interval);

#endif
