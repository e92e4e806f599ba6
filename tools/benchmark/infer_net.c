/*
 * Lists of nets: see infer_net.h.
 */
#include "tools/benchmark/infer_net.h"

#include <stdio.h>
#include <stdlib.h>

static const char *text(yyjson_val *entry, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(entry, key));
}

static size_t words(yyjson_val *entry, const char *key, const char *to[NET_WORDS_MAX])
{
	yyjson_val *item;
	size_t index, count, used = 0;
	yyjson_arr_foreach(yyjson_obj_get(entry, key), index, count, item)
	{
		if (yyjson_is_str(item) && used < NET_WORDS_MAX)
			to[used++] = yyjson_get_str(item);
	}
	return used;
}

bool net_list_read(struct net_list *list, const char *path)
{
	yyjson_read_err fault;
	*list = (struct net_list){.document = yyjson_read_file(path, 0, NULL, &fault)};
	if (list->document == NULL) {
		fprintf(stderr, "bench: %s: %s\n", path, fault.msg);
		return false;
	}
	yyjson_val *root = yyjson_doc_get_root(list->document), *entry;
	size_t index, count;
	list->nets = calloc(yyjson_arr_size(root) + 1, sizeof *list->nets);
	yyjson_arr_foreach(root, index, count, entry)
	{
		struct net net = {.name = text(entry, "name"), .file = text(entry, "file"), .class = text(entry, "class"), .batch = text(entry, "batch")};
		net.dim_count = words(entry, "dims", net.dims);
		net.shape_count = words(entry, "shapes", net.shapes);
		net.value_count = words(entry, "values", net.values);
		if (list->nets == NULL || net.name == NULL || net.file == NULL || net.class == NULL) {
			fprintf(stderr, "bench: %s: entry %zu has no name, file or class\n", path, index);
			net_list_fini(list);
			return false;
		}
		list->nets[list->count++] = net;
	}
	return true;
}

void net_list_fini(struct net_list *list)
{
	free(list->nets);
	yyjson_doc_free(list->document);
}
