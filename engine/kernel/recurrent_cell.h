/*
 * What the cells of recurrent operators compute from their sums, LANES units at a time. Loops over lanes, which the compiler makes vector code of. Inside
 * engine/kernel.
 */
#ifndef GYR_ENGINE_KERNEL_RECURRENT_CELL_H
#define GYR_ENGINE_KERNEL_RECURRENT_CELL_H

#include <stddef.h>

#include "engine/kernel/function.h"
#include "engine/kernel/recurrent_internal.h"

#define RECURRENT_EACH(i) for (size_t i = 0; i < RECURRENT_LANES; i++)

/* X within [-CLIP, CLIP]; NaN stays. */
static inline void gyr_cell_clip(float clip, float *x, size_t count)
{
	for (size_t i = 0; i < count; i++)
		x[i] = x[i] < -clip ? -clip : x[i] > clip ? clip : x[i];
}

/* X += P * C */
static inline void gyr_cell_peep(const float *p, const float *c, float *x)
{
	RECURRENT_EACH(i)
	x[i] += p[i] * c[i];
}

/* sigmoid(x) tanh(y), with one division: e and t as in gyr_sigmoid and gyr_tanh. */
static inline float gyr_cell_sigmoid_tanh(float x, float y)
{
	float size = y < 0 ? -y : y, r;
	float power = gyr_exp_reduce(size > 10.0f ? 20.0f : 2 * size, &r);
	float t = power * gyr_expm1_small(r) + (power - 1.0f);
	float product = t / ((1.0f + gyr_exp(-x)) * (t + 2.0f));
	return y < 0 ? -product : product;
}

struct gyr_cell_lstm {
	float clip; /* of the sums, where CLIPS */
	bool clips, coupled;
};

/*
 * A cell of an LSTM in two halves, so that whoever has several computes the one half of all, then the other: each is a long chain, and they overlap. GATES: the
 * sums of input, output, forget and cell, which are overwritten; P: the peepholes of the first three, or NULL. C: in, the state before; out, after.
 */
static inline void gyr_cell_lstm_c(const struct gyr_cell_lstm *cell, const float *p, float (*gates)[RECURRENT_LANES], float *c)
{
	float *in = gates[0], *forget = gates[2];
	if (p != NULL) {
		gyr_cell_peep(p, c, in);
		gyr_cell_peep(p + 2 * RECURRENT_LANES, c, forget);
	}
	if (cell->clips) {
		gyr_cell_clip(cell->clip, in, RECURRENT_LANES);
		gyr_cell_clip(cell->clip, forget, 2 * RECURRENT_LANES);
	}
	if (cell->coupled)
		RECURRENT_EACH(i)
	c[i] = (1.0f - gyr_sigmoid(in[i])) * c[i] + gyr_cell_sigmoid_tanh(in[i], gates[3][i]);
	else RECURRENT_EACH(i) c[i] = gyr_sigmoid(forget[i]) * c[i] + gyr_cell_sigmoid_tanh(in[i], gates[3][i]);
}

/* H, from C as gyr_cell_lstm_c left it. */
static inline void gyr_cell_lstm_h(const struct gyr_cell_lstm *cell, const float *p, float (*gates)[RECURRENT_LANES], const float *c, float *h)
{
	float *out = gates[1];
	if (p != NULL)
		gyr_cell_peep(p + RECURRENT_LANES, c, out);
	if (cell->clips)
		gyr_cell_clip(cell->clip, out, RECURRENT_LANES);
	RECURRENT_EACH(i)
	h[i] = gyr_cell_sigmoid_tanh(out[i], c[i]);
}

/* Z = sigmoid of the update gate's sum; R = that of the reset gate's. */
static inline void gyr_cell_gru_gates(float clip, float *gates, float *z, float *r)
{
	gyr_cell_clip(clip, gates, 2 * RECURRENT_LANES);
	RECURRENT_EACH(i)
	z[i] = gyr_sigmoid(gates[i]);
	RECURRENT_EACH(i)
	r[i] = gyr_sigmoid(gates[RECURRENT_LANES + i]);
}

/* H, from the hidden gate's SUM and the state before, OLD. */
static inline void gyr_cell_gru(float clip, const float *z, float *sum, const float *old, float *h)
{
	gyr_cell_clip(clip, sum, RECURRENT_LANES);
	RECURRENT_EACH(i)
	{
		float hidden = gyr_tanh(sum[i]);
		h[i] = hidden + z[i] * (old[i] - hidden);
	}
}

static inline void gyr_cell_rnn(float clip, enum gyr_recurrent_function function, float *sum, float *h)
{
	gyr_cell_clip(clip, sum, RECURRENT_LANES);
	if (function == GYR_RECURRENT_TANH)
		RECURRENT_EACH(i)
	h[i] = gyr_tanh(sum[i]);
	else if (function == GYR_RECURRENT_SIGMOID) RECURRENT_EACH(i) h[i] = gyr_sigmoid(sum[i]);
	else RECURRENT_EACH(i) h[i] = gyr_relu(sum[i]);
}

#endif
