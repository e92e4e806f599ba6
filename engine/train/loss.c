#include "engine/train/loss.h"

#include <math.h>

double gyr_loss_mse(const float *y, const float *t, size_t count, float *gradient)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++) {
		double difference = (double)y[i] - (double)t[i];
		sum += difference * difference;
	}
	float scale = 2 / (float)count;
	for (size_t i = 0; i < count && gradient != NULL; i++)
		gradient[i] = scale * (y[i] - t[i]);
	return sum / (double)count;
}

double gyr_loss_cross_entropy(const float *y, const uint32_t *t, size_t rows, size_t classes, float *gradient, uint64_t *right)
{
	double loss = 0;
	*right = 0;
	for (size_t row = 0; row < rows; row++, y += classes) {
		size_t largest = 0;
		for (size_t i = 1; i < classes; i++)
			largest = y[i] > y[largest] ? i : largest;
		*right += largest == t[row];
		float sum = 0;
		for (size_t i = 0; i < classes; i++)
			sum += expf(y[i] - y[largest]);
		loss += log((double)sum) - ((double)y[t[row]] - (double)y[largest]);
		if (gradient == NULL)
			continue;
		float scale = 1 / (sum * (float)rows);
		for (size_t i = 0; i < classes; i++)
			gradient[i] = expf(y[i] - y[largest]) * scale;
		gradient[t[row]] -= 1 / (float)rows;
		gradient += classes;
	}
	return loss / (double)rows;
}
