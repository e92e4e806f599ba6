/*
 * Writes the bundle of sample_net to a file: sample-bundle FILE
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sample.h"

int main(int argc, char **argv)
{
	struct gyr_graph *graph = sample_net();
	void *bytes;
	size_t size;
	if (argc != 2 || gyr_bundle_build(graph, sample_info(), &bytes, &size, NULL) != 0)
		return 2;
	FILE *file = fopen(argv[1], "wb");
	if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
		return 1;
	free(bytes);
	gyr_graph_destroy(graph);
	return 0;
}
