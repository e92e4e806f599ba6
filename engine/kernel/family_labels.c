/*
 * LabelEncoder: a number for each number that is a key. Small, plain C, and the same with and without prepare->reference.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/model/ml.h"
#include "engine/ref/number.h"

/* Numbers compare as they are: all NaNs are one key, and the zeros are one. */
struct encoder {
	enum gyr_dtype from;
	size_t count, key_count, value_bytes;
	const struct gyr_number *keys; /* in order, each once */
	const char *values;            /* one for each key, in its order, and behind them the one for all else */
};

static int compare_numbers(const struct gyr_number *a, const struct gyr_number *b)
{
	if (a->kind == GYR_NUMBER_REAL) {
		bool a_none = isnan(a->real), b_none = isnan(b->real);
		return a_none || b_none ? (int)a_none - (int)b_none : (a->real > b->real) - (a->real < b->real);
	}
	int64_t left = (int64_t)a->integer, right = (int64_t)b->integer;
	return (left > right) - (left < right);
}

static void run_encoder(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct encoder *encoder = params;
	for (size_t i = 0; i < encoder->count; i++) {
		struct gyr_number number = gyr_number_load(encoder->from, inputs[0], i);
		size_t low = 0, high = encoder->key_count;
		while (low < high) {
			size_t middle = low + (high - low) / 2;
			if (compare_numbers(&encoder->keys[middle], &number) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		size_t at = low < encoder->key_count && compare_numbers(&encoder->keys[low], &number) == 0 ? low : encoder->key_count;
		memcpy((char *)outputs[0] + i * encoder->value_bytes, encoder->values + at * encoder->value_bytes, encoder->value_bytes);
	}
}

struct entry {
	struct gyr_number key;
	size_t index;
};

static int compare_entries(const void *a, const void *b)
{
	return compare_numbers(&((const struct entry *)a)->key, &((const struct entry *)b)->key);
}

/* The value for what is not among the keys. */
static void default_value(const struct gyr_node *node, enum gyr_dtype dtype, void *value)
{
	const struct gyr_attribute *tensor = gyr_node_attribute(node, "default_tensor");
	float number = gyr_node_number(node, "default_float", -0.0f);
	int64_t integer = gyr_node_integer(node, "default_int64", -1);
	if (tensor != NULL)
		memcpy(value, tensor->tensor.data, gyr_dtype_bytes(dtype));
	else if (dtype == GYR_DTYPE_F32)
		memcpy(value, &number, sizeof number);
	else
		memcpy(value, &integer, sizeof integer);
}

static int no_memory(struct gyr_prepare *prepare)
{
	return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
}

/* Sorts the keys. What ONNX and its runtimes take differently is refused: a key with two values, and NaN as a key before opset 4. */
static int sort_keys(struct gyr_prepare *prepare, const struct gyr_ml_list *keys, const struct gyr_ml_list *values, struct entry *entries,
		     struct encoder *encoder)
{
	struct gyr_number *own_keys = GYR_ARENA_NEW(prepare->arena, struct gyr_number, keys->count);
	char *own_values = gyr_arena_array(prepare->arena, keys->count + 1, encoder->value_bytes, 16);
	if (own_keys == NULL || own_values == NULL)
		return no_memory(prepare);
	for (size_t i = 0; i < keys->count; i++) {
		entries[i] = (struct entry){gyr_number_load(keys->dtype, keys->items, i), i};
		if (prepare->opset < 4 && entries[i].key.kind == GYR_NUMBER_REAL && isnan(entries[i].key.real))
			return gyr_error_set(prepare->error, -ENOTSUP, "NaN as a key (from opset 4 on)");
	}
	qsort(entries, keys->count, sizeof *entries, compare_entries);
	for (size_t i = 0; i < keys->count; i++) {
		const char *value = (const char *)values->items + entries[i].index * encoder->value_bytes;
		size_t last = encoder->key_count;
		if (last != 0 && compare_numbers(&own_keys[last - 1], &entries[i].key) == 0) {
			if (memcmp(own_values + (last - 1) * encoder->value_bytes, value, encoder->value_bytes) != 0)
				return gyr_error_set(prepare->error, -ENOTSUP, "a key with two values");
			continue;
		}
		own_keys[last] = entries[i].key;
		memcpy(own_values + last * encoder->value_bytes, value, encoder->value_bytes);
		encoder->key_count++;
	}
	default_value(prepare->node, values->dtype, own_values + encoder->key_count * encoder->value_bytes);
	encoder->keys = own_keys;
	encoder->values = own_values;
	return 0;
}

static int prepare_encoder(struct gyr_prepare *prepare)
{
	struct gyr_ml_list keys, values;
	struct encoder *encoder = KERNEL_PARAMS(prepare, struct encoder);
	if (encoder == NULL)
		return -ENOMEM;
	if (!gyr_ml_label_lists(prepare->node, &keys, &values))
		return gyr_error_set(prepare->error, -ENOTSUP, "its keys and values are not lists of numbers");
	*encoder = (struct encoder){.from = keys.dtype, .count = kernel_count(prepare->inputs[0]), .value_bytes = gyr_dtype_bytes(values.dtype)};
	prepare->run = run_encoder;
	struct entry *entries = calloc(keys.count + 1, sizeof *entries);
	if (entries == NULL)
		return no_memory(prepare);
	int status = sort_keys(prepare, &keys, &values, entries, encoder);
	free(entries);
	return status;
}

static const struct kernel_row rows[] = {
	{GYR_OP_LABEL_ENCODER, prepare_encoder},
};

const struct kernel_family kernel_family_labels = {rows, KERNEL_COUNT(rows)};
