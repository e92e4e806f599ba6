/*
 * Recurrent operators: see recurrent.h. The names of gates and functions are those of ONNX's schemas.
 */
#include "engine/ref/recurrent.h"

#include <math.h>
#include <string.h>

#include "engine/ref/unaligned.h"

struct gyr_recurrent_places gyr_recurrent_places(const struct gyr_recurrent *recurrent)
{
	size_t directions = recurrent->cell.directions, units = recurrent->units;
	if (recurrent->cell.batch_first)
		return (struct gyr_recurrent_places){.x_step = recurrent->inputs,
						     .x_row = recurrent->steps * recurrent->inputs,
						     .y_step = directions * units,
						     .y_direction = units,
						     .y_row = recurrent->steps * directions * units,
						     .direction = units,
						     .row = directions * units};
	return (struct gyr_recurrent_places){.x_step = recurrent->batch * recurrent->inputs,
					     .x_row = recurrent->inputs,
					     .y_step = directions * recurrent->batch * units,
					     .y_direction = recurrent->batch * units,
					     .y_row = units,
					     .direction = recurrent->batch * units,
					     .row = units};
}

size_t gyr_recurrent_length(const struct gyr_recurrent *recurrent, const void *lengths, size_t row)
{
	if (lengths == NULL)
		return recurrent->steps;
	int32_t length = ((const gyr_i32_u *)lengths)[row];
	return length < 0 ? 0 : (size_t)length > recurrent->steps ? recurrent->steps : (size_t)length;
}

static double apply(const struct gyr_recurrent_activation *activation, double x)
{
	double alpha = (double)activation->alpha, beta = (double)activation->beta;
	switch (activation->function) {
	case GYR_RECURRENT_SIGMOID: return 1 / (1 + exp(-x));
	case GYR_RECURRENT_TANH: return tanh(x);
	case GYR_RECURRENT_RELU: return x < 0 ? 0 : x;
	case GYR_RECURRENT_AFFINE: return alpha * x + beta;
	case GYR_RECURRENT_LEAKY_RELU: return x < 0 ? alpha * x : x;
	case GYR_RECURRENT_THRESHOLDED_RELU: return x < alpha ? 0 : x;
	case GYR_RECURRENT_SCALED_TANH: return alpha * tanh(beta * x);
	case GYR_RECURRENT_HARD_SIGMOID: x = alpha * x + beta; return x < 0 ? 0 : x > 1 ? 1 : x;
	case GYR_RECURRENT_ELU: return x < 0 ? alpha * expm1(x) : x;
	case GYR_RECURRENT_SOFTSIGN: return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
	case GYR_RECURRENT_SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	}
	return NAN;
}

double gyr_ref_recurrent_activate(const struct gyr_recurrent_activation *activation, double clip, double x)
{
	return apply(activation, x < -clip ? -clip : x > clip ? clip : x);
}

/* One direction of one row. */
struct lane {
	const struct gyr_recurrent *recurrent;
	const struct gyr_recurrent_activation *activations;
	const gyr_f32_u *w, *r, *wb, *rb, *p; /* of the direction; the biases and P may be NULL */
	double *sums;                         /* gates x units: before the activations */
	float *h, *c, *fresh;                 /* units: the states, and the next h */
};

static double dot(const gyr_f32_u *weights, const gyr_f32_u *x, size_t count)
{
	double sum = 0;
	for (size_t k = 0; k < count; k++)
		sum += (double)weights[k] * (double)x[k];
	return sum;
}

static double input_part(const struct lane *lane, const gyr_f32_u *x, size_t row)
{
	size_t inputs = lane->recurrent->inputs;
	return dot(lane->w + row * inputs, x, inputs) + (lane->wb != NULL ? (double)lane->wb[row] : 0);
}

static double state_part(const struct lane *lane, const float *h, size_t row)
{
	size_t units = lane->recurrent->units;
	return dot(lane->r + row * units, h, units) + (lane->rb != NULL ? (double)lane->rb[row] : 0);
}

static double activate(const struct lane *lane, uint32_t function, double x)
{
	return gyr_ref_recurrent_activate(&lane->activations[function], (double)lane->recurrent->cell.clip, x);
}

static void step_rnn(const struct lane *lane, const gyr_f32_u *x)
{
	for (size_t u = 0; u < lane->recurrent->units; u++)
		lane->fresh[u] = (float)activate(lane, 0, input_part(lane, x, u) + state_part(lane, lane->h, u));
}

static void step_gru(const struct lane *lane, const gyr_f32_u *x)
{
	size_t units = lane->recurrent->units;
	double *z = lane->sums, *r = z + units;
	for (size_t u = 0; u < 2 * units; u++)
		z[u] = activate(lane, 0, input_part(lane, x, u) + state_part(lane, lane->h, u));
	float *reset = lane->c; /* a GRU has no c */
	for (size_t u = 0; u < units; u++)
		reset[u] = (float)(r[u] * (double)lane->h[u]);
	for (size_t u = 0; u < units; u++) {
		bool before = lane->recurrent->cell.linear_before_reset;
		double state = before ? r[u] * state_part(lane, lane->h, 2 * units + u) : state_part(lane, reset, 2 * units + u);
		double hidden = activate(lane, 1, input_part(lane, x, 2 * units + u) + state);
		lane->fresh[u] = (float)((1 - z[u]) * hidden + z[u] * (double)lane->h[u]);
	}
}

static void step_lstm(const struct lane *lane, const gyr_f32_u *x)
{
	size_t units = lane->recurrent->units;
	const gyr_f32_u *p = lane->p;
	for (size_t row = 0; row < 4 * units; row++)
		lane->sums[row] = input_part(lane, x, row) + state_part(lane, lane->h, row);
	for (size_t u = 0; u < units; u++) {
		double i = lane->sums[u], o = lane->sums[units + u], f = lane->sums[2 * units + u], cell = lane->sums[3 * units + u];
		double old = (double)lane->c[u];
		i = activate(lane, 0, p != NULL ? i + (double)p[u] * old : i);
		f = lane->recurrent->cell.input_forget ? 1 - i : activate(lane, 0, p != NULL ? f + (double)p[2 * units + u] * old : f);
		double c = f * old + i * activate(lane, 1, cell);
		o = activate(lane, 0, p != NULL ? o + (double)p[units + u] * c : o);
		lane->c[u] = (float)c;
		lane->fresh[u] = (float)(o * gyr_ref_recurrent_activate(&lane->activations[2], INFINITY, c));
	}
}

size_t gyr_ref_recurrent_scratch_bytes(const struct gyr_recurrent *recurrent)
{
	return recurrent->units * (GYR_RECURRENT_GATES_MAX * sizeof(double) + 3 * sizeof(float));
}

/* A state's first content; without a step, it is also the last. */
static void begin(float *state, const gyr_f32_u *initial, size_t at, size_t units, size_t length)
{
	if (initial != NULL && length > 0)
		memcpy(state, initial + at, units * sizeof *state);
	else
		memset(state, 0, units * sizeof *state);
}

static void end(gyr_f32_u *to, size_t at, const float *state, size_t units)
{
	if (to != NULL)
		memcpy(to + at, state, units * sizeof *state);
}

static void run_row(struct lane *lane, const struct gyr_recurrent_ends *ends, uint32_t direction, size_t row)
{
	const struct gyr_recurrent *recurrent = lane->recurrent;
	const struct gyr_recurrent_places places = gyr_recurrent_places(recurrent);
	const gyr_f32_u *x = (const gyr_f32_u *)ends->x + row * places.x_row;
	size_t units = recurrent->units, length = gyr_recurrent_length(recurrent, ends->lengths, row);
	size_t state = direction * places.direction + row * places.row, y = direction * places.y_direction + row * places.y_row;
	bool back = recurrent->cell.reverse || direction == 1, lstm = recurrent->cell.op == GYR_OP_LSTM;
	begin(lane->h, ends->initial_h, state, units, length);
	begin(lane->c, lstm ? ends->initial_c : NULL, state, units, length);
	for (size_t i = 0; i < length; i++) {
		size_t step = back ? length - 1 - i : i;
		(lstm ? step_lstm : recurrent->cell.op == GYR_OP_GRU ? step_gru : step_rnn)(lane, x + step * places.x_step);
		memcpy(lane->h, lane->fresh, units * sizeof *lane->h);
		end(ends->y, y + step * places.y_step, lane->h, units);
	}
	for (size_t step = length; step < recurrent->steps && ends->y != NULL; step++)
		memset((gyr_f32_u *)ends->y + y + step * places.y_step, 0, units * sizeof(float));
	end(ends->y_h, state, lane->h, units);
	end(lstm ? ends->y_c : NULL, state, lane->c, units);
}

void gyr_ref_recurrent(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_ends *ends, void *scratch)
{
	size_t units = recurrent->units, rows = recurrent->cell.gates * units;
	struct lane lane = {.recurrent = recurrent, .sums = scratch};
	lane.h = (float *)(lane.sums + GYR_RECURRENT_GATES_MAX * units);
	lane.c = lane.h + units;
	lane.fresh = lane.c + units;
	for (uint32_t direction = 0; direction < recurrent->cell.directions; direction++) {
		lane.activations = recurrent->cell.activations[direction];
		lane.w = (const gyr_f32_u *)ends->w + direction * rows * recurrent->inputs;
		lane.r = (const gyr_f32_u *)ends->r + direction * rows * units;
		lane.wb = ends->b != NULL ? (const gyr_f32_u *)ends->b + direction * 2 * rows : NULL;
		lane.rb = ends->b != NULL ? lane.wb + rows : NULL;
		lane.p = recurrent->peepholes ? (const gyr_f32_u *)ends->p + direction * 3 * units : NULL;
		for (size_t row = 0; row < recurrent->batch; row++)
			run_row(&lane, ends, direction, row);
	}
}
