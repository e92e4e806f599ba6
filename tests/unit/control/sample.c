#include "sample.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assertion.h"
#include "base/pack.h"

#define TOLD_AT_ONCE 2u /* models in one answer to STATUS */

void sample_folder(char path[64])
{
	strcpy(path, "/tmp/gyr-test-control-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *seen, int kind, struct FTW *where)
{
	return remove(path);
}

void sample_remove(const char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static uint32_t add_value(struct gyr_graph *graph, const char *name, const struct gyr_shape *shape, const void *data)
{
	uint32_t index;
	assert_int_equal(gyr_graph_add_value(graph, name, shape, data, true, &index, NULL), 0);
	return index;
}

static uint32_t add_node(struct gyr_graph *graph, enum gyr_op op, const char *result, uint32_t a, uint32_t b)
{
	uint32_t inputs[2] = {a, b}, output = add_value(graph, result, NULL, NULL);
	struct gyr_node node = {.op = op, .name = result, .input_count = 2, .output_count = 1, .inputs = inputs, .outputs = &output};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return output;
}

void sample_bundle(uint32_t width, float salt, void **bytes, size_t *size)
{
	float *weights = calloc((size_t)width * 2, sizeof *weights), bias[2] = {0.5f, -0.5f};
	struct gyr_graph *graph = gyr_graph_create("sample", 17);
	struct gyr_shape input = {GYR_DTYPE_F32, 2, {GYR_DIM_BATCH, width}}, weight = {GYR_DTYPE_F32, 2, {width, 2}}, last = {GYR_DTYPE_F32, 1, {2}};
	struct gyr_error error;
	assert_non_null(weights);
	assert_non_null(graph);
	for (uint32_t i = 0; i < width * 2; i++)
		weights[i] = (float)i;
	weights[0] = salt;
	uint32_t x = add_value(graph, "x", &input, NULL);
	uint32_t y = add_node(graph, GYR_OP_MATMUL, "product", x, add_value(graph, "w", &weight, weights));
	y = add_node(graph, GYR_OP_ADD, "y", y, add_value(graph, "b", &last, bias));
	assert_int_equal(gyr_graph_add_input(graph, x, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, &error), 0);
	struct gyr_lineage lineage[] = {{"accuracy", "0.9"}, {"tool", "test"}};
	struct gyr_bundle_info info = {.lineage_count = 2, .lineage = lineage};
	assert_int_equal(gyr_bundle_build(graph, &info, bytes, size, &error), 0);
	gyr_graph_destroy(graph);
	free(weights);
}

void sample_write(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	for (size_t at = 0; at < size;) {
		ssize_t wrote = write(fd, (const char *)bytes + at, size - at);
		assert_true(wrote > 0);
		at += (size_t)wrote;
	}
	close(fd);
}

void sample_bundle_file(const char *path, uint32_t width, float salt, struct gyr_facts *facts)
{
	void *bytes;
	size_t size;
	sample_bundle(width, salt, &bytes, &size);
	sample_write(path, bytes, size);
	if (facts != NULL) {
		struct gyr_bundle *bundle;
		assert_int_equal(gyr_bundle_open(bytes, size, &bundle, NULL), 0);
		assert_int_equal(gyr_facts_take(facts, bundle, size, NULL), 0);
		gyr_bundle_close(bundle);
	}
	free(bytes);
}

/* --- the link --- */

static bool find_version(const struct sample_plane *plane, const char *model, uint64_t number, uint32_t *index)
{
	for (uint32_t i = 0; i < plane->version_count; i++)
		if (plane->versions[i].number == number && strcmp(plane->versions[i].model, model) == 0) {
			*index = i;
			return true;
		}
	return false;
}

static int do_load(struct sample_plane *plane, const struct gyr_link_request *request, int fd, struct gyr_error *error)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat seen;
	uint32_t index;
	if (find_version(plane, request->model, request->version, &index))
		return 0;
	if (fd < 0)
		return gyr_error_set(error, -EINVAL, "no descriptor came");
	if (fcntl(fd, F_GET_SEALS) != seals || fstat(fd, &seen) != 0)
		return gyr_error_set(error, -EINVAL, "the memory is not sealed");
	void *map = mmap(NULL, (size_t)seen.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	struct gyr_bundle *bundle;
	GYR_ASSERT(map != MAP_FAILED);
	int status = gyr_bundle_open(map, (size_t)seen.st_size, &bundle, error);
	if (status == 0) {
		GYR_ASSERT(plane->version_count < 32);
		index = plane->version_count++;
		strcpy(plane->versions[index].model, request->model);
		plane->versions[index].number = request->version;
		plane->versions[index].policy = gyr_link_policy_default();
		for (uint32_t i = 0; i < index; i++)
			if (strcmp(plane->versions[i].model, request->model) == 0)
				plane->versions[index].policy = plane->versions[i].policy;
		gyr_bundle_id_text(bundle->id, plane->versions[index].id);
		gyr_bundle_close(bundle);
		plane->loads++;
	}
	munmap(map, (size_t)seen.st_size);
	return status;
}

static int do_unload(struct sample_plane *plane, const struct gyr_link_request *request, struct gyr_error *error)
{
	uint32_t index;
	for (uint32_t i = 0; i < plane->label_count; i++)
		if (strcmp(plane->labels[i].model, request->model) == 0 && plane->labels[i].label.version == request->version)
			return gyr_error_set(error, -EBUSY, "a label points at it");
	if (find_version(plane, request->model, request->version, &index)) {
		plane->versions[index] = plane->versions[--plane->version_count];
		plane->unloads++;
	}
	return 0;
}

static int do_route(struct sample_plane *plane, const struct gyr_link_request *request, struct gyr_error *error)
{
	uint32_t index, kept = 0;
	for (uint32_t i = 0; i < request->label_count; i++)
		if (!find_version(plane, request->model, request->labels[i].version, &index))
			return gyr_error_set(error, -ENOENT, "version %d is not loaded", (int)request->labels[i].version);
	for (uint32_t i = 0; i < plane->label_count; i++)
		if (strcmp(plane->labels[i].model, request->model) != 0)
			plane->labels[kept++] = plane->labels[i];
	plane->label_count = kept;
	for (uint32_t i = 0; i < request->label_count; i++) {
		GYR_ASSERT(plane->label_count < 32);
		strcpy(plane->labels[plane->label_count].model, request->model);
		plane->labels[plane->label_count++].label = request->labels[i];
	}
	plane->routes++;
	return 0;
}

static int do_policy(struct sample_plane *plane, const struct gyr_link_request *request, struct gyr_error *error)
{
	struct gyr_link_policy policy = gyr_link_policy_default();
	bool found = false;
	for (uint32_t i = 0; i < request->label_count; i++)
		if (gyr_link_policy_set(&policy, request->labels[i].name, request->labels[i].version, error) != 0)
			return -EINVAL;
	for (uint32_t i = 0; i < plane->version_count; i++) {
		if (strcmp(plane->versions[i].model, request->model) != 0)
			continue;
		plane->versions[i].policy = policy;
		found = true;
	}
	plane->policies++;
	return found ? 0 : gyr_error_set(error, -ENOENT, "no version is loaded");
}

/* Without the first SKIP models, and at most as many as are told at once. */
static uint32_t pack_body(struct sample_plane *plane, uint64_t skip, uint8_t *to, size_t size)
{
	struct gyr_pack pack;
	uint32_t first = skip < plane->version_count ? (uint32_t)skip : plane->version_count, left = plane->version_count - first;
	uint32_t count = left < TOLD_AT_ONCE ? left : TOLD_AT_ONCE;
	gyr_pack_init(&pack, to, size);
	msgpack_pack_map(&pack.packer, 3);
	gyr_pack_str(&pack, "models_left_out");
	msgpack_pack_uint32(&pack.packer, left - count);
	gyr_pack_str(&pack, "pid");
	msgpack_pack_int(&pack.packer, getpid());
	gyr_pack_str(&pack, "models");
	/* A model for each version: whoever reads it must not mind. */
	msgpack_pack_array(&pack.packer, count);
	for (uint32_t i = first; i < first + count; i++) {
		uint32_t labels = 0;
		for (uint32_t j = 0; j < plane->label_count; j++)
			labels += strcmp(plane->labels[j].model, plane->versions[i].model) == 0;
		msgpack_pack_map(&pack.packer, 4);
		gyr_pack_str(&pack, "model");
		gyr_pack_str(&pack, plane->versions[i].model);
		gyr_pack_str(&pack, "versions");
		msgpack_pack_array(&pack.packer, 1);
		msgpack_pack_map(&pack.packer, 2);
		gyr_pack_str(&pack, "version");
		msgpack_pack_uint64(&pack.packer, plane->versions[i].number);
		gyr_pack_str(&pack, "id");
		gyr_pack_str(&pack, plane->versions[i].id);
		gyr_pack_str(&pack, "labels");
		msgpack_pack_map(&pack.packer, labels);
		for (uint32_t j = 0; j < plane->label_count; j++) {
			if (strcmp(plane->labels[j].model, plane->versions[i].model) != 0)
				continue;
			gyr_pack_str(&pack, plane->labels[j].label.name);
			msgpack_pack_uint64(&pack.packer, plane->labels[j].label.version);
		}
		gyr_pack_str(&pack, "policy");
		msgpack_pack_map(&pack.packer, GYR_LINK_SETTINGS + 1);
		for (uint32_t s = 0; s < GYR_LINK_SETTINGS; s++) {
			gyr_pack_str(&pack, gyr_link_settings[s].name);
			msgpack_pack_uint32(&pack.packer, gyr_link_policy_get(&plane->versions[i].policy, s));
		}
		gyr_pack_str(&pack, "of_a_later_gyr");
		msgpack_pack_uint32(&pack.packer, 7);
	}
	GYR_ASSERT(!pack.overflow);
	return (uint32_t)pack.used;
}

/* False: the connection shall end. */
static bool answer(struct sample_plane *plane, int fd, const struct gyr_link_request *request, int memory)
{
	static uint8_t bytes[GYR_LINK_BYTES_MAX], body[GYR_LINK_BYTES_MAX / 2];
	struct gyr_link_answer answer = {.type = request->type, .seq = request->seq};
	struct gyr_error error = {""};
	bool changes =
		request->type == GYR_LINK_LOAD || request->type == GYR_LINK_UNLOAD || request->type == GYR_LINK_ROUTE || request->type == GYR_LINK_POLICY;
	if (changes && plane->mood == PLANE_HANGS_UP)
		return false;
	if (changes && plane->mood == PLANE_IS_MUTE)
		return true;
	if (changes && (plane->mood == PLANE_REFUSES || (plane->mood == PLANE_REFUSES_POLICY && request->type == GYR_LINK_POLICY)))
		answer.status = gyr_error_set(&error, -EINVAL, "a golden vector differs");
	else if (request->type == GYR_LINK_LOAD)
		answer.status = do_load(plane, request, memory, &error);
	else if (request->type == GYR_LINK_UNLOAD)
		answer.status = do_unload(plane, request, &error);
	else if (request->type == GYR_LINK_ROUTE)
		answer.status = do_route(plane, request, &error);
	else if (request->type == GYR_LINK_POLICY)
		answer.status = do_policy(plane, request, &error);
	else
		answer.body_bytes = pack_body(plane, request->version, body, sizeof body);
	answer.body = answer.body_bytes > 0 ? body : NULL;
	snprintf(answer.text, sizeof answer.text, "%s", error.text);
	size_t length = gyr_link_pack_answer(bytes, sizeof bytes, &answer);
	GYR_ASSERT(length > 0);
	return send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool serve_one(struct sample_plane *plane, int fd)
{
	static uint8_t bytes[GYR_LINK_BYTES_MAX];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct gyr_link_request request;
	int memory = -1;
	ssize_t length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (length <= 0)
		return false;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header != NULL)
		memcpy(&memory, CMSG_DATA(header), sizeof memory);
	int status = gyr_link_parse_request(bytes, (size_t)length, &request, NULL);
	GYR_ASSERT(status == 0);
	pthread_mutex_lock(&plane->lock);
	bool goes_on = answer(plane, fd, &request, memory);
	pthread_cond_broadcast(&plane->changed);
	pthread_mutex_unlock(&plane->lock);
	if (memory >= 0)
		close(memory);
	return goes_on;
}

static void *plane_main(void *user)
{
	struct sample_plane *plane = user;
	int fd = -1;
	for (;;) {
		struct pollfd waits[2] = {{.fd = plane->wake[0], .events = POLLIN}, {.fd = fd >= 0 ? fd : plane->listener, .events = POLLIN}};
		int count = poll(waits, 2, -1);
		GYR_ASSERT(count > 0);
		if (waits[0].revents != 0)
			break;
		if (waits[1].revents == 0)
			continue;
		if (fd < 0) {
			fd = accept(plane->listener, NULL, NULL);
		} else if (!serve_one(plane, fd)) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

void sample_plane_start(struct sample_plane *plane, const char *folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*plane = (struct sample_plane){0};
	snprintf(plane->path, sizeof plane->path, "%s/" GYR_LINK_SOCKET, folder);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/" GYR_LINK_SOCKET, folder);
	unlink(plane->path);
	plane->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(plane->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(plane->listener, 1), 0);
	assert_int_equal(pipe2(plane->wake, O_CLOEXEC), 0);
	pthread_mutex_init(&plane->lock, NULL);
	pthread_cond_init(&plane->changed, NULL);
	assert_int_equal(pthread_create(&plane->thread, NULL, plane_main, plane), 0);
}

void sample_plane_stop(struct sample_plane *plane)
{
	assert_int_equal(write(plane->wake[1], "", 1), 1);
	pthread_join(plane->thread, NULL);
	close(plane->wake[0]);
	close(plane->wake[1]);
	close(plane->listener);
	unlink(plane->path);
	pthread_mutex_destroy(&plane->lock);
	pthread_cond_destroy(&plane->changed);
}

bool sample_plane_holds(struct sample_plane *plane, const char *model, uint64_t number)
{
	uint32_t index;
	pthread_mutex_lock(&plane->lock);
	bool held = find_version(plane, model, number, &index);
	pthread_mutex_unlock(&plane->lock);
	return held;
}

uint64_t sample_plane_label(struct sample_plane *plane, const char *model, const char *label)
{
	uint64_t version = 0;
	pthread_mutex_lock(&plane->lock);
	for (uint32_t i = 0; i < plane->label_count; i++)
		if (strcmp(plane->labels[i].model, model) == 0 && strcmp(plane->labels[i].label.name, label) == 0)
			version = plane->labels[i].label.version;
	pthread_mutex_unlock(&plane->lock);
	return version;
}

struct gyr_link_policy sample_plane_policy(struct sample_plane *plane, const char *model)
{
	uint32_t index = 0;
	pthread_mutex_lock(&plane->lock);
	while (index < plane->version_count && strcmp(plane->versions[index].model, model) != 0)
		index++;
	GYR_ASSERT(index < plane->version_count);
	struct gyr_link_policy policy = plane->versions[index].policy;
	pthread_mutex_unlock(&plane->lock);
	return policy;
}

void sample_plane_set_mood(struct sample_plane *plane, int mood)
{
	pthread_mutex_lock(&plane->lock);
	plane->mood = (__typeof__(plane->mood))mood;
	pthread_mutex_unlock(&plane->lock);
}
