/* The commands that look after the registry: verify, gc, audit. */
#include <inttypes.h>
#include <stdio.h>

#include "control/cli/ctl.h"

const struct ctl_option ctl_gc_options[] = {
	{"yes", NULL, "free what was shown"},
	{0},
};

const struct ctl_option ctl_audit_options[] = {
	{"limit", "N", "how many rows, the newest; default: 20"},
	{0},
};

static void show_progress(void *user, yyjson_mut_val *body)
{
	struct ctl *ctl = user;
	if (ctl->json)
		ctl_print_json(body);
	else
		fprintf(stderr, "%" PRIu64 " of %" PRIu64 " versions read\n", ctl_whole(body, "done"), ctl_whole(body, "of"));
}

enum ctl_exit ctl_verify(struct ctl *ctl)
{
	yyjson_mut_doc *doc;
	if (!ctl_call(ctl->config.run_dir, "verify", NULL, 0, show_progress, ctl, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *fault;
	uint64_t faults = ctl_whole(root, "fault_count");
	size_t index, max;
	if (ctl->json) {
		ctl_print_json(root);
	} else {
		char bytes[32], loose[32];
		yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "faults"), index, max, fault)
		{
			printf("damaged: %s\n", ctl_plain(yyjson_mut_get_str(fault)));
		}
		printf("%" PRIu64 " versions, %s; %" PRIu64 " pages of the database; %" PRIu64 " rows of the audit, the last with the hash %s\n",
		       ctl_whole(root, "versions"), ctl_bytes_text(ctl_whole(root, "bytes"), bytes, sizeof bytes), ctl_whole(root, "pages"),
		       ctl_whole(root, "audit_rows"), ctl_text(root, "audit_head"));
		if (ctl_whole(root, "loose") > 0)
			printf("%" PRIu64 " files, %s, that nothing refers to: gyrctl gc\n", ctl_whole(root, "loose"),
			       ctl_bytes_text(ctl_whole(root, "loose_bytes"), loose, sizeof loose));
		if (faults == 0)
			printf("all as it was written\n");
		else
			printf("%" PRIu64 " faults; importing the same bundle again mends a version\n", faults);
	}
	yyjson_mut_doc_free(doc);
	return faults == 0 ? CTL_OK : CTL_FAILED;
}

static void print_files(yyjson_mut_val *root, const char *verb)
{
	char bytes[32];
	size_t index, max;
	yyjson_mut_val *file;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "files"), index, max, file)
	{
		printf("%s  %s\n", ctl_text(file, "name"), ctl_bytes_text(ctl_whole(file, "bytes"), bytes, sizeof bytes));
	}
	printf("%zu files, %s, %s\n", yyjson_mut_arr_size(yyjson_mut_obj_get(root, "files")), ctl_bytes_text(ctl_whole(root, "bytes"), bytes, sizeof bytes),
	       verb);
}

/* Shows what would go, and then, when it is told to, has just that freed. */
enum ctl_exit ctl_gc(struct ctl *ctl)
{
	yyjson_mut_doc *shown, *freed;
	if (!ctl_call(ctl->config.run_dir, "gc", NULL, 0, NULL, NULL, &shown))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(shown);
	bool frees = ctl_option(ctl, "yes") != NULL;
	if (!ctl->json)
		print_files(root, "that nothing refers to");
	else if (!frees)
		ctl_print_json(root);
	if (!ctl->json && !frees && yyjson_mut_arr_size(yyjson_mut_obj_get(root, "files")) > 0)
		printf("gyrctl gc --yes frees them\n");
	if (frees) {
		struct gyr_rpc_parameter expected = {"free", yyjson_mut_get_str(yyjson_mut_obj_get(root, "digest"))};
		if (!ctl_call(ctl->config.run_dir, "gc", &expected, 1, NULL, NULL, &freed)) {
			yyjson_mut_doc_free(shown);
			return CTL_FAILED;
		}
		if (ctl->json)
			ctl_print_json(yyjson_mut_doc_get_root(freed));
		else
			printf("freed\n");
		yyjson_mut_doc_free(freed);
	}
	yyjson_mut_doc_free(shown);
	return CTL_OK;
}

enum ctl_exit ctl_audit(struct ctl *ctl)
{
	struct gyr_rpc_parameter parameters[2];
	uint32_t count = 0;
	yyjson_mut_doc *doc;
	if (ctl->word_count > 0)
		parameters[count++] = (struct gyr_rpc_parameter){"model", ctl->words[0]};
	if (ctl_option(ctl, "limit") != NULL)
		parameters[count++] = (struct gyr_rpc_parameter){"limit", ctl_option(ctl, "limit")};
	if (!ctl_call(ctl->config.run_dir, "audit", parameters, count, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *row;
	size_t index, max;
	if (ctl->json) {
		ctl_print_json(root);
	} else {
		printf("%8s  %-16s %6s  %-14s %-20s %8s  %s\n", "ROW", "WHEN", "USER", "WHAT", "MODEL", "VERSION", "MORE");
		yyjson_mut_arr_foreach(root, index, max, row)
		{
			char when[32], version[24] = "-";
			if (ctl_whole(row, "version") != 0)
				snprintf(version, sizeof version, "%" PRIu64, ctl_whole(row, "version"));
			printf("%8" PRIu64 "  %-16s %6" PRIu64 "  %-14s %-20s %8s  %s\n", ctl_whole(row, "id"),
			       ctl_time_text((int64_t)ctl_whole(row, "at_s"), when, sizeof when), ctl_whole(row, "actor"), ctl_text(row, "action"),
			       ctl_text(row, "model"), version, ctl_text(row, "text"));
		}
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
