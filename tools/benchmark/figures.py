"""What the benches of whole appliances share: figures, the machine, and nets to ask."""
import json
import os
import statistics
from contextlib import contextmanager
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")
HUGEPAGES_WANTED = 512
CPU_CLIENT, CPU_SERVER = 0, os.cpu_count() - 1


class Figures:
    """One line each, as it is known: the median of VALUES, and the lowest and highest beside it."""

    def __init__(self):
        self.rows = []

    def add(self, name, values, unit):
        row = {"name": name, "value": statistics.median(values), "unit": unit, "low": min(values), "high": max(values)}
        self.rows.append(row)
        digits = 3 if unit == "ratio" or row["value"] < 1 else 0 if row["value"] >= 100 else 1
        print(f"{name}\t{row['value']:.{digits}f}\t{unit}\t({row['low']:.{digits}f} to {row['high']:.{digits}f})", flush=True)

    def write(self, path, machine):
        path.write_text(json.dumps({"machine": machine, "figures": self.rows}, indent=2) + "\n")


@contextmanager
def hugepages():
    """Whether there are some, for as long as it lasts."""
    before = HUGEPAGES.read_text()
    try:
        try:
            HUGEPAGES.write_text(str(HUGEPAGES_WANTED))
            yield int(HUGEPAGES.read_text()) >= HUGEPAGES_WANTED
        except OSError:
            yield False
    finally:
        if HUGEPAGES.read_text() != before:
            HUGEPAGES.write_text(before)


def describe_machine(huge):
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    machine = {"cpu": names[0] if names else "unknown", "cpus": os.cpu_count(), "kernel": os.uname().release, "hugepages": "used" if huge else "not to be had: without"}
    for name, value in machine.items():
        print(f"machine.{name}\t{value}\t", flush=True)
    return machine


def dense_net(name, sizes, seed=1):
    """Random weights, ReLU between the layers."""
    random = numpy.random.default_rng(seed)
    nodes, constants, value = [], [], "x"
    for i, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
        last = i == len(sizes) - 2
        constants.append(numpy_helper.from_array((random.standard_normal((rows, columns)) / rows**0.5).astype(numpy.float32), f"w{i}"))
        constants.append(numpy_helper.from_array(random.standard_normal(columns).astype(numpy.float32), f"b{i}"))
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], ["y" if last else f"h{i}"]))
        value = f"r{i}"
        if not last:
            nodes.append(helper.make_node("Relu", [f"h{i}"], [value]))
    return rows_model(name, nodes, constants, sizes[0], sizes[-1])


def conv_net(name, side, channels, layers):
    """An image of SIDE x SIDE floats, LAYERS convolutions 3x3 of CHANNELS with ReLU, and the mean of each channel. Random weights."""
    random = numpy.random.default_rng(1)
    constants, nodes = [numpy_helper.from_array(numpy.array([0, 1, side, side]), "image")], [helper.make_node("Reshape", ["x", "image"], ["r0"])]
    for i in range(1, layers + 1):
        inputs = 1 if i == 1 else channels
        constants.append(numpy_helper.from_array((random.standard_normal((channels, inputs, 3, 3)) / (9 * inputs) ** 0.5).astype(numpy.float32), f"w{i}"))
        constants.append(numpy_helper.from_array(random.standard_normal(channels).astype(numpy.float32), f"b{i}"))
        nodes.append(helper.make_node("Conv", [f"r{i - 1}", f"w{i}", f"b{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
    nodes += [helper.make_node("GlobalAveragePool", [f"r{layers}"], ["means"]), helper.make_node("Flatten", ["means"], ["y"])]
    return rows_model(name, nodes, constants, side * side, channels)


def rows_model(name, nodes, constants, inputs, outputs):
    row = lambda label, count: helper.make_tensor_value_info(label, TensorProto.FLOAT, ["N", count])
    graph = helper.make_graph(nodes, name, [row("x", inputs)], [row("y", outputs)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def install(appliance, name, proto):
    path = appliance.folder / f"{name}.onnx"
    onnx.save(proto, path)
    appliance.ctl("model", "import", name, path)
    appliance.ctl("promote", name, "1")
