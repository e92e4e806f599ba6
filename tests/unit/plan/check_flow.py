#!/usr/bin/env python3
"""If, Loop and Scan against ONNX Runtime: models in ONNX's textual form, each run by the plan and by the plain twins, after a walk through a bundle and through
an export, which onnx.checker and ONNX Runtime read as well.

usage: check_flow.py FLOW-TOOL ORT-ANSWERS
"""
import os
import pickle
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.checker
import onnx.parser

RNG = np.random.default_rng(7)
failures = []
tool = runtime = folder = None


class Tool:
    """The C program, asked line by line."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, model, questions, rows):
        """Status, message, the bytes of the answers and the exported model."""
        paths = [os.path.join(folder, name) for name in ("model", "questions", "answers", "export")]
        for path, data in ((paths[0], model), (paths[1], b"".join(np.ascontiguousarray(q).tobytes() for q in questions))):
            with open(path, "wb") as file:
                file.write(data)
        self.process.stdin.write(f"{paths[0]} {paths[1]} {rows} {paths[2]} {paths[3]}\n")
        self.process.stdin.flush()
        status, _, message = self.process.stdout.readline().rstrip("\n").partition(" ")
        files = []
        for path in paths[2:] if status == "OK" else ():
            with open(path, "rb") as file:
                files.append(file.read())
        return status, message, *(files or (None, None))


class Runtime:
    """ONNX Runtime, in its own process."""

    def __init__(self, script):
        self.process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def answers(self, model, questions):
        """The outputs; or the text of an error."""
        pickle.dump((model, questions), self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)


def fail(name, text):
    failures.append(name)
    print(f"FAILED {name}: {text}")


def leave_out(graph):
    """An input called _ is one that is left out, for which the textual form has no word."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == "_":
                node.input[i] = ""
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                leave_out(attribute.g)


def parse(text, opset=16):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\ntest {text}')
    leave_out(model.graph)
    return model.SerializeToString()


def compare(name, what, got, expected):
    """Whether the bytes GOT are the arrays EXPECTED; what is left of them."""
    for i, array in enumerate(expected):
        array = np.asarray(array)
        mine, got = np.frombuffer(got[:array.nbytes], array.dtype).reshape(array.shape) if len(got) >= array.nbytes else None, got[array.nbytes:]
        same = mine is not None and (np.allclose(mine, array, rtol=1e-4, atol=1e-6, equal_nan=True) if array.dtype.kind == "f" else np.array_equal(mine, array))
        if not same:
            fail(name, f"{what}, output {i}: {mine} and not {array}")
    return got


def check(name, text, questions, opset=16, batch_max=None, expected=None):
    """The model gives what ONNX Runtime gives (or EXPECTED), before and behind its export; each of QUESTIONS is the list of its inputs' arrays."""
    model = parse(text, opset)
    names = [i.name for i in onnx.load_from_string(model).graph.input]
    for asked in questions:
        asked = [np.asarray(a) for a in asked]
        rows = asked[0].shape[0] if asked[0].ndim > 0 else 1
        status, message, answers, export = tool.run(model, asked, rows)
        if status != "OK":
            return fail(name, f"{status} {message}")
        most, *shapes = message.split()
        if batch_max is not None and int(most) != batch_max:
            fail(name, f"batch_max is {most} and not {batch_max}")
        theirs = expected if expected is not None else runtime.answers(model, dict(zip(names, asked)))
        if isinstance(theirs, str):
            return fail(name, f"ONNX Runtime: {theirs}")
        for shape, array in zip(shapes, theirs):
            dims = [rows if d == "N" else int(d) for d in re.findall(r"[N\d]+", shape.partition("[")[2])]
            if dims != list(np.asarray(array).shape):
                fail(name, f"an output is {shape} and not {np.asarray(array).shape}")
        rest = compare(name, "plan", answers, theirs)
        rest = compare(name, "twins", rest, theirs)
        if rest:
            fail(name, f"{len(rest)} bytes too many")
        try:
            onnx.checker.check_model(onnx.load_from_string(export), full_check=True)
        except Exception as error:
            fail(name, f"onnx.checker: {error}")
        if expected is None:
            again = runtime.answers(export, dict(zip(names, asked)))
            if isinstance(again, str):
                return fail(name, f"ONNX Runtime on the export: {again}")
            compare(name, "export", b"".join(np.ascontiguousarray(a).tobytes() for a in again), theirs)


def refuse(name, text, status, part, opset=16):
    got, message, _, _ = tool.run(parse(text, opset), [], 1)
    if got != status or part not in message:
        fail(name, f"{got} '{message}', and not {status} '{part}'")


def f32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def i64(value):
    return np.array(value, np.int64)


def truth(value):
    return np.array(value, np.bool_)


def check_if():
    branches = "<then_branch = a () => (float[N,3] u) { u = Add (x, x) }, else_branch = b () => (float[N,3] u) { k = Constant <value_float = 3.0> () u = Mul (x, k) }>"
    for value in (0, 1):
        check(f"constant condition {value}", f"(float[N,3] x) => (float[N,3] y) <bool c = {{{value}}}> {{ y = If (c) {branches} }}", [[f32(5, 3)]], batch_max=64)
    check("condition of the run", f"(float[2,3] x, int64 sr) => (float[2,3] y) <int64 rate = {{16000}}> {{ c = Equal (sr, rate) y = If (c) {branches} }}",
          [[f32(2, 3), i64(16000)], [f32(2, 3), i64(8000)]], batch_max=1)
    check("condition of the run, a vector", f"(float[2,3] x, bool[1] c) => (float[2,3] y) {{ y = If (c) {branches} }}", [[f32(2, 3), truth([True])], [f32(2, 3), truth([False])]])
    # What makes the condition comes from shapes, as torch.jit writes it; the other branch would not fit.
    check("condition from a shape", """(float[N,1,4] x) => (float[N,4] y) <int64 one = {1}, int64[1] axis = {1}> {
        s = Shape (x) d = Gather <axis = 0> (s, one) c = Equal (d, one)
        q = If (c) <then_branch = a () => (float[N,4] u) { u = Squeeze (x, axis) }, else_branch = b () => (float[N,1,4] u) { u = Identity (x) }>
        y = Relu (q) }""", [[f32(3, 1, 4)]], batch_max=64)
    # The result of an If decides a shape.
    check("shape out of an If", """(float[2,6] x) => (float[3,4] y) <int64[2] a = {3, 4}, int64[2] b = {4, 3}, bool c = {1}> {
        s = If (c) <then_branch = t () => (int64[2] u) { u = Identity (a) }, else_branch = e () => (int64[2] u) { u = Identity (b) }> y = Reshape (x, s) }""",
          [[f32(2, 6)]])
    nested = """(float[2] x, bool c, bool d) => (float[2] y) <float[2] w = {1.5, -2}> { z = Neg (x)
        y = If (c) <then_branch = a () => (float[2] u) { v = If (d) <then_branch = aa () => (float[2] t) { t = Add (z, w) }, else_branch = ab () => (float[2] t) { t = Mul (x, w) }> u = Relu (v) },
                    else_branch = b () => (float[2] u) { v = If (d) <then_branch = ba () => (float[2] t) { t = Sub (z, w) }, else_branch = bb () => (float[2] t) { t = Exp (z) }> u = Tanh (v) }> }"""
    check("If in If", nested, [[f32(2), truth(c), truth(d)] for c in (False, True) for d in (False, True)])
    check("several results, one left alone", """(float[2,3] x, bool c) => (float[2,3] y) { h = Abs (x)
        y, q, r = If (c) <then_branch = a () => (float[2,3] u, float[2,3] v, float[1] w) { u = Add (h, x) v = Identity (u) w = Constant <value_floats = [2.0]> () },
                          else_branch = b () => (float[2,3] u, float[2,3] v, float[1] w) { u = Identity (h) v = Neg (x) w = Constant <value_floats = [3.0]> () }> }""",
          [[f32(2, 3), truth(True)], [f32(2, 3), truth(False)]])
    misfit = """(float[1,8] x, bool c) => (float[1,4] y) <int64[2] s = {2, 4}, int64[2] r = {3, 4}, int64[1] k = {0}> {
        y = If (c) <then_branch = a () => (float[1,4] u) { v = Reshape (x, s) u = ReduceSum <keepdims = 1> (v, k) },
                    else_branch = b () => (float[1,4] u) { v = Reshape (x, r) u = ReduceSum <keepdims = 1> (v, k) }> }"""
    check("a branch that does not fit", misfit, [[f32(1, 8), truth(True)]])
    check("a branch that does not fit, asked for", misfit, [[f32(1, 8), truth(False)]], expected=[np.full((1, 4), np.nan, np.float32)])


def check_unsorted():
    """ONNX Runtime does not read a body that is not sorted, so the sorted one is its model."""
    text = """(float[2,3] x, bool c) => (float[2,3] y) {{ {0}
        q = If (c) <then_branch = a () => (float[2,3] u) <float[3] w = {{1, 2, 3}}> {{ {1} }},
                    else_branch = b () => (float[2,3] u) {{ {2} }}> {3} }}"""
    first, last = "h = Abs (x)", "y = Neg (q)"
    then_nodes = ["p = Identity (h)", "r = Dropout (p)", "u = Add (r, w)"]
    else_nodes = ["k = Constant <value_floats = [2.0, 3.0, 4.0]> ()", "u = Mul (h, k)"]
    for c in (False, True):
        asked = [f32(2, 3), truth(c)]
        sorted_ = parse(text.format(first, " ".join(then_nodes), " ".join(else_nodes), last))
        expected = runtime.answers(sorted_, dict(zip("xc", asked)))
        check("unsorted", text.format(last, " ".join(reversed(then_nodes)), " ".join(reversed(else_nodes)), first), [asked], expected=expected)


def check_loop():
    count = "(float[2,3] x) => (float[2,3] y, float[4,2,3] z) <int64 m = {4}, bool c = {1}> { y, z = Loop (m, c, x) <body = b"
    check("counted", count + " (int64 i, bool g, float[2,3] s) => (bool h, float[2,3] t, float[2,3] q) { h = Identity (g) f = Cast <to = 1> (i) t = Add (s, f) q = Mul (t, x) }> }", [[f32(2, 3)]])
    check("counted, its result twice", count + " (int64 i, bool g, float[2,3] s) => (bool h, float[2,3] t, float[2,3] q) { h = Identity (g) t = Add (s, x) q = Identity (t) }> }", [[f32(2, 3)]])
    check("no condition", count.replace("(m, c, x)", "(m, _, x)") + " (int64 i, bool g, float[2,3] s) => (bool h, float[2,3] t, float[2,3] q) { h = Identity (g) t = Add (s, x) q = Neg (t) }> }", [[f32(2, 3)]])
    check("no trips", """(float[2] x) => (float[2] y, float[0,2] z) <int64 m = {0}, bool c = {1}> { h = Neg (x) y, z = Loop (m, c, h) <body = b
        (int64 i, bool g, float[2] s) => (bool k, float[2] t, float[2] q) { k = Identity (g) t = Add (s, x) q = Neg (t) }> }""", [[f32(2)]])
    fibonacci = """(float[2] x, int64 m) => (float[2] y, float[2] z) <bool c = {1}, float zero = {0}> { o = Mul (x, zero) y, z = Loop (m, c, o, x) <body = b
        (int64 i, bool g, float[2] p, float[2] q) => (bool h, float[2] r, float[2] s) { h = Identity (g) r = Identity (q) s = Add (p, q) }> }"""
    check("trips of the run, carried crosswise", fibonacci, [[f32(2), i64(n)] for n in (0, 1, 2, 7, 8, -3)])
    check("too many trips of the run", fibonacci, [[f32(2), i64(1 << 40)]], expected=[np.full(2, np.nan, np.float32)] * 2)
    until = """(float[1] x) => (float[1] y) <int64 m = {BOUND}, float[1] limit = {100}, bool c = {1}> { y = Loop (COUNT, c, x) <body = b
        (int64 i, bool g, float[1] s) => (bool h, float[1] t) { t = Add (s, s) k = Less (t, limit) h = Squeeze (k) }> }"""
    for bound, counter in ((5, "m"), (1000, "m"), ((1 << 63) - 1, "m"), (0, "_")):
        check(f"until something is so, {bound} {counter}", until.replace("BOUND", str(bound)).replace("COUNT", counter), [[np.array([v], np.float32)] for v in (1, 3, 60, 200)])
    check("it never ends", until.replace("COUNT", "_").replace("BOUND", "1").replace("Add (s, s)", "Abs (s)"), [[np.array([3], np.float32)]], expected=[np.full(1, np.nan, np.float32)])
    check("a condition that begins false", """(float[1] x, bool c) => (float[1] y) <int64 m = {3}> { y = Loop (m, c, x) <body = b
        (int64 i, bool g, float[1] s) => (bool h, float[1] t) { h = Identity (g) t = Add (s, s) }> }""", [[f32(1), truth(False)], [f32(1), truth(True)]])
    check("Loop in Loop, If in it, two levels up", """(float[2] x, bool d) => (float[2] y, float[3,2] z) <int64 m = {3}, int64 n = {2}, bool c = {1}> { w = Exp (x)
        y, z = Loop (m, c, x) <body = b (int64 i, bool g, float[2] s) => (bool h, float[2] t, float[2] q) { h = Identity (g)
            t = Loop (n, g, s) <body = bb (int64 j, bool gg, float[2] ss) => (bool hh, float[2] tt) { hh = Identity (gg)
                v = If (d) <then_branch = a () => (float[2] u) { u = Add (ss, w) }, else_branch = e () => (float[2] u) { u = Sub (s, x) }>
                tt = Mul (v, x) }>
            q = Add (t, w) }> }""", [[f32(2), truth(True)], [f32(2), truth(False)]])
    check("the trip's number as a vector", """(int64[1] x) => (int64[1] y, int64[4,1] z) <int64 m = {4}, bool[1] c = {1}> { y, z = Loop (m, c, x) <body = b
        (int64[1] i, bool[1] g, int64[1] s) => (bool[1] h, int64[1] t, int64[1] q) { h = Identity (g) t = Add (s, i) q = Concat <axis = 0> (i) }> }""", [[np.array([5], np.int64)]])
    check("a dense layer in a loop", f"""(float[2,3] x) => (float[2,3] y) <int64 m = {{5}}, bool c = {{1}}, float[3,3] w = {{1, 2, 0, -1, 0.5, 1, 0, 1, 0}}> {{ y = Loop (m, c, x) <body = b
        (int64 i, bool g, float[2,3] s) => (bool h, float[2,3] t) {{ h = Identity (g) v = MatMul (s, w) t = Tanh (v) }}> }}""", [[f32(2, 3)]])
    check("rows of a loop stay apart", """(float[N,3] x) => (float[N,3] y) <int64 m = {5}, bool c = {1}, float[3,3] w = {1, 2, 0, -1, 0.5, 1, 0, 1, 0}> { y = Loop (m, c, x) <body = b
        (int64 i, bool g, float[N,3] s) => (bool h, float[N,3] t) { h = Identity (g) v = MatMul (s, w) t = Tanh (v) }> }""", [[f32(6, 3)]], batch_max=64)
    check("rows of a loop do not", """(float[N,3] x) => (float[N,3] y) <int64 m = {5}, bool c = {1}> { y = Loop (m, c, x) <body = b
        (int64 i, bool g, float[N,3] s) => (bool h, float[N,3] t) { h = Identity (g) k = Constant <value_int = 0> () t = CumSum (s, k) }> }""", [[f32(1, 3)]], batch_max=1)
    check("Loop of opset 7", """(float[2] x) => (float[2] y) <int64 m = {3}, bool c = {1}> { y = Loop (m, c, x) <body = b
        (int64 i, bool g, float[2] s) => (bool h, float[2] t) { h = Identity (g) t = Add (s, x) }> }""", [[f32(2)]], opset=7)


def check_scan():
    body = "<body = b (float[2] s, float[2] v) => (float[2] t, float[2] q) { t = Add (s, v) q = Mul (t, w) }, num_scan_inputs = 1"
    for reverse_in in (0, 1):
        for reverse_out in (0, 1):
            check(f"Scan {reverse_in} {reverse_out}", f"""(float[2] a, float[4,2] x) => (float[2] y, float[4,2] z) {{ w = Exp (a)
                y, z = Scan (a, x) {body}, scan_input_directions = [{reverse_in}], scan_output_directions = [{reverse_out}]> }}""", [[f32(2), f32(4, 2)]])
            for axis in ("1", "-1"):
                check(f"Scan along {axis} {reverse_in} {reverse_out}", f"""(float[2] a, float[2,3] x) => (float[2] y, float[2,3] z) {{ w = Exp (a)
                    y, z = Scan (a, x) {body}, scan_input_directions = [{reverse_in}], scan_output_directions = [{reverse_out}], scan_input_axes = [{axis}],
                    scan_output_axes = [{axis}]> }}""", [[f32(2), f32(2, 3)]])
    check("Scan of two along different axes", """(float[2,3] a, float[2,4,3] x, int32[4] n) => (float[2,3] y, float[2,3,4] z, int32[4] o) {
        y, z, o = Scan (a, x, n) <body = b (float[2,3] s, float[2,3] v, int32 k) => (float[2,3] t, float[2,3] q, int32 l) { f = Cast <to = 1> (k) t = Add (s, v) q = Mul (t, f) l = Add (k, k) },
        num_scan_inputs = 2, scan_input_axes = [1, 0], scan_input_directions = [0, 1], scan_output_axes = [2, 0], scan_output_directions = [1, 0]> }""",
          [[f32(2, 3), f32(2, 4, 3), np.array([1, 2, 3, 4], np.int32)]])
    check("Scan without a state", """(float[3,2] x) => (float[3,2] z) { z = Scan (x) <body = b (float[2] v) => (float[2] q) { q = Neg (v) }, num_scan_inputs = 1> }""", [[f32(3, 2)]])
    check("rows of a Scan stay apart", """(float[N,5,3] x) => (float[N,3] y, float[N,5,3] z) <float[3,3] w = {1, 2, 0, -1, 0.5, 1, 0, 1, 0}> {
        k = Constant <value_ints = [1]> () o = ReduceSum <keepdims = 0> (x, k)
        y, z = Scan (o, x) <body = b (float[N,3] s, float[N,3] v) => (float[N,3] t, float[N,3] q) { m = MatMul (s, w) n = Add (m, v) t = Tanh (n) q = Identity (t) },
        num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1]> }""", [[f32(7, 5, 3)]], batch_max=64)
    check("rows of a Scan, time first", """(float[N,5,3] x) => (float[N,5,3] z) {
        k = Constant <value_ints = [1]> () o = ReduceSum <keepdims = 0> (x, k) l = Transpose <perm = [1, 0, 2]> (x)
        y, m = Scan (o, l) <body = b (float[N,3] s, float[N,3] v) => (float[N,3] t, float[N,3] q) { t = Sub (v, s) q = Identity (t) }, num_scan_inputs = 1>
        z = Transpose <perm = [1, 0, 2]> (m) }""", [[f32(3, 5, 3)]], batch_max=64)
    check("rows that a Scan mixes", """(float[N,3] x) => (float[N,3] z) <float[3] o = {0, 0, 0}> {
        y, z = Scan (o, x) <body = b (float[3] s, float[3] v) => (float[3] t, float[3] q) { t = Add (s, v) q = Identity (t) }, num_scan_inputs = 1> }""", [[f32(1, 3)]], batch_max=1)
    check("Scan of opset 8", """(float[2,3] a, float[2,5,3] x) => (float[2,3] y, float[2,5,3] z) {
        y, z = Scan (_, a, x) <body = b (float[3] s, float[3] v) => (float[3] t, float[3] q) { t = Add (s, v) q = Neg (t) }, num_scan_inputs = 1, directions = [1]> }""",
          [[f32(2, 3), f32(2, 5, 3)]], opset=8)


def check_rows():
    """What a row is must not depend on how many there are: neither its shape on the way, nor where it is cut."""
    count = "s = Shape (x) n = Gather <axis = 0> (s, z) k = Constant <value_ints = [1]> ()"
    check("as wide as there are rows", f"""(float[N,1] x) => (float[N,1] y) <int64[1] z = {{0}}> {{ {count} m = Concat <axis = 0> (n, n)
        e = Expand (x, m) y = ReduceSum <keepdims = 1> (e, k) }}""", [[f32(1, 1)]], batch_max=1)
    check("the same in a branch", f"""(float[N,1] x) => (float[N,1] y) <int64[1] z = {{0}}, bool c = {{1}}> {{ {count} m = Concat <axis = 0> (n, n)
        y = If (c) <then_branch = a () => (float[N,1] u) {{ e = Expand (x, m) u = ReduceSum <keepdims = 1> (e, k) }}, else_branch = b () => (float[N,1] u) {{ u = Neg (x) }}> }}""",
          [[f32(1, 1)]], batch_max=1)
    check("cut where there are rows", f"""(float[N,9] x) => (float[N,2] y) <int64[1] z = {{0}}, int64[1] most = {{3}}, int64[1] two = {{2}}> {{ {count}
        from = Min (n, most) to = Add (from, two) y = Slice (x, from, to, k) }}""", [[f32(1, 9)]], batch_max=1)
    check("expanded for each row", f"""(float[N,1] x) => (float[N,4] y) <int64[1] z = {{0}}, int64[1] four = {{4}}> {{ {count} m = Concat <axis = 0> (n, four)
        y = Expand (x, m) }}""", [[f32(5, 1)]], batch_max=64)


def check_refusals():
    loop = """(float[2] x, int64 m, bool d) => (float[2] y) <bool c = {1}, int64 three = {3}, int64 many = {1048577}> { y = Loop (m, c, x) <body = b
        (int64 i, bool g, float[2] s) => (bool h, float[2] t) { h = Identity (g) t = Add (s, x) }> }"""
    refuse("elements for trips of the run", loop.replace("y = Loop", "y, z = Loop").replace("float[2] t)", "float[2] t, float[2] q)").replace("t = Add (s, x)", "t = Add (s, x) q = Neg (t)")
           .replace("=> (float[2] y)", "=> (float[2] y, float[K,2] z)"), "ENOTSUP", "an element for each trip")
    refuse("whole numbers from trips of the run", loop.replace("float", "int32"), "ENOTSUP", "could not say so")
    refuse("it never ends", loop.replace("(m, c, x)", "(_, c, x)"), "EINVAL", "it never ends")
    refuse("too many trips", loop.replace("(m, c, x)", "(many, c, x)"), "E2BIG", "over 1048576 trips")
    refuse("too many trips within trips", loop.replace("(m, c, x)", "(m, c, x)").replace("t = Add (s, x)", """
        t = Loop (n, g, s) <body = bb (int64 j, bool gg, float[2] ss) => (bool hh, float[2] tt) { hh = Identity (gg) tt = Add (ss, x) }>""")
           .replace("int64 three = {3}", "int64 n = {17}"), "E2BIG", "trips")
    refuse("a condition that is left out, and made", loop.replace("(m, c, x)", "(three, _, x)").replace("h = Identity (g)", "k = ReduceSum <keepdims = 0> (s) h = Less (k, k)"), "ENOTSUP",
           "runtimes differ")
    refuse("what is carried grows", loop.replace("t = Add (s, x)", "t = Concat <axis = 0> (s, x)").replace("(m, c, x)", "(three, c, x)"), "ENOTSUP",
           "f32[2] before a trip and f32[4] behind it")
    refuse("what is carried changes its type", loop.replace("t = Add (s, x)", "t = Cast <to = 11> (s)").replace("(m, c, x)", "(three, c, x)"), "EINVAL", "before a trip")
    refuse("a condition of many", loop.replace("(m, c, x)", "(three, e, x)").replace("bool c = {1}", "bool[2] e = {1, 1}"), "EINVAL", "must be one element")
    refuse("a body of too few inputs", loop.replace("bool g, float[2] s)", "bool g)").replace("(s, x)", "(x, x)").replace("(m, c, x)", "(three, c, x)"), "EINVAL",
           "its body has 2 inputs and is given 3")
    refuse("branches that differ", """(float[2,3] x, bool c) => (float[A,B] y) { y = If (c) <then_branch = a () => (float[A,B] u) { u = Identity (x) },
        else_branch = b () => (float[A,B] u) { u = Transpose (x) }> }""", "ENOTSUP", "f32[2,3] of one branch and f32[3,2] of the other")
    refuse("a branch without a result", """(float[2,3] x, bool c) => (float[2,3] y) { y, z = If (c) <then_branch = a () => (float[2,3] u) { u = Identity (x) },
        else_branch = b () => (float[2,3] u) { u = Neg (x) }> }""", "EINVAL", "then_branch has 1 outputs")
    refuse("whole numbers of a branch that does not fit", """(float[2,3] x, bool c) => (int32[2,3] y) <int64[1] s = {5}> {
        y = If (c) <then_branch = a () => (int32[2,3] u) { u = Cast <to = 6> (x) }, else_branch = b () => (int32[2,3] u) { v = Reshape (x, s) u = Cast <to = 6> (v) }> }""", "ENOTSUP",
           "could not say so")
    refuse("an operator in a body", """(float[2,3] x, bool c) => (float[2,3] y) { y = If (c) <then_branch = a () => (float[2,3] u) { u = Bernoulli (x) },
        else_branch = b () => (float[2,3] u) { u = Neg (x) }> }""", "ENOTSUP", "then_branch: the node that makes 'u' (Bernoulli, opset 16)")
    refuse("a cycle through a body", """(float[2,3] x, bool c) => (float[2,3] y) { w = Neg (y) y = If (c) <then_branch = a () => (float[2,3] u) { u = Identity (w) },
        else_branch = b () => (float[2,3] u) { u = Neg (x) }> }""", "EINVAL", "a cycle")
    scan = """(float[2] a, float[4,2] x, float[3,2] v) => (float[2] y) { y = Scan (a, x, v) <body = b (float[2] s, float[2] p, float[2] q) => (float[2] t) { t = Add (s, p) }, num_scan_inputs = 2> }"""
    refuse("lengths that differ", scan, "EINVAL", "4 and 3 elements")
    refuse("an axis that is none", scan.replace("num_scan_inputs = 2", "num_scan_inputs = 2, scan_input_axes = [0, 2]"), "EINVAL", "scan_input_axes holds 2")
    refuse("too few axes", scan.replace("num_scan_inputs = 2", "num_scan_inputs = 2, scan_input_axes = [0]"), "EINVAL", "scan_input_axes has 1 numbers")
    refuse("a direction that is none", scan.replace("num_scan_inputs = 2", "num_scan_inputs = 2, scan_input_directions = [0, 2]"), "EINVAL", "(0 to 1)")
    refuse("more scanned than there are", scan.replace("num_scan_inputs = 2", "num_scan_inputs = 4"), "EINVAL", "num_scan_inputs is 4")


def main():
    global tool, runtime, folder
    tool, runtime = Tool(sys.argv[1]), Runtime(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        for part in (check_if, check_unsorted, check_loop, check_scan, check_rows, check_refusals):
            part()
    for process in (tool.process, runtime.process):
        process.stdin.close()
        if process.wait() != 0:
            fail("a program", f"ended with {process.returncode}")
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
