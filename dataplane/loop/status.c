/* The answer to STATUS: which models and versions are held, and what labels point at. What they count is in the shared memory (counting.c). */
#include <unistd.h>

#include "base/assertion.h"
#include "base/pack.h"
#include "dataplane/loop/models_internal.h"

static void pack_uint(struct gyr_pack *pack, const char *name, uint64_t value)
{
	gyr_pack_str(pack, name);
	msgpack_pack_uint64(&pack->packer, value);
}

static void pack_text(struct gyr_pack *pack, const char *name, const char *value)
{
	gyr_pack_str(pack, name);
	gyr_pack_str(pack, value);
}

static void pack_model(struct gyr_pack *pack, const struct gyr_model *model)
{
	msgpack_pack_map(&pack->packer, 4);
	pack_text(pack, "model", model->name);
	gyr_pack_str(pack, "versions");
	msgpack_pack_array(&pack->packer, model->version_count);
	for (uint32_t i = 0; i < model->version_count; i++) {
		msgpack_pack_map(&pack->packer, 2);
		pack_uint(pack, "version", model->versions[i]->number);
		pack_text(pack, "id", model->versions[i]->id);
	}
	gyr_pack_str(pack, "labels");
	msgpack_pack_map(&pack->packer, model->label_count);
	for (uint32_t i = 0; i < model->label_count; i++)
		pack_uint(pack, model->labels[i].name, model->labels[i].version);
	gyr_pack_str(pack, "policy");
	msgpack_pack_map(&pack->packer, GYR_LINK_SETTINGS);
	for (uint32_t i = 0; i < GYR_LINK_SETTINGS; i++)
		pack_uint(pack, gyr_link_settings[i].name, gyr_link_policy_get(&model->policy, i));
}

/* MODEL_COUNT models from FIRST on; false when they do not fit. */
static bool pack_status(const struct gyr_models *models, uint32_t first, uint32_t model_count, void *to, uint32_t size, uint32_t *bytes)
{
	struct gyr_pack pack;
	gyr_pack_init(&pack, to, size);
	msgpack_pack_map(&pack.packer, 3);
	pack_uint(&pack, "pid", (uint64_t)getpid());
	gyr_pack_str(&pack, "models");
	msgpack_pack_array(&pack.packer, model_count);
	for (uint32_t i = 0; i < model_count; i++)
		pack_model(&pack, models->models[first + i]);
	pack_uint(&pack, "models_left_out", models->count - first - model_count);
	*bytes = (uint32_t)pack.used;
	return !pack.overflow;
}

uint32_t gyr_models_status(const struct gyr_models *models, uint64_t skip, void *to, uint32_t size)
{
	uint32_t first = skip < models->count ? (uint32_t)skip : models->count;
	uint32_t bytes, model_count = models->count - first;
	while (!pack_status(models, first, model_count, to, size, &bytes)) {
		GYR_ASSERT(model_count > 0);
		model_count /= 2;
	}
	return bytes;
}
