/* Calling gyrd, and what is made of its answers. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/ctl.h"
#include "control/rpc/client.h"

#define DEPTH_MAX 32u

static yyjson_mut_val *convert(yyjson_mut_doc *doc, struct gyr_unpack *cursor, unsigned depth);

static yyjson_mut_val *convert_array(yyjson_mut_doc *doc, struct gyr_unpack *cursor, unsigned depth)
{
	uint32_t count;
	yyjson_mut_val *list = yyjson_mut_arr(doc);
	if (!gyr_unpack_array(cursor, &count))
		return NULL;
	while (count-- > 0) {
		yyjson_mut_val *item = convert(doc, cursor, depth + 1);
		if (item == NULL || !yyjson_mut_arr_append(list, item))
			return NULL;
	}
	return list;
}

static yyjson_mut_val *convert_map(yyjson_mut_doc *doc, struct gyr_unpack *cursor, unsigned depth)
{
	uint32_t count;
	yyjson_mut_val *object = yyjson_mut_obj(doc);
	if (!gyr_unpack_map(cursor, &count))
		return NULL;
	while (count-- > 0) {
		const char *text;
		uint32_t length;
		if (!gyr_unpack_str(cursor, &text, &length))
			return NULL;
		yyjson_mut_val *key = yyjson_mut_strncpy(doc, text, length), *value = convert(doc, cursor, depth + 1);
		if (value == NULL || !yyjson_mut_obj_add(object, key, value))
			return NULL;
	}
	return object;
}

static yyjson_mut_val *convert(yyjson_mut_doc *doc, struct gyr_unpack *cursor, unsigned depth)
{
	const char *text;
	const uint8_t *bytes;
	uint32_t length;
	uint64_t whole;
	int64_t negative;
	double number;
	bool truth;
	if (depth > DEPTH_MAX)
		return NULL;
	switch (gyr_unpack_peek(cursor)) {
	case GYR_UNPACK_NIL: return gyr_unpack_nil(cursor) ? yyjson_mut_null(doc) : NULL;
	case GYR_UNPACK_BOOL: return gyr_unpack_bool(cursor, &truth) ? yyjson_mut_bool(doc, truth) : NULL;
	case GYR_UNPACK_INT:
		if (gyr_unpack_uint(cursor, &whole))
			return yyjson_mut_uint(doc, whole);
		return gyr_unpack_int(cursor, &negative) ? yyjson_mut_sint(doc, negative) : NULL;
	case GYR_UNPACK_FLOAT:
		if (!gyr_unpack_float(cursor, &number))
			return NULL;
		return isfinite(number) ? yyjson_mut_real(doc, number) : yyjson_mut_null(doc);
	case GYR_UNPACK_STR: return gyr_unpack_str(cursor, &text, &length) ? yyjson_mut_strncpy(doc, text, length) : NULL;
	case GYR_UNPACK_BIN: return gyr_unpack_bin(cursor, &bytes, &length) ? yyjson_mut_arr_with_uint8(doc, bytes, length) : NULL;
	case GYR_UNPACK_ARRAY: return convert_array(doc, cursor, depth);
	case GYR_UNPACK_MAP: return convert_map(doc, cursor, depth);
	default: return NULL;
	}
}

yyjson_mut_val *ctl_to_json(yyjson_mut_doc *doc, struct gyr_unpack *cursor)
{
	return convert(doc, cursor, 0);
}

struct news {
	ctl_news *take;
	void *user;
};

static void take_news(void *user, struct gyr_unpack body)
{
	const struct news *news = user;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *value = doc == NULL ? NULL : ctl_to_json(doc, &body);
	if (value != NULL)
		news->take(news->user, value);
	yyjson_mut_doc_free(doc);
}

bool ctl_call(const char *run_dir, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, ctl_news *news, void *user,
	      yyjson_mut_doc **doc)
{
	char path[GYR_CONFIG_PATH_MAX + 16];
	struct gyr_rpc_client client;
	struct gyr_error error;
	struct gyr_unpack body;
	struct news taker = {.take = news, .user = user};
	snprintf(path, sizeof path, "%s/" GYR_RPC_SOCKET, run_dir);
	int status = gyr_rpc_client_init(&client, path, &error);
	if (status == 0)
		status = gyr_rpc_client_call(&client, call, parameters, count, news == NULL ? NULL : take_news, &taker, &body, &error);
	if (status == 0) {
		*doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *root = *doc == NULL ? NULL : ctl_to_json(*doc, &body);
		if (root == NULL) {
			yyjson_mut_doc_free(*doc);
			status = gyr_error_set(&error, -EBADMSG, "gyrd's answer is not understood; is it of another version?");
		} else {
			yyjson_mut_doc_set_root(*doc, root);
		}
	}
	gyr_rpc_client_fini(&client);
	if (status != 0)
		ctl_fail(&error);
	return status == 0;
}

void ctl_print_json(const yyjson_mut_val *value)
{
	yyjson_write_flag flags = YYJSON_WRITE_ALLOW_INVALID_UNICODE | (isatty(STDOUT_FILENO) ? YYJSON_WRITE_PRETTY_TWO_SPACES : 0);
	char *text = yyjson_mut_val_write(value, flags, NULL);
	puts(text == NULL ? "null" : text);
	free(text);
}

const char *ctl_plain(const char *text)
{
	if (text == NULL)
		return "";
	for (unsigned char *at = (unsigned char *)(uintptr_t)text; *at != '\0'; at++) {
		bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; /* the same once more, as UTF-8 */
		if (c1)
			*at++ = '?';
		if (c1 || *at < 0x20 || *at == 0x7f)
			*at = '?';
	}
	return text;
}

const char *ctl_text(yyjson_mut_val *object, const char *key)
{
	return ctl_plain(yyjson_mut_get_str(yyjson_mut_obj_get(object, key)));
}

uint64_t ctl_whole(yyjson_mut_val *object, const char *key)
{
	return yyjson_mut_get_uint(yyjson_mut_obj_get(object, key));
}

double ctl_number(yyjson_mut_val *object, const char *key)
{
	yyjson_mut_val *value = yyjson_mut_obj_get(object, key);
	return yyjson_mut_is_num(value) ? yyjson_mut_get_num(value) : NAN;
}

const char *ctl_bytes_text(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB"};
	double value = (double)bytes;
	unsigned unit = 0;
	for (; value >= 1000 && unit < 3; unit++)
		value /= 1000;
	snprintf(text, size, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *ctl_duration_text(double seconds, char *text, size_t size)
{
	if (!isfinite(seconds))
		snprintf(text, size, "?");
	else if (seconds < 60)
		snprintf(text, size, "%.0f s", seconds);
	else if (seconds < 3600)
		snprintf(text, size, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
	else
		snprintf(text, size, "%.0f h %02d min", floor(seconds / 3600), (int)fmod(seconds / 60, 60));
	return text;
}

const char *ctl_time_text(int64_t at_s, char *text, size_t size)
{
	time_t at = (time_t)at_s;
	struct tm calendar;
	localtime_r(&at, &calendar);
	strftime(text, size, "%Y-%m-%d %H:%M", &calendar);
	return text;
}

int ctl_path(const char *path, bool must, char absolute[4096], struct gyr_error *error)
{
	static_assert(PATH_MAX == 4096, "what realpath fills");
	if (realpath(path, absolute) != NULL)
		return 0;
	if (must || errno != ENOENT)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (path[0] == '/')
		return snprintf(absolute, 4096, "%s", path) < 4096 ? 0 : gyr_error_set(error, -ENAMETOOLONG, "%.100s...: the path is too long", path);
	char here[2048];
	if (getcwd(here, sizeof here) == NULL)
		return gyr_error_set(error, -errno, "the folder that gyrctl runs in: %s", strerror(errno));
	return snprintf(absolute, 4096, "%s/%s", here, path) < 4096 ? 0 : gyr_error_set(error, -ENAMETOOLONG, "%.100s...: the path is too long", path);
}
