#include "case_set.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/ref/number.h"

#define RELATIVE 1e-3

void case_set_free(struct case_set *set)
{
	for (size_t i = 0; i < set->input_count; i++) {
		free(set->input_data[i]);
		onnx__tensor_proto__free_unpacked(set->protos[i], NULL);
	}
	for (size_t i = 0; i < set->output_count; i++)
		free(set->output_data[i]);
}

const char *case_output_read(const char *path, struct case_set *set)
{
	size_t i = set->output_count;
	Onnx__TensorProto *proto = case_tensor_read(path);
	if (proto == NULL)
		return "case: an output is no tensor";
	set->output_count++;
	bool fine = case_tensor_shape(proto, &set->outputs[i]) && (set->output_data[i] = case_tensor_elements(proto, &set->outputs[i])) != NULL;
	onnx__tensor_proto__free_unpacked(proto, NULL);
	return fine ? NULL : "case: an output is of a type that Gyr does not know";
}

const char *case_set_read(const char *directory, struct case_set *set)
{
	char path[PATH_MAX + 32];
	*set = (struct case_set){0};
	while (set->input_count < CASE_TENSORS_MAX) {
		size_t i = set->input_count;
		snprintf(path, sizeof path, "%s/input_%zu.pb", directory, i);
		FILE *file = fopen(path, "rb");
		if (file == NULL)
			break;
		fclose(file);
		Onnx__TensorProto *proto = case_tensor_read(path);
		if (proto == NULL)
			return "case: an input is no tensor";
		set->protos[i] = proto;
		set->input_count++;
		if (!case_tensor_shape(proto, &set->inputs[i]) || (set->input_data[i] = case_tensor_elements(proto, &set->inputs[i])) == NULL)
			return "case: an input is of a type that Gyr does not know";
	}
	while (set->output_count < CASE_TENSORS_MAX) {
		snprintf(path, sizeof path, "%s/output_%zu.pb", directory, set->output_count);
		FILE *file = fopen(path, "rb");
		if (file == NULL)
			break;
		fclose(file);
		const char *fault = case_output_read(path, set);
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

static double real(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL ? number.real : number.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)number.integer : (double)number.integer;
}

/* SHAPE is the tensor's, with the plan's type. ONNX made its bf16 answers by cutting bits off, so there one unit in the last place is allowed. */
static bool same(const struct gyr_shape *shape, const void *got, const void *expected, double absolute)
{
	double relative = shape->dtype == GYR_DTYPE_BF16 ? 0x1p-7 : RELATIVE;
	size_t count;
	if (!gyr_shape_count(shape, 1, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		double a = real(gyr_number_load(shape->dtype, got, i)), b = real(gyr_number_load(shape->dtype, expected, i));
		if (isnan(b) || isinf(b) ? !((isnan(a) && isnan(b)) || a == b) : !(fabs(a - b) <= absolute + relative * fabs(b)))
			return false;
	}
	return true;
}

/* SHAPE of the plan, with the tensor's first dimension in place of its batch dimension, is the tensor's. ONNX's files call bf16 u16; this makes it right. */
static bool fits(const struct gyr_shape *shape, struct gyr_shape *tensor)
{
	struct gyr_shape filled = *shape;
	if (filled.rank > 0 && filled.dims[0] == GYR_DIM_BATCH && tensor->rank > 0)
		filled.dims[0] = tensor->dims[0];
	if (filled.dtype == GYR_DTYPE_BF16 && tensor->dtype == GYR_DTYPE_U16)
		tensor->dtype = GYR_DTYPE_BF16;
	return gyr_shape_equal(&filled, tensor);
}

bool case_set_run(const struct gyr_plan *plan, struct case_set *set)
{
	const void *inputs[CASE_TENSORS_MAX];
	void *outputs[CASE_TENSORS_MAX] = {0};
	uint32_t input_count = gyr_plan_input_count(plan), output_count = gyr_plan_output_count(plan), batch = 1;
	bool right = input_count <= set->input_count && output_count == set->output_count;
	for (uint32_t i = 0; i < input_count && right; i++) {
		right = fits(gyr_plan_input_shape(plan, i), &set->inputs[i]);
		inputs[i] = set->input_data[i];
		if (right && set->inputs[i].rank > 0 && gyr_plan_input_shape(plan, i)->dims[0] == GYR_DIM_BATCH)
			batch = (uint32_t)set->inputs[i].dims[0];
	}
	right = right && batch >= 1 && batch <= gyr_plan_batch_max(plan);
	for (uint32_t i = 0; i < output_count && right; i++) {
		size_t bytes;
		right = fits(gyr_plan_output_shape(plan, i), &set->outputs[i]) && gyr_shape_bytes(gyr_plan_output_shape(plan, i), 64, &bytes);
		outputs[i] = right ? malloc(bytes + 1) : NULL;
	}
	void *scratch =
		aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, gyr_plan_scratch_bytes(plan) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN + GYR_PLAN_SCRATCH_ALIGN);
	if (right) {
		gyr_plan_run(plan, batch, inputs, outputs, scratch);
		for (uint32_t i = 0; i < output_count; i++)
			right = right && same(&set->outputs[i], outputs[i], set->output_data[i], set->absolute);
	}
	for (uint32_t i = 0; i < output_count && i < CASE_TENSORS_MAX; i++)
		free(outputs[i]);
	free(scratch);
	return right;
}
