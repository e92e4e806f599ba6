/*
 * Packing the weights of recurrent operators, and laying out their scratch: see recurrent.h and recurrent_internal.h.
 */
#include <stdint.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/kernel/bf16.h"
#include "engine/kernel/recurrent.h"
#include "engine/kernel/recurrent_internal.h"
#include "engine/ref/unaligned.h"

#define LANES RECURRENT_LANES
#define CHUNK_ROWS 64u /* steps times rows that are projected at once: their sums stay in the L2 cache */
#define FLOATS_MAX (SIZE_MAX / sizeof(float) / 4)

/* Where COUNT times EACH floats begin behind *FLOATS, which grows by them. False where that overflows. */
static bool place(size_t *floats, size_t count, size_t each, size_t *at)
{
	size_t product;
	*at = *floats;
	return !__builtin_mul_overflow(count, each, &product) && !__builtin_add_overflow(*floats, product, floats) && *floats <= FLOATS_MAX;
}

bool gyr_recurrent_find_packing(const struct gyr_recurrent *recurrent, struct gyr_recurrent_packing *packing)
{
	size_t blocks = recurrent->cell.op == GYR_OP_RNN ? RECURRENT_RNN_BLOCKS : 1;
	*packing = (struct gyr_recurrent_packing){.panel_units = blocks * LANES, .vectors = blocks * recurrent->cell.gates};
	packing->panels = (recurrent->units + packing->panel_units - 1) / packing->panel_units;
	packing->panel = packing->vectors * LANES;
	packing->last_units = recurrent->units - (packing->panels - 1) * packing->panel_units;
	bool apart = recurrent->cell.op == GYR_OP_GRU && !gyr_recurrent_splits(&recurrent->cell);
	packing->last_gate = apart ? LANES : packing->last_units;
	packing->last_vectors = (packing->last_gate * recurrent->cell.gates + LANES - 1) / LANES;
	if (__builtin_mul_overflow(packing->panels - 1, packing->panel, &packing->across))
		return false;
	packing->across += packing->last_vectors * LANES;
	return place(&packing->floats, packing->across, 1, &packing->bias) && place(&packing->floats, packing->across, 1, &packing->state_bias) &&
	       place(&packing->floats, packing->panels, packing->panel, &packing->peepholes) &&
	       place(&packing->floats, packing->across, gyr_recurrent_depth(recurrent, recurrent->inputs), &packing->w) &&
	       place(&packing->floats, packing->across, gyr_recurrent_depth(recurrent, recurrent->units), &packing->r);
}

bool gyr_recurrent_find_layout(const struct gyr_recurrent *recurrent, struct gyr_recurrent_layout *layout)
{
	struct gyr_recurrent_packing packing;
	bool lstm = recurrent->cell.op == GYR_OP_LSTM, gru = recurrent->cell.op == GYR_OP_GRU;
	size_t batch = recurrent->batch, most = batch == 0 || batch >= CHUNK_ROWS ? 1 : CHUNK_ROWS / batch, chunks = (recurrent->steps + most - 1) / most;
	*layout = (struct gyr_recurrent_layout){.chunk = chunks == 0 ? 0 : (recurrent->steps + chunks - 1) / chunks}; /* about as many steps in each */
	if (!gyr_recurrent_find_packing(recurrent, &packing))
		return false;
	layout->state_row = packing.panels * packing.panel_units;
	size_t row = layout->state_row;
	return place(&layout->floats, layout->chunk * batch, packing.across, &layout->projected) && place(&layout->floats, batch, lstm ? row : 0, &layout->c) &&
	       place(&layout->floats, batch, gru ? row : 0, &layout->update) && place(&layout->floats, batch, gru ? row : 0, &layout->reset) &&
	       place(&layout->floats, lstm && batch == 1 ? packing.panels : 0, packing.panel, &layout->sums) &&
	       place(&layout->floats, batch, row, &layout->h[0]) && place(&layout->floats, batch, row, &layout->h[1]);
}

bool gyr_recurrent_packed_floats(const struct gyr_recurrent *recurrent, size_t *floats)
{
	struct gyr_recurrent_packing packing;
	bool fits = gyr_recurrent_find_packing(recurrent, &packing);
	*floats = packing.floats * recurrent->cell.directions;
	return fits;
}

bool gyr_recurrent_scratch_bytes(const struct gyr_recurrent *recurrent, size_t *bytes)
{
	struct gyr_recurrent_layout layout;
	bool fits = gyr_recurrent_find_layout(recurrent, &layout);
	*bytes = layout.floats * sizeof(float);
	return fits;
}

/* Where the number of GATE and UNIT is among the sums of all panels. */
static size_t sum_at(const struct gyr_recurrent_packing *packing, size_t gate, size_t unit)
{
	size_t panel = unit / packing->panel_units, gate_step = panel + 1 == packing->panels ? packing->last_gate : packing->panel_units;
	return panel * packing->panel + gate * gate_step + unit % packing->panel_units;
}

/* Packs MATRIX, gates x units rows of DEPTH numbers. */
static void pack_matrix(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_packing *packing, const gyr_f32_u *matrix, size_t depth, float *to)
{
	size_t units = recurrent->units, rows = recurrent->cell.gates * units;
	for (size_t row = 0; row < rows; row++) {
		size_t panel = row % units / packing->panel_units, step = panel + 1 == packing->panels ? packing->last_vectors * LANES : packing->panel;
		float *column = to + panel * packing->panel * gyr_recurrent_depth(recurrent, depth) +
				(sum_at(packing, row / units, row % units) - panel * packing->panel);
		for (size_t k = 0; k < depth; k++) {
			if (recurrent->bf16) {
				uint16_t rounded = gyr_bf16_of(matrix[row * depth + k]);
				memcpy((char *)(column + k / 2 * step) + k % 2 * sizeof rounded, &rounded, sizeof rounded);
			} else {
				column[k * step] = matrix[row * depth + k];
			}
		}
	}
}

void gyr_recurrent_pack(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_ends *ends, float *packed)
{
	struct gyr_recurrent_packing packing;
	bool fits = gyr_recurrent_find_packing(recurrent, &packing);
	GYR_ASSERT(fits);
	size_t units = recurrent->units, rows = recurrent->cell.gates * units;
	memset(packed, 0, packing.floats * recurrent->cell.directions * sizeof *packed);
	for (uint32_t direction = 0; direction < recurrent->cell.directions; direction++, packed += packing.floats) {
		pack_matrix(recurrent, &packing, (const gyr_f32_u *)ends->w + direction * rows * recurrent->inputs, recurrent->inputs, packed + packing.w);
		pack_matrix(recurrent, &packing, (const gyr_f32_u *)ends->r + direction * rows * units, units, packed + packing.r);
		const gyr_f32_u *b = ends->b != NULL ? (const gyr_f32_u *)ends->b + direction * 2 * rows : NULL;
		for (size_t row = 0; row < rows && b != NULL; row++) {
			size_t at = sum_at(&packing, row / units, row % units);
			bool apart = gyr_recurrent_splits(&recurrent->cell) && row / units == 2;
			packed[packing.bias + at] = apart ? b[row] : b[row] + b[rows + row];
			packed[packing.state_bias + at] = apart ? b[rows + row] : 0;
		}
		const gyr_f32_u *p = recurrent->peepholes ? (const gyr_f32_u *)ends->p + direction * 3 * units : NULL;
		for (size_t row = 0; row < 3 * units && p != NULL; row++)
			packed[packing.peepholes + row % units / LANES * packing.panel + row / units * LANES + row % units % LANES] = p[row];
	}
}
