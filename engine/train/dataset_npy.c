/*
 * NPY, numpy's file of one array: a magic word, a version, the length of a header that is a Python dictionary of three known keys, then the elements.
 * Source: numpy.lib.format, "NPY format", versions 1.0 to 3.0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/dataset_internal.h"

#define HEADER_BYTES_MAX 65536u

static const struct {
	const char *descr;
	enum gyr_dtype dtype;
} types[] = {
	{"<f4", GYR_DTYPE_F32}, {"<f8", GYR_DTYPE_F64}, {"|u1", GYR_DTYPE_U8}, {"|i1", GYR_DTYPE_I8}, {"<i4", GYR_DTYPE_I32}, {"<i8", GYR_DTYPE_I64},
};

static void skip_spaces(const char **at)
{
	while (**at == ' ' || **at == '\n' || **at == '\t')
		(*at)++;
}

/* Reads past CHARACTER and the spaces before it. */
static bool take(const char **at, char character)
{
	skip_spaces(at);
	if (**at != character)
		return false;
	(*at)++;
	return true;
}

/* Reads 'text' or "text" into TEXT of SIZE bytes. */
static bool take_string(const char **at, char *text, size_t size)
{
	skip_spaces(at);
	char quote = **at;
	if (quote != '\'' && quote != '"')
		return false;
	const char *first = *at + 1, *last = strchr(first, quote);
	if (last == NULL || (size_t)(last - first) >= size)
		return false;
	memcpy(text, first, (size_t)(last - first));
	text[last - first] = 0;
	*at = last + 1;
	return true;
}

static bool take_word(const char **at, const char *word)
{
	skip_spaces(at);
	if (strncmp(*at, word, strlen(word)) != 0)
		return false;
	*at += strlen(word);
	return true;
}

static int take_shape(const char *path, const char **at, struct gyr_shape *shape, struct gyr_error *error)
{
	if (!take(at, '('))
		return gyr_error_set(error, -EBADMSG, "%s: the NPY header's shape is no list in parentheses", path);
	shape->rank = 0;
	while (!take(at, ')')) {
		skip_spaces(at);
		char *end;
		errno = 0;
		long long dim = **at >= '0' && **at <= '9' ? strtoll(*at, &end, 10) : -1;
		if (dim < 0 || errno != 0)
			return gyr_error_set(error, -EBADMSG, "%s: dimension %u of the NPY header's shape is no number from 0 to 2^63 - 1", path, shape->rank);
		if (shape->rank == GYR_RANK_MAX)
			return gyr_error_set(error, -EBADMSG, "%s: the NPY header's shape has more than %d dimensions", path, GYR_RANK_MAX);
		shape->dims[shape->rank++] = dim;
		*at = end;
		if (!take(at, ',') && (skip_spaces(at), **at != ')'))
			return gyr_error_set(error, -EBADMSG, "%s: the NPY header's shape is not closed", path);
	}
	if (shape->rank == 0)
		return gyr_error_set(error, -EBADMSG, "%s: the NPY header's shape is (), one number; an array of rows is expected", path);
	return 0;
}

static int take_descr(const char *path, const char **at, struct gyr_shape *shape, struct gyr_error *error)
{
	char descr[16];
	if (!take_string(at, descr, sizeof descr))
		return gyr_error_set(error, -ENOTSUP, "%s: the NPY type is no simple one; <f4, <f8, |u1, |i1, <i4 and <i8 are read", path);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(descr, types[i].descr) == 0)
			shape->dtype = types[i].dtype;
	if (shape->dtype == GYR_DTYPE_NONE)
		return gyr_error_set(error, -ENOTSUP, "%s: the NPY type %s is not read; <f4, <f8, |u1, |i1, <i4 and <i8 are", path, descr);
	return 0;
}

static int parse_header(const char *path, const char *text, struct gyr_shape *shape, struct gyr_error *error)
{
	enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
	const char *at = text;
	unsigned seen = 0;
	if (!take(&at, '{'))
		return gyr_error_set(error, -EBADMSG, "%s: the NPY header is no dictionary", path);
	while (!take(&at, '}')) {
		char key[16];
		if (!take_string(&at, key, sizeof key) || !take(&at, ':'))
			return gyr_error_set(error, -EBADMSG, "%s: the NPY header is cut or damaged at byte %zu of it", path, (size_t)(at - text));
		unsigned which = strcmp(key, "descr") == 0 ? DESCR : strcmp(key, "fortran_order") == 0 ? ORDER : strcmp(key, "shape") == 0 ? SHAPE : 0;
		if (which == 0 || (seen & which) != 0)
			return gyr_error_set(error, -EBADMSG, "%s: the NPY header's key %s is %s; descr, fortran_order and shape are expected, each once", path,
					     key, which == 0 ? "unknown" : "there twice");
		seen |= which;
		int result = which == DESCR ? take_descr(path, &at, shape, error) : which == SHAPE ? take_shape(path, &at, shape, error) : 0;
		if (result != 0)
			return result;
		if (which == ORDER && !take_word(&at, "False")) {
			if (take_word(&at, "True"))
				return gyr_error_set(error, -ENOTSUP, "%s: the NPY array is in Fortran order; save it in C order (numpy.ascontiguousarray)",
						     path);
			return gyr_error_set(error, -EBADMSG, "%s: the NPY header's fortran_order is neither False nor True", path);
		}
		if (!take(&at, ',') && (skip_spaces(&at), *at != '}'))
			return gyr_error_set(error, -EBADMSG, "%s: the NPY header is cut or damaged at byte %zu of it", path, (size_t)(at - text));
	}
	skip_spaces(&at);
	if (*at != 0 || seen != ALL)
		return gyr_error_set(error, -EBADMSG, "%s: the NPY header %s", path,
				     *at != 0 ? "goes on behind its dictionary" : "lacks one of descr, fortran_order and shape");
	return 0;
}

int gyr_dataset_read_npy(struct gyr_data_stream *stream, struct gyr_dataset *dataset, struct gyr_error *error)
{
	const char *path = stream->path;
	uint8_t head[12];
	size_t got, prefix = 10;
	int result = gyr_data_stream_read(stream, head, prefix, &got, error);
	if (result != 0)
		return result;
	if (got == prefix && (head[6] < 1 || head[6] > 3))
		return gyr_error_set(error, -ENOTSUP, "%s: NPY format %u.%u is not read; 1.0 to 3.0 are", path, head[6], head[7]);
	if (got == prefix && head[6] > 1) {
		result = gyr_data_stream_read(stream, head + 10, 2, &got, error);
		if (result != 0)
			return result;
		got += prefix;
		prefix = 12;
	}
	if (got < prefix)
		return gyr_error_set(error, -EBADMSG, "%s: cut before the NPY header", path);
	size_t length = (size_t)head[8] | (size_t)head[9] << 8;
	if (prefix == 12)
		length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
	if (length > HEADER_BYTES_MAX)
		return gyr_error_set(error, -EBADMSG, "%s: the NPY header's length is %zu; that of an array of numbers has at most %u bytes", path, length,
				     HEADER_BYTES_MAX);
	char *text = malloc(length + 1);
	if (text == NULL)
		return gyr_error_set(error, -ENOMEM, "%s: no memory", path);
	result = gyr_data_stream_read(stream, text, length, &got, error);
	if (result == 0 && got < length)
		result = gyr_error_set(error, -EBADMSG, "%s: cut in its NPY header: %zu bytes of %zu are there", path, got, length);
	if (result == 0) {
		text[length] = 0;
		result = strlen(text) < length ? gyr_error_set(error, -EBADMSG, "%s: the NPY header holds a zero byte", path)
					       : parse_header(path, text, &dataset->shape, error);
	}
	free(text);
	return result != 0 ? result : gyr_data_stream_payload(stream, prefix + length, dataset, error);
}
