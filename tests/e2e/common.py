"""What the end-to-end tests share. Each test is a program: its exit status says how it went, 77 that it was skipped."""
import os
import struct
import sys
from pathlib import Path

import numpy

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools/lib"))

LONG = bool(os.environ.get("GYR_LONG"))


def need_root():
    if os.environ.get("GYR_ENTERED", str(os.geteuid())) != "0":
        print("skipped: needs root for AF_XDP on a veth")
        sys.exit(77)


def resident_kb(pid):
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


def checksum(data):
    """The Internet checksum of DATA."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def dense_model(path, sizes, seed, softmax=False):
    """A dense net with random weights as ONNX, and the same net in numpy."""
    # Here, because a process that has ONNX Runtime in it cannot have onnx as well: both register the same operators.
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = numpy.random.default_rng(seed)
    nodes, constants, layers, value = [], [], [], "x"
    for i, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
        weight = (random.standard_normal((rows, columns)) / rows**0.5).astype(numpy.float32)
        bias = random.standard_normal(columns).astype(numpy.float32)
        layers.append((weight, bias))
        constants += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        last = i == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"g{i}"]))
        value = f"g{i}"
        if not last:
            nodes.append(helper.make_node("Relu", [value], [f"r{i}"]))
            value = f"r{i}"
    nodes.append(helper.make_node("Softmax" if softmax else "Identity", [value], ["y"]))
    row = lambda label, count: helper.make_tensor_value_info(label, TensorProto.FLOAT, ["N", count])
    graph = helper.make_graph(nodes, "dense", [row("x", sizes[0])], [row("y", sizes[-1])], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)

    def compute(x):
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            if i < len(layers) - 1:
                x = numpy.maximum(x, 0)
        if softmax:
            x = numpy.exp(x - x.max(axis=1, keepdims=True))
            x /= x.sum(axis=1, keepdims=True)
        return x

    return compute


def close(got, expected, tolerance=1e-4):
    got, expected = numpy.asarray(got, dtype=numpy.float64), numpy.asarray(expected, dtype=numpy.float64)
    assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
    error = numpy.max(numpy.abs(got - expected) / (1 + numpy.abs(expected)))
    assert error < tolerance, f"relative error {error}"
