/*
 * Imports ONNX files for check_models.py. For each line "IN" or "IN OUT" of standard input it prints one line: the status (an errno's name, or OK) and the
 * message; and exports what was imported to OUT.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx.h"

static void *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		return NULL;
	long length = ftell(file);
	rewind(file);
	void *bytes = malloc((size_t)length + 1);
	*size = bytes != NULL ? fread(bytes, 1, (size_t)length, file) : 0;
	fclose(file);
	return bytes;
}

static int convert(const char *in, const char *out, struct gyr_error *error)
{
	struct gyr_graph *graph;
	size_t size;
	void *bytes = read_file(in, &size);
	if (bytes == NULL)
		return gyr_error_set(error, -EIO, "%s cannot be read", in);
	int status = gyr_onnx_import(bytes, size, &graph, error);
	free(bytes);
	if (status != 0)
		return status;
	if (out != NULL) {
		status = gyr_onnx_export(graph, &bytes, &size, error);
		FILE *file = status == 0 ? fopen(out, "wb") : NULL;
		if (status == 0 && (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0))
			status = gyr_error_set(error, -EIO, "%s cannot be written", out);
		if (status == 0)
			free(bytes);
	}
	gyr_graph_destroy(graph);
	return status;
}

int main(void)
{
	char line[8192];
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct gyr_error error = {""};
		char *in = strtok(line, " \n"), *out = strtok(NULL, " \n");
		int status = convert(in, out, &error);
		printf("%s %s\n", status == 0 ? "OK" : status == -ENOTSUP ? "ENOTSUP" : strerrorname_np(-status), error.text);
		fflush(stdout);
	}
	return 0;
}
