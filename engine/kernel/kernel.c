/*
 * The kernel table: see kernel.h; and what the families share: see family.h.
 */
#include "engine/kernel/kernel.h"

#include <errno.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/kernel/family.h"

#define FAMILY(name) &kernel_family_##name,
static const struct kernel_family *const families[] = {KERNEL_FAMILIES(FAMILY)};
#undef FAMILY

int gyr_kernel_prepare(struct gyr_prepare *prepare)
{
	for (size_t i = 0; i < KERNEL_COUNT(families); i++) {
		for (uint32_t k = 0; k < families[i]->count; k++) {
			if (families[i]->rows[k].op != prepare->node->op)
				continue;
			int status = families[i]->rows[k].prepare(prepare);
			GYR_ASSERT(status != 0 || prepare->run != NULL);
			return status;
		}
	}
	return gyr_error_set(prepare->error, -ENOTSUP, "no kernel runs it");
}

bool gyr_kernel_is_view(const struct gyr_node *node, uint32_t opset, enum gyr_dtype input, enum gyr_dtype output)
{
	const struct gyr_op_info *row = gyr_op_at(node->op, opset);
	return row != NULL && row->view && node->output_count == 1 && input == output;
}

void *kernel_params(struct gyr_prepare *prepare, size_t bytes)
{
	void *params = gyr_arena_alloc(prepare->arena, bytes, 64);
	if (params == NULL)
		(void)gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	prepare->params = params;
	return params;
}

const struct gyr_shape *kernel_input(const struct gyr_prepare *prepare, uint32_t index)
{
	return index < prepare->node->input_count ? prepare->inputs[index] : NULL;
}

struct gyr_infer kernel_infer(const struct gyr_prepare *prepare, struct gyr_shape *outputs)
{
	return (struct gyr_infer){
		.node = prepare->node,
		.opset = prepare->opset,
		.inputs = prepare->inputs,
		.contents = prepare->contents,
		.outputs = outputs,
		.error = prepare->error,
	};
}

size_t kernel_product(const struct gyr_shape *shape, uint32_t from, uint32_t to)
{
	size_t total = 1;
	for (uint32_t i = from; i < to; i++)
		total *= (size_t)shape->dims[i];
	return total;
}

size_t kernel_count(const struct gyr_shape *shape)
{
	return kernel_product(shape, 0, shape->rank);
}

int kernel_need_f32(struct gyr_prepare *prepare, const struct gyr_shape *shape)
{
	if (shape->dtype == GYR_DTYPE_F32)
		return 0;
	return gyr_error_set(prepare->error, -ENOTSUP, "it is run on f32 only, not on %s", gyr_dtype_name(shape->dtype));
}

struct content {
	size_t bytes;
	uint8_t data[];
};

static void run_content(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct content *content = params;
	memcpy(outputs[0], content->data, content->bytes);
}

int kernel_prepare_content(struct gyr_prepare *prepare, const void *content, size_t bytes)
{
	struct content *params = kernel_params(prepare, sizeof *params + bytes);
	if (params == NULL)
		return -ENOMEM;
	params->bytes = bytes;
	memcpy(params->data, content, bytes);
	prepare->run = run_content;
	return 0;
}
