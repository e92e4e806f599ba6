/* predict: what the model takes is asked first (describe), so that an input can be read in its types. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/ctl.h"
#include "control/cli/elements.h"
#include "dataplane/client/gyr.h"
#include "dataplane/wire/wire.h"

const struct ctl_option ctl_predict_options[] = {
	{"server", "ADDR[:PORT]", "whom to ask; default: the configuration's dataplane.address and dataplane.udp_port"},
	{"select", "LABEL|VERSION", "default: the version that the label stable points at"},
	{"row", "N", "of each file take this row only, counted from 0"},
	{"timeout-ms", "N", "default: 1000"},
	{0},
};

struct end {
	char name[128];
	struct gyr_shape shape;
	size_t row_bytes; /* of one row, or of all where the first dimension is fixed */
};

struct predict {
	struct ctl *ctl;
	struct gyr_client *client;
	const char *model, *select;
	uint32_t timeout_us;
	int64_t row;
	uint32_t input_count, output_count;
	struct end inputs[GYR_CLIENT_TENSORS_MAX], outputs[GYR_CLIENT_TENSORS_MAX];
	struct ctl_elements elements[GYR_CLIENT_TENSORS_MAX];
	struct gyr_tensor answers[GYR_CLIENT_TENSORS_MAX];
	size_t rows;
	struct gyr_reply reply;
	struct gyr_error error;
};

/* "HOST", "HOST:PORT", "HOST6" or "[HOST6]:PORT" into HOST and *PORT, which stays as it is where none is given. False: it is none of them. */
static bool split_server(const char *server, char *host, size_t size, unsigned long *port)
{
	bool bracketed = server[0] == '[';
	const char *begin = server + bracketed, *end = bracketed ? strchr(begin, ']') : strchr(begin, ':');
	if (bracketed && end == NULL)
		return false;
	/* Without brackets a second colon makes all of it an IPv6 address. */
	if (end == NULL || (!bracketed && strchr(end + 1, ':') != NULL))
		end = begin + strlen(begin);
	if ((size_t)(end - begin) >= size)
		return false;
	snprintf(host, size, "%.*s", (int)(end - begin), begin);
	end += bracketed;
	if (*end == '\0')
		return true;
	char *stop;
	*port = strtoul(end + 1, &stop, 10);
	return *end == ':' && *stop == '\0' && *port > 0 && *port <= 65535;
}

static int connect_client(struct predict *predict)
{
	const struct gyr_config *config = &predict->ctl->config;
	const char *server = ctl_option(predict->ctl, "server");
	char host[64];
	unsigned long port = config->udp_port;
	struct in_addr address = {.s_addr = htonl(config->address)};
	inet_ntop(AF_INET, &address, host, sizeof host);
	if (server != NULL && !split_server(server, host, sizeof host, &port))
		return gyr_error_set(&predict->error, -EINVAL,
				     "--server %s: expected a numeric address, of IPv6 in brackets where a port follows, and a port from 1 to 65535", server);
	int status = gyr_client_create(host, (uint16_t)port, &predict->client);
	return status == 0 ? 0 : gyr_error_set(&predict->error, status, "%s: %s", host, strerror(-status));
}

/* [[name, dtype, [dims]], ...] */
static bool take_ends(struct gyr_unpack *cursor, struct end *ends, uint32_t *count)
{
	uint32_t parts, length;
	if (!gyr_unpack_array(cursor, count) || *count > GYR_CLIENT_TENSORS_MAX)
		return false;
	for (uint32_t i = 0; i < *count; i++) {
		struct end *end = &ends[i];
		const char *name;
		uint64_t dtype;
		if (!gyr_unpack_array(cursor, &parts) || parts != 3 || !gyr_unpack_str(cursor, &name, &length) || !gyr_unpack_uint(cursor, &dtype) ||
		    !gyr_unpack_array(cursor, &end->shape.rank) || end->shape.rank > GYR_RANK_MAX)
			return false;
		snprintf(end->name, sizeof end->name, "%.*s", (int)length, name);
		end->shape.dtype = (enum gyr_dtype)dtype;
		for (uint32_t d = 0; d < end->shape.rank; d++)
			if (!gyr_unpack_int(cursor, &end->shape.dims[d]))
				return false;
		if (!gyr_shape_bytes(&end->shape, 1, &end->row_bytes))
			return false;
	}
	return true;
}

static int describe(struct predict *predict)
{
	const void *map;
	size_t bytes;
	int status = gyr_describe(predict->client, predict->model, predict->select, predict->timeout_us, &map, &bytes);
	if (status != 0)
		return gyr_error_set(&predict->error, status, "%s", gyr_client_error(predict->client));
	struct gyr_unpack cursor = {.at = map, .end = (const uint8_t *)map + bytes};
	uint32_t pairs, length;
	const char *key;
	bool read = gyr_unpack_map(&cursor, &pairs);
	while (read && pairs-- > 0) {
		read = gyr_unpack_str(&cursor, &key, &length);
		if (read && gyr_unpack_is(key, length, "inputs"))
			read = take_ends(&cursor, predict->inputs, &predict->input_count);
		else if (read && gyr_unpack_is(key, length, "outputs"))
			read = take_ends(&cursor, predict->outputs, &predict->output_count);
		else if (read)
			read = gyr_unpack_skip(&cursor, 16);
	}
	if (!read || predict->input_count == 0 || predict->output_count == 0)
		return gyr_error_set(&predict->error, -EPROTO, "the description of %s is not understood", predict->model);
	return 0;
}

/* Whether an input is given as JSON: an array, or the number of a scalar. */
static bool is_json(const char *text, const struct gyr_shape *shape)
{
	return text[0] == '[' || (shape->rank == 0 && text[0] != 0 && strspn(text, "-.0123456789eE+") == strlen(text));
}

static int read_input(struct predict *predict, uint32_t index)
{
	const char *text = predict->ctl->words[1 + index];
	const struct end *end = &predict->inputs[index];
	struct ctl_elements *elements = &predict->elements[index];
	int status;
	if (is_json(text, &end->shape))
		status = ctl_elements_from_json(text, strlen(text), end->shape.dtype, elements, &predict->error);
	else
		status = ctl_elements_from_file(text, predict->row, end->shape.dtype, end->row_bytes, elements, &predict->error);
	if (status != 0)
		return gyr_error_prefix(&predict->error, status, "input \"%s\"", end->name);
	char shape[64];
	bool batched = end->shape.rank > 0 && end->shape.dims[0] == GYR_DIM_BATCH;
	size_t rows = end->row_bytes == 0 ? 0 : elements->bytes / end->row_bytes, element_bytes = gyr_dtype_bytes(end->shape.dtype);
	if (rows == 0 || elements->bytes % end->row_bytes != 0 || (!batched && rows != 1))
		return gyr_error_set(&predict->error, -EINVAL, "input \"%s\": %zu elements are given; the model takes %s, %zu a row", end->name,
				     elements->bytes / element_bytes, gyr_shape_text(&end->shape, shape, sizeof shape), end->row_bytes / element_bytes);
	if (batched && predict->rows != 0 && rows != predict->rows)
		return gyr_error_set(&predict->error, -EINVAL, "input \"%s\": %zu rows, and %zu in the one before", end->name, rows, predict->rows);
	if (batched)
		predict->rows = rows;
	return 0;
}

static int ask(struct predict *predict)
{
	struct gyr_tensor inputs[GYR_CLIENT_TENSORS_MAX];
	for (uint32_t i = 0; i < predict->input_count; i++)
		inputs[i] = (struct gyr_tensor){.data = predict->elements[i].data, .bytes = predict->elements[i].bytes};
	for (uint32_t i = 0; i < predict->output_count; i++) {
		size_t bytes;
		if (!gyr_shape_bytes(&predict->outputs[i].shape, predict->rows == 0 ? 1 : predict->rows, &bytes))
			return gyr_error_set(&predict->error, -EMSGSIZE, "an output of that many rows is too large");
		predict->answers[i] = (struct gyr_tensor){.data = malloc(bytes + 1), .bytes = bytes};
		if (predict->answers[i].data == NULL)
			return gyr_error_set(&predict->error, -ENOMEM, "no memory for the answer");
	}
	int status = gyr_predict(predict->client, predict->model, predict->select, inputs, predict->input_count, predict->answers, predict->output_count,
				 predict->timeout_us, &predict->reply);
	return status == 0 ? 0 : gyr_error_set(&predict->error, status, "%s", gyr_client_error(predict->client));
}

/* An output as nested arrays; *AT is the next element. */
static yyjson_mut_val *nest(yyjson_mut_doc *doc, const struct predict *predict, uint32_t output, uint32_t dim, size_t *at)
{
	const struct gyr_shape *shape = &predict->outputs[output].shape;
	if (dim == shape->rank)
		return ctl_element_to_json(doc, predict->answers[output].data, (*at)++, shape->dtype);
	size_t count = shape->dims[dim] == GYR_DIM_BATCH ? predict->rows : (size_t)shape->dims[dim];
	yyjson_mut_val *list = yyjson_mut_arr(doc);
	for (size_t i = 0; i < count; i++) {
		yyjson_mut_val *item = nest(doc, predict, output, dim + 1, at);
		if (item == NULL)
			return NULL;
		yyjson_mut_arr_append(list, item);
	}
	return list;
}

static int print_answer(struct predict *predict)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *outputs = yyjson_mut_obj(doc);
	yyjson_mut_obj_add_strcpy(doc, root, "model", predict->model);
	yyjson_mut_obj_add_uint(doc, root, "version", predict->reply.version);
	yyjson_mut_obj_add_uint(doc, root, "round_trip_ns", predict->reply.round_trip_ns);
	yyjson_mut_obj_add_uint(doc, root, "attempts", predict->reply.attempts);
	yyjson_mut_obj_add_val(doc, root, "outputs", outputs);
	if (!predict->ctl->json)
		printf("%s version %" PRIu64 ", %.1f us\n", predict->model, predict->reply.version, (double)predict->reply.round_trip_ns / 1e3);
	for (uint32_t i = 0; i < predict->output_count; i++) {
		const struct end *end = &predict->outputs[i];
		size_t at = 0;
		yyjson_mut_val *value = predict->answers[i].bytes % gyr_dtype_bytes(end->shape.dtype) == 0 ? nest(doc, predict, i, 0, &at) : NULL;
		if (value == NULL) {
			yyjson_mut_doc_free(doc);
			return gyr_error_set(&predict->error, -ENOTSUP, "output \"%s\": elements of type %s are not printed; use a client", end->name,
					     gyr_dtype_name(end->shape.dtype));
		}
		yyjson_mut_obj_add(outputs, yyjson_mut_strcpy(doc, end->name), value);
		char *text = predict->ctl->json ? NULL : yyjson_mut_val_write(value, 0, NULL);
		if (text != NULL)
			printf("%s: %s\n", ctl_plain(end->name), text);
		free(text);
	}
	if (predict->ctl->json)
		ctl_print_json(root);
	yyjson_mut_doc_free(doc);
	return 0;
}

static int run(struct predict *predict)
{
	int status = connect_client(predict);
	if (status == 0)
		status = describe(predict);
	if (status == 0 && predict->input_count != predict->ctl->word_count - 1)
		status = gyr_error_set(&predict->error, -EINVAL, "%s takes %u inputs; %u are given", predict->model, predict->input_count,
				       predict->ctl->word_count - 1);
	for (uint32_t i = 0; status == 0 && i < predict->input_count; i++)
		status = read_input(predict, i);
	if (status == 0)
		status = ask(predict);
	return status == 0 ? print_answer(predict) : status;
}

enum ctl_exit ctl_predict(struct ctl *ctl)
{
	static struct predict predict;
	uint64_t timeout_ms, row;
	predict = (struct predict){.ctl = ctl, .model = ctl->words[0], .select = ctl_option(ctl, "select")};
	if (ctl_option_number(ctl, "timeout-ms", 1000, 1, 60000, &timeout_ms, &predict.error) != 0 ||
	    ctl_option_number(ctl, "row", 0, 0, INT64_MAX, &row, &predict.error) != 0)
		return ctl_misused(&predict.error);
	predict.timeout_us = (uint32_t)timeout_ms * 1000;
	predict.row = ctl_option(ctl, "row") == NULL ? -1 : (int64_t)row;
	int status = run(&predict);
	for (uint32_t i = 0; i < GYR_CLIENT_TENSORS_MAX; i++) {
		free(predict.elements[i].data);
		free(predict.answers[i].data);
	}
	gyr_client_destroy(predict.client);
	return status == 0 ? CTL_OK : ctl_fail(&predict.error);
}
