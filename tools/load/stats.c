/* Counting up: see stats.h. */
#include "tools/load/stats.h"

#include <stdlib.h>
#include <string.h>

struct load_stats *load_stats_make(uint32_t kinds)
{
	struct load_stats *stats = calloc(1, sizeof *stats + kinds * sizeof stats->kinds[0]);
	if (stats != NULL)
		stats->kind_count = kinds;
	return stats;
}

void load_stats_clear(struct load_stats *stats)
{
	uint32_t kinds = stats->kind_count;
	memset(stats, 0, sizeof *stats + kinds * sizeof stats->kinds[0]);
	stats->kind_count = kinds;
}

uint32_t load_version_place(struct load_kind_stats *kind, uint64_t number)
{
	for (uint32_t i = 0; i < kind->version_count; i++)
		if (kind->versions[i].version == number)
			return i;
	if (kind->version_count == LOAD_VERSIONS_MAX)
		return LOAD_VERSIONS_MAX - 1;
	kind->versions[kind->version_count].version = number;
	return kind->version_count++;
}

static void add_kind(const struct load_kind_stats *kind, struct load_sum *sum)
{
	sum->asked += kind->asked;
	sum->lost += kind->lost;
	sum->malformed += kind->malformed;
	sum->put_off += kind->put_off;
	sum->went_back += kind->went_back;
	for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++) {
		sum->errors[i] += kind->errors[i];
		*(i == GYR_WIRE_BUSY ? &sum->busy : &sum->refused) += kind->errors[i];
	}
	for (uint32_t i = 0; i < kind->version_count; i++) {
		const struct load_version *version = &kind->versions[i];
		sum->answered += version->answers;
		sum->right += version->right;
		sum->wrong += version->wrong;
		gyr_histogram_merge(&sum->round_trip, &version->round_trip);
	}
}

void load_stats_sum(const struct load_stats *stats, uint32_t kind, struct load_sum *sum)
{
	memset(sum, 0, sizeof *sum);
	for (uint32_t i = 0; i < stats->kind_count; i++)
		if (kind == UINT32_MAX || kind == i)
			add_kind(&stats->kinds[i], sum);
}

bool load_has_answered(const struct load_options *options, const struct load_stats *stats)
{
	for (uint32_t k = 0; k < stats->kind_count; k++)
		for (uint32_t i = 0; i < stats->kinds[k].version_count; i++)
			if (stats->kinds[k].versions[i].version == options->until_version && stats->kinds[k].versions[i].answers >= options->then)
				return true;
	return false;
}

bool load_is_clean(const struct load_options *options, const struct load_stats *stats)
{
	uint64_t bad = stats->doubled, answered = 0;
	for (uint32_t k = 0; k < stats->kind_count; k++) {
		const struct load_kind_stats *kind = &stats->kinds[k];
		bad += kind->lost + kind->malformed;
		for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
			bad += kind->errors[i];
		for (uint32_t i = 0; i < kind->version_count; i++) {
			answered += kind->versions[i].answers;
			/* Wrong labels are a matter of the model's accuracy, other wrong answers of the server's. */
			if (options->kinds[k].labels == NULL)
				bad += kind->versions[i].wrong;
		}
	}
	return bad == 0 && answered > 0 && (options->until_version == 0 || load_has_answered(options, stats));
}
