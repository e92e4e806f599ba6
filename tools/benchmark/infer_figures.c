/*
 * Figures: see infer_figures.h.
 */
#include "tools/benchmark/infer_figures.h"

#include <stdio.h>
#include <stdlib.h>

bool figures_init(struct figures *figures, const char *cpu)
{
	figures->cpu = cpu;
	figures->document = yyjson_mut_doc_new(NULL);
	if (figures->document == NULL)
		return false;
	yyjson_mut_val *root = yyjson_mut_obj(figures->document);
	yyjson_mut_doc_set_root(figures->document, root);
	yyjson_mut_obj_add_strcpy(figures->document, root, "cpu", cpu);
	figures->rows = yyjson_mut_obj_add_arr(figures->document, root, "figures");
	return figures->rows != NULL;
}

void figures_fini(struct figures *figures)
{
	yyjson_mut_doc_free(figures->document);
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

double figures_add(struct figures *figures, const char *name, const char *unit, double *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, ascending);
	double median = samples[count / 2], low = samples[count / 10], high = samples[count - 1 - count / 10];
	int digits = median >= 1000 ? 0 : median >= 10 ? 1 : 3;
	printf("%s\t%.*f\t%s\t(%.*f to %.*f)\n", name, digits, median, unit, digits, low, digits, high);
	fflush(stdout);
	yyjson_mut_val *row = yyjson_mut_arr_add_obj(figures->document, figures->rows);
	yyjson_mut_obj_add_strcpy(figures->document, row, "name", name);
	yyjson_mut_obj_add_real(figures->document, row, "value", median);
	yyjson_mut_obj_add_strcpy(figures->document, row, "unit", unit);
	yyjson_mut_obj_add_real(figures->document, row, "low", low);
	yyjson_mut_obj_add_real(figures->document, row, "high", high);
	return median;
}

bool figures_write(const struct figures *figures, const char *path)
{
	yyjson_write_err fault;
	if (yyjson_mut_write_file(path, figures->document, YYJSON_WRITE_PRETTY, NULL, &fault))
		return true;
	fprintf(stderr, "gyr-bench-infer: %s: %s\n", path, fault.msg);
	return false;
}
