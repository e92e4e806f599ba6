/*
 * The wire, version 1: one msgpack array in one UDP datagram, the same codec for both ends. docs/WIRE.md is its specification. Parsing copies and allocates
 * nothing; what is parsed points into the datagram, which must outlive it. No DPDK, no oneDNN. Any thread.
 */
#ifndef GYR_DATAPLANE_WIRE_WIRE_H
#define GYR_DATAPLANE_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

#define GYR_WIRE_VERSION 1u
#define GYR_WIRE_PORT 4970u
#define GYR_WIRE_TENSORS_MAX 8u        /* inputs of a request, outputs of a result */
#define GYR_WIRE_NAME_MAX 63u          /* bytes of a model's name or a label: [a-z0-9._-], the first a letter or digit */
#define GYR_WIRE_NEST_MAX GYR_RANK_MAX /* arrays inside each other in a plain tensor */
#define GYR_WIRE_DATAGRAM_MAX 65507u
#define GYR_WIRE_SEALED 0xC1u /* first byte of a sealed datagram: reserved */
#define GYR_WIRE_DEADLINE_US_MAX 60000000u
#define GYR_WIRE_FRAGMENT_HEAD_MAX 25u /* bytes of a fragment before its piece */
#define GYR_WIRE_RANGES_MAX 128u       /* that one message asks for again */

enum gyr_wire_type {
	GYR_WIRE_REQUEST = 1,
	GYR_WIRE_RESULT = 2,
	GYR_WIRE_ERROR = 3,
	GYR_WIRE_DESCRIBE = 4,
	GYR_WIRE_DESCRIPTION = 5,
	GYR_WIRE_FRAGMENT = 6, /* a piece of a message that no datagram holds */
	GYR_WIRE_PING = 7,
	GYR_WIRE_MISSING = 8, /* asks for pieces again */
};

/* Codes of an error message. */
enum gyr_wire_code {
	GYR_WIRE_OK = 0,          /* never sent */
	GYR_WIRE_MALFORMED = 1,   /* not what WIRE.md says; the text names the place */
	GYR_WIRE_UNSUPPORTED = 2, /* another version, or a type that is not served */
	GYR_WIRE_UNKNOWN_MODEL = 3,
	GYR_WIRE_UNKNOWN_VERSION = 4, /* no such version is loaded */
	GYR_WIRE_UNKNOWN_LABEL = 5,   /* no such label; or no select, and nothing is promoted */
	GYR_WIRE_BAD_SHAPE = 6,       /* number of inputs, rank, dimensions or bytes */
	GYR_WIRE_BAD_DTYPE = 7,
	GYR_WIRE_TOO_LARGE = 8, /* more rows than the model's limit, or a message or answer larger than what may come or go */
	GYR_WIRE_DEADLINE = 9,  /* passed before the work began, or before it ended */
	GYR_WIRE_BUSY = 10,     /* turned away; retry_after_us says when to come back */
	GYR_WIRE_INTERNAL = 11,
	GYR_WIRE_INCOMPLETE = 12, /* pieces were asked for again and did not come, or are not kept any more */
	GYR_WIRE_FORBIDDEN = 13,  /* the answer is larger than the question, and the client's address is not trusted with that */
	GYR_WIRE_CODE_COUNT
};

/* "unknown model", ...; "?" for a number that is no code. */
const char *gyr_wire_code_name(enum gyr_wire_code code);

enum gyr_wire_form {
	GYR_WIRE_BARE,  /* bin: the model's declared type and shape */
	GYR_WIRE_TYPED, /* [dtype, shape, bin] */
	GYR_WIRE_PLAIN, /* (nested) array of numbers, or one number */
};

struct gyr_wire_tensor {
	uint8_t form;               /* enum gyr_wire_form */
	uint8_t rank;               /* TYPED: of dims; PLAIN: nesting depth, 0 for one number; BARE: 0 */
	uint16_t dtype;             /* TYPED: enum gyr_dtype; else 0 */
	uint32_t bytes;             /* of data */
	const uint8_t *data;        /* BARE, TYPED: the elements (any alignment); PLAIN: the msgpack object */
	int64_t dims[GYR_RANK_MAX]; /* TYPED and PLAIN */
};

/* Whether NAME may be a model's name or a label. */
bool gyr_wire_name_is_valid(const char *name, size_t length);

/* A name or a number. */
struct gyr_wire_ref {
	const char *name; /* not zero-terminated; NULL when it is a number or absent */
	uint32_t length;
	bool present;
	uint64_t number;
};

struct gyr_wire_message {
	enum gyr_wire_type type; /* 0: none of ours */
	uint64_t id;
	bool has_id;                /* set, like type, as soon as the id was read, also when parsing then failed: an error can be answered */
	struct gyr_wire_ref model;  /* REQUEST, DESCRIBE */
	struct gyr_wire_ref select; /* REQUEST, DESCRIBE: nil, a version number, or a label */
	uint32_t deadline_us;       /* REQUEST: from arrival; 0 none */
	bool want_timing;           /* REQUEST: option "timing" */
	bool want_order;            /* REQUEST: option "order" */
	uint64_t version;           /* RESULT */
	uint32_t tensor_count;
	struct gyr_wire_tensor tensors[GYR_WIRE_TENSORS_MAX]; /* REQUEST: inputs; RESULT: outputs */
	bool has_timing;
	uint32_t timing_ns[3];   /* RESULT: arrival to dequeue, compute, arrival to reply */
	enum gyr_wire_code code; /* ERROR */
	const char *text;        /* ERROR, not zero-terminated */
	uint32_t text_length;
	uint32_t retry_after_us; /* ERROR; 0 none */
	const uint8_t *body;     /* PING, FRAGMENT: the bin; DESCRIPTION: the msgpack map; MISSING: the ranges, for gyr_wire_next_range */
	uint32_t body_bytes;
	uint32_t total, offset; /* FRAGMENT, MISSING: bytes of the whole message; FRAGMENT: where the piece belongs in it */
};

/* Bytes [offset, offset + bytes) of a message: see pieces.h for what can be one. */
struct gyr_wire_range {
	uint32_t offset, bytes;
};

/*
 * Parses one datagram of SIZE bytes. GYR_WIRE_OK, or MALFORMED or UNSUPPORTED with *REASON a constant string that names the place at fault. Nothing after the
 * array may follow. Hot path: under 100 ns for a request with one bare tensor.
 */
enum gyr_wire_code gyr_wire_parse(const void *bytes, size_t size, struct gyr_wire_message *message, const char **reason);

/* Takes the next range from what is left of a MISSING message's body, which gyr_wire_parse has checked. False: there is none. */
bool gyr_wire_next_range(struct gyr_wire_message *message, struct gyr_wire_range *range);

/*
 * Converts the numbers of a PLAIN tensor to COUNT elements of DTYPE at TO. MALFORMED, BAD_SHAPE (another count), BAD_DTYPE (a number that DTYPE cannot hold).
 * TYPED and BARE tensors need no conversion.
 */
enum gyr_wire_code gyr_wire_plain_read(const struct gyr_wire_tensor *tensor, enum gyr_dtype dtype, void *to, size_t count);

/* One output to be packed. */
struct gyr_wire_output {
	struct gyr_shape shape; /* no GYR_DIM_BATCH: rows filled in */
	const void *data;       /* dense; may be NULL for BARE and TYPED: then room is left and its place told */
	uint8_t form;           /* enum gyr_wire_form */
};

/*
 * Each packs one message into SIZE bytes at TO and returns its length, or 0 when it does not fit. PLACES (may be NULL) gets for each bare or typed output the
 * offset of its elements in TO, so that a kernel can write them there after packing.
 */
size_t gyr_wire_pack_result(void *to, size_t size, uint64_t id, uint64_t version, const struct gyr_wire_output *outputs, uint32_t count,
			    const uint32_t timing_ns[3], uint32_t *places);
size_t gyr_wire_pack_error(void *to, size_t size, uint64_t id, enum gyr_wire_code code, const char *text, uint32_t retry_after_us);
size_t gyr_wire_pack_request(void *to, size_t size, uint64_t id, const struct gyr_wire_ref *model, const struct gyr_wire_ref *select, uint32_t deadline_us,
			     const struct gyr_wire_output *inputs, uint32_t count, bool want_timing);
size_t gyr_wire_pack_describe(void *to, size_t size, uint64_t id, const struct gyr_wire_ref *model, const struct gyr_wire_ref *select);
size_t gyr_wire_pack_ping(void *to, size_t size, uint64_t id, const void *body, uint32_t body_bytes);
/* BYTES of PIECE, which belong at OFFSET of a message of TOTAL bytes. */
size_t gyr_wire_pack_fragment(void *to, size_t size, uint64_t id, uint32_t total, uint32_t offset, const void *piece, uint32_t bytes);
/* As many of RANGES (COUNT, 1 to GYR_WIRE_RANGES_MAX) as fit, from the first on. */
size_t gyr_wire_pack_missing(void *to, size_t size, uint64_t id, uint32_t total, const struct gyr_wire_range *ranges, uint32_t count);

/* What the answer to describe holds for one model (packed by the data plane's house thread once for each route table, or on demand). */
struct gyr_wire_value {
	const char *name;
	struct gyr_shape shape; /* dims[0] GYR_DIM_BATCH is sent as -1 */
};
struct gyr_wire_description {
	const char *model;
	uint64_t handle;
	uint32_t version_count, label_count, input_count, output_count, batch_max, datagram_max, message_max;
	const uint64_t *versions; /* loaded */
	const struct gyr_wire_label {
		const char *name;
		uint64_t version;
	} *labels;
	const struct gyr_wire_value *inputs, *outputs;
};
size_t gyr_wire_pack_description(void *to, size_t size, uint64_t id, const struct gyr_wire_description *description);

#endif
