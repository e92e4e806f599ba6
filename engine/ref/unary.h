/*
 * Functions of one element, on every type that ONNX has them on.
 */
#ifndef GYR_ENGINE_REF_UNARY_H
#define GYR_ENGINE_REF_UNARY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tensor.h"
#include "engine/model/op.h"

struct gyr_unary {
	enum gyr_op op;
	enum gyr_dtype from, to; /* TO is FROM, or bool where the operator asks a question */
	float alpha, beta;       /* the operator's attributes: alpha or lambd, and beta, gamma or bias */
	bool first, second;      /* IsInf: of negatives, of positives; Gelu: first is the approximation by tanh */
};

/*
 * Y[i] = op(X[i]) for COUNT elements of any alignment; Y may be X where the types are one. Computed in double and rounded once; on integers exactly, and
 * wrapping, where the operator means something on them. NaN stays NaN. Any thread.
 */
void gyr_ref_unary(const struct gyr_unary *unary, size_t count, const void *x, void *y);

#endif
