/*
 * Sizes that are given from outside for what a file leaves open, and inputs that are given what they hold: see onnx.h.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx_internal.h"

#define VALUE_BYTES_MAX (1u << 20)

static bool is_named(const char *name, size_t length, const char *other)
{
	return strncmp(name, other, length) == 0 && other[length] == 0;
}

/* Reads a size at *TEXT and moves behind it. */
static bool read_size(const char **text, int64_t *size)
{
	char *end;
	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	long long number = strtoll(*text, &end, 10);
	*text = end;
	*size = number;
	return errno == 0 && number >= 1 && number <= INT32_MAX;
}

int gyr_onnx_fix_dim(struct gyr_onnx_fixed *fixed, const char *text, struct gyr_error *error)
{
	char shown[SHOWN_MAX];
	const char *equals = strrchr(text, '='), *at = equals != NULL ? equals + 1 : NULL;
	struct gyr_onnx_fixed_dim dim = {.name = text};
	if (equals == NULL || equals == text || !read_size(&at, &dim.size) || *at != 0)
		return gyr_error_set(error, -EINVAL, "\"%s\" is no dimension; NAME=SIZE is expected, the size from 1 to %d", onnx_shown(text, shown),
				     INT32_MAX);
	dim.name_length = (size_t)(equals - text);
	for (uint32_t i = 0; i < fixed->dim_count; i++)
		if (fixed->dims[i].name_length == dim.name_length && memcmp(fixed->dims[i].name, text, dim.name_length) == 0)
			return gyr_error_set(error, -EINVAL, "\"%s\": the dimension was given a size before", onnx_shown(text, shown));
	if (fixed->dim_count == GYR_ONNX_FIXED_MAX)
		return gyr_error_set(error, -E2BIG, "more than %u dimensions", GYR_ONNX_FIXED_MAX);
	fixed->dims[fixed->dim_count++] = dim;
	return 0;
}

int gyr_onnx_fix_shape(struct gyr_onnx_fixed *fixed, const char *text, struct gyr_error *error)
{
	char shown[SHOWN_MAX];
	const char *equals = strrchr(text, '='), *at = equals != NULL ? equals + 1 : NULL;
	struct gyr_onnx_fixed_shape shape = {.name = text};
	bool fine = equals != NULL && equals != text;
	while (fine && (*at != 0 || shape.rank != 0)) {
		int64_t *dim = &shape.dims[shape.rank++];
		if (shape.rank == 1 && *at == 'N') {
			*dim = GYR_DIM_BATCH;
			at++;
		} else {
			fine = read_size(&at, dim);
		}
		if (*at == 0)
			break;
		fine = fine && *at++ == ',' && shape.rank < GYR_RANK_MAX;
	}
	if (!fine)
		return gyr_error_set(error, -EINVAL, "\"%s\" is no shape; INPUT=SIZE,SIZE,... is expected, at most %d sizes from 1 to %d, the first perhaps N",
				     onnx_shown(text, shown), GYR_RANK_MAX, INT32_MAX);
	shape.name_length = (size_t)(equals - text);
	for (uint32_t i = 0; i < fixed->shape_count; i++)
		if (fixed->shapes[i].name_length == shape.name_length && memcmp(fixed->shapes[i].name, text, shape.name_length) == 0)
			return gyr_error_set(error, -EINVAL, "\"%s\": the input was given a shape before", onnx_shown(text, shown));
	if (fixed->shape_count == GYR_ONNX_FIXED_MAX)
		return gyr_error_set(error, -E2BIG, "more than %u shapes", GYR_ONNX_FIXED_MAX);
	fixed->shapes[fixed->shape_count++] = shape;
	return 0;
}

int gyr_onnx_fix_value(struct gyr_onnx_fixed *fixed, const char *text, struct gyr_error *error)
{
	char shown[SHOWN_MAX], *end = NULL;
	const char *equals = strrchr(text, '=');
	struct gyr_onnx_fixed_value value = {.name = text};
	bool number = equals != NULL && equals != text && (strchr("+-.", equals[1]) != NULL || (equals[1] >= '0' && equals[1] <= '9'));
	if (number)
		value.number = strtod(equals + 1, &end);
	if (!number || end == equals + 1 || *end != 0 || !isfinite(value.number))
		return gyr_error_set(error, -EINVAL, "\"%s\" is no value; INPUT=NUMBER is expected", onnx_shown(text, shown));
	value.name_length = (size_t)(equals - text);
	for (uint32_t i = 0; i < fixed->value_count; i++)
		if (fixed->values[i].name_length == value.name_length && memcmp(fixed->values[i].name, text, value.name_length) == 0)
			return gyr_error_set(error, -EINVAL, "\"%s\": the input was given a value before", onnx_shown(text, shown));
	if (fixed->value_count == GYR_ONNX_FIXED_MAX)
		return gyr_error_set(error, -E2BIG, "more than %u values", GYR_ONNX_FIXED_MAX);
	fixed->values[fixed->value_count++] = value;
	return 0;
}

bool onnx_fixed_dim(const struct gyr_onnx_fixed *fixed, const char *symbol, int64_t *size, struct onnx_fixed_use *use)
{
	for (uint32_t i = 0; i < fixed->dim_count; i++) {
		if (!is_named(fixed->dims[i].name, fixed->dims[i].name_length, symbol))
			continue;
		use->dims[i] = true;
		*size = fixed->dims[i].size;
		return true;
	}
	return false;
}

const struct gyr_onnx_fixed_shape *onnx_fixed_shape(const struct gyr_onnx_fixed *fixed, const char *name, struct onnx_fixed_use *use)
{
	for (uint32_t i = 0; i < fixed->shape_count; i++) {
		if (!is_named(fixed->shapes[i].name, fixed->shapes[i].name_length, name))
			continue;
		use->shapes[i] = true;
		return &fixed->shapes[i];
	}
	return NULL;
}

/* NUMBER as an element of DTYPE. False: that type has no such element. */
static bool element_of(double number, enum gyr_dtype dtype, void *element)
{
	float narrow = (float)number;
	uint8_t truth = number != 0;
	unsigned bits = (unsigned)gyr_dtype_bytes(dtype) * 8;
	bool is_signed = dtype == GYR_DTYPE_I8 || dtype == GYR_DTYPE_I16 || dtype == GYR_DTYPE_I32 || dtype == GYR_DTYPE_I64;
	switch (dtype) {
	case GYR_DTYPE_F32: memcpy(element, &narrow, sizeof narrow); return isfinite(narrow);
	case GYR_DTYPE_F64: memcpy(element, &number, sizeof number); return true;
	case GYR_DTYPE_BOOL: memcpy(element, &truth, sizeof truth); return number == 0 || number == 1;
	case GYR_DTYPE_I8:
	case GYR_DTYPE_I16:
	case GYR_DTYPE_I32:
	case GYR_DTYPE_I64:
	case GYR_DTYPE_U8:
	case GYR_DTYPE_U16:
	case GYR_DTYPE_U32:
	case GYR_DTYPE_U64: break;
	default: return false;
	}
	double above = is_signed ? ldexp(1, (int)bits - 1) : ldexp(1, (int)bits);
	if (number != floor(number) || number >= above || number < (is_signed ? -above : 0))
		return false;
	uint64_t whole = number < 0 ? (uint64_t)(int64_t)number : (uint64_t)number;
	memcpy(element, &whole, bits / 8); /* the low bytes stand first */
	return true;
}

int onnx_fixed_value(const struct gyr_onnx_fixed *fixed, const char *name, const struct gyr_shape *shape, struct onnx_fixed_use *use, void **data,
		     struct gyr_error *error)
{
	*data = NULL;
	for (uint32_t i = 0; i < fixed->value_count; i++) {
		uint64_t element;
		size_t bytes, one = gyr_dtype_bytes(shape->dtype);
		if (!is_named(fixed->values[i].name, fixed->values[i].name_length, name))
			continue;
		use->values[i] = true;
		if (shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH)
			return gyr_error_set(error, -EINVAL, "it was given a value, and has as many elements as there are rows (give it a shape too)");
		if (!element_of(fixed->values[i].number, shape->dtype, &element))
			return gyr_error_set(error, -EINVAL, "%.17g is no element of %s", fixed->values[i].number, gyr_dtype_name(shape->dtype));
		if (!gyr_shape_bytes(shape, 1, &bytes) || bytes > VALUE_BYTES_MAX)
			return gyr_error_set(error, -E2BIG, "it was given a value, and is larger than %u bytes", VALUE_BYTES_MAX);
		*data = malloc(bytes + 1);
		if (*data == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for the model");
		for (size_t at = 0; at < bytes; at += one)
			memcpy((char *)*data + at, &element, one);
		return 0;
	}
	return 0;
}

/* The first SHOWN_MAX - 1 bytes of NAME at most, which LENGTH ends. */
static const char *show(const char *name, size_t length, char shown[SHOWN_MAX])
{
	char cut[SHOWN_MAX];
	length = length < sizeof cut ? length : sizeof cut - 1;
	memcpy(cut, name, length);
	cut[length] = 0;
	return onnx_shown(cut, shown);
}

int onnx_fixed_used(const struct gyr_onnx_fixed *fixed, const struct onnx_fixed_use *use, struct gyr_error *error)
{
	char shown[SHOWN_MAX];
	for (uint32_t i = 0; i < fixed->dim_count; i++)
		if (!use->dims[i])
			return gyr_error_set(error, -EINVAL, "dimension '%s' was given a size, and no input leaves it open",
					     show(fixed->dims[i].name, fixed->dims[i].name_length, shown));
	for (uint32_t i = 0; i < fixed->shape_count; i++)
		if (!use->shapes[i])
			return gyr_error_set(error, -EINVAL, "input '%s' was given a shape, and there is no such input",
					     show(fixed->shapes[i].name, fixed->shapes[i].name_length, shown));
	for (uint32_t i = 0; i < fixed->value_count; i++)
		if (!use->values[i])
			return gyr_error_set(error, -EINVAL, "input '%s' was given a value, and there is no such input",
					     show(fixed->values[i].name, fixed->values[i].name_length, shown));
	return 0;
}
