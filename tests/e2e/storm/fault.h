/*
 * Frames with exactly one thing wrong (or nothing), and what Gyr must count each as. What is expected is read off docs/WIRE.md and the meaning of the counters,
 * not off the code.
 */
#ifndef GYR_TESTS_E2E_STORM_FAULT_H
#define GYR_TESTS_E2E_STORM_FAULT_H

#include <stddef.h>

#include "scene.h"

struct fault {
	const char *name;
	const char *net;    /* counted as net.NET */
	const char *answer; /* and, when that is a datagram, as answer.ANSWER */
	void (*build)(struct scene *scene, struct frame *frame);
};

/* Below UDP, and within it. */
extern const struct fault fault_frames[], fault_frames6[], fault_messages[];
extern const uint32_t fault_frame_count, fault_frame6_count, fault_message_count;

/* All of them under one number. */
static inline const struct fault *fault_at(uint32_t number)
{
	if (number < fault_frame_count)
		return &fault_frames[number];
	number -= fault_frame_count;
	return number < fault_frame6_count ? &fault_frames6[number] : &fault_messages[number - fault_frame6_count];
}

static inline uint32_t fault_count(void)
{
	return fault_frame_count + fault_frame6_count + fault_message_count;
}

#endif
