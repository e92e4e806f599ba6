#include "control/jobs/event.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <yyjson.h>

#include "base/assertion.h"

/* What stdout cannot take is lost: who started us has gone, and SIGPIPE says so. */
static void print(char *line, size_t length)
{
	line[length] = '\n'; /* in place of the zero */
	for (size_t at = 0; at <= length;) {
		ssize_t count = write(STDOUT_FILENO, line + at, length + 1 - at);
		if (count <= 0)
			return;
		at += (size_t)count;
	}
}

void gyr_job_event(const char *event, const struct gyr_job_field *fields, size_t count)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	GYR_ASSERT(doc != NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "event", event);
	for (size_t i = 0; i < count; i++) {
		if (fields[i].text != NULL)
			yyjson_mut_obj_add_str(doc, root, fields[i].name, fields[i].text);
		else if (fields[i].number == floor(fields[i].number) && fabs(fields[i].number) < 1e15)
			yyjson_mut_obj_add_sint(doc, root, fields[i].name, (int64_t)fields[i].number);
		else if (isfinite(fields[i].number))
			yyjson_mut_obj_add_real(doc, root, fields[i].name, fields[i].number);
	}
	size_t length;
	char *line = yyjson_mut_write(doc, 0, &length);
	if (line == NULL) {
		/* A message may quote bytes of a file that are no UTF-8. */
		line = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &length);
		GYR_ASSERT(line != NULL);
		for (size_t i = 0; i < length; i++)
			line[i] = (unsigned char)line[i] < 0x80 ? line[i] : '?';
	}
	print(line, length);
	free(line);
	yyjson_mut_doc_free(doc);
}
