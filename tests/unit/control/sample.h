/*
 * Folders, bundles and a data plane's end of the link, to test control with.
 */
#ifndef GYR_TESTS_UNIT_CONTROL_SAMPLE_H
#define GYR_TESTS_UNIT_CONTROL_SAMPLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/registry/registry.h"
#include "dataplane/link/link.h"
#include "dataplane/link/policy.h"

/* A new folder under /tmp, removed with all in it by sample_remove. */
void sample_folder(char path[64]);
void sample_remove(const char *path);

/*
 * A bundle of a net f32[N,WIDTH] -> MatMul, Add -> f32[N,2], whose first weight is SALT: another salt, another content; another width, another signature. A
 * large width makes a large bundle. free(3) *BYTES; they are 4 KiB aligned.
 */
void sample_bundle(uint32_t width, float salt, void **bytes, size_t *size);

/* Writes it to a file; its facts into FACTS when that is not NULL (gyr_facts_fini). */
void sample_bundle_file(const char *path, uint32_t width, float salt, struct gyr_facts *facts);

void sample_write(const char *path, const void *bytes, size_t size);

/* The data plane's end of the link, in a thread: it checks every bundle that it is given as gyr-dataplane does, keeps no plans, and routes nothing. */
struct sample_plane {
	char path[108];
	int listener, wake[2];
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	uint32_t loads, routes, unloads, policies; /* that it did */
	uint32_t version_count, label_count;
	struct {
		char model[64];
		uint64_t number;
		char id[GYR_BLOB_NAME_BYTES];
		struct gyr_link_policy policy; /* of the model: the same with each of its versions */
	} versions[32];
	struct {
		char model[64];
		struct gyr_link_label label;
	} labels[32];
	/* What it shall do with the next LOADs, ROUTEs, UNLOADs and POLICYs; the second refuses POLICYs alone. */
	enum { PLANE_WORKS, PLANE_REFUSES_POLICY, PLANE_REFUSES, PLANE_HANGS_UP, PLANE_IS_MUTE } mood;
};

/* Starts it at FOLDER/dataplane.sock. It remembers nothing of a former one. */
void sample_plane_start(struct sample_plane *plane, const char *folder);
void sample_plane_stop(struct sample_plane *plane);

/* What it holds. */
bool sample_plane_holds(struct sample_plane *plane, const char *model, uint64_t number);
uint64_t sample_plane_label(struct sample_plane *plane, const char *model, const char *label);
/* The policy of a model that it holds. Asserts. */
struct gyr_link_policy sample_plane_policy(struct sample_plane *plane, const char *model);
void sample_plane_set_mood(struct sample_plane *plane, int mood);

#endif
