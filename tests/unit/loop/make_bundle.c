/* Writes a test model as a bundle: make_bundle FILE [dense]. For tests that are no C. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"

int main(int argc, char **argv)
{
	size_t size;
	bool dense = argc == 3 && strcmp(argv[2], "dense") == 0;
	FILE *file = argc == 2 || dense ? fopen(argv[1], "w") : NULL;
	if (file == NULL)
		return 2;
	void *bytes = test_model_bundle(dense ? TEST_SLOW : TEST_SCALE, 2, &size);
	int bad = fwrite(bytes, 1, size, file) != size;
	free(bytes);
	return fclose(file) != 0 || bad;
}
