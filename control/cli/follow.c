/* The commands about folders that are followed: model follow, model unfollow, model follows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/ctl.h"
#include "control/cli/table.h"

const struct ctl_option ctl_follow_options[] = {
	{"versions", "latest:N|all|N,N,...", "which versions of the folder (latest:1)"},
	{"promote", NULL, "have \"stable\" point at the newest of them"},
	{0},
};

enum ctl_exit ctl_model_follow(struct ctl *ctl)
{
	char path[4096];
	struct gyr_error error;
	yyjson_mut_doc *doc;
	if (ctl_path(ctl->words[1], true, path, &error) != 0)
		return ctl_fail(&error);
	struct gyr_rpc_parameter parameters[5] = {{"model", ctl->words[0]}, {"path", path}};
	static const char *const passed[] = {"versions", "promote", "dry-run"};
	uint32_t count = 2;
	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
		if (ctl_option(ctl, passed[i]) != NULL)
			parameters[count++] = (struct gyr_rpc_parameter){passed[i], ctl_option(ctl, passed[i])};
	if (!ctl_call(ctl->config.run_dir, "model.follow", parameters, count, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(root);
	else
		printf("%s %s %s, versions: %s\n", ctl_text(root, "model"), ctl_option(ctl, "dry-run") != NULL ? "would follow" : "follows",
		       ctl_text(root, "path"), ctl_text(root, "versions"));
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

enum ctl_exit ctl_model_unfollow(struct ctl *ctl)
{
	const struct gyr_rpc_parameter parameters[] = {{"model", ctl->words[0]}, {"dry-run", "yes"}};
	bool dry = ctl_option(ctl, "dry-run") != NULL;
	yyjson_mut_doc *doc;
	if (!ctl_call(ctl->config.run_dir, "model.unfollow", parameters, dry ? 2 : 1, NULL, NULL, &doc))
		return CTL_FAILED;
	if (ctl->json)
		ctl_print_json(yyjson_mut_doc_get_root(doc));
	else
		printf("%s %s no folder any more; what is loaded stays\n", ctl->words[0], dry ? "would follow" : "follows");
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

/* "3 as 1, 7 as 2" */
static void join_followed(yyjson_mut_val *follow, char *text, size_t size)
{
	size_t index, max, used = 0;
	yyjson_mut_val *version;
	text[0] = '\0';
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(follow, "followed"), index, max, version)
	{
		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64 " as %" PRIu64, index == 0 ? "" : ", ", ctl_whole(version, "source"),
						 ctl_whole(version, "version"));
	}
}

enum ctl_exit ctl_model_follows(struct ctl *ctl)
{
	static const struct ctl_column columns[] = {{"MODEL", false}, {"FOLDER", false}, {"VERSIONS", false}, {"FOLLOWED", false}, {"FAULT", false}, {0}};
	yyjson_mut_doc *doc;
	if (!ctl_call(ctl->config.run_dir, "model.follows", NULL, 0, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *follow;
	size_t index, max;
	if (ctl->json) {
		ctl_print_json(root);
	} else if (yyjson_mut_arr_size(root) == 0) {
		printf("no folder is followed; \"gyrctl model follow\" begins it\n");
	} else {
		struct ctl_table table;
		ctl_table_init(&table, columns);
		yyjson_mut_arr_foreach(root, index, max, follow)
		{
			char text[1024];
			join_followed(follow, text, sizeof text);
			ctl_table_cell(&table, ctl_text(follow, "model"), CTL_PLAIN);
			ctl_table_cell(&table, ctl_text(follow, "path"), CTL_PLAIN);
			ctl_table_cell(&table, ctl_text(follow, "versions"), CTL_PLAIN);
			ctl_table_cell(&table, text, CTL_GREEN);
			ctl_table_cell(&table, ctl_text(follow, "fault"), CTL_RED);
		}
		ctl_table_print(&table);
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
