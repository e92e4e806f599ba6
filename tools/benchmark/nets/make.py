#!/usr/bin/env python3
"""Makes the nets that tools/bench infer measures, as ONNX files, and prints the path of their list.

usage: make.py [CACHE]

The files lie in CACHE/nets-HASH (CACHE is ~/.cache/gyr by default), where HASH is that of this script: another script makes other nets. The list, nets.json,
has an object a net: name, file, class ("dense", "recurrent", "trees" or "rest"), the name of its batch dimension where it has one, and what else must be said
to run it. Nets that are fetched (fetch.py) are in the list where they are there.
"""
import hashlib
import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # beside the scripts of a checkout
import fetch

LIGHT = Path("/usr/lib/python3/dist-packages/onnx/backend/test/data/light")
OPSET = 17

# Dense nets: inputs, and each layer's outputs.
DENSE = [[100, 200, 100], [256, 256, 256, 256], [784, 128, 10], [768, 3072, 768]]
# LSTMs: layers, units, steps, features.
RECURRENT = [(2, 100, 50, 100), (3, 200, 100, 250)]
# Encoders of 4 layers: width, heads, steps.
ENCODERS = [(128, 4, 64), (256, 8, 128)]

# Nets that somebody else made: the file in FOLDER, and what its open dimensions are.
FETCHED = [
    {"name": "vad", "file": "silero_vad_v5.onnx", "class": "recurrent", "shapes": ["input=1,512", "state=2,1,128"], "values": ["sr=16000"]},
    {"name": "vad-legacy", "file": "silero_vad_legacy.onnx", "class": "recurrent", "shapes": ["input=1,1536", "h=2,1,64", "c=2,1,64"], "values": ["sr=16000"]},
    {"name": "text-find", "file": "ch_PP-OCRv4_det_infer.onnx", "class": "rest", "shapes": ["x=1,3,320,320"]},
    {"name": "text-read", "file": "ch_PP-OCRv4_rec_infer.onnx", "class": "rest", "shapes": ["x=1,3,48,320"]},
    {"name": "text-line", "file": "ch_ppocr_mobile_v2.0_cls_infer.onnx", "class": "rest", "batch": "N", "shapes": ["x=N,3,48,192"]},
]


def make_dense(widths, path):
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save
    rng = np.random.default_rng(1)
    nodes, constants, at = [], [], "x"
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        last = i == len(widths) - 2
        constants.append(numpy_helper.from_array((rng.uniform(-1, 1, (inputs, outputs)) / inputs ** 0.5).astype(np.float32), f"w{i}"))
        constants.append(numpy_helper.from_array(rng.uniform(-1, 1, outputs).astype(np.float32), f"b{i}"))
        nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], ["y" if last else f"gemm{i}"], name=f"gemm{i}"))
        if not last:
            nodes.append(helper.make_node("Relu", [f"gemm{i}"], [f"relu{i}"], name=f"relu{i}"))
        at = f"relu{i}"
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
    graph = helper.make_graph(nodes, "dense", [value("x", widths[0])], [value("y", widths[-1])], constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), path)


def export(module, arguments, path, inputs, outputs, batch_axes):
    """A PyTorch module as torch.onnx.export writes it; BATCH_AXES: which axis of each input and output is the batch."""
    import torch
    module.eval()
    axes = {name: {axis: "N"} for name, axis in batch_axes.items()}
    with torch.no_grad():
        torch.onnx.export(module, arguments, path, input_names=inputs, output_names=outputs, dynamic_axes=axes, opset_version=OPSET, dynamo=False)


def make_lstm(layers, units, steps, features, path):
    import torch

    class Window(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(features, units, layers, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    torch.manual_seed(1)
    export(Window(), (torch.randn(2, steps, features),), path, ["x"], ["y"], {"x": 0, "y": 0})


def make_lstm_step(layers, units, features, path):
    import torch

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(features, units, layers, batch_first=True)

        def forward(self, x, h, c):
            y, (h, c) = self.lstm(x, (h, c))
            return y, h, c

    torch.manual_seed(1)
    state = torch.randn(layers, 2, units)
    export(Step(), (torch.randn(2, 1, features), state, state), path, ["x", "h", "c"], ["y", "h_out", "c_out"],
           {"x": 0, "h": 1, "c": 1, "y": 0, "h_out": 1, "c_out": 1})


def make_encoder(width, heads, steps, path):
    import torch
    torch.manual_seed(1)
    torch.backends.mha.set_fastpath_enabled(False)
    layer = torch.nn.TransformerEncoderLayer(width, heads, 4 * width, activation="gelu", batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    with torch.no_grad():
        for parameter in encoder.parameters():  # the four layers start as copies of one
            parameter.add_(torch.randn_like(parameter) * 0.02)
    export(encoder, (torch.randn(2, steps, width),), path, ["x"], ["y"], {"x": 0, "y": 0})


def make_trees(count, depth, features, path):
    """A regressor of COUNT trees as boosting grows them: up to DEPTH, a fourth of the inner nodes ending early."""
    import numpy as np
    from onnx import TensorProto, helper, save
    rng = np.random.default_rng(1)
    rows = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}

    def add(tree, node, feature, value, mode, if_true, if_false):
        for key, item in zip(rows, (tree, node, feature, value, mode, if_true, if_false, 0)):
            rows[key].append(item)

    def grow(tree, level, low, high, next_id):
        """Adds the node next_id and what is below it; gives the id behind."""
        node = next_id
        if level == depth or (level > 2 and rng.random() < 0.25):
            add(tree, node, 0, 0.0, "LEAF", 0, 0)
            for key, item in zip(leaves, (tree, node, 0, float(rng.normal(0, 0.1)))):
                leaves[key].append(item)
            return node + 1
        at = len(rows["nodeids"])
        feature = int(rng.integers(features))
        split = float(np.float32(rng.uniform(low[feature], high[feature])))
        add(tree, node, feature, split, "BRANCH_LEQ", node + 1, 0)
        next_id = grow(tree, level + 1, low, np.where(np.arange(features) == feature, split, high), node + 1)
        rows["falsenodeids"][at] = next_id
        return grow(tree, level + 1, np.where(np.arange(features) == feature, split, low), high, next_id)

    for tree in range(count):
        grow(tree, 0, np.full(features, -1.0), np.full(features, 1.0), 0)
    attributes = {f"nodes_{key}": items for key, items in rows.items()} | {f"target_{key}": items for key, items in leaves.items()}
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], name="trees", domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM",
                            post_transform="NONE", base_values=[0.5], **attributes)
    value = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
    graph = helper.make_graph([node], "trees", [value("x", features)], [value("y", 1)])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8), path)


def jobs():
    """(entry of the list, function that makes its file)"""
    for widths in DENSE:
        yield {"name": "-".join(map(str, widths)), "class": "dense", "batch": "N"}, lambda path, w=widths: make_dense(w, path)
    for shape in RECURRENT:
        name = "lstm-{}x{}-{}-{}".format(*shape)
        yield {"name": name, "class": "recurrent", "batch": "N"}, lambda path, s=shape: make_lstm(*s, path)
        layers, units, _, features = shape
        yield ({"name": f"lstm-{layers}x{units}-step-{features}", "class": "recurrent", "batch": "N"},
               lambda path, a=(layers, units, features): make_lstm_step(*a, path))
    yield {"name": "trees-1000", "class": "trees", "batch": "N"}, lambda path: make_trees(1000, 6, 50, path)
    for shape in ENCODERS:
        yield {"name": "encoder-4x{}-{}".format(shape[0], shape[2]), "class": "rest", "batch": "N"}, lambda path, s=shape: make_encoder(*s, path)


def main():
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".cache/gyr"
    fetched = cache / fetch.folder_name()
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = cache / f"nets-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for entry, make in jobs():
        path = folder / f"{entry['name']}.onnx"
        if not path.exists():
            print(f"making {entry['name']}", file=sys.stderr)
            unfinished = path.with_suffix(f".{os.getpid()}")
            make(str(unfinished))
            unfinished.rename(path)
        entries.append(entry | {"file": str(path)})
    for name in ("squeezenet", "resnet50", "shufflenet"):
        entries.append({"name": f"light_{name}", "class": "rest", "file": str(LIGHT / f"light_{name}.onnx")})
    for entry in FETCHED:
        if (fetched / entry["file"]).exists():
            entries.append(entry | {"file": str(fetched / entry["file"])})
        else:
            print(f"{entry['name']}: not measured, {entry['file']} was not fetched", file=sys.stderr)
    target = folder / "nets.json"
    unfinished = folder / f"nets.json.{os.getpid()}"
    unfinished.write_text(json.dumps(entries, indent="\t") + "\n")
    unfinished.rename(target)
    print(target)


if __name__ == "__main__":
    main()
