/*
 * Element types for reading and writing tensors of any alignment, as they come from packets and callers. The compiler vectorises loops over them as well as
 * over aligned ones.
 */
#ifndef GYR_ENGINE_REF_UNALIGNED_H
#define GYR_ENGINE_REF_UNALIGNED_H

#include <stdint.h>

#define GYR_UNALIGNED __attribute__((aligned(1), may_alias))

typedef float gyr_f32_u GYR_UNALIGNED;
typedef double gyr_f64_u GYR_UNALIGNED;
typedef _Float16 gyr_f16_u GYR_UNALIGNED;
typedef uint8_t gyr_u8_u GYR_UNALIGNED;
typedef int8_t gyr_i8_u GYR_UNALIGNED;
typedef uint16_t gyr_u16_u GYR_UNALIGNED;
typedef int16_t gyr_i16_u GYR_UNALIGNED;
typedef uint32_t gyr_u32_u GYR_UNALIGNED;
typedef int32_t gyr_i32_u GYR_UNALIGNED;
typedef uint64_t gyr_u64_u GYR_UNALIGNED;
typedef int64_t gyr_i64_u GYR_UNALIGNED;

#endif
