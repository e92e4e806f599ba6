/*
 * The loss family: plain code for any floating-point type, summed in double.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/ref/number.h"

struct loss {
	size_t outer, classes, inner; /* scores are [outer, classes, inner] */
	enum gyr_dtype dtype, targets;
	bool softmax; /* the scores are not logarithms of probabilities yet */
	bool each;    /* no reduction */
	bool mean;
	bool weighed;
	bool ignores;
	bool probabilities; /* output 1 is asked for */
	int64_t ignored;
};

/* What is taken from each score at FIRST (and every inner'th) to give the logarithm of its probability. */
static double log_sum(const struct loss *loss, const void *scores, size_t first)
{
	double most = -INFINITY, sum = 0;
	for (size_t c = 0; c < loss->classes; c++)
		most = fmax(most, gyr_number_load_real(loss->dtype, scores, first + c * loss->inner));
	for (size_t c = 0; c < loss->classes; c++)
		sum += exp(gyr_number_load_real(loss->dtype, scores, first + c * loss->inner) - most);
	return most + log(sum);
}

/* A target that is no class has no loss: it is NaN, and so is what is summed from it. */
static void run_loss(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct loss *loss = params;
	double total = 0, weights = 0;
	for (size_t n = 0; n < loss->outer; n++)
		for (size_t k = 0; k < loss->inner; k++) {
			size_t at = n * loss->inner + k, first = n * loss->classes * loss->inner + k;
			int64_t target = (int64_t)gyr_number_load(loss->targets, inputs[1], at).integer;
			bool ignored = loss->ignores && target == loss->ignored, known = target >= 0 && (uint64_t)target < loss->classes;
			double less = loss->softmax ? log_sum(loss, inputs[0], first) : 0, value = 0, weight = 0;
			if (!ignored && known) {
				weight = loss->weighed ? gyr_number_load_real(loss->dtype, inputs[2], (size_t)target) : 1;
				value = -(gyr_number_load_real(loss->dtype, inputs[0], first + (size_t)target * loss->inner) - less) * weight;
			} else if (!ignored) {
				value = NAN;
			}
			for (size_t c = 0; c < loss->classes && loss->probabilities; c++)
				gyr_number_store_real(loss->dtype, outputs[1], first + c * loss->inner,
						      gyr_number_load_real(loss->dtype, inputs[0], first + c * loss->inner) - less);
			if (loss->each)
				gyr_number_store_real(loss->dtype, outputs[0], at, value);
			total += value;
			weights += weight;
		}
	if (!loss->each)
		gyr_number_store_real(loss->dtype, outputs[0], 0, loss->mean ? total / weights : total);
}

static int prepare_loss(struct gyr_prepare *prepare)
{
	const struct gyr_shape *scores = prepare->inputs[0];
	const struct gyr_attribute *ignored = gyr_node_attribute(prepare->node, "ignore_index");
	const char *reduction = gyr_node_string(prepare->node, "reduction", "mean");
	struct loss *loss = KERNEL_PARAMS(prepare, struct loss);
	if (loss == NULL)
		return -ENOMEM;
	*loss = (struct loss){
		.outer = (size_t)scores->dims[0],
		.classes = (size_t)scores->dims[1],
		.inner = kernel_product(scores, 2, scores->rank),
		.dtype = scores->dtype,
		.targets = prepare->inputs[1]->dtype,
		.softmax = prepare->node->op == GYR_OP_SOFTMAX_CROSS_ENTROPY_LOSS,
		.each = strcmp(reduction, "none") == 0,
		.mean = strcmp(reduction, "mean") == 0,
		.weighed = kernel_input(prepare, 2) != NULL,
		.ignores = ignored != NULL,
		.ignored = ignored != NULL ? ignored->integer : 0,
		.probabilities = prepare->node->output_count > 1 && prepare->node->outputs[1] != GYR_VALUE_NONE,
	};
	prepare->run = run_loss;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, prepare_loss},
	{GYR_OP_SOFTMAX_CROSS_ENTROPY_LOSS, prepare_loss},
};

const struct kernel_family kernel_family_loss = {rows, KERNEL_COUNT(rows)};
