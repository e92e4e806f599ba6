/*
 * CSV: a header line with the columns' names, then one row of numbers a line (RFC 4180, without line breaks inside quotes; LF or CRLF; UTF-8, with or without
 * a byte order mark). Columns that are not chosen may hold any text. Empty lines are allowed at the end only.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/dataset_internal.h"

#define LINE_BYTES_MAX ((size_t)64 << 20)

struct field {
	char *text; /* in the line, zero-terminated; without its quotes */
	size_t length;
};

struct csv {
	struct gyr_data_stream *stream;
	uint64_t line_number; /* from 1 */
	char *line;           /* the current one, zero-terminated */
	size_t line_bytes, line_size;
	struct field *fields; /* of the current line */
	uint32_t field_count;
	size_t field_size;
	struct field *header; /* names, in a copy of the first line */
	char *header_line;
	uint32_t column_count;
	uint32_t *chosen; /* the columns to be read, in order */
	uint32_t chosen_count;
	size_t chosen_size;
};

/* Doubles the SIZE elements of *ARRAY until there are NEEDED. */
static int grow(void *array, size_t *size, size_t needed, size_t bytes, const struct csv *csv, struct gyr_error *error)
{
	if (needed <= *size)
		return 0;
	size_t wanted = *size == 0 ? 256 : *size;
	while (wanted < needed)
		wanted *= 2;
	void *old;
	memcpy(&old, array, sizeof old);
	void *more = reallocarray(old, wanted, bytes);
	if (more == NULL)
		return gyr_error_set(error, -ENOMEM, "%s:%" PRIu64 ": no memory", csv->stream->path, csv->line_number);
	memcpy(array, &more, sizeof more);
	*size = wanted;
	return 0;
}

/* Reads the next line without its end. *GOT: false behind the last. */
static int read_line(struct csv *csv, bool *got, struct gyr_error *error)
{
	struct gyr_data_stream *stream = csv->stream;
	csv->line_bytes = 0;
	*got = false;
	csv->line_number++;
	for (;;) {
		int result = gyr_data_stream_fill(stream, error);
		if (result != 0)
			return result;
		size_t left = stream->end - stream->at;
		if (left == 0)
			break;
		*got = true;
		const uint8_t *first = stream->window + stream->at, *newline = memchr(first, '\n', left);
		size_t part = newline != NULL ? (size_t)(newline - first) : left;
		if (csv->line_bytes + part > LINE_BYTES_MAX)
			return gyr_error_set(error, -E2BIG, "%s:%" PRIu64 ": a line of more than %zu bytes", stream->path, csv->line_number, LINE_BYTES_MAX);
		result = grow(&csv->line, &csv->line_size, csv->line_bytes + part + 1, 1, csv, error);
		if (result != 0)
			return result;
		memcpy(csv->line + csv->line_bytes, first, part);
		csv->line_bytes += part;
		stream->at += part + (newline != NULL);
		if (newline != NULL)
			break;
	}
	if (!*got)
		return 0;
	if (csv->line_bytes > 0 && csv->line[csv->line_bytes - 1] == '\r')
		csv->line_bytes--;
	csv->line[csv->line_bytes] = 0;
	if (memchr(csv->line, 0, csv->line_bytes) != NULL)
		return gyr_error_set(error, -EBADMSG, "%s:%" PRIu64 ": a zero byte: not text; a CSV, NPY or IDX file is expected", stream->path,
				     csv->line_number);
	return 0;
}

/* Takes the quotes off the field at *AT and moves *AT to what follows it. False: the quote is not closed. */
static bool unquote(char **at, struct field *field)
{
	char *from = *at + 1, *to = *at + 1;
	field->text = to;
	for (;; from++) {
		if (*from == 0)
			return false;
		if (*from == '"' && *++from != '"')
			break;
		*to++ = *from;
	}
	field->length = (size_t)(to - field->text);
	*at = from;
	return true;
}

/* Cuts the current line into its fields, in place. */
static int split_line(struct csv *csv, struct gyr_error *error)
{
	const char *path = csv->stream->path;
	char *at = csv->line;
	csv->field_count = 0;
	for (;;) {
		if (csv->field_count == GYR_DATASET_COLUMNS_MAX)
			return gyr_error_set(error, -E2BIG, "%s:%" PRIu64 ": more than %u columns", path, csv->line_number, GYR_DATASET_COLUMNS_MAX);
		int result = grow(&csv->fields, &csv->field_size, csv->field_count + 1, sizeof *csv->fields, csv, error);
		if (result != 0)
			return result;
		struct field *field = &csv->fields[csv->field_count++];
		while (*at == ' ' || *at == '\t')
			at++;
		if (*at == '"') {
			if (!unquote(&at, field))
				return gyr_error_set(error, -EBADMSG, "%s:%" PRIu64 ": column %u: a quote that is not closed on its line", path,
						     csv->line_number, csv->field_count - 1);
			while (*at == ' ' || *at == '\t')
				at++;
			if (*at != ',' && *at != 0)
				return gyr_error_set(error, -EBADMSG, "%s:%" PRIu64 ": column %u: text behind a closed quote; a comma is expected", path,
						     csv->line_number, csv->field_count - 1);
		} else {
			field->text = at;
			at += strcspn(at, ",");
			field->length = (size_t)(at - field->text);
			while (field->length > 0 && (field->text[field->length - 1] == ' ' || field->text[field->length - 1] == '\t'))
				field->length--;
		}
		bool last = *at == 0;
		field->text[field->length] = 0;
		if (last)
			return 0;
		at++;
	}
}

/*
 * The number that TEXT is, and nothing else. Up to 15 digits and a power of ten up to 10^22 are both exact in a double, so that their quotient is correctly
 * rounded (Clinger, "How to read floating point numbers accurately", 1990); strtod reads the others.
 */
static bool parse_number(const struct field *field, double *number)
{
	static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
	const char *at = field->text;
	bool negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;
	uint64_t mantissa = 0;
	unsigned digits = 0, decimals = 0;
	for (; *at >= '0' && *at <= '9' && digits <= 15; at++, digits++)
		mantissa = mantissa * 10 + (uint64_t)(*at - '0');
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9' && digits <= 15; at++, digits++, decimals++)
			mantissa = mantissa * 10 + (uint64_t)(*at - '0');
	if (*at == 0 && digits > 0 && digits <= 15) {
		*number = (double)mantissa / powers[decimals];
		if (negative)
			*number = -*number;
		return true;
	}
	/* Hexadecimal numbers, NaN and infinity, which strtod would take, have other letters. */
	if (field->length == 0 || strspn(field->text, "+-.0123456789eE") != field->length)
		return false;
	char *end;
	*number = strtod(field->text, &end);
	return end == field->text + field->length;
}

static int choose(struct csv *csv, uint32_t column, struct gyr_error *error)
{
	if (csv->chosen_count == GYR_DATASET_COLUMNS_MAX)
		return gyr_error_set(error, -E2BIG, "%s: more than %u columns are chosen", csv->stream->path, GYR_DATASET_COLUMNS_MAX);
	int result = grow(&csv->chosen, &csv->chosen_size, csv->chosen_count + 1, sizeof *csv->chosen, csv, error);
	if (result != 0)
		return result;
	csv->chosen[csv->chosen_count++] = column;
	return 0;
}

/* Reads "7" or "7-99" of LENGTH bytes. */
static bool parse_range(const char *text, size_t length, uint32_t *first, uint32_t *last)
{
	uint32_t *into = first;
	*first = *last = 0;
	size_t digits = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '-' && into == first && digits > 0) {
			into = last;
			digits = 0;
			continue;
		}
		if (text[i] < '0' || text[i] > '9' || ++digits > 9)
			return false;
		*into = *into * 10 + (uint32_t)(text[i] - '0');
	}
	if (into == first)
		*last = *first;
	return digits > 0;
}

static int choose_item(struct csv *csv, const char *item, size_t length, struct gyr_error *error)
{
	const char *path = csv->stream->path;
	uint32_t found = UINT32_MAX;
	for (uint32_t i = 0; i < csv->column_count; i++) {
		if (csv->header[i].length != length || memcmp(csv->header[i].text, item, length) != 0)
			continue;
		if (found != UINT32_MAX)
			return gyr_error_set(error, -EBADMSG, "%s:1: columns %u and %u are both called \"%.*s\"; choose by number", path, found, i, (int)length,
					     item);
		found = i;
	}
	if (found != UINT32_MAX)
		return choose(csv, found, error);
	uint32_t first, last;
	if (!parse_range(item, length, &first, &last))
		return gyr_error_set(error, -EBADMSG, "%s:1: no column \"%.*s\"; names of the header line, or numbers from 0 to %u, are expected", path,
				     length > 100 ? 100 : (int)length, item, csv->column_count - 1);
	if (first > last || last >= csv->column_count)
		return gyr_error_set(error, -EBADMSG, "%s:1: no columns %u-%u; the last is %u", path, first, last, csv->column_count - 1);
	int result = 0;
	for (uint32_t i = first; i <= last && result == 0; i++)
		result = choose(csv, i, error);
	return result;
}

static int choose_columns(struct csv *csv, const char *columns, struct gyr_error *error)
{
	int result = 0;
	if (columns == NULL) {
		for (uint32_t i = 0; i < csv->column_count && result == 0; i++)
			result = choose(csv, i, error);
		return result;
	}
	for (const char *at = columns; result == 0; at++) {
		size_t length = strcspn(at, ",");
		result = choose_item(csv, at, length, error);
		at += length;
		if (*at == 0)
			break;
	}
	return result;
}

/* Reads the header line. Where it holds numbers other than 0, 1, 2 ..., the file has none, and its first row must not be lost silently. */
static int read_header(struct csv *csv, struct gyr_error *error)
{
	const char *path = csv->stream->path;
	bool got;
	int result = read_line(csv, &got, error);
	if (result != 0)
		return result;
	if (csv->line_bytes >= 3 && memcmp(csv->line, "\xef\xbb\xbf", 3) == 0)
		memmove(csv->line, csv->line + 3, csv->line_bytes - 3 + 1);
	result = split_line(csv, error);
	if (result != 0)
		return result;
	uint32_t numbers = 0, counted = 0;
	for (uint32_t i = 0; i < csv->field_count; i++) {
		double number;
		bool is_number = parse_number(&csv->fields[i], &number);
		numbers += is_number;
		counted += is_number && number == i;
		if (csv->fields[i].length == 0)
			return gyr_error_set(error, -EBADMSG, "%s:1: column %u has no name; the first line names the columns", path, i);
	}
	if (numbers == csv->field_count && counted < csv->field_count)
		return gyr_error_set(error, -EBADMSG, "%s:1: numbers; the first line names the columns (\"x1,x2,y\", or \"0,1,2\")", path);
	csv->header = csv->fields;
	csv->header_line = csv->line;
	csv->column_count = csv->field_count;
	csv->fields = NULL;
	csv->line = NULL;
	csv->field_size = 0;
	csv->line_size = 0;
	return 0;
}

static int parse_row(struct csv *csv, float *into, struct gyr_error *error)
{
	const char *path = csv->stream->path;
	int result = split_line(csv, error);
	if (result != 0)
		return result;
	if (csv->field_count != csv->column_count)
		return gyr_error_set(error, -EBADMSG, "%s:%" PRIu64 ": %u columns; the header line has %u", path, csv->line_number, csv->field_count,
				     csv->column_count);
	for (uint32_t i = 0; i < csv->chosen_count; i++) {
		const struct field *field = &csv->fields[csv->chosen[i]];
		double number = NAN;
		if (!parse_number(field, &number) || !isfinite((float)number))
			return gyr_error_set(error, -EBADMSG, "%s:%" PRIu64 ": column %u (%.40s): \"%.40s\"; a finite number that fits f32 is expected", path,
					     csv->line_number, csv->chosen[i], csv->header[csv->chosen[i]].text, field->text);
		into[i] = (float)number;
	}
	return 0;
}

static int read_rows(struct csv *csv, struct gyr_dataset *dataset, struct gyr_error *error)
{
	const char *path = csv->stream->path;
	size_t row_bytes = csv->chosen_count * sizeof(float), size = 0, rows = 0;
	uint64_t empty_line = 0;
	for (;;) {
		bool got;
		int result = read_line(csv, &got, error);
		if (result != 0)
			return result;
		if (!got)
			break;
		if (csv->line_bytes == 0) {
			if (empty_line == 0)
				empty_line = csv->line_number;
			continue;
		}
		if (empty_line != 0)
			return gyr_error_set(error, -EBADMSG, "%s:%" PRIu64 ": an empty line before the last row", path, empty_line);
		if ((rows + 1) * row_bytes > GYR_DATASET_BYTES_MAX)
			return gyr_error_set(error, -E2BIG, "%s:%" PRIu64 ": more than %" PRIu64 " bytes of data", path, csv->line_number,
					     GYR_DATASET_BYTES_MAX);
		result = grow(&dataset->data, &size, rows + 1, row_bytes, csv, error);
		if (result != 0)
			return result;
		result = parse_row(csv, (float *)dataset->data + rows * csv->chosen_count, error);
		if (result != 0)
			return result;
		rows++;
	}
	if (rows == 0)
		return gyr_error_set(error, -EBADMSG, "%s: no rows behind the header line", path);
	dataset->shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {(int64_t)rows, csv->chosen_count}};
	return 0;
}

int gyr_dataset_read_csv(struct gyr_data_stream *stream, const char *columns, struct gyr_dataset *dataset, struct gyr_error *error)
{
	struct csv csv = {.stream = stream};
	int result = read_header(&csv, error);
	if (result == 0)
		result = choose_columns(&csv, columns, error);
	if (result == 0)
		result = read_rows(&csv, dataset, error);
	free(csv.line);
	free(csv.fields);
	free(csv.header);
	free(csv.header_line);
	free(csv.chosen);
	return result;
}
