"""Gyr and ONNX Runtime, asked the same questions: each in a process of its own."""
import errno
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
          12: np.uint32, 13: np.uint64, 16: np.uint16}


class Refused(Exception):
    """Gyr does not run the model; the text says why."""


class Died(Exception):
    """Gyr ended, which no model and no question may make it do."""


class Gyr:
    """run_tool.c, asked over pipes."""

    def __init__(self, path):
        self.path = path
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def take(self, size):
        data = self.process.stdout.read(size)
        if len(data) != size:
            status = self.process.wait()
            self.start()
            raise Died(f"the process ended with {status}")
        return data

    def take_u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def take_text(self):
        return self.take(self.take_u32()).decode()

    def take_ports(self):
        ports = []
        for _ in range(self.take_u32()):
            name, dtype, rank = self.take_text(), self.take_u32(), self.take_u32()
            ports.append((name, dtype, list(struct.unpack(f"<{rank}q", self.take(8 * rank)))))
        return ports

    def give(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            self.take(1)

    def load(self, model, dims=(), shapes=(), batch_max=64, reference=False):
        """Makes MODEL (bytes) the one that run asks. Refused, with the error's name before the text."""
        words = [f"d:{d}" for d in dims] + [f"s:{s}" for s in shapes]
        data = b"L" + struct.pack("<III", reference, batch_max, len(words))
        for word in words:
            data += struct.pack("<I", len(word.encode())) + word.encode()
        self.give(data + struct.pack("<Q", len(model)) + model)
        status, text = struct.unpack("<i", self.take(4))[0], self.take_text()
        if status != 0:
            raise Refused(f"{errno.errorcode.get(-status, status)} {text}")
        self.batch_max = self.take_u32()
        self.inputs, self.outputs = self.take_ports(), self.take_ports()

    def run(self, questions):
        """The outputs, as many rows at once as the plan takes and one after the other where it takes one. QUESTIONS: arrays by name."""
        arrays = [np.asarray(questions[name], DTYPES[dtype], order="C") for name, dtype, _ in self.inputs]
        rows = 1
        for array, (_, _, dims) in zip(arrays, self.inputs):
            if dims and dims[0] == -1:
                rows = array.shape[0]
        for array, (name, _, dims) in zip(arrays, self.inputs):
            if list(array.shape) != [rows if d == -1 else d for d in dims]:
                raise ValueError(f"{name} is {array.shape}, and {dims} is asked for")
        data = b"R" + struct.pack("<I", rows)
        for array in arrays:
            data += struct.pack("<Q", array.nbytes) + array.tobytes()
        self.give(data)
        answers = []
        for _, dtype, dims in self.outputs:
            shape = [rows if d == -1 else d for d in dims]
            size = struct.unpack("<Q", self.take(8))[0]
            answers.append(np.frombuffer(self.take(size), DTYPES[dtype]).reshape(shape))
        return answers

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Runtime:
    """ONNX Runtime, one thread."""

    def __init__(self):
        self.start()

    def start(self):
        script = Path(__file__).resolve().parent / "ort_answers.py"
        self.process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def answers(self, model, questions):
        """The outputs for each of QUESTIONS (a list of arrays by name); or the text of an error."""
        pickle.dump((model, questions), self.process.stdin)
        self.process.stdin.flush()
        try:
            return pickle.load(self.process.stdout)
        except EOFError:  # some models kill it
            status = self.process.wait()
            self.start()
            return f"ONNX Runtime ended with {status}"

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def difference(got, expected):
    """(the largest difference over the largest expected number, the largest of elementwise |a-b| / (1e-3 * largest + |b|)); infinite where they do not match."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return np.inf, np.inf
    if got.size == 0:
        return 0.0, 0.0
    a, b = got.astype(np.float64), expected.astype(np.float64)
    odd = ~np.isfinite(b)
    if not np.array_equal(a[odd], b[odd], equal_nan=True) or not np.isfinite(a[~odd]).all():
        return np.inf, np.inf
    a, b = a[~odd], b[~odd]
    if a.size == 0:
        return 0.0, 0.0
    gap, largest = np.abs(a - b), np.abs(b).max()
    if gap.max() == 0:
        return 0.0, 0.0
    if largest == 0:
        return np.inf, np.inf
    return gap.max() / largest, (gap / (1e-3 * largest + np.abs(b))).max()
