#include "scene.h"

#define FIRST_HOST 16u /* the good client and the server have lower ones */
#define HOSTS 200u
#define F32 1u

void scene_turn(struct scene *scene)
{
	uint32_t host = FIRST_HOST + storm_below(&scene->random, HOSTS);
	scene->path.source4[3] = (uint8_t)host;
	scene->path.source6[15] = (uint8_t)host;
	do
		scene->path.source_port = (uint16_t)(1024 + storm_below(&scene->random, 60000));
	while (scene->path.source_port == scene->path.server_port);
}

static void say_plain(struct scene *scene, struct message *message)
{
	say_array(message, scene->row_elements);
	for (uint32_t i = 0; i < scene->row_elements; i++)
		say_uint(message, storm_below(&scene->random, 100));
}

uint64_t scene_request(struct scene *scene, struct message *message)
{
	uint64_t id = scene->next_id++;
	uint8_t row[MESSAGE_MAX / 2];
	uint32_t bytes = scene->row_elements * 4;
	for (uint32_t i = 0; i < scene->row_elements; i++)
		memcpy(row + 4 * i, &(float){(float)storm_below(&scene->random, 1000) / 500}, 4);
	uint32_t form = storm_below(&scene->random, 3);
	bool options = storm_chance(&scene->random, 30);
	say_start(message, options ? 8 : 7, 1, id);
	say_text(message, scene->model);
	if (storm_chance(&scene->random, 30))
		say_text(message, "stable");
	else
		say_nil(message);
	say_uint(message, 0);
	say_array(message, 1);
	if (form == 0) {
		say_bin(message, row, bytes);
	} else if (form == 1) {
		say_array(message, 3);
		say_uint(message, F32);
		say_array(message, 2);
		say_uint(message, 1);
		say_uint(message, scene->row_elements);
		say_bin(message, row, bytes);
	} else {
		say_plain(scene, message);
	}
	if (options) {
		say_map(message, 1);
		say_text(message, "timing");
		say_byte(message, 0xc3);
	}
	return id;
}
