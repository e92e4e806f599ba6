/* The command that shows every counter: stats. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/ctl.h"

const struct ctl_option ctl_stats_options[] = {
	{"buckets", NULL, "with --json: the histograms' buckets too, as [largest value in ns, count]"},
	{"explain", NULL, "print every counter's name and meaning instead"},
	{0},
};

static const char *const stage_columns[] = {"count", "p50_ns", "p90_ns", "p99_ns", "p99.9_ns", "p99.99_ns", "max_ns"};
#define STAGE_COLUMNS (sizeof stage_columns / sizeof stage_columns[0])

static void print_stages(yyjson_mut_val *stages)
{
	size_t index, max;
	yyjson_mut_val *name, *stage;
	printf("  %-10s", "stage");
	for (size_t i = 0; i < STAGE_COLUMNS; i++)
		printf(" %12s", stage_columns[i]);
	putchar('\n');
	yyjson_mut_obj_foreach(stages, index, max, name, stage)
	{
		printf("  %-10s", ctl_plain(yyjson_mut_get_str(name)));
		for (size_t i = 0; i < STAGE_COLUMNS; i++)
			printf(" %12" PRIu64, ctl_whole(stage, stage_columns[i]));
		putchar('\n');
	}
}

/* What the row is of in one line, then what it counted, but for what is 0. */
static void print_row(const char *table, yyjson_mut_val *row)
{
	size_t index, max;
	yyjson_mut_val *name, *value;
	printf("\n%s:", table);
	yyjson_mut_obj_foreach(row, index, max, name, value)
	{
		if (yyjson_mut_is_str(value))
			printf(" %s", ctl_plain(yyjson_mut_get_str(value)));
	}
	putchar('\n');
	yyjson_mut_obj_foreach(row, index, max, name, value)
	{
		if (yyjson_mut_is_uint(value) && yyjson_mut_get_uint(value) != 0)
			printf("  %-28s %" PRIu64 "\n", ctl_plain(yyjson_mut_get_str(name)), yyjson_mut_get_uint(value));
	}
	if (yyjson_mut_obj_get(row, "stages") != NULL)
		print_stages(yyjson_mut_obj_get(row, "stages"));
}

static void print_tables(yyjson_mut_val *root)
{
	size_t index, max, r, rows;
	char text[64];
	yyjson_mut_val *table, *list, *row;
	printf("data plane: process %" PRIu64 ", %s%s\n", ctl_whole(root, "pid"),
	       yyjson_mut_get_bool(yyjson_mut_obj_get(root, "alive")) ? "up " : "gone; this is what it had counted last",
	       yyjson_mut_get_bool(yyjson_mut_obj_get(root, "alive")) ? ctl_duration_text((double)ctl_whole(root, "uptime_ns") / 1e9, text, sizeof text) : "");
	yyjson_mut_obj_foreach(root, index, max, table, list)
	{
		yyjson_mut_arr_foreach(list, r, rows, row)
		{
			print_row(ctl_plain(yyjson_mut_get_str(table)), row);
		}
	}
}

static void explain(yyjson_mut_val *root)
{
	size_t index, max;
	yyjson_mut_val *field;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "help"), index, max, field)
	{
		printf("%-9s %-28s %-10s %s\n", ctl_text(field, "table"), ctl_text(field, "name"), ctl_text(field, "kind"), ctl_text(field, "help"));
	}
}

enum ctl_exit ctl_stats(struct ctl *ctl)
{
	yyjson_mut_doc *doc;
	bool help = ctl_option(ctl, "explain") != NULL, buckets = ctl_option(ctl, "buckets") != NULL;
	const struct gyr_rpc_parameter parameters[] = {{"buckets", buckets ? "yes" : "no"}, {"help", help ? "yes" : "no"}};
	if (!ctl_call(ctl->config.run_dir, "stats", parameters, 2, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(help ? yyjson_mut_obj_get(root, "help") : root);
	else if (help)
		explain(root);
	else
		print_tables(root);
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
