#!/usr/bin/env python3
"""Random single-operator models against ONNX Runtime: shapes, broadcasts, edges, extreme values, empty tensors, types, opsets.

usage: random_cases.py RUN-TOOL [--rounds N] [--seed N] [--only OPERATOR[,...]] [--verbose]

Each case runs compiled and by the reference twins; with its other inputs as inputs or as constants; where its first dimension may be a batch, with rows from
different questions in one. A round is one case of each operator. What Gyr refuses is counted by operator, what ONNX Runtime refuses is no case. The seed of a case that differs is printed:
--seed N --only OPERATOR repeats it. Ends with "random: N as ONNX Runtime, N refused, N wrong".
"""
import argparse
import collections
import os
import sys

import numpy as np
from onnx import helper, numpy_helper

import cases
import cases_ml  # noqa: F401, adds its makers
import engines


def build(case, rng):
    """The model's bytes, and its question. Inputs that may be constants are, half of the time; a common first dimension is a batch, half of the time."""
    inputs, constants, question = [], [], {}
    names = []
    batchable = [a for _, a, kind in case.inputs if a is not None and kind != "constant"]
    rows = {a.shape[0] for a in batchable if a.ndim > 0}
    batched = case.rows and len(rows) == 1 and all(a.ndim > 0 for a in batchable) and min(rows) > 0 and rng.random() < 0.5
    for i, (name, array, kind) in enumerate(case.inputs):
        names.append(name if array is not None else "")
        if array is None:
            continue
        if kind == "constant" or (kind == "either" and i > 0 and rng.random() < 0.5):
            constants.append(numpy_helper.from_array(np.asarray(array), name))
            continue
        shape = list(array.shape)
        if batched:
            shape[0] = "N"
        inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape))
        question[name] = array
    node = helper.make_node(case.op, names, [f"y{i}" if used else "" for i, used in enumerate(case.outputs)], domain=case.domain, name="node", **case.attributes)
    outputs = [helper.make_tensor_value_info(f"y{i}", 0, None) for i, used in enumerate(case.outputs) if used]
    for value in outputs:
        value.ClearField("type")
    graph = helper.make_graph([node], "random", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", case.opset)] + ([helper.make_opsetid(case.domain, case.domain_opset)] if case.domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8 if case.opset < 19 else 9).SerializeToString(), question


def agrees(got, expected, case):
    """None, or how they differ."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return f"{got.dtype}{got.shape} and not {expected.dtype}{expected.shape}"
    if got.size == 0:
        return None
    if got.dtype.kind != "f" or case.relative == 0:
        same = (got == expected) | ((got != got) & (expected != expected))
    else:
        a, b = got.astype(np.float64), expected.astype(np.float64)
        finite = np.isfinite(b)
        largest = np.abs(b[finite]).max() if finite.any() else 0
        with np.errstate(invalid="ignore"):
            same = np.where(finite, np.abs(a - b) <= case.relative * np.abs(b) + case.absolute * largest + case.floor + 1e-37, (a == b) | (np.isnan(a) & np.isnan(b)))
    if case.steps:  # whole numbers by way of rounding: one step where a half was met
        same = same | (np.abs(got.astype(np.int64) - expected.astype(np.int64)) <= case.steps)
    if same.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{(~same).sum()} of {same.size}, the first at {list(at)}: {got[at]!r} and not {expected[at]!r}"


def ask(gyr, runtime, model, question, case, reference):
    """None, or how Gyr's answers differ. Refused when it refuses. None too where ONNX Runtime does not run it."""
    gyr.load(model, reference=reference, batch_max=16)
    shapes = {name: dims for name, _, dims in gyr.inputs}
    one_row = any(list(array.shape) != dims and -1 not in dims for array, dims in ((question[name], shapes[name]) for name in question))
    if one_row:  # rows are not proven to stay apart: it answers one at a time
        question = {name: array[:1] for name, array in question.items()}
    rows = next((question[name].shape[0] for name, _, dims in gyr.inputs if dims and dims[0] == -1), 1)
    if rows > gyr.batch_max:
        return None, False
    expected = runtime.answers(model, [question])
    if isinstance(expected, str):
        return None, False
    for got, answer in zip(gyr.run(question), expected[0]):
        fault = agrees(got, np.asarray(answer), case)
        if fault is not None:
            return fault, True
    return None, True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("--rounds", type=int, default=2500 if os.environ.get("GYR_LONG") else 30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    gyr, runtime = engines.Gyr(options.tool), engines.Runtime()
    makers = [(op, make) for op, make in cases.MAKERS if options.only is None or op in options.only.split(",")]
    counts, refusals, wrong, strangers, seed = collections.Counter(), collections.defaultdict(collections.Counter), 0, collections.Counter(), options.seed
    while seed < options.seed + options.rounds and wrong < 200:
        for op, make in makers:
            rng = np.random.default_rng([seed, *op.encode()])
            case = make(rng)
            model, question = build(case, rng)
            for reference in (False, True):
                try:
                    fault, compared = ask(gyr, runtime, model, question, case, reference)
                except engines.Refused as refusal:
                    refusals[op][str(refusal)] += 1
                    break
                except engines.Died as death:
                    fault, compared = str(death), True
                if not compared:
                    strangers[op] += 1
                    break
                if fault is not None:
                    wrong += 1
                    shown = {name: array.tolist() if kind == "constant" else f"{array.dtype}{list(array.shape)}" for name, array, kind in case.inputs if array is not None}
                    print(f"WRONG {op} seed {seed}{' by the reference' if reference else ''}, opset {case.opset}, {shown} {case.attributes}: {fault}")
                    break
                counts[op] += 1
        seed += 1
    for op in sorted(refusals):
        text, _ = refusals[op].most_common(1)[0]
        if options.verbose or counts[op] == 0:
            print(f"refused {op} {sum(refusals[op].values())} times (it ran {counts[op]} times), most often: {text}")
    if options.verbose:
        for op in sorted(strangers):
            print(f"not run by ONNX Runtime: {op} {strangers[op]} times (compared {counts[op]} times)")
    runtime.close()
    if gyr.close() != 0:
        print("the tool did not end well")
        wrong += 1
    print(f"random: {sum(counts.values())} as ONNX Runtime, {sum(sum(c.values()) for c in refusals.values())} refused, {wrong} wrong")
    return 1 if wrong or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
