/*
 * Bundles: round trip, and that no changed, cut or lying file is opened.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>
#include <xmmintrin.h>

#include "engine/model/bundle_hash.h"
#include "sample.h"

#define MANIFEST GYR_BUNDLE_ALIGN

struct file {
	uint8_t *bytes;
	size_t size;
};

static struct file build_sample(void)
{
	struct file file;
	struct gyr_graph *graph = sample_net();
	void *bytes;
	assert_int_equal(gyr_bundle_build(graph, sample_info(), &bytes, &file.size, NULL), 0);
	file.bytes = bytes;
	gyr_graph_destroy(graph);
	return file;
}

static int open_file(const struct file *file, struct gyr_error *error)
{
	struct gyr_bundle *bundle = NULL;
	int status = gyr_bundle_open(file->bytes, file->size, &bundle, error);
	gyr_bundle_close(bundle);
	return status;
}

static uint64_t read_u64(const struct file *file, size_t at)
{
	uint64_t value;
	memcpy(&value, file->bytes + at, sizeof value);
	return value;
}

/* The hash of the tensors as docs/BUNDLE.md says it, by libsodium. */
static void hash_tensors(const uint8_t *bytes, size_t size, uint8_t hash[32])
{
	crypto_hash_sha256_state whole;
	crypto_hash_sha256_init(&whole);
	for (size_t at = 0; at < size; at += 32768) {
		crypto_hash_sha256(hash, bytes + at, size - at < 32768 ? size - at : 32768);
		crypto_hash_sha256_update(&whole, hash, 32);
	}
	crypto_hash_sha256_final(&whole, hash);
}

/* Gives tensors, manifest and header the hashes that fit them, so that what lies behind is reached. */
static void reseal(struct file *file)
{
	crypto_hash_sha256(file->bytes + 56, file->bytes + MANIFEST, read_u64(file, 32));
	hash_tensors(file->bytes + read_u64(file, 40), read_u64(file, 48), file->bytes + 88);
	crypto_hash_sha256(file->bytes + 4064, file->bytes, 4064);
}

static uint8_t *find(const struct file *file, const void *what, size_t length)
{
	uint8_t *at = memmem(file->bytes + MANIFEST, read_u64(file, 32), what, length);
	assert_non_null(at);
	return at;
}

static void expect(const struct file *file, int status, const char *text)
{
	struct gyr_error error = {""};
	assert_int_equal(open_file(file, &error), status);
	if (strstr(error.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", error.text, text);
}

static void round_trip(void **state)
{
	struct file file = build_sample();
	struct gyr_bundle *bundle;
	struct gyr_error error;
	assert_int_equal((uintptr_t)file.bytes % GYR_BUNDLE_ALIGN, 0);
	assert_int_equal(file.size % GYR_BUNDLE_ALIGN, 0);
	if (gyr_bundle_open(file.bytes, file.size, &bundle, &error) != 0)
		fail_msg("%s", error.text);
	struct gyr_graph *graph = sample_net();
	assert_true(gyr_graph_same_signature(bundle->graph, graph, NULL));
	assert_string_equal(bundle->graph->name, "sample");
	assert_int_equal(bundle->graph->opset, 13);
	assert_int_equal(bundle->graph->node_count, graph->node_count);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		const struct gyr_value *value = &bundle->graph->values[i];
		assert_string_equal(value->name, graph->values[i].name);
		assert_true(gyr_shape_equal(&value->shape, &graph->values[i].shape));
		assert_int_equal(value->data != NULL, graph->values[i].data != NULL);
		if (value->data == NULL)
			continue;
		size_t bytes;
		assert_true(gyr_shape_bytes(&value->shape, 1, &bytes));
		assert_memory_equal(value->data, graph->values[i].data, bytes);
		assert_in_range((uintptr_t)value->data, (uintptr_t)file.bytes, (uintptr_t)file.bytes + file.size - bytes);
		assert_int_equal((uintptr_t)value->data % GYR_BUNDLE_ALIGN, 0);
	}
	const struct gyr_golden *golden = &bundle->info.golden[0];
	assert_int_equal(bundle->info.golden_count, 1);
	assert_int_equal(golden->batch, 2);
	assert_true(golden->tolerance == 1e-5f);
	assert_memory_equal(golden->inputs[0], sample_info()->golden[0].inputs[0], 8);
	assert_memory_equal(golden->outputs[0], sample_info()->golden[0].outputs[0], 24);
	assert_int_equal(bundle->info.lineage_count, 2);
	assert_string_equal(bundle->info.lineage[1].key, "seed");
	assert_string_equal(bundle->info.lineage[1].value, "42");

	/* What was opened builds to the same bytes, and the id names them. */
	void *again;
	size_t again_size;
	assert_int_equal(gyr_bundle_build(bundle->graph, &bundle->info, &again, &again_size, NULL), 0);
	assert_int_equal(again_size, file.size);
	assert_memory_equal(again, file.bytes, file.size);
	assert_memory_equal(bundle->id, file.bytes + 4064, 32);
	char text[2 * GYR_BUNDLE_ID_BYTES + 1], first[3];
	gyr_bundle_id_text(bundle->id, text);
	snprintf(first, sizeof first, "%02x", bundle->id[0]);
	assert_int_equal(strlen(text), 64);
	assert_memory_equal(text, first, 2);
	free(again);
	gyr_bundle_close(bundle);
	gyr_graph_destroy(graph);
	free(file.bytes);
}

static void every_byte_counts(void **state)
{
	struct file file = build_sample();
	for (size_t i = 0; i < file.size; i++) {
		file.bytes[i] ^= (uint8_t)(1u << i % 8);
		int status = open_file(&file, NULL);
		if (status != (i >= 8 && i < 12 ? -ENOTSUP : -EBADMSG))
			fail_msg("byte %zu changed: %d", i, status);
		file.bytes[i] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(open_file(&file, NULL), 0);
	free(file.bytes);
}

static void every_length_counts(void **state)
{
	struct file file = build_sample();
	struct file cut = file;
	for (cut.size = 0; cut.size < file.size; cut.size++)
		assert_int_equal(open_file(&cut, NULL), -EBADMSG);
	struct file longer = {aligned_alloc(GYR_BUNDLE_ALIGN, file.size + GYR_BUNDLE_ALIGN), file.size + GYR_BUNDLE_ALIGN};
	memset(longer.bytes, 0, longer.size);
	memcpy(longer.bytes, file.bytes, file.size);
	expect(&longer, -EBADMSG, "bytes are there");
	free(longer.bytes);
	free(file.bytes);
}

/* A header whose hash is right and whose fields lie. */
static void lying_headers(void **state)
{
	static const struct {
		size_t at;
		uint64_t change;
		const char *text;
	} lies[] = {
		{12, 1, "contradict"},
		{16, 4096, "bytes are there"},
		{24, 4096, "contradict"},
		{32, 1, "hash"},
		{32, UINT64_C(1) << 40, "limit"},
		{32, UINT64_MAX / 2, "limit"},
		{40, 4096, "contradict"},
		{48, 4096, "contradict"},
		{88, 1, "tensors: their bytes"},
		{120, 1, "contradict"},
		{4056, UINT64_C(1) << 56, "contradict"},
	};
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct file file = build_sample();
		uint64_t value = read_u64(&file, lies[i].at) + lies[i].change;
		memcpy(file.bytes + lies[i].at, &value, sizeof value);
		if (lies[i].at != 32)
			crypto_hash_sha256(file.bytes + 56, file.bytes + MANIFEST, read_u64(&file, 32));
		memcpy(file.bytes + lies[i].at, &value, sizeof value);
		crypto_hash_sha256(file.bytes + 4064, file.bytes, 4064);
		expect(&file, -EBADMSG, lies[i].text);
		free(file.bytes);
	}
}

/* A block more of tensors than the manifest knows, under a header that agrees. */
static void bytes_behind_the_last_tensor(void **state)
{
	struct file file = build_sample(), longer = {aligned_alloc(GYR_BUNDLE_ALIGN, file.size + GYR_BUNDLE_ALIGN), file.size + GYR_BUNDLE_ALIGN};
	uint64_t tensors_bytes = read_u64(&file, 48) + GYR_BUNDLE_ALIGN;
	memset(longer.bytes, 0, longer.size);
	memcpy(longer.bytes, file.bytes, file.size);
	memcpy(longer.bytes + 16, &longer.size, 8);
	memcpy(longer.bytes + 48, &tensors_bytes, 8);
	reseal(&longer);
	expect(&longer, -EBADMSG, "4096 bytes behind the last tensor");
	free(longer.bytes);
	free(file.bytes);
}

static void another_format(void **state)
{
	struct file file = build_sample();
	file.bytes[8] = 3;
	reseal(&file);
	expect(&file, -ENOTSUP, "format 3");
	file.bytes[8] = 0;
	reseal(&file);
	expect(&file, -ENOTSUP, "format 0");
	free(file.bytes);
}

/* One that was written before: it has a hash for each tensor, and is what the sample is now. */
static void the_first_format_is_read(void **state)
{
	struct gyr_bundle *bundle;
	struct gyr_error error;
	struct file old = {aligned_alloc(GYR_BUNDLE_ALIGN, 24576), 24576}, now = build_sample();
	FILE *stored = fopen(getenv("FORMAT1_BUNDLE"), "rb");
	assert_non_null(stored);
	assert_int_equal(fread(old.bytes, 1, old.size, stored), old.size);
	assert_int_equal(fgetc(stored), EOF);
	fclose(stored);
	assert_int_equal(old.bytes[8], 1);
	struct gyr_bundle_frame frame;
	assert_int_equal(gyr_bundle_frame(old.bytes, old.size, &frame, &error), 0);
	assert_false(frame.pieces);
	if (gyr_bundle_open(old.bytes, old.size, &bundle, &error) != 0)
		fail_msg("%s", error.text);
	void *again;
	size_t again_size;
	assert_int_equal(gyr_bundle_build(bundle->graph, &bundle->info, &again, &again_size, NULL), 0);
	assert_int_equal(again_size, now.size);
	assert_memory_equal(again, now.bytes, now.size);
	gyr_bundle_close(bundle);
	free(again);
	for (size_t i = 0; i < old.size; i += i < 8192 ? 1 : 4) {
		old.bytes[i] ^= 0x10;
		assert_int_equal(open_file(&old, NULL), i >= 8 && i < 12 ? -ENOTSUP : -EBADMSG);
		old.bytes[i] ^= 0x10;
	}
	free(old.bytes);
	free(now.bytes);
}

/* What a loader does that hashes pieces while it reads, and what those do who get its memory. */
static void others_may_have_hashed(void **state)
{
	struct file file = build_sample();
	struct gyr_bundle *bundle;
	struct gyr_bundle_frame frame;
	struct gyr_error error = {""};
	uint8_t hash[32];
	assert_int_equal(gyr_bundle_frame(file.bytes, file.size, &frame, &error), 0);
	assert_true(frame.pieces);
	assert_int_equal(frame.tensors_offset, read_u64(&file, 40));
	assert_int_equal(frame.tensors_bytes, read_u64(&file, 48));
	assert_int_equal(gyr_bundle_frame(file.bytes, file.size + 1, &frame, &error), -EBADMSG);
	memcpy(hash, file.bytes + 88, sizeof hash);
	assert_int_equal(gyr_bundle_open_hashed(file.bytes, file.size, hash, &bundle, &error), 0);
	gyr_bundle_close(bundle);
	hash[31] ^= 1;
	assert_int_equal(gyr_bundle_open_hashed(file.bytes, file.size, hash, &bundle, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "tensors: their bytes"));
	/* A tensor's first byte: only a hash could tell. */
	file.bytes[frame.tensors_offset] ^= 1;
	assert_int_equal(gyr_bundle_open(file.bytes, file.size, &bundle, &error), -EBADMSG);
	assert_int_equal(gyr_bundle_open_vouched(file.bytes, file.size, &bundle, &error), 0);
	gyr_bundle_close(bundle);
	file.bytes[MANIFEST] ^= 1;
	assert_int_equal(gyr_bundle_open_vouched(file.bytes, file.size, &bundle, &error), -EBADMSG);
	file.bytes[4000] = 1;
	assert_int_equal(gyr_bundle_frame(file.bytes, file.size, &frame, &error), -EBADMSG);
	free(file.bytes);
}

static void pieces_are_hashed_as_the_page_says(void **state)
{
	static const size_t sizes[] = {0, 1, 32767, 32768, 32769, 65536, 300001};
	static uint8_t bytes[300001], hashes[16][GYR_BUNDLE_ID_BYTES];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint8_t expected[32], got[32];
		size_t count = gyr_bundle_pieces(sizes[i]);
		hash_tensors(bytes, sizes[i], expected);
		memset(hashes, 0xee, sizeof hashes);
		gyr_bundle_hash_pieces(bytes, sizes[i], hashes);
		assert_int_equal(hashes[count][0], 0xee);
		gyr_bundle_hash_join((const uint8_t(*)[GYR_BUNDLE_ID_BYTES])hashes, count, got);
		assert_memory_equal(got, expected, 32);
		gyr_bundle_sha256(bytes, sizes[i], got);
		crypto_hash_sha256(expected, bytes, sizes[i]);
		assert_memory_equal(got, expected, 32);
	}
}

/* Replaces WAS by IS (of the same length) in the manifest. */
static void lie(const char *was, const char *is, size_t length, const char *text)
{
	struct file file = build_sample();
	memcpy(find(&file, was, length), is, length);
	reseal(&file);
	expect(&file, -EBADMSG, text);
	free(file.bytes);
}
#define LIE(was, is, text) lie(was, is, sizeof(was) - 1, text)

/* A manifest whose hash is right and whose content is not. */
static void lying_manifests(void **state)
{
	LIE("\x98\xa6sample", "\x97\xa6sample", "malformed");
	LIE("\xa6sample\x0d", "\xa6sample\x1f", "opset 31");
	LIE("\xa6sample\x0d", "\xa6sampl\x01\x0d", "one form");
	LIE("\xa1x\x02\x92\xff\x04", "\xa1x\x02\x92\xff\x00", "does not fit");
	LIE("\xa1x\x02\x92\xff\x04", "\xa1x\x02\x92\x04\xff", "not fixed");
	LIE("\xa1x\x02\x92\xff\x04", "\xa1x\x08\x92\xff\x04", "element type 8");
	LIE("\xa1x\x02\x92\xff\x04", "\xa1y\x02\x92\xff\x04", "twice");
	LIE("\xa1w\x01\x92\x03\x04", "\xa1w\x01\x92\x03\x05", "not those of its shape");
	LIE("\x92\x03\x04\xcd\x10\x00\x30", "\x92\x03\x04\xcd\x20\x00\x30", "and must at 4096");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08",
	    "\xa4"
	    "Relv\xa4relu\x91\x07\x91\x08",
	    "none that Gyr runs");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08", "\xa4Relu\xa4relu\x91\x07\x91\x07", "another node's too");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08", "\xa4Relu\xa4relu\x91\x09\x91\x08", "a cycle");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08", "\xa4Relu\xa4relu\x91\x3f\x91\x08", "value 63 of 11");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08", "\xa4Relu\xa4relu\x91\x07\x91\x01", "a constant already");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08", "\xa4Relu\xa4relu\x91\xc0\x91\x08", "left out");
	LIE("\xa4Relu\xa4relu\x91\x07\x91\x08", "\xa4Relu\xa4re\x00u\x91\x07\x91\x08", "malformed");
	LIE("\xa4Relu\xa4relu", "\xdbRelu\xa4relu", "malformed");
	LIE("\xa6transB\x02\x01", "\xa6transB\x02\x02", "(0 or 1)");
	LIE("\xa6transB\x02\x01", "\xa6transC\x02\x01", "unknown");
	LIE("\xa6transB\x02\x01", "\xa6transB\x07\x90", "must be an int");
	LIE("\xa6transB\x02\x01", "\xa6transB\x06\x90", "must be an int");
	LIE("\xa6transB\x02\x01", "\xa6transB\x03\xa0", "must be an int");
	LIE("\xa6transB\x02\x01", "\xa6transB\x02\xc0", "malformed");
	LIE("\xa6transB\x02\x01", "\xa6transB\x04\x01", "malformed");
	LIE("\xa6parent\xa4none", "\xa6p\x01rent\xa4none", "lineage");
	LIE("\x94\x02\xca\x37\x27\xc5\xac", "\x94\x03\xca\x37\x27\xc5\xac", "do not fit 3 rows");
	LIE("\x94\x02\xca\x37\x27\xc5\xac", "\x94\x02\xca\x7f\xc0\x00\x00", "tolerance");
	LIE("\x94\x02\xca\x37\x27\xc5\xac", "\x94\xc0\xca\x37\x27\xc5\xac", "malformed");
}

/* The same content in another form is another file, and none that is opened. */
static void one_form(void **state)
{
	struct file file = build_sample();
	uint8_t *name = find(&file, "\xa6sample", 7), *end = file.bytes + MANIFEST + read_u64(&file, 32);
	uint64_t manifest_bytes = read_u64(&file, 32) + 1;
	memmove(name + 1, name, (size_t)(end - name));
	memcpy(name, "\xd9\x06", 2);
	memcpy(file.bytes + 32, &manifest_bytes, sizeof manifest_bytes);
	reseal(&file);
	expect(&file, -EBADMSG, "one form");
	free(file.bytes);

	file = build_sample();
	memcpy(file.bytes + 32, &manifest_bytes, sizeof manifest_bytes); /* a byte of padding, which reads as a 0 */
	reseal(&file);
	expect(&file, -EBADMSG, "its end");
	free(file.bytes);
}

static void expect_no_build(const struct gyr_bundle_info *info, int status, const char *text)
{
	struct gyr_graph *graph = sample_net();
	struct gyr_error error;
	void *bytes;
	size_t size;
	assert_int_equal(gyr_bundle_build(graph, info, &bytes, &size, &error), status);
	if (strstr(error.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", error.text, text);
	gyr_graph_destroy(graph);
}

static void wrong_info(void **state)
{
	static char long_key[65], long_value[4097];
	memset(long_key, 'k', sizeof long_key - 1);
	memset(long_value, 'v', sizeof long_value - 1);
	struct gyr_lineage twice[2] = {{"a", "1"}, {"a", "2"}}, no_key = {"", "1"}, over_key = {long_key, ""}, over_value = {"a", long_value},
			   control = {"a", "\n"}, no_utf8 = {"a", "\xc3("};
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = 2, .lineage = twice}, -EINVAL, "twice");
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = 1, .lineage = &no_key}, -EINVAL, "1 to 63 bytes");
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = 1, .lineage = &over_key}, -EINVAL, "1 to 63 bytes");
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = 1, .lineage = &over_value}, -EINVAL, "4095 bytes");
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = 1, .lineage = &control}, -EINVAL, "text");
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = 1, .lineage = &no_utf8}, -EINVAL, "text");
	expect_no_build(&(struct gyr_bundle_info){.lineage_count = GYR_BUNDLE_LINEAGE_MAX + 1}, -E2BIG, "at most 64");
	expect_no_build(&(struct gyr_bundle_info){.golden_count = GYR_BUNDLE_GOLDEN_MAX + 1}, -E2BIG, "at most 16");

	struct gyr_golden golden = sample_info()->golden[0];
	const struct gyr_bundle_info info = {.golden_count = 1, .golden = &golden};
	golden.batch = 0;
	expect_no_build(&info, -EINVAL, "0 rows");
	golden.batch = GYR_BUNDLE_GOLDEN_BATCH_MAX + 1;
	expect_no_build(&info, -EINVAL, "4097 rows");
	golden.batch = 1;
	golden.tolerance = -1;
	expect_no_build(&info, -EINVAL, "tolerance");
	expect_no_build(&(struct gyr_bundle_info){.bf16_bound = -.1f}, -EINVAL, "bf16");
	expect_no_build(&(struct gyr_bundle_info){.bf16_bound = 1.5f}, -EINVAL, "bf16");
	expect_no_build(&(struct gyr_bundle_info){.bf16_bound = NAN}, -EINVAL, "bf16");
	expect_no_build(&(struct gyr_bundle_info){.bf16_bound = -0.0f}, -EINVAL, "bf16");
}

/* A bound of the error in bf16 is a place more, which is there only with one. */
static void bf16_bound(void **state)
{
	struct gyr_graph *graph = sample_net();
	struct gyr_bundle_info info = *sample_info();
	struct gyr_bundle *bundle;
	struct gyr_error error = {""};
	struct file file, without = build_sample();
	void *bytes;
	info.bf16_bound = .0625f;
	assert_int_equal(gyr_bundle_build(graph, &info, &bytes, &file.size, NULL), 0);
	file.bytes = bytes;
	if (gyr_bundle_open(file.bytes, file.size, &bundle, &error) != 0)
		fail_msg("%s", error.text);
	assert_true(bundle->info.bf16_bound == .0625f);
	gyr_bundle_close(bundle);
	assert_int_equal(read_u64(&file, 32), read_u64(&without, 32) + 5); /* the manifest: a float 32 more */
	assert_int_equal(gyr_bundle_open(without.bytes, without.size, &bundle, &error), 0);
	assert_true(bundle->info.bf16_bound == 0);
	gyr_bundle_close(bundle);

	/* A bound of 0 that is written all the same, or one out of range. */
	uint64_t last = MANIFEST + read_u64(&file, 32) - 4;
	memset(file.bytes + last, 0, 4);
	reseal(&file);
	expect(&file, -EBADMSG, "");
	memcpy(file.bytes + last, "\x40\x00\x00\x00", 4);
	reseal(&file);
	expect(&file, -EBADMSG, "bf16");
	free(file.bytes);
	free(without.bytes);
	gyr_graph_destroy(graph);
}

/* Operators of two domains, each with its opset. */
static void two_domains(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("domains", 17);
	uint32_t x = sample_value(graph, "x", "f32[N,4]"), a = sample_value(graph, "a", NULL), y = sample_value(graph, "y", NULL);
	struct gyr_node relu = sample_node(GYR_OP_RELU, (const uint32_t[3]){x, GYR_VALUE_NONE}, &a);
	struct gyr_node norm = sample_node(GYR_OP_NORMALIZER, (const uint32_t[3]){a, GYR_VALUE_NONE}, &y);
	struct gyr_bundle *bundle;
	struct gyr_error error = {""};
	struct file file;
	void *bytes;
	graph->opset_ml = 3;
	assert_int_equal(gyr_graph_add_node(graph, &relu, NULL), 0);
	assert_int_equal(gyr_graph_add_node(graph, &norm, NULL), 0);
	assert_int_equal(gyr_graph_add_input(graph, x, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	assert_int_equal(gyr_bundle_build(graph, &(struct gyr_bundle_info){0}, &bytes, &file.size, NULL), 0);
	file.bytes = bytes;
	if (gyr_bundle_open(file.bytes, file.size, &bundle, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(bundle->graph->opset, 17);
	assert_int_equal(bundle->graph->opset_ml, 3);
	assert_int_equal(bundle->graph->nodes[1].op, GYR_OP_NORMALIZER);
	gyr_bundle_close(bundle);
	free(file.bytes);

	/* Attributes keep every bit of their floats: a NaN that signals, and a denormal where those count as zero. */
	static const uint32_t odd[2] = {0x7f800001, 0x80000001};
	const struct gyr_attribute attributes[2] = {{.name = "scale", .type = GYR_ATTRIBUTE_FLOATS, .numbers = {2, (const float *)(const void *)odd}},
						    {.name = "offset", .type = GYR_ATTRIBUTE_FLOATS, .numbers = {2, (const float *)(const void *)odd}}};
	struct gyr_graph *odd_graph = gyr_graph_create("odd", 17);
	uint32_t ox = sample_value(odd_graph, "x", "f32[N,2]"), oy = sample_value(odd_graph, "y", NULL);
	struct gyr_node scaler = sample_node(GYR_OP_SCALER, (const uint32_t[3]){ox, GYR_VALUE_NONE}, &oy);
	scaler.attributes = attributes;
	scaler.attribute_count = 2;
	odd_graph->opset_ml = 1;
	assert_int_equal(gyr_graph_add_node(odd_graph, &scaler, NULL), 0);
	assert_int_equal(gyr_graph_add_input(odd_graph, ox, NULL), 0);
	assert_int_equal(gyr_graph_add_output(odd_graph, oy, NULL), 0);
	assert_int_equal(gyr_graph_finish(odd_graph, NULL), 0);
	assert_int_equal(gyr_bundle_build(odd_graph, &(struct gyr_bundle_info){0}, &bytes, &file.size, NULL), 0);
	unsigned int control = _mm_getcsr();
	_mm_setcsr(control | 0x8040u);
	assert_int_equal(gyr_bundle_open(bytes, file.size, &bundle, &error), 0);
	_mm_setcsr(control);
	assert_memory_equal(bundle->graph->nodes[0].attributes[0].numbers.items, odd, sizeof odd);
	gyr_bundle_close(bundle);
	gyr_graph_destroy(odd_graph);
	free(bytes);

	assert_int_equal(gyr_bundle_build(graph, &(struct gyr_bundle_info){0}, &bytes, &file.size, NULL), 0);
	file.bytes = bytes;
	static const char both[] = "\xa7"
				   "domains\x92\x11\x03";
	uint8_t *at = find(&file, both, sizeof both - 1);
	at[sizeof both - 2] = 6;
	reseal(&file);
	expect(&file, -EBADMSG, "from opset 1 to 5");
	at[sizeof both - 2] = 0;
	reseal(&file);
	expect(&file, -EBADMSG, "from opset 1 to 5");
	free(bytes);
	gyr_graph_destroy(graph);
}

/* A manifest that is longer than the first guess at its size. */
static void long_lineage(void **state)
{
	static char value[4096];
	static struct gyr_lineage lineage[GYR_BUNDLE_LINEAGE_MAX];
	static char keys[GYR_BUNDLE_LINEAGE_MAX][8];
	memset(value, 'v', sizeof value - 1);
	for (unsigned i = 0; i < GYR_BUNDLE_LINEAGE_MAX; i++) {
		snprintf(keys[i], sizeof keys[i], "key%u", i);
		lineage[i] = (struct gyr_lineage){keys[i], value};
	}
	struct gyr_graph *graph = sample_net();
	struct gyr_bundle *bundle;
	void *bytes;
	size_t size;
	const struct gyr_bundle_info info = {.lineage_count = GYR_BUNDLE_LINEAGE_MAX, .lineage = lineage};
	assert_int_equal(gyr_bundle_build(graph, &info, &bytes, &size, NULL), 0);
	assert_int_equal(gyr_bundle_open(bytes, size, &bundle, NULL), 0);
	assert_string_equal(bundle->info.lineage[63].key, "key63");
	assert_string_equal(bundle->info.lineage[63].value, value);
	gyr_bundle_close(bundle);
	gyr_bundle_close(NULL);
	free(bytes);
	gyr_graph_destroy(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(every_length_counts),
		cmocka_unit_test(lying_headers),
		cmocka_unit_test(another_format),
		cmocka_unit_test(the_first_format_is_read),
		cmocka_unit_test(others_may_have_hashed),
		cmocka_unit_test(pieces_are_hashed_as_the_page_says),
		cmocka_unit_test(bytes_behind_the_last_tensor),
		cmocka_unit_test(lying_manifests),
		cmocka_unit_test(one_form),
		cmocka_unit_test(wrong_info),
		cmocka_unit_test(two_domains),
		cmocka_unit_test(long_lineage),
		cmocka_unit_test(bf16_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
