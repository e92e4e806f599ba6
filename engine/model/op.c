/*
 * The operator table: the families, and looking things up in them.
 */
#include "engine/model/op.h"

#include <stddef.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/model/op_family.h"

#define FAMILY(name) &op_family_##name,
static const struct op_family *const families[] = {OP_FAMILIES(FAMILY)};
#undef FAMILY

const struct gyr_op_info *gyr_op_row(uint32_t index)
{
	for (size_t i = 0; i < OP_COUNT(families); i++) {
		if (index < families[i]->count)
			return &families[i]->rows[index];
		index -= families[i]->count;
	}
	return NULL;
}

const struct gyr_op_info *gyr_op_at(enum gyr_op op, uint32_t opset)
{
	GYR_ASSERT(op > GYR_OP_NONE);
	GYR_ASSERT(op < GYR_OP_ALL_COUNT);
	for (size_t i = 0; i < OP_COUNT(families); i++)
		for (uint32_t k = 0; k < families[i]->count; k++)
			if (families[i]->rows[k].op == op && families[i]->rows[k].opset_min <= opset && opset <= families[i]->rows[k].opset_max)
				return &families[i]->rows[k];
	return NULL;
}

const struct gyr_op_info *gyr_op_info(enum gyr_op op)
{
	GYR_ASSERT(op < GYR_OP_ALL_COUNT);
	if (op >= GYR_OP_COUNT)
		return &op_family_internal.rows[op - GYR_OP_COUNT];
	const struct gyr_op_info *newest = NULL;
	for (size_t i = 0; i < OP_COUNT(families) && newest == NULL; i++)
		for (uint32_t k = 0; k < families[i]->count; k++)
			if (families[i]->rows[k].op == op)
				newest = &families[i]->rows[k];
	GYR_ASSERT(newest != NULL);
	return newest;
}

enum gyr_op gyr_op_find(const char *domain, const char *name)
{
	const struct gyr_op_info *row;
	for (uint32_t i = 0; (row = gyr_op_row(i)) != NULL; i++)
		if (strcmp(row->name, name) == 0 && (row->domain == NULL) == (domain == NULL) && (domain == NULL || strcmp(row->domain, domain) == 0))
			return row->op;
	return GYR_OP_NONE;
}

enum gyr_op gyr_op_from_name(const char *name)
{
	return gyr_op_find(NULL, name);
}

bool gyr_op_type_has(const struct gyr_op_info *row, char variable, uint32_t opset, enum gyr_dtype dtype)
{
	if ((unsigned)dtype >= 32)
		return false;
	for (uint32_t i = 0; i < row->type_count; i++)
		if (row->types[i].variable == variable && row->types[i].opset_min <= opset && (row->types[i].types >> dtype & 1) != 0)
			return true;
	return false;
}

char gyr_op_letter(const char *letters, uint32_t index)
{
	size_t count = strlen(letters);
	GYR_ASSERT(count > 0);
	return letters[index < count ? index : count - 1];
}

bool gyr_op_takes(enum gyr_op op, uint32_t opset, enum gyr_dtype dtype)
{
	const struct gyr_op_info *row = gyr_op_at(op, opset);
	return row != NULL && gyr_op_type_has(row, gyr_op_letter(row->inputs, 0), opset, dtype);
}
