/*
 * A set of questions and answers of one of ONNX's cases.
 */
#ifndef GYR_TESTS_CONFORMANCE_CASE_SET_H
#define GYR_TESTS_CONFORMANCE_CASE_SET_H

#include "engine/plan/plan.h"
#include "tensor_file.h"

#define CASE_TENSORS_MAX 64u

struct case_set {
	size_t input_count, output_count;
	struct gyr_shape inputs[CASE_TENSORS_MAX], outputs[CASE_TENSORS_MAX];
	void *input_data[CASE_TENSORS_MAX], *output_data[CASE_TENSORS_MAX];
	Onnx__TensorProto *protos[CASE_TENSORS_MAX]; /* of the inputs */
	double absolute;                             /* tolerance */
};

/* Read the tensors of a set, and one output to come behind those that it has. A reason why not, or NULL; the set is to be freed either way. */
const char *case_set_read(const char *directory, struct case_set *set);
const char *case_output_read(const char *path, struct case_set *set);
void case_set_free(struct case_set *set);

/* Runs PLAN on SET, whose first inputs are the plan's; whether its answers are the set's. */
bool case_set_run(const struct gyr_plan *plan, struct case_set *set);

#endif
