/* The commands that change something, but for train. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/ctl.h"
#include "control/rpc/client.h"

/* Calls with NAME [VERSION] and more; prints JSON, or LINE with the version in it. */
static enum ctl_exit change(struct ctl *ctl, const char *call, const struct gyr_rpc_parameter *more, uint32_t more_count, const char *done, const char *would)
{
	struct gyr_rpc_parameter parameters[8] = {{"model", ctl->words[0]}};
	uint32_t count = 1;
	yyjson_mut_doc *doc;
	if (ctl->word_count > 1)
		parameters[count++] = (struct gyr_rpc_parameter){"version", ctl->words[1]};
	for (uint32_t i = 0; i < more_count; i++)
		parameters[count++] = more[i];
	enum ctl_exit result = ctl_call_job(ctl, call, parameters, count, false, &doc);
	if (result != CTL_OK)
		return result;
	bool dry = ctl_option(ctl, "dry-run") != NULL;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(root);
	else
		printf("%s version %" PRIu64 " %s\n", ctl_text(root, "model"), ctl_whole(root, "version"), dry ? would : done);
	if (!ctl->json && !dry && ctl_whole(root, "former") != 0 && ctl_whole(root, "former") != ctl_whole(root, "version"))
		printf("the way back: gyrctl promote %s %" PRIu64 "\n", ctl_text(root, "model"), ctl_whole(root, "former"));
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

enum ctl_exit ctl_load(struct ctl *ctl)
{
	return change(ctl, "load", NULL, 0, "is loaded", "would be loaded");
}

enum ctl_exit ctl_unload(struct ctl *ctl)
{
	return change(ctl, "unload", NULL, 0, "is unloaded", "would be unloaded");
}

enum ctl_exit ctl_model_remove(struct ctl *ctl)
{
	return change(ctl, "model.remove", NULL, 0, "is removed; gyrctl gc frees its file", "would be removed");
}

enum ctl_exit ctl_promote(struct ctl *ctl)
{
	struct gyr_rpc_parameter more[2];
	uint32_t count = 0;
	if (ctl_option(ctl, "label") != NULL)
		more[count++] = (struct gyr_rpc_parameter){"label", ctl_option(ctl, "label")};
	if (ctl_option(ctl, "force") != NULL)
		more[count++] = (struct gyr_rpc_parameter){"force", "yes"};
	return change(ctl, "promote", more, count, "is promoted", "would be promoted");
}

enum ctl_exit ctl_model_set(struct ctl *ctl)
{
	char names[CTL_WORDS_MAX][64];
	struct gyr_rpc_parameter parameters[CTL_WORDS_MAX] = {{"model", ctl->words[0]}};
	struct gyr_error error;
	yyjson_mut_doc *doc;
	for (uint32_t i = 1; i < ctl->word_count; i++) {
		const char *equals = strchr(ctl->words[i], '=');
		size_t length = equals == NULL ? 0 : (size_t)(equals - ctl->words[i]);
		if (length == 0 || length >= sizeof names[i]) {
			gyr_error_set(&error, 0, "\"%.64s\": expected SETTING=VALUE, such as weight=3", ctl->words[i]);
			return ctl_misused(&error);
		}
		memcpy(names[i], ctl->words[i], length);
		names[i][length] = '\0';
		parameters[i] = (struct gyr_rpc_parameter){names[i], equals + 1};
	}
	uint32_t count = ctl->word_count;
	if (ctl_option(ctl, "dry-run") != NULL)
		parameters[count++] = (struct gyr_rpc_parameter){"dry-run", "yes"};
	if (!ctl_call(ctl->config.run_dir, "model.set", parameters, count, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(root);
	else
		ctl_print_policy(yyjson_mut_obj_get(root, "policy"));
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

static void print_folder(yyjson_mut_val *root)
{
	size_t index, max;
	yyjson_mut_val *version;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "versions"), index, max, version)
	{
		printf("%s version %" PRIu64 ", %" PRIu64 " in the folder\n", ctl_text(root, "model"), ctl_whole(version, "version"),
		       ctl_whole(version, "source"));
	}
}

enum ctl_exit ctl_model_import(struct ctl *ctl)
{
	char path[4096];
	struct gyr_error error;
	yyjson_mut_doc *doc;
	if (ctl_path(ctl->words[1], true, path, &error) != 0)
		return ctl_fail(&error);
	struct gyr_rpc_parameter parameters[3 + CTL_OPTIONS_MAX] = {{"model", ctl->words[0]}, {"path", path}};
	uint32_t count = 2;
	if (ctl_option(ctl, "bf16-bound") != NULL)
		parameters[count++] = (struct gyr_rpc_parameter){"bf16-bound", ctl_option(ctl, "bf16-bound")};
	if (ctl_option(ctl, "versions") != NULL)
		parameters[count++] = (struct gyr_rpc_parameter){"versions", ctl_option(ctl, "versions")};
	for (uint32_t i = 0; i < ctl->option_count; i++)
		if (strcmp(ctl->options[i].name, "dim") == 0 || strcmp(ctl->options[i].name, "shape") == 0 || strcmp(ctl->options[i].name, "value") == 0)
			parameters[count++] = ctl->options[i];
	enum ctl_exit result = ctl_call_job(ctl, "model.import", parameters, count, true, &doc);
	if (result != CTL_OK)
		return result;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(root);
	else if (ctl_option(ctl, "dry-run") != NULL)
		printf("%s version %" PRIu64 " would be registered\n", ctl_text(root, "model"), ctl_whole(root, "version"));
	else if (yyjson_mut_obj_get(root, "versions") != NULL)
		print_folder(root);
	else
		printf("%s version %" PRIu64 "%s\n", ctl_text(root, "model"), ctl_whole(root, "version"),
		       yyjson_mut_get_bool(yyjson_mut_obj_get(root, "known")) ? ", which has this content already" : "");
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);
	return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

enum ctl_exit ctl_model_export(struct ctl *ctl)
{
	char path[4096];
	struct gyr_error error;
	yyjson_mut_doc *doc;
	const char *format = ctl_option(ctl, "format");
	if (format == NULL)
		format = ends_with(ctl->words[2], ".onnx") ? "onnx" : "bundle";
	if (strcmp(format, "onnx") != 0 && strcmp(format, "bundle") != 0) {
		gyr_error_set(&error, 0, "--format %.64s: expected onnx or bundle", format);
		return ctl_misused(&error);
	}
	if (ctl_path(ctl->words[2], false, path, &error) != 0)
		return ctl_fail(&error);
	struct gyr_rpc_parameter parameters[] = {{"model", ctl->words[0]}, {"version", ctl->words[1]}, {"path", path}, {"format", format}};
	enum ctl_exit result = ctl_call_job(ctl, "model.export", parameters, 4, true, &doc);
	if (result != CTL_OK)
		return result;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(root);
	else
		printf("%s version %" PRIu64 " %s %s\n", ctl_text(root, "model"), ctl_whole(root, "version"),
		       ctl_option(ctl, "dry-run") != NULL ? "would be written to" : "is in", ctl->words[2]);
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

/* Of gyrd's process, before it is told to end; -1: it cannot be seen, or is not there, which the call says. */
static int watch_gyrd(const char *run_dir)
{
	char path[GYR_CONFIG_PATH_MAX + 16];
	struct gyr_rpc_client client;
	snprintf(path, sizeof path, "%s/" GYR_RPC_SOCKET, run_dir);
	int fd = gyr_rpc_client_init(&client, path, NULL);
	if (fd == 0)
		fd = gyr_rpc_client_process(&client, NULL);
	gyr_rpc_client_fini(&client);
	return fd < 0 ? -1 : fd;
}

enum ctl_exit ctl_stop(struct ctl *ctl)
{
	struct gyr_rpc_parameter parameters[3];
	uint32_t count = 0;
	bool dry = ctl_option(ctl, "dry-run") != NULL;
	yyjson_mut_doc *doc;
	if (ctl_option(ctl, "keep-dataplane") != NULL)
		parameters[count++] = (struct gyr_rpc_parameter){"keep_dataplane", "yes"};
	if (dry)
		parameters[count++] = (struct gyr_rpc_parameter){"dry-run", "yes"};
	if (ctl_option(ctl, "expect") != NULL)
		parameters[count++] = (struct gyr_rpc_parameter){"expect", ctl_option(ctl, "expect")};
	struct pollfd gyrd = {.fd = dry ? -1 : watch_gyrd(ctl->config.run_dir), .events = POLLIN};
	bool told = ctl_call(ctl->config.run_dir, "stop", parameters, count, NULL, NULL, &doc);
	/* It answers before it lets go of its directories; who starts another one next finds them free. */
	while (told && gyrd.fd >= 0 && poll(&gyrd, 1, -1) < 0 && errno == EINTR)
		continue;
	if (gyrd.fd >= 0)
		close(gyrd.fd);
	if (!told)
		return CTL_FAILED;
	if (ctl->json)
		ctl_print_json(yyjson_mut_doc_get_root(doc));
	else if (dry)
		printf("gyrd would end%s\n", ctl_option(ctl, "keep-dataplane") != NULL ? ", and the data plane serve on" : "");
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
