/* Arrays as numpy saves them. Source of the format: numpy.lib.format, versions 1.0 to 3.0. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/load/source.h"

#define HEAD_MAX 65536u
#define BYTES_MAX (UINT64_C(1) << 32)

static int refuse(const char *path, const char *why, struct gyr_error *error)
{
	return gyr_error_set(error, -EINVAL, "%s: %s; an array in C order of little-endian numbers, as numpy.save writes it, is expected", path, why);
}

/* The text behind 'KEY': in the dictionary HEAD; NULL: it is not there. */
static const char *value_of(const char *head, const char *key)
{
	const char *at = strstr(head, key);
	if (at == NULL)
		return NULL;
	at += strlen(key);
	return at + strspn(at, " :");
}

/* "(3, 4)": the first dimension, and the product of the others. */
static bool read_shape(const char *at, uint64_t *count, uint64_t *rest)
{
	char *end;
	if (at == NULL || *at++ != '(')
		return false;
	*count = strtoull(at, &end, 10);
	if (end == at || *count == 0 || *count > UINT32_MAX)
		return false;
	for (*rest = 1; *(at = end + strspn(end, ", ")) != ')';) {
		uint64_t size = strtoull(at, &end, 10);
		if (end == at || size == 0 || __builtin_mul_overflow(*rest, size, rest) || *rest > BYTES_MAX)
			return false;
	}
	return true;
}

static int read_head(FILE *file, const char *path, uint64_t *count, uint64_t *row_bytes, bool *f32, struct gyr_error *error)
{
	uint8_t start[12];
	static char head[HEAD_MAX];
	if (fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3)
		return refuse(path, "no npy file", error);
	if (start[6] > 1 && fread(start + 10, 1, 2, file) != 2)
		return refuse(path, "it ends in its head", error);
	size_t length = start[8] | (size_t)start[9] << 8;
	if (start[6] > 1)
		length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
	if (length >= sizeof head || fread(head, 1, length, file) != length)
		return refuse(path, "it ends in its head", error);
	head[length] = 0;
	const char *type = value_of(head, "'descr'"), *order = value_of(head, "'fortran_order'");
	if (type == NULL || type[0] != '\'' || strchr("<|", type[1]) == NULL || type[1] == 0 || strchr("fiub", type[2]) == NULL || type[2] == 0)
		return refuse(path, "its type is another", error);
	uint64_t width = strtoull(type + 3, NULL, 10);
	if (order == NULL || strncmp(order, "False", 5) != 0)
		return refuse(path, "its order is another", error);
	if (!read_shape(value_of(head, "'shape'"), count, row_bytes) || width == 0 || width > 8)
		return refuse(path, "its shape gives no rows", error);
	*row_bytes *= width;
	*f32 = type[2] == 'f' && width == sizeof(float);
	return 0;
}

int load_npy_read(const char *path, uint32_t *count, uint32_t *row_bytes, bool *f32, uint8_t **items, struct gyr_error *error)
{
	uint64_t rows = 0, bytes = 0, total = 0;
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	int status = read_head(file, path, &rows, &bytes, f32, error);
	if (status == 0 && (bytes > UINT32_MAX || __builtin_mul_overflow(rows, bytes, &total) || total > BYTES_MAX))
		status = refuse(path, "it holds more than 4 GiB", error);
	if (status == 0) {
		*items = malloc(total);
		if (*items == NULL)
			status = gyr_error_set(error, -ENOMEM, "%s: no memory for %llu bytes", path, (unsigned long long)total);
		else if (fread(*items, 1, total, file) != total)
			status = refuse(path, "it ends before its last row", error);
	}
	fclose(file);
	*count = (uint32_t)rows;
	*row_bytes = (uint32_t)bytes;
	return status;
}
