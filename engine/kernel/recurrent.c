/*
 * Running recurrent operators: see recurrent.h, and recurrent_internal.h for how things lie.
 *
 * Steps. What the inputs of several steps contribute (x W + biases) is one product, into the scratch; then each step adds h R to its part of that and computes
 * its cells. Between steps h lies where the step before left it: in Y, or where a row may end early in the scratch.
 *
 * Rows. A kernel is made for a number of rows, so that all sums stay in registers; rows are cut as evenly as it goes. One row alone would have each sum wait
 * for the one before it, and is summed in two parts.
 */
#include "engine/kernel/recurrent.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "base/assertion.h"
#include "engine/kernel/recurrent_cell.h"
#include "engine/kernel/recurrent_internal.h"
#include "engine/kernel/recurrent_product.h"
#include "engine/ref/unaligned.h"

#define LANES RECURRENT_LANES
#define ROWS_MAX RECURRENT_ROWS_MAX

/* One direction of a run, and the step that it is at. */
struct run {
	const struct gyr_recurrent *recurrent;
	const struct gyr_recurrent_ends *ends;
	struct gyr_recurrent_packing packing;
	struct gyr_recurrent_layout layout;
	struct gyr_recurrent_places places;
	struct gyr_cell_lstm lstm;
	const float *packed;
	float *scratch;
	uint32_t direction;
	bool back;
	size_t step;            /* 0 is the first that is taken */
	const float *projected; /* of the step: rows packing.across apart */
	const gyr_f32_u *old;   /* h of the step before, rows old_row apart */
	gyr_f32_u *fresh;       /* h of the step, rows fresh_row apart */
	size_t old_row, fresh_row;
};

static bool has_ended(const struct run *run, size_t row)
{
	return run->ends->lengths != NULL && run->step >= gyr_recurrent_length(run->recurrent, run->ends->lengths, row);
}

/* The step of X and Y that ROW is at in step I, or the first where it has ended before. */
static size_t step_at(const struct run *run, size_t i, size_t row)
{
	size_t length = gyr_recurrent_length(run->recurrent, run->ends->lengths, row);
	return i >= length ? 0 : run->back ? length - 1 - i : i;
}

/* How many of REST rows the next kernel takes, so that all of them take about as many. */
static size_t piece_of(size_t rest)
{
	size_t pieces = (rest + ROWS_MAX - 1) / ROWS_MAX;
	return (rest + pieces - 1) / pieces;
}

static size_t vectors_of(const struct gyr_recurrent_packing *packing, size_t panel)
{
	return panel + 1 == packing->panels ? packing->last_vectors : packing->vectors;
}

/* x W + bias of COUNT steps from FIRST on, into the scratch. */
static void project(const struct run *run, size_t first, size_t count)
{
	const struct gyr_recurrent *recurrent = run->recurrent;
	const struct gyr_recurrent_packing *packing = &run->packing;
	size_t batch = recurrent->batch, rows = count * batch;
	struct gyr_recurrent_product product = {.depth = recurrent->inputs, .sums_row = packing->across};
	for (size_t panel = 0; panel < packing->panels; panel++) {
		size_t vectors = vectors_of(packing, panel);
		product.weights = run->packed + packing->w + panel * packing->panel * gyr_recurrent_depth(recurrent, recurrent->inputs);
		product.weights_step = vectors * LANES;
		product.first = run->packed + packing->bias + panel * packing->panel;
		for (size_t row = 0, piece; row < rows; row += piece) {
			piece = piece_of(rows - row);
			for (size_t i = 0; i < piece; i++) {
				size_t at = (row + i) % batch, step = step_at(run, first + (row + i) / batch, at);
				product.x[i] = (const gyr_f32_u *)run->ends->x + step * run->places.x_step + at * run->places.x_row;
			}
			product.sums = run->scratch + run->layout.projected + row * packing->across + panel * packing->panel;
			gyr_recurrent_multiply(recurrent->bf16, false, piece, vectors, &product);
		}
	}
}

/* The numbers of LANES units from UNIT on. */
static inline void load(const gyr_f32_u *from, size_t count, float *to)
{
#if defined(__AVX512F__)
	_mm512_storeu_ps(to, _mm512_maskz_loadu_ps((__mmask16)(count >= LANES ? 0xffff : (1u << count) - 1), from));
#else
	memset(to, 0, LANES * sizeof *to);
	memcpy(to, from, (count < LANES ? count : LANES) * sizeof *to);
#endif
}

static inline void store(const float *from, size_t count, gyr_f32_u *to)
{
#if defined(__AVX512F__)
	_mm512_mask_storeu_ps(to, (__mmask16)(count >= LANES ? 0xffff : (1u << count) - 1), _mm512_loadu_ps(from));
#else
	memcpy(to, from, (count < LANES ? count : LANES) * sizeof *to);
#endif
}

/* ROWS rows of STATE, ROW_FLOATS apart, from ROW on, times those vectors of a panel of R, which begin FROM vectors into it: SUMS has ROWS times VECTORS. */
static void multiply(const struct run *run, size_t panel, size_t from, size_t vectors, const gyr_f32_u *state, size_t row_floats, size_t rows,
		     const float *first, size_t first_row, float *sums)
{
	const struct gyr_recurrent_packing *packing = &run->packing;
	size_t units = run->recurrent->units;
	struct gyr_recurrent_product product = {
		.depth = units,
		.weights = run->packed + packing->r + panel * packing->panel * gyr_recurrent_depth(run->recurrent, units) + from * LANES,
		.weights_step = vectors_of(packing, panel) * LANES,
		.first = first,
		.first_row = first_row,
		.sums = sums,
		.sums_row = vectors * LANES,
	};
	for (size_t i = 0; i < rows; i++)
		product.x[i] = state + i * row_floats;
	gyr_recurrent_multiply(run->recurrent->bf16, run->step % 2 != 0, rows, vectors, &product);
}

/* Stores LANES units of h, from UNIT on; a row that has ended keeps what it had. */
static void store_h(const struct run *run, size_t row, size_t unit, float *h)
{
	size_t count = run->recurrent->units - unit;
	if (has_ended(run, row))
		load(run->old + row * run->old_row + unit, count, h);
	store(h, count, run->fresh + row * run->fresh_row + unit);
}

/* Whether the gates of PANEL lie closer than each in vectors of its own. */
static bool is_close(const struct run *run, size_t panel)
{
	return panel + 1 == run->packing.panels && run->packing.last_gate != LANES;
}

/* The last panel's SUMS with each gate in a vector of its own. */
static void spread(const struct run *run, const float *sums, float (*to)[LANES])
{
	memset(to, 0, run->packing.panel * sizeof(float));
	for (size_t gate = 0; gate < run->recurrent->cell.gates; gate++)
		memcpy(to[gate], sums + gate * run->packing.last_gate, run->packing.last_gate * sizeof(float));
}

typedef void step_fn(const struct run *run, size_t panel, size_t row, size_t rows);

static void step_rnn(const struct run *run, size_t panel, size_t row, size_t rows)
{
	const struct gyr_recurrent *recurrent = run->recurrent;
	const float *projected = run->projected + row * run->packing.across + panel * run->packing.panel;
	size_t vectors = vectors_of(&run->packing, panel);
	float sums[ROWS_MAX * RECURRENT_RNN_BLOCKS][LANES] __attribute__((aligned(64))), h[LANES];
	multiply(run, panel, 0, vectors, run->old + row * run->old_row, run->old_row, rows, projected, run->packing.across, sums[0]);
	for (size_t i = 0; i < rows; i++) {
		for (size_t block = 0; block < vectors; block++) {
			gyr_cell_rnn(recurrent->cell.clip, recurrent->cell.activations[run->direction][0].function, sums[i * vectors + block], h);
			store_h(run, row + i, panel * run->packing.panel_units + block * LANES, h);
		}
	}
}

/* Computes COUNT cells from their sums: those of a panel for rows from ROW on, or those of one row for panels from PANEL on (ACROSS). */
static void run_lstm_cells(const struct run *run, size_t panel, size_t row, size_t count, bool across, float (*gates)[4][LANES])
{
	size_t rows = across ? 0 : 1, panels = across ? 1 : 0; /* from a cell to the next */
	float *c = run->scratch + run->layout.c + row * run->layout.state_row + panel * LANES;
	size_t c_step = rows * run->layout.state_row + panels * LANES, p_step = panels * run->packing.panel;
	const float *p = run->recurrent->peepholes ? run->packed + run->packing.peepholes + panel * run->packing.panel : NULL;
	for (size_t i = 0; i < count; i++)
		if (!has_ended(run, row + i * rows))
			gyr_cell_lstm_c(&run->lstm, p != NULL ? p + i * p_step : NULL, gates[i], c + i * c_step);
	for (size_t i = 0; i < count; i++) {
		float h[LANES] __attribute__((aligned(64)));
		gyr_cell_lstm_h(&run->lstm, p != NULL ? p + i * p_step : NULL, gates[i], c + i * c_step, h);
		store_h(run, row + i * rows, (panel + i * panels) * LANES, h);
	}
}

static void step_lstm(const struct run *run, size_t panel, size_t row, size_t rows)
{
	const float *projected = run->projected + row * run->packing.across + panel * run->packing.panel;
	size_t vectors = vectors_of(&run->packing, panel);
	float sums[ROWS_MAX][4][LANES] __attribute__((aligned(64))), room[ROWS_MAX][4][LANES] __attribute__((aligned(64)));
	multiply(run, panel, 0, vectors, run->old + row * run->old_row, run->old_row, rows, projected, run->packing.across, sums[0][0]);
	const float *closer = sums[0][0];
	bool close = is_close(run, panel);
	for (size_t i = 0; i < rows && close; i++)
		spread(run, closer + i * vectors * LANES, room[i]);
	run_lstm_cells(run, panel, row, rows, false, close ? room : sums);
}

/* The only row: all products first, for the weights to come in one stream. */
static void run_lstm_row(const struct run *run)
{
	const struct gyr_recurrent_packing *packing = &run->packing;
	float(*gates)[4][LANES] = (float(*)[4][LANES])(run->scratch + run->layout.sums), last[4][LANES] __attribute__((aligned(64)));
	for (size_t i = 0; i < packing->panels; i++) {
		size_t panel = run->step % 2 == 0 ? i : packing->panels - 1 - i;
		bool close = is_close(run, panel);
		multiply(run, panel, 0, vectors_of(packing, panel), run->old, 0, 1, run->projected + panel * packing->panel, 0,
			 close ? last[0] : gates[panel][0]);
		if (close)
			spread(run, last[0], gates[panel]);
	}
	run_lstm_cells(run, 0, 0, packing->panels, true, gates);
}

/* The state's part of the hidden gate is multiplied by the reset gate, and all is one product. */
static void step_gru_split(const struct run *run, size_t panel, size_t row, size_t rows)
{
	const float *projected = run->projected + row * run->packing.across + panel * run->packing.panel;
	const float *bias = run->packed + run->packing.state_bias + panel * run->packing.panel;
	size_t vectors = vectors_of(&run->packing, panel), count = run->recurrent->units - panel * LANES;
	float sums[ROWS_MAX * 3][LANES] __attribute__((aligned(64)));
	multiply(run, panel, 0, vectors, run->old + row * run->old_row, run->old_row, rows, bias, 0, sums[0]);
	for (size_t i = 0; i < rows; i++) {
		float z[LANES], r[LANES], old[LANES], h[LANES], of_x[3][LANES], last[3][LANES], (*of_state)[LANES] = &sums[i * vectors];
		if (is_close(run, panel)) {
			spread(run, projected + i * run->packing.across, of_x);
			spread(run, sums[i * vectors], of_state = last);
		} else {
			memcpy(of_x, projected + i * run->packing.across, sizeof of_x);
		}
		for (size_t gate = 0; gate < 2; gate++)
			for (size_t lane = 0; lane < LANES; lane++)
				of_x[gate][lane] += of_state[gate][lane];
		gyr_cell_gru_gates(run->recurrent->cell.clip, of_x[0], z, r);
		for (size_t lane = 0; lane < LANES; lane++)
			of_x[2][lane] += r[lane] * of_state[2][lane];
		load(run->old + (row + i) * run->old_row + panel * LANES, count, old);
		gyr_cell_gru(run->recurrent->cell.clip, z, of_x[2], old, h);
		store_h(run, row + i, panel * LANES, h);
	}
}

/* The state is multiplied by the reset gate before it is multiplied by R: first both gates of all units, ... */
static void step_gru_gates(const struct run *run, size_t panel, size_t row, size_t rows)
{
	const float *projected = run->projected + row * run->packing.across + panel * run->packing.panel;
	float sums[ROWS_MAX][2][LANES] __attribute__((aligned(64)));
	multiply(run, panel, 0, 2, run->old + row * run->old_row, run->old_row, rows, projected, run->packing.across, &sums[0][0][0]);
	for (size_t i = 0; i < rows; i++) {
		size_t at = (row + i) * run->layout.state_row + panel * LANES;
		float r[LANES], old[LANES], *reset = run->scratch + run->layout.reset + at;
		gyr_cell_gru_gates(run->recurrent->cell.clip, sums[i][0], run->scratch + run->layout.update + at, r);
		load(run->old + (row + i) * run->old_row + panel * LANES, run->recurrent->units - panel * LANES, old);
		for (size_t lane = 0; lane < LANES; lane++)
			reset[lane] = r[lane] * old[lane];
	}
}

/* ... then the hidden ones. */
static void step_gru_hidden(const struct run *run, size_t panel, size_t row, size_t rows)
{
	const float *projected = run->projected + row * run->packing.across + panel * run->packing.panel + 2 * LANES;
	const float *reset = run->scratch + run->layout.reset + row * run->layout.state_row;
	float sums[ROWS_MAX][LANES] __attribute__((aligned(64)));
	multiply(run, panel, 2, 1, reset, run->layout.state_row, rows, projected, run->packing.across, sums[0]);
	for (size_t i = 0; i < rows; i++) {
		const float *z = run->scratch + run->layout.update + (row + i) * run->layout.state_row + panel * LANES;
		size_t count = run->recurrent->units - panel * LANES;
		float old[LANES], h[LANES];
		load(run->old + (row + i) * run->old_row + panel * LANES, count, old);
		gyr_cell_gru(run->recurrent->cell.clip, z, sums[i], old, h);
		store_h(run, row + i, panel * LANES, h);
	}
}

static void run_step(const struct run *run, step_fn *step)
{
	for (size_t i = 0; i < run->packing.panels; i++) {
		size_t panel = run->step % 2 == 0 ? i : run->packing.panels - 1 - i;
		for (size_t row = 0, piece; row < run->recurrent->batch; row += piece) {
			piece = piece_of(run->recurrent->batch - row);
			step(run, panel, row, piece);
		}
	}
}

static void run_cell(const struct run *run)
{
	const struct gyr_recurrent_cell *cell = &run->recurrent->cell;
	if (cell->op == GYR_OP_LSTM && run->recurrent->batch == 1) {
		run_lstm_row(run);
	} else if (cell->op == GYR_OP_GRU && !gyr_recurrent_splits(cell)) {
		run_step(run, step_gru_gates);
		run_step(run, step_gru_hidden);
	} else {
		run_step(run, cell->op == GYR_OP_LSTM ? step_lstm : cell->op == GYR_OP_GRU ? step_gru_split : step_rnn);
	}
}

static gyr_f32_u *y_at(const struct run *run, size_t step, size_t row)
{
	return (gyr_f32_u *)run->ends->y + run->direction * run->places.y_direction + step * run->places.y_step + row * run->places.y_row;
}

/* Y of the step from h in the scratch; zeros behind a row's last step. */
static void copy_y(const struct run *run)
{
	size_t units = run->recurrent->units;
	for (size_t row = 0; row < run->recurrent->batch; row++) {
		if (has_ended(run, row))
			memset(y_at(run, run->step, row), 0, units * sizeof(float));
		else
			memcpy(y_at(run, step_at(run, run->step, row), row), run->fresh + row * run->fresh_row, units * sizeof(float));
	}
}

/* The rows' states before their first step, into the scratch at TO. */
static void begin(const struct run *run, const void *initial, size_t to)
{
	const gyr_f32_u *from = initial;
	for (size_t row = 0; row < run->recurrent->batch; row++) {
		float *at = run->scratch + to + row * run->layout.state_row;
		memset(at, 0, run->layout.state_row * sizeof *at);
		if (from != NULL)
			memcpy(at, from + run->direction * run->places.direction + row * run->places.row, run->recurrent->units * sizeof *at);
	}
}

/* The states behind the last step, rows FROM_ROW apart; zeros where a row has no step. */
static void end(const struct run *run, const gyr_f32_u *from, size_t from_row, void *to)
{
	size_t bytes = run->recurrent->units * sizeof(float);
	for (size_t row = 0; row < run->recurrent->batch && to != NULL; row++) {
		gyr_f32_u *at = (gyr_f32_u *)to + run->direction * run->places.direction + row * run->places.row;
		if (gyr_recurrent_length(run->recurrent, run->ends->lengths, row) == 0)
			memset(at, 0, bytes);
		else
			memcpy(at, from + row * from_row, bytes);
	}
}

static void run_direction(struct run *run)
{
	const struct gyr_recurrent *recurrent = run->recurrent;
	const struct gyr_recurrent_layout *layout = &run->layout;
	bool lstm = recurrent->cell.op == GYR_OP_LSTM, into_y = run->ends->y != NULL && run->ends->lengths == NULL;
	begin(run, run->ends->initial_h, layout->h[1]);
	if (lstm)
		begin(run, run->ends->initial_c, layout->c);
	run->old = run->scratch + layout->h[1];
	run->old_row = layout->state_row;
	for (run->step = 0; run->step < recurrent->steps; run->step++) {
		size_t within = run->step % layout->chunk, left = recurrent->steps - run->step;
		if (within == 0)
			project(run, run->step, left < layout->chunk ? left : layout->chunk);
		run->projected = run->scratch + layout->projected + within * recurrent->batch * run->packing.across;
		run->fresh = into_y ? y_at(run, step_at(run, run->step, 0), 0) : run->scratch + layout->h[run->step % 2];
		run->fresh_row = into_y ? run->places.y_row : layout->state_row;
		run_cell(run);
		if (run->ends->y != NULL && !into_y)
			copy_y(run);
		run->old = run->fresh;
		run->old_row = run->fresh_row;
	}
	end(run, run->old, run->old_row, run->ends->y_h);
	end(run, run->scratch + layout->c, layout->state_row, lstm ? run->ends->y_c : NULL);
}

void gyr_recurrent_run(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_ends *ends, const float *packed, void *scratch)
{
	struct run run = {
		.recurrent = recurrent,
		.ends = ends,
		.places = gyr_recurrent_places(recurrent),
		.lstm = {.clip = recurrent->cell.clip, .clips = !isinf(recurrent->cell.clip), .coupled = recurrent->cell.input_forget},
		.scratch = scratch,
	};
	bool fits = gyr_recurrent_find_packing(recurrent, &run.packing) && gyr_recurrent_find_layout(recurrent, &run.layout);
	GYR_ASSERT(fits);
	for (run.direction = 0; run.direction < recurrent->cell.directions; run.direction++) {
		run.packed = packed + run.direction * run.packing.floats;
		run.back = recurrent->cell.reverse || run.direction == 1;
		run_direction(&run);
	}
}

bool gyr_recurrent_supports(const struct gyr_recurrent_cell *cell)
{
	for (uint32_t direction = 0; direction < cell->directions; direction++) {
		const struct gyr_recurrent_activation *f = cell->activations[direction];
		if (cell->op == GYR_OP_RNN && f->function > GYR_RECURRENT_RELU)
			return false;
		if (cell->op != GYR_OP_RNN && (f[0].function != GYR_RECURRENT_SIGMOID || f[1].function != GYR_RECURRENT_TANH))
			return false;
		if (cell->op == GYR_OP_LSTM && f[2].function != GYR_RECURRENT_TANH)
			return false;
	}
	return true;
}
