/*
 * The internal operators, which passes of engine/plan put in the place of others. They have a name, for messages, and nothing else: no opset has them, so no
 * graph does, and no file or list can name one.
 */
#include "engine/model/op_family.h"

#define INTERNAL(which, text) [GYR_OP_##which - GYR_OP_COUNT] = {.op = GYR_OP_##which, .name = (text), OP_OPSETS(UINT32_MAX, 0)}

static const struct gyr_op_info rows[GYR_OP_ALL_COUNT - GYR_OP_COUNT] = {
	INTERNAL(CHANNELS_LAST_CONV, "Conv with channels last"),
	INTERNAL(STRIDED_ATTENTION, "Attention"),
	INTERNAL(CHANNELS_LAST_POOL, "Pool with channels last"),
};

const struct op_family op_family_internal = {rows, OP_COUNT(rows)};
