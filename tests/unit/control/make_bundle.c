/* make-bundle FILE WIDTH SALT: writes a small bundle, for tests that are scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sample.h"

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	sample_bundle_file(argv[1], (uint32_t)strtoul(argv[2], NULL, 10), strtof(argv[3], NULL), NULL);
	return 0;
}
