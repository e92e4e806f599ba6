#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "control/registry/registry_internal.h"

const char *const gyr_metric_names[] = {"accuracy", "held-loss", "loss", NULL};

/* [{"name": "image", "dtype": "u8", "shape": [-1, 784]}, ...] */
static yyjson_mut_val *describe(yyjson_mut_doc *doc, const struct gyr_graph *graph, const uint32_t *indices, uint32_t count)
{
	yyjson_mut_val *list = yyjson_mut_arr(doc);
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_value *value = &graph->values[indices[i]];
		yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
		yyjson_mut_obj_add_strcpy(doc, item, "name", value->name);
		yyjson_mut_obj_add_str(doc, item, "dtype", gyr_dtype_name(value->shape.dtype));
		yyjson_mut_val *dims = yyjson_mut_obj_add_arr(doc, item, "shape");
		for (uint32_t d = 0; d < value->shape.rank; d++)
			yyjson_mut_arr_add_sint(doc, dims, value->shape.dims[d]);
	}
	return list;
}

static char *write_signature(const struct gyr_graph *graph)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	if (doc == NULL)
		return NULL;
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_val(doc, root, "inputs", describe(doc, graph, graph->inputs, graph->input_count));
	yyjson_mut_obj_add_val(doc, root, "outputs", describe(doc, graph, graph->outputs, graph->output_count));
	/* A name that is not UTF-8 is written with what replaces it; two such names may then count as the same. */
	char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE | YYJSON_WRITE_ESCAPE_UNICODE, NULL);
	yyjson_mut_doc_free(doc);
	return text;
}

/* A bundle brings its measures as part of its lineage, in words; one that is no number stays there only. */
static void take_metric(struct gyr_facts *facts, const struct gyr_lineage *from)
{
	char *end;
	double value = strtod(from->value, &end);
	for (size_t i = 0; gyr_metric_names[i] != NULL; i++)
		if (strcmp(from->key, gyr_metric_names[i]) == 0 && end != from->value && *end == '\0' && isfinite(value) &&
		    facts->metric_count < GYR_METRICS_MAX)
			facts->metrics[facts->metric_count++] = (struct gyr_metric){gyr_metric_names[i], value};
}

int gyr_facts_take(struct gyr_facts *facts, const struct gyr_bundle *bundle, uint64_t bytes, struct gyr_error *error)
{
	*facts = (struct gyr_facts){.bytes = bytes, .lineage_count = bundle->info.lineage_count};
	gyr_arena_init(&facts->arena, 0);
	gyr_bundle_id_text(bundle->id, facts->id);
	for (uint32_t i = 0; i < facts->lineage_count; i++) {
		const struct gyr_lineage *from = &bundle->info.lineage[i];
		facts->lineage[i].key = gyr_arena_string(&facts->arena, from->key, strlen(from->key));
		facts->lineage[i].value = gyr_arena_string(&facts->arena, from->value, strlen(from->value));
		if (facts->lineage[i].key == NULL || facts->lineage[i].value == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for a bundle's lineage");
		take_metric(facts, from);
	}
	facts->signature = write_signature(bundle->graph);
	if (facts->signature == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a bundle's signature");
	if (strlen(facts->signature) >= GYR_SIGNATURE_MAX)
		return gyr_error_set(error, -E2BIG, "the signature takes %zu bytes as JSON; at most %u are kept", strlen(facts->signature),
				     GYR_SIGNATURE_MAX - 1);
	return 0;
}

void gyr_facts_fini(struct gyr_facts *facts)
{
	free(facts->signature);
	gyr_arena_fini(&facts->arena);
}
