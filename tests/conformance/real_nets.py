#!/usr/bin/env python3
"""Real nets, fetched when the test runs, against ONNX Runtime: over several inputs, and over chained steps where a net has a state.

usage: real_nets.py RUN-TOOL

For each output the largest difference must be under 1e-4 of the largest number that ONNX Runtime gives; beside it stands the largest elementwise difference,
over 1e-3 of that largest number plus the element itself. Without the nets and a network to fetch them the exit status is 77.
"""
import subprocess
import sys
from pathlib import Path

import numpy as np

import engines

FETCH = Path(__file__).resolve().parents[2] / "tools/benchmark/nets/fetch.py"
BOUND = 1e-4
RNG = np.random.default_rng(1)


def speech(count, rate):
    """Something like a voice: a gliding tone with overtones, noise between."""
    t = np.arange(count) / rate
    tone = sum(np.sin(2 * np.pi * k * (120 + 40 * np.sin(3 * t)) * t) / k for k in range(1, 12))
    return (0.1 * tone * (np.sin(2 * np.pi * 2 * t) > 0) + 0.01 * RNG.standard_normal(count)).astype(np.float32)


def windows(width, rate, count):
    return list(speech(width * count, rate).reshape(count, 1, width))


def pictures(*shape, count=4):
    noise = [RNG.uniform(-1, 1, shape).astype(np.float32) for _ in range(count - 2)]
    return noise + [np.zeros(shape, np.float32), np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)]


def steps(state, rate, width, state_inputs):
    """A detector's questions: windows in turn, the state of the first, and which output is which input's next state."""
    return {"x": [{"input": window, "sr": np.array(rate, np.int64)} for window in windows(width, rate, 12)], "state": state, "next": state_inputs}


# File, dims, shapes, and the questions: a list, or chained steps.
CASES = [
    ("silero_vad_v5.onnx", ["input=1,512", "state=2,1,128"], steps({"state": (2, 1, 128)}, 16000, 512, {"state": 1})),
    ("silero_vad_v5.onnx", ["input=1,576", "state=2,1,128"], steps({"state": (2, 1, 128)}, 16000, 576, {"state": 1})),
    ("silero_vad_v5.onnx", ["input=1,256", "state=2,1,128"], steps({"state": (2, 1, 128)}, 8000, 256, {"state": 1})),
    ("silero_vad_v5.onnx", ["input=3,512", "state=2,3,128"],
     [{"input": RNG.uniform(-.3, .3, (3, 512)).astype(np.float32), "state": RNG.uniform(-1, 1, (2, 3, 128)).astype(np.float32), "sr": np.array(16000, np.int64)}]),
    ("silero_vad_legacy.onnx", ["input=1,1536", "h=2,1,64", "c=2,1,64"],
     steps({"h": (2, 1, 64), "c": (2, 1, 64)}, 16000, 1536, {"h": 1, "c": 2})),
    ("silero_vad_legacy.onnx", ["input=1,768", "h=2,1,64", "c=2,1,64"], steps({"h": (2, 1, 64), "c": (2, 1, 64)}, 8000, 768, {"h": 1, "c": 2})),
    ("ch_ppocr_mobile_v2.0_cls_infer.onnx", ["x=1,3,48,192"], [{"x": x} for x in pictures(1, 3, 48, 192, count=6)]),
    ("ch_ppocr_mobile_v2.0_cls_infer.onnx", ["x=N,3,48,192"], [{"x": x} for x in pictures(8, 3, 48, 192)]),
    ("ch_PP-OCRv4_rec_infer.onnx", ["x=1,3,48,160"], [{"x": x} for x in pictures(1, 3, 48, 160)]),
]


def chained(gyr, runtime, model, case):
    """Each engine carries its own state: errors would add up. Gives the worst differences of all steps."""
    ours = {name: np.zeros(shape, np.float32) for name, shape in case["state"].items()}
    theirs, worst = dict(ours), (0.0, 0.0)
    for question in case["x"]:
        got = gyr.run(question | ours)
        expected = runtime.answers(model, [question | theirs])
        if isinstance(expected, str):
            raise ValueError(f"ONNX Runtime: {expected}")
        for a, b in zip(got, expected[0]):
            worst = tuple(map(max, worst, engines.difference(a, b)))
        ours, theirs = ({name: answers[at] for name, at in case["next"].items()} for answers in (got, expected[0]))
    return worst


def plain(gyr, runtime, model, questions):
    expected = runtime.answers(model, questions)
    if isinstance(expected, str):
        raise ValueError(f"ONNX Runtime: {expected}")
    worst = (0.0, 0.0)
    for question, answers in zip(questions, expected):
        for a, b in zip(gyr.run(question), answers):
            worst = tuple(map(max, worst, engines.difference(a, b)))
    return worst


def main():
    fetched = subprocess.run([sys.executable, str(FETCH)], stdout=subprocess.PIPE, text=True)
    if fetched.returncode != 0:
        print(fetched.stdout.strip())
        return fetched.returncode
    folder = Path(fetched.stdout.strip())
    gyr, runtime, failed = engines.Gyr(sys.argv[1]), engines.Runtime(), 0
    for file, shapes, case in CASES:
        model = (folder / file).read_bytes()
        try:
            gyr.load(model, shapes=shapes, batch_max=8)
            worst = (chained if isinstance(case, dict) else plain)(gyr, runtime, model, case)
        except engines.Refused as refusal:
            print(f"REFUSED {file} {' '.join(shapes)}: {refusal}")
            failed += 1
            continue
        fine = worst[0] < BOUND
        failed += not fine
        print(f"{'fine' if fine else 'WRONG'} {file} {' '.join(shapes)}: {worst[0]:.1e} of the largest (under {BOUND:g}), elementwise {worst[1]:.1e}")
    runtime.close()
    if gyr.close() != 0:
        print("the tool did not end well")
        failed += 1
    print(f"{len(CASES) - failed} of {len(CASES)} nets as ONNX Runtime")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
