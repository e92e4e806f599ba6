/*
 * The passes, in their order: see fuse.h.
 */
#include "engine/plan/fuse.h"

static gyr_draft_pass_fn *const passes[] = {
	gyr_fuse_channels, gyr_fuse_attention, gyr_fuse_gelu,   gyr_fuse_normalise, gyr_fuse_nothing,
	gyr_fuse_same,     gyr_fuse_swish,     gyr_fuse_layout, gyr_fuse_last,      gyr_fuse_dense,
};

int gyr_draft_fuse(struct gyr_draft *draft, struct gyr_error *error)
{
	int status = 0;
	for (size_t i = 0; i < sizeof passes / sizeof passes[0] && status == 0; i++) {
		status = passes[i](draft, error);
		if (status == 0)
			status = gyr_draft_renew(draft, error);
	}
	return status;
}
