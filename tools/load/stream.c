/* --mix and --stream: see read.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/load/read.h"
#include "tools/load/source.h"

static int add_kind(const struct load_kind *kind, struct load_options *options, struct load_stream *stream, struct gyr_error *error)
{
	if (options->kind_count == LOAD_KINDS_MAX)
		return gyr_error_set(error, -EINVAL, "--mix, --stream: at most %u models in all are taken", LOAD_KINDS_MAX);
	if ((uint64_t)kind->tensor_bytes * kind->rows > LOAD_TENSOR_MAX)
		return gyr_error_set(error, -EINVAL, "--rows %u: of %u bytes each; a datagram holds %u", kind->rows, kind->tensor_bytes, LOAD_TENSOR_MAX);
	options->kinds[options->kind_count++] = *kind;
	stream->kind_count++;
	return 0;
}

static int read_part(char *text, const struct load_kind *like, struct load_kind *kind, struct gyr_error *error)
{
	char *rest = text, *name = strsep(&rest, ":"), *weight = strsep(&rest, ":"), *bytes = strsep(&rest, ":"), *rows = strsep(&rest, ":");
	uint64_t number = 0;
	*kind = *like;
	int status = rest == NULL ? load_read_model("mix", name, &kind->model, error)
				  : gyr_error_set(error, -EINVAL, "--mix %s: NAME:WEIGHT:BYTES:ROWS is expected, and no more", name);
	if (status == 0 && weight != NULL)
		status = load_read_real("mix (weight)", weight, &kind->weight, error);
	if (status == 0 && bytes != NULL) {
		status = load_read_whole("mix (bytes)", bytes, 1, LOAD_TENSOR_MAX, &number, error);
		kind->tensor_bytes = (uint32_t)number;
	}
	if (status == 0 && rows != NULL) {
		status = load_read_whole("mix (rows)", rows, 1, LOAD_TENSOR_MAX, &number, error);
		kind->rows = (uint32_t)number;
	}
	return status;
}

/* The parts of a mix are parted by commas, those of a stream's mix by a plus, since commas part its keys. */
static int read_mix(char *text, const char *between, const struct load_kind *like, struct load_options *options, struct load_stream *stream,
		    struct gyr_error *error)
{
	int status = 0;
	stream->kind_first = options->kind_count;
	for (char *part; status == 0 && (part = strsep(&text, between)) != NULL;) {
		struct load_kind kind;
		status = read_part(part, like, &kind, error);
		if (status == 0)
			status = add_kind(&kind, options, stream, error);
	}
	return status;
}

int load_read_mix(char *text, const struct load_kind *like, struct load_options *options, struct load_stream *stream, struct gyr_error *error)
{
	return read_mix(text, ",", like, options, stream, error);
}

/* A moment, which may be 0. */
static int read_moment(const char *name, const char *text, double *value, struct gyr_error *error)
{
	*value = 0;
	return strcmp(text, "0") == 0 ? 0 : load_read_real(name, text, value, error);
}

struct reading {
	struct load_options *options;
	struct load_stream *stream;
	struct load_kind kind;
	char *mix;
};

static int read_key(struct reading *reading, const char *key, char *value, struct gyr_error *error)
{
	struct load_stream *stream = reading->stream;
	const struct {
		const char *name;
		uint32_t *value;
		uint64_t most;
	} wholes[] = {{"bytes", &reading->kind.tensor_bytes, LOAD_TENSOR_MAX},
		      {"rows", &reading->kind.rows, LOAD_TENSOR_MAX},
		      {"clients", &stream->client_count, LOAD_CLIENTS_MAX},
		      {"in-flight", &stream->in_flight, LOAD_IN_FLIGHT_MAX}};
	char name[32];
	snprintf(name, sizeof name, "stream %.20s", key);
	if (strcmp(key, "poisson") == 0 && value == NULL) {
		stream->poisson = true;
		return 0;
	}
	if (value == NULL)
		return gyr_error_set(error, -EINVAL, "--stream %s: KEY=VALUE is expected", key);
	for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
		if (strcmp(key, wholes[i].name) == 0) {
			uint64_t number;
			int status = load_read_whole(name, value, 1, wholes[i].most, &number, error);
			*wholes[i].value = (uint32_t)number;
			return status;
		}
	if (strcmp(key, "model") == 0)
		return load_read_model(name, value, &reading->kind.model, error);
	if (strcmp(key, "select") == 0)
		return load_read_select(name, value, &reading->kind.select, error);
	if (strcmp(key, "rate") == 0)
		return load_read_real(name, value, &stream->rate, error);
	if (strcmp(key, "from") == 0)
		return read_moment(name, value, &stream->from_s, error);
	if (strcmp(key, "until") == 0)
		return read_moment(name, value, &stream->until_s, error);
	if (strcmp(key, "name") == 0 && strlen(value) < sizeof stream->name) {
		snprintf(stream->name, sizeof stream->name, "%s", value);
		return 0;
	}
	if (strcmp(key, "mix") == 0) {
		reading->mix = value;
		return 0;
	}
	return gyr_error_set(error, -EINVAL,
			     "--stream %s=%s: name (up to 15 letters), model, select, bytes, rows, mix, clients, in-flight, rate, poisson, from, until", key,
			     value);
}

int load_read_stream(char *text, const struct load_kind *like, struct load_options *options, struct gyr_error *error)
{
	if (options->stream_count == LOAD_STREAMS_MAX)
		return gyr_error_set(error, -EINVAL, "--stream: at most %u are taken, with the first", LOAD_STREAMS_MAX);
	struct load_stream *stream = &options->streams[options->stream_count];
	struct reading reading = {.options = options, .stream = stream, .kind = *like};
	*stream = (struct load_stream){.client_count = 1};
	snprintf(stream->name, sizeof stream->name, "stream-%u", options->stream_count);
	int status = 0;
	for (char *value; status == 0 && (value = strsep(&text, ",")) != NULL;) {
		char *key = strsep(&value, "=");
		status = read_key(&reading, key, value, error);
	}
	stream->kind_first = options->kind_count;
	if (status == 0)
		status = reading.mix != NULL ? read_mix(reading.mix, "+", &reading.kind, options, stream, error)
					     : add_kind(&reading.kind, options, stream, error);
	options->stream_count++;
	return status;
}
