/*
 * Reductions on the spot: see combine.h.
 */
#include "engine/kernel/combine.h"

#include <stdint.h>
#include <string.h>

enum { ADD, MUL, MAX, MIN, REDUCTIONS };

#define DEFINE(name, type, expression)                                                                                                                         \
	static void name(size_t count, const void *from, void *to)                                                                                             \
	{                                                                                                                                                      \
		for (size_t i = 0; i < count; i++) {                                                                                                           \
			type a, b, r;                                                                                                                          \
			memcpy(&a, (const char *)to + i * sizeof a, sizeof a);                                                                                 \
			memcpy(&b, (const char *)from + i * sizeof b, sizeof b);                                                                               \
			expression;                                                                                                                            \
			memcpy((char *)to + i * sizeof r, &r, sizeof r);                                                                                       \
		}                                                                                                                                              \
	}

#define DEFINE_ORDER(tag, type)                                                                                                                                \
	DEFINE(max_##tag, type, r = b > a || b != b ? b : a)                                                                                                   \
	DEFINE(min_##tag, type, r = b < a || b != b ? b : a)
#define DEFINE_INTEGER(tag, type)                                                                                                                              \
	DEFINE(add_##tag, type, (void)__builtin_add_overflow(a, b, &r))                                                                                        \
	DEFINE(mul_##tag, type, (void)__builtin_mul_overflow(a, b, &r))                                                                                        \
	DEFINE_ORDER(tag, type)
#define DEFINE_FLOAT(tag, type)                                                                                                                                \
	DEFINE(add_##tag, type, r = (type)(a + b))                                                                                                             \
	DEFINE(mul_##tag, type, r = (type)(a * b))                                                                                                             \
	DEFINE_ORDER(tag, type)

DEFINE_INTEGER(i8, int8_t)
DEFINE_INTEGER(i16, int16_t)
DEFINE_INTEGER(i32, int32_t)
DEFINE_INTEGER(i64, int64_t)
DEFINE_INTEGER(u8, uint8_t)
DEFINE_INTEGER(u16, uint16_t)
DEFINE_INTEGER(u32, uint32_t)
DEFINE_INTEGER(u64, uint64_t)
DEFINE_FLOAT(f32, float)
DEFINE_FLOAT(f64, double)

gyr_combine_fn *gyr_kernel_combine(const char *name, enum gyr_dtype dtype)
{
#define ALL_OF(tag) {add_##tag, mul_##tag, max_##tag, min_##tag}
	static gyr_combine_fn *const functions[][REDUCTIONS] = {
		[GYR_DTYPE_I8] = ALL_OF(i8),   [GYR_DTYPE_I16] = ALL_OF(i16), [GYR_DTYPE_I32] = ALL_OF(i32), [GYR_DTYPE_I64] = ALL_OF(i64),
		[GYR_DTYPE_U8] = ALL_OF(u8),   [GYR_DTYPE_U16] = ALL_OF(u16), [GYR_DTYPE_U32] = ALL_OF(u32), [GYR_DTYPE_U64] = ALL_OF(u64),
		[GYR_DTYPE_F32] = ALL_OF(f32), [GYR_DTYPE_F64] = ALL_OF(f64),
	};
#undef ALL_OF
	static const char *const names[REDUCTIONS] = {[ADD] = "add", [MUL] = "mul", [MAX] = "max", [MIN] = "min"};
	for (int i = 0; i < REDUCTIONS && (size_t)dtype < sizeof functions / sizeof functions[0]; i++)
		if (strcmp(name, names[i]) == 0)
			return functions[dtype][i];
	return NULL;
}
