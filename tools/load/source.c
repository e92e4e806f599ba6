/* The examples that are asked: IDX files (of MNIST and its kin), npy files, or random tensors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tools/load/judge.h"
#include "tools/load/schedule.h"
#include "tools/load/source.h"

#define RANDOM_TENSORS 64u /* enough that no two questions under way need be the same */
#define IDX_U8 8
#define IDX_BYTES_MAX (UINT64_C(1) << 32)

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Reads an IDX file of u8, gzipped or not: COUNT items of ITEM_BYTES each, the dimensions after the first multiplied. Source: yann.lecun.com/exdb/mnist */
static int read_idx(const char *path, uint32_t *count, uint32_t *item_bytes, uint8_t **items, struct gyr_error *error)
{
	uint8_t head[4 + 4 * 255];
	uint64_t total = 1;
	int status = 0;
	errno = 0;
	gzFile file = gzopen(path, "rb");
	if (file == NULL)
		return gyr_error_set(error, errno == 0 ? -ENOMEM : -errno, "%s: %s", path, errno == 0 ? "no memory" : strerror(errno));
	if (gzread(file, head, 4) != 4 || head[0] != 0 || head[1] != 0 || head[2] != IDX_U8 || head[3] == 0 ||
	    gzread(file, head + 4, 4u * head[3]) != 4 * head[3]) {
		status = gyr_error_set(error, -EINVAL, "%s: no IDX file of unsigned bytes (it starts with 0 0 8 and the number of dimensions)", path);
		goto close;
	}
	*count = big_endian(head + 4);
	for (unsigned i = 0; i < head[3]; i++)
		if (__builtin_mul_overflow(total, big_endian(head + 4 + 4 * i), &total) || total == 0 || total > IDX_BYTES_MAX) {
			status = gyr_error_set(error, -EINVAL, "%s: its dimensions give no bytes, or more than 4 GiB", path);
			goto close;
		}
	*item_bytes = (uint32_t)(total / *count);
	*items = malloc(total);
	if (*items == NULL) {
		status = gyr_error_set(error, -ENOMEM, "%s: no memory for %llu bytes", path, (unsigned long long)total);
		goto close;
	}
	for (uint64_t done = 0; done < total;) {
		int got = gzread(file, *items + done, total - done < 1u << 30 ? (unsigned)(total - done) : 1u << 30);
		if (got <= 0) {
			free(*items);
			*items = NULL;
			status = gyr_error_set(error, -EINVAL, "%s: it ends after %llu of %llu bytes", path, (unsigned long long)done,
					       (unsigned long long)total);
			goto close;
		}
		done += (uint64_t)got;
	}
close:
	gzclose(file);
	return status;
}

static int open_images(const struct load_kind *kind, struct load_source *source, struct gyr_error *error)
{
	uint32_t label_count, label_bytes;
	int status = read_idx(kind->images, &source->count, &source->bytes, &source->tensors, error);
	if (status != 0 || kind->labels == NULL)
		return status;
	status = read_idx(kind->labels, &label_count, &label_bytes, &source->labels, error);
	if (status == 0 && (label_count != source->count || label_bytes != 1))
		status = gyr_error_set(error, -EINVAL, "%s: %u labels of %u bytes; %s has %u images, which take one byte each", kind->labels, label_count,
				       label_bytes, kind->images, source->count);
	return status;
}

static int open_arrays(const struct load_kind *kind, struct load_source *source, struct gyr_error *error)
{
	uint32_t count;
	bool f32;
	int status = load_npy_read(kind->inputs, &source->count, &source->bytes, &f32, &source->tensors, error);
	if (status != 0 || kind->outputs == NULL)
		return status;
	status = load_npy_read(kind->outputs, &count, &source->output_bytes, &source->output_f32, &source->outputs, error);
	if (status == 0 && (count == 0 || count % source->count != 0))
		status = gyr_error_set(error, -EINVAL, "%s: %u rows; %s has %u", kind->outputs, count, kind->inputs, source->count);
	if (status == 0)
		source->output_parts = count / source->count;
	return status;
}

/* Numbers from 0 to 1, since the bits of any number would make NaN and denormals, which no model is asked and which are slow to compute with. */
static int make_random(uint32_t bytes, uint64_t seed, struct load_source *source, struct gyr_error *error)
{
	*source = (struct load_source){.count = RANDOM_TENSORS, .bytes = bytes, .tensors = calloc(RANDOM_TENSORS, bytes)};
	if (source->tensors == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for %u tensors of %u bytes", RANDOM_TENSORS, bytes);
	for (size_t tensor = 0; tensor < RANDOM_TENSORS; tensor++)
		for (size_t i = 0; i + 4 <= bytes; i += 4) {
			float value = (float)(load_random(&seed) >> 40) * 0x1p-24f;
			memcpy(source->tensors + tensor * bytes + i, &value, 4);
		}
	return 0;
}

int load_source_open(const struct load_options *options, const struct load_kind *kind, struct load_source *source, struct gyr_error *error)
{
	*source = (struct load_source){0};
	int status;
	if (kind->images != NULL)
		status = open_images(kind, source, error);
	else if (kind->inputs != NULL)
		status = open_arrays(kind, source, error);
	else
		status = make_random(kind->tensor_bytes * kind->rows, options->seed, source, error);
	if (status == 0 && source->bytes > LOAD_TENSOR_MAX)
		status = gyr_error_set(error, -EINVAL, "%s: %u bytes each; a datagram holds %u", kind->images != NULL ? kind->images : kind->inputs,
				       source->bytes, LOAD_TENSOR_MAX);
	if (status == 0 && options->check)
		status = load_memory_make(source->count, &source->memory, error);
	if (status != 0)
		load_source_close(source);
	return status;
}

void load_source_close(struct load_source *source)
{
	free(source->tensors);
	free(source->labels);
	free(source->outputs);
	load_memory_free(source->memory);
	*source = (struct load_source){0};
}
