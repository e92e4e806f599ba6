/*
 * Runs ONNX's own test cases, one operator each, and its light nets: conformance [--verbose] NODE-DIRECTORY [LIGHT-DIRECTORY]
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

#include "case_set.h"
#include "engine/onnx/onnx.h"
#include "engine/plan/plan.h"

#define SETS_MAX 16u
#define REASONS_MAX 512u
#define ABSOLUTE 1e-7
#define LIGHT_FOLD_BYTES ((size_t)1 << 30)

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

/* One way of running a model; REASON gets the message of a refusal. */
static enum outcome run_model(const void *bytes, size_t size, const struct gyr_plan_options *options, struct case_set *set, struct gyr_error *reason)
{
	struct gyr_graph *graph;
	struct gyr_plan *plan;
	if (gyr_onnx_import(bytes, size, &graph, reason) != 0)
		return REFUSED;
	int status = gyr_plan_create(graph, options, &plan, reason);
	gyr_graph_destroy(graph);
	if (status != 0)
		return REFUSED;
	bool right = case_set_run(plan, set);
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
static void *with_constants(const void *bytes, size_t size, const struct case_set *set, bool all, size_t *result_size)
{
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
	size_t kept = all ? 0 : 1;
	void *result = NULL;
	if (model != NULL && model->graph != NULL && model->graph->n_input > kept && model->graph->n_input == set->input_count) {
		Onnx__GraphProto *graph = model->graph;
		Onnx__TensorProto *added[CASE_TENSORS_MAX], **own = graph->initializer;
		Onnx__ValueInfoProto *first = graph->input[0];
		char *names[CASE_TENSORS_MAX];
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
static enum outcome run_questions(const void *bytes, size_t size, struct case_set *set, struct gyr_error *reason)
{
	static float nothing;
	struct case_set spare = *set;
	unsigned passed = 0, wrong = 0;
	struct gyr_error other;
	spare.inputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {1}};
	spare.input_data[0] = &nothing;
	for (int way = 0; way < 3 && (way < 2 || passed + wrong == 0); way++) {
		size_t changed_size = 0;
		void *changed = way > 0 ? with_constants(bytes, size, set, way == 2, &changed_size) : NULL;
		for (int reference = 0; reference < 2 && (way == 0 || changed != NULL); reference++) {
			const struct gyr_plan_options options = {.batch_max = 8, .reference = reference};
			enum outcome outcome = run_model(way == 0 ? bytes : changed, way == 0 ? size : changed_size, &options, way == 2 ? &spare : set,
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
		struct case_set set;
		const char *fault = case_set_read(path, &set);
		set.absolute = ABSOLUTE;
		for (size_t k = 0; k < sizeof rounded / sizeof rounded[0]; k++)
			if (strcmp(name, rounded[k].name) == 0)
				set.absolute = rounded[k].absolute;
		if (fault != NULL)
			gyr_error_set(reason, 0, "%s", fault);
		enum outcome outcome = fault != NULL ? REFUSED : run_questions(bytes, size, &set, reason);
		if (i == 0 || outcome > worst)
			worst = outcome;
		case_set_free(&set);
	}
	free(bytes);
	return worst;
}

/* The input of a light net, as ONNX's runner makes it: 0 to almost 1 in equal steps. */
static const char *make_ramp(const void *bytes, size_t size, struct case_set *set)
{
	struct gyr_graph *graph;
	size_t count, room;
	if (gyr_onnx_import(bytes, size, &graph, NULL) != 0)
		return NULL; /* the run will say why */
	set->inputs[0] = graph->values[graph->inputs[0]].shape;
	bool fine = graph->input_count == 1 && set->inputs[0].dtype == GYR_DTYPE_F32 && gyr_shape_count(&set->inputs[0], 1, &count) &&
		    gyr_shape_bytes(&set->inputs[0], 1, &room);
	gyr_graph_destroy(graph);
	float *ramp = fine ? malloc(room + 1) : NULL;
	if (ramp == NULL)
		return "case: its input is not one of f32";
	for (size_t i = 0; i < count; i++)
		ramp[i] = (float)((double)i / (double)count);
	set->input_data[0] = ramp;
	set->input_count = 1;
	return NULL;
}

/* A light net, PATH without its ending, compiled: its constants are computed from constants, and take more than a stranger's may. */
static enum outcome run_light(const char *path, struct gyr_error *reason)
{
	const struct gyr_plan_options options = {.batch_max = 1, .fold_bytes_max = LIGHT_FOLD_BYTES};
	char file[PATH_MAX + 32];
	size_t size;
	struct case_set set = {.absolute = ABSOLUTE};
	snprintf(file, sizeof file, "%s.onnx", path);
	void *bytes = case_file_read(file, &size);
	snprintf(file, sizeof file, "%s_output_0.pb", path);
	const char *fault = bytes == NULL ? "case: no model" : case_output_read(file, &set);
	if (fault == NULL)
		fault = make_ramp(bytes, size, &set);
	if (fault != NULL)
		gyr_error_set(reason, 0, "%s", fault);
	enum outcome outcome = fault != NULL ? REFUSED : run_model(bytes, size, &options, &set, reason);
	free(bytes);
	case_set_free(&set);
	return outcome;
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

static int is_light(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return length > 5 && strcmp(entry->d_name + length - 5, ".onnx") == 0;
}

/* A case that ONNX derives from another, by writing its operator out in simpler ones. */
static bool is_expanded(const char *name)
{
	return strstr(name, "_expanded") != NULL;
}

static void tell(const char *name, enum outcome outcome, const struct gyr_error *reason, bool verbose)
{
	static const char *const words[] = {[PASSED] = "passed", [REFUSED] = "refused", [WRONG] = "WRONG"};
	if (outcome == REFUSED)
		count_reason(reason->text);
	if (outcome == WRONG || verbose)
		printf("%s\t%s\t%s\n", words[outcome], name, outcome == REFUSED ? reason->text : "");
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "--verbose") == 0;
	const char *nodes = argv[1 + verbose], *light = argc > 2 + verbose ? argv[2 + verbose] : NULL;
	struct dirent **cases;
	if (argc < 2 + verbose || argc > 3 + verbose) {
		fprintf(stderr, "usage: %s [--verbose] NODE-DIRECTORY [LIGHT-DIRECTORY]\n", argv[0]);
		return 2;
	}
	int count = scandir(nodes, &cases, is_case, alphasort);
	if (count <= 0) {
		printf("skipped: no cases in %s (Debian's package libonnx-testdata has them)\n", nodes);
		return 77;
	}
	unsigned outcomes[3] = {0}, single[3] = {0}, nets[3] = {0};
	for (int i = 0; i < count; i++) {
		struct gyr_error reason = {""};
		enum outcome outcome = run_case(nodes, cases[i]->d_name, &reason);
		outcomes[outcome]++;
		single[outcome] += !is_expanded(cases[i]->d_name);
		tell(cases[i]->d_name, outcome, &reason, verbose);
		free(cases[i]);
	}
	free(cases);
	int net_count = light != NULL ? scandir(light, &cases, is_light, alphasort) : 0;
	if (net_count <= 0 && light != NULL)
		printf("no nets in %s (Debian's package python3-onnx has them)\n", light);
	for (int i = 0; i < net_count; i++) {
		struct gyr_error reason = {""};
		char path[PATH_MAX];
		snprintf(path, sizeof path, "%s/%.*s", light, (int)(strlen(cases[i]->d_name) - 5), cases[i]->d_name);
		enum outcome outcome = run_light(path, &reason);
		outcomes[outcome]++;
		nets[outcome]++;
		tell(cases[i]->d_name, outcome, &reason, verbose);
		free(cases[i]);
	}
	if (net_count > 0)
		free(cases);
	qsort(reasons, reason_count, sizeof reasons[0], by_count);
	for (unsigned i = 0; i < reason_count; i++)
		printf("refused %4u: %s\n", reasons[i].count, reasons[i].text);
	printf("single operators: %u passed, %u refused, %u wrong of %u\n", single[PASSED], single[REFUSED], single[WRONG],
	       single[PASSED] + single[REFUSED] + single[WRONG]);
	if (light != NULL)
		printf("nets: %u passed, %u refused, %u wrong of %u\n", nets[PASSED], nets[REFUSED], nets[WRONG], nets[PASSED] + nets[REFUSED] + nets[WRONG]);
	printf("conformance: %u passed, %u refused, %u wrong of %u\n", outcomes[PASSED], outcomes[REFUSED], outcomes[WRONG],
	       outcomes[PASSED] + outcomes[REFUSED] + outcomes[WRONG]);
	return outcomes[WRONG] == 0 && outcomes[PASSED] > 0 ? 0 : 1;
}
