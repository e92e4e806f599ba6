"""Cuts the power: gyrd's changes to the disk are taken down while every call that changes the state is made, and from any point among them the disk is made
again as it may be found, with what no sync had made last dropped, torn or reordered, as a seed says. The registry opens there, every byte of it checks, what was
acknowledged before is in it, and nothing is there by halves.

    power_cuts.py BUILD [CUTS [SEED]]
"""
import collections
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "disk"))
from calls import Calls
from disk import Disk, DiskGyrd, lasting, read_log

BATCH = 20  # registries that one program looks at


class Recorder(DiskGyrd):
    """After each call that went well, and when all that follows from it is done: how long the log of changes is then, what must be there, and what may be."""

    def __init__(self, build):
        super().__init__(build, log=True)
        self.marks = []

    def ctl(self, *words, status=0):
        result = super().ctl(*words, status=status)
        if "list" not in words and "status" not in words:
            end, before = self.log_path.stat().st_size, self.marks[-1][2] if self.marks else set()
            facts = lasting(self.facts())
            # Which versions are kept warm is settled a moment after the answer.
            self.marks.append((end, {fact for fact in facts if not fact.startswith("wanted")}, before | facts))
            self.marks.append((self.log_path.stat().st_size, facts, facts))
        return result


def record(gyrd, rounds):
    gyrd.settle()
    calls = Calls(gyrd)
    calls.setup()
    for name in calls.NAMES * rounds:
        if name != "gc":  # it frees what the test laid there, which is not in the log; kill_points.py has it
            gyrd.ctl(*calls.words(name))
    gyrd.stop()


def look(gyrd, batch):
    for (_, at, must, may), found in zip(batch, gyrd.facts_of([folder for folder, *_ in batch])):
        found = lasting(found)
        assert must <= found, (at, "lost", must - found)
        assert found <= may, (at, "came", found - may)
    batch.clear()


def main():
    build = sys.argv[1]
    cuts = int(sys.argv[2]) if len(sys.argv) > 2 else 10000 if os.environ.get("GYR_LONG") else 300
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    gyrd = Recorder(build)
    images = tempfile.mkdtemp(prefix="gyr-test-cuts.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        record(gyrd, 3)
        changes = read_log(gyrd.log_path)
        points = collections.Counter(chance.randrange(len(changes)) for _ in range(cuts))
        disk, batch, passed, marks = Disk(str(gyrd.state)), [], 0, [(0, set(), set()), *gyrd.marks]
        for index, change in enumerate(changes):
            disk.take(change)
            while passed + 1 < len(marks) and marks[passed + 1][0] <= change.end:
                passed += 1  # that one is acknowledged by now
            (_, must, may), (_, must_next, may_next) = marks[passed], marks[min(passed + 1, len(marks) - 1)]
            for _ in range(points[index]):
                batch.append((f"{images}/{len(batch)}", index, must & must_next, may | may_next))
                disk.cut(chance, batch[-1][0])
                if len(batch) == BATCH:
                    look(gyrd, batch)
        look(gyrd, batch)
    finally:
        gyrd.close()
        shutil.rmtree(images)
    print(f"{cuts} cuts among {len(changes)} changes of {len(gyrd.marks) // 2} calls")


if __name__ == "__main__":
    main()
