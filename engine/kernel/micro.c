/*
 * Microkernels: see micro.h.
 */
#define DNNL_EXPERIMENTAL_UKERNEL

#include "engine/kernel/micro.h"

#include <assert.h>
#include <errno.h>

#include <oneapi/dnnl/dnnl_ukernel.h>

#include "base/assertion.h"

static_assert(sizeof(dnnl_dim_t) == sizeof(int64_t), "offsets are passed as they are");

static dnnl_status_t generate(dnnl_brgemm_t made, bool pairs)
{
	dnnl_pack_type_t pack;
	size_t scratch = 0;
	dnnl_status_t status = dnnl_brgemm_finalize(made);
	if (status == dnnl_success)
		status = dnnl_brgemm_get_B_pack_type(made, &pack);
	if (status == dnnl_success && pack != (pairs ? dnnl_pack_type_pack32 : dnnl_pack_type_no_trans))
		status = dnnl_unimplemented;
	if (status == dnnl_success)
		status = dnnl_brgemm_generate(made);
	if (status == dnnl_success)
		status = dnnl_brgemm_get_scratchpad_size(made, &scratch);
	return status == dnnl_success && scratch != 0 ? dnnl_unimplemented : status;
}

int gyr_micro_create(const struct gyr_micro_size *size, struct dnnl_brgemm **micro, struct gyr_error *error)
{
	dnnl_brgemm_t made = NULL;
	dnnl_data_type_t type = size->bf16 ? dnnl_bf16 : dnnl_f32;
	dnnl_status_t status = dnnl_brgemm_create(&made, (dnnl_dim_t)size->rows, (dnnl_dim_t)size->outputs, (dnnl_dim_t)size->inputs, (dnnl_dim_t)size->parts,
						  (dnnl_dim_t)size->a_stride, (dnnl_dim_t)size->b_stride, (dnnl_dim_t)size->c_stride, type, type, dnnl_f32);
	if (status == dnnl_success && size->add)
		status = dnnl_brgemm_set_add_C(made, 1);
	if (status == dnnl_success)
		status = generate(made, size->bf16);
	if (status == dnnl_success) {
		*micro = made;
		return 0;
	}
	gyr_micro_destroy(made);
	if (status == dnnl_out_of_memory)
		return gyr_error_set(error, -ENOMEM, "no memory for a microkernel");
	return gyr_error_set(error, -ENOTSUP, "oneDNN has no microkernel for %zu rows of %zu by %zu in %s on this CPU", size->rows, size->inputs * size->parts,
			     size->outputs, size->bf16 ? "bf16" : "f32");
}

void gyr_micro_destroy(struct dnnl_brgemm *micro)
{
	if (micro != NULL)
		dnnl_brgemm_destroy(micro);
}

void gyr_micro_run(const struct dnnl_brgemm *micro, const void *a, const void *b, const int64_t *offsets, void *c)
{
	dnnl_status_t status = dnnl_brgemm_execute(micro, a, b, (const dnnl_dim_t *)offsets, c, NULL);
	GYR_ASSERT(status == dnnl_success);
}
