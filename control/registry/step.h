/*
 * Named places at which tests let a disk fail or the process die. In gyrd the hook is NULL and a step does nothing.
 */
#ifndef GYR_CONTROL_REGISTRY_STEP_H
#define GYR_CONTROL_REGISTRY_STEP_H

#include <stddef.h>

/* Returns 0 to go on, or the negative errno with which the step shall fail. Set before threads start. */
extern int (*gyr_step_hook)(const char *step);

#define GYR_STEP(step) (gyr_step_hook == NULL ? 0 : gyr_step_hook(step))

#endif
