/*
 * Attributes of a node that is imported, but for bodies.
 */
#include <errno.h>

#include "engine/onnx/import.h"

static int convert_strings(struct onnx_importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to)
{
	const char **items = GYR_ARENA_NEW(&importer->arena, const char *, from->n_strings);
	for (size_t i = 0; items != NULL && i < from->n_strings; i++) {
		items[i] = gyr_arena_string(&importer->arena, (const char *)from->strings[i].data, from->strings[i].len);
		if (items[i] == NULL)
			return onnx_no_memory(importer);
	}
	to->type = GYR_ATTRIBUTE_STRINGS;
	to->strings.count = (uint32_t)from->n_strings;
	to->strings.items = items;
	return items != NULL ? 0 : onnx_no_memory(importer);
}

static int convert_tensor(struct onnx_importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to)
{
	size_t bytes;
	char name[SHOWN_MAX];
	if (from->t == NULL)
		return gyr_error_set(importer->error, -EINVAL, "attribute '%s' holds no tensor", onnx_shown(from->name, name));
	int status = onnx_tensor_shape(from->t, &to->tensor.shape, &bytes, importer->error);
	void *elements = status == 0 ? gyr_arena_alloc(&importer->arena, bytes, 64) : NULL;
	if (status == 0)
		status = elements == NULL ? onnx_no_memory(importer) : onnx_tensor_elements(from->t, elements, importer->error);
	to->type = GYR_ATTRIBUTE_TENSOR;
	to->tensor.data = elements;
	return status == 0 ? 0 : gyr_error_prefix(importer->error, status, "attribute '%s'", onnx_shown(from->name, name));
}

int onnx_convert_attribute(struct onnx_importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to)
{
	char name[SHOWN_MAX];
	if (from->name == NULL)
		return gyr_error_set(importer->error, -EINVAL, "an attribute has no name");
	if (from->ref_attr_name != NULL && from->ref_attr_name[0] != 0)
		return gyr_error_set(importer->error, -ENOTSUP, "attribute '%s' refers to a function's", onnx_shown(from->name, name));
	*to = (struct gyr_attribute){.name = from->name};
	switch (from->type) {
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
		to->type = GYR_ATTRIBUTE_INT;
		to->integer = from->i;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
		to->type = GYR_ATTRIBUTE_FLOAT;
		to->number = from->f;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
		to->type = GYR_ATTRIBUTE_STRING;
		to->string = gyr_arena_string(&importer->arena, (const char *)from->s.data, from->s.len);
		return to->string != NULL ? 0 : onnx_no_memory(importer);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
		to->type = GYR_ATTRIBUTE_INTS;
		to->integers.count = (uint32_t)from->n_ints;
		to->integers.items = from->ints;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
		to->type = GYR_ATTRIBUTE_FLOATS;
		to->numbers.count = (uint32_t)from->n_floats;
		to->numbers.items = from->floats;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS: return convert_strings(importer, from, to);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR: return convert_tensor(importer, from, to);
	default: return gyr_error_set(importer->error, -ENOTSUP, "attribute '%s' is of type %d", onnx_shown(from->name, name), (int)from->type);
	}
}
