"""Makers of random single-operator cases for random_cases.py: MAKERS has (operator, function of a random generator that gives a Case).

The file is long because it is a list: one short maker for each kind of operator, each for itself, and they share the few helpers at the top. Those of
ai.onnx.ml are in cases_ml.py.
"""
import dataclasses

import numpy as np

MAKERS = []
EXTREMES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38, 1e-38, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, 88.8, -88.8, 104.0, -104.0, 1e4, -1e4], np.float32)


@dataclasses.dataclass
class Case:
    op: str
    inputs: list  # (name, array or None where it is left out, "input", "either" or "constant")
    attributes: dict = dataclasses.field(default_factory=dict)
    opset: int = 13
    outputs: tuple = (True,)  # which are asked for
    domain: str = ""
    domain_opset: int = 3
    relative: float = 2e-5
    absolute: float = 2e-6  # of the largest answer
    floor: float = 0  # an absolute difference that is fine
    steps: int = 0
    rows: bool = True  # whether the first dimension may be called a batch


def maker(*ops):
    def add(function):
        for op in ops:
            MAKERS.append((op, lambda rng, o=op: function(rng, o)))
        return function
    return add


def pick(rng, *items):
    return items[int(rng.integers(len(items)))]


def shape(rng, low=1, high=4, most=5, empty=0.04):
    """LOW to HIGH dimensions of 1 to MOST; now and then one is 0."""
    dims = [int(d) for d in rng.integers(1, most + 1, int(rng.integers(low, high + 1)))]
    if dims and rng.random() < empty:
        dims[int(rng.integers(len(dims)))] = 0
    if dims and rng.random() < 0.08:
        dims[-1] = int(rng.integers(15, 70))
    return dims


def floats(rng, dims, scale=1.0, extremes=0.0, dtype=np.float32):
    """Normal numbers; a share of them extreme."""
    x = (rng.standard_normal(dims) * scale).astype(dtype)
    if extremes and x.size:
        x = np.where(rng.random(x.shape) < extremes, rng.choice(EXTREMES, x.shape).astype(dtype), x)
    return np.asarray(x, dtype)


def whole(rng, dims, dtype, low=None, high=None):
    info = np.iinfo(dtype)
    return np.asarray(rng.integers(info.min if low is None else low, info.max if high is None else high, dims, dtype=dtype, endpoint=True), dtype)


def some(rng, dims, dtype, extremes=0.0):
    """An array of any type."""
    if dtype == np.bool_:
        return np.asarray(rng.random(dims) < 0.5)
    if np.dtype(dtype).kind == "f":
        return floats(rng, dims, pick(rng, 1, 3, 30), extremes, dtype)
    return whole(rng, dims, dtype, -9 if np.dtype(dtype).kind == "i" else 0, 9)


def broadcast_partner(rng, dims):
    """A shape that broadcasts with DIMS: dimensions left away or 1."""
    own = [d if rng.random() < 0.6 else 1 for d in dims]
    return own[int(rng.integers(len(own) + 1)) if rng.random() < 0.4 else 0:]


ALL = [np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.bool_]


@maker("Abs", "Neg", "Sqrt", "Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Tanh", "Erf", "Sigmoid", "Softsign", "Softplus",
       "Floor", "Ceil", "Round", "Sign", "Reciprocal", "IsNaN", "IsInf", "Not", "Identity", "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "HardSigmoid", "HardSwish",
       "Mish", "Gelu")
def unary(rng, op):
    dims = shape(rng, 0)
    opset = pick(rng, 13, 15, 17, 20, 22)
    x = np.asarray(rng.random(dims) < 0.5) if op == "Not" else floats(rng, dims, pick(rng, 1, 5, 50), pick(rng, 0, 0.3))
    if op in ("Sin", "Cos", "Tan"):
        x = np.where(np.abs(x) < 1e5, x, np.float32(2))  # large ones are a matter of reduction
    if op == "Erf":
        x = np.where(np.isnan(x), np.float32(-0.5), x)  # ONNX Runtime gives 1
    if op == "Sqrt":
        x = np.where((np.abs(x) < 1e37) & (np.abs(x) > 1e-37), x, np.float32(2))  # ONNX Runtime gives NaN for the infinite, infinity for NaN and tiny negatives
    if op == "Log":
        x = np.where(np.abs(x) < 2e-38, np.float32(2), x)  # ONNX Runtime takes all of these for 2^-126
    if op in ("Relu", "Sign", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "HardSigmoid", "Softsign"):
        x = np.where(np.isnan(x), np.float32(-0.5), x)  # ONNX Runtime lets the vector unit decide what a NaN becomes
    attributes = {}
    if op in ("LeakyRelu", "Elu", "Celu", "ThresholdedRelu") and rng.random() < 0.6:
        attributes["alpha"] = float(np.float32(rng.uniform(0.1, 2)))
    if op == "HardSigmoid" and rng.random() < 0.6:
        attributes = {"alpha": float(np.float32(rng.uniform(0.1, 1))), "beta": float(np.float32(rng.uniform(0, 1)))}
    if op == "Gelu":
        opset, attributes = pick(rng, 20, 21, 22), pick(rng, {}, {"approximate": "tanh"}, {"approximate": "none"})
    if op == "Mish":
        opset = pick(rng, 18, 20)
    if op == "HardSwish":
        opset = pick(rng, 14, 22)
    if op == "IsInf" and rng.random() < 0.5:
        attributes = {"detect_negative": int(rng.integers(2)), "detect_positive": int(rng.integers(2))}
    return Case(op, [("x", np.asarray(x, x.dtype), "input")], attributes, opset, relative=1e-4 if op in ("Tan", "Mish", "Gelu", "Softplus", "Acosh", "Asinh", "Atanh", "Erf") else 2e-5,
                floor=2e-7 if op in ("Sigmoid", "Gelu", "Mish", "Softplus", "Erf") else 0)


@maker("Add", "Sub", "Mul", "Div", "Pow", "Mod", "PRelu", "Max", "Min", "Mean", "Sum", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor",
       "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift")
def binary(rng, op):
    dims = shape(rng, 0)
    other = broadcast_partner(rng, dims)
    opset, attributes = pick(rng, 13, 14, 17, 18, 21), {}
    if op in ("And", "Or", "Xor"):
        dtype = np.bool_
    elif op.startswith("Bitwise"):
        opset, dtype = 18, pick(rng, np.int8, np.int32, np.uint8, np.int64, np.uint16)
    elif op == "BitShift":
        dtype, attributes = pick(rng, np.uint8, np.uint32, np.uint64), {"direction": pick(rng, "LEFT", "RIGHT")}
    elif op in ("Mean", "Sum", "PRelu"):
        dtype = np.float32
    elif op == "Pow":
        dtype = np.float32
    elif op == "Mod":
        dtype = pick(rng, np.int8, np.int32, np.int64, np.uint8, np.float32)
        if dtype == np.float32 or rng.random() < 0.3:
            attributes["fmod"] = 1
    else:
        dtype = pick(rng, np.float32, np.float32, np.int32, np.int64, np.float64)
    extremes = 0.2 if rng.random() < 0.5 and op in ("Add", "Sub", "Mul", "Div", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual") else 0
    a, b = some(rng, dims, dtype, extremes), some(rng, other, dtype, extremes)
    if op in ("Div", "Mod") and np.dtype(dtype).kind in "iu" or op == "Mod":
        b = np.where(b == 0, np.asarray(3, dtype), b).astype(dtype)
    if op == "Pow":
        a, b = np.abs(a) + np.float32(0.01), np.clip(b, -8, 8)
        b = np.where(rng.random(b.shape) < 0.4, np.round(b), b).astype(np.float32)
    if op == "BitShift":
        b = whole(rng, other, dtype, 0, 7)
    inputs = [("a", a, "either"), ("b", np.asarray(b, dtype), "either")]
    if op not in ("PRelu", "Pow", "BitShift", "Mod") and rng.random() < 0.3:
        inputs = [("b", inputs[1][1], "either"), ("a", a, "input")]
    if op in ("Max", "Min", "Mean", "Sum") and rng.random() < 0.5:
        inputs.append(("c", some(rng, broadcast_partner(rng, dims), dtype), "either"))
    return Case(op, inputs, attributes, opset, relative=1e-4 if op == "Pow" else 2e-5, absolute=2e-7)


@maker("Where")
def where(rng, op):
    dims, dtype = shape(rng, 0), pick(rng, np.float32, np.int64, np.uint8, np.int32)
    return Case(op, [("c", np.asarray(rng.random(broadcast_partner(rng, dims)) < 0.5), "either"), ("a", some(rng, dims, dtype), "either"),
                     ("b", some(rng, broadcast_partner(rng, dims), dtype), "either")], opset=pick(rng, 9, 13, 16), relative=0)


@maker("Clip")
def clip(rng, op):
    dtype = pick(rng, np.float32, np.float32, np.int32, np.int64, np.uint8)
    bounds = sorted(some(rng, (2,), dtype).tolist())
    use = int(rng.integers(1, 4))
    inputs = [("x", some(rng, shape(rng, 0), dtype), "input"), ("low", np.array(bounds[0], dtype) if use & 1 else None, "either"),
              ("high", np.array(bounds[1], dtype) if use & 2 else None, "either")]
    return Case(op, inputs, opset=pick(rng, 12, 13), relative=0)


@maker("Cast")
def cast(rng, op):
    from onnx import helper
    source, target = pick(rng, *ALL, np.float16), pick(rng, *ALL, np.float16)
    dims = shape(rng, 0)
    x = some(rng, dims, source)
    if np.dtype(source).kind == "f":  # beyond the target's range it is undefined
        x = np.clip(x, 0 if np.dtype(target).kind == "u" else -100, 100).astype(source)
    return Case(op, [("x", x, "input")], {"to": helper.np_dtype_to_tensor_dtype(np.dtype(target))}, pick(rng, 9, 13, 19), relative=0)


@maker("Reshape")
def reshape(rng, op):
    dims = shape(rng, 1, 4)
    total = int(np.prod(dims))
    to = [d for d in dims]
    if total:
        factors, left = [], total
        for _ in range(int(rng.integers(1, 4))):
            f = pick(rng, *[d for d in range(1, left + 1) if left % d == 0][:6])
            factors.append(f)
            left //= f
        to = factors + [left]
        if rng.random() < 0.5:
            to[int(rng.integers(len(to)))] = -1
        if to[0] == dims[0] and rng.random() < 0.5:
            to[0] = 0
    return Case(op, [("x", some(rng, dims, pick(rng, np.float32, np.int64, np.bool_)), "input"), ("to", np.array(to, np.int64), "constant")], opset=pick(rng, 7, 13, 14), relative=0)


@maker("Flatten")
def flatten(rng, op):
    dims = shape(rng, 1)
    return Case(op, [("x", floats(rng, dims), "input")], {"axis": int(rng.integers(-len(dims), len(dims) + 1))}, pick(rng, 11, 13), relative=0)


@maker("Transpose")
def transpose(rng, op):
    dims = shape(rng, 1, 5)
    attributes = {"perm": [int(i) for i in rng.permutation(len(dims))]} if rng.random() < 0.85 else {}
    return Case(op, [("x", some(rng, dims, pick(rng, *ALL)), "input")], attributes, pick(rng, 7, 13), relative=0)


@maker("Concat")
def concat(rng, op):
    dims = shape(rng, 1)
    axis = int(rng.integers(len(dims)))
    dtype = pick(rng, np.float32, np.int64, np.uint8)
    parts = []
    for i in range(int(rng.integers(1, 5))):
        own = list(dims)
        own[axis] = int(rng.integers(0 if rng.random() < 0.1 else 1, 6))
        parts.append((f"x{i}", some(rng, own, dtype), "either" if i else "input"))
    return Case(op, parts, {"axis": axis - (len(dims) if rng.random() < 0.3 else 0)}, pick(rng, 11, 13), relative=0)


@maker("Split")
def split(rng, op):
    dims = shape(rng, 1, empty=0)
    axis = int(rng.integers(len(dims)))
    parts = [int(i) for i in rng.integers(0, 4, int(rng.integers(1, 4)))]
    if sum(parts) == 0:
        parts[0] = 2
    dims[axis] = sum(parts)
    x = some(rng, dims, pick(rng, np.float32, np.int64))
    if rng.random() < 0.3:  # even
        count = int(rng.integers(1, 4))
        dims[axis] = count * int(rng.integers(1, 4))
        opset = pick(rng, 11, 13, 18)
        return Case(op, [("x", floats(rng, dims), "input")], {"axis": axis} | ({"num_outputs": count} if opset == 18 else {}), opset, (True,) * count, relative=0)
    opset = pick(rng, 7, 11, 13, 18)
    if opset < 13:
        return Case(op, [("x", x, "input")], {"axis": axis, "split": parts}, opset, (True,) * len(parts), relative=0)
    return Case(op, [("x", x, "input"), ("parts", np.array(parts, np.int64), "constant")], {"axis": axis}, opset, (True,) * len(parts), relative=0)


@maker("Slice")
def slice_(rng, op):
    dims = shape(rng, 1)
    count = int(rng.integers(1, len(dims) + 1))
    axes = [int(a) for a in rng.permutation(len(dims))[:count]]
    starts = [int(rng.integers(-d - 2, d + 3)) for d in (dims[a] for a in axes)]
    steps = [pick(rng, 1, 1, 2, 3, -1, -2) for _ in axes]
    # ONNX Runtime takes the largest number, against the text, for the beginning where steps are negative.
    ends = [pick(rng, int(rng.integers(-dims[a] - 2, dims[a] + 3)), 2**63 - 1 if s > 0 else -2**63, -2**63) for a, s in zip(axes, steps)]
    dtype = pick(rng, np.int64, np.int32)
    narrow = lambda numbers: np.clip(np.array(numbers, np.int64), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
    if rng.random() < 0.2 and min(steps) > 0:
        return Case(op, [("x", floats(rng, dims), "input")], {"axes": axes, "starts": starts, "ends": ends}, 9, relative=0)
    inputs = [("x", some(rng, dims, pick(rng, np.float32, np.int64, np.uint8)), "input"), ("starts", narrow(starts), "constant"), ("ends", narrow(ends), "constant"),
              ("axes", narrow([a - (len(dims) if rng.random() < 0.3 else 0) for a in axes]), "constant"), ("steps", narrow(steps), "constant")]
    return Case(op, inputs, opset=pick(rng, 10, 11, 13) if min(inputs[3][1]) >= 0 else 13, relative=0)


@maker("Squeeze", "Unsqueeze")
def squeeze(rng, op):
    dims = [pick(rng, 1, 1, 3, 2) for _ in range(int(rng.integers(1, 5)))]
    opset = pick(rng, 7, 11, 13, 21)
    if op == "Squeeze":
        axes = [i for i, d in enumerate(dims) if d == 1 and rng.random() < 0.7]
        if not axes:
            dims, axes = [1, *dims], [0]
        rank = len(dims)
    else:
        rank = len(dims) + 2
        axes = [int(a) for a in rng.permutation(rank)[:2]]
    if opset >= 11 and rng.random() < 0.4:
        axes = [a - rank for a in axes]
    x = ("x", floats(rng, dims), "input")
    if opset < 13:
        return Case(op, [x], {"axes": axes}, opset, relative=0)
    return Case(op, [x, ("axes", np.array(axes, np.int64), "constant")], opset=opset, relative=0)


@maker("Expand")
def expand(rng, op):
    dims = shape(rng, 0)
    own = broadcast_partner(rng, dims)
    return Case(op, [("x", some(rng, own, pick(rng, np.float32, np.int64, np.bool_)), "input"), ("to", np.array(dims, np.int64), "constant")],
                opset=pick(rng, 8, 13), relative=0)


@maker("Tile")
def tile(rng, op):
    dims = shape(rng, 1)
    return Case(op, [("x", some(rng, dims, pick(rng, np.float32, np.int64, np.uint8)), "input"), ("times", np.array([pick(rng, 1, 2, 3, 1, 0) if rng.random() < .3 else pick(rng, 1, 2) for _ in dims], np.int64), "constant")],
                opset=pick(rng, 7, 13), relative=0)


@maker("Gather")
def gather(rng, op):
    dims = shape(rng, 1, empty=0)
    axis = int(rng.integers(len(dims)))
    index = whole(rng, shape(rng, 0, 3), pick(rng, np.int32, np.int64), -dims[axis], dims[axis] - 1)
    return Case(op, [("x", some(rng, dims, pick(rng, np.float32, np.int64, np.uint8)), "either"), ("i", index, "either")], {"axis": axis - (len(dims) if rng.random() < .3 else 0)},
                pick(rng, 11, 13), relative=0)


@maker("GatherElements")
def gather_elements(rng, op):
    dims = shape(rng, 1, empty=0)
    axis = int(rng.integers(len(dims)))
    own = [int(rng.integers(1, d + 1)) for d in dims]
    own[axis] = int(rng.integers(1, 6))
    return Case(op, [("x", floats(rng, dims), "input"), ("i", whole(rng, own, pick(rng, np.int32, np.int64), -dims[axis], dims[axis] - 1), "either")], {"axis": axis}, pick(rng, 11, 13), relative=0)


@maker("GatherND")
def gather_nd(rng, op):
    dims = shape(rng, 2, 4, empty=0)
    batch = int(rng.integers(0, 2))
    depth = int(rng.integers(1, len(dims) - batch + 1))
    lead = dims[:batch] + shape(rng, 0, 2, empty=0)
    index = np.stack([whole(rng, lead, np.int64, -d, d - 1) for d in dims[batch:batch + depth]], -1)
    return Case(op, [("x", floats(rng, dims), "input"), ("i", index, "either")], {"batch_dims": batch}, pick(rng, 12, 13), relative=0)


@maker("ScatterElements", "Scatter")
def scatter_elements(rng, op):
    dims = shape(rng, 1, empty=0)
    axis = int(rng.integers(len(dims)))
    own = [int(rng.integers(1, d + 1)) for d in dims]
    reduction = pick(rng, None, None, "add", "mul", "max", "min") if op == "ScatterElements" else None
    index = whole(rng, own, pick(rng, np.int32, np.int64), -dims[axis], dims[axis] - 1)
    if reduction is None:  # two writes to one place: the order is nobody's
        index = np.argsort(rng.random(own), axis=axis).astype(np.int64)
    opset = 10 if op == "Scatter" else 18 if reduction else pick(rng, 11, 13, 16, 18)
    if opset < 11:
        index = np.abs(index)
    return Case(op, [("x", floats(rng, dims), "input"), ("i", index, "either"), ("u", floats(rng, own), "either")],
                {"axis": axis} | ({"reduction": reduction} if reduction else {}), opset)


@maker("ScatterND")
def scatter_nd(rng, op):
    dims = shape(rng, 1, 4, empty=0)
    depth = int(rng.integers(1, len(dims) + 1))
    places = np.array(list(np.ndindex(*dims[:depth])))
    rows = int(rng.integers(1, len(places) + 1))
    index = places[rng.permutation(len(places))[:rows]].astype(np.int64)
    reduction = pick(rng, None, None, "add", "mul", "max", "min")
    return Case(op, [("x", floats(rng, dims), "input"), ("i", index, "either"), ("u", floats(rng, [rows] + dims[depth:]), "either")],
                {"reduction": reduction} if reduction else {}, 18 if reduction else pick(rng, 11, 13, 16))


@maker("Pad")
def pad(rng, op):
    dims = shape(rng, 1, 4, empty=0)
    mode = pick(rng, "constant", "constant", "reflect", "edge", "wrap")
    opset = 19 if mode == "wrap" else pick(rng, 11, 13, 18)
    low = 0 if mode in ("wrap",) else -min(2, min(dims) - 1)
    sides = [int(rng.integers(low, min(3, d - 1) + 1 if mode in ("reflect", "wrap") else 3)) if not (mode == "reflect" and d == 1) else 0 for d in dims * 2]
    if mode == "reflect":  # what is cut off on one side cannot be reflected on the other
        sides = [0 if side < 0 else side for side in sides]
    for i, d in enumerate(dims):
        if d + sides[i] + sides[i + len(dims)] < 1:
            sides[i] = sides[i + len(dims)] = 0
    dtype = pick(rng, np.float32, np.int64, np.int32) if mode == "constant" else np.float32
    inputs = [("x", some(rng, dims, dtype), "input"), ("pads", np.array(sides, np.int64), "constant")]
    if mode == "constant" and rng.random() < 0.6:
        inputs.append(("value", np.array(some(rng, (), dtype)), "either"))
    return Case(op, inputs, {"mode": mode}, opset, relative=0, rows=False)


@maker("DepthToSpace", "SpaceToDepth")
def depth_to_space(rng, op):
    block = int(rng.integers(1, 4))
    n, c, h, w = (int(i) for i in rng.integers(1, 4, 4))
    dims = [n, c * block * block, h, w] if op == "DepthToSpace" else [n, c, h * block, w * block]
    return Case(op, [("x", floats(rng, dims), "input")], {"blocksize": block} | ({"mode": pick(rng, "DCR", "CRD")} if op == "DepthToSpace" else {}), pick(rng, 11, 13), relative=0)


@maker("Shape", "Size")
def shape_of(rng, op):
    attributes = {"start": int(rng.integers(-5, 6)), "end": int(rng.integers(-5, 6))} if op == "Shape" and rng.random() < 0.6 else {}
    return Case(op, [("x", floats(rng, shape(rng, 0)), "input")], attributes, 15 if attributes else pick(rng, 7, 13), relative=0)


@maker("Trilu")
def trilu(rng, op):
    return Case(op, [("x", some(rng, shape(rng, 2), pick(rng, np.float32, np.int64)), "input"), ("k", np.array(int(rng.integers(-4, 5)), np.int64) if rng.random() < .7 else None, "either")],
                {"upper": int(rng.integers(2))}, 14, relative=0)


@maker("CumSum")
def cumsum(rng, op):
    dims = shape(rng, 1)
    return Case(op, [("x", some(rng, dims, pick(rng, np.float32, np.int32, np.int64)), "input"), ("axis", np.array(int(rng.integers(-len(dims), len(dims))), pick(rng, np.int32, np.int64)), "constant")],
                {"exclusive": int(rng.integers(2)), "reverse": int(rng.integers(2))}, pick(rng, 11, 14), relative=1e-4, absolute=1e-5)


@maker("TopK")
def topk(rng, op):
    dims = shape(rng, 1, empty=0)
    axis = int(rng.integers(len(dims)))
    k = int(rng.integers(1, dims[axis] + 1))
    x = rng.permutation(int(np.prod(dims))).reshape(dims).astype(np.float32)  # no ties: their order is free
    return Case(op, [("x", x, "input"), ("k", np.array([k], np.int64), "constant")], {"axis": axis, "largest": int(rng.integers(2)), "sorted": 1}, 11, (True, True), relative=0)


@maker("ArgMax", "ArgMin")
def argmax(rng, op):
    dims = shape(rng, 1, empty=0)
    attributes = {"axis": int(rng.integers(-len(dims), len(dims))), "keepdims": int(rng.integers(2))}
    opset = pick(rng, 11, 12, 13)
    if opset >= 12 and rng.random() < 0.5:
        attributes["select_last_index"] = int(rng.integers(2))
    return Case(op, [("x", whole(rng, dims, np.int32, 0, 3).astype(pick(rng, np.float32, np.int32)), "input")], attributes, opset, relative=0)


@maker("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def reduce(rng, op):
    dims = shape(rng, 0, 4, empty=0)  # ONNX Runtime gives an empty input its own shape back, or 0
    dtype = pick(rng, np.float32, np.float32, np.int32, np.int64) if op in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd") else np.float32
    x = np.abs(some(rng, dims, dtype)) if op == "ReduceLogSum" else some(rng, dims, dtype)
    if op == "ReduceProd":
        x = np.clip(x, -2, 2).astype(dtype)
    axes = [int(a) for a in rng.permutation(len(dims))[:int(rng.integers(1, len(dims) + 1))]] if dims else None
    if axes and rng.random() < 0.3:
        axes = [a - len(dims) for a in axes]
    if rng.random() < 0.25:
        axes = None
    opset = pick(rng, 11, 13, 18)
    attributes = {"keepdims": int(rng.integers(2))}
    inputs = [("x", np.asarray(x, dtype), "input")]
    if opset < (13 if op == "ReduceSum" else 18):
        attributes |= {"axes": axes} if axes else {}
    else:
        attributes |= {"noop_with_empty_axes": 1} if rng.random() < 0.2 else {}
        inputs.append(("axes", np.array(axes, np.int64) if axes else None, "constant"))
    return Case(op, inputs, attributes, opset, relative=1e-4, absolute=1e-5)


@maker("OneHot")
def one_hot(rng, op):
    dims, depth = shape(rng, 0, 3), int(rng.integers(1, 6))
    return Case(op, [("i", whole(rng, dims, np.int64, -depth - 1, depth), "input"), ("depth", np.array(depth, np.int64), "constant"), ("values", np.array([0.5, 2], np.float32), "either")],
                {"axis": int(rng.integers(-len(dims) - 1, len(dims) + 1))}, 11, relative=0)


@maker("ReverseSequence")
def reverse_sequence(rng, op):
    dims = [int(d) for d in rng.integers(1, 6, int(rng.integers(2, 5)))]
    time = int(rng.integers(2))
    return Case(op, [("x", floats(rng, dims), "input"), ("n", whole(rng, [dims[1 - time]], np.int64, 1, dims[time]), "either")], {"time_axis": time, "batch_axis": 1 - time}, 10, relative=0)


@maker("EyeLike")
def eye_like(rng, op):
    return Case(op, [("x", floats(rng, shape(rng, 2, 2)), "input")], {"k": int(rng.integers(-4, 5))}, 9, relative=0)


@maker("Softmax", "LogSoftmax", "Hardmax")
def softmax(rng, op):
    dims = shape(rng, 1)
    opset = pick(rng, 11, 12, 13)
    x = floats(rng, dims, pick(rng, 1, 10, 100))
    attributes = {"axis": int(rng.integers(-len(dims), len(dims)))} if rng.random() < 0.8 or len(dims) < 2 else {}
    return Case(op, [("x", x, "input")], attributes, opset, relative=1e-4, absolute=1e-6)


def window(rng, spatial, transposed=False):
    """Attributes of a sliding window over SPATIAL, which it fits."""
    rank = len(spatial)
    kernel = [int(rng.integers(1, 4)) for _ in spatial]
    dilations = [pick(rng, 1, 1, 2) for _ in spatial]
    strides = [int(rng.integers(1, 4)) for _ in spatial]
    reach = [(k - 1) * d for k, d in zip(kernel, dilations)]
    pads = [int(rng.integers(0, min(k, 2) + 0 if k == 1 else k)) for k in kernel * 2]
    if not transposed:
        for i in range(rank):
            while spatial[i] + pads[i] + pads[i + rank] <= reach[i]:
                spatial[i] += 1
    return kernel, dilations, strides, pads


@maker("Conv")
def conv(rng, op):
    rank = pick(rng, 1, 2, 2, 2, 3)
    group = pick(rng, 1, 1, 2, 3)
    inputs, outputs = group * int(rng.integers(1, 5)), group * int(rng.integers(1, 5))
    if rng.random() < 0.25:
        group = inputs
        outputs = inputs * int(rng.integers(1, 3))
    spatial = [int(i) for i in rng.integers(1, 12, rank)]
    kernel, dilations, strides, pads = window(rng, spatial)
    attributes = {"group": group, "strides": strides, "dilations": dilations}
    auto = pick(rng, None, None, None, "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto == "VALID":
        spatial = [max(s, (k - 1) * d + 1) for s, k, d in zip(spatial, kernel, dilations)]
    if auto and auto.startswith("SAME"):
        attributes["dilations"] = [1] * rank
    attributes |= {"auto_pad": auto} if auto else {"pads": pads}
    if rng.random() < 0.5:
        attributes["kernel_shape"] = kernel
    x = floats(rng, [int(rng.integers(1, 4)), inputs, *spatial])
    return Case(op, [("x", x, "input"), ("w", floats(rng, [outputs, inputs // group, *kernel]), "either"), ("b", floats(rng, [outputs]) if rng.random() < .5 else None, "either")],
                attributes, pick(rng, 7, 11, 22), relative=1e-4, absolute=1e-5)


@maker("ConvTranspose")
def conv_transpose(rng, op):
    rank, group = pick(rng, 1, 2, 2, 3), pick(rng, 1, 1, 2)
    inputs, outputs = group * int(rng.integers(1, 4)), int(rng.integers(1, 4))
    spatial = [int(i) for i in rng.integers(1, 8, rank)]
    kernel, dilations, strides, _ = window(rng, spatial, True)
    pads = [int(rng.integers(0, 2)) if (s - 1) * t + (k - 1) * d > 2 else 0 for s, t, k, d in zip(spatial * 2, strides * 2, kernel * 2, dilations * 2)]
    attributes = {"group": group, "strides": strides, "dilations": dilations}
    if rng.random() < 0.7:
        attributes["pads"] = pads
    if rng.random() < 0.4:  # as large as a stride, though below the dilation, ONNX Runtime mixes it up (PyTorch does not)
        attributes["output_padding"] = [int(rng.integers(0, t)) for t in strides]
    return Case(op, [("x", floats(rng, [int(rng.integers(1, 3)), inputs, *spatial]), "input"), ("w", floats(rng, [inputs, outputs, *kernel]), "either"),
                     ("b", floats(rng, [outputs * group]) if rng.random() < .5 else None, "either")], attributes, pick(rng, 7, 11), relative=1e-4, absolute=1e-5)


@maker("MaxPool", "AveragePool", "LpPool")
def pool(rng, op):
    rank = pick(rng, 1, 2, 2, 3)
    spatial = [int(i) for i in rng.integers(1, 14, rank)]
    kernel, dilations, strides, pads = window(rng, spatial)
    spatial = [max(s, (k - 1) * d + 1) for s, k, d in zip(spatial, kernel, dilations)]  # a window of padding alone has no largest number
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    opset = pick(rng, 7, 11, 19, 22) if op == "AveragePool" else pick(rng, 8, 12) if op == "MaxPool" else pick(rng, 11, 18)
    if (op == "AveragePool" and opset >= 19) or (op == "MaxPool" and opset >= 10) or opset >= 18:
        attributes["ceil_mode"] = int(rng.integers(2))
    if (op == "MaxPool" and opset >= 12) or opset >= 19 or (op == "LpPool" and opset >= 18):
        attributes["dilations"] = dilations
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(2))
        if opset >= 19:  # from here on ONNX Runtime leaves the padding behind out of the count
            attributes["count_include_pad"] = 0
    if op == "LpPool":
        attributes["p"] = pick(rng, 1, 2, 3)
    outputs = (True,)
    if op == "MaxPool" and opset >= 8 and rng.random() < 0.3:
        outputs = (True, True)
    x = floats(rng, [int(rng.integers(1, 4)), int(rng.integers(1, 20)), *spatial])
    return Case(op, [("x", x, "input")], attributes, opset, outputs, relative=1e-4, absolute=1e-5)


@maker("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(rng, op):
    return Case(op, [("x", floats(rng, shape(rng, 3, 5, 8, 0)), "input")], opset=pick(rng, 7, 13), relative=1e-4, absolute=1e-5)


@maker("BatchNormalization", "InstanceNormalization", "GroupNormalization")
def normalise(rng, op):
    dims = shape(rng, 3, 4, 6, 0)
    if op == "GroupNormalization":
        groups = pick(rng, 1, 2, 3)
        dims[1] = groups * int(rng.integers(1, 4))
        return Case(op, [("x", floats(rng, dims), "input"), ("s", floats(rng, [dims[1]]), "either"), ("b", floats(rng, [dims[1]]), "either")], {"num_groups": groups, "epsilon": 1e-3}, 21,
                    relative=1e-3, absolute=1e-4)
    c = [dims[1]]
    inputs = [("x", floats(rng, dims), "input"), ("s", floats(rng, c), "either"), ("b", floats(rng, c), "either")]
    if op == "BatchNormalization":
        inputs += [("m", floats(rng, c), "constant"), ("v", np.abs(floats(rng, c)) + np.float32(.1), "constant")]
    return Case(op, inputs, {"epsilon": 1e-3} if rng.random() < .7 else {}, pick(rng, 9, 14, 15) if op == "BatchNormalization" else pick(rng, 7, 13), relative=1e-3, absolute=1e-4)


@maker("LayerNormalization")
def layer_normalise(rng, op):
    dims = shape(rng, 1, 4, 7, 0)
    axis = int(rng.integers(len(dims)))
    inputs = [("x", floats(rng, dims), "input"), ("s", floats(rng, dims[axis:]), "either")]
    if rng.random() < 0.6:
        inputs.append(("b", floats(rng, dims[axis:]), "either"))
    return Case(op, inputs, {"axis": axis - (len(dims) if rng.random() < .5 else 0), "epsilon": 1e-3}, 17, relative=1e-3, absolute=1e-4)


@maker("LRN")
def lrn(rng, op):
    return Case(op, [("x", floats(rng, shape(rng, 4, 4, 9, 0)), "input")], {"size": pick(rng, 1, 3, 5), "alpha": 0.01, "beta": 0.6, "bias": 1.5}, 13, relative=1e-4, absolute=1e-5)


@maker("LpNormalization", "MeanVarianceNormalization")
def lp_normalise(rng, op):
    dims = [int(d) for d in rng.integers(2, 7, 4)] if op.startswith("Mean") else shape(rng, 1, 4, 6, 0)
    attributes = {"axis": int(rng.integers(-len(dims), len(dims))), "p": pick(rng, 1, 2)} if op == "LpNormalization" else {}
    return Case(op, [("x", floats(rng, dims), "input")], attributes, 13, relative=1e-3, absolute=1e-4)


@maker("Gemm")
def gemm(rng, op):
    m, k, n = (pick(rng, 1, 2, 5, 17, 40, 70) for _ in range(3))
    a_t, b_t = int(rng.integers(2)), int(rng.integers(2))
    c = pick(rng, None, [n], [1, n], [m, 1], [m, n], [1], [])
    attributes = {"transA": a_t, "transB": b_t}
    if rng.random() < 0.5:
        attributes |= {"alpha": 0.5, "beta": -2.0}
    return Case(op, [("a", floats(rng, [k, m] if a_t else [m, k]), "input"), ("b", floats(rng, [n, k] if b_t else [k, n]), "either"), ("c", None if c is None else floats(rng, c), "either")],
                attributes, pick(rng, 11, 13), relative=1e-4, absolute=1e-5)


@maker("MatMul")
def matmul(rng, op):
    m, k, n = (pick(rng, 1, 2, 5, 17, 40) for _ in range(3))
    lead = shape(rng, 0, 3, 4, 0.02)
    a = (lead if rng.random() < .7 else broadcast_partner(rng, lead)) + [m, k]
    b = (lead if rng.random() < .5 else broadcast_partner(rng, lead)) + [k, n]
    if rng.random() < 0.1:
        a = [k]
    elif rng.random() < 0.1:
        b = [k]
    return Case(op, [("a", floats(rng, a), "either"), ("b", floats(rng, b), "either")], opset=pick(rng, 7, 9, 13), relative=1e-4, absolute=1e-5)


@maker("Einsum")
def einsum(rng, op):
    equation = pick(rng, "ij,jk->ik", "bij,bjk->bik", "ij->ji", "ii->i", "ij->", "bhqd,bhkd->bhqk", "bhqk,bhkd->bhqd", "i,j->ij", "bij,bkj->bik", "...ij,...jk->...ik", "ijk->kji", "bqhd,bkhd->bhqk",
                    "ij,ij->ij", "ij,kj->", "ab,bc,cd->ad", "ij,jk", "bii->b")
    size = {letter: int(rng.integers(1, 6)) for letter in "abcdhijkq"}
    inputs = []
    for i, term in enumerate(equation.split("->")[0].split(",")):
        dims = ([2] if "..." in term else []) + [size[letter] for letter in term.replace(".", "")]
        inputs.append((f"x{i}", floats(rng, dims), "either"))
    return Case(op, inputs, {"equation": equation}, 12, relative=1e-4, absolute=1e-5)


@maker("LSTM", "GRU", "RNN")
def recurrent(rng, op):
    steps, batch, features, units = int(rng.integers(1, 6)), int(rng.integers(1, 4)), pick(rng, 1, 3, 8, 20), pick(rng, 1, 4, 16, 19)
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    direction = pick(rng, "forward", "reverse", "bidirectional")
    d = 2 if direction == "bidirectional" else 1
    inputs = [("x", floats(rng, [steps, batch, features]), "input"), ("w", floats(rng, [d, gates * units, features], .5), "either"), ("r", floats(rng, [d, gates * units, units], .5), "either"),
              ("b", floats(rng, [d, 2 * gates * units]) if rng.random() < .7 else None, "either"),
              ("n", whole(rng, [batch], np.int32, 1, steps) if rng.random() < .3 else None, "input"),
              ("h", floats(rng, [d, batch, units]) if rng.random() < .5 else None, "input")]
    if op == "LSTM":
        inputs.append(("c", floats(rng, [d, batch, units]) if rng.random() < .5 else None, "input"))
        inputs.append(("p", floats(rng, [d, 3 * units]) if rng.random() < .3 else None, "either"))
    attributes = {"hidden_size": units, "direction": direction}
    if op == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    if rng.random() < 0.2:
        attributes["clip"] = 1.5
    if rng.random() < 0.2:
        one = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Relu"]}[op]
        attributes["activations"] = one * d
    outputs = (True, True, True)[:3 if op == "LSTM" else 2]
    return Case(op, inputs, attributes, pick(rng, 7, 14), outputs, relative=1e-3, absolute=2e-5)


@maker("QuantizeLinear")
def quantise(rng, op):
    dims = shape(rng, 1)
    dtype = pick(rng, np.uint8, np.int8)
    axis = int(rng.integers(len(dims)))
    count = [] if rng.random() < .5 else [dims[axis]]
    opset = 13 if count else pick(rng, 10, 13)
    return Case(op, [("x", floats(rng, dims, 30), "input"), ("s", np.abs(floats(rng, count)) + np.float32(.1), "constant"), ("z", whole(rng, count, dtype, 0, 20), "constant")],
                {"axis": axis} if opset == 13 else {}, opset, steps=1)


@maker("DequantizeLinear")
def dequantise(rng, op):
    dims = shape(rng, 1)
    dtype = pick(rng, np.uint8, np.int8, np.int32)
    axis = int(rng.integers(len(dims)))
    count = [] if rng.random() < .5 else [dims[axis]]
    z = np.zeros(count, dtype) if dtype == np.int32 else whole(rng, count, dtype, 0, 20)
    return Case(op, [("x", whole(rng, dims, dtype, None if dtype != np.int32 else -1000, None if dtype != np.int32 else 1000), "input"), ("s", np.abs(floats(rng, count)) + np.float32(.1), "constant"), ("z", z, "constant")],
                {"axis": axis}, 13)


@maker("DynamicQuantizeLinear")
def dynamic_quantise(rng, op):
    return Case(op, [("x", floats(rng, shape(rng, 1, empty=0), 30), "input")], opset=11, outputs=(True, True, True), steps=1)


@maker("MatMulInteger")
def matmul_integer(rng, op):
    m, k, n = (pick(rng, 1, 2, 5, 17, 40) for _ in range(3))
    dtype = pick(rng, np.uint8, np.int8)
    return Case(op, [("a", whole(rng, [m, k], np.uint8), "input"), ("b", whole(rng, [k, n], dtype), "either"), ("az", whole(rng, [], np.uint8), "constant"), ("bz", np.zeros([], dtype), "constant")], opset=10)


@maker("ConvInteger")
def conv_integer(rng, op):
    inputs, outputs, kernel = int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    return Case(op, [("x", whole(rng, [int(rng.integers(1, 3)), inputs, 7, 6], np.uint8), "input"), ("w", whole(rng, [outputs, inputs, kernel, kernel], np.uint8), "either"),
                     ("xz", whole(rng, [], np.uint8), "constant"), ("wz", whole(rng, [], np.uint8), "constant")], {"pads": [kernel // 2] * 4, "strides": [pick(rng, 1, 2)] * 2}, 10)


@maker("QLinearMatMul")
def qlinear_matmul(rng, op):
    m, k, n = (pick(rng, 1, 2, 5, 17, 40) for _ in range(3))
    s = lambda v: np.array(v, np.float32)
    return Case(op, [("a", whole(rng, [m, k], np.uint8), "input"), ("as", s(.02), "constant"), ("az", whole(rng, [], np.uint8), "constant"), ("b", whole(rng, [k, n], np.uint8), "either"), ("bs", s(.03), "constant"),
                     ("bz", whole(rng, [], np.uint8), "constant"), ("ys", s(.2), "constant"), ("yz", whole(rng, [], np.uint8), "constant")], opset=10, steps=1)


@maker("QLinearConv")
def qlinear_conv(rng, op):
    inputs, outputs, kernel = int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    s = lambda v: np.array(v, np.float32)
    return Case(op, [("x", whole(rng, [2, inputs, 7, 6], np.uint8), "input"), ("xs", s(.02), "constant"), ("xz", whole(rng, [], np.uint8), "constant"), ("w", whole(rng, [outputs, inputs, kernel, kernel], np.uint8), "constant"),
                     ("ws", s(.03), "constant"), ("wz", whole(rng, [], np.uint8), "constant"), ("ys", s(.2), "constant"), ("yz", whole(rng, [], np.uint8), "constant"),
                     ("b", whole(rng, [outputs], np.int32, -500, 500) if rng.random() < .5 else None, "constant")], {"pads": [kernel // 2] * 4}, 10, steps=1)


@maker("Resize")
def resize(rng, op):
    dims = [int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.integers(2, 7)), int(rng.integers(2, 7))]
    mode = pick(rng, "nearest", "linear", "cubic")
    way = pick(rng, "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    attributes = {"mode": mode, "coordinate_transformation_mode": way}
    if mode == "nearest":
        attributes["nearest_mode"] = pick(rng, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": -0.75 if rng.random() < .5 else -0.5, "exclude_outside": int(rng.integers(2))}
    opset = pick(rng, 11, 13, 18)
    inputs = [("x", floats(rng, dims), "input"), ("roi", np.array([], np.float32) if opset == 11 else None, "constant")]
    if rng.random() < 0.5:
        inputs.append(("scales", np.array([1, 1, pick(rng, 0.5, 1.5, 2, 3), pick(rng, 0.6, 2, 2.5)], np.float32), "constant"))
    else:
        inputs += [("scales", np.array([], np.float32) if opset == 11 else None, "constant"), ("sizes", np.array(dims[:2] + [int(i) for i in rng.integers(1, 12, 2)], np.int64), "constant")]
    return Case(op, inputs, attributes, opset, relative=1e-4, absolute=1e-5)


@maker("Upsample")
def upsample(rng, op):
    return Case(op, [("x", floats(rng, shape(rng, 4, 4, 5, 0)), "input"), ("scales", np.array([1, 1, pick(rng, 1, 2, 3), pick(rng, 1, 1.5, 2)], np.float32), "constant")], {"mode": pick(rng, "nearest", "linear")}, 9,
                relative=1e-4, absolute=1e-5)
