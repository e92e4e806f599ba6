/*
 * Einstein sums: see einsum.h.
 *
 * While it is read, a label has a symbol: its letter, or DOTS + p for the dimension that lies p before the last of those that "..." stands for. At the end
 * symbols become labels, those of the result first.
 */
#include "engine/model/einsum.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DOTS 128u
#define SYMBOLS (DOTS + GYR_RANK_MAX)
#define NO_LABEL 255u

/* One term: the symbols of its dimensions. */
struct term {
	uint32_t rank;
	bool dots;
	uint32_t dots_at;              /* how many letters stand before "..." */
	uint8_t symbols[GYR_RANK_MAX]; /* at first, letters alone */
};

static int bad(const struct gyr_infer *infer, const char *why)
{
	return gyr_error_set(infer->error, -EINVAL, "its equation %s", why);
}

/* Reads a term from *AT, up to a comma, an arrow or the end. */
static int read_term(const struct gyr_infer *infer, const char **at, struct term *term)
{
	const char *c = *at;
	*term = (struct term){0};
	for (; *c != 0 && *c != ',' && *c != '-'; c++) {
		if (*c == ' ')
			continue;
		if (*c == '.') {
			if (term->dots || c[1] != '.' || c[2] != '.')
				return bad(infer, "has a '.' that is no part of one '...'");
			term->dots = true;
			term->dots_at = term->rank;
			c += 2;
			continue;
		}
		if (!isalpha((unsigned char)*c) || (unsigned char)*c >= DOTS)
			return bad(infer, "has something in it that is no letter");
		if (term->rank == GYR_RANK_MAX)
			return bad(infer, "has a term of too many letters");
		term->symbols[term->rank++] = (uint8_t)*c;
	}
	*at = c;
	return 0;
}

/* Puts the COUNT dimensions that "..." stands for into TERM; with its letters they are GYR_RANK_MAX at most. */
static void spread_dots(struct term *term, uint32_t count)
{
	uint8_t letters[GYR_RANK_MAX];
	memcpy(letters, term->symbols, sizeof letters);
	if (!term->dots || count == 0)
		return;
	for (uint32_t i = 0; i < GYR_RANK_MAX; i++) {
		bool before = i < term->dots_at, inside = !before && i < term->dots_at + count;
		term->symbols[i] = before ? letters[i] : inside ? (uint8_t)(DOTS + count - 1 - (i - term->dots_at)) : letters[i - count];
	}
	term->rank += count;
}

/* Reads the operands' terms; *DOTS_RANK is how many dimensions "..." stands for at most, and COUNTS how often each letter stands. */
static int read_operands(const struct gyr_infer *infer, const char **at, struct gyr_einsum *einsum, struct term *terms, uint32_t *dots_rank, uint32_t *counts)
{
	uint32_t inputs = infer->node->input_count;
	*dots_rank = 0;
	for (uint32_t i = 0; i < inputs; i++) {
		struct term *term = &terms[i];
		uint32_t rank = infer->inputs[i]->rank;
		int status = read_term(infer, at, term);
		if (status != 0)
			return status;
		if ((**at == ',') != (i + 1 < inputs))
			return gyr_error_set(infer->error, -EINVAL, "its equation has not as many terms as there are inputs (%" PRIu32 ")", inputs);
		*at += **at == ',';
		if (term->rank > rank || (term->rank < rank && !term->dots))
			return gyr_error_set(infer->error, -EINVAL, "its equation has %" PRIu32 " letters for input %" PRIu32 " of %" PRIu32 " dimensions",
					     term->rank, i, rank);
		for (uint32_t k = 0; k < term->rank; k++)
			counts[term->symbols[k]]++;
		if (rank - term->rank > *dots_rank)
			*dots_rank = rank - term->rank;
		spread_dots(term, rank - term->rank);
		einsum->ranks[i] = (uint8_t)rank;
	}
	return 0;
}

/* Reads what stands behind the arrow, or makes it. */
static int read_result(const struct gyr_infer *infer, const char *at, uint32_t dots_rank, const uint32_t *counts, struct term *result)
{
	bool arrow = *at == '-';
	*result = (struct term){.dots = true};
	if (arrow) {
		if (at[1] != '>')
			return bad(infer, "has a '-' that is no part of '->'");
		at += 2;
		int status = read_term(infer, &at, result);
		if (status != 0)
			return status;
		if (*at != 0)
			return bad(infer, "has something behind its result");
		if (!result->dots && dots_rank > 0)
			return bad(infer, "leaves out of its result what '...' stands for");
	}
	for (uint8_t c = 'A'; c <= 'z' && !arrow; c++) {
		if (counts[c] == 1 && result->rank == GYR_RANK_MAX)
			return bad(infer, "has a result of too many dimensions");
		if (counts[c] == 1)
			result->symbols[result->rank++] = c;
	}
	for (uint32_t i = 0; i < result->rank; i++) {
		if (counts[result->symbols[i]] == 0)
			return bad(infer, "has a letter in its result that no input has");
		if (memchr(result->symbols, result->symbols[i], i) != NULL)
			return bad(infer, "has a letter twice in its result");
	}
	if (result->rank + (result->dots ? dots_rank : 0) > GYR_RANK_MAX)
		return bad(infer, "has a result of too many dimensions");
	spread_dots(result, dots_rank);
	return 0;
}

/* The sizes of labels, and that a diagonal's sides are as long as each other. */
static int find_sizes(const struct gyr_infer *infer, struct gyr_einsum *einsum)
{
	for (uint32_t l = 0; l < einsum->label_count; l++)
		einsum->sizes[l] = 1;
	for (uint32_t i = 0; i < einsum->operand_count; i++) {
		const struct gyr_shape *shape = infer->inputs[i];
		for (uint32_t k = 0; k < shape->rank; k++) {
			int64_t *size = &einsum->sizes[einsum->labels[i][k]];
			for (uint32_t before = 0; before < k; before++)
				if (einsum->labels[i][before] == einsum->labels[i][k] && shape->dims[before] != shape->dims[k])
					return bad(infer, "takes the diagonal of what is not square");
			if (*size != shape->dims[k] && *size != 1 && shape->dims[k] != 1)
				return gyr_error_set(infer->error, -EINVAL, "one letter of its equation is %" PRId64 " and %" PRId64 " long", *size,
						     shape->dims[k]);
			*size = *size == 1 ? shape->dims[k] : *size;
		}
	}
	return 0;
}

int gyr_einsum_read(const struct gyr_infer *infer, struct gyr_einsum *einsum)
{
	struct term terms[GYR_EINSUM_OPERANDS_MAX], result;
	uint32_t counts[SYMBOLS] = {0}, dots_rank;
	uint8_t label_of[SYMBOLS];
	const char *at = gyr_node_string(infer->node, "equation", "");
	*einsum = (struct gyr_einsum){.operand_count = infer->node->input_count};
	if (einsum->operand_count > GYR_EINSUM_OPERANDS_MAX)
		return gyr_error_set(infer->error, -E2BIG, "%" PRIu32 " operands (at most %u)", einsum->operand_count, GYR_EINSUM_OPERANDS_MAX);
	int status = read_operands(infer, &at, einsum, terms, &dots_rank, counts);
	if (status == 0)
		status = read_result(infer, at, dots_rank, counts, &result);
	if (status != 0)
		return status;
	memset(label_of, NO_LABEL, sizeof label_of);
	for (uint32_t i = 0; i < result.rank; i++)
		label_of[result.symbols[i]] = (uint8_t)einsum->label_count++;
	einsum->output_rank = result.rank;
	for (uint32_t i = 0; i < einsum->operand_count; i++) {
		for (uint32_t k = 0; k < terms[i].rank; k++) {
			uint8_t *label = &label_of[terms[i].symbols[k]];
			*label = *label == NO_LABEL ? (uint8_t)einsum->label_count++ : *label;
			einsum->labels[i][k] = *label;
		}
	}
	status = find_sizes(infer, einsum);
	uint64_t products = 1;
	for (uint32_t l = 0; l < einsum->label_count && status == 0; l++)
		if (__builtin_mul_overflow(products, (uint64_t)einsum->sizes[l], &products) || products > GYR_EINSUM_PRODUCTS_MAX)
			status = gyr_error_set(infer->error, -E2BIG, "its equation asks for more than 2^33 products");
	return status;
}
