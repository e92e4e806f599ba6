/*
 * The square family: Det, by elimination in double with the largest of each column first.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/ref/number.h"

#define SIDE_MAX 512u /* the time is its cube */

struct det {
	enum gyr_dtype dtype;
	size_t count, side;
};

/* The determinant of A [side, side], which is used up. */
static double determinant(size_t side, double *a)
{
	double product = 1;
	for (size_t k = 0; k < side; k++) {
		size_t pivot = k;
		for (size_t row = k + 1; row < side; row++)
			pivot = fabs(a[row * side + k]) > fabs(a[pivot * side + k]) ? row : pivot;
		for (size_t column = k; column < side && pivot != k; column++) {
			double other = a[k * side + column];
			a[k * side + column] = a[pivot * side + column];
			a[pivot * side + column] = other;
		}
		product *= pivot != k ? -a[k * side + k] : a[k * side + k];
		if (a[k * side + k] == 0)
			return 0;
		for (size_t row = k + 1; row < side; row++) {
			double by = a[row * side + k] / a[k * side + k];
			for (size_t column = k + 1; column < side; column++)
				a[row * side + column] -= by * a[k * side + column];
		}
	}
	return product;
}

static void run_det(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct det *det = params;
	size_t elements = det->side * det->side;
	double *a = scratch;
	for (size_t i = 0; i < det->count; i++) {
		for (size_t k = 0; k < elements; k++)
			a[k] = gyr_number_load(det->dtype, inputs[0], i * elements + k).real;
		gyr_number_store(det->dtype, outputs[0], i, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = determinant(det->side, a)});
	}
}

static int prepare_det(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct det *det = KERNEL_PARAMS(prepare, struct det);
	if (det == NULL)
		return -ENOMEM;
	*det = (struct det){.dtype = x->dtype, .count = kernel_product(x, 0, x->rank - 2), .side = (size_t)x->dims[x->rank - 1]};
	if (det->side > SIDE_MAX)
		return gyr_error_set(prepare->error, -ENOTSUP, "its matrices have %zu rows (%u at most)", det->side, SIDE_MAX);
	prepare->scratch_bytes = det->side * det->side * sizeof(double);
	prepare->run = run_det;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_DET, prepare_det},
};

const struct kernel_family kernel_family_square = {rows, KERNEL_COUNT(rows)};
