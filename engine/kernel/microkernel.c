/*
 * Microkernels: see microkernel.h. A plan's are a list in its packs.
 */
#include "engine/kernel/microkernel.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/kernel/micro.h"

struct gyr_microkernel {
	struct gyr_microkernel *next;
	struct gyr_microkernel_shape shape;
	struct dnnl_brgemm *brgemm;
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
		gyr_micro_destroy(at->brgemm);
		free(at);
	}
	free(list);
}

static bool same(const struct gyr_microkernel_shape *a, const struct gyr_microkernel_shape *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k && a->a_row == b->a_row && a->b_row == b->b_row && a->y_row == b->y_row && a->add == b->add;
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
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a microkernel");
	const struct gyr_micro_size size = {.rows = shape->m,
					    .outputs = shape->n,
					    .inputs = shape->k,
					    .parts = 1,
					    .a_stride = shape->a_row,
					    .b_stride = shape->b_row,
					    .c_stride = shape->y_row,
					    .add = shape->add};
	int status = gyr_micro_create(&size, &made->brgemm, error);
	if (status != 0) {
		free(made);
		return status;
	}
	made->shape = *shape;
	made->next = list->first;
	list->first = made;
	*microkernel = made;
	return 0;
}

void gyr_microkernel_run(const struct gyr_microkernel *microkernel, const void *a, const void *b, void *y)
{
	static const int64_t offsets[2];
	gyr_micro_run(microkernel->brgemm, a, b, offsets, y);
}
