/*
 * The signal family, in double. A transform whose length is a power of two is Cooley and Tukey's, in place; any other is summed as it is defined.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "engine/kernel/family.h"
#include "engine/model/signal.h"
#include "engine/ref/number.h"

struct complex {
	double real, imaginary;
};

struct dft {
	struct gyr_dft how;
	enum gyr_dtype dtype;
	bool fast, window;
	const struct complex *roots; /* exp(-2 pi i k / length), or its conjugate for the inverse */
};

static struct complex multiply(struct complex a, struct complex b)
{
	return (struct complex){a.real * b.real - a.imaginary * b.imaginary, a.real * b.imaginary + a.imaginary * b.real};
}

/* X in bit-reversed order, then doubled transforms. */
static void transform_fast(const struct dft *dft, struct complex *x)
{
	size_t length = (size_t)dft->how.length;
	for (size_t i = 0, j = 0; i < length; i++) {
		if (i < j) {
			struct complex kept = x[i];
			x[i] = x[j];
			x[j] = kept;
		}
		size_t bit = length >> 1;
		for (; bit != 0 && (j & bit) != 0; bit >>= 1)
			j ^= bit;
		j |= bit;
	}
	for (size_t half = 1; half < length; half *= 2)
		for (size_t first = 0; first < length; first += 2 * half)
			for (size_t k = 0; k < half; k++) {
				struct complex low = x[first + k], high = multiply(x[first + k + half], dft->roots[k * (length / (2 * half))]);
				x[first + k] = (struct complex){low.real + high.real, low.imaginary + high.imaginary};
				x[first + k + half] = (struct complex){low.real - high.real, low.imaginary - high.imaginary};
			}
}

static void transform_direct(const struct dft *dft, const struct complex *x, struct complex *y)
{
	size_t length = (size_t)dft->how.length;
	for (size_t bin = 0; bin < (size_t)dft->how.bins; bin++) {
		struct complex sum = {0, 0};
		for (size_t i = 0, root = 0; i < length; i++) {
			struct complex part = multiply(x[i], dft->roots[root]);
			sum.real += part.real;
			sum.imaginary += part.imaginary;
			root += bin;
			root -= root >= length ? length : 0;
		}
		y[bin] = sum;
	}
}

static void run_dft(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct dft *dft = params;
	const struct gyr_dft *how = &dft->how;
	struct complex *x = scratch, *y = dft->fast ? x : x + how->length;
	double scale = how->inverse ? 1 / (double)how->length : 1;
	for (int64_t index = 0; index < how->outer * how->frames * how->inner; index++) {
		int64_t k = index % how->inner, frame = index / how->inner % how->frames, outer = index / how->inner / how->frames;
		for (int64_t i = 0; i < how->length; i++) {
			int64_t time = frame * how->step + i;
			size_t at = (size_t)(((outer * how->signal + time) * how->inner + k) * how->parts);
			double weight = dft->window ? gyr_number_load(dft->dtype, inputs[2], (size_t)i).real : 1;
			x[i] = (struct complex){0, 0};
			if (time >= how->signal)
				continue;
			x[i].real = gyr_number_load(dft->dtype, inputs[0], at).real * weight;
			if (how->parts == 2)
				x[i].imaginary = gyr_number_load(dft->dtype, inputs[0], at + 1).real * weight;
		}
		if (dft->fast)
			transform_fast(dft, x);
		else
			transform_direct(dft, x, y);
		for (int64_t bin = 0; bin < how->bins; bin++) {
			size_t at = (size_t)((((outer * how->frames + frame) * how->bins + bin) * how->inner + k) * 2);
			gyr_number_store_real(dft->dtype, outputs[0], at, y[bin].real * scale);
			gyr_number_store_real(dft->dtype, outputs[0], at + 1, y[bin].imaginary * scale);
		}
	}
}

static int prepare_dft(struct gyr_prepare *prepare)
{
	struct gyr_shape shape;
	struct gyr_infer infer = kernel_infer(prepare, &shape);
	struct dft *dft = KERNEL_PARAMS(prepare, struct dft);
	if (dft == NULL)
		return -ENOMEM;
	int status = gyr_infer_dft(&infer, &dft->how);
	if (status != 0)
		return status == -EAGAIN ? -ENOTSUP : status;
	size_t length = (size_t)dft->how.length;
	struct complex *roots = GYR_ARENA_NEW(prepare->arena, struct complex, length);
	if (roots == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
	for (size_t k = 0; k < length; k++) {
		double angle = (dft->how.inverse ? 2 : -2) * M_PI * (double)k / (double)length;
		roots[k] = (struct complex){cos(angle), sin(angle)};
	}
	dft->dtype = prepare->inputs[0]->dtype;
	dft->fast = (length & (length - 1)) == 0;
	dft->window = prepare->node->op == GYR_OP_STFT && kernel_input(prepare, 2) != NULL;
	dft->roots = roots;
	prepare->scratch_bytes = (dft->fast ? 1 : 2) * length * sizeof(struct complex);
	prepare->run = run_dft;
	return 0;
}

struct window {
	size_t size;
	bool periodic;
	enum gyr_dtype dtype;
	double mean, first, second; /* mean - first * cos(2 pi i / n) + second * cos(4 pi i / n) */
};

static void run_window(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct window *window = params;
	double period = window->periodic || window->size < 2 ? (double)window->size : (double)(window->size - 1);
	for (size_t i = 0; i < window->size; i++) {
		double angle = 2 * M_PI * (double)i / period;
		gyr_number_store_real(window->dtype, outputs[0], i, window->mean - window->first * cos(angle) + window->second * cos(2 * angle));
	}
}

static int prepare_window(struct gyr_prepare *prepare)
{
	static const struct {
		enum gyr_op op;
		double mean, first, second;
	} kinds[] = {{GYR_OP_HANN_WINDOW, 0.5, 0.5, 0}, {GYR_OP_HAMMING_WINDOW, 25.0 / 46, 21.0 / 46, 0}, {GYR_OP_BLACKMAN_WINDOW, 0.42, 0.5, 0.08}};
	const struct gyr_shape *y = &prepare->outputs[0];
	struct window *window = KERNEL_PARAMS(prepare, struct window);
	if (window == NULL)
		return -ENOMEM;
	*window = (struct window){.size = (size_t)y->dims[0], .periodic = gyr_node_integer(prepare->node, "periodic", 1) != 0, .dtype = y->dtype};
	for (size_t i = 0; i < KERNEL_COUNT(kinds); i++)
		if (kinds[i].op == prepare->node->op) {
			window->mean = kinds[i].mean;
			window->first = kinds[i].first;
			window->second = kinds[i].second;
		}
	prepare->run = run_window;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_BLACKMAN_WINDOW, prepare_window}, {GYR_OP_DFT, prepare_dft},  {GYR_OP_HAMMING_WINDOW, prepare_window},
	{GYR_OP_HANN_WINDOW, prepare_window},     {GYR_OP_STFT, prepare_dft},
};

const struct kernel_family kernel_family_signal = {rows, KERNEL_COUNT(rows)};
