/*
 * The attributes of recurrent operators: see recurrent.h.
 */
#include "engine/model/recurrent.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "engine/model/op.h"

/* What a function takes of activation_alpha and activation_beta, and what it has where the lists end before: the defaults of ONNX's operator of that name. */
struct function_row {
	const char *name;
	bool takes_alpha, takes_beta;
	bool needed; /* there is no such operator, so no default */
	float alpha, beta;
};

static const struct function_row functions[] = {
	[GYR_RECURRENT_SIGMOID] = {"Sigmoid", false, false, false, 0, 0},
	[GYR_RECURRENT_TANH] = {"Tanh", false, false, false, 0, 0},
	[GYR_RECURRENT_RELU] = {"Relu", false, false, false, 0, 0},
	[GYR_RECURRENT_AFFINE] = {"Affine", true, true, true, 0, 0},
	[GYR_RECURRENT_LEAKY_RELU] = {"LeakyRelu", true, false, false, 0.01f, 0},
	[GYR_RECURRENT_THRESHOLDED_RELU] = {"ThresholdedRelu", true, false, false, 1, 0},
	[GYR_RECURRENT_SCALED_TANH] = {"ScaledTanh", true, true, true, 0, 0},
	[GYR_RECURRENT_HARD_SIGMOID] = {"HardSigmoid", true, true, false, 0.2f, 0.5f},
	[GYR_RECURRENT_ELU] = {"Elu", true, false, false, 1, 0},
	[GYR_RECURRENT_SOFTSIGN] = {"Softsign", false, false, false, 0, 0},
	[GYR_RECURRENT_SOFTPLUS] = {"Softplus", false, false, false, 0, 0},
};

#define FUNCTION_COUNT (sizeof functions / sizeof functions[0])

/* activation_alpha or activation_beta, as it is used up. */
struct numbers {
	const char *name;
	const struct gyr_attribute *attribute; /* or NULL */
	uint32_t used;
};

/*
 * A number for activation INDEX: the next that is left, as the schema says. ONNX Runtime's RNN reads it at the activation's own place instead, so where the two
 * are not one, whoever made the model may have meant either.
 */
static int take_number(const struct gyr_node *node, struct numbers *numbers, uint32_t index, const struct function_row *function, float otherwise, float *to,
		       struct gyr_error *error)
{
	if (numbers->attribute != NULL && numbers->used < numbers->attribute->numbers.count) {
		if (node->op == GYR_OP_RNN && numbers->used != index)
			return gyr_error_set(error, -EINVAL, "attribute '%s' may be read in two ways: activation '%s' is preceded by one that takes no number",
					     numbers->name, function->name);
		*to = numbers->attribute->numbers.items[numbers->used++];
		return 0;
	}
	*to = otherwise;
	return !function->needed ? 0 : gyr_error_set(error, -EINVAL, "activation '%s' needs a number of its own in '%s'", function->name, numbers->name);
}

static int check_used(const struct numbers *numbers, struct gyr_error *error)
{
	uint32_t count = numbers->attribute == NULL ? 0 : numbers->attribute->numbers.count;
	return count == numbers->used ? 0
				      : gyr_error_set(error, -EINVAL, "attribute '%s' has %" PRIu32 " numbers, and its activations take %" PRIu32,
						      numbers->name, count, numbers->used);
}

static int find_function(const char *name, enum gyr_recurrent_function *function, struct gyr_error *error)
{
	for (uint32_t i = 0; i < FUNCTION_COUNT; i++) {
		if (strcasecmp(functions[i].name, name) == 0) {
			*function = (enum gyr_recurrent_function)i;
			return 0;
		}
	}
	return gyr_error_set(error, -EINVAL, "activation '%s' is none that ONNX lists", name);
}

static int read_activations(const struct gyr_node *node, struct gyr_recurrent_cell *cell, struct gyr_error *error)
{
	static const enum gyr_recurrent_function usual[] = {GYR_RECURRENT_SIGMOID, GYR_RECURRENT_TANH, GYR_RECURRENT_TANH};
	const struct gyr_attribute *names = gyr_node_attribute(node, "activations");
	struct numbers alphas = {"activation_alpha", gyr_node_attribute(node, "activation_alpha"), 0};
	struct numbers betas = {"activation_beta", gyr_node_attribute(node, "activation_beta"), 0};
	if (names != NULL && names->strings.count != cell->directions * cell->functions)
		return gyr_error_set(error, -EINVAL, "attribute 'activations' has %" PRIu32 " names, not %" PRIu32, names->strings.count,
				     cell->directions * cell->functions);
	int status = 0;
	for (uint32_t i = 0; i < cell->directions * cell->functions && status == 0; i++) {
		struct gyr_recurrent_activation *to = &cell->activations[i / cell->functions][i % cell->functions];
		to->function = node->op == GYR_OP_RNN ? GYR_RECURRENT_TANH : usual[i % cell->functions];
		if (names != NULL)
			status = find_function(names->strings.items[i], &to->function, error);
		const struct function_row *function = &functions[to->function];
		if (status == 0 && function->takes_alpha)
			status = take_number(node, &alphas, i, function, function->alpha, &to->alpha, error);
		if (status == 0 && function->takes_beta)
			status = take_number(node, &betas, i, function, function->beta, &to->beta, error);
	}
	if (status == 0)
		status = check_used(&alphas, error);
	return status == 0 ? check_used(&betas, error) : status;
}

static int read_switch(const struct gyr_node *node, const char *name, bool *on, struct gyr_error *error)
{
	int64_t value = gyr_node_integer(node, name, 0);
	*on = value == 1;
	return value == 0 || value == 1 ? 0 : gyr_error_set(error, -EINVAL, "attribute '%s' is %" PRId64 " (0 or 1)", name, value);
}

int gyr_recurrent_read(const struct gyr_node *node, struct gyr_recurrent_cell *cell, struct gyr_error *error)
{
	const char *direction = gyr_node_string(node, "direction", "forward");
	bool lstm = node->op == GYR_OP_LSTM, both = strcmp(direction, "bidirectional") == 0;
	*cell = (struct gyr_recurrent_cell){
		.op = node->op,
		.gates = lstm                     ? 4
			 : node->op == GYR_OP_GRU ? 3
						  : 1,
		.functions = lstm                     ? 3
			     : node->op == GYR_OP_GRU ? 2
						      : 1,
		.directions = both ? 2 : 1,
		.reverse = strcmp(direction, "reverse") == 0,
		.clip = gyr_node_attribute(node, "clip") != NULL ? gyr_node_number(node, "clip", 0) : INFINITY,
	};
	if (!both && !cell->reverse && strcmp(direction, "forward") != 0)
		return gyr_error_set(error, -EINVAL, "attribute 'direction' is '%s' (forward, reverse or bidirectional)", direction);
	if (!(cell->clip > 0))
		return gyr_error_set(error, -EINVAL, "attribute 'clip' is %g (above 0)", (double)cell->clip);
	int status = read_switch(node, "layout", &cell->batch_first, error);
	if (status == 0)
		status = read_switch(node, "input_forget", &cell->input_forget, error);
	if (status == 0)
		status = read_switch(node, "linear_before_reset", &cell->linear_before_reset, error);
	return status == 0 ? read_activations(node, cell, error) : status;
}
