/*
 * The link: what gyrd says to gyr-dataplane and what it answers, over a Unix SOCK_SEQPACKET socket that the data plane listens on (RUN_DIR/dataplane.sock, mode
 * 0600). One peer at a time; when gyrd dies the data plane serves on and waits for the next. Each message is one msgpack array in one packet of at most
 * GYR_LINK_BYTES_MAX bytes; a LOAD carries the bundle's sealed memory as an SCM_RIGHTS descriptor, CHOICES a file, the answer to STATS the counters' memory.
 * Requests are answered in order. Both ends use this codec; it knows neither DPDK nor oneDNN.
 *
 *     request  [1, type, seq, model, version, [[label, version]...]]
 *     answer   [1, type | 0x80, seq, status, text, body]      body: nil, or a map (STATUS)
 */
#ifndef GYR_DATAPLANE_LINK_LINK_H
#define GYR_DATAPLANE_LINK_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_LINK_VERSION 1u
#define GYR_LINK_BYTES_MAX 65536u
#define GYR_LINK_LABELS_MAX 16u
#define GYR_LINK_SOCKET "dataplane.sock" /* in the run directory */
#define GYR_LINK_STABLE "stable"         /* the label that a request without a select goes by */

enum gyr_link_type {
	GYR_LINK_HELLO = 1, /* who are you; body as of STATUS */
	GYR_LINK_LOAD = 2, /* model, version, descriptor: map, check, compile, replay golden vectors, warm; answered when it may be routed to. A version already
			      loaded: success */
	GYR_LINK_UNLOAD =
		3,          /* model, version: refused (-EBUSY) while a label points at it; answered when its memory is free. One that is not loaded: success */
	GYR_LINK_ROUTE = 4, /* model and all its labels: replaces them at once. -ENOENT when a version is not loaded */
	/* body: {"pid", "models": [{"model": name, "versions": [{"version", "id": the bundle's}...], "labels": {label: version}, "policy": {setting:
	   value}}...], "models_left_out"}; "model" comes first. Where not all models fit, the rest is left out and counted; version: how many of the first ones
	   to skip */
	GYR_LINK_STATUS = 5,
	GYR_LINK_STOP = 6,    /* answer what was accepted, then end */
	GYR_LINK_CHOICES = 7, /* descriptor of a file: what plans chose by measuring is in it, and is kept in it from now on (dataplane/loop/choices.h) */
	GYR_LINK_STATS = 8,   /* answered with a descriptor of the counters' memory (stats.h), which only reads */
	GYR_LINK_POLICY = 9,  /* model, and in the place of labels [[setting, value]...] of policy.h: those that are not among them are as if never set. -ENOENT
				 when the model is not loaded; when its last version is unloaded, it is forgotten */
	GYR_LINK_SETTLED = 10, /* all is loaded and routed that was to be: from now on what is asked for and is not there is refused as unknown. Before, a data
				  plane that was started with --restoring answers that with BUSY */
};
#define GYR_LINK_TYPE_MAX GYR_LINK_SETTLED

struct gyr_link_label {
	char name[64];
	uint64_t version;
};

struct gyr_link_request {
	enum gyr_link_type type;
	uint64_t seq;   /* chosen by gyrd; comes back */
	char model[64]; /* empty where the type has none */
	uint64_t version;
	uint32_t label_count;
	struct gyr_link_label labels[GYR_LINK_LABELS_MAX];
};

struct gyr_link_answer {
	enum gyr_link_type type;
	uint64_t seq;
	int status;          /* 0 or a negative errno */
	char text[512];      /* why, when not 0 */
	const uint8_t *body; /* msgpack, within the received packet; NULL when nil */
	uint32_t body_bytes;
};

/* Pack into SIZE bytes at TO; the length, or 0 when it does not fit. */
size_t gyr_link_pack_request(void *to, size_t size, const struct gyr_link_request *request);
size_t gyr_link_pack_answer(void *to, size_t size, const struct gyr_link_answer *answer);

/* Parse one packet; any content is safe. -EBADMSG with the place at fault; -EPROTONOSUPPORT: another version. */
GYR_MUST_CHECK int gyr_link_parse_request(const void *bytes, size_t size, struct gyr_link_request *request, struct gyr_error *error);
GYR_MUST_CHECK int gyr_link_parse_answer(const void *bytes, size_t size, struct gyr_link_answer *answer, struct gyr_error *error);

#endif
