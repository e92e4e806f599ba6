#include "control/rollout/held.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unpack.h"

#define DEPTH_MAX 16u

void gyr_held_clear(struct gyr_held *held)
{
	free(held->versions);
	free(held->routes);
	*held = (struct gyr_held){0};
}

const struct gyr_held_version *gyr_held_find(const struct gyr_held *held, const char *model, uint64_t number)
{
	for (uint32_t i = 0; i < held->version_count; i++)
		if (held->versions[i].number == number && strcmp(held->versions[i].model, model) == 0)
			return &held->versions[i];
	return NULL;
}

bool gyr_held_any(const struct gyr_held *held, const char *model)
{
	for (uint32_t i = 0; i < held->version_count; i++)
		if (strcmp(held->versions[i].model, model) == 0)
			return true;
	return false;
}

int gyr_held_add(struct gyr_held *held, const char *model, uint64_t number, const char *id)
{
	gyr_held_remove(held, model, number);
	struct gyr_held_version *grown = reallocarray(held->versions, held->version_count + 1, sizeof *grown);
	if (grown == NULL)
		return -ENOMEM;
	held->versions = grown;
	struct gyr_held_version *added = &grown[held->version_count++];
	*added = (struct gyr_held_version){.number = number};
	snprintf(added->model, sizeof added->model, "%s", model);
	snprintf(added->id, sizeof added->id, "%s", id);
	return 0;
}

void gyr_held_remove(struct gyr_held *held, const char *model, uint64_t number)
{
	const struct gyr_held_version *found = gyr_held_find(held, model, number);
	if (found != NULL)
		held->versions[found - held->versions] = held->versions[--held->version_count];
	/* With its last version the data plane forgets a model. */
	for (uint32_t i = 0; i < held->route_count; i++)
		if (strcmp(held->routes[i].model, model) == 0 && !gyr_held_any(held, model))
			held->routes[i].policy = gyr_link_policy_default();
}

struct gyr_held_route *gyr_held_route(struct gyr_held *held, const char *model)
{
	for (uint32_t i = 0; i < held->route_count; i++)
		if (strcmp(held->routes[i].model, model) == 0)
			return &held->routes[i];
	struct gyr_held_route *grown = reallocarray(held->routes, held->route_count + 1, sizeof *grown);
	if (grown == NULL)
		return NULL;
	held->routes = grown;
	struct gyr_held_route *added = &grown[held->route_count++];
	*added = (struct gyr_held_route){.policy = gyr_link_policy_default()};
	snprintf(added->model, sizeof added->model, "%s", model);
	return added;
}

static bool take_text(struct gyr_unpack *cursor, char *text, size_t size)
{
	const char *at;
	uint32_t length;
	if (!gyr_unpack_str(cursor, &at, &length) || length >= size || memchr(at, '\0', length) != NULL)
		return false;
	memcpy(text, at, length);
	text[length] = '\0';
	return true;
}

/* {"version": 1, "id": "hex", ...} */
static bool take_version(struct gyr_unpack *cursor, struct gyr_held *held, const char *model)
{
	uint32_t pairs;
	uint64_t number = 0;
	char key[32], id[GYR_BLOB_NAME_BYTES] = "";
	if (!gyr_unpack_map(cursor, &pairs))
		return false;
	while (pairs-- > 0) {
		if (!take_text(cursor, key, sizeof key))
			return false;
		bool read = strcmp(key, "version") == 0 ? gyr_unpack_uint(cursor, &number)
			    : strcmp(key, "id") == 0    ? take_text(cursor, id, sizeof id)
							: gyr_unpack_skip(cursor, DEPTH_MAX);
		if (!read)
			return false;
	}
	return number != 0 && gyr_held_add(held, model, number, id) == 0;
}

/* {"stable": 1, ...} */
static bool take_labels(struct gyr_unpack *cursor, struct gyr_held *held, const char *model)
{
	uint32_t count;
	struct gyr_held_route *route = gyr_held_route(held, model);
	if (route == NULL || !gyr_unpack_map(cursor, &count) || count > GYR_LINK_LABELS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!take_text(cursor, route->labels[i].name, sizeof route->labels[i].name) || !gyr_unpack_uint(cursor, &route->labels[i].version))
			return false;
	route->label_count = count;
	return true;
}

/* {"weight": 1, ...}; a setting that we do not know is passed over */
static bool take_policy(struct gyr_unpack *cursor, struct gyr_held *held, const char *model)
{
	uint32_t count;
	uint64_t value;
	char name[32];
	struct gyr_error error;
	struct gyr_held_route *route = gyr_held_route(held, model);
	if (route == NULL || !gyr_unpack_map(cursor, &count))
		return false;
	while (count-- > 0) {
		if (!take_text(cursor, name, sizeof name) || !gyr_unpack_uint(cursor, &value))
			return false;
		if (gyr_link_policy_set(&route->policy, name, value, &error) != 0)
			continue;
	}
	return true;
}

/* {"model": "fashion", "versions": [...], "labels": {...}, ...}; the name first */
static bool take_model(struct gyr_unpack *cursor, struct gyr_held *held)
{
	uint32_t pairs, versions;
	char key[32], model[GYR_NAME_BYTES];
	if (!gyr_unpack_map(cursor, &pairs) || pairs == 0 || !take_text(cursor, key, sizeof key) || strcmp(key, "model") != 0 ||
	    !take_text(cursor, model, sizeof model))
		return false;
	while (--pairs > 0) {
		if (!take_text(cursor, key, sizeof key))
			return false;
		bool read;
		if (strcmp(key, "versions") == 0) {
			read = gyr_unpack_array(cursor, &versions);
			while (read && versions-- > 0)
				read = take_version(cursor, held, model);
		} else {
			read = strcmp(key, "labels") == 0   ? take_labels(cursor, held, model)
			       : strcmp(key, "policy") == 0 ? take_policy(cursor, held, model)
							    : gyr_unpack_skip(cursor, DEPTH_MAX);
		}
		if (!read)
			return false;
	}
	return true;
}

static int take(struct gyr_held *held, const uint8_t *body, uint32_t bytes, struct gyr_error *error)
{
	struct gyr_unpack cursor = {.at = body, .end = body + bytes};
	uint32_t pairs, models = 0;
	uint64_t left_out = 0;
	char key[32];
	bool found = false, read = body != NULL && gyr_unpack_map(&cursor, &pairs);
	while (read && pairs-- > 0) {
		read = take_text(&cursor, key, sizeof key);
		if (read && strcmp(key, "models_left_out") == 0) {
			read = gyr_unpack_uint(&cursor, &left_out);
		} else if (!read || strcmp(key, "models") != 0) {
			read = read && gyr_unpack_skip(&cursor, DEPTH_MAX);
		} else {
			found = true;
			read = gyr_unpack_array(&cursor, &models);
			held->model_count += models;
			for (uint32_t i = 0; read && i < models; i++)
				read = take_model(&cursor, held);
		}
	}
	/* To be told of none, though some are left, would go on for ever. */
	held->left_out = left_out;
	if (read && found && (models > 0 || left_out == 0))
		return 0;
	return gyr_error_set(error, -EBADMSG, "the data plane's status does not say which models it holds in the form that is expected");
}

int gyr_held_take(struct gyr_held *held, const uint8_t *body, uint32_t bytes, struct gyr_error *error)
{
	gyr_held_clear(held);
	int status = take(held, body, bytes, error);
	if (status != 0)
		gyr_held_clear(held);
	return status;
}

int gyr_held_take_more(struct gyr_held *held, const uint8_t *body, uint32_t bytes, struct gyr_error *error)
{
	int status = take(held, body, bytes, error);
	if (status != 0)
		held->left_out = 0;
	return status;
}
