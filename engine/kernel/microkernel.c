/*
 * Microkernels: see microkernel.h. A plan's are a list in its packs.
 */
#define DNNL_EXPERIMENTAL_UKERNEL

#include "engine/kernel/microkernel.h"

#include <errno.h>
#include <stdlib.h>

#include <oneapi/dnnl/dnnl_ukernel.h>

#include "base/assertion.h"

struct gyr_microkernel {
	struct gyr_microkernel *next;
	struct gyr_microkernel_shape shape;
	dnnl_brgemm_t brgemm;
};

struct list {
	struct gyr_microkernel *first;
};

static const char list_source; /* the address under which packs keep the list */

static void destroy(void *pack)
{
	struct list *list = pack;
	for (struct gyr_microkernel *at = list->first, *next; at != NULL; at = next) {
		next = at->next;
		dnnl_brgemm_destroy(at->brgemm);
		free(at);
	}
	free(list);
}

static bool same(const struct gyr_microkernel_shape *a, const struct gyr_microkernel_shape *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k && a->a_row == b->a_row && a->b_row == b->b_row && a->y_row == b->y_row && a->add == b->add;
}

static dnnl_status_t generate(const struct gyr_microkernel_shape *shape, dnnl_brgemm_t *brgemm)
{
	size_t scratch = 0;
	dnnl_status_t status = dnnl_brgemm_create(brgemm, (dnnl_dim_t)shape->m, (dnnl_dim_t)shape->n, (dnnl_dim_t)shape->k, 1, (dnnl_dim_t)shape->a_row,
						  (dnnl_dim_t)shape->b_row, (dnnl_dim_t)shape->y_row, dnnl_f32, dnnl_f32, dnnl_f32);
	if (status == dnnl_success && shape->add)
		status = dnnl_brgemm_set_add_C(*brgemm, 1);
	if (status == dnnl_success)
		status = dnnl_brgemm_finalize(*brgemm);
	if (status == dnnl_success)
		status = dnnl_brgemm_generate(*brgemm);
	if (status == dnnl_success)
		status = dnnl_brgemm_get_scratchpad_size(*brgemm, &scratch);
	return status == dnnl_success && scratch != 0 ? dnnl_unimplemented : status;
}

int gyr_microkernel_get(struct gyr_packs *packs, const struct gyr_microkernel_shape *shape, const struct gyr_microkernel **microkernel, struct gyr_error *error)
{
	struct list *list = gyr_packs_find(packs, &list_source, 0);
	if (list == NULL) {
		list = calloc(1, sizeof *list);
		if (list == NULL || !gyr_packs_keep(packs, &list_source, 0, list, 0, destroy)) {
			free(list);
			return gyr_error_set(error, -ENOMEM, "no memory for a microkernel");
		}
	}
	for (const struct gyr_microkernel *at = list->first; at != NULL; at = at->next) {
		if (same(&at->shape, shape)) {
			*microkernel = at;
			return 0;
		}
	}
	struct gyr_microkernel *made = calloc(1, sizeof *made);
	dnnl_status_t status = made != NULL ? generate(shape, &made->brgemm) : dnnl_out_of_memory;
	if (status == dnnl_success) {
		made->shape = *shape;
		made->next = list->first;
		list->first = made;
		*microkernel = made;
		return 0;
	}
	if (made != NULL && made->brgemm != NULL)
		dnnl_brgemm_destroy(made->brgemm);
	free(made);
	if (status == dnnl_out_of_memory)
		return gyr_error_set(error, -ENOMEM, "no memory for a microkernel");
	return gyr_error_set(error, -ENOTSUP, "oneDNN has no microkernel for %zu rows of %zu by %zu on this CPU", shape->m, shape->k, shape->n);
}

void gyr_microkernel_run(const struct gyr_microkernel *microkernel, const void *a, const void *b, void *y)
{
	static const dnnl_dim_t offsets[2];
	dnnl_status_t status = dnnl_brgemm_execute(microkernel->brgemm, a, b, offsets, y, NULL);
	GYR_ASSERT(status == dnnl_success);
}
