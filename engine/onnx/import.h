/*
 * What the files of the importer share: import.c (the model, its nodes and bodies), import_constant.c, import_attribute.c and import_input.c. Inside
 * engine/onnx.
 */
#ifndef GYR_ENGINE_ONNX_IMPORT_H
#define GYR_ENGINE_ONNX_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/model/graph.h"
#include "engine/onnx/onnx_internal.h"

/* Something that has its value in the file: an initialiser, or the one attribute of a Constant node. */
struct onnx_constant {
	const char *name;
	const Onnx__TensorProto *tensor;
	const Onnx__AttributeProto *attribute; /* in place of the tensor: a number or numbers */
};

/* A graph that is being made, the model's or a body. */
struct onnx_scope {
	struct onnx_scope *outer; /* of a body: what is around it, else NULL */
	struct gyr_graph *graph;
	struct onnx_constant *constants; /* by name */
	size_t constant_count;
	const char **names; /* of a body: what its inputs and its nodes make, by name */
	size_t name_count;
	uint32_t captures[GYR_NODE_ENDS_MAX]; /* of a body: the values of the graph around it that it captures, as many as its graph says */
};

struct onnx_importer {
	struct gyr_arena arena; /* the unpacked file, but for large blocks */
	size_t large_bytes, limit_bytes;
	bool full;               /* the unpacked file does not fit */
	int64_t opset, opset_ml; /* of the default domain and of "ai.onnx.ml", as imported; 0: not imported */
	const struct gyr_onnx_fixed *fixed;
	struct onnx_fixed_use fixed_use;
	struct gyr_error *error;
};

/* Says that there is no memory. Returns -ENOMEM. */
int onnx_no_memory(struct onnx_importer *importer);

/* Puts which node it is before the message. Returns STATUS. */
int onnx_at_node(struct onnx_importer *importer, const Onnx__NodeProto *node, int status);

/* Whether DOMAIN, of a node or an import, is ONNX's own. */
bool onnx_default_domain(const char *domain);

/* What VALUE declares, or NULL when it declares no tensor type. */
const Onnx__TypeProto__Tensor *onnx_tensor_type(const Onnx__ValueInfoProto *value);

/* Whether NODE is a Constant. */
bool onnx_is_constant_node(const Onnx__NodeProto *node);

/* Lists the initialisers and Constant nodes of GRAPH by name in SCOPE, whose constants the caller frees, also after a failure. -EINVAL, -ENOTSUP, -ENOMEM. */
GYR_MUST_CHECK int onnx_collect_constants(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph);

/* The constant called NAME, or NULL. */
const struct onnx_constant *onnx_find_constant(const struct onnx_scope *scope, const char *name);

/* Puts CONSTANT into the graph, its elements into the graph's own memory; *INDEX is its value. */
GYR_MUST_CHECK int onnx_add_constant(struct onnx_importer *importer, struct gyr_graph *graph, const struct onnx_constant *constant, uint32_t *index);

/* The attribute FROM, which is no body; what it points at lives as long as the unpacked file. */
GYR_MUST_CHECK int onnx_convert_attribute(struct onnx_importer *importer, const Onnx__AttributeProto *from, struct gyr_attribute *to);

/* The inputs of the model's graph, its constants known. One that is an initialiser too has its value there (as before IR 4 all had), and is none. */
GYR_MUST_CHECK int onnx_add_inputs(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph);

#endif
