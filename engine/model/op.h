/*
 * The table of operators: what Gyr runs, from which opset to which. Everything that must know the list (importer, checker, docs) reads it here.
 *
 * The table is put together from families, one file each (op_elementwise.c, op_movement.c, ...): see op_family.h, and docs/OPERATOR-FAMILIES.md on adding one.
 */
#ifndef GYR_ENGINE_MODEL_OP_H
#define GYR_ENGINE_MODEL_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tensor.h"

#define GYR_OPSET_MIN 7u
#define GYR_OPSET_MAX 22u
#define GYR_DOMAIN_ML "ai.onnx.ml" /* its opsets are counted apart from the default domain's */
#define GYR_OPSET_ML_MIN 1u
#define GYR_OPSET_ML_MAX 5u
#define GYR_NODE_ENDS_MAX 256u /* inputs, and outputs, of one node */
#define GYR_OP_VARIADIC GYR_NODE_ENDS_MAX

/* By family, in the families' order. */
enum gyr_op {
	GYR_OP_NONE,
	/* elementwise */
	GYR_OP_ABS,
	GYR_OP_ACOS,
	GYR_OP_ACOSH,
	GYR_OP_ADD,
	GYR_OP_AND,
	GYR_OP_ASIN,
	GYR_OP_ASINH,
	GYR_OP_ATAN,
	GYR_OP_ATANH,
	GYR_OP_BITWISE_AND,
	GYR_OP_BITWISE_NOT,
	GYR_OP_BITWISE_OR,
	GYR_OP_BITWISE_XOR,
	GYR_OP_BIT_SHIFT,
	GYR_OP_CAST,
	GYR_OP_CAST_LIKE,
	GYR_OP_CEIL,
	GYR_OP_CELU,
	GYR_OP_CLIP,
	GYR_OP_COS,
	GYR_OP_COSH,
	GYR_OP_DIV,
	GYR_OP_DROPOUT,
	GYR_OP_ELU,
	GYR_OP_EQUAL,
	GYR_OP_ERF,
	GYR_OP_EXP,
	GYR_OP_FLOOR,
	GYR_OP_GELU,
	GYR_OP_GREATER,
	GYR_OP_GREATER_OR_EQUAL,
	GYR_OP_HARD_SIGMOID,
	GYR_OP_HARD_SWISH,
	GYR_OP_IS_INF,
	GYR_OP_IS_NAN,
	GYR_OP_LEAKY_RELU,
	GYR_OP_LESS,
	GYR_OP_LESS_OR_EQUAL,
	GYR_OP_LOG,
	GYR_OP_MAX,
	GYR_OP_MEAN,
	GYR_OP_MIN,
	GYR_OP_MISH,
	GYR_OP_MOD,
	GYR_OP_MUL,
	GYR_OP_NEG,
	GYR_OP_NOT,
	GYR_OP_OR,
	GYR_OP_POW,
	GYR_OP_PRELU,
	GYR_OP_RECIPROCAL,
	GYR_OP_RELU,
	GYR_OP_ROUND,
	GYR_OP_SELU,
	GYR_OP_SHRINK,
	GYR_OP_SIGMOID,
	GYR_OP_SIGN,
	GYR_OP_SIN,
	GYR_OP_SINH,
	GYR_OP_SOFTPLUS,
	GYR_OP_SOFTSIGN,
	GYR_OP_SQRT,
	GYR_OP_SUB,
	GYR_OP_SUM,
	GYR_OP_TAN,
	GYR_OP_TANH,
	GYR_OP_THRESHOLDED_RELU,
	GYR_OP_WHERE,
	GYR_OP_XOR,
	/* movement */
	GYR_OP_FLATTEN,
	GYR_OP_IDENTITY,
	GYR_OP_RESHAPE,
	GYR_OP_SHAPE,
	/* arrange */
	GYR_OP_CONCAT,
	GYR_OP_DEPTH_TO_SPACE,
	GYR_OP_EXPAND,
	GYR_OP_SLICE,
	GYR_OP_SPACE_TO_DEPTH,
	GYR_OP_SPLIT,
	GYR_OP_SQUEEZE,
	GYR_OP_TILE,
	GYR_OP_TRANSPOSE,
	GYR_OP_UNSQUEEZE,
	/* filling */
	GYR_OP_CENTER_CROP_PAD,
	GYR_OP_CONSTANT_OF_SHAPE,
	GYR_OP_EYE_LIKE,
	GYR_OP_ONE_HOT,
	GYR_OP_PAD,
	GYR_OP_RANGE,
	GYR_OP_SIZE,
	GYR_OP_TRILU,
	/* indexing */
	GYR_OP_GATHER,
	GYR_OP_GATHER_ELEMENTS,
	GYR_OP_GATHER_ND,
	GYR_OP_REVERSE_SEQUENCE,
	GYR_OP_SCATTER,
	GYR_OP_SCATTER_ELEMENTS,
	GYR_OP_SCATTER_ND,
	/* square */
	GYR_OP_DET,
	/* choose */
	GYR_OP_COMPRESS,
	GYR_OP_NON_ZERO,
	/* resize */
	GYR_OP_RESIZE,
	GYR_OP_UPSAMPLE,
	/* quantise */
	GYR_OP_DEQUANTIZE_LINEAR,
	GYR_OP_DYNAMIC_QUANTIZE_LINEAR,
	GYR_OP_QUANTIZE_LINEAR,
	/* integer */
	GYR_OP_CONV_INTEGER,
	GYR_OP_MATMUL_INTEGER,
	GYR_OP_QLINEAR_CONV,
	GYR_OP_QLINEAR_MATMUL,
	/* matrix */
	GYR_OP_GEMM,
	GYR_OP_MATMUL,
	GYR_OP_SOFTMAX,
	/* einsum */
	GYR_OP_EINSUM,
	/* convolution */
	GYR_OP_AVERAGE_POOL,
	GYR_OP_CONV,
	GYR_OP_CONV_TRANSPOSE,
	GYR_OP_GLOBAL_AVERAGE_POOL,
	GYR_OP_GLOBAL_LP_POOL,
	GYR_OP_GLOBAL_MAX_POOL,
	GYR_OP_LP_POOL,
	GYR_OP_MAX_POOL,
	/* reduction */
	GYR_OP_REDUCE_L1,
	GYR_OP_REDUCE_L2,
	GYR_OP_REDUCE_LOG_SUM,
	GYR_OP_REDUCE_LOG_SUM_EXP,
	GYR_OP_REDUCE_MAX,
	GYR_OP_REDUCE_MEAN,
	GYR_OP_REDUCE_MIN,
	GYR_OP_REDUCE_PROD,
	GYR_OP_REDUCE_SUM,
	GYR_OP_REDUCE_SUM_SQUARE,
	GYR_OP_ARG_MAX,
	GYR_OP_ARG_MIN,
	GYR_OP_CUM_SUM,
	GYR_OP_TOP_K,
	/* normalisation */
	GYR_OP_BATCH_NORMALIZATION,
	GYR_OP_GROUP_NORMALIZATION,
	GYR_OP_HARDMAX,
	GYR_OP_INSTANCE_NORMALIZATION,
	GYR_OP_LAYER_NORMALIZATION,
	GYR_OP_LOG_SOFTMAX,
	GYR_OP_LP_NORMALIZATION,
	GYR_OP_LRN,
	GYR_OP_MEAN_VARIANCE_NORMALIZATION,
	/* ml */
	GYR_OP_ARRAY_FEATURE_EXTRACTOR,
	GYR_OP_BINARIZER,
	GYR_OP_FEATURE_VECTORIZER,
	GYR_OP_IMPUTER,
	GYR_OP_LABEL_ENCODER,
	GYR_OP_LINEAR_CLASSIFIER,
	GYR_OP_LINEAR_REGRESSOR,
	GYR_OP_NORMALIZER,
	GYR_OP_SCALER,
	/* trees */
	GYR_OP_TREE_ENSEMBLE,
	GYR_OP_TREE_ENSEMBLE_CLASSIFIER,
	GYR_OP_TREE_ENSEMBLE_REGRESSOR,
	/* loss */
	GYR_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS,
	GYR_OP_SOFTMAX_CROSS_ENTROPY_LOSS,
	/* sampling */
	GYR_OP_AFFINE_GRID,
	GYR_OP_COL2IM,
	GYR_OP_GRID_SAMPLE,
	/* recurrent */
	GYR_OP_GRU,
	GYR_OP_LSTM,
	GYR_OP_RNN,
	/* signal */
	GYR_OP_BLACKMAN_WINDOW,
	GYR_OP_DFT,
	GYR_OP_HAMMING_WINDOW,
	GYR_OP_HANN_WINDOW,
	GYR_OP_STFT,
	/* flow */
	GYR_OP_IF,
	GYR_OP_LOOP,
	GYR_OP_SCAN,
	GYR_OP_COUNT,
	/* internal: made by passes of engine/plan, unknown to files, bundles and docs; each has its name in op_internal.c, and a row in a family of
	   engine/kernel */
	GYR_OP_CHANNELS_LAST_CONV = GYR_OP_COUNT,
	GYR_OP_STRIDED_ATTENTION, /* inputs q, k, v, mask; attributes "layouts", "scale", "fill", "keep": see engine/kernel/attention.h */
	GYR_OP_CHANNELS_LAST_POOL,
	GYR_OP_ALL_COUNT
};

enum gyr_attribute_type {
	GYR_ATTRIBUTE_INT,
	GYR_ATTRIBUTE_FLOAT,
	GYR_ATTRIBUTE_STRING,
	GYR_ATTRIBUTE_INTS,
	GYR_ATTRIBUTE_FLOATS,
	GYR_ATTRIBUTE_STRINGS,
	GYR_ATTRIBUTE_TENSOR,
	GYR_ATTRIBUTE_GRAPH,
};

struct gyr_op_attribute {
	const char *name;
	enum gyr_attribute_type type;
	uint32_t opset_min; /* the first opset that knows it */
	bool required;
	bool any_number; /* of type float: it may be infinite, or NaN */
};

/* Element types that joined a type variable with an opset; they hold for it and all later ones. */
struct gyr_op_type {
	char variable;
	uint32_t opset_min;
	uint32_t types; /* bit 1 << dtype */
};

/* What is known of a value's rows: see rows.h. */
enum gyr_rows {
	GYR_ROWS_NONE,  /* it depends neither on the inputs' contents nor on the number of rows */
	GYR_ROWS_COUNT, /* it depends on the number of rows (a Shape, and what is computed from it), not on the inputs' contents */
	GYR_ROWS_APART, /* its dims[0] is the batch, and row i depends on row i alone; APART + k: the same of dims[k] */
	GYR_ROWS_MIXED = GYR_ROWS_APART + GYR_RANK_MAX, /* nothing is known */
	GYR_ROWS_INSIDE,                                /* and what follows it: the batch is a part of one dimension (rows.h), and its rows are apart */
};

struct gyr_infer;

/*
 * What an operator is from one opset to another. An operator that takes other inputs or attributes in later opsets has several rows, in order.
 *
 * INPUTS has a letter for each input, the last of which stands for all that follow: inputs of the same capital letter have the same type, each one of those
 * that TYPES lists under the letter; inputs of a small letter are only each held against the list. OUTPUTS is the same; its letters are for whoever reads.
 */
struct gyr_op_info {
	enum gyr_op op;
	const char *name;              /* ONNX's, as in NodeProto.op_type */
	const char *domain;            /* NULL for the default one, or GYR_DOMAIN_ML */
	uint32_t opset_min, opset_max; /* of the domain, as all opsets below */
	uint32_t input_min, input_max; /* GYR_OP_VARIADIC: any number; captures (graph.h) do not count */
	uint32_t optional;             /* bit i: input i may be left out, though it is one of the first input_min */
	uint32_t output_max;           /* at least one is always needed */
	const char *inputs, *outputs;
	uint32_t type_count;
	const struct gyr_op_type *types;
	uint32_t attribute_count;
	const struct gyr_op_attribute *attributes;
	/* Gives types and shapes of the outputs: see infer.h. */
	int (*infer)(struct gyr_infer *infer);
	/* Says what becomes of the rows of a batch: see rows.h. NULL: nothing is known, so rows are never computed together. */
	enum gyr_rows (*rows)(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);
	/* ROWS copes with a batch that is any dimension. Where it is not set, inputs whose batch is not dims[0] are shown to ROWS as MIXED. */
	bool rows_anywhere;
	/* And with one that is a part of a dimension; else it is shown as MIXED. */
	bool rows_inside;
	/* With one output, of the type of input 0, the result is the memory of input 0 under another shape: nothing is computed. */
	bool view;
};

/* The newest row of OP (not GYR_OP_NONE); of an internal one, a row that holds its name. Any thread. */
const struct gyr_op_info *gyr_op_info(enum gyr_op op);

/* The row of OP (not GYR_OP_NONE) that holds at OPSET of its domain, or NULL; an internal one has none. */
const struct gyr_op_info *gyr_op_at(enum gyr_op op, uint32_t opset);

/* All rows, for who prints them: row INDEX, or NULL behind the last. Those of one operator are neighbours, the oldest first. */
const struct gyr_op_info *gyr_op_row(uint32_t index);

/* The operator of that ONNX name in DOMAIN (NULL: the default one), or GYR_OP_NONE. */
enum gyr_op gyr_op_find(const char *domain, const char *name);

/* The operator of that ONNX name in the default domain, or GYR_OP_NONE. */
enum gyr_op gyr_op_from_name(const char *name);

/* Whether OP (not GYR_OP_NONE) takes elements of DTYPE as input 0 at OPSET of its domain, as ONNX's operator schema says. */
bool gyr_op_takes(enum gyr_op op, uint32_t opset, enum gyr_dtype dtype);

/* Whether ROW's type VARIABLE has DTYPE at OPSET. */
bool gyr_op_type_has(const struct gyr_op_info *row, char variable, uint32_t opset, enum gyr_dtype dtype);

/* The letter of input INDEX in the list of letters LETTERS. */
char gyr_op_letter(const char *letters, uint32_t index);

#endif
