#include "control/cli/elements.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define NEST_MAX 16u

struct list {
	struct ctl_elements *elements;
	size_t room, element_bytes;
	enum gyr_dtype dtype;
	struct gyr_error *error;
};

/* The whole numbers that each type holds. */
static bool whole_range(enum gyr_dtype dtype, double *least, double *most)
{
	switch (dtype) {
	case GYR_DTYPE_BOOL: *least = 0, *most = 1; return true;
	case GYR_DTYPE_U8: *least = 0, *most = UINT8_MAX; return true;
	case GYR_DTYPE_I8: *least = INT8_MIN, *most = INT8_MAX; return true;
	case GYR_DTYPE_U16: *least = 0, *most = UINT16_MAX; return true;
	case GYR_DTYPE_I16: *least = INT16_MIN, *most = INT16_MAX; return true;
	case GYR_DTYPE_U32: *least = 0, *most = UINT32_MAX; return true;
	case GYR_DTYPE_I32: *least = INT32_MIN, *most = INT32_MAX; return true;
	default: return false;
	}
}

static int add_number(struct list *list, yyjson_val *value)
{
	union {
		float f32;
		double f64;
		int64_t i64;
		uint64_t u64;
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
	} element = {0};
	double number = yyjson_get_num(value), least, most;
	bool fits = true;
	if (list->dtype == GYR_DTYPE_F32) {
		element.f32 = (float)number;
		fits = isfinite(element.f32);
	} else if (list->dtype == GYR_DTYPE_F64) {
		element.f64 = number;
	} else if (list->dtype == GYR_DTYPE_I64) {
		fits = yyjson_is_sint(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX);
		element.i64 = yyjson_get_sint(value);
	} else if (list->dtype == GYR_DTYPE_U64) {
		fits = yyjson_is_uint(value);
		element.u64 = yyjson_get_uint(value);
	} else if (whole_range(list->dtype, &least, &most)) {
		fits = number >= least && number <= most && number == floor(number);
		/* Little-endian: the low bytes are the element. */
		element.i64 = fits ? (int64_t)number : 0;
	} else {
		return gyr_error_set(list->error, -ENOTSUP, "elements of type %s cannot be given as JSON; give a file", gyr_dtype_name(list->dtype));
	}
	if (!fits)
		return gyr_error_set(list->error, -EINVAL, "the model takes %s, which cannot hold %g", gyr_dtype_name(list->dtype), number);
	struct ctl_elements *elements = list->elements;
	if (elements->bytes + list->element_bytes > list->room) {
		list->room = list->room == 0 ? 4096 : list->room * 2;
		void *grown = realloc(elements->data, list->room);
		if (grown == NULL)
			return gyr_error_set(list->error, -ENOMEM, "no memory for the input");
		elements->data = grown;
	}
	memcpy((uint8_t *)elements->data + elements->bytes, &element, list->element_bytes);
	elements->bytes += list->element_bytes;
	return 0;
}

static int add_values(struct list *list, yyjson_val *value, unsigned depth)
{
	size_t index, max;
	yyjson_val *item;
	if (yyjson_is_num(value))
		return add_number(list, value);
	if (!yyjson_is_arr(value) || depth > NEST_MAX)
		return gyr_error_set(list->error, -EINVAL, "expected a (nested) array of numbers");
	yyjson_arr_foreach(value, index, max, item)
	{
		int status = add_values(list, item, depth + 1);
		if (status != 0)
			return status;
	}
	return 0;
}

int ctl_elements_from_json(const char *text, size_t length, enum gyr_dtype dtype, struct ctl_elements *elements, struct gyr_error *error)
{
	struct list list = {.elements = elements, .element_bytes = gyr_dtype_bytes(dtype), .dtype = dtype, .error = error};
	yyjson_read_err why;
	*elements = (struct ctl_elements){0};
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text, length, 0, NULL, &why); /* without YYJSON_READ_INSITU it changes nothing */
	if (doc == NULL)
		return gyr_error_set(error, -EINVAL, "no JSON: %s at byte %zu", why.msg, why.pos);
	int status = add_values(&list, yyjson_doc_get_root(doc), 0);
	yyjson_doc_free(doc);
	if (status != 0) {
		free(elements->data);
		*elements = (struct ctl_elements){0};
	}
	return status;
}

/* The whole file, unpacked where it is gzip'd. */
static int read_file(const char *path, struct ctl_elements *content, struct gyr_error *error)
{
	gzFile file = gzopen(path, "rb");
	size_t room = 0;
	*content = (struct ctl_elements){0};
	if (file == NULL)
		return gyr_error_set(error, errno == 0 ? -ENOMEM : -errno, "%s: %s", path, strerror(errno));
	for (;;) {
		if (content->bytes == room) {
			room = room == 0 ? 1 << 16 : room * 2;
			void *grown = room > FILE_BYTES_MAX ? NULL : realloc(content->data, room);
			if (grown == NULL) {
				gzclose(file);
				free(content->data);
				return gyr_error_set(error, -E2BIG, "%s: more than %zu bytes", path, FILE_BYTES_MAX);
			}
			content->data = grown;
		}
		int got = gzread(file, (uint8_t *)content->data + content->bytes, (unsigned)(room - content->bytes));
		if (got < 0) {
			int code;
			int status = gyr_error_set(error, -EIO, "%s: %s", path, gzerror(file, &code));
			gzclose(file);
			free(content->data);
			return status;
		}
		if (got == 0)
			break;
		content->bytes += (size_t)got;
	}
	/* Only this tells that a gzip'd file was cut. */
	if (gzclose(file) != Z_OK) {
		free(content->data);
		return gyr_error_set(error, -EINVAL, "%s: the gzip'd file ends too early", path);
	}
	return 0;
}

static enum gyr_dtype idx_dtype(uint8_t code)
{
	switch (code) {
	case 0x08: return GYR_DTYPE_U8;
	case 0x09: return GYR_DTYPE_I8;
	case 0x0b: return GYR_DTYPE_I16;
	case 0x0c: return GYR_DTYPE_I32;
	case 0x0d: return GYR_DTYPE_F32;
	case 0x0e: return GYR_DTYPE_F64;
	default: return GYR_DTYPE_NONE;
	}
}

/* IDX: two zeros, the type, the rank, then the dimensions and the elements, big-endian. */
static bool is_idx(const struct ctl_elements *content, size_t *head_bytes)
{
	const uint8_t *bytes = content->data;
	if (content->bytes < 8 || bytes[0] != 0 || bytes[1] != 0 || idx_dtype(bytes[2]) == GYR_DTYPE_NONE || bytes[3] == 0)
		return false;
	*head_bytes = 4 + 4 * (size_t)bytes[3];
	return content->bytes >= *head_bytes;
}

static void swap_elements(void *data, size_t bytes, size_t element_bytes)
{
	uint8_t *at = data;
	for (size_t i = 0; i + element_bytes <= bytes; i += element_bytes)
		for (size_t j = 0; j < element_bytes / 2; j++) {
			uint8_t byte = at[i + j];
			at[i + j] = at[i + element_bytes - 1 - j];
			at[i + element_bytes - 1 - j] = byte;
		}
}

/* Keeps of CONTENT what lies behind HEAD_BYTES, or one row of it. */
static int take_rows(const char *path, struct ctl_elements *content, size_t head_bytes, int64_t row, size_t row_bytes, struct gyr_error *error)
{
	size_t bytes = content->bytes - head_bytes;
	if (row_bytes == 0 || bytes % row_bytes != 0)
		return gyr_error_set(error, -EINVAL, "%s: %zu bytes of elements are no whole rows of %zu bytes, as the model takes them", path, bytes,
				     row_bytes);
	size_t rows = bytes / row_bytes, first = row < 0 ? 0 : (size_t)row;
	if (row >= 0 && first >= rows)
		return gyr_error_set(error, -ERANGE, "%s: no row %lld; it has 0 to %lld", path, (long long)row, (long long)rows - 1);
	content->bytes = row < 0 ? bytes : row_bytes;
	memmove(content->data, (uint8_t *)content->data + head_bytes + first * row_bytes, content->bytes);
	return 0;
}

static int take_file(const char *path, int64_t row, enum gyr_dtype dtype, size_t row_bytes, struct ctl_elements *content, struct gyr_error *error)
{
	size_t head_bytes = 0;
	if (!is_idx(content, &head_bytes))
		return take_rows(path, content, 0, row, row_bytes, error);
	enum gyr_dtype found = idx_dtype(((const uint8_t *)content->data)[2]);
	if (found != dtype)
		return gyr_error_set(error, -EINVAL, "%s: elements of type %s; the model takes %s", path, gyr_dtype_name(found), gyr_dtype_name(dtype));
	int status = take_rows(path, content, head_bytes, row, row_bytes, error);
	if (status == 0)
		swap_elements(content->data, content->bytes, gyr_dtype_bytes(dtype));
	return status;
}

int ctl_elements_from_file(const char *path, int64_t row, enum gyr_dtype dtype, size_t row_bytes, struct ctl_elements *elements, struct gyr_error *error)
{
	struct ctl_elements content;
	*elements = (struct ctl_elements){0};
	int status = read_file(path, &content, error);
	if (status != 0)
		return status;
	if (content.bytes > 0 && *(const char *)content.data == '[') {
		status = ctl_elements_from_json(content.data, content.bytes, dtype, elements, error);
		free(content.data);
		content = *elements;
		if (status == 0)
			status = take_rows(path, &content, 0, row, row_bytes, error);
		else
			gyr_error_prefix(error, status, "%s", path);
	} else {
		status = take_file(path, row, dtype, row_bytes, &content, error);
	}
	if (status != 0) {
		free(content.data);
		content = (struct ctl_elements){0};
	}
	*elements = content;
	return status;
}

/* The double that prints with no more digits than the float needs: 0.1 rather than 0.10000000149011612. */
static double shortest(float value)
{
	char text[32];
	for (int digits = 6; digits < 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			return strtod(text, NULL);
	}
	snprintf(text, sizeof text, "%.9g", (double)value);
	return strtod(text, NULL);
}

yyjson_mut_val *ctl_element_to_json(yyjson_mut_doc *doc, const void *data, size_t index, enum gyr_dtype dtype)
{
	union {
		float f32;
		double f64;
		int64_t i64;
		uint64_t u64;
		int32_t i32;
		uint32_t u32;
		int16_t i16;
		uint16_t u16;
		int8_t i8;
		uint8_t u8;
	} element = {0};
	size_t bytes = gyr_dtype_bytes(dtype);
	memcpy(&element, (const uint8_t *)data + index * bytes, bytes);
	switch (dtype) {
	case GYR_DTYPE_F32: return isfinite(element.f32) ? yyjson_mut_real(doc, shortest(element.f32)) : yyjson_mut_null(doc);
	case GYR_DTYPE_F64: return isfinite(element.f64) ? yyjson_mut_real(doc, element.f64) : yyjson_mut_null(doc);
	case GYR_DTYPE_I64: return yyjson_mut_sint(doc, element.i64);
	case GYR_DTYPE_U64: return yyjson_mut_uint(doc, element.u64);
	case GYR_DTYPE_I32: return yyjson_mut_sint(doc, element.i32);
	case GYR_DTYPE_U32: return yyjson_mut_uint(doc, element.u32);
	case GYR_DTYPE_I16: return yyjson_mut_sint(doc, element.i16);
	case GYR_DTYPE_U16: return yyjson_mut_uint(doc, element.u16);
	case GYR_DTYPE_I8: return yyjson_mut_sint(doc, element.i8);
	case GYR_DTYPE_U8: return yyjson_mut_uint(doc, element.u8);
	case GYR_DTYPE_BOOL: return yyjson_mut_bool(doc, element.u8 != 0);
	default: return NULL;
	}
}
