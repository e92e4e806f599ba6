/* A way to the server that loses nothing on its side: a frame counts as sent once the other side's queue has it. */
#ifndef GYR_TESTS_E2E_STORM_WAY_H
#define GYR_TESTS_E2E_STORM_WAY_H

#include "frame.h"

#define WAY_BURST 32u

typedef void (*way_handler)(void *context, const uint8_t *bytes, uint32_t size);

struct way {
	/* Takes a copy; it goes out when a burst is full, or with flush. What comes meanwhile is handed to the handler. */
	void (*send)(struct way *way, const struct frame *frame);
	void (*flush)(struct way *way);
	/* Hands over what has come; how many. */
	unsigned (*poll)(struct way *way);
	way_handler handler;
	void *context;
	uint32_t least, most; /* bytes of a frame that it carries */
	uint64_t sent;
	uint8_t own[6];
};

/* Each opens one way, or ends the program with the reason: a memif socket; a network interface (by AF_PACKET). */
struct way *way_memif(const char *socket);
struct way *way_packet(const char *interface);

void way_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
