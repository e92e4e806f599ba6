/* The way to the server: for each client an address and a port of its own. */
#ifndef GYR_TOOLS_LOAD_TRANSPORT_H
#define GYR_TOOLS_LOAD_TRANSPORT_H

#include "tools/load/load.h"

/* Takes one datagram that has come to CLIENT. */
typedef void load_handler(void *context, uint32_t client, const uint8_t *bytes, size_t size);

/* BUFFER, then SEND, for each datagram; FLUSH when none follows at once. */
struct load_transport {
	const struct load_transport_methods {
		/* Where to put the next datagram, which CLIENT sends, and how many bytes fit; NULL when there is no buffer now. */
		uint8_t *(*buffer)(struct load_transport *transport, uint32_t client, size_t *size);
		/* Sends the BYTES there. What the path loses, it loses: a resend mends that. */
		void (*send)(struct load_transport *transport, size_t bytes);
		void (*flush)(struct load_transport *transport);
		/* Hands up to MOST (at most LOAD_BURST) datagrams to HANDLER. */
		unsigned (*receive)(struct load_transport *transport, unsigned most, load_handler *handler, void *context);
		/* Waits until something has come, or UNTIL_NS, or a signal; may return at once. */
		void (*wait)(struct load_transport *transport, uint64_t until_ns);
		void (*close)(struct load_transport *transport);
	} *methods;
	uint64_t rejected, unsent; /* as of load_stats */
};

/* Each opens one way; *TRANSPORT lives until its close. 0, or a negative errno and the reason. */
GYR_MUST_CHECK int load_udp_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error);
GYR_MUST_CHECK int load_dpdk_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error);

#endif
