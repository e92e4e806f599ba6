/* The control socket: calls, news, limits, bad messages, who may do what. The server runs in a thread, the callers in the test's. */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/rpc/client.h"
#include "control/rpc/server.h"
#include "sample.h"

static char folder[64], path[128];
static struct gyr_error error;
static struct gyr_events events;
static struct gyr_rpc_server *server;
static pthread_t thread;
static atomic_int gone_count, changed_count;

static void serve_echo(void *user, struct gyr_rpc_call *call)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, call->request.count);
	for (uint32_t i = 0; i < call->request.count; i++)
		gyr_rpc_pair_text(&buffer.packer, call->request.parameters[i].name, call->request.parameters[i].value);
	gyr_rpc_answer_send(call, &buffer);
}

static void serve_news(void *user, struct gyr_rpc_call *call)
{
	for (int i = 0; i < 3; i++) {
		struct gyr_rpc_buffer buffer;
		gyr_rpc_news_begin(&buffer);
		msgpack_pack_int(&buffer.packer, i);
		gyr_rpc_news_send(call, &buffer);
	}
	gyr_rpc_answer(call, -ENOENT, "there was nothing");
}

static void serve_large(void *user, struct gyr_rpc_call *call)
{
	struct gyr_rpc_buffer buffer;
	uint64_t bytes = 0;
	assert_int_equal(gyr_rpc_number(&call->request, "bytes", &bytes, NULL), 0);
	char *body = calloc(1, bytes);
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_bin(&buffer.packer, bytes);
	msgpack_pack_bin_body(&buffer.packer, body, bytes);
	gyr_rpc_answer_send(call, &buffer);
	free(body);
}

static void serve_change(void *user, struct gyr_rpc_call *call)
{
	atomic_fetch_add(&changed_count, 1);
	gyr_rpc_answer(call, 0, "");
}

static void be_gone(struct gyr_rpc_call *call)
{
	atomic_fetch_add(&gone_count, 1);
	gyr_rpc_answer(call, 0, "");
}

static void serve_never(void *user, struct gyr_rpc_call *call)
{
	call->gone = be_gone;
}

static const struct gyr_rpc_method methods[] = {
	{"echo", false, serve_echo, GYR_RPC_REQUEST_MAX},
	{"news", false, serve_news},
	{"large", false, serve_large},
	{"change", true, serve_change},
	{"never", false, serve_never},
	{NULL, false, NULL},
};

static const struct gyr_rpc_roles no_groups = {"", ""}, daemon_and_bin = {.operators = "daemon", .viewers = "bin"};
static const struct gyr_rpc_roles *groups = &no_groups;

static void *serve(void *user)
{
	gyr_events_run(&events);
	return NULL;
}

static int start_server(void **state)
{
	sample_folder(folder);
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(path, sizeof path, "%s/" GYR_RPC_SOCKET, folder);
	/* Left over by one that was killed. */
	sample_write(path, "", 0);
	assert_int_equal(gyr_events_init(&events, &error), 0);
	assert_int_equal(gyr_rpc_server_create(&events, path, methods, groups, NULL, &server, &error), 0);
	atomic_store(&gone_count, 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	return 0;
}

static int stop_server(void **state)
{
	gyr_events_stop(&events);
	pthread_join(thread, NULL);
	gyr_rpc_server_destroy(server);
	gyr_events_fini(&events);
	assert_int_equal(access(path, F_OK), -1);
	sample_remove(folder);
	return 0;
}

static int call(const char *name, const struct gyr_rpc_parameter *parameters, uint32_t count, gyr_rpc_news *news, void *user)
{
	struct gyr_rpc_client client;
	struct gyr_unpack body;
	if (gyr_rpc_client_init(&client, path, &error) != 0)
		fail_msg("%s", error.text);
	int status = gyr_rpc_client_call(&client, name, parameters, count, news, user, &body, &error);
	gyr_rpc_client_fini(&client);
	return status;
}

static void calls_are_answered(void **state)
{
	struct gyr_rpc_client client;
	struct gyr_unpack body;
	struct gyr_rpc_parameter parameters[GYR_RPC_PARAMETERS_MAX];
	char long_text[40000];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	for (uint32_t i = 0; i < GYR_RPC_PARAMETERS_MAX; i++)
		parameters[i] = (struct gyr_rpc_parameter){"name", i == 7 ? long_text : i == 8 ? "" : "value"};
	assert_int_equal(gyr_rpc_client_init(&client, path, &error), 0);
	for (uint32_t count = 0; count <= GYR_RPC_PARAMETERS_MAX; count++) {
		uint32_t pairs, length = 0;
		const char *text = "";
		assert_int_equal(gyr_rpc_client_call(&client, "echo", parameters, count, NULL, NULL, &body, &error), 0);
		assert_true(gyr_unpack_map(&body, &pairs));
		assert_int_equal(pairs, count);
		for (uint32_t i = 0; i < count; i++) {
			assert_true(gyr_unpack_str(&body, &text, &length));
			assert_true(gyr_unpack_is(text, length, "name"));
			assert_true(gyr_unpack_str(&body, &text, &length));
			assert_true(gyr_unpack_is(text, length, parameters[i].value));
		}
	}
	gyr_rpc_client_fini(&client);
}

static void add_news(void *user, struct gyr_unpack body)
{
	uint64_t number = 0;
	assert_true(gyr_unpack_uint(&body, &number));
	*(uint64_t *)user = *(uint64_t *)user * 10 + number + 1;
}

static void news_come_before_the_answer(void **state)
{
	uint64_t seen = 0;
	assert_int_equal(call("news", NULL, 0, add_news, &seen), -ENOENT);
	assert_string_equal(error.text, "there was nothing");
	assert_int_equal(seen, 123);
}

static void large_answers_come_whole_or_not_at_all(void **state)
{
	struct gyr_rpc_parameter bytes = {"bytes", "16000000"};
	assert_int_equal(call("large", &bytes, 1, NULL, NULL), 0);
	bytes.value = "17000000";
	assert_int_equal(call("large", &bytes, 1, NULL, NULL), -EMSGSIZE);
	char *text = malloc(GYR_RPC_REQUEST_MAX + 1);
	assert_non_null(text);
	memset(text, 'x', GYR_RPC_REQUEST_MAX);
	text[GYR_RPC_REQUEST_MAX] = '\0';
	bytes.value = text;
	assert_int_equal(call("echo", &bytes, 1, NULL, NULL), -E2BIG);
	free(text);
}

/* --- raw bytes --- */

static int connect_raw(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 20};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/" GYR_RPC_SOCKET, folder);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return fd;
}

/* The status of the answer that comes, with its text in ERROR. */
static int receive_status(int fd)
{
	uint32_t bytes, values, length = 0;
	uint8_t answer[4096];
	uint64_t number;
	int64_t status = 0;
	const char *text = "";
	assert_int_equal(recv(fd, &bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
	bytes = ntohl(bytes);
	assert_in_range(bytes, 1, sizeof answer);
	assert_int_equal(recv(fd, answer, bytes, MSG_WAITALL), bytes);
	struct gyr_unpack cursor = {.at = answer, .end = answer + bytes};
	assert_true(gyr_unpack_array(&cursor, &values));
	assert_int_equal(values, 5);
	assert_true(gyr_unpack_uint(&cursor, &number));
	assert_int_equal(number, GYR_RPC_VERSION);
	assert_true(gyr_unpack_uint(&cursor, &number));
	assert_int_equal(number, 1);
	assert_true(gyr_unpack_int(&cursor, &status));
	assert_true(gyr_unpack_str(&cursor, &text, &length));
	gyr_error_set(&error, 0, "%.*s", (int)length, text);
	return (int)status;
}

static void send_frame(int fd, const void *bytes, uint32_t size)
{
	uint32_t head = htonl(size);
	assert_int_equal(send(fd, &head, sizeof head, MSG_NOSIGNAL), sizeof head);
	if (size > 0)
		assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

#define ECHO                                                                                                                                                   \
	"\x93\x01\xa4"                                                                                                                                         \
	"echo"

static void bad_messages_are_refused_and_the_next_is_served(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t size;
		int status;
	} bad[] = {
		{"\xc0", 1, -EBADMSG},
		{"\xc1", 1, -EBADMSG},
		{"\x92\x01\xa0", 3, -EBADMSG},
		{"\x93\xc0\xa0\x80", 4, -EBADMSG},
		{"\x93\x02\xa4"
		 "echo\x80",
		 8, -EPROTONOSUPPORT},
		{"\x93\x01\x05\x80", 4, -EBADMSG},
		{"\x93\x01\xd9\xff"
		 "echo",
		 8, -EBADMSG},
		{"\x93\x01\xda\x00\x40"
		 "0123456789012345678901234567890123456789012345678901234567890123\x80",
		 70, -EBADMSG},
		{ECHO "\x90", 8, -EBADMSG},
		{ECHO "\x81\xa1", 9, -EBADMSG},
		{ECHO "\x81\x01\xa1v", 11, -EBADMSG},
		{ECHO "\x81\xa1n\x01", 11, -EBADMSG},
		{ECHO "\x81\xa1\x00\xa1v", 12, -EBADMSG},
		{ECHO "\x80\x80", 9, -EBADMSG},
		{ECHO "\xdf\xff\xff\xff\xff", 12, -EBADMSG},
		{"\x93\x01\xa4"
		 "nope\x80",
		 8, -ENOSYS},
	};
	int fd = connect_raw();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		send_frame(fd, bad[i].bytes, bad[i].size);
		int status = receive_status(fd);
		if (status != bad[i].status)
			fail_msg("case %zu: %d (%s), expected %d", i, status, error.text, bad[i].status);
	}
	uint8_t many[8 + 3 + 2 * 100] = ECHO "\xdc\x00\x31";
	many[7] = 0xde;
	memset(many + 10, 0xa0, sizeof many - 10);
	send_frame(fd, many, 10 + 2 * 49);
	assert_int_equal(receive_status(fd), -E2BIG);
	send_frame(fd, ECHO "\x80", 8);
	assert_int_equal(receive_status(fd), 0);
	close(fd);
}

static void lengths_that_lie_end_the_connection(void **state)
{
	static const uint32_t lengths[] = {0, GYR_RPC_REQUEST_MAX + 1, UINT32_MAX};
	for (size_t i = 0; i < 3; i++) {
		uint32_t head = htonl(lengths[i]);
		char byte;
		int fd = connect_raw();
		assert_int_equal(send(fd, &head, sizeof head, 0), sizeof head);
		assert_int_equal(receive_status(fd), -EMSGSIZE);
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		close(fd);
	}
	assert_int_equal(call("echo", NULL, 0, NULL, NULL), 0);
}

static void a_request_may_come_in_pieces_and_two_at_once(void **state)
{
	static const char frame[] = "\0\0\0\x08" ECHO "\x80";
	const size_t size = sizeof frame - 1;
	int fd = connect_raw();
	for (size_t i = 0; i < size; i++)
		assert_int_equal(send(fd, frame + i, 1, 0), 1);
	assert_int_equal(receive_status(fd), 0);
	char both[2 * (sizeof frame - 1)];
	memcpy(both, frame, size);
	memcpy(both + size, frame, size);
	assert_int_equal(send(fd, both, sizeof both, 0), sizeof both);
	assert_int_equal(receive_status(fd), 0);
	assert_int_equal(receive_status(fd), 0);
	close(fd);
}

static void a_caller_who_goes_is_noticed(void **state)
{
	int fd = connect_raw();
	send_frame(fd, "\x93\x01\xa5never\x80", 9);
	/* Another is served meanwhile. */
	assert_int_equal(call("echo", NULL, 0, NULL, NULL), 0);
	close(fd);
	for (int i = 0; atomic_load(&gone_count) == 0; i++) {
		assert_true(i < 1000);
		assert_int_equal(call("echo", NULL, 0, NULL, NULL), 0);
	}
	/* One that is under way when the server ends is told the same: seen by the sanitizers. */
	fd = connect_raw();
	send_frame(fd, "\x93\x01\xa5never\x80", 9);
	assert_int_equal(call("echo", NULL, 0, NULL, NULL), 0);
	*(int *)*state = fd;
}

static int start_server_with_fd(void **state)
{
	static int fd;
	fd = -1;
	*state = &fd;
	return start_server(state);
}

static int stop_server_with_fd(void **state)
{
	int status = stop_server(state);
	close(*(int *)*state);
	return status;
}

static void as_nobody(int (*what)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(100);
		_exit(what());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int look_and_try_to_change(void)
{
	int fd = connect_raw();
	send_frame(fd, ECHO "\x80", 8);
	if (receive_status(fd) != 0)
		return 1;
	send_frame(fd,
		   "\x93\x01\xa6"
		   "change\x80",
		   10);
	if (receive_status(fd) != -EPERM)
		return 2;
	return strstr(error.text, "65534") != NULL ? 0 : 3;
}

static void others_may_only_look(void **state)
{
	int before = atomic_load(&changed_count);
	assert_int_equal(call("change", NULL, 0, NULL, NULL), 0);
	assert_int_equal(atomic_load(&changed_count), before + 1);
	if (getuid() != 0)
		skip();
	as_nobody(look_and_try_to_change);
	assert_int_equal(atomic_load(&changed_count), before + 1);
}

/* The user nobody, in group GROUP and OTHER besides: what it may do. */
static int try_as(gid_t group, gid_t other)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (setgroups(1, &other) != 0 || setgid(group) != 0 || setuid(65534) != 0)
			_exit(100);
		int fd = connect_raw();
		send_frame(fd, ECHO "\x80", 8);
		bool looks = receive_status(fd) == 0;
		send_frame(fd,
			   "\x93\x01\xa6"
			   "change\x80",
			   10);
		bool changes = receive_status(fd) == 0;
		_exit((looks ? 1 : 0) + (changes ? 2 : 0));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void groups_have_roles(void **state)
{
	if (getuid() != 0)
		skip();
	gid_t operators = getgrnam("daemon")->gr_gid, viewers = getgrnam("bin")->gr_gid;
	assert_int_equal(try_as(65534, 65534), 0);
	assert_int_equal(try_as(viewers, 65534), 1);
	assert_int_equal(try_as(65534, viewers), 1);
	assert_int_equal(try_as(operators, 65534), 3);
	assert_int_equal(try_as(65534, operators), 3);
	assert_int_equal(call("change", NULL, 0, NULL, NULL), 0);
	struct gyr_rpc_server *second;
	const struct gyr_rpc_roles unknown = {.operators = "no-such-group", .viewers = ""};
	assert_int_equal(gyr_rpc_server_create(&events, path, methods, &unknown, NULL, &second, &error), -ENOENT);
	assert_non_null(strstr(error.text, "no-such-group"));
}

static int start_with_groups(void **state)
{
	groups = &daemon_and_bin;
	return start_server(state);
}

static int stop_with_groups(void **state)
{
	groups = &no_groups;
	return stop_server(state);
}

/* Each method has its own limit, which is small unless it says more. */
static void a_request_has_the_length_of_its_call(void **state)
{
	char text[GYR_RPC_CALL_MAX];
	struct gyr_rpc_parameter parameter = {"x", text};
	memset(text, 'x', sizeof text);
	text[sizeof text - 64] = '\0';
	assert_int_equal(call("change", &parameter, 1, NULL, NULL), 0);
	text[sizeof text - 64] = 'x';
	text[sizeof text - 1] = '\0';
	assert_int_equal(call("change", &parameter, 1, NULL, NULL), -EMSGSIZE);
	assert_non_null(strstr(error.text, "change"));
	assert_int_equal(call("echo", &parameter, 1, NULL, NULL), 0);
}

static void more_connections_than_there_may_be_wait(void **state)
{
	int fds[GYR_RPC_CONNECTIONS_MAX], extra;
	char byte;
	for (uint32_t i = 0; i < GYR_RPC_CONNECTIONS_MAX; i++) {
		fds[i] = connect_raw();
		send_frame(fds[i], ECHO "\x80", 8);
		assert_int_equal(receive_status(fds[i]), 0);
	}
	extra = connect_raw();
	send_frame(extra, ECHO "\x80", 8);
	send_frame(fds[3], ECHO "\x80", 8);
	assert_int_equal(receive_status(fds[3]), 0);
	assert_int_equal(recv(extra, &byte, 1, MSG_DONTWAIT), -1);
	close(fds[5]);
	assert_int_equal(receive_status(extra), 0);
	for (uint32_t i = 0; i < GYR_RPC_CONNECTIONS_MAX; i++)
		if (i != 5)
			close(fds[i]);
	close(extra);
}

static void messages_are_utf8(void **state)
{
	/* A call that is not there, quoted: whole characters stay, others do not. */
	static const struct {
		const char *call, *quoted;
	} calls[] = {
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"a\xf1z", "\"a?z\""},
		{"\xe2\x82", "\"??\""},
		{"\xc0\x80", "\"??\""},
		{"\xed\xa0\x80", "\"???\""},
		{"\xf4\x90\x80\x80", "\"????\""},
	};
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		assert_int_equal(call(calls[i].call, NULL, 0, NULL, NULL), -ENOSYS);
		if (strstr(error.text, calls[i].quoted) == NULL)
			fail_msg("case %zu: %s", i, error.text);
	}
}

static int connect_until_refused(void)
{
	int status = 0;
	for (uint32_t i = 0; i < GYR_RPC_LOOKERS_MAX; i++) {
		int fd = connect_raw();
		send_frame(fd, ECHO "\x80", 8);
		if (receive_status(fd) != 0)
			return 1;
	}
	for (uint32_t i = 0; i < GYR_RPC_CONNECTIONS_MAX && status == 0; i++)
		status = receive_status(connect_raw()) == -EBUSY ? 0 : 2;
	return status;
}

static void lookers_do_not_keep_others_out(void **state)
{
	if (getuid() != 0)
		skip();
	int ready[2], go[2], status;
	char byte;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid_t child = fork();
	if (child == 0) {
		close(go[1]);
		status = setgid(65534) != 0 || setuid(65534) != 0 ? 100 : connect_until_refused();
		if (write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 0)
			status = 101;
		_exit(status);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* Heard while they are all connected. */
	assert_int_equal(call("change", NULL, 0, NULL, NULL), 0);
	close(go[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(ready[0]);
	close(go[0]);
}

static void nobody_there_is_said(void **state)
{
	struct gyr_rpc_client client;
	char other[160];
	snprintf(other, sizeof other, "%s/none.sock", folder);
	assert_int_equal(gyr_rpc_client_init(&client, other, &error), -ENOENT);
	assert_non_null(strstr(error.text, "gyrd"));
	memset(other, 'x', sizeof other - 1);
	other[sizeof other - 1] = '\0';
	assert_int_equal(gyr_rpc_client_init(&client, other, &error), -ENAMETOOLONG);
	struct gyr_rpc_server *second;
	assert_int_equal(gyr_rpc_server_create(&events, other, methods, &no_groups, NULL, &second, &error), -ENAMETOOLONG);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start_server, stop_server)
	const struct CMUnitTest tests[] = {
		TEST(calls_are_answered),
		TEST(news_come_before_the_answer),
		TEST(large_answers_come_whole_or_not_at_all),
		TEST(bad_messages_are_refused_and_the_next_is_served),
		TEST(lengths_that_lie_end_the_connection),
		TEST(a_request_may_come_in_pieces_and_two_at_once),
		cmocka_unit_test_setup_teardown(a_caller_who_goes_is_noticed, start_server_with_fd, stop_server_with_fd),
		TEST(others_may_only_look),
		cmocka_unit_test_setup_teardown(groups_have_roles, start_with_groups, stop_with_groups),
		TEST(a_request_has_the_length_of_its_call),
		TEST(more_connections_than_there_may_be_wait),
		TEST(messages_are_utf8),
		TEST(lookers_do_not_keep_others_out),
		TEST(nobody_there_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
