/*
 * Prints docs/OPERATORS.md from the operator table. A test holds the file in docs/ against it; after a change of the table, write it anew:
 *     BUILD/tests/unit/model/operators >docs/OPERATORS.md
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/graph.h"

static const enum gyr_dtype types[] = {GYR_DTYPE_F32, GYR_DTYPE_F64, GYR_DTYPE_F16, GYR_DTYPE_BF16, GYR_DTYPE_I8,  GYR_DTYPE_U8,  GYR_DTYPE_I16,
				       GYR_DTYPE_U16, GYR_DTYPE_I32, GYR_DTYPE_U32, GYR_DTYPE_I64,  GYR_DTYPE_U64, GYR_DTYPE_BOOL};

/* How many inputs, and their type variables. */
static void print_inputs(const struct gyr_op_info *info)
{
	printf("%" PRIu32, info->input_min);
	if (info->input_max == GYR_OP_VARIADIC)
		printf(" or more");
	else if (info->input_max != info->input_min)
		printf(" to %" PRIu32, info->input_max);
	printf(" (%s)", info->inputs);
}

static void print_attributes(const struct gyr_op_info *info)
{
	for (uint32_t i = 0; i < info->attribute_count; i++) {
		const struct gyr_op_attribute *attribute = &info->attributes[i];
		printf("%s`%s`", i == 0 ? "" : ", ", attribute->name);
		if (attribute->opset_min > info->opset_min)
			printf(" (from %" PRIu32 ")", attribute->opset_min);
		if (attribute->required)
			printf(" (needed)");
	}
}

/* The types of VARIABLE in the order of the opsets that brought them. */
static void print_variable(const struct gyr_op_info *info, char variable)
{
	printf("%c", variable);
	for (uint32_t opset = info->opset_min; opset <= info->opset_max; opset++) {
		bool first = opset > info->opset_min;
		for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
			if (!gyr_op_type_has(info, variable, opset, types[i]) ||
			    (opset > info->opset_min && gyr_op_type_has(info, variable, opset - 1, types[i])))
				continue;
			if (first)
				printf("; from %" PRIu32 ":", opset);
			printf(" %s", gyr_dtype_name(types[i]));
			first = false;
		}
	}
}

static void print_types(const struct gyr_op_info *info)
{
	for (const char *at = info->inputs; *at != 0; at++) {
		if (strchr(info->inputs, *at) != at)
			continue;
		printf("%s", at == info->inputs ? "" : " / ");
		print_variable(info, *at);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct gyr_op_info *left = *(const struct gyr_op_info *const *)a, *right = *(const struct gyr_op_info *const *)b;
	int order = (left->domain != NULL) - (right->domain != NULL);
	if (order == 0)
		order = strcmp(left->name, right->name);
	return order != 0 ? order : (left->opset_min > right->opset_min) - (left->opset_min < right->opset_min);
}

int main(void)
{
	printf("# Operators\n\n"
	       "The operators of ONNX that a model may be made of: those of its default domain, and of `ai.onnx.ml`, whose opsets are counted apart. This page "
	       "is\n"
	       "printed from the table in `engine/model`, and a test holds it against the table. A model is refused, with the node, the operator and the opset, where it uses anything else; whether a kernel runs a type of "
	       "those\n"
	       "below is decided when the model is compiled, and refused there in the same way.\n\n"
	       "| operator | opsets | inputs | attributes | element types |\n|---|---|---|---|---|\n");
	const struct gyr_op_info *rows[1024];
	size_t count = 0;
	for (; count < 1024 && (rows[count] = gyr_op_row((uint32_t)count)) != NULL; count++)
		;
	qsort(rows, count, sizeof(const struct gyr_op_info *), by_name);
	for (size_t i = 0; i < count; i++) {
		const struct gyr_op_info *info = rows[i];
		printf("| %s%s%s | %" PRIu32 " to %" PRIu32 " | ", info->domain != NULL ? info->domain : "", info->domain != NULL ? "." : "", info->name,
		       info->opset_min, info->opset_max);
		print_inputs(info);
		printf(" | ");
		print_attributes(info);
		printf(" | ");
		print_types(info);
		printf(" |\n");
	}
	printf("\n"
	       "`Constant` nodes are read as constants, of tensors and of numbers. Each operator means what ONNX says of it at the model's opset. Inputs of "
	       "one "
	       "capital\n"
	       "letter have one type; the last letter stands for all inputs that follow.\n\n"
	       "The first dimension of every input may be left open: it is the batch. Rows of different questions are computed together where it is proven "
	       "that "
	       "they do\n"
	       "not mix; any other model answers one row at a time. Any other dimension of an input must be a number. A shape may be computed in the model as "
	       "long as it\n"
	       "depends on shapes and constants alone. At most %d dimensions, %u values and %u nodes.\n",
	       GYR_RANK_MAX, GYR_GRAPH_VALUES_MAX, GYR_GRAPH_NODES_MAX);
	return 0;
}
