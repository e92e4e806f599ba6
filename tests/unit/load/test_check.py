#!/usr/bin/env python3
"""What gyr-load says of answers: against the outputs of a file, and against what the same version said before.

    test_check.py GYR-LOAD
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy

from responder import LOAD, expect, has, load

PATIENT = ["--timeout-ms", "5000"]
ROWS = 20


def answer(message, values, version=1):
    return [[1, 2, message[2], version, [numpy.asarray(values, "<f4").tobytes()]]]


def doubled(message):
    return numpy.frombuffer(message[6][0], "<f4") * 2


def test_outputs(folder):
    inputs, outputs = folder / "in.npy", folder / "out.npy"
    x = numpy.arange(ROWS * 6, dtype="<f4").reshape(ROWS, 2, 3)
    numpy.save(inputs, x)
    numpy.save(outputs, x * 2)
    files = ["--inputs", inputs, "--outputs", outputs, *PATIENT]
    status, figures, _ = load(lambda n, m: answer(m, doubled(m)), *files)
    expect("exit status", status, 0)
    has(figures, asked=ROWS, answered=ROWS, wrong=0, tensor_bytes=24)
    # Off by 5e-5 of each is within 1e-4; by 1e-3 is not, nor is one that is too short.
    status, figures, _ = load(lambda n, m: answer(m, doubled(m) * (1 + 5e-5)), *files)
    has(figures, wrong=0)
    status, figures, _ = load(lambda n, m: answer(m, doubled(m) * (1 + 5e-5)), *files, "--tolerance", 0)
    has(figures, wrong=ROWS)
    status, figures, _ = load(lambda n, m: answer(m, (doubled(m) * 1.001)[: 6 if n % 2 else 5]), *files)
    expect("exit status", status, 1)
    has(figures, answered=ROWS, wrong=ROWS)
    # Whole numbers are compared exactly; NaN is only NaN.
    numpy.save(outputs, (x * 2).astype("<i4"))
    status, figures, _ = load(lambda n, m: [[1, 2, m[2], 1, [doubled(m).astype("<i4").tobytes()]]], *files)
    has(figures, wrong=0)
    status, figures, _ = load(lambda n, m: [[1, 2, m[2], 1, [(doubled(m).astype("<i4") + (n == 3)).tobytes()]]], *files)
    has(figures, wrong=1)
    numpy.save(outputs, numpy.full((ROWS, 6), numpy.nan, "<f4"))
    status, figures, _ = load(lambda n, m: answer(m, doubled(m) if n == 5 else doubled(m) * numpy.nan), *files)
    has(figures, wrong=1)
    # Twice as many: odd versions by the second half. A version that is held against the other's half is wrong.
    numpy.save(outputs, numpy.concatenate([x * 2, x * 3]))
    right = lambda m, version: answer(m, doubled(m) * (1.5 if version % 2 else 1), version)
    status, figures, _ = load(lambda n, m: right(m, 1 + n // 4), *files)
    expect("exit status", status, 0)
    has(figures, answered=ROWS, wrong=0, went_back=0)
    status, figures, _ = load(lambda n, m: answer(m, doubled(m), 1 + n // 4), *files)
    has(figures, answered=ROWS, wrong=sum((1 + n // 4) % 2 for n in range(1, ROWS + 1)))
    # One that goes back once is counted for each answer by it.
    status, figures, _ = load(lambda n, m: right(m, 3 if n in (7, 9) else 4 if n > 4 else 2), *files)
    has(figures, answered=ROWS, wrong=0, went_back=2)
    for what, array in {"rows": x[1:], "order": numpy.asfortranarray(x), "type": x.astype(">f4"), "scalar": numpy.float32(1)}.items():
        numpy.save(outputs, array)
        run = subprocess.run([LOAD, "--inputs", inputs, "--outputs", outputs], capture_output=True, text=True, timeout=60)
        expect(f"exit status of another {what}", run.returncode, 1)
        expect(f"{what}: the file is named in {run.stderr}", str(outputs) in run.stderr, True)
    for broken in (b"", b"\x93NUMPY\1\0", inputs.read_bytes()[:-1], inputs.read_bytes()[:40]):
        outputs.write_bytes(broken)
        run = subprocess.run([LOAD, "--inputs", outputs], capture_output=True, text=True, timeout=60)
        expect("exit status", run.returncode, 1)
        expect("the file is named", str(outputs) in run.stderr, True)


def test_same():
    checked = ["--check", "--count", 500, "--tensor-bytes", 16, *PATIENT]
    status, figures, _ = load(lambda n, m: answer(m, doubled(m)), *checked)
    expect("exit status", status, 0)
    has(figures, answered=500, wrong=0)
    # Another version may say another thing; the same may not, not even a little, unless that is allowed.
    status, figures, _ = load(lambda n, m: answer(m, doubled(m) * (1 + n % 2), 1 + n % 2), *checked)
    has(figures, wrong=0)
    status, figures, _ = load(lambda n, m: answer(m, doubled(m) + (1e-6 if n == 300 else 0)), *checked)
    expect("exit status", status, 1)
    has(figures, answered=500, wrong=1)
    status, figures, _ = load(lambda n, m: answer(m, doubled(m) + (1e-6 if n == 300 else 0)), *checked, "--tolerance", 1e-5)
    has(figures, wrong=0)


    # All outputs count, and how many there are.
    def two(number, message, end):
        return [[1, 2, message[2], 1, [b"1234", *([b"5678"] if number < end else [b"567_"])]]]

    status, figures, _ = load(lambda n, m: two(n, m, 1000), *checked)
    has(figures, answered=500, wrong=0)
    status, figures, _ = load(lambda n, m: two(n, m, 500), *checked)
    expect("exit status", status, 1)
    has(figures, answered=500, wrong=1)
    status, figures, _ = load(lambda n, m: [[1, 2, m[2], 1, [b"1234"] * (1 + (n < 500))]], *checked)
    has(figures, answered=500, wrong=1)


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_outputs(pathlib.Path(folder))
    test_same()


if __name__ == "__main__":
    sys.exit(main())
