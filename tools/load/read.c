/* Values of options: see read.h. */
#include "tools/load/read.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int load_read_whole(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value, struct gyr_error *error)
{
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || *value < least || *value > most)
		return gyr_error_set(error, -EINVAL, "--%s %s: a whole number from %llu to %llu is expected", name, text, (unsigned long long)least,
				     (unsigned long long)most);
	return 0;
}

int load_read_real(const char *name, const char *text, double *value, struct gyr_error *error)
{
	char *end;
	*value = strtod(text, &end);
	if (end == text || *end != 0 || !isfinite(*value) || *value <= 0)
		return gyr_error_set(error, -EINVAL, "--%s %s: a number above 0 is expected", name, text);
	return 0;
}

static bool read_host(const char *host, struct load_address *address, uint32_t *scope)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	*address = (struct load_address){0};
	if (found->ai_family == AF_INET) {
		address->bytes[10] = address->bytes[11] = 0xff;
		memcpy(address->bytes + 12, &((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr, 4);
	} else {
		const struct sockaddr_in6 *v6 = (const void *)found->ai_addr;
		memcpy(address->bytes, &v6->sin6_addr, 16);
		if (scope != NULL)
			*scope = v6->sin6_scope_id;
	}
	freeaddrinfo(found);
	return true;
}

int load_read_address(const char *name, const char *text, struct load_address *address, uint16_t *port, uint32_t *scope, struct gyr_error *error)
{
	char host[INET6_ADDRSTRLEN + 20];
	bool bracketed = text[0] == '[';
	const char *first = strchr(text, ':'), *colon = first != NULL && strchr(first + 1, ':') == NULL ? first : NULL; /* two and more: IPv6 */
	const char *from = bracketed ? text + 1 : text, *end = text + strlen(text);
	uint64_t number = 0;
	if (bracketed) {
		end = strchr(text, ']');
		colon = end != NULL && end[1] == ':' ? end + 1 : NULL;
		if (end == NULL || (end[1] != 0 && colon == NULL))
			end = from; /* what follows is no address */
	} else if (colon != NULL) {
		end = colon;
	}
	size_t length = (size_t)(end - from);
	if (length < sizeof host) {
		memcpy(host, from, length);
		host[length] = 0;
	}
	if (length >= sizeof host || (port == NULL && colon != NULL) || !read_host(host, address, scope))
		return gyr_error_set(error, -EINVAL, "--%s %s: a numeric IPv4 or IPv6 address%s is expected", name, text,
				     port == NULL ? "" : ", or ADDR:PORT, or [ADDR6]:PORT,");
	if (colon == NULL)
		return 0;
	int status = load_read_whole(name, colon + 1, 1, UINT16_MAX, &number, error);
	*port = (uint16_t)number;
	return status;
}

int load_read_model(const char *name, const char *text, struct gyr_wire_ref *model, struct gyr_error *error)
{
	*model = (struct gyr_wire_ref){.name = text, .length = (uint32_t)strlen(text), .present = true};
	if (!gyr_wire_name_is_valid(text, strlen(text)))
		return gyr_error_set(error, -EINVAL, "--%s %s: a name is 1 to %u of a-z 0-9 . _ -, the first a letter or digit", name, text, GYR_WIRE_NAME_MAX);
	return 0;
}

int load_read_select(const char *name, const char *text, struct gyr_wire_ref *select, struct gyr_error *error)
{
	*select = (struct gyr_wire_ref){.present = true};
	if (text[0] != 0 && text[strspn(text, "0123456789")] == 0)
		return load_read_whole(name, text, 0, UINT64_MAX, &select->number, error);
	select->name = text;
	select->length = (uint32_t)strlen(text);
	if (!gyr_wire_name_is_valid(text, strlen(text)))
		return gyr_error_set(error, -EINVAL, "--%s %s: neither a version nor a label", name, text);
	return 0;
}
