#!/usr/bin/env python3
"""Random nets against ONNX Runtime: what the plan fuses, lays out otherwise, leaves out or batches must not be seen in the answers.

usage: random_nets.py RUN-TOOL [--rounds N] [--seed N] [--kind pictures|sequences|vectors] [--keep FILE]

A round is one net of each kind: convolution nets with what stands around convolutions, encoders with what exporters write for attention, normalisation and Gelu,
and dense nets with arithmetic before and behind. Values are read more than once, and some of those within are outputs too. Each is asked with one and with
several rows. The seed of one that differs is printed; --keep writes its model. Some nets make much of a rounding, such as those that normalise what is almost the
same everywhere: where Gyr's reference, which fuses nothing, moves by a tenth as much when its inputs move by a millionth, or where a small difference is twenty
times that between plan and reference, that is no fault, and counted. Ends with "random nets: N as ONNX Runtime, N refused, N wrong".
"""
import argparse
import collections
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import engines

BOUND = 2e-4  # of the largest number of an output
SMALL = 2e-2


class Net:
    """A net in the making: values with their shapes (the batch not among them), constants, nodes."""

    def __init__(self, rng, shape):
        self.rng, self.nodes, self.constants, self.shapes = rng, [], [], {"x": tuple(shape)}
        self.order = ["x"]

    def pick(self, *items):
        return items[int(self.rng.integers(len(items)))]

    def chance(self, share):
        return self.rng.random() < share

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape, scale=1.0):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def number(self, value):
        return self.constant(np.array(value, np.float32) if self.chance(0.5) else np.array([value], np.float32))

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def add(self, op, inputs, shape, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        shapes = shape if outputs > 1 else [shape]
        for name, s in zip(names, shapes):
            self.shapes[name] = tuple(s)
            self.order.append(name)
        return names if outputs > 1 else names[0]

    def like(self, shape, but=None):
        """An earlier value of that shape, or None."""
        found = [v for v in self.order if self.shapes[v] == tuple(shape) and v != but]
        return self.pick(*found) if found else None

    def finish(self, last):
        """The model's bytes. The last value is an output, and now and then one from within."""
        outputs = [last]
        inner = [v for v in self.order if v not in ("x", last)]
        if inner and self.chance(0.4):
            outputs.append(self.pick(*inner))
        info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *self.shapes[name]])
        nodes = self.nodes
        if self.chance(0.2):  # files need not be sorted
            nodes = [nodes[i] for i in self.rng.permutation(len(nodes))]
        graph = helper.make_graph(nodes, "random", [info("x")], [info(o) for o in outputs], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def activation(net, x):
    shape = net.shapes[x]
    kind = net.pick("Relu", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Softplus", "swish", "hard-swish", "PRelu", "Identity", "Dropout")
    if kind == "Clip":
        return net.add("Clip", [x, net.constant(np.float32(0)), net.constant(np.float32(6))], shape)
    if kind == "swish":
        return net.add("Mul", [x, net.add("Sigmoid", [x], shape)], shape)
    if kind == "hard-swish":  # as older exporters write it
        inner = net.add("Clip", [net.add("Add", [x, net.number(3)], shape), net.constant(np.float32(0)), net.constant(np.float32(6))], shape)
        return net.add("Div", [net.add("Mul", [x, inner], shape), net.number(6)], shape)
    if kind == "PRelu":
        return net.add("PRelu", [x, net.weights(shape[0], *[1] * (len(shape) - 1))], shape)
    return net.add(kind, [x], shape)


def shift(net, x):
    """Arithmetic with a constant, on either side."""
    shape = net.shapes[x]
    own = [d if net.chance(0.5) else 1 for d in shape]
    form = net.pick("number", "channel", "last", "any")
    value = (net.number(net.rng.uniform(0.5, 2)) if form == "number" else
             net.constant(net.rng.uniform(0.5, 2, [shape[0]] + [1] * (len(shape) - 1)).astype(np.float32)) if form == "channel" else
             net.constant(net.rng.uniform(0.5, 2, shape[-1]).astype(np.float32)) if form == "last" else
             net.constant(net.rng.uniform(0.5, 2, own).astype(np.float32)))
    op = net.pick("Add", "Sub", "Mul", "Div")
    sides = [value, x] if op != "Div" and net.chance(0.4) else [x, value]
    return net.add(op, sides, shape)


def convolution(net, x):
    c, h, w = net.shapes[x]
    group = net.pick(1, 1, 1, c, 2 if c % 2 == 0 else 1)
    out = c if group == c and net.chance(0.7) else group * int(net.rng.integers(1, 24 // group + 1)) if group <= 24 else c
    k, s, d = net.pick((1, 1), (3, 3), (3, 3), (5, 5), (1, 3), (2, 2)), net.pick(1, 1, 1, 2), net.pick(1, 1, 1, 2)
    pads = [int(net.rng.integers(0, (k[i % 2] - 1) * d // 2 + 1)) for i in range(4)] if net.chance(0.3) else [(k[0] - 1) * d // 2, (k[1] - 1) * d // 2] * 2
    sizes = [(n + pads[i] + pads[i + 2] - (k[i] - 1) * d - 1) // s + 1 for i, n in enumerate((h, w))]
    if min(sizes) < 1 or (h + pads[0] + pads[2]) < (k[0] - 1) * d + 1 or (w + pads[1] + pads[3]) < (k[1] - 1) * d + 1:
        return x
    inputs = [x, net.weights(out, c // group, *k, scale=1 / (c // group * k[0] * k[1]) ** 0.5)] + ([net.weights(out)] if net.chance(0.5) else [])
    y = net.add("Conv", inputs, (out, *sizes), kernel_shape=list(k), strides=[s, s], dilations=[d, d], pads=pads, group=group)
    if net.chance(0.4):
        y = batch_normalise(net, y)
    return y


def batch_normalise(net, x):
    shape = net.shapes[x]
    c = shape[0]
    variance = net.constant(net.rng.uniform(0.5, 2, c).astype(np.float32))
    return net.add("BatchNormalization", [x, net.weights(c), net.weights(c), net.weights(c, scale=0.3), variance], shape, epsilon=1e-3)


def pool(net, x):
    c, h, w = net.shapes[x]
    k, s, pad = net.pick(2, 3), net.pick(1, 2), net.pick(0, 1)
    if min(h, w) + 2 * pad < k or pad >= k:
        return x
    ceil = int(net.chance(0.2))
    size = lambda n: (n + 2 * pad - k + (s - 1 if ceil else 0)) // s + 1
    if ceil and any((size(n) - 1) * s >= n + pad for n in (h, w)):
        return x
    attributes = {"count_include_pad": int(net.chance(0.3))} if net.chance(0.5) else None
    op = "MaxPool" if attributes is None else "AveragePool"
    if op == "AveragePool" and ceil:
        return x
    return net.add(op, [x], (c, size(h), size(w)), kernel_shape=[k, k], strides=[s, s], pads=[pad] * 4, ceil_mode=ceil, **(attributes or {}))


def gate(net, x):
    """Squeeze and excite."""
    c = net.shapes[x][0]
    y = net.add("GlobalAveragePool", [x], (c, 1, 1)) if net.chance(0.6) else net.add("ReduceMean", [x], (c, 1, 1), axes=[2, 3], keepdims=1)
    y = net.add("Conv", [y, net.weights(c, c, 1, 1, scale=c ** -0.5), net.weights(c)], (c, 1, 1))
    y = net.add(net.pick("Sigmoid", "HardSigmoid"), [y], (c, 1, 1))
    return net.add("Mul", [x, y] if net.chance(0.7) else [y, x], net.shapes[x])


def shuffle(net, x):
    c, h, w = net.shapes[x]
    if c % 2:
        return x
    y = net.add("Reshape", [x, net.integers(0, 2, c // 2, h, w)], (2, c // 2, h, w))
    y = net.add("Transpose", [y], (c // 2, 2, h, w), perm=[0, 2, 1, 3, 4])
    return net.add("Reshape", [y, net.integers(0, -1, h, w)], (c, h, w))


def join(net, x):
    """A concatenation or a sum with something earlier of the same size."""
    c, h, w = net.shapes[x]
    same = [v for v in net.order if len(net.shapes[v]) == 3 and net.shapes[v][1:] == (h, w)]
    other = net.pick(*same)
    if net.shapes[other] == (c, h, w) and net.chance(0.6):
        return net.add(net.pick("Add", "Add", "Mul", "Max"), [x, other] if net.chance(0.5) else [other, x], (c, h, w))
    if c + net.shapes[other][0] > 64:
        return x
    return net.add("Concat", [x, other], (c + net.shapes[other][0], h, w), axis=1)


def part(net, x):
    c, h, w = net.shapes[x]
    if c < 2 or net.chance(0.3):
        return net.add("Slice", [x, net.integers(0, 0), net.integers(h, max(1, w - 1)), net.integers(2, 3)], (c, h, max(1, w - 1)))
    cut = int(net.rng.integers(1, c))
    a, b = net.add("Split", [x, net.integers(cut, c - cut)], [(cut, h, w), (c - cut, h, w)], outputs=2, axis=1)
    return net.add("Concat", [b, a], (c, h, w), axis=1) if net.chance(0.7) else b


def pictures(rng):
    net = Net(rng, (int(rng.integers(1, 20)), int(rng.integers(3, 14)), int(rng.integers(3, 14))))
    x = "x"
    steps = {"conv": convolution, "activation": activation, "norm": batch_normalise, "pool": pool, "gate": gate, "shuffle": shuffle, "join": join, "part": part, "shift": shift}
    kinds = ["conv"] * 5 + ["activation"] * 4 + ["norm", "pool", "gate", "shuffle", "join", "join", "join", "part", "shift", "shift"]
    for _ in range(int(rng.integers(3, 12))):
        x = steps[net.pick(*kinds)](net, x)
    c, h, w = net.shapes[x]
    end = net.pick("as it is", "flat", "pool")
    if end == "pool":
        x = net.add("GlobalAveragePool", [x], (c, 1, 1))
        h = w = 1
    if end != "as it is":
        x = net.add("Flatten", [x], (c * h * w,), axis=1) if net.chance(0.6) else net.add("Reshape", [x, net.integers(0, -1)], (c * h * w,))
        x = net.add("Gemm", [x, net.weights(7, c * h * w, scale=(c * h * w) ** -0.5), net.weights(7)], (7,), transB=1)
    if x == "x":
        x = net.add("Relu", [x], net.shapes[x])
    return net.finish(x), net.shapes["x"]


def layer_normalise(net, x):
    shape, d = net.shapes[x], net.shapes[x][-1]
    if net.chance(0.4):
        return net.add("LayerNormalization", [x, net.weights(d), net.weights(d)], shape, axis=-1, epsilon=1e-5)
    mean = net.add("ReduceMean", [x], (*shape[:-1], 1), axes=[-1], keepdims=1)
    centred = net.add("Sub", [x, mean], shape)
    square = net.add("Pow", [centred, net.number(2)], shape) if net.chance(0.6) else net.add("Mul", [centred, centred], shape)
    variance = net.add("ReduceMean", [square], (*shape[:-1], 1), axes=[-1], keepdims=1)
    root = net.add("Sqrt", [net.add("Add", [variance, net.number(1e-5)], (*shape[:-1], 1))], (*shape[:-1], 1))
    y = net.add("Div", [centred, root], shape)
    if net.chance(0.8):
        y = net.add("Mul", [y, net.weights(d)] if net.chance(0.5) else [net.weights(d), y], shape)
    if net.chance(0.8):
        y = net.add("Add", [y, net.weights(d)] if net.chance(0.5) else [net.weights(d), y], shape)
    return y


def gelu(net, x):
    shape = net.shapes[x]
    if net.chance(0.5):
        inner = net.add("Erf", [net.add("Div", [x, net.number(2 ** 0.5)], shape)], shape)
        inner = net.add("Add", [inner, net.number(1)], shape)
    else:
        cube = net.add("Pow", [x, net.number(3)], shape)
        inner = net.add("Add", [x, net.add("Mul", [cube, net.number(0.044715)], shape)], shape)
        inner = net.add("Add", [net.add("Tanh", [net.add("Mul", [inner, net.number((2 / np.pi) ** 0.5)], shape)], shape), net.number(1)], shape)
    way = net.pick(0, 1, 2)
    if way == 0:
        return net.add("Mul", [net.add("Mul", [x, inner], shape), net.number(0.5)], shape)
    if way == 1:
        return net.add("Mul", [net.add("Mul", [x, net.number(0.5)], shape), inner], shape)
    return net.add("Mul", [x, net.add("Mul", [inner, net.number(0.5)], shape)], shape)


def linear(net, x, out=None):
    shape = net.shapes[x]
    out = out or net.pick(shape[-1], int(net.rng.integers(1, 40)))
    y = net.add("MatMul", [x, net.weights(shape[-1], out, scale=shape[-1] ** -0.5)], (*shape[:-1], out))
    if net.chance(0.7):
        y = net.add("Add", [y, net.weights(out)] if net.chance(0.5) else [net.weights(out), y], (*shape[:-1], out))
    return y


def attention(net, x):
    """As exporters write it: heads by Reshape and Transpose, a scale before or behind the product, perhaps a mask."""
    t, d = net.shapes[x]
    heads = net.pick(*[h for h in (1, 2, 4) if d % h == 0])
    width = d // heads
    if net.chance(0.4):
        joint = linear(net, x, 3 * d)
        q, k, v = (net.add("Slice", [joint, net.integers(i * d), net.integers((i + 1) * d), net.integers(2)], (t, d)) for i in range(3)) if net.chance(0.5) else \
            net.add("Split", [joint], [(t, d)] * 3, outputs=3, axis=2)
    else:
        q, k, v = (linear(net, x, d) for _ in range(3))
    apart = lambda y: net.add("Transpose", [net.add("Reshape", [y, net.integers(0, t, heads, width)], (t, heads, width))], (heads, t, width), perm=[0, 2, 1, 3])
    if net.chance(0.3):
        k = net.add("Transpose", [net.add("Reshape", [k, net.integers(0, t, heads, width)], (t, heads, width))], (heads, width, t), perm=[0, 2, 3, 1])
    else:
        k = net.add("Transpose", [apart(k)], (heads, width, t), perm=[0, 1, 3, 2])
    q, v = apart(q), apart(v)
    scale = net.pick("query", "scores", "both", "none")
    if scale in ("query", "both"):
        q = net.add("Mul", [q, net.number(width ** -0.5)], (heads, t, width))
    if scale == "both":
        k = net.add("Mul", [k, net.number(width ** -0.25)], (heads, width, t))
    scores = net.add("MatMul", [q, k], (heads, t, t))
    if scale == "scores":
        scores = net.add("Div", [scores, net.number(width ** 0.5)], (heads, t, t))
    if net.chance(0.3):
        mask = np.where(np.tril(np.ones((t, t))) > 0, 0, -1e4).astype(np.float32)
        scores = net.add("Add", [scores, net.constant(mask if net.chance(0.5) else mask[None, None])], (heads, t, t))
    weights = net.add("Softmax", [scores], (heads, t, t), axis=net.pick(-1, 3, 3, 2 if net.chance(0.1) else -1))
    y = net.add("Transpose", [net.add("MatMul", [weights, v], (heads, t, width))], (t, heads, width), perm=[0, 2, 1, 3])
    y = net.add("Reshape", [y, net.integers(0, t, d) if net.chance(0.5) else net.integers(0, -1, d)], (t, d))
    return linear(net, y, d) if net.chance(0.6) else y


def residual(net, x):
    other = net.like(net.shapes[x], x)
    return net.add("Add", [x, other] if net.chance(0.5) else [other, x], net.shapes[x]) if other else x


def turn(net, x):
    t, d = net.shapes[x]
    y = net.add("Transpose", [x], (d, t), perm=[0, 2, 1])
    return net.add("Transpose", [linear(net, y, t)], (t, d), perm=[0, 2, 1]) if net.chance(0.6) else y


def sequences(rng):
    net = Net(rng, (int(rng.integers(1, 12)), net_width(rng)))
    x = "x"
    steps = {"attention": attention, "linear": linear, "norm": layer_normalise, "gelu": gelu, "residual": residual, "activation": activation, "shift": shift, "turn": turn}
    kinds = ["attention", "linear", "linear", "norm", "norm", "gelu", "gelu", "residual", "residual", "activation", "shift", "turn"]
    for _ in range(int(rng.integers(2, 10))):
        x = steps[net.pick(*kinds)](net, x)
    if net.chance(0.3):
        x = net.add("ReduceMean", [x], net.shapes[x][1:], axes=[1], keepdims=0)
    if x == "x":
        x = net.add("Relu", [x], net.shapes[x])
    return net.finish(x), net.shapes["x"]


def net_width(rng):
    return [4, 8, 16, 20, 32][int(rng.integers(5))]


def dense(net, x):
    d = net.shapes[x][0]
    out = net.pick(int(net.rng.integers(1, 30)), int(net.rng.integers(30, 150)))
    if net.chance(0.5):
        transposed = int(net.chance(0.5))
        weights = net.weights(*((out, d) if transposed else (d, out)), scale=d ** -0.5)
        attributes = {"alpha": 0.5, "beta": 2.0} if net.chance(0.3) else {}
        return net.add("Gemm", [x, weights] + ([net.weights(out)] if net.chance(0.7) else []), (out,), transB=transposed, **attributes)
    return linear(net, x, out)


def vectors(rng):
    net = Net(rng, (int(rng.integers(1, 120)),))
    x = "x"

    def concat(net, x):
        other = net.pick(*[v for v in net.order if len(net.shapes[v]) == 1])
        return net.add("Concat", [x, other], (net.shapes[x][0] + net.shapes[other][0],), axis=net.pick(1, -1)) if net.shapes[x][0] < 300 else x

    def cut(net, x):
        d = net.shapes[x][0]
        low = int(net.rng.integers(0, d))
        return net.add("Slice", [x, net.integers(low), net.integers(d), net.integers(1)], (d - low,))

    def round_trip(net, x):
        d = net.shapes[x][0]
        y = net.add("Unsqueeze", [x, net.integers(2)], (d, 1))
        return net.add("Squeeze", [y, net.integers(2)], (d,)) if net.chance(0.5) else net.add("Flatten", [y], (d,))

    steps = {"dense": dense, "activation": activation, "shift": shift, "norm": batch_normalise, "residual": residual, "concat": concat, "cut": cut, "trip": round_trip}
    kinds = ["dense"] * 5 + ["activation"] * 3 + ["shift"] * 4 + ["norm", "residual", "concat", "cut", "trip"]
    for _ in range(int(rng.integers(2, 12))):
        x = steps[net.pick(*kinds)](net, x)
    if net.chance(0.3):
        x = net.add("Softmax", [x], net.shapes[x], axis=1)
    if x == "x":
        x = net.add("Relu", [x], net.shapes[x])
    return net.finish(x), net.shapes["x"]


KINDS = {"pictures": pictures, "sequences": sequences, "vectors": vectors}


def answers(gyr, x):
    """Of all rows, one at a time where they are not proven to stay apart."""
    if gyr.batch_max >= x.shape[0]:
        return gyr.run({"x": x})
    parts = [gyr.run({"x": x[i:i + 1]}) for i in range(x.shape[0])]
    return [np.concatenate(part) for part in zip(*parts)]


def sensitivity(gyr, x, rng):
    """How far the reference's answers move when the inputs move by a millionth, over their largest number."""
    still = answers(gyr, x)
    worst = 0
    for _ in range(3):
        moved = answers(gyr, x * (1 + 1e-6 * rng.standard_normal(x.shape)).astype(np.float32))
        worst = max([worst] + [engines.difference(a, b)[0] for a, b in zip(moved, still)])
    return worst


def ask(gyr, runtime, model, shape, rng, counts):
    """None, or how it differs."""
    gyr.load(model, batch_max=8)
    counts["one row at a time"] += gyr.batch_max == 1
    for rows in (1, int(rng.integers(2, 9))):
        x = rng.standard_normal((rows, *shape)).astype(np.float32)
        expected = runtime.answers(model, [{"x": x}])
        if isinstance(expected, str) or any(answer is None for answer in expected[0]):
            counts["not run by ONNX Runtime"] += 1
            return None
        got = answers(gyr, x)
        gaps = [engines.difference(a, b)[0] for a, b in zip(got, expected[0])]
        if max(gaps) < BOUND:
            counts["compared"] += len(gaps)
            continue
        gyr.load(model, batch_max=8, reference=True)
        plain = max(engines.difference(a, b)[0] for a, b in zip(got, answers(gyr, x)))
        if not (max(gaps) < SMALL and plain < max(gaps) / 20) and sensitivity(gyr, x, rng) < max(gaps) / 10:
            return f"{rows} rows differ by {max(gaps):.1e} of the largest"
        counts["roundings made much of"] += 1
        gyr.load(model, batch_max=8)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("--rounds", type=int, default=8000 if os.environ.get("GYR_LONG") else 100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--keep")
    options = parser.parse_args()
    gyr, runtime = engines.Gyr(options.tool), engines.Runtime()
    wrong, counts, refusals = 0, collections.Counter(), collections.Counter()
    for seed in range(options.seed, options.seed + options.rounds):
        for kind in [options.kind] if options.kind else KINDS:
            rng = np.random.default_rng([seed, *kind.encode()])
            model, shape = KINDS[kind](rng)
            try:
                fault = ask(gyr, runtime, model, shape, rng, counts)
            except engines.Refused as refusal:
                refusals[str(refusal)] += 1
                continue
            except engines.Died as death:
                fault = str(death)
            if fault is not None:
                wrong += 1
                print(f"WRONG {kind} seed {seed}: {fault}")
                if options.keep:
                    with open(options.keep, "wb") as file:
                        file.write(model)
    for text, count in refusals.most_common(10):
        print(f"refused {count}: {text}")
    runtime.close()
    if gyr.close() != 0:
        print("the tool did not end well")
        wrong += 1
    print(", ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    if counts["roundings made much of"] > 3 + counts["compared"] // 50:
        print("too many of those to believe it")
        wrong += 1
    print(f"random nets: {counts['compared']} as ONNX Runtime, {sum(refusals.values())} refused, {wrong} wrong")
    return 1 if wrong or not counts["compared"] else 0


if __name__ == "__main__":
    sys.exit(main())
