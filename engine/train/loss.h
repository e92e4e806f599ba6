/*
 * Losses over a batch, and their derivatives.
 */
#ifndef GYR_ENGINE_TRAIN_LOSS_H
#define GYR_ENGINE_TRAIN_LOSS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The mean of (y - t)^2 over COUNT elements; *GRADIENT (NULL: not wanted) becomes 2 (y - t) / COUNT.
 */
double gyr_loss_mse(const float *y, const float *t, size_t count, float *gradient);

/*
 * The mean over ROWS of -log softmax(y)[t], where y has CLASSES numbers a row and t is below CLASSES; GRADIENT (NULL: not wanted) becomes
 * (softmax(y) - onehot(t)) / ROWS. *RIGHT counts the rows whose largest number (the first of equals) is at t.
 */
double gyr_loss_cross_entropy(const float *y, const uint32_t *t, size_t rows, size_t classes, float *gradient, uint64_t *right);

#endif
