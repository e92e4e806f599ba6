"""Kills gyrd with SIGKILL in the middle of imports and promotions, again and again, and looks at what is left.

What gyrctl had reported as done is there at the next start, whole; what it had not is there wholly or not at all; versions count on; and the data plane ends up
as the registry says.

    kill_gyrd.py BUILD [RUNS [SEED]]
"""
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/control"))
from harness import Gyrd


class Checker:
    def __init__(self, gyrd):
        self.gyrd = gyrd
        self.content = {}   # of each version that was acknowledged: the bytes of its bundle
        self.promoted = []  # the versions that the label may point at: the last that was acknowledged, and those begun since
        self.highest = 0

    def check(self):
        gyrd = self.gyrd
        gyrd.start()
        gyrd.wait_settled()
        models = gyrd.json("model", "list")
        versions = {v["version"]: v for m in models if m["model"] == "net" for v in m["versions"]}
        labels = {label["label"]: label for m in models if m["model"] == "net" for label in m["labels"]}
        # Nothing that was acknowledged is lost, and what was not is whole.
        for number in self.content:
            assert number in versions, f"version {number} was acknowledged and is gone"
        assert sorted(versions) == list(range(1, len(versions) + 1)), f"versions {sorted(versions)}"
        assert len(versions) >= self.highest
        self.highest = len(versions)
        out = gyrd.folder / "out"
        for number, version in versions.items():
            gyrd.ctl("model", "export", "net", number, out)
            assert number not in self.content or out.read_bytes() == self.content[number], f"version {number} has another content"
            assert gyrd.json("model", "import", "net", out)["version"] == number, f"version {number} is no whole bundle"
        # The blobs are those of the versions and no others, once what no version names is freed; no job left anything.
        gyrd.ctl("gc", "--yes")
        assert gyrd.json("verify")["fault_count"] == 0
        assert sorted(v["id"] for m in models for v in m["versions"]) == sorted(os.listdir(gyrd.state / "blobs"))
        assert os.listdir(gyrd.state / "jobs") == []
        database = sqlite3.connect(f"file:{gyrd.state}/registry.db?mode=ro", uri=True)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.close()
        # The label is where it was acknowledged to be or where it was being moved to, and the data plane goes by it.
        if labels:
            stable = labels["stable"]
            assert stable["intended"] == 0
            assert stable["version"] in self.promoted, f"stable points at {stable['version']}, and not at one of {self.promoted}"
            assert gyrd.plane.labels["net"] == {"stable": stable["version"]}
            assert ("net", stable["version"]) in gyrd.plane.versions
            self.promoted = [stable["version"]]
        else:
            assert not self.promoted or self.promoted[0] is None
        return sorted(versions)


def measure(gyrd):
    """How long an import, and a promotion, takes here when nothing is killed: the ranges in which death falls."""
    gyrd.start()
    path = gyrd.bundle("measured", salt=-1.0)
    started = time.monotonic()
    gyrd.ctl("model", "import", "other", path)
    imported = time.monotonic()
    gyrd.ctl("promote", "other", 1)
    promoted = time.monotonic()
    gyrd.stop()
    return imported - started, promoted - imported


def one_run(checker, chance, number, import_s, promote_s):
    """Looks at what is there, begins an import or a promotion, and kills gyrd somewhere within."""
    gyrd = checker.gyrd
    known = checker.check()
    importing = len(known) < 2 or chance.random() < 0.5
    if importing:
        path = gyrd.bundle("new", salt=float(number + 1))
        words = ["model", "import", "net", path]
    else:
        target = chance.choice(known)
        if not checker.promoted:
            checker.promoted = [None]
        checker.promoted.append(target)
        words = ["promote", "net", target]
    child = subprocess.Popen(gyrd.ctl_command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(chance.uniform(0, import_s if importing else promote_s))  # the moment of death, which is what is varied
    gyrd.kill()
    output, _ = child.communicate(timeout=20)
    if child.returncode != 0:
        return "cut"
    if importing:
        version = int(output.split()[2].rstrip(","))
        checker.content[version] = path.read_bytes()
    else:
        checker.promoted = [target]
    return "done"


def main():
    build, runs, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000 if os.environ.get("GYR_LONG") else 30, int(sys.argv[3]) if len(sys.argv) > 3 else 1
    chance = random.Random(seed)
    gyrd = Gyrd(build)
    try:
        times = measure(gyrd)
        checker = Checker(gyrd)
        outcomes = [one_run(checker, chance, number, *times) for number in range(runs)]
        versions = checker.check()
        gyrd.stop()
    finally:
        gyrd.close()
    print(f"{runs} runs, seed {seed}: {outcomes.count('cut')} cut short, {outcomes.count('done')} done before, {len(versions)} versions")
    assert outcomes.count("cut") > runs // 10, "too few runs were cut short to mean anything"


if __name__ == "__main__":
    main()
