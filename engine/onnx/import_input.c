/*
 * Inputs of a graph that is imported, and the sizes that its file leaves open.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/import.h"

/* Dimension I of an input called INPUT, which its file gives no number: what was given for it, or, for the first, the batch; *BATCH is its name. */
static int open_dim(struct onnx_importer *importer, const char *input, uint32_t i, const char *symbol, int64_t *dim, const char **batch)
{
	char name[SHOWN_MAX], shown_input[SHOWN_MAX];
	if (symbol != NULL && onnx_fixed_dim(importer->fixed, symbol, dim, &importer->fixed_use))
		return 0;
	if (i != 0 && symbol == NULL)
		return gyr_error_set(importer->error, -ENOTSUP,
				     "dimension %" PRIu32 " is not fixed (only the first may be the batch; --shape %s=SIZE,... gives it a size)", i,
				     onnx_shown(input, shown_input));
	if (i != 0)
		return gyr_error_set(importer->error, -ENOTSUP,
				     "dimension %" PRIu32
				     " '%s' is not fixed (only the first may be the batch; --dim NAME=SIZE, or --shape %s=SIZE,... gives it a size)",
				     i, onnx_shown(symbol, name), onnx_shown(input, shown_input));
	if (symbol != NULL)
		*batch = symbol;
	*dim = GYR_DIM_BATCH;
	return 0;
}

/* Whether DIM (or NULL) is a number. One below 0, which some exporters write, leaves it open. */
static bool has_size(const Onnx__TensorShapeProto__Dimension *dim)
{
	return dim != NULL && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0;
}

/* The shape of an input. A first dimension that is not a number is the batch; *BATCH is its name, NULL without one. */
static int input_shape(struct onnx_importer *importer, const Onnx__ValueInfoProto *input, struct gyr_shape *shape, const char **batch)
{
	const Onnx__TypeProto__Tensor *type = onnx_tensor_type(input);
	struct gyr_error *error = importer->error;
	char name[SHOWN_MAX];
	if (type == NULL)
		return gyr_error_set(error, -ENOTSUP, "it is no tensor");
	if (gyr_dtype_bytes((enum gyr_dtype)type->elem_type) == 0)
		return gyr_error_set(error, -ENOTSUP, "element type %" PRId32, type->elem_type);
	const struct gyr_onnx_fixed_shape *given = onnx_fixed_shape(importer->fixed, input->name, &importer->fixed_use);
	if (type->shape == NULL && given == NULL)
		return gyr_error_set(error, -ENOTSUP, "it has no shape (--shape %s=SIZE,... gives it one)", onnx_shown(input->name, name));
	if (type->shape != NULL && type->shape->n_dim > GYR_RANK_MAX)
		return gyr_error_set(error, -ENOTSUP, "rank %zu (at most %d)", type->shape->n_dim, GYR_RANK_MAX);
	if (type->shape != NULL && given != NULL && type->shape->n_dim != given->rank)
		return gyr_error_set(error, -EINVAL, "it was given %" PRIu32 " dimensions, and has %zu", given->rank, type->shape->n_dim);
	*shape = (struct gyr_shape){.dtype = (enum gyr_dtype)type->elem_type, .rank = type->shape != NULL ? (uint32_t)type->shape->n_dim : given->rank};
	for (uint32_t i = 0; i < shape->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *dim = type->shape != NULL ? type->shape->dim[i] : NULL;
		bool known = has_size(dim);
		bool named = dim != NULL && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param[0] != 0;
		if (known && given != NULL && given->dims[i] != dim->dim_value)
			return gyr_error_set(error, -EINVAL, "dimension %" PRIu32 " was given another size than the file's %" PRId64, i, dim->dim_value);
		shape->dims[i] = known ? dim->dim_value : given != NULL ? given->dims[i] : 0;
		if (!known && (given == NULL || given->dims[i] == GYR_DIM_BATCH)) {
			int status = open_dim(importer, input->name, i, named ? dim->dim_param : NULL, &shape->dims[i], batch);
			if (status != 0)
				return status;
		}
	}
	return 0;
}

int onnx_add_inputs(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph)
{
	char name[SHOWN_MAX], first_batch[SHOWN_MAX], this_batch[SHOWN_MAX];
	const char *batch = NULL;
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__ValueInfoProto *input = graph->input[i];
		const char *own_batch = NULL;
		struct gyr_shape shape;
		uint32_t index;
		void *value = NULL;
		if (input->name == NULL)
			return gyr_error_set(importer->error, -EINVAL, "input %zu has no name", i);
		if (onnx_find_constant(scope, input->name) != NULL)
			continue;
		int status = input_shape(importer, input, &shape, &own_batch);
		if (status == 0 && own_batch != NULL && batch != NULL && strcmp(own_batch, batch) != 0)
			status = gyr_error_set(importer->error, -ENOTSUP, "its first dimension is '%s', and another input's is '%s' (one batch for all)",
					       onnx_shown(own_batch, this_batch), onnx_shown(batch, first_batch));
		if (own_batch != NULL)
			batch = own_batch;
		if (status == 0)
			status = onnx_fixed_value(importer->fixed, input->name, &shape, &importer->fixed_use, &value, importer->error);
		if (status == 0)
			status = gyr_graph_add_value(scope->graph, input->name, &shape, value, true, &index, importer->error);
		if (status == 0 && value == NULL)
			status = gyr_graph_add_input(scope->graph, index, importer->error);
		free(value);
		if (status != 0)
			return gyr_error_prefix(importer->error, status, "input '%s'", onnx_shown(input->name, name));
	}
	return onnx_fixed_used(importer->fixed, &importer->fixed_use, importer->error);
}
