/*
 * Prints docs/OPERATORS.md from the operator table. A test holds the file in docs/ against it; after a change of the table, write it anew:
 *     BUILD/tests/unit/model/operators >docs/OPERATORS.md
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/model/graph.h"

static const enum gyr_dtype types[] = {GYR_DTYPE_F32, GYR_DTYPE_F64, GYR_DTYPE_F16, GYR_DTYPE_BF16, GYR_DTYPE_I8,  GYR_DTYPE_U8,  GYR_DTYPE_I16,
				       GYR_DTYPE_U16, GYR_DTYPE_I32, GYR_DTYPE_U32, GYR_DTYPE_I64,  GYR_DTYPE_U64, GYR_DTYPE_BOOL};

static void print_inputs(enum gyr_op op)
{
	const struct gyr_op_info *info = gyr_op_info(op);
	uint32_t at_first = gyr_op_input_min(op, info->opset_min);
	if (info->input_min == info->input_max)
		printf("%" PRIu32, info->input_min);
	else
		printf("%" PRIu32 " to %" PRIu32, info->input_min, info->input_max);
	for (uint32_t opset = info->opset_min; opset <= info->opset_max; opset++) {
		if (gyr_op_input_min(op, opset) != at_first) {
			printf(" (%" PRIu32 " before opset %" PRIu32 ")", at_first, opset);
			break;
		}
	}
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

/* The types in the order of the opsets that brought them. */
static void print_types(enum gyr_op op)
{
	const struct gyr_op_info *info = gyr_op_info(op);
	for (uint32_t opset = info->opset_min; opset <= info->opset_max; opset++) {
		bool first = true;
		for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
			if (!gyr_op_takes(op, opset, types[i]) || (opset > info->opset_min && gyr_op_takes(op, opset - 1, types[i])))
				continue;
			if (first && opset > info->opset_min)
				printf("; from %" PRIu32 ":", opset);
			printf("%s%s", first && opset == info->opset_min ? "" : " ", gyr_dtype_name(types[i]));
			first = false;
		}
	}
}

int main(void)
{
	printf("# Operators\n\n"
	       "The operators of ONNX's default domain that a model may be made of. This page is printed from the table in `engine/model/op.c`, and a test "
	       "holds it\n"
	       "against the table. A model is refused, with the node, the operator and the opset, where it uses anything else; whether a kernel runs a type of "
	       "those\n"
	       "below is decided when the model is compiled, and refused there in the same way.\n\n"
	       "| operator | opsets | inputs | attributes | element types |\n|---|---|---|---|---|\n");
	for (int op = GYR_OP_NONE + 1; op < GYR_OP_COUNT; op++) {
		const struct gyr_op_info *info = gyr_op_info((enum gyr_op)op);
		printf("| %s | %" PRIu32 " to %" PRIu32 " | ", info->name, info->opset_min, info->opset_max);
		print_inputs((enum gyr_op)op);
		printf(" | ");
		print_attributes(info);
		printf(" | ");
		print_types((enum gyr_op)op);
		printf(" |\n");
	}
	printf("\n"
	       "`Constant` nodes are read as constants, of tensors and of numbers. Each operator means what ONNX says of it at the model's opset.\n\n"
	       "The first dimension of every input may be left open: it is the batch. Then it is the first dimension of every output too, and a node that "
	       "would add\n"
	       "up, normalise over or move it is refused, because the rows of a batch are the questions of different clients. Any other dimension must be a "
	       "number.\n"
	       "The second input of Reshape must be a constant, and keeps the batch with 0 or -1 in its first place. At most %d dimensions, %u values and %u "
	       "nodes.\n",
	       GYR_RANK_MAX, GYR_GRAPH_VALUES_MAX, GYR_GRAPH_NODES_MAX);
	return 0;
}
