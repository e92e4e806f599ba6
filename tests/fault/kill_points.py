"""Kills gyrd at its write points: before, or in the middle of, the n-th change to the disk that a call makes, for every call that changes the state.

What was acknowledged is there afterwards; what was not is there wholly or not at all; everything else is as it was; and the next start is clean.

    kill_points.py BUILD [RUNS [SEED]]
"""
import os
import random
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "disk"))
from disk import KILL, TEAR, Calls, DiskGyrd, lasting, retired


def measure(gyrd, calls):
    """How many changes to the disk each call makes."""
    points = {}
    for name in calls.NAMES:
        words = calls.words(name)
        gyrd.arm()
        gyrd.ctl(*words)
        points[name] = gyrd.seen()
        assert points[name] > 0, name
    return points


# How many facts each call takes away, and adds, at most.
CHANGES = {"import": (0, 2), "remove": (2, 0), "gc": (0, 0), "set": (1, 1), "load": (1, 1), "unload": (1, 1), "promote": (2, 2), "label": (2, 2)}


def one_run(gyrd, calls, name, at, mode):
    words = calls.words(name)
    before = lasting(gyrd.facts())
    gyrd.arm(mode, at)
    status, output, said = gyrd.try_ctl(*words)
    gyrd.arm()
    died = status != 0 or gyrd.daemon.poll() is not None
    if died:
        assert gyrd.ended(said) == -signal.SIGKILL
        found = lasting(gyrd.facts())  # every byte of it is checked
        gyrd.settle()
    after = lasting(gyrd.facts())
    assert all(label["intended"] == 0 for model in gyrd.json("model", "list") for label in model["labels"])
    lost, came = before - after, after - before
    if name in ("promote", "label"):
        lost, came = (facts - gone for facts, gone in zip((lost, came), retired(lost, came)))
    assert len(lost) <= CHANGES[name][0] and len(came) <= CHANGES[name][1], (name, at, lost, came)
    if died:
        assert before & after <= found <= before | after, (name, at, found ^ before)
    if status == 0 and name == "gc":
        assert not (gyrd.state / "blobs" / "0").exists()
    elif status == 0:
        assert came or lost, (name, at, "was acknowledged, and is not there")
    if status == 0 and name == "import":
        assert any(fact.startswith(f"version net {output.split()[2].rstrip(',')} ") for fact in came), (output, came)
    return died


def main():
    build = sys.argv[1]
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 1000 if os.environ.get("GYR_LONG") else 40
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    gyrd = DiskGyrd(build)
    try:
        gyrd.settle()
        calls = Calls(gyrd)
        calls.setup()
        points = measure(gyrd, calls)
        places = [(name, at, mode) for name in calls.NAMES for at in range(1, points[name] + 1) for mode in (KILL, TEAR)]
        todo = []
        while len(todo) < runs:
            chance.shuffle(places)
            todo += places
        died = sum(one_run(gyrd, calls, *place) for place in todo[:runs])
        gyrd.stop()
    finally:
        gyrd.close()
    print(f"{runs} runs at {len(places)} places ({points}): gyrd died {died} times")
    assert died > runs * 9 // 10, "too few runs were cut short to mean anything"


if __name__ == "__main__":
    main()
