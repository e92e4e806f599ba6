"""Kills gyrd at its write points: before, or in the middle of, the n-th change to the disk that a call makes, for every call that changes the state.

What was acknowledged is there afterwards; what was not is there wholly or not at all; everything else is as it was; no worker goes on; and the next start is clean.

    kill_points.py BUILD [RUNS [SEED]]
"""
import collections
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "disk"))
from calls import CHANGES, Calls
from disk import KILL, TEAR, DiskGyrd, follow_facts, follows_in, lasting, retired

TRAINS_EVERY = 8  # of that many runs, during one a training goes on


def measure(gyrd, calls):
    """How many changes to the disk each call makes."""
    points = {}
    for name in calls.NAMES + calls.LATER:
        words = calls.words(name)
        gyrd.arm()
        status, _, said = calls.make(name, words)
        points[name] = gyrd.seen()
        assert status == 0 and points[name] > 0, (name, said)
    calls.some(False)
    gyrd.wait_settled()
    gyrd.arm()
    gyrd.ctl("verify")
    gyrd.ctl("model", "export", "net", calls.some(False), gyrd.folder / "exported")
    assert gyrd.seen() == 0, "a call that changes nothing writes"
    return points


def begin_training(gyrd, calls):
    """One that takes far longer than the run; its job."""
    job = gyrd.json(*calls.training("endless", 1000000), "--detach")["job"]
    gyrd.trainings = 1
    gyrd.wait_until("the worker", gyrd.workers)
    return job


def check_start(gyrd):
    """Nothing of what gyrd was doing when it was killed goes on, and the next start left nothing of it."""
    gyrd.trainings = 0
    gyrd.wait_until("the end of the workers", lambda: not gyrd.workers())
    gyrd.settle()
    assert follow_facts(gyrd.json("model", "follows")) == follows_in(gyrd.state)
    assert not [path for path in gyrd.state.rglob("*") if path.suffix == ".part" or path.name.startswith(".")], list(gyrd.state.rglob("*"))
    assert not list((gyrd.state / "jobs").iterdir())
    assert all(label["intended"] == 0 for model in gyrd.json("model", "list") for label in model["labels"])


def of_watched(facts):
    return {fact for fact in facts if fact.split()[1].split("/")[0] == "watched"}


def check_arrival(gyrd, calls, words, acknowledged, before, found):
    """What is followed appears also when gyrd was killed after it had said that it follows it: the next one goes on."""
    follow = f"follow watched {words[3]} latest:1 True"
    assert follow in found or not acknowledged
    if follow not in found:
        assert lasting(gyrd.facts()) == before
        return
    gyrd.wait_until("what is followed", lambda: calls.has_arrived() and gyrd.is_quiet())
    after = lasting(gyrd.facts())
    others = [facts - of_watched(facts) for facts in (before, found, after)]
    # What a gyrd that was killed after a promotion had not retired yet, the next one does at the next promotion, of whatever model.
    lost, came = others[1] - others[2], others[2] - others[1]
    assert others[0] == others[1] and (lost, came) == retired(lost, came), (others[0] ^ others[1], lost, came)
    [number] = [fact.split()[-1] for fact in after if fact.startswith(f"followed watched {calls.arriving} as ")]
    assert {f"wanted watched {number} 1", f"label watched/stable {number}", follow} <= after, after
    versions = [{fact for fact in facts if fact.startswith("version ")} for facts in (before, found, after)]
    assert versions[0] <= versions[1] <= versions[2] and len(versions[2] - versions[0]) == 1


def check_change(gyrd, name, at, acknowledged, output, before, found, after):
    lost, came = before - after, after - before
    if name in ("promote", "label", "rollback"):
        lost, came = (facts - gone for facts, gone in zip((lost, came), retired(lost, came)))
    assert len(lost) <= CHANGES[name][0] and len(came) <= CHANGES[name][1], (name, at, lost, came)
    assert before & after <= found <= before | after, (name, at, found ^ before)
    if not acknowledged:
        return
    if name == "gc":
        assert not (gyrd.state / "blobs" / "0").exists()
    else:
        assert came or lost, (name, at, "was acknowledged, and is not there")
    if name in ("import", "train"):
        number = re.findall(r"version (\d+)", output)[-1]
        assert any(fact.startswith(f"version {'net' if name == 'import' else 'line'} {number} ") for fact in came), (output, came)
    elif name == "folder":
        assert len(came) == 4, (at, came)


def one_run(gyrd, calls, name, at, mode, trains):
    words = calls.words(name)
    before = lasting(gyrd.facts())
    job = begin_training(gyrd, calls) if trains else None
    gyrd.arm(mode, at)
    status, output, said = calls.make(name, words)
    gyrd.arm()
    acknowledged, died = status == 0, status != 0 or gyrd.daemon.poll() is not None
    if died:
        assert gyrd.ended(said) == -signal.SIGKILL
        found = lasting(gyrd.facts())  # every byte of it is checked
        check_start(gyrd)
    elif job is not None:
        gyrd.ctl("job", "cancel", job)
        gyrd.trainings = 0
    after = lasting(gyrd.facts())
    if not died:
        found = after
    if name == "arrive":
        check_arrival(gyrd, calls, words, acknowledged, before, found)
    else:
        check_change(gyrd, name, at, acknowledged and name not in calls.LATER, output, before, found, after)
    calls.trim()
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
        places = [(name, at, mode) for name, count in points.items() for at in range(1, count + 1) for mode in (KILL, TEAR)]
        todo = []
        while len(todo) < runs:
            chance.shuffle(places)
            todo += places
        died, spent, began = collections.Counter(), [], time.monotonic()
        for run, (name, at, mode) in enumerate(todo[:runs]):
            died[name] += one_run(gyrd, calls, name, at, mode, run % TRAINS_EVERY == 0 and name != "gc")
            spent.append(time.monotonic())
        gyrd.arm()
        gyrd.stop()
        assert gyrd.seen() == 0, "the end writes"
    finally:
        gyrd.close()
    part = max(1, runs // 10)
    first, last = (spent[part - 1] - began) / part, (spent[-1] - spent[-part - 1]) / part
    print(f"{runs} runs at {len(places)} places ({points}): gyrd died {died.total()} times ({dict(died)}); a run took {first:.2f} s at first, {last:.2f} s at last")
    assert died.total() > runs * 9 // 10, "too few runs were cut short to mean anything"


if __name__ == "__main__":
    main()
