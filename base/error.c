#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int gyr_error_set(struct gyr_error *error, int status, const char *format, ...)
{
	if (error == NULL)
		return status;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return status;
}

int gyr_error_prefix(struct gyr_error *error, int status, const char *format, ...)
{
	if (error == NULL)
		return status;
	char before[sizeof error->text];
	memcpy(before, error->text, sizeof before);
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	if (length >= 0 && (size_t)length < sizeof error->text)
		snprintf(error->text + length, sizeof error->text - (size_t)length, ": %s", before);
	return status;
}
