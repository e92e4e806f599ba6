/*
 * Runs ONNX's own test cases, one operator each: conformance [--verbose] DIRECTORY
 *
 * Each case is run up to four ways: as it is, and with all its inputs but the first turned into initialisers (as weights are in real models), each compiled and
 * by the reference. It has passed when at least one way ran and all that ran gave the answer, within ONNX's own tolerance (a relative 1e-3); it is refused when
 * none ran; one wrong answer makes it wrong. Refusals are listed by reason. The exit status is 0 only when none is wrong and some have passed.
 */
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/plan/plan.h"
#include "engine/ref/number.h"
#include "tensor_file.h"

#define TENSORS_MAX 64u
#define SETS_MAX 16u
#define REASONS_MAX 512u
#define RELATIVE 1e-3
#define ABSOLUTE 1e-7

/*
 * Cases whose answers were computed in float32 by way of larger numbers: where the exact answer is 0 they hold what rounding left. (A transform of sums up to
 * 45: half a unit in their last place is 2e-6.)
 */
static const struct {
	const char *name;
	double absolute;
} rounded[] = {{"test_dft_inverse", 2e-6}, {"test_dft_inverse_opset19", 2e-6}};

enum outcome { PASSED, REFUSED, WRONG };

struct reason {
	char text[160];
	unsigned count;
};

static struct reason reasons[REASONS_MAX];
static unsigned reason_count;

/* One set of questions and answers of a case. */
struct set {
	size_t input_count, output_count;
	struct gyr_shape inputs[TENSORS_MAX], outputs[TENSORS_MAX];
	void *input_data[TENSORS_MAX], *output_data[TENSORS_MAX];
	Onnx__TensorProto *protos[TENSORS_MAX]; /* of the inputs */
	double absolute;                        /* tolerance */
};

/* Counts a refusal under its message without the names in it. */
static void count_reason(const char *message)
{
	char text[sizeof reasons[0].text];
	size_t length = 0;
	bool quoted = false;
	for (const char *at = message; *at != '\0' && length + 1 < sizeof text; at++) {
		if (*at == '\'') {
			if (!quoted)
				text[length++] = '*';
			quoted = !quoted;
		} else if (!quoted) {
			text[length++] = *at;
		}
	}
	text[length] = '\0';
	for (unsigned i = 0; i < reason_count; i++) {
		if (strcmp(reasons[i].text, text) == 0) {
			reasons[i].count++;
			return;
		}
	}
	if (reason_count < REASONS_MAX) {
		strcpy(reasons[reason_count].text, text);
		reasons[reason_count++].count = 1;
	}
}

static void free_set(struct set *set)
{
	for (size_t i = 0; i < set->input_count; i++) {
		free(set->input_data[i]);
		onnx__tensor_proto__free_unpacked(set->protos[i], NULL);
	}
	for (size_t i = 0; i < set->output_count; i++)
		free(set->output_data[i]);
}

/* Reads the tensors of a set; a reason why not, or NULL. The set is to be freed either way. */
static const char *read_set(const char *directory, struct set *set)
{
	char path[PATH_MAX + 32];
	*set = (struct set){0};
	while (set->input_count < TENSORS_MAX) {
		size_t i = set->input_count;
		snprintf(path, sizeof path, "%s/input_%zu.pb", directory, i);
		FILE *file = fopen(path, "rb");
		if (file == NULL)
			break;
		fclose(file);
		Onnx__TensorProto *proto = case_tensor_read(path);
		if (proto == NULL)
			return "case: an input is no tensor";
		set->protos[i] = proto;
		set->input_count++;
		if (!case_tensor_shape(proto, &set->inputs[i]) || (set->input_data[i] = case_tensor_elements(proto, &set->inputs[i])) == NULL)
			return "case: an input is of a type that Gyr does not know";
	}
	while (set->output_count < TENSORS_MAX) {
		size_t i = set->output_count;
		snprintf(path, sizeof path, "%s/output_%zu.pb", directory, i);
		FILE *file = fopen(path, "rb");
		if (file == NULL)
			break;
		fclose(file);
		Onnx__TensorProto *proto = case_tensor_read(path);
		if (proto == NULL)
			return "case: an output is no tensor";
		set->output_count++;
		bool fine = case_tensor_shape(proto, &set->outputs[i]) && (set->output_data[i] = case_tensor_elements(proto, &set->outputs[i])) != NULL;
		onnx__tensor_proto__free_unpacked(proto, NULL);
		if (!fine)
			return "case: an output is of a type that Gyr does not know";
	}
	return NULL;
}

static double real(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL ? number.real : number.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)number.integer : (double)number.integer;
}

/* SHAPE is the tensor's, with the plan's type. ONNX made its bf16 answers by cutting bits off, so there one unit in the last place is allowed. */
static bool same(const struct gyr_shape *shape, const void *got, const void *expected, double absolute)
{
	double relative = shape->dtype == GYR_DTYPE_BF16 ? 0x1p-7 : RELATIVE;
	size_t count;
	if (!gyr_shape_count(shape, 1, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		double a = real(gyr_number_load(shape->dtype, got, i)), b = real(gyr_number_load(shape->dtype, expected, i));
		if (isnan(b) || isinf(b) ? !((isnan(a) && isnan(b)) || a == b) : !(fabs(a - b) <= absolute + relative * fabs(b)))
			return false;
	}
	return true;
}

/* SHAPE of the plan, with the tensor's first dimension in place of its batch dimension, is the tensor's. ONNX's files call bf16 u16; this makes it right. */
static bool fits(const struct gyr_shape *shape, struct gyr_shape *tensor)
{
	struct gyr_shape filled = *shape;
	if (filled.rank > 0 && filled.dims[0] == GYR_DIM_BATCH && tensor->rank > 0)
		filled.dims[0] = tensor->dims[0];
	if (filled.dtype == GYR_DTYPE_BF16 && tensor->dtype == GYR_DTYPE_U16)
		tensor->dtype = GYR_DTYPE_BF16;
	return gyr_shape_equal(&filled, tensor);
}

/* Runs the plan on SET, whose first inputs are the plan's. */
static bool run_set(const struct gyr_plan *plan, struct set *set)
{
	const void *inputs[TENSORS_MAX];
	void *outputs[TENSORS_MAX] = {0};
	uint32_t input_count = gyr_plan_input_count(plan), output_count = gyr_plan_output_count(plan), batch = 1;
	bool right = input_count <= set->input_count && output_count == set->output_count;
	for (uint32_t i = 0; i < input_count && right; i++) {
		right = fits(gyr_plan_input_shape(plan, i), &set->inputs[i]);
		inputs[i] = set->input_data[i];
		if (right && set->inputs[i].rank > 0 && gyr_plan_input_shape(plan, i)->dims[0] == GYR_DIM_BATCH)
			batch = (uint32_t)set->inputs[i].dims[0];
	}
	right = right && batch >= 1 && batch <= gyr_plan_batch_max(plan);
	for (uint32_t i = 0; i < output_count && right; i++) {
		size_t bytes;
		right = fits(gyr_plan_output_shape(plan, i), &set->outputs[i]) && gyr_shape_bytes(gyr_plan_output_shape(plan, i), 64, &bytes);
		outputs[i] = right ? malloc(bytes + 1) : NULL;
	}
	void *scratch =
		aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, gyr_plan_scratch_bytes(plan) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN + GYR_PLAN_SCRATCH_ALIGN);
	if (right) {
		gyr_plan_run(plan, batch, inputs, outputs, scratch);
		for (uint32_t i = 0; i < output_count; i++)
			right = right && same(&set->outputs[i], outputs[i], set->output_data[i], set->absolute);
	}
	for (uint32_t i = 0; i < output_count && i < TENSORS_MAX; i++)
		free(outputs[i]);
	free(scratch);
	return right;
}

/* One way of running a model; REASON gets the message of a refusal. */
static enum outcome run_model(const void *bytes, size_t size, bool reference, struct set *set, struct gyr_error *reason)
{
	struct gyr_graph *graph;
	struct gyr_plan *plan;
	const struct gyr_plan_options options = {.batch_max = 8, .reference = reference};
	if (gyr_onnx_import(bytes, size, &graph, reason) != 0)
		return REFUSED;
	int status = gyr_plan_create(graph, &options, &plan, reason);
	gyr_graph_destroy(graph);
	if (status != 0)
		return REFUSED;
	bool right = run_set(plan, set);
	gyr_plan_destroy(plan);
	return right ? PASSED : WRONG;
}

/* An input that nobody reads, f32[1]. */
static Onnx__ValueInfoProto *spare_input(void)
{
	static Onnx__TensorShapeProto__Dimension one = {.base = PROTOBUF_C_MESSAGE_INIT(&onnx__tensor_shape_proto__dimension__descriptor),
							.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE,
							.dim_value = 1};
	static Onnx__TensorShapeProto__Dimension *dims[] = {&one};
	static Onnx__TensorShapeProto shape = {.base = PROTOBUF_C_MESSAGE_INIT(&onnx__tensor_shape_proto__descriptor), .n_dim = 1, .dim = dims};
	static Onnx__TypeProto__Tensor tensor = {
		.base = PROTOBUF_C_MESSAGE_INIT(&onnx__type_proto__tensor__descriptor), .has_elem_type = 1, .elem_type = GYR_DTYPE_F32, .shape = &shape};
	static Onnx__TypeProto type = {
		.base = PROTOBUF_C_MESSAGE_INIT(&onnx__type_proto__descriptor), .value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, .tensor_type = &tensor};
	static char name[] = "spare";
	static Onnx__ValueInfoProto input = {.base = PROTOBUF_C_MESSAGE_INIT(&onnx__value_info_proto__descriptor), .name = name, .type = &type};
	return &input;
}

/*
 * The model with its inputs as initialisers of the values in SET (free it): all but the first, or all of them beside an input that nobody reads, for a case
 * whose shapes depend on what is in its first. NULL where there is nothing to turn.
 */
static void *with_constants(const void *bytes, size_t size, const struct set *set, bool all, size_t *result_size)
{
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
	size_t kept = all ? 0 : 1;
	void *result = NULL;
	if (model != NULL && model->graph != NULL && model->graph->n_input > kept && model->graph->n_input == set->input_count) {
		Onnx__GraphProto *graph = model->graph;
		Onnx__TensorProto *added[TENSORS_MAX], **own = graph->initializer;
		Onnx__ValueInfoProto *first = graph->input[0];
		char *names[TENSORS_MAX];
		size_t inputs = graph->n_input, initialisers = graph->n_initializer;
		for (size_t i = kept; i < inputs; i++) {
			added[i - kept] = set->protos[i];
			names[i] = set->protos[i]->name;
			set->protos[i]->name = graph->input[i]->name;
		}
		if (initialisers == 0) {
			graph->initializer = added;
			graph->n_initializer = inputs - kept;
			graph->n_input = 1;
			graph->input[0] = all ? spare_input() : first;
			*result_size = onnx__model_proto__get_packed_size(model);
			result = malloc(*result_size + 1);
			if (result != NULL)
				onnx__model_proto__pack(model, result);
		}
		graph->initializer = own;
		graph->n_initializer = initialisers;
		graph->n_input = inputs;
		graph->input[0] = first;
		for (size_t i = kept; i < inputs; i++)
			set->protos[i]->name = names[i];
	}
	if (model != NULL)
		onnx__model_proto__free_unpacked(model, NULL);
	return result;
}

/* As the case is; with all its inputs but one constant; and, where that gave nothing, with all of them constant. */
static enum outcome run_case_set(const void *bytes, size_t size, struct set *set, struct gyr_error *reason)
{
	static float nothing;
	struct set spare = *set;
	unsigned passed = 0, wrong = 0;
	struct gyr_error other;
	spare.inputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {1}};
	spare.input_data[0] = &nothing;
	for (int way = 0; way < 3 && (way < 2 || passed + wrong == 0); way++) {
		size_t changed_size = 0;
		void *changed = way > 0 ? with_constants(bytes, size, set, way == 2, &changed_size) : NULL;
		for (int reference = 0; reference < 2 && (way == 0 || changed != NULL); reference++) {
			enum outcome outcome = run_model(way == 0 ? bytes : changed, way == 0 ? size : changed_size, reference, way == 2 ? &spare : set,
							 way + reference == 0 ? reason : &other);
			passed += outcome == PASSED;
			wrong += outcome == WRONG;
		}
		free(changed);
	}
	return wrong > 0 ? WRONG : passed > 0 ? PASSED : REFUSED;
}

/*
 * Cases whose answer ONNX 1.17 has wrong: theirs wraps where QLinearMatMul's text, ONNX Runtime and ONNX's own later data (issue 7835 of onnx/onnx) saturate.
 * They count as refused. That Gyr saturates is tested in tests/unit/plan/test_quantise.c.
 */
static const char *const mistaken[] = {
	"test_qlinearmatmul_2D_int8_float16",
	"test_qlinearmatmul_2D_int8_float32",
	"test_qlinearmatmul_3D_int8_float16",
	"test_qlinearmatmul_3D_int8_float32",
};

static enum outcome run_case(const char *root, const char *name, struct gyr_error *reason)
{
	char path[PATH_MAX];
	size_t size;
	for (size_t i = 0; i < sizeof mistaken / sizeof mistaken[0]; i++) {
		if (strcmp(name, mistaken[i]) == 0) {
			gyr_error_set(reason, 0, "case: its answer wraps where ONNX says that it saturates");
			return REFUSED;
		}
	}
	snprintf(path, sizeof path, "%s/%s/model.onnx", root, name);
	void *bytes = case_file_read(path, &size);
	if (bytes == NULL) {
		gyr_error_set(reason, 0, "case: no model.onnx");
		return REFUSED;
	}
	enum outcome worst = REFUSED;
	for (unsigned i = 0; i < SETS_MAX; i++) {
		snprintf(path, sizeof path, "%s/%s/test_data_set_%u", root, name, i);
		DIR *directory = opendir(path);
		if (directory == NULL)
			break;
		closedir(directory);
		struct set set;
		const char *fault = read_set(path, &set);
		set.absolute = ABSOLUTE;
		for (size_t k = 0; k < sizeof rounded / sizeof rounded[0]; k++)
			if (strcmp(name, rounded[k].name) == 0)
				set.absolute = rounded[k].absolute;
		if (fault != NULL)
			gyr_error_set(reason, 0, "%s", fault);
		enum outcome outcome = fault != NULL ? REFUSED : run_case_set(bytes, size, &set, reason);
		if (i == 0 || outcome > worst)
			worst = outcome;
		free_set(&set);
	}
	free(bytes);
	return worst;
}

static int by_count(const void *a, const void *b)
{
	const struct reason *left = a, *right = b;
	return left->count != right->count ? (left->count < right->count ? 1 : -1) : strcmp(left->text, right->text);
}

static int is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	bool verbose = argc > 2 && strcmp(argv[1], "--verbose") == 0;
	const char *root = argv[argc - 1];
	struct dirent **cases;
	if (argc != (verbose ? 3 : 2)) {
		fprintf(stderr, "usage: %s [--verbose] DIRECTORY\n", argv[0]);
		return 2;
	}
	int count = scandir(root, &cases, is_case, alphasort);
	if (count <= 0) {
		printf("skipped: no cases in %s (Debian's package libonnx-testdata has them)\n", root);
		return 77;
	}
	unsigned outcomes[3] = {0};
	for (int i = 0; i < count; i++) {
		struct gyr_error reason = {""};
		enum outcome outcome = run_case(root, cases[i]->d_name, &reason);
		outcomes[outcome]++;
		if (outcome == REFUSED)
			count_reason(reason.text);
		if (outcome == WRONG || verbose)
			printf("%s\t%s\t%s\n",
			       outcome == PASSED    ? "passed"
			       : outcome == REFUSED ? "refused"
						    : "WRONG",
			       cases[i]->d_name, outcome == REFUSED ? reason.text : "");
		free(cases[i]);
	}
	free(cases);
	qsort(reasons, reason_count, sizeof reasons[0], by_count);
	for (unsigned i = 0; i < reason_count; i++)
		printf("refused %4u: %s\n", reasons[i].count, reasons[i].text);
	printf("conformance: %u passed, %u refused, %u wrong of %d\n", outcomes[PASSED], outcomes[REFUSED], outcomes[WRONG], count);
	return outcomes[WRONG] == 0 && outcomes[PASSED] > 0 ? 0 : 1;
}
