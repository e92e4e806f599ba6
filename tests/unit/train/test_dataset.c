/*
 * The data readers: what they read, and every way in which a file can be wrong.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>
#include <zlib.h>

#include "engine/train/dataset.h"

#define FASHION "/usr/share/datasets/fashion-mnist/"

static char folder[] = "/tmp/gyr-dataset-XXXXXX", path[64];

static int make_folder(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/file", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static void store(const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void store_text(const char *text)
{
	store(text, strlen(text));
}

static void store_gzip(const void *bytes, size_t size)
{
	gzFile file = gzopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
	assert_int_equal(gzclose(file), Z_OK);
}

/* Reads a file that is in order. */
static struct gyr_dataset must_read(const char *columns)
{
	struct gyr_dataset dataset;
	struct gyr_error error = {0};
	int result = gyr_dataset_read(path, columns, &dataset, &error);
	if (result != 0)
		fail_msg("%d: %s", result, error.text);
	return dataset;
}

/* Reads a file that is not: the status, and words that the message must hold. */
static void must_fail(const char *columns, int status, const char *words)
{
	struct gyr_dataset dataset;
	struct gyr_error error = {0};
	int result = gyr_dataset_read(path, columns, &dataset, &error);
	if (result != status || strstr(error.text, words) == NULL || strstr(error.text, path) == NULL)
		fail_msg("expected %d and \"%s\", got %d: %s", status, words, result, error.text);
	assert_null(dataset.data);
}

static void csv_fails(const char *text, const char *columns, int status, const char *words)
{
	store_text(text);
	must_fail(columns, status, words);
	store_gzip(text, strlen(text));
	must_fail(columns, status, words);
}

static void csv_is(const char *text, const char *columns, int64_t rows, int64_t width, const float *numbers)
{
	for (int gzip = 0; gzip < 2; gzip++) {
		if (gzip)
			store_gzip(text, strlen(text));
		else
			store_text(text);
		struct gyr_dataset dataset = must_read(columns);
		assert_int_equal(dataset.shape.dtype, GYR_DTYPE_F32);
		assert_int_equal(dataset.shape.rank, 2);
		assert_int_equal(dataset.shape.dims[0], rows);
		assert_int_equal(dataset.shape.dims[1], width);
		assert_memory_equal(dataset.data, numbers, (size_t)(rows * width) * sizeof *numbers);
		gyr_dataset_fini(&dataset);
	}
}

static void csv_reads(void **state)
{
	const float two[] = {1, -2.5f, 3e-3f, 4};
	csv_is("a,b\n1,-2.5\n3e-3,+4.\n", NULL, 2, 2, two);
	csv_is("a,b\r\n1,-2.5\r\n3e-3,4\r\n", NULL, 2, 2, two);
	csv_is("a,b\n1,-2.5\n0.003,4", NULL, 2, 2, two);
	csv_is("\xef\xbb\xbf\"a\", \"b\"\n\"1\" , -2.5 \n .003,4\n\n\n", "a,b", 2, 2, two);
	csv_is("name,b,a\n\"x, \"\"y\"\"\",-2.5,1\nnan,4,0.003\n", "a,b", 2, 2, two);
	csv_is("p,a,b,q\n,1,-2.5,\n,.003,4,z\n", "1-2", 2, 2, two);
	csv_is("0,1\n1,-2.5\n3e-3,4\n", "0,1", 2, 2, two);
	const float again[] = {1, 1, -2.5f};
	csv_is("a,b\n1,-2.5\n", "0,0-1", 1, 3, again);
	/* A name goes before a number. */
	const float named[] = {7};
	csv_is("x,0\n5,7\n", "0", 1, 1, named);
}

/* The reader's own way with short numbers against strtof, over numbers of all kinds. */
static void csv_numbers_are_exact(void **state)
{
	char text[8192] = "x\n";
	float expected[200];
	srand48(3);
	for (int i = 0; i < 200; i++) {
		char number[40];
		double value = (drand48() - 0.5) * pow(10, (int)(drand48() * 40) - 20);
		snprintf(number, sizeof number, i % 3 == 0 ? "%.17g" : i % 3 == 1 ? "%.6g" : "%.9f", value);
		expected[i] = strtof(number, NULL);
		strcat(strcat(text, number), "\n");
	}
	store_text(text);
	struct gyr_dataset dataset = must_read(NULL);
	assert_int_equal(dataset.shape.dims[0], 200);
	const float *got = dataset.data;
	for (int i = 0; i < 200; i++)
		assert_true(got[i] == expected[i] || fabsf(got[i] - expected[i]) <= fabsf(expected[i]) * 0x1p-23f);
	gyr_dataset_fini(&dataset);
}

static void csv_refuses(void **state)
{
	csv_fails("a,b\n", NULL, -EBADMSG, "no rows");
	csv_fails("a,b\n\n\n", NULL, -EBADMSG, "no rows");
	csv_fails("a,b\n1,2\n3\n", NULL, -EBADMSG, ":3: 1 columns; the header line has 2");
	csv_fails("a,b\n1,2\n3,4,5\n", NULL, -EBADMSG, ":3: 3 columns");
	csv_fails("a,b\n1,2\n\n3,4\n", NULL, -EBADMSG, ":3: an empty line");
	csv_fails("a,b\n1,nan\n", NULL, -EBADMSG, ":2: column 1 (b): \"nan\"");
	csv_fails("a,b\n1,inf\n", NULL, -EBADMSG, ":2: column 1 (b): \"inf\"");
	csv_fails("a,b\n1,-Infinity\n", NULL, -EBADMSG, "finite number");
	csv_fails("a,b\n1,1e39\n", NULL, -EBADMSG, ":2: column 1 (b): \"1e39\"");
	csv_fails("a,b\n1,0x10\n", NULL, -EBADMSG, "\"0x10\"");
	csv_fails("a,b\n1,\n", NULL, -EBADMSG, "column 1 (b): \"\"");
	csv_fails("a,b\n1,two\n", NULL, -EBADMSG, "\"two\"");
	csv_fails("a,b\n1,1 2\n", NULL, -EBADMSG, "\"1 2\"");
	csv_fails("a,b\n1,-\n", NULL, -EBADMSG, "\"-\"");
	csv_fails("a,b\n1,1e\n", NULL, -EBADMSG, "\"1e\"");
	csv_fails("a,b\n1,\"2\n", NULL, -EBADMSG, ":2: column 1: a quote that is not closed");
	csv_fails("a,b\n\"1\"x,2\n", NULL, -EBADMSG, ":2: column 0: text behind a closed quote");
	csv_fails("a,\n1,2\n", NULL, -EBADMSG, ":1: column 1 has no name");
	csv_fails("1.5,2\n3,4\n", NULL, -EBADMSG, ":1: numbers; the first line names the columns");
	csv_fails("a,b\n1,2\n", "a,c", -EBADMSG, "no column \"c\"");
	csv_fails("a,b\n1,2\n", "2", -EBADMSG, "the last is 1");
	csv_fails("a,b\n1,2\n", "1-0", -EBADMSG, "no columns 1-0");
	csv_fails("a,b\n1,2\n", "", -EBADMSG, "no column \"\"");
	csv_fails("a,b\n1,2\n", "a,", -EBADMSG, "no column \"\"");
	csv_fails("a,b\n1,2\n", "0-9999999999", -EBADMSG, "no column");
	csv_fails("a,a\n1,2\n", "a", -EBADMSG, "both called \"a\"");
	store("a\n1\n\0\n", 6);
	must_fail(NULL, -EBADMSG, ":3: a zero byte");
}

static void csv_bounds(void **state)
{
	size_t columns = GYR_DATASET_COLUMNS_MAX + 1, used = 0;
	char *text = malloc(columns * 2 + 16);
	assert_non_null(text);
	for (size_t i = 0; i < columns; i++) {
		text[used++] = 'x';
		text[used++] = ',';
	}
	text[used] = 0;
	csv_fails(text, NULL, -E2BIG, "more than 65536 columns");
	free(text);
	/* A line that never ends must end the reading. 70 MiB of it fit 70 KB. */
	size_t long_line = (size_t)70 << 20;
	text = malloc(long_line);
	assert_non_null(text);
	memset(text, 'x', long_line);
	store_gzip(text, long_line);
	must_fail(NULL, -E2BIG, ":1: a line of more than");
	free(text);
}

static size_t put_npy(uint8_t *bytes, int version, const char *header, const void *data, size_t size)
{
	size_t length = strlen(header), at = 8;
	memcpy(bytes, "\x93NUMPY", 6);
	bytes[6] = (uint8_t)version;
	bytes[7] = 0;
	for (int i = 0; i < (version == 1 ? 2 : 4); i++)
		bytes[at++] = (uint8_t)(length >> (8 * i));
	memcpy(bytes + at, header, length);
	if (size != 0)
		memcpy(bytes + at + length, data, size);
	return at + length + size;
}

static void npy_fails(const char *header, size_t size, int status, const char *words)
{
	uint8_t bytes[1024], data[64] = {0};
	size_t total = put_npy(bytes, 1, header, data, size);
	store(bytes, total);
	must_fail(NULL, status, words);
	store_gzip(bytes, total);
	must_fail(NULL, status, words);
}

static void npy_reads(void **state)
{
	static const struct {
		const char *descr;
		enum gyr_dtype dtype;
		size_t bytes;
	} types[] = {{"<f4", GYR_DTYPE_F32, 4}, {"<f8", GYR_DTYPE_F64, 8}, {"|u1", GYR_DTYPE_U8, 1},
		     {"|i1", GYR_DTYPE_I8, 1},  {"<i4", GYR_DTYPE_I32, 4}, {"<i8", GYR_DTYPE_I64, 8}};
	uint8_t bytes[1024], data[48];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i % 120);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		for (int version = 1; version <= 3; version++) {
			char header[128];
			snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (3, 2), }   \n", types[i].descr);
			store(bytes, put_npy(bytes, version, header, data, 6 * types[i].bytes));
			struct gyr_dataset dataset = must_read(NULL);
			assert_int_equal(dataset.shape.dtype, types[i].dtype);
			assert_int_equal(dataset.shape.rank, 2);
			assert_int_equal(dataset.shape.dims[0], 3);
			assert_int_equal(gyr_dataset_row_count(&dataset), 2);
			assert_memory_equal(dataset.data, data, 6 * types[i].bytes);
			gyr_dataset_fini(&dataset);
		}
	}
	store(bytes, put_npy(bytes, 1, "{\"shape\":(4,),\"descr\":\"|u1\",\"fortran_order\":False}", data, 4));
	struct gyr_dataset dataset = must_read(NULL);
	assert_int_equal(dataset.shape.rank, 1);
	assert_int_equal(gyr_dataset_row_count(&dataset), 1);
	gyr_dataset_fini(&dataset);
}

static void npy_refuses(void **state)
{
	npy_fails("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n", 16, -ENOTSUP, "Fortran order");
	npy_fails("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 2), }\n", 16, -EBADMSG, "neither False nor True");
	npy_fails("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2), }\n", 16, -ENOTSUP, ">f4");
	npy_fails("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }\n", 8, -ENOTSUP, "<f2");
	npy_fails("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2), }\n", 16, -ENOTSUP, "no simple one");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }\n", 0, -EBADMSG, "no rows");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }\n", 0, -EBADMSG, "rows of nothing");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", 4, -EBADMSG, "one number");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }\n", 16, -EBADMSG, "dimension 0");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2, x), }\n", 16, -EBADMSG, "dimension 1");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, }\n", 16, -EBADMSG, "dimension 2");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2 2), }\n", 16, -EBADMSG, "not closed");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': [2, 2], }\n", 16, -EBADMSG, "parentheses");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }\n", 4, -EBADMSG, "more than 8");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2), }\n", 16, -EBADMSG, "dimension 0");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }\n", 16, -E2BIG, "the most");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 2), }\n", 16, -E2BIG, "the most");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (400000000, 2), }\n", 16, -EBADMSG, "its header lies");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 15, -EBADMSG, "cut");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 17, -EBADMSG, "bytes follow");
	npy_fails("{'descr': '<f4', 'fortran_order': False}\n", 16, -EBADMSG, "lacks one of");
	npy_fails("{'descr': '<f4', 'descr': '<f4', 'shape': (2, 2)}\n", 16, -EBADMSG, "there twice");
	npy_fails("{'descr': '<f4', 'other': 3}\n", 16, -EBADMSG, "other is unknown");
	npy_fails("{'descr': '<f4' 'fortran_order': False}\n", 16, -EBADMSG, "damaged");
	npy_fails("['descr']\n", 16, -EBADMSG, "no dictionary");
	npy_fails("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} + 1\n", 16, -EBADMSG, "goes on");
	store("\x93NUMPY\x04\x00\x02\x00{}", 12);
	must_fail(NULL, -ENOTSUP, "format 4.0");
	store("\x93NUMPY\x01\x00\xff", 9);
	must_fail(NULL, -EBADMSG, "cut before");
	store("\x93NUMPY\x01\x00\xff\x00{", 11);
	must_fail(NULL, -EBADMSG, "cut in its NPY header");
	store("\x93NUMPY\x02\x00\xff\xff\xff\x7f{", 13);
	must_fail(NULL, -EBADMSG, "header's length");
	store("\x93NUMPY\x01\x00\x02\x00{\0", 12);
	must_fail(NULL, -EBADMSG, "zero byte");
}

static void numbers_that_are_not_finite(void **state)
{
	uint8_t bytes[256];
	const float f32[] = {1, 2, 3, NAN, 5, 6};
	store(bytes, put_npy(bytes, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", f32, sizeof f32));
	must_fail(NULL, -EBADMSG, "row 1, column 1");
	const double f64[] = {1, 2, 3, 4, (double)-INFINITY, 6};
	store(bytes, put_npy(bytes, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)}", f64, sizeof f64));
	must_fail(NULL, -EBADMSG, "row 2, column 0");
}

static void idx_reads(void **state)
{
	store("\0\0\x08\x02\0\0\0\x02\0\0\0\x03\1\2\3\4\5\6", 18);
	struct gyr_dataset dataset = must_read(NULL);
	assert_int_equal(dataset.shape.dtype, GYR_DTYPE_U8);
	assert_int_equal(dataset.shape.rank, 2);
	assert_int_equal(dataset.shape.dims[1], 3);
	assert_memory_equal(dataset.data, "\1\2\3\4\5\6", 6);
	gyr_dataset_fini(&dataset);
	store("\0\0\x0d\x01\0\0\0\x01\x3f\xc0\0\0", 12);
	dataset = must_read(NULL);
	assert_true(((const float *)dataset.data)[0] == 1.5f);
	gyr_dataset_fini(&dataset);
	store("\0\0\x0e\x01\0\0\0\x01\x3f\xf8\0\0\0\0\0\0", 16);
	dataset = must_read(NULL);
	assert_true(((const double *)dataset.data)[0] == 1.5);
	gyr_dataset_fini(&dataset);
	store("\0\0\x0c\x01\0\0\0\x01\xff\xff\xff\xfe", 12);
	dataset = must_read(NULL);
	assert_int_equal(((const int32_t *)dataset.data)[0], -2);
	float converted;
	gyr_dataset_copy_row(&dataset, 0, GYR_DTYPE_F32, &converted);
	assert_true(converted == -2);
	assert_true(gyr_dataset_converts(&dataset, GYR_DTYPE_I32));
	assert_false(gyr_dataset_converts(&dataset, GYR_DTYPE_U8));
	gyr_dataset_fini(&dataset);
}

static void idx_refuses(void **state)
{
	store("\0\0\x08", 3);
	must_fail(NULL, -EBADMSG, "cut: an IDX header");
	store("\0\0\x0b\x01\0\0\0\x01\0\0", 10);
	must_fail(NULL, -ENOTSUP, "IDX type 0x0b");
	store("\0\0\x08\0\1", 5);
	must_fail(NULL, -EBADMSG, "0 dimensions");
	store("\0\0\x08\x09\1", 5);
	must_fail(NULL, -EBADMSG, "9 dimensions");
	store("\0\0\x08\x02\0\0\0\x02\0\0", 10);
	must_fail(NULL, -EBADMSG, "at dimension 1 of 2");
	store("\0\0\x08\x01\0\0\0\0", 8);
	must_fail(NULL, -EBADMSG, "no rows");
	store("\0\0\x08\x01\0\0\0\x03\1\2", 10);
	must_fail(NULL, -EBADMSG, "cut");
	store("\0\0\x08\x01\0\0\0\x01\1\2", 10);
	must_fail(NULL, -EBADMSG, "bytes follow");
	store("\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff\1", 13);
	must_fail(NULL, -E2BIG, "the most");
	store("\0\0\x08\x01\x7f\xff\xff\xff\1", 9);
	must_fail(NULL, -EBADMSG, "its header lies");
	store_gzip("\0\0\x08\x01\x7f\xff\xff\xff\1", 9);
	must_fail(NULL, -EBADMSG, "its header lies");
	/* A promise that 1032 times the file could just hold, and the content does not. */
	store_gzip("\0\0\x08\x01\0\0\x40\x00\1", 9);
	must_fail(NULL, -EBADMSG, "are there");
	store("\0\0\x08\x01\0\0\0\x01\1", 9);
	must_fail("a", -EINVAL, "columns (a) can be chosen from a CSV file only");
}

static void gzip_refuses(void **state)
{
	const char text[] = "a,b\n1,2\n3,4\n";
	store_gzip(text, sizeof text - 1);
	uint8_t bytes[256];
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	size_t size = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	for (size_t cut = 3; cut < size; cut++) {
		store(bytes, cut);
		must_fail(NULL, -EBADMSG, "gzip stream is cut");
	}
	bytes[size - 6] ^= 1; /* in the checksum */
	store(bytes, size);
	must_fail(NULL, -EBADMSG, "gzip stream is damaged");
	bytes[size - 6] ^= 1;
	memcpy(bytes + size, "rubbish!!!", 10);
	store(bytes, size + 10);
	must_fail(NULL, -EBADMSG, "gzip stream is damaged");
	/* Two members are one content. */
	memcpy(bytes + size, bytes, size);
	store(bytes, 2 * size);
	must_fail(NULL, -EBADMSG, ":4: column 0 (a): \"a\"");
	store_gzip("", 0);
	must_fail(NULL, -EBADMSG, "empty");
}

static void no_file_at_all(void **state)
{
	unlink(path);
	must_fail(NULL, -ENOENT, "No such file");
	store("", 0);
	must_fail(NULL, -EBADMSG, "empty");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	must_fail(NULL, -EBADMSG, "not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	must_fail(NULL, -EBADMSG, "not a regular file");
	rmdir(path);
}

static void digest_is_of_the_stored_bytes(void **state)
{
	const char text[] = "a\n1\n";
	uint8_t expected[32];
	store_text(text);
	struct gyr_dataset dataset = must_read(NULL);
	crypto_generichash(expected, sizeof expected, (const uint8_t *)text, sizeof text - 1, NULL, 0);
	assert_memory_equal(dataset.digest, expected, sizeof expected);
	gyr_dataset_fini(&dataset);
}

/* Files with random bytes changed, put in or cut off: any answer will do, as long as it is one. */
static void damaged_files_do_no_harm(void **state)
{
	const char csv[] = "a,\"b\",c\n1,2.5,-3e2\n\"4\",5,6\n", idx[] = "\0\0\x0d\x02\0\0\0\x02\0\0\0\x01\x3f\xc0\0\0\x40\0\0\0";
	uint8_t npy[256], bytes[512];
	const float numbers[] = {1, 2, 3, 4};
	const struct {
		const void *bytes;
		size_t size;
	} seeds[] = {{csv, sizeof csv - 1},
		     {idx, sizeof idx - 1},
		     {npy, put_npy(npy, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", numbers, sizeof numbers)}};
	size_t accepted = 0;
	srand48(13);
	for (int i = 0; i < 2100; i++) {
		size_t size = seeds[i % 3].size, changes = (size_t)lrand48() % 4;
		memcpy(bytes, seeds[i % 3].bytes, size);
		for (size_t j = 0; j < changes; j++)
			bytes[(size_t)lrand48() % size] = (uint8_t)lrand48();
		if (lrand48() % 4 == 0)
			size = (size_t)lrand48() % size;
		if (i % 7 == 0)
			store_gzip(bytes, size);
		else
			store(bytes, size);
		struct gyr_dataset dataset;
		struct gyr_error error = {0};
		int result = gyr_dataset_read(path, lrand48() % 8 == 0 ? "a,1-2" : NULL, &dataset, &error);
		if (result == 0) {
			accepted++;
			gyr_dataset_fini(&dataset);
		} else {
			assert_non_null(strstr(error.text, path));
		}
	}
	assert_in_range(accepted, 200, 1900); /* both answers are given often */
}

static void fashion_mnist(void **state)
{
	struct gyr_dataset images, labels;
	struct gyr_error error;
	assert_int_equal(gyr_dataset_read(FASHION "t10k-images-idx3-ubyte.gz", NULL, &images, &error), 0);
	assert_int_equal(gyr_dataset_read(FASHION "t10k-labels-idx1-ubyte.gz", NULL, &labels, &error), 0);
	assert_int_equal(images.shape.rank, 3);
	assert_int_equal(images.shape.dims[0], 10000);
	assert_int_equal(gyr_dataset_row_count(&images), 784);
	assert_int_equal(labels.shape.rank, 1);
	size_t counts[10] = {0};
	for (int i = 0; i < 10000; i++) {
		uint8_t label = ((const uint8_t *)labels.data)[i];
		assert_in_range(label, 0, 9);
		counts[label]++;
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(counts[i], 1000);
	gyr_dataset_fini(&images);
	gyr_dataset_fini(&labels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_reads),
		cmocka_unit_test(csv_numbers_are_exact),
		cmocka_unit_test(csv_refuses),
		cmocka_unit_test(csv_bounds),
		cmocka_unit_test(npy_reads),
		cmocka_unit_test(npy_refuses),
		cmocka_unit_test(numbers_that_are_not_finite),
		cmocka_unit_test(idx_reads),
		cmocka_unit_test(idx_refuses),
		cmocka_unit_test(gzip_refuses),
		cmocka_unit_test(no_file_at_all),
		cmocka_unit_test(digest_is_of_the_stored_bytes),
		cmocka_unit_test(damaged_files_do_no_harm),
		cmocka_unit_test(fashion_mnist),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
