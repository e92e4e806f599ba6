/* The commands that look: status, model list, model show. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/ctl.h"
#include "control/cli/table.h"

static const char *or_dash(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

static void print_counters(yyjson_mut_val *counters)
{
	size_t index, max;
	yyjson_mut_val *key, *value;
	yyjson_mut_obj_foreach(counters, index, max, key, value)
	{
		if (yyjson_mut_get_uint(value) != 0)
			printf("  %-32s %" PRIu64 "\n", yyjson_mut_get_str(key), yyjson_mut_get_uint(value));
	}
}

static void print_served(yyjson_mut_val *models)
{
	size_t i, j, model_count, version_count;
	yyjson_mut_val *model, *version;
	yyjson_mut_arr_foreach(models, i, model_count, model)
	{
		if (i == 0)
			printf("\n%-20s %8s %12s %8s %10s %10s\n", "MODEL", "VERSION", "REQUESTS", "ERRORS", "P50 us", "P99 us");
		yyjson_mut_arr_foreach(yyjson_mut_obj_get(model, "versions"), j, version_count, version)
		{
			printf("%-20s %8" PRIu64 " %12" PRIu64 " %8" PRIu64 " %10.1f %10.1f\n", ctl_text(model, "model"), ctl_whole(version, "version"),
			       ctl_whole(version, "requests"), ctl_whole(version, "errors"), (double)ctl_whole(version, "p50_ns") / 1e3,
			       (double)ctl_whole(version, "p99_ns") / 1e3);
		}
	}
}

static void print_dataplane(yyjson_mut_val *status)
{
	size_t index, max;
	yyjson_mut_val *item;
	char text[64];
	printf("  up %s, huge pages %s\n", ctl_duration_text((double)ctl_whole(status, "uptime_ns") / 1e9, text, sizeof text),
	       ctl_whole(yyjson_mut_arr_get_first(yyjson_mut_obj_get(status, "house")), "hugepages") != 0 ? "on" : "off");
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(status, "lcores"), index, max, item)
	{
		printf("  lcore %" PRIu64 " on CPU %" PRIu64 ": %s, busy %.0f %%\n", ctl_whole(item, "lcore"), ctl_whole(item, "cpu"), ctl_text(item, "roles"),
		       100 * (double)ctl_whole(item, "busy_ns") / (double)ctl_whole(status, "uptime_ns"));
	}
	print_counters(yyjson_mut_obj_get(status, "counters"));
	print_served(yyjson_mut_obj_get(status, "models"));
}

enum ctl_exit ctl_status(struct ctl *ctl)
{
	yyjson_mut_doc *doc;
	if (!ctl_call(ctl->config.run_dir, "status", NULL, 0, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json) {
		ctl_print_json(root);
	} else {
		char text[64];
		yyjson_mut_val *gyrd = yyjson_mut_obj_get(root, "gyrd"), *dataplane = yyjson_mut_obj_get(root, "dataplane");
		yyjson_mut_val *status = yyjson_mut_obj_get(dataplane, "status");
		printf("gyrd %s, process %" PRIu64 ", up %s, state in %s, %" PRIu64 " versions, %" PRIu64 " jobs under way\n", ctl_text(gyrd, "version"),
		       ctl_whole(gyrd, "pid"), ctl_duration_text((double)ctl_whole(gyrd, "uptime_ns") / 1e9, text, sizeof text), ctl_text(gyrd, "state_dir"),
		       ctl_whole(gyrd, "versions"), ctl_whole(gyrd, "jobs"));
		printf("data plane: %s, process %" PRIu64 ", supervisor: %s\n", ctl_text(dataplane, "state"), ctl_whole(dataplane, "pid"),
		       ctl_text(dataplane, "supervisor"));
		if (yyjson_mut_is_obj(status) && ctl_whole(status, "pid") != ctl_whole(dataplane, "pid"))
			printf("what process %" PRIu64 " had counted last:\n", ctl_whole(status, "pid"));
		if (yyjson_mut_is_obj(status))
			print_dataplane(status);
		else if (strcmp(ctl_text(dataplane, "state"), "ready") == 0)
			printf("  it shows no counters\n");
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

static void join_labels(yyjson_mut_val *model, uint64_t version, char *text, size_t size)
{
	size_t index, max, used = 0;
	yyjson_mut_val *label;
	text[0] = '\0';
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(model, "labels"), index, max, label)
	{
		if (ctl_whole(label, "version") == version && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ", ", ctl_text(label, "label"));
		else if (ctl_whole(label, "intended") == version && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s(%s)", used == 0 ? "" : ", ", ctl_text(label, "label"));
	}
}

static const struct ctl_column version_columns[] = {{"MODEL", false}, {"VERSION", true},  {"STATE", false}, {"LABELS", false},
						    {"SIZE", true},   {"CREATED", false}, {"ID", false},    {0}};

static enum ctl_colour colour_of(const char *state)
{
	return strcmp(state, "loaded") == 0 ? CTL_GREEN : strcmp(state, "failed") == 0 ? CTL_RED : strcmp(state, "stored") == 0 ? CTL_PLAIN : CTL_YELLOW;
}

static void add_versions(struct ctl_table *table, yyjson_mut_val *model)
{
	size_t index, max;
	yyjson_mut_val *version;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(model, "versions"), index, max, version)
	{
		char text[256];
		uint64_t number = ctl_whole(version, "version");
		ctl_table_cell(table, ctl_text(model, "model"), CTL_PLAIN);
		snprintf(text, sizeof text, "%" PRIu64, number);
		ctl_table_cell(table, text, CTL_PLAIN);
		ctl_table_cell(table, ctl_text(version, "state"), colour_of(ctl_text(version, "state")));
		join_labels(model, number, text, sizeof text);
		ctl_table_cell(table, or_dash(text), CTL_PLAIN);
		ctl_table_cell(table, ctl_bytes_text(ctl_whole(version, "bytes"), text, sizeof text), CTL_PLAIN);
		ctl_table_cell(table, ctl_time_text((int64_t)ctl_whole(version, "created_s"), text, sizeof text), CTL_PLAIN);
		snprintf(text, sizeof text, "%.12s", ctl_text(version, "id"));
		ctl_table_cell(table, text, CTL_PLAIN);
	}
}

/* Why versions are not what they should be, below the table. */
static void print_faults(yyjson_mut_val *model)
{
	size_t index, max;
	yyjson_mut_val *version;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(model, "versions"), index, max, version)
	{
		if (ctl_text(version, "fault")[0] != '\0')
			printf("%s%s version %" PRIu64 ": %s%s\n", ctl_colour(CTL_RED), ctl_text(model, "model"), ctl_whole(version, "version"),
			       ctl_text(version, "fault"), ctl_colour(CTL_PLAIN));
	}
}

enum ctl_exit ctl_model_list(struct ctl *ctl)
{
	yyjson_mut_doc *doc;
	if (!ctl_call(ctl->config.run_dir, "model.list", NULL, 0, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *model;
	size_t index, max;
	if (ctl->json) {
		ctl_print_json(root);
	} else if (yyjson_mut_arr_size(root) == 0) {
		printf("no models yet; \"gyrctl train\" or \"gyrctl model import\" makes one\n");
	} else {
		struct ctl_table table;
		ctl_table_init(&table, version_columns);
		yyjson_mut_arr_foreach(root, index, max, model)
		{
			add_versions(&table, model);
		}
		ctl_table_print(&table);
		yyjson_mut_arr_foreach(root, index, max, model)
		{
			print_faults(model);
		}
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

static void print_values(const char *what, yyjson_mut_val *values)
{
	size_t i, j, count, rank;
	yyjson_mut_val *value, *dim;
	yyjson_mut_arr_foreach(values, i, count, value)
	{
		printf("  %s %s: %s[", what, ctl_text(value, "name"), ctl_text(value, "dtype"));
		yyjson_mut_arr_foreach(yyjson_mut_obj_get(value, "shape"), j, rank, dim)
		{
			if (yyjson_mut_get_sint(dim) < 0)
				printf("%sN", j == 0 ? "" : ",");
			else
				printf("%s%" PRId64, j == 0 ? "" : ",", yyjson_mut_get_sint(dim));
		}
		printf("]\n");
	}
}

/* The signature comes as JSON in a text; it goes out as what it is. */
static yyjson_mut_val *open_signature(yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	const char *text = ctl_text(root, "signature");
	yyjson_doc *parsed = yyjson_read(text, strlen(text), 0);
	yyjson_mut_val *signature = parsed == NULL ? NULL : yyjson_val_mut_copy(doc, yyjson_doc_get_root(parsed));
	yyjson_doc_free(parsed);
	if (signature != NULL)
		yyjson_mut_obj_put(root, yyjson_mut_str(doc, "signature"), signature);
	return signature;
}

/* What the data plane says of a version that it holds, or NULL. */
static yyjson_mut_val *find_served(yyjson_mut_val *status, const char *model, uint64_t version)
{
	size_t i, j, model_count, version_count;
	yyjson_mut_val *served, *one;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(status, "models"), i, model_count, served)
	{
		if (strcmp(ctl_text(served, "model"), model) != 0)
			continue;
		yyjson_mut_arr_foreach(yyjson_mut_obj_get(served, "versions"), j, version_count, one)
		{
			if (ctl_whole(one, "version") == version)
				return one;
		}
	}
	return NULL;
}

/* Asks how the data plane computes the version that ROOT shows, and puts that into ROOT as "plan"; it is left out where nobody holds the version, or can say.
 */
static yyjson_mut_val *add_plan(struct ctl *ctl, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	static const char *const names[] = {"weight_bytes", "scratch_bytes", "nodes", "steps"};
	yyjson_mut_doc *status;
	if (!ctl_call(ctl->config.run_dir, "status", NULL, 0, NULL, NULL, &status))
		return NULL;
	yyjson_mut_val *dataplane = yyjson_mut_obj_get(yyjson_mut_doc_get_root(status), "dataplane"), *plan = NULL;
	yyjson_mut_val *served = find_served(yyjson_mut_obj_get(dataplane, "status"), ctl_text(root, "model"), ctl_whole(root, "version"));
	if (yyjson_mut_obj_get(served, "precision") != NULL) {
		plan = yyjson_mut_obj_add_obj(doc, root, "plan");
		yyjson_mut_obj_add_strcpy(doc, plan, "precision", ctl_text(served, "precision"));
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
			yyjson_mut_obj_add_uint(doc, plan, names[i], ctl_whole(served, names[i]));
	}
	yyjson_mut_doc_free(status);
	return plan;
}

static void print_plan(yyjson_mut_val *plan)
{
	char weights[32], scratch[32];
	printf("  computed in %s: %" PRIu64 " nodes in %" PRIu64 " steps, packed weights %s, scratch %s a core\n", ctl_text(plan, "precision"),
	       ctl_whole(plan, "nodes"), ctl_whole(plan, "steps"), ctl_bytes_text(ctl_whole(plan, "weight_bytes"), weights, sizeof weights),
	       ctl_bytes_text(ctl_whole(plan, "scratch_bytes"), scratch, sizeof scratch));
}

void ctl_print_policy(yyjson_mut_val *policy)
{
	size_t index, max;
	yyjson_mut_val *key, *value;
	printf("settings:");
	yyjson_mut_obj_foreach(policy, index, max, key, value)
	{
		printf(" %s=%" PRIu64, yyjson_mut_get_str(key), yyjson_mut_get_uint(value));
	}
	printf("\n");
}

enum ctl_exit ctl_model_show(struct ctl *ctl)
{
	yyjson_mut_doc *doc;
	struct gyr_rpc_parameter parameters[] = {{"model", ctl->words[0]}, {"version", ctl->words[1]}};
	if (!ctl_call(ctl->config.run_dir, "model.show", parameters, ctl->word_count, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *key, *value, *signature = open_signature(doc, root), *plan = add_plan(ctl, doc, root);
	size_t index, max;
	if (ctl->json) {
		ctl_print_json(root);
	} else {
		struct ctl_table table;
		ctl_table_init(&table, version_columns);
		add_versions(&table, root);
		ctl_table_print(&table);
		print_faults(root);
		printf("\n");
		ctl_print_policy(yyjson_mut_obj_get(root, "policy"));
		printf("\nversion %" PRIu64 "\n", ctl_whole(root, "version"));
		print_values("input", yyjson_mut_obj_get(signature, "inputs"));
		print_values("output", yyjson_mut_obj_get(signature, "outputs"));
		if (plan != NULL)
			print_plan(plan);
		yyjson_mut_obj_foreach(yyjson_mut_obj_get(root, "lineage"), index, max, key, value)
		{
			printf("  %s: %s\n", ctl_plain(yyjson_mut_get_str(key)), ctl_plain(yyjson_mut_get_str(value)));
		}
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
