/* Datagrams whose frames are right. */
#include "fault.h"

static void send(struct scene *scene, struct frame *frame)
{
	frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
}

static struct message *begin(struct scene *scene, uint32_t places, uint32_t type)
{
	say_start(&scene->message, places, type, scene->next_id++);
	return &scene->message;
}

/* A request up to its inputs. */
static struct message *begin_request(struct scene *scene, uint32_t places, const char *model, uint64_t deadline_us)
{
	struct message *message = begin(scene, places, 1);
	say_text(message, model);
	say_nil(message);
	say_uint(message, deadline_us);
	return message;
}

static void say_zeros(struct message *message, uint32_t bytes)
{
	static const uint8_t zeros[MESSAGE_MAX];
	say_bin(message, zeros, bytes);
}

static void right_request(struct scene *scene, struct frame *frame)
{
	scene_request(scene, &scene->message);
	send(scene, frame);
}

static void several_rows(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_zeros(message, (1 + storm_below(&scene->random, 4)) * scene->row_elements * 4);
	send(scene, frame);
}

static void ping(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 4, 7);
	say_zeros(message, storm_below(&scene->random, 900));
	send(scene, frame);
}

static void describe(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 5, 4);
	say_text(message, scene->model);
	say_nil(message);
	/* What tells much is asked from where it may: the appliance's own subnet. */
	send(scene, frame);
}

static void describe_nobody(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 5, 4);
	say_text(message, "nobody");
	say_nil(message);
	send(scene, frame);
}

static void empty(struct scene *scene, struct frame *frame)
{
	scene->message.size = 0;
	send(scene, frame);
}

static void sealed(struct scene *scene, struct frame *frame)
{
	right_request(scene, frame);
	scene->message.bytes[0] = 0xc1;
	send(scene, frame);
}

static void not_an_array(struct scene *scene, struct frame *frame)
{
	scene->message.size = 0;
	say_text(&scene->message, "hello");
	send(scene, frame);
}

static void no_id(struct scene *scene, struct frame *frame)
{
	scene->message.size = 0;
	say_array(&scene->message, 7);
	say_uint(&scene->message, 1);
	say_uint(&scene->message, 1);
	say_text(&scene->message, "id");
	send(scene, frame);
}

static void result(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 5, 2);
	say_uint(message, 1);
	say_array(message, 1);
	say_zeros(message, 8);
	send(scene, frame);
}

static void error(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 5, 3);
	say_uint(message, 10);
	say_text(message, "busy");
	send(scene, frame);
}

static void description(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 4, 5);
	say_map(message, 0);
	send(scene, frame);
}

static void other_version(struct scene *scene, struct frame *frame)
{
	right_request(scene, frame);
	scene->message.bytes[1] = 2;
	send(scene, frame);
}

static void unknown_type(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 4, 100);
	say_nil(message);
	send(scene, frame);
}

static void cut(struct scene *scene, struct frame *frame)
{
	/* Behind the id, which takes at most 12 bytes with what is before it, and before the end. */
	right_request(scene, frame);
	scene->message.size = 12 + storm_below(&scene->random, scene->message.size - 12);
	send(scene, frame);
}

static void trailing(struct scene *scene, struct frame *frame)
{
	right_request(scene, frame);
	say_byte(&scene->message, storm_below(&scene->random, 256));
	send(scene, frame);
}

static void too_few_places(struct scene *scene, struct frame *frame)
{
	begin_request(scene, 6, scene->model, 0);
	send(scene, frame);
}

static void bad_name(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, "No Such Name", 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void long_deadline(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 60000001);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void nine_inputs(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 9);
	for (int i = 0; i < 9; i++)
		say_zeros(message, 4);
	send(scene, frame);
}

static void deep(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	uint32_t depth = 9 + storm_below(&scene->random, 1000);
	say_array(message, 1);
	for (uint32_t i = 0; i < depth; i++)
		say_array(message, 1);
	say_uint(message, 1);
	send(scene, frame);
}

static void many_options(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 8, scene->model, 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	say_map(message, 17);
	for (int i = 0; i < 17; i++) {
		say_text(message, (const char[]){'o', (char)('a' + i), '\0'});
		say_uint(message, 1);
	}
	send(scene, frame);
}

static void unknown_option(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 8, scene->model, 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	say_map(message, 1);
	say_text(message, "not yet made");
	say_array(message, 1);
	say_nil(message);
	send(scene, frame);
}

static void ragged(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_array(message, 2);
	say_array(message, 2);
	say_uint(message, 1);
	say_uint(message, 2);
	say_array(message, 1);
	say_uint(message, 3);
	send(scene, frame);
}

static void unknown_model(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, "nobody", 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void unknown_handle(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 7, 1);
	say_uint(message, 1000000 + storm_below(&scene->random, 1000000));
	say_nil(message);
	say_uint(message, 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void unknown_version(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 7, 1);
	say_text(message, scene->model);
	say_uint(message, 1000000);
	say_uint(message, 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void unknown_label(struct scene *scene, struct frame *frame)
{
	struct message *message = begin(scene, 7, 1);
	say_text(message, scene->model);
	say_text(message, "nowhere");
	say_uint(message, 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void two_inputs(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 2);
	say_zeros(message, scene->row_elements * 4);
	say_zeros(message, scene->row_elements * 4);
	send(scene, frame);
}

static void odd_bytes(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_zeros(message, scene->row_elements * 4 - 1);
	send(scene, frame);
}

static void no_bytes(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_zeros(message, 0);
	send(scene, frame);
}

/* A typed tensor of DTYPE, whose elements have BYTES. */
static void typed(struct scene *scene, struct frame *frame, uint32_t dtype, uint32_t bytes, uint32_t columns)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_array(message, 3);
	say_uint(message, dtype);
	say_array(message, 2);
	say_uint(message, 1);
	say_uint(message, columns);
	say_zeros(message, columns * bytes);
	send(scene, frame);
}

static void other_dtype(struct scene *scene, struct frame *frame)
{
	typed(scene, frame, 6, 4, scene->row_elements);
}

static void other_shape(struct scene *scene, struct frame *frame)
{
	typed(scene, frame, 1, 4, scene->row_elements + 1);
}

static void many_rows(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_zeros(message, (scene->batch_max + 1) * scene->row_elements * 4);
	send(scene, frame);
}

static void plain_not_held(struct scene *scene, struct frame *frame)
{
	struct message *message = begin_request(scene, 7, scene->model, 0);
	say_array(message, 1);
	say_array(message, scene->row_elements);
	for (uint32_t i = 0; i < scene->row_elements; i++)
		say_number(message, 0xcb, 0x7e37e43c8800759c, 8); /* 1e300 */
	send(scene, frame);
}

const struct fault fault_messages[] = {
	{"a right request", "datagram", "result", right_request},
	{"several rows", "datagram", "result", several_rows},
	{"an option that nobody knows", "datagram", "result", unknown_option},
	{"ping", "datagram", "pong", ping},
	{"describe", "datagram", "description", describe},
	{"describe a model that is not there", "datagram", "unknown_model", describe_nobody},
	{"no byte", "datagram", "none", empty},
	{"sealed", "datagram", "none", sealed},
	{"not an array", "datagram", "none", not_an_array},
	{"no id", "datagram", "none", no_id},
	{"a result", "datagram", "none", result},
	{"an error", "datagram", "none", error},
	{"a description", "datagram", "none", description},
	{"another version of the wire", "datagram", "unsupported", other_version},
	{"another type", "datagram", "unsupported", unknown_type},
	{"cut", "datagram", "malformed", cut},
	{"a byte too many", "datagram", "malformed", trailing},
	{"too few places", "datagram", "malformed", too_few_places},
	{"a name that is none", "datagram", "malformed", bad_name},
	{"a deadline beyond the most", "datagram", "malformed", long_deadline},
	{"nine inputs", "datagram", "malformed", nine_inputs},
	{"nested too deep", "datagram", "malformed", deep},
	{"seventeen options", "datagram", "malformed", many_options},
	{"a ragged array", "datagram", "malformed", ragged},
	{"a model that is not there", "datagram", "unknown_model", unknown_model},
	{"a handle that is not there", "datagram", "unknown_model", unknown_handle},
	{"a version that is not there", "datagram", "unknown_version", unknown_version},
	{"a label that is not there", "datagram", "unknown_label", unknown_label},
	{"an input too many", "datagram", "bad_shape", two_inputs},
	{"a byte too few", "datagram", "bad_shape", odd_bytes},
	{"no rows", "datagram", "bad_shape", no_bytes},
	{"another shape", "datagram", "bad_shape", other_shape},
	{"another element type", "datagram", "bad_dtype", other_dtype},
	{"a number that a float cannot hold", "datagram", "bad_dtype", plain_not_held},
	{"more rows than the limit", "datagram", "too_large", many_rows},
};
const uint32_t fault_message_count = sizeof fault_messages / sizeof fault_messages[0];
