"""A disk that fails under gyrd, at each change that a call makes, for every call that changes the state.

sync: a sync fails. The call is not acknowledged, gyrd ends, and what is on the disk is as before the call or as after it, whole.
full: a write finds no room (once), or nothing finds room any more. The call fails and says so, gyrd serves on, and nothing has changed.

    failing_disk.py BUILD sync|full [RUNS [SEED]]
"""
import errno
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "disk"))
from calls import Calls
from disk import FAIL, FULL, GAVE_UP, NAME, SYNC, WRITE, DiskGyrd, lasting


def fail_sync(gyrd, words, at, mode):
    before = lasting(gyrd.facts())
    gyrd.arm(FAIL, at, errno.EIO, SYNC)
    status, output, said = gyrd.try_ctl(*words)
    acted = gyrd.acted()
    gyrd.arm()
    if not acted:
        return False
    assert status != 0, (words, at, "acknowledged after a failed sync", output)
    assert gyrd.ended(said) == GAVE_UP
    found = lasting(gyrd.facts())
    gyrd.settle()
    after = lasting(gyrd.facts())
    assert before & after <= found <= before | after, (words, at)
    return True


def fill_up(gyrd, words, at, mode):
    before = gyrd.facts()
    gyrd.arm(mode, at, errno.ENOSPC, WRITE | NAME)
    status, output, said = gyrd.try_ctl(*words)
    acted = gyrd.acted()
    gyrd.arm()
    if not acted:
        return False
    assert status == 1 and ("full" in said or "No space" in said), (words, at, status, said)
    assert gyrd.daemon.poll() is None
    gyrd.wait_settled()
    after = gyrd.facts()
    # What was intended and taken back again is in the audit, and nowhere else.
    assert lasting(before) == lasting(after), (words, at, before ^ after)
    assert not [name for name in os.listdir(gyrd.state / "blobs") if name.startswith(".")]
    gyrd.ctl(*words)
    return True


def main():
    build, what = sys.argv[1:3]
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 1000 if os.environ.get("GYR_LONG") else 40
    chance = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    fail, kinds, modes = (fail_sync, SYNC, (FAIL,)) if what == "sync" else (fill_up, WRITE | NAME, (FAIL, FULL))
    gyrd = DiskGyrd(build)
    try:
        gyrd.settle()
        calls = Calls(gyrd)
        calls.setup()
        points = {}
        # A folder's versions are registered one after another: those before the one that finds no room stay.
        names = [name for name in calls.NAMES if what == "sync" or name != "folder"]
        for name in names:
            words = calls.words(name)
            gyrd.arm(kinds=kinds)
            gyrd.ctl(*words)
            points[name] = gyrd.seen()
        if what == "full":
            points["gc"] = 0  # it needs no room
        places = [(name, at, mode) for name in names for at in range(1, points[name] + 1) for mode in modes]
        assert len(places) > 20, points
        todo = []
        while len(todo) < runs:
            chance.shuffle(places)
            todo += places
        failed = sum(fail(gyrd, calls.words(name), at, mode) for name, at, mode in todo[:runs])
        gyrd.stop()
    finally:
        gyrd.close()
    print(f"{what}: {runs} runs at {len(places)} places ({points}): {failed} calls failed")
    assert failed > runs // 2, "too few calls met the fault to mean anything"


if __name__ == "__main__":
    main()
