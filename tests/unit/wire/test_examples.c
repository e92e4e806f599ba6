/* The examples of docs/WIRE.md (its path is the argument) are what it says they are: each parses, and every type that is served is shown. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/wire/wire.h"

/* Parses the block of hex that starts on LINE. */
static bool check(const uint8_t *bytes, size_t size, unsigned line, bool *seen)
{
	struct gyr_wire_message message;
	const char *reason;
	enum gyr_wire_code code = gyr_wire_parse(bytes, size, &message, &reason);
	seen[message.type] = true;
	if (code != GYR_WIRE_OK)
		fprintf(stderr, "line %u: %s: %s\n", line, gyr_wire_code_name(code), reason);
	return code == GYR_WIRE_OK;
}

int main(int argc, char **argv)
{
	static const enum gyr_wire_type wanted[] = {GYR_WIRE_REQUEST,     GYR_WIRE_RESULT,   GYR_WIRE_ERROR, GYR_WIRE_DESCRIBE,
						    GYR_WIRE_DESCRIPTION, GYR_WIRE_FRAGMENT, GYR_WIRE_PING,  GYR_WIRE_MISSING};
	bool seen[GYR_WIRE_MISSING + 1] = {false}, inside = false, good = true;
	char text[4096];
	uint8_t bytes[4096];
	size_t size = 0;
	unsigned line = 0, start = 0, value;
	int wide;
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (file == NULL) {
		fprintf(stderr, "usage: %s WIRE.md\n", argv[0]);
		return 2;
	}
	while (fgets(text, sizeof text, file) != NULL) {
		line++;
		if (strncmp(text, "```", 3) == 0) {
			if (inside)
				good &= check(bytes, size, start, seen);
			inside = strcmp(text, "```hex\n") == 0;
			start = line;
			size = 0;
			continue;
		}
		for (const char *at = text; inside && sscanf(at, " %2x%n", &value, &wide) == 1 && size < sizeof bytes; at += wide)
			bytes[size++] = (uint8_t)value;
	}
	fclose(file);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		if (!seen[wanted[i]]) {
			fprintf(stderr, "no example of type %d\n", (int)wanted[i]);
			good = false;
		}
	return good ? 0 : 1;
}
