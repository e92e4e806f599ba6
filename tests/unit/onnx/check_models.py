#!/usr/bin/env python3
"""Imports models that python3-onnx wrote, and holds what Gyr exports against onnx.checker and ONNX Runtime.

usage: check_models.py ONNX-TOOL
"""
import glob
import os
import pickle
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NODE_CASES = "/usr/share/libonnx-testdata/data/node"
OPERATORS = ["Add", "Cast", "Div", "Flatten", "Gemm", "Identity", "MatMul", "Mul", "Relu", "Reshape", "Sigmoid", "Softmax", "Sub", "Tanh"]
RNG = np.random.default_rng(1)
F = TensorProto.FLOAT
failures = []
RUNTIME = None


class Tool:
    """The C program, asked line by line."""

    def __init__(self, path, folder):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = folder

    def convert(self, data):
        """Imports the bytes; gives status, message and the exported model's bytes."""
        source, target = os.path.join(self.folder, "in.onnx"), os.path.join(self.folder, "out.onnx")
        with open(source, "wb") as file:
            file.write(data)
        if os.path.exists(target):
            os.remove(target)
        self.process.stdin.write(f"{source} {target}\n")
        self.process.stdin.flush()
        status, _, message = self.process.stdout.readline().rstrip("\n").partition(" ")
        exported = None
        if status == "OK":
            with open(target, "rb") as file:
                exported = file.read()
        return status, message, exported


def fail(name, text):
    failures.append(name)
    print(f"FAILED {name}: {text}")


def array(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def make(nodes, inputs, outputs, constants=(), opset=13, ir=8, **fields):
    """A model from nodes, (name, type, dims) and tensors or (name, array)."""
    values = lambda list_: [helper.make_tensor_value_info(*v) if isinstance(v, tuple) else v for v in list_]
    tensors = [numpy_helper.from_array(np.ascontiguousarray(c[1]), c[0]) if isinstance(c, tuple) else c for c in constants]
    graph = helper.make_graph(nodes, "test", values(inputs), values(outputs), tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, **fields)


class Runtime:
    """ONNX Runtime, in its own process."""

    def __init__(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ort_answers.py")
        self.process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def answers(self, model, questions):
        """The outputs; or the text of an error."""
        pickle.dump((model, questions), self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)


def same_answers(before, after):
    return len(before) == len(after) and all(
        a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(before, after))


def expect_same(tool, name, model, questions):
    """What Gyr exports passes the checker and answers as the original does."""
    data = model.SerializeToString()
    status, message, exported = tool.convert(data)
    if status != "OK":
        return fail(name, f"{status} {message}")
    again = onnx.load_from_string(exported)
    try:
        onnx.checker.check_model(again, full_check=True)
    except Exception as error:
        return fail(name, f"onnx.checker: {error}")
    if again.producer_name != "gyr" or again.opset_import[0].version != model.opset_import[0].version:
        return fail(name, "producer or opset")
    before, after = RUNTIME.answers(data, questions), RUNTIME.answers(exported, questions)
    if isinstance(before, str) or isinstance(after, str):
        return fail(name, f"ONNX Runtime: {before} {after}")
    if not same_answers(before, after):
        return fail(name, "the exported model answers otherwise")
    status, message, twice = tool.convert(exported)
    if status != "OK" or twice != exported:
        fail(name, f"a second round gives another file: {status} {message}")


def expect_refused(tool, name, model, status, text):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    got, message, _ = tool.convert(data)
    if got != status or text not in message:
        fail(name, f"{got} '{message}', and not {status} '{text}'")


def mlp(opset=13, batch="N", **fields):
    return make(
        [helper.make_node("Cast", ["x"], ["f"], to=F), helper.make_node("Div", ["f", "by"], ["s"]),
         helper.make_node("Flatten", ["s"], ["flat"]), helper.make_node("Gemm", ["flat", "w1", "b1"], ["h"], transB=1, name="first"),
         helper.make_node("Relu", ["h"], ["r"]), helper.make_node("MatMul", ["r", "w2"], ["m"]), helper.make_node("Add", ["m", "b2"], ["z"]),
         helper.make_node("Softmax", ["z"], ["y"], axis=1)],
        [("x", TensorProto.UINT8, [batch, 1, 4, 4])], [("y", F, [batch, 3])],
        [("by", np.float32(255)), ("w1", array(8, 16)), ("b1", array(8)), ("w2", array(8, 3)), ("b2", array(3)), ("unused", array(7))],
        opset=opset, **fields)


def good_models(tool):
    images = RNG.integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)
    for opset in range(7, 23):
        expect_same(tool, f"mlp opset {opset}", mlp(opset, ir=8 if opset < 19 else 10), {"x": images})
    ml = lambda op, a, b, **fields: helper.make_node(op, [a], [b], domain="ai.onnx.ml", **fields)
    for opset in range(1, 6):
        two = make([helper.make_node("Relu", ["x"], ["a"]), ml("Scaler", "a", "b", scale=[2.0], offset=[1.0]), ml("Normalizer", "b", "y", norm="L2")],
                   [("x", F, ["N", 4])], [("y", F, ["N", 4])])
        two.opset_import.append(helper.make_opsetid("ai.onnx.ml", opset))
        expect_same(tool, f"ai.onnx.ml {opset}", two, {"x": array(3, 4)})
    expect_same(tool, "mlp of fixed batch", mlp(batch=5), {"x": images})

    x = {"x": array(3, 4)}
    unary = ["Identity", "Relu", "Sigmoid", "Softmax", "Tanh"]
    for op in unary:
        expect_same(tool, op, make([helper.make_node(op, ["x"], ["y"])], [("x", F, ["b", 4])], [("y", F, ["b", 4])]), x)
    for op in ["Add", "Sub", "Mul", "Div"]:
        expect_same(tool, op, make([helper.make_node(op, ["x", "c"], ["y"])], [("x", F, [None, 4])], [("y", F, None)], [("c", array(1, 4))]), x)
        expect_same(tool, op + " of two inputs",
                    make([helper.make_node(op, ["x", "z"], ["y"])], [("x", F, ["N", 4]), ("z", F, ["N", 1])], [("y", F, None)]), x | {"z": array(3, 1)})
    expect_same(tool, "Gemm", make([helper.make_node("Gemm", ["x", "w", "c"], ["y"], alpha=0.5, beta=-2.0, transB=1)], [("x", F, ["N", 4])],
                                   [("y", F, ["N", 2])], [("w", array(2, 4)), ("c", array(2))]), x)
    expect_same(tool, "Gemm without C", make([helper.make_node("Gemm", ["x", "w", ""], ["y"])], [("x", F, ["N", 4])], [("y", F, ["N", 2])],
                                             [("w", array(4, 2))]), x)
    for target in ([-1, 2, 2], [0, 2, -1], [0, 4]):
        expect_same(tool, f"Reshape to {target}", make([helper.make_node("Reshape", ["x", "s"], ["y"])], [("x", F, ["N", 4])], [("y", F, None)],
                                                       [("s", np.array(target, np.int64))]), x)
    expect_same(tool, "Reshape to a scalar", make([helper.make_node("Reshape", ["x", "s"], ["y"])], [("x", F, [1, 1])], [("y", F, [])],
                                                  [("s", np.array([], np.int64))]), {"x": array(1, 1)})

    # A PyTorch-like file: weights among the inputs, as before IR 4; Constant nodes; an order that is not sorted.
    expect_same(tool, "initialisers among the inputs",
                make([helper.make_node("MatMul", ["x", "w"], ["y"])], [("w", F, [4, 2]), ("x", F, ["N", 4])], [("y", F, ["N", 2])], [("w", array(4, 2))], ir=3,
                     opset=8), x)
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(array(4)))
    expect_same(tool, "Constant", make([constant, helper.make_node("Add", ["x", "c"], ["y"])], [("x", F, ["N", 4])], [("y", F, ["N", 4])]), x)
    for key, value in (("value_float", 2.5), ("value_floats", [1.0, 2.0, 3.0, 4.0])):
        constant = helper.make_node("Constant", [], ["c"], **{key: value})
        expect_same(tool, key, make([constant, helper.make_node("Mul", ["x", "c"], ["y"])], [("x", F, ["N", 4])], [("y", F, ["N", 4])]), x)
    constant = helper.make_node("Constant", [], ["s"], value_ints=[-1, 2, 2])
    expect_same(tool, "value_ints", make([constant, helper.make_node("Reshape", ["x", "s"], ["y"])], [("x", F, ["N", 4])], [("y", F, ["N", 2, 2])]), x)
    integers = {"x": np.arange(4, dtype=np.int64)}
    constant = helper.make_node("Constant", [], ["c"], value_int=7)
    expect_same(tool, "value_int", make([constant, helper.make_node("Add", ["x", "c"], ["y"])], [("x", TensorProto.INT64, ["N"])],
                                        [("y", TensorProto.INT64, ["N"])]), integers)

    # Each element type, in raw_data and in its typed field.
    for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16):
        numbers = [0, 1, 1, 0] if number == TensorProto.BOOL else [1, 2, 3, 100]
        typed = helper.make_tensor("c", number, [4], numbers)
        kind = helper.tensor_dtype_to_np_dtype(number)
        raw = helper.make_tensor("c", number, [4], numpy_helper.to_array(typed).tobytes() if number != 16 else
                                 (np.array(numbers, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes(), raw=True)
        for form, tensor in (("typed", typed), ("raw", raw)):
            model = make([helper.make_node("Cast", ["c"], ["f"], to=F), helper.make_node("Add", ["x", "f"], ["y"])], [("x", F, ["N", 4])],
                         [("y", F, ["N", 4])], [tensor])
            expect_same(tool, f"{form} constant of type {number}", model, x)


def bad_models(tool):
    relu = lambda **fields: helper.make_node("Relu", ["x"], ["y"], **fields)
    x, y = ("x", F, ["N", 4]), ("y", F, ["N", 4])
    refuse = lambda name, model, status, text: expect_refused(tool, name, model, status, text)
    one = lambda node, **fields: make([node], [x], [y], **fields)

    refuse("no bytes", b"", "EBADMSG", "no ir_version")
    refuse("text", b"This is not an ONNX model.", "EBADMSG", "")
    refuse("zeros", bytes(64), "EBADMSG", "")
    refuse("ir_version 2", one(relu(), ir=2), "ENOTSUP", "ir_version 2 (3 to 10)")
    refuse("ir_version 11", one(relu(), ir=11), "ENOTSUP", "ir_version 11")
    refuse("opset 6", one(relu(), opset=6), "ENOTSUP", "opset 6 (7 to 22)")
    refuse("opset 23", one(relu(), opset=23), "ENOTSUP", "opset 23")
    model = one(relu())
    model.opset_import[0].domain = "other"
    refuse("no opset", model, "EINVAL", "no opset_import")
    scaler = one(helper.make_node("Normalizer", ["x"], ["y"], domain="ai.onnx.ml", name="n"))
    refuse("no opset of the domain", scaler, "EINVAL", "node 'n' (ai.onnx.ml.Normalizer, opset 0): no opset_import of its domain")
    scaler.opset_import.append(helper.make_opsetid("ai.onnx.ml", 6))
    refuse("opset 6 of the domain", scaler, "ENOTSUP", "node 'n' (ai.onnx.ml.Normalizer, opset 6): Gyr runs opset 1 to 5 of its domain")
    scaler.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    refuse("two opsets of the domain", scaler, "EINVAL", "two opset_import of ai.onnx.ml")
    model = one(relu())
    model.opset_import[0].domain = "ai.onnx.ml"
    refuse("no default opset", model, "EINVAL", "no opset_import of its domain")
    refuse("unknown in the domain", one(relu(domain="ai.onnx.ml", name="n")), "ENOTSUP", "node 'n' (ai.onnx.ml.Relu, opset 0): Gyr does not run")
    model = one(relu())
    model.opset_import.append(helper.make_opsetid("ai.onnx", 14))
    refuse("two opsets", model, "EINVAL", "two opset_import")
    refuse("unknown operator", one(helper.make_node("Bernoulli", ["x", "x"], ["y"], name="c1")), "ENOTSUP", "node 'c1' (Bernoulli, opset 13): Gyr does not run")
    refuse("unnamed node", one(helper.make_node("Bernoulli", ["x", "x"], ["y"])), "ENOTSUP", "the node that makes 'y' (Bernoulli, opset 13)")
    refuse("control characters", one(helper.make_node("Co\nnv", ["x", "x"], ["y"], name="a\x1b[0m")), "ENOTSUP", "node 'a?[0m' (Co?nv")
    refuse("other domain", one(relu(domain="com.example", name="n")), "ENOTSUP", "node 'n' (com.example.Relu, opset 13)")
    refuse("a function", make([relu()], [x], [y], functions=[helper.make_function("d", "f", [], [], [], [helper.make_opsetid("", 13)])]), "ENOTSUP", "functions")
    body = helper.make_graph([relu()], "g", [], [helper.make_tensor_value_info("y", F, None)])
    refuse("empty body", one(relu(body=helper.make_graph([], "g", [], []))), "EINVAL", "body: the graph has no output")
    refuse("body of no such thing", one(relu(body=body)), "EINVAL", "attribute 'body' is unknown")
    refuse("list of graphs", one(relu(bodies=[body])), "ENOTSUP", "attribute 'bodies' is of type 10")
    deep = body
    for i in range(8):
        deep = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=deep, else_branch=body)], "g", [], body.output)
    deep = helper.make_node("If", ["c"], ["y"], then_branch=deep, else_branch=body)
    refuse("deep bodies", make([deep], [x, ("c", TensorProto.BOOL, [1])], [y]), "E2BIG", "nested more than 8 deep")
    refuse("unknown attribute", one(relu(body=1)), "EINVAL", "attribute 'body' is unknown")
    refuse("string attribute", one(relu(body="text")), "EINVAL", "attribute 'body' is unknown")
    refuse("many inputs", one(helper.make_node("Relu", ["x"] * 257, ["y"])), "EINVAL", "more than 256")
    refuse("two inputs", one(helper.make_node("Relu", ["x", "x"], ["y"])), "EINVAL", "2 inputs (1 to 1)")
    refuse("missing value", one(helper.make_node("Add", ["x", "lost"], ["y"])), "EINVAL", "'lost' is neither")
    cycle = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["y"])]
    refuse("cycle", make(cycle, [x], [y]), "EINVAL", "a cycle")
    refuse("no output", make([relu()], [x], []), "EINVAL", "no output")
    refuse("no input", make([relu()], [], [y]), "EINVAL", "no input")
    refuse("output not made", make([relu()], [x], [y, ("z", F, [1])]), "EINVAL", "output 'z'")
    refuse("input twice", make([relu()], [x, x], [y]), "EINVAL", "value 'x' is there twice")
    refuse("result twice", make([relu(), relu()], [x], [y]), "EINVAL", "another node's too")
    refuse("input without shape", make([relu()], [("x", F, None)], [("y", F, None)]), "ENOTSUP", "input 'x': it has no shape")
    refuse("symbolic elsewhere", make([relu()], [("x", F, ["N", "height"])], [("y", F, None)]), "ENOTSUP", "dimension 1 'height' is not fixed")
    refuse("dimension -1 elsewhere", make([relu()], [("x", F, [-1, -1])], [("y", F, None)]), "ENOTSUP", "dimension 1 is not fixed")
    refuse("rank 9", make([relu()], [("x", F, [1] * 9)], [("y", F, None)]), "ENOTSUP", "rank 9")
    refuse("string input", make([relu()], [("x", TensorProto.STRING, [4])], [("y", F, None)]), "ENOTSUP", "element type 8")
    refuse("float8 input", make([relu()], [("x", TensorProto.FLOAT8E4M3FN, [4])], [("y", F, None)]), "ENOTSUP", "element type 17")
    refuse("sequence", make([relu()], [helper.make_tensor_sequence_value_info("x", F, [4])], [("y", F, None)]), "ENOTSUP", "no tensor")
    two = [helper.make_node("Add", ["x", "z"], ["y"])]
    refuse("two batches", make(two, [("x", F, ["N", 4]), ("z", F, ["M", 4])], [("y", F, None)]), "ENOTSUP", "'M', and another input's is 'N'")
    expect_same(tool, "batch and none", make(two, [("x", F, ["N", 4]), ("z", F, [1, 4])], [("y", F, None)]),
                {"x": np.ones((1, 4), np.float32), "z": np.ones((1, 4), np.float32)})
    expect_same(tool, "wrong output", make([relu()], [x], [("y", F, ["N", 5])]), {"x": np.ones((1, 4), np.float32)})
    refuse("wrong output type", make([relu()], [x], [("y", TensorProto.INT8, ["N", 4])]), "EINVAL", "declared otherwise")
    refuse("computed Reshape", make([helper.make_node("Reshape", ["x", "s"], ["y"])], [("x", F, [4]), ("s", TensorProto.INT64, [1])], [("y", F, None)]),
           "ENOTSUP", "output 'y' is not known")

    add = lambda tensor: make([helper.make_node("Add", ["x", "c"], ["y"])], [x], [y], [tensor])
    def tensor(**fields):
        t = numpy_helper.from_array(array(4), "c")
        for key, value in fields.items():
            if isinstance(value, list):
                del getattr(t, key)[:]
                getattr(t, key).extend(value)
            else:
                setattr(t, key, value)
        return t
    external = tensor(data_location=TensorProto.EXTERNAL)
    external.ClearField("raw_data")
    external.external_data.add(key="location", value="/etc/passwd")
    refuse("external data", add(external), "EPERM", "constant 'c': its data are in another file")
    external.ClearField("data_location")
    refuse("external data by entry only", add(external), "EPERM", "another file")
    refuse("few raw bytes", add(tensor(raw_data=b"1234")), "EINVAL", "4 bytes of raw data")
    refuse("raw and typed", add(tensor(float_data=[1.0])), "EINVAL", "1 elements beside")
    refuse("huge dims", add(tensor(dims=[1 << 62, 1 << 62])), "EINVAL", "too many elements")
    refuse("large dims", add(tensor(dims=[1 << 40])), "EINVAL", "16 bytes of raw data")
    refuse("negative dim", add(tensor(dims=[-4])), "EINVAL", "dimension 0 is -4")
    refuse("rank 9 constant", add(tensor(dims=[1] * 8 + [4])), "ENOTSUP", "rank 9")
    refuse("string constant", add(tensor(data_type=8)), "ENOTSUP", "element type 8")
    refuse("negative type", add(tensor(data_type=-1)), "ENOTSUP", "element type -1")
    segment = tensor()
    segment.segment.end = 4
    refuse("segment", add(segment), "ENOTSUP", "segment")
    refuse("no name", make([relu()], [x], [y], [numpy_helper.from_array(array(4))]), "EINVAL", "initialiser 0 has no name")
    refuse("constant twice", make([relu()], [x], [y], [("c", array(4)), ("c", array(4))]), "EINVAL", "constant 'c' is there twice")
    sparse = make([relu()], [x], [y])
    sparse.graph.sparse_initializer.add()
    refuse("sparse", sparse, "ENOTSUP", "sparse")
    cast = lambda t: make([helper.make_node("Cast", ["c"], ["f"], to=F), helper.make_node("Add", ["x", "f"], ["y"])], [x], [y], [t])
    narrow = helper.make_tensor("c", TensorProto.UINT8, [1], [1])
    narrow.int32_data[0] = 256
    refuse("over the range", cast(narrow), "EINVAL", "out of the range")
    narrow.int32_data[0] = -1
    refuse("under the range", cast(narrow), "EINVAL", "out of the range")
    refuse("bool of 2", cast(helper.make_tensor("c", TensorProto.BOOL, [1], b"\2", raw=True)), "EINVAL", "neither true nor false")
    wide = helper.make_tensor("c", TensorProto.UINT32, [1], [1])
    wide.uint64_data[0] = 1 << 32
    refuse("u32 out of range", cast(wide), "EINVAL", "out of the range")
    constant = lambda **fields: make([helper.make_node("Constant", [], ["c"], **fields), helper.make_node("Add", ["x", "c"], ["y"])], [x], [y])
    refuse("constant of text", constant(value_string="a"), "ENOTSUP", "a constant given as 'value_string'")
    refuse("constant of two", constant(value_float=1.0, value_int=1), "EINVAL", "one attribute")
    refuse("value of a wrong type", constant(value=1.0), "ENOTSUP", "given as 'value'")
    refuse("value_float of a wrong type", constant(value_float="a"), "EINVAL", "wrong type")

    # Nested deeper than any model is.
    graph = helper.make_graph([], "deep", [], [])
    for _ in range(15):
        graph = helper.make_graph([helper.make_node("If", [], [], then_branch=graph)], "deep", [], [])
    refuse("deep", helper.make_model(graph).SerializeToString(), "EBADMSG", "nested more than 32 deep")
    # 40 MB of empty nodes would take gigabytes.
    empty = b"\x0a\x00" * 20_000_000
    length = len(empty)
    varint = bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14 & 0x7F | 0x80, length >> 21])
    refuse("bomb", b"\x08\x08\x3a" + varint + empty, "E2BIG", "far more memory")


def node_cases(tool):
    """ONNX's own test cases of our operators: imported and the same after export, or refused with a reason."""
    reasons = ("is not known", "is not fixed", "not of this", "element type", "(7 to 22)", "does not take", "does not run", "is empty", "would normalise",
               "casts to", "dimension 0 is 0", "no tensor", "ir_version", "dimension 1 is 0")
    imported = refused = compared = 0
    for folder in sorted(glob.glob(NODE_CASES + "/*")):
        model = onnx.load(folder + "/model.onnx")
        if not any(n.op_type in OPERATORS and n.domain == "" for n in model.graph.node):
            continue
        name = os.path.basename(folder)
        status, message, exported = tool.convert(model.SerializeToString())
        if status == "OK":
            imported += 1
            questions = {}
            for i, value in enumerate(model.graph.input):
                with open(f"{folder}/test_data_set_0/input_{i}.pb", "rb") as file:
                    questions[value.name] = numpy_helper.to_array(onnx.TensorProto.FromString(file.read()))
            onnx.checker.check_model(onnx.load_from_string(exported), full_check=True)
            before = RUNTIME.answers(model.SerializeToString(), questions)
            if isinstance(before, str):
                continue  # ONNX Runtime itself lacks the type
            compared += 1
            after = RUNTIME.answers(exported, questions)
            if isinstance(after, str) or not same_answers(before, after):
                fail(name, "the exported model answers otherwise")
        else:
            refused += 1
            if status not in ("ENOTSUP", "EINVAL") or not any(r in message for r in reasons):
                fail(name, f"{status} {message}")
    print(f"node cases: {imported} imported, {compared} of them compared by ONNX Runtime, {refused} refused")
    if imported < 60:
        fail("node cases", f"only {imported} imported")


def main():
    global RUNTIME
    RUNTIME = Runtime()
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(sys.argv[1], folder)
        good_models(tool)
        bad_models(tool)
        node_cases(tool)
        tool.process.stdin.close()
        if tool.process.wait() != 0:
            fail("onnx-tool", f"exit status {tool.process.returncode}")
        RUNTIME.process.stdin.close()
        RUNTIME.process.wait()
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
