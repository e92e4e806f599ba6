/* Frames of every kind with anything wrong: structure first (every header and message that there is), then damage at every layer, with right checksums or not.
 */
#ifndef GYR_TESTS_E2E_STORM_MUTATE_H
#define GYR_TESTS_E2E_STORM_MUTATE_H

#include "scene.h"

void mutate_frame(struct scene *scene, struct frame *frame);

#endif
