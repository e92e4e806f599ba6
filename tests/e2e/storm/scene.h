/* What is asked, by whom and of whom: shared by all that makes frames. */
#ifndef GYR_TESTS_E2E_STORM_SCENE_H
#define GYR_TESTS_E2E_STORM_SCENE_H

#include "frame.h"
#include "message.h"
#include "random.h"

struct scene {
	struct storm_random random;
	struct path path;  /* SOURCE is another for each frame */
	const char *model; /* takes rows of ROW_ELEMENTS floats, and is promoted */
	uint32_t row_elements;
	uint32_t batch_max;
	uint32_t mtu;
	uint64_t next_id;
	struct message message; /* room for the one that is being made */
};

/* A client that is not the good one. */
void scene_turn(struct scene *scene);

/* A right request for one row, in one of the wire's forms; its id. */
uint64_t scene_request(struct scene *scene, struct message *message);

#endif
