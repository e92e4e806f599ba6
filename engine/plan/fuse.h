/*
 * Passes: each looks for something in a draft and puts something better in its place. What a pass may use is in draft.h; each is in a file of its own.
 *
 * A pass gives the same results but for rounding, whose bound it states; nodes that make what it cannot prove to be the same, it leaves alone. Plans of the
 * plain twins are made without passes.
 */
#ifndef GYR_ENGINE_PLAN_FUSE_H
#define GYR_ENGINE_PLAN_FUSE_H

#include "base/error.h"
#include "engine/plan/draft.h"

/* Runs every pass, in order. -ENOMEM. */
GYR_MUST_CHECK int gyr_draft_fuse(struct gyr_draft *draft, struct gyr_error *error);

/* A pass. -ENOMEM. */
typedef int gyr_draft_pass_fn(struct gyr_draft *draft, struct gyr_error *error);

/*
 * Turns each Gemm and MatMul on f32 whose right side (and C, the same for all rows) is constant into a dense layer, and lets it take in
 * - before it: Add, Sub, Mul and Div by a constant that is one number or one for each of its inputs, in weights and bias;
 * - behind it: the same with one for each of its outputs; then one Relu, Sigmoid, Tanh or Gelu.
 * What changes is rounding alone, by at most 2^-22 * (sum of |x w| + |bias|) for each operator taken in. To keep that, an operator stays outside when it would
 * make a weight overflow or vanish, or shifts an input by more than 4 (subtracting a large mean after the product would cancel).
 */
gyr_draft_pass_fn gyr_fuse_dense;

/*
 * Lets each Conv and ConvTranspose on f32 with constant weights take in what scales and shifts its result by constants, one number for each channel or for all:
 * BatchNormalization, and Add, Sub, Mul and Div. What changes is rounding alone, by at most 2^-22 * (sum of |x w scale| + |shift|) for each; one that would
 * make a weight overflow or vanish stays outside.
 */
gyr_draft_pass_fn gyr_fuse_channels;

/*
 * Puts one node (engine/kernel/attention.h) in the place of attention as exporters write it: MatMul(Q, K^T), scaled before or after, a mask added or Where with
 * a number, Softmax, MatMul with V, and a Transpose; where Q, K and V lie is followed through transposes, views, slices, splits and gathers of one index, so
 * that these go. What changes is rounding alone: of the scores by at most 2^-22 * (depth + 4) * (sum of |scale q k|), which the softmax passes on as a relative
 * error. Scales above 1, at which keys that are scaled beforehand could overflow, and operands that broadcast, stay outside.
 */
gyr_draft_pass_fn gyr_fuse_attention;

/*
 * Takes nodes away that pass on an input as it is, to the last bit, -0 and NaN included: Add, Sub, Mul, Div and Pow with a neutral number, Transpose that moves
 * only dimensions of 1 or undoes another, Slice, Expand, Tile, Pad and Dropout without effect, and what has one input only. Two Transposes in a row become one.
 */
gyr_draft_pass_fn gyr_fuse_nothing;

/* Lets each node that computes what one before it has computed, from the same inputs and attributes, share the other's results. */
gyr_draft_pass_fn gyr_fuse_same;

/*
 * Puts a HardSwish in the place of x * Clip(x + 3, 0, 6) / 6, in either order, and of x * HardSigmoid(x) that is the same. Rounding: by at most 2^-21 * |x|.
 */
gyr_draft_pass_fn gyr_fuse_swish;

/*
 * Puts Gelu in the place of its formula, by Erf or by Tanh, with the factors in any order and each constant within a relative 1e-6 of what it should be (0.5
 * and 1 exactly). What changes is the rounding of the formula's steps, and of those constants: a relative 3e-6, and an absolute 3e-7 where x is negative.
 */
gyr_draft_pass_fn gyr_fuse_gelu;

/*
 * Puts LayerNormalization in the place of its formula over the last dimensions, with or without constant scale and bias. What changes is the rounding of the
 * formula's steps: at most 2^-20 * (|y - bias| + |scale|), but where the formula itself loses all digits (a spread of 1e-6 of the mean).
 */
gyr_draft_pass_fn gyr_fuse_normalise;

/*
 * Puts the channels last in each value that a Conv on f32 with constant, finite weights reads or makes, and in what is computed from such values element by
 * element, by pooling, or by concatenating channels; where another node needs the channels first, a Transpose is put in. Where a dimension of 1 makes both the
 * same, they are views of each other. Rounding: that of sums in another order (engine/kernel/conv_last.h, pool_last.h).
 */
gyr_draft_pass_fn gyr_fuse_layout;

/*
 * Lets each convolution with channels last take in the one activation, and before that the one Add of a value of the same shape, behind it. Rounding: of the
 * activations' formulas, by at most 2^-21.
 */
gyr_draft_pass_fn gyr_fuse_last;

#endif
