"""Makers of random cases of ai.onnx.ml, for MAKERS of cases.py: first each operator as it is mostly used, then what it leaves to types, opsets, and the corners of
tree ensembles. TreeEnsemble is not here: see tree_cases.py."""
import numpy as np
from onnx import numpy_helper

from cases import EXTREMES, Case, floats, maker, pick, shape, some, whole

ML = {"domain": "ai.onnx.ml", "relative": 1e-4, "absolute": 1e-5}
EXACT = {"domain": "ai.onnx.ml", "relative": 0}
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


@maker("Scaler")
def scaler(rng, op):
    n = int(rng.integers(1, 9))
    count = pick(rng, 1, n)
    return Case(op, [("x", some(rng, [int(rng.integers(1, 5)), n], pick(rng, np.float32, np.int64, np.int32)), "input")],
                {"offset": floats(rng, [count]).tolist(), "scale": floats(rng, [count]).tolist()}, domain="ai.onnx.ml", domain_opset=1)


@maker("Normalizer")
def normalizer(rng, op):
    return Case(op, [("x", floats(rng, [int(rng.integers(1, 5)), int(rng.integers(1, 9))]), "input")], {"norm": pick(rng, "MAX", "L1", "L2")}, domain="ai.onnx.ml", domain_opset=1)


@maker("LinearRegressor")
def linear_regressor(rng, op):
    n, targets = int(rng.integers(1, 20)), int(rng.integers(1, 4))
    return Case(op, [("x", floats(rng, [int(rng.integers(1, 5)), n]), "input")], {"coefficients": floats(rng, [n * targets]).tolist(), "intercepts": floats(rng, [targets]).tolist(), "targets": targets,
                "post_transform": pick(rng, "NONE", "NONE", "SOFTMAX", "LOGISTIC")}, domain="ai.onnx.ml", domain_opset=1, relative=1e-4, absolute=1e-5)


@maker("LinearClassifier")
def linear_classifier(rng, op):
    n, classes = int(rng.integers(1, 20)), pick(rng, 2, 3, 5)
    rows = 1 if classes == 2 and rng.random() < .5 else classes
    return Case(op, [("x", floats(rng, [int(rng.integers(1, 5)), n]), "input")], {"coefficients": floats(rng, [n * rows]).tolist(), "intercepts": floats(rng, [rows]).tolist(), "classlabels_ints": [int(i) for i in rng.permutation(20)[:classes]],
                "post_transform": pick(rng, "NONE", "SOFTMAX", "LOGISTIC"), "multi_class": 0}, outputs=(True, True), domain="ai.onnx.ml", domain_opset=1, relative=1e-4, absolute=1e-5)


def trees(rng, features, count, depth):
    """The nodes of COUNT random trees, and (tree, leaf) of each leaf."""
    rows = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves, mode = [], pick(rng, "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", None)

    def grow(tree, level, ids):
        node = next(ids)
        at = len(rows["nodeids"])
        for key in rows:
            rows[key].append(0)
        rows["treeids"][at], rows["nodeids"][at], rows["values"][at] = tree, node, 0.0
        if level == depth or rng.random() < 0.2:
            rows["modes"][at] = "LEAF"
            leaves.append((tree, node))
            return node
        rows["modes"][at] = mode or pick(rng, "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
        rows["featureids"][at], rows["values"][at] = int(rng.integers(features)), float(np.float32(round(rng.normal(), 1)))
        rows["missing_value_tracks_true"][at] = int(rng.integers(2))
        rows["truenodeids"][at] = grow(tree, level + 1, ids)
        rows["falsenodeids"][at] = grow(tree, level + 1, ids)
        return node

    for tree in range(count):
        grow(tree, 0, iter(range(1 << 20)))
    return {f"nodes_{key}": items for key, items in rows.items()}, leaves


@maker("TreeEnsembleRegressor")
def tree_regressor(rng, op):
    features, targets = int(rng.integers(1, 8)), int(rng.integers(1, 4))
    attributes, leaves = trees(rng, features, int(rng.integers(1, 12)), int(rng.integers(0, 6)))
    x = np.round(floats(rng, [int(rng.integers(1, 9)), features]), 1)
    x = np.where(rng.random(x.shape) < .05, np.float32(np.nan), x).astype(np.float32)
    attributes |= {"target_treeids": [t for t, _ in leaves], "target_nodeids": [n for _, n in leaves], "target_ids": [int(rng.integers(targets)) for _ in leaves], "target_weights": floats(rng, [len(leaves)]).tolist(),
                   "n_targets": targets, "aggregate_function": pick(rng, "SUM", "AVERAGE", "MIN", "MAX")}
    if rng.random() < .4:
        attributes["base_values"] = floats(rng, [targets]).tolist()
    return Case(op, [("x", x, "input")], attributes, domain="ai.onnx.ml", relative=1e-4, absolute=1e-5)


@maker("TreeEnsembleClassifier")
def tree_classifier(rng, op):
    features, classes = int(rng.integers(1, 8)), pick(rng, 2, 3, 4)
    attributes, leaves = trees(rng, features, int(rng.integers(1, 12)), int(rng.integers(0, 6)))
    x = np.round(floats(rng, [int(rng.integers(1, 9)), features]), 1)
    ids = [int(rng.integers(classes)) if classes > 2 else 1 for _ in leaves]
    attributes |= {"class_treeids": [t for t, _ in leaves], "class_nodeids": [n for _, n in leaves], "class_ids": ids, "class_weights": np.abs(floats(rng, [len(leaves)])).tolist(),
                   "classlabels_int64s": list(range(classes)), "post_transform": pick(rng, "NONE", "SOFTMAX", "LOGISTIC")}
    return Case(op, [("x", x, "input")], attributes, outputs=(True, True), domain="ai.onnx.ml", relative=1e-4, absolute=1e-5)


@maker("LabelEncoder")
def label_encoder(rng, op):
    keys = [int(k) for k in rng.permutation(20)[:6]]
    return Case(op, [("x", whole(rng, shape(rng, 1, 3), np.int64, 0, 20), "input")], pick(rng, {"keys_int64s": keys, "values_floats": floats(rng, [6]).tolist(), "default_float": 0.5},
                {"keys_int64s": keys, "values_int64s": keys[::-1], "default_int64": -7}), domain="ai.onnx.ml", domain_opset=2, relative=0)


def table(rng, features, dtype=np.float32, extremes=0.1):
    """Rows of numbers that are often equal to one another."""
    rows = int(rng.integers(1, 17))
    if np.issubdtype(dtype, np.integer):
        return whole(rng, [rows, features], dtype, -3, 3)
    x = np.round(floats(rng, [rows, features], dtype=dtype), 1)
    return np.asarray(np.where(rng.random(x.shape) < extremes, rng.choice(EXTREMES, x.shape), x), dtype)


def split(rng):
    return float(rng.choice(EXTREMES[1:])) if rng.random() < 0.1 else float(np.float32(round(rng.normal(), 1)))


def grow(rng, features, depth, mode):
    """A tree: (feature, split, mode, missing, first, second), or None for a leaf."""
    if depth == 0 or rng.random() < 0.2:
        return None
    return (int(rng.integers(features)), split(rng), mode or pick(rng, *MODES), int(rng.integers(2)), grow(rng, features, depth - 1, mode),
            grow(rng, features, depth - 1, mode))


def by_ids(trees):
    """The attributes of the nodes, and (tree, node) of each leaf. Ids are neither in order nor without gaps."""
    names = ("treeids", "nodeids", "featureids", "values", "modes", "missing_value_tracks_true", "truenodeids", "falsenodeids")
    rows, leaves = [], []
    for number, tree in enumerate(trees):
        count = 0

        def write(node):
            nonlocal count
            own, at = 100 - 3 * count, len(rows)
            count += 1
            rows.append(None)
            if node is None:
                rows[at] = (number * 5, own, 0, 0.0, "LEAF", 0, 0, 0)
                leaves.append((number * 5, own))
            else:
                feature, value, mode, missing, first, second = node
                rows[at] = (number * 5, own, feature, value, mode, missing, write(first), write(second))
            return own

        write(tree)
    return {f"nodes_{name}": list(items) for name, items in zip(names, zip(*rows))}, leaves


def forest(rng, features):
    mode = pick(rng, "BRANCH_LEQ", "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", None)
    depth = int(rng.integers(0, 9))
    return by_ids([grow(rng, features, depth, mode) for _ in range(int(rng.integers(1, 40)))])


def weights(kind, leaves, ids, values):
    trees, nodes = zip(*leaves)
    return {f"{kind}_treeids": list(trees), f"{kind}_nodeids": list(nodes), f"{kind}_ids": ids, f"{kind}_weights": [float(v) for v in values]}


@maker("TreeEnsembleRegressor")
def regressor_of_all_types(rng, op):
    features, targets = int(rng.integers(1, 8)), int(rng.integers(1, 4))
    attributes, leaves = forest(rng, features)
    dtype = pick(rng, np.float32, np.float32, np.float64, np.int64, np.int32)
    every = [leaf for leaf in leaves for _ in range(targets)]
    attributes |= weights("target", every, [i % targets for i in range(len(every))], floats(rng, [len(every)]))
    attributes |= {"n_targets": targets, "aggregate_function": pick(rng, "SUM", "AVERAGE", "MIN", "MAX"),
                   "post_transform": pick(rng, "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO") if targets > 1 else "NONE"}
    if rng.random() < 0.5:
        attributes["base_values"] = floats(rng, [targets]).tolist()
    return Case(op, [("x", table(rng, features, dtype), "input")], attributes, domain_opset=pick(rng, 1, 3), **ML)


@maker("TreeEnsembleClassifier")
def classifier_of_a_pair(rng, op):
    features = int(rng.integers(1, 8))
    attributes, leaves = forest(rng, features)
    values = floats(rng, [len(leaves)]) * (1 if rng.random() < 0.5 else 0.2)
    if rng.random() < 0.4:
        values = np.abs(values) / len(set(attributes["nodes_treeids"]))
    second = rng.random() < 0.2
    attributes |= weights("class", leaves, [int(second)] * len(leaves), values)
    attributes |= {"classlabels_int64s": [7, -2], "post_transform": pick(rng, "NONE", "LOGISTIC")}
    if not second and rng.random() < 0.4:
        attributes["base_values"] = floats(rng, [1]).tolist()
    return Case(op, [("x", table(rng, features, pick(rng, np.float32, np.float32, np.int64)), "input")], attributes, outputs=(True, True),
                domain_opset=pick(rng, 1, 3), **ML)


@maker("TreeEnsembleClassifier")
def classifier_of_many(rng, op):
    features, classes = int(rng.integers(1, 8)), int(rng.integers(3, 12))
    attributes, leaves = forest(rng, features)
    numbers = {tree: i for i, tree in enumerate(sorted({tree for tree, _ in leaves}))}
    if rng.random() < 0.5 and len(numbers) >= classes:  # a tree for each class in turn
        ids = [numbers[tree] % classes for tree, _ in leaves]
    else:
        leaves = [leaf for leaf in leaves for _ in range(classes)]
        ids = [i % classes for i in range(len(leaves))]
    attributes |= weights("class", leaves, ids, floats(rng, [len(leaves)]))
    attributes |= {"classlabels_int64s": [int(i) for i in rng.permutation(40)[:classes]], "post_transform": pick(rng, "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")}
    if rng.random() < 0.4:
        attributes["base_values"] = floats(rng, [classes]).tolist()
    return Case(op, [("x", table(rng, features), "input")], attributes, outputs=(True, True), domain_opset=pick(rng, 1, 3), **ML)


@maker("Binarizer")
def binarizer(rng, op):
    return Case(op, [("x", table(rng, int(rng.integers(1, 9))), "input")], {"threshold": split(rng) if rng.random() < 0.9 else 0.0}, domain_opset=1, **EXACT)


@maker("Imputer")
def imputer(rng, op):
    features, dtype = int(rng.integers(1, 9)), pick(rng, np.float32, np.int64)
    count = pick(rng, 1, features)
    if dtype == np.float32:
        attributes = {"imputed_value_floats": floats(rng, [count]).tolist(), "replaced_value_float": pick(rng, float("nan"), 0.0, 1.0)}
    else:
        attributes = {"imputed_value_int64s": [int(i) for i in rng.integers(-9, 9, count)], "replaced_value_int64": int(rng.integers(-3, 4))}
    return Case(op, [("x", table(rng, features, dtype), "input")], attributes, domain_opset=1, **EXACT)


@maker("FeatureVectorizer")
def feature_vectorizer(rng, op):
    rows, dims, dtype = int(rng.integers(1, 6)), [int(d) for d in rng.integers(1, 9, int(rng.integers(1, 4)))], pick(rng, np.float32, np.float64, np.int64, np.int32)
    make = lambda d: whole(rng, [rows, d], dtype, -9, 9) if np.issubdtype(dtype, np.integer) else floats(rng, [rows, d], dtype=dtype)
    return Case(op, [(f"x{i}", make(d), "input") for i, d in enumerate(dims)], {"inputdimensions": dims}, domain_opset=1, **EXACT)


@maker("ArrayFeatureExtractor")
def array_feature_extractor(rng, op):
    features, dtype = int(rng.integers(1, 9)), pick(rng, np.float32, np.float64, np.int64, np.int32)
    return Case(op, [("x", table(rng, features, dtype), "input"), ("y", rng.integers(0, features, [int(rng.integers(1, 6))]), "constant")], domain_opset=1, **EXACT)


@maker("LabelEncoder")
def label_encoder_of_tensors(rng, op):
    keys = rng.permutation(np.array([-1.5, -1, 0, 0.5, 1, 2, 3, np.nan], np.float64))[:5]
    dtype = pick(rng, np.float32, np.float64)
    x = rng.choice(np.array([-1.5, -1, -0.0, 0.5, 1, 2, 3, 9, np.nan], dtype), [int(rng.integers(1, 6)), 3])
    tensor = lambda items: numpy_helper.from_array(np.array(items, dtype))
    return Case(op, [("x", x, "input")], {"keys_tensor": tensor(keys), "values_tensor": tensor(rng.integers(0, 9, 5)), "default_tensor": tensor([-7])},
                domain_opset=4, opset=17, **EXACT)


@maker("Scaler")
def scaler_of_all_types(rng, op):
    features, dtype = int(rng.integers(1, 9)), pick(rng, np.float64, np.int64, np.int32)
    count = pick(rng, 1, features)
    return Case(op, [("x", table(rng, features, dtype, 0), "input")], {"offset": floats(rng, [count]).tolist(), "scale": floats(rng, [count]).tolist()},
                domain_opset=1, **ML)


@maker("Normalizer")
def normalizer_of_all_types(rng, op):
    dtype = pick(rng, np.float64, np.int64, np.int32)
    return Case(op, [("x", table(rng, int(rng.integers(1, 9)), dtype, 0), "input")], {"norm": pick(rng, "MAX", "L1", "L2")}, domain_opset=1, **ML)
