#!/usr/bin/env python3
"""Random TreeEnsembles (opset 5 of ai.onnx.ml) against what the operator's schema says of them, in NumPy.

usage: tree_cases.py RUN-TOOL [ROUNDS]

ONNX Runtime is no oracle here: version 1.21 answers otherwise where EQ or MEMBER meet values from 1 to 32 and others ({0.5, 1} does not hold 1), and adds
leaves of other trees where there are several targets or trees of one node.
"""
import sys

import numpy as np
from onnx import helper, numpy_helper

import engines
from cases import floats, pick
from cases_ml import split, table


def ensemble(rng):
    """The attributes of an ensemble as arrays, and the type of its numbers."""
    features, targets, dtype = int(rng.integers(1, 8)), int(rng.integers(1, 4)), pick(rng, np.float32, np.float32, np.float64)
    nodes, sets, roots, leaves = [], [], [], 0
    mode = pick(rng, 0, 1, 2, 3, 6, None)

    def write(depth):
        nonlocal leaves
        at, own = len(nodes), mode if mode is not None else int(rng.integers(7))
        nodes.append(None)
        if own == 6:
            sets.append(np.array([split(rng) for _ in range(int(rng.integers(0, 5)))], dtype))
        children = []
        for _ in range(2):
            if depth == 0 or rng.random() < 0.2:
                children += [leaves, 1]
                leaves += 1
            else:
                children += [write(depth - 1), 0]
        nodes[at] = (int(rng.integers(features)), split(rng), own, int(rng.integers(2)), *children)
        return at

    for _ in range(int(rng.integers(2, 20))):
        roots.append(write(int(rng.integers(0, 7))))
    names = ("featureids", "splits", "modes", "missing_value_tracks_true", "truenodeids", "trueleafs", "falsenodeids", "falseleafs")
    attributes = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*nodes))}
    return attributes | {"nodes_splits": np.array(attributes["nodes_splits"], dtype), "nodes_modes": np.array(attributes["nodes_modes"], np.uint8),
                         "tree_roots": roots, "leaf_targetids": [int(i) for i in rng.integers(0, targets, leaves)], "leaf_weights": floats(rng, [leaves]).astype(dtype),
                         "n_targets": targets, "aggregate_function": int(rng.integers(4)) if targets == 1 else int(rng.integers(2))}, sets, features, dtype


def goes_first(value, mode, threshold, members, missing):
    if np.isnan(value):
        return missing or mode == 5
    return bool([value <= threshold, value < threshold, value >= threshold, value > threshold, value == threshold, value != threshold,
                 members is not None and (value == members).any()][mode])


def answers(attributes, sets, x):
    """What the schema says."""
    numbers = iter(sets)
    members = [next(numbers) if mode == 6 else None for mode in attributes["nodes_modes"]]
    sums = np.zeros((len(x), attributes["n_targets"], len(attributes["tree_roots"])))
    for row, features in enumerate(x):
        for tree, at in enumerate(attributes["tree_roots"]):
            leaf = False
            while not leaf:
                first = goes_first(features[attributes["nodes_featureids"][at]], attributes["nodes_modes"][at], attributes["nodes_splits"][at], members[at],
                                   attributes["nodes_missing_value_tracks_true"][at])
                side = "true" if first else "false"
                leaf, at = attributes[f"nodes_{side}leafs"][at], attributes[f"nodes_{side}nodeids"][at]
            sums[row, attributes["leaf_targetids"][at], tree] = attributes["leaf_weights"][at]
    return [np.mean, np.sum, np.min, np.max][attributes["aggregate_function"]](sums, axis=2)


def model_of(attributes, sets, features, dtype):
    fields = {name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value for name, value in attributes.items()}
    if sets:
        fields["membership_values"] = numpy_helper.from_array(np.concatenate([part for members in sets for part in (members, np.array([np.nan], dtype))]))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph([helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", name="node", **fields)], "trees",
                              [helper.make_tensor_value_info("x", kind, ["N", features])], [helper.make_tensor_value_info("y", kind, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 5)], ir_version=10).SerializeToString()


def main():
    gyr, wrong = engines.Gyr(sys.argv[1]), 0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 150
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        attributes, sets, features, dtype = ensemble(rng)
        x = table(rng, features, dtype)[:16]
        expected, model = answers(attributes, sets, x), model_of(attributes, sets, features, dtype)
        if attributes["n_targets"] > len(attributes["leaf_weights"]):
            continue
        for reference in (False, True):
            gyr.load(model, reference=reference, batch_max=16)
            got = gyr.run({"x": x})[0]
            if got.dtype != dtype or not np.allclose(got, expected, rtol=1e-5, atol=1e-5):
                wrong += 1
                print(f"WRONG seed {seed}{' by the reference' if reference else ''}: {got.tolist()} and not {expected.tolist()}")
    if gyr.close() != 0:
        wrong += 1
    print(f"trees: {rounds} ensembles, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
