/* Writes one of the test models as a bundle: make_bundle FILE. For tests that are no C. */
#include <stdio.h>
#include <stdlib.h>

#include "models.h"

int main(int argc, char **argv)
{
	size_t size;
	FILE *file = argc == 2 ? fopen(argv[1], "w") : NULL;
	if (file == NULL)
		return 2;
	void *bytes = test_model_bundle(TEST_SCALE, 2, &size);
	int bad = fwrite(bytes, 1, size, file) != size;
	free(bytes);
	return fclose(file) != 0 || bad;
}
