/*
 * For check_worker.py: prints a bundle's answers to the rows of a data file as raw numbers, by the plan or by its reference, after replaying the golden
 * vectors.
 *
 *     train-answers BUNDLE DATA plan|reference
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/bundle.h"
#include "engine/plan/plan.h"
#include "engine/train/dataset.h"

static void *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		return NULL;
	*size = (size_t)ftell(file);
	rewind(file);
	void *bytes = aligned_alloc(GYR_BUNDLE_ALIGN, (*size + GYR_BUNDLE_ALIGN - 1) / GYR_BUNDLE_ALIGN * GYR_BUNDLE_ALIGN);
	if (bytes != NULL && fread(bytes, 1, *size, file) != *size)
		return NULL;
	fclose(file);
	return bytes;
}

static int fail(const char *text)
{
	fprintf(stderr, "train-answers: %s\n", text);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return fail("BUNDLE DATA plan|reference");
	struct gyr_error error = {0};
	struct gyr_bundle *bundle;
	struct gyr_dataset data;
	struct gyr_plan *plan;
	size_t size;
	void *bytes = read_file(argv[1], &size);
	if (bytes == NULL || gyr_bundle_open(bytes, size, &bundle, &error) != 0 || gyr_dataset_read(argv[2], NULL, &data, &error) != 0)
		return fail(error.text);
	struct gyr_plan_options options = {.batch_max = GYR_PLAN_BATCH_MAX, .reference = strcmp(argv[3], "reference") == 0};
	gyr_plan_thread_init();
	if (gyr_plan_create(bundle->graph, &options, &plan, &error) != 0 || gyr_plan_check_golden(plan, bundle, &error) != 0)
		return fail(error.text);
	if (bundle->info.golden_count == 0)
		return fail("no golden vectors");
	const struct gyr_shape *in = gyr_plan_input_shape(plan, 0), *out = gyr_plan_output_shape(plan, 0);
	size_t in_bytes, out_bytes;
	if (!gyr_shape_bytes(in, 1, &in_bytes) || !gyr_shape_bytes(out, 1, &out_bytes) || in_bytes != gyr_dataset_row_count(&data) * gyr_dtype_bytes(in->dtype))
		return fail("the data does not fit");
	void *input = calloc(GYR_PLAN_BATCH_MAX, in_bytes), *output = calloc(GYR_PLAN_BATCH_MAX, out_bytes);
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (gyr_plan_scratch_bytes(plan) / GYR_PLAN_SCRATCH_ALIGN + 1) * GYR_PLAN_SCRATCH_ALIGN);
	if (input == NULL || output == NULL || scratch == NULL)
		return fail("no memory");
	uint32_t batch = 0;
	for (int64_t row = 0; row < data.shape.dims[0]; row++) {
		gyr_dataset_copy_row(&data, row, in->dtype, (uint8_t *)input + batch * in_bytes);
		if (++batch < GYR_PLAN_BATCH_MAX && row + 1 < data.shape.dims[0])
			continue;
		gyr_plan_run(plan, batch, (const void *const[]){input}, (void *const[]){output}, scratch);
		fwrite(output, out_bytes, batch, stdout);
		batch = 0;
	}
	free(input);
	free(output);
	free(scratch);
	gyr_plan_destroy(plan);
	gyr_dataset_fini(&data);
	gyr_bundle_close(bundle);
	free(bytes);
	return fflush(stdout) == 0 ? 0 : fail("stdout");
}
