#!/usr/bin/env python3
"""Holds docs/BUNDLE.md and docs/OPERATORS.md against the code, and OPERATORS.md against ONNX's own schemas.

The reader that BUNDLE.md shows is run as it stands there, on a bundle that the C code wrote; OPERATORS.md must be what the operators program prints.

usage: check_documents.py DOCS-FOLDER SAMPLE-BUNDLE-PROGRAM OPERATORS-PROGRAM
"""
import os
import re
import subprocess
import sys
import tempfile

import onnx.defs

TYPES = {"f32": "float", "f64": "double", "f16": "float16", "bf16": "bfloat16", "bool": "bool", **{f"i{n}": f"int{n}" for n in (8, 16, 32, 64)},
         **{f"u{n}": f"uint{n}" for n in (8, 16, 32, 64)}}

EXPECTED = """\
sample, opset 13
tensor by f32 [] at 8192, 4 bytes
tensor w f32 [3, 4] at 12288, 48 bytes
tensor b f32 [3] at 16384, 12 bytes
tensor shape i64 [2] at 20480, 16 bytes
Cast x -> float
Div float by -> scaled
Gemm scaled w b -> dense
Relu dense -> relu
Reshape relu shape -> reshaped
Softmax reshaped -> y
parent: none
seed: 42
golden: 2 rows
"""


def types_at(text, opset):
    """The types that a variable has at an opset, from "f32 f64; from 13: bf16"."""
    ours = set()
    for part in text.split("; "):
        since = re.match(r"from (\d+): ", part)
        if since is None or int(since.group(1)) <= opset:
            ours |= set(part[since.end() if since else 0:].split())
    return ours


def wrong_operators(page):
    """What a row of OPERATORS.md says otherwise than ONNX's schema, for each operator and opset."""
    for full, opsets, inputs, attributes, types in re.findall(r"^\| ([\w.]+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", page, re.MULTILINE):
        if full == "operator":
            continue
        domain, _, name = full.rpartition(".")
        first, last = map(int, opsets.split(" to "))
        letters = re.search(r"\((\w+)\)", inputs).group(1)
        variables = {part[0]: part[2:] for part in types.split(" / ")}
        least, *most = re.findall(r"\d+", inputs.split(" (")[0])
        for opset in range(first, last + 1):
            schema = onnx.defs.get_schema(name, opset, domain)
            allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
            for i, one in enumerate(schema.inputs):
                strings = allowed.get(one.type_str, [one.type_str])
                theirs = {t for t in TYPES if f"tensor({TYPES[t]})" in strings}
                ours = types_at(variables[letters[min(i, len(letters) - 1)]], opset)
                if ours != theirs:
                    yield f"{name} {opset}: types of input {i} {sorted(ours ^ theirs)}"
            known = {a for a, since in re.findall(r"`(\w+)`(?: \(from (\d+)\))?", attributes) if int(since or 0) <= opset}
            if known != set(schema.attributes):
                yield f"{name} {opset}: attributes {known ^ set(schema.attributes)}"
            if int(least) != schema.min_input or ("or more" in inputs) != (schema.max_input > 1000) or \
               ("or more" not in inputs and int((most or [least])[0]) != schema.max_input):
                yield f"{name} {opset}: inputs"


def main():
    docs, sample_bundle, operators = sys.argv[1:]
    failed = 0
    with open(os.path.join(docs, "BUNDLE.md"), encoding="utf-8") as file:
        reader = re.search(r"```python\n(.*?)```", file.read(), re.DOTALL).group(1)
    with tempfile.TemporaryDirectory() as folder:
        bundle = os.path.join(folder, "sample.gyr")
        subprocess.run([sample_bundle, bundle], check=True)
        got = subprocess.run([sys.executable, "-c", reader, bundle], check=True, capture_output=True, text=True).stdout
        if got != EXPECTED:
            print("BUNDLE.md's reader says:\n" + got)
            failed += 1
        with open(bundle, "r+b") as file:
            file.seek(12288 + 5)
            file.write(b"\xff")
        if subprocess.run([sys.executable, "-c", reader, bundle], capture_output=True).returncode == 0:
            print("BUNDLE.md's reader does not notice a changed byte")
            failed += 1
    with open(os.path.join(docs, "OPERATORS.md"), encoding="utf-8") as file:
        page = file.read()
    if page != subprocess.run([operators], check=True, capture_output=True, text=True).stdout:
        print("OPERATORS.md is not what the operators program prints: write it anew")
        failed += 1
    for text in wrong_operators(page):
        print("not as ONNX has it: " + text)
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
