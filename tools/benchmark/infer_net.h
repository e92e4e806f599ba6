/*
 * The nets that are measured: what a list (nets/make.py) or the command line says of each.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_NET_H
#define GYR_TOOLS_BENCHMARK_INFER_NET_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#define NET_WORDS_MAX 32u

struct net {
	const char *name, *file;
	const char *class; /* "dense", "recurrent", "trees" or "rest" */
	const char *batch; /* the name of a dimension that may be fixed to the batch size where Gyr takes no batch; or NULL */
	size_t dim_count, shape_count, value_count;
	const char *dims[NET_WORDS_MAX], *shapes[NET_WORDS_MAX]; /* as gyr_onnx_fix_dim and gyr_onnx_fix_shape take them */
	const char *values[NET_WORDS_MAX];                       /* "INPUT=NUMBER": what an input holds; others hold random numbers, whole ones 0 */
};

struct net_list {
	yyjson_doc *document;
	size_t count;
	struct net *nets; /* their texts are the document's */
};

/* Reads the list at PATH. False, with a message on stderr, when it is none. Ends with net_list_fini. */
bool net_list_read(struct net_list *list, const char *path);
void net_list_fini(struct net_list *list);

#endif
