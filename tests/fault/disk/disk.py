"""The shim (shim.c) from a test's side: gyrd on a disk that fails, and what a power cut leaves of what it wrote."""
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit/control"))
from harness import Gyrd

WRITE, SYNC, NAME = 1, 2, 4
COUNT, KILL, TEAR, FAIL, FULL = range(5)
GAVE_UP = 74  # what gyrd exits with after a failed sync


class DiskGyrd(Gyrd):
    """A gyrd whose state lies on a disk of ours."""

    def __init__(self, build, log=False):
        super().__init__(build)
        self.options = ["--set", "gyrd.follow_interval_s=1"]  # one folder a look: those that come after one that cannot be imported wait for the next
        path = self.folder / "control"
        path.write_bytes(bytes(24))
        with open(path, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 24)
        self.log_path = self.folder / "disk.log"
        self.trainings = 0  # that the test has begun and lets run
        self.environment = {"LD_PRELOAD": str(self.build / "tests/fault/libgyr-test-disk.so"), "GYR_DISK_DIR": str(self.state), "GYR_DISK_CONTROL": str(path)}
        if log:
            self.environment["GYR_DISK_LOG"] = str(self.log_path)

    def command(self, ready=None):
        return ["env", *(f"{name}={value}" for name, value in self.environment.items()), *super().command(ready)]

    def arm(self, mode=COUNT, at=0, error=0, kinds=WRITE | SYNC | NAME):
        self.control[:] = struct.pack("6I", mode, at, error, kinds, 0, 0)

    def seen(self):
        return struct.unpack("6I", self.control[:])[4]

    def acted(self):
        return struct.unpack("6I", self.control[:])[5]

    def try_ctl(self, *words):
        result = subprocess.run(self.ctl_command(*words), capture_output=True, text=True, timeout=90)
        return result.returncode, result.stdout, result.stderr

    def ended(self, said):
        """Waits for its end; the status. SAID is what the call was told, for when it does not come."""
        self.wait_until(f"gyrd's end; the call was told: {said}", lambda: self.daemon.poll() is not None)
        status, self.daemon = self.daemon.returncode, None
        return status

    def facts_of(self, folders):
        """What registries say, after all of them was checked, and what is followed: a set of lines for each folder. What opening changes is changed there."""
        result = subprocess.run([self.build / "tests/fault/registry-state", *folders], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{result.stdout}{result.stderr}"
        return [set(part.splitlines()) | follows_in(folder) for folder, part in zip(folders, result.stdout.split(".\n"))]

    def facts(self):
        """What is on the disk now says; looked at in a copy, while nothing is under way."""
        if self.daemon and self.plane.may_load.is_set():
            self.wait_settled()
        copy = self.folder / "copy"
        shutil.copytree(self.state, copy)
        [found] = self.facts_of([copy])
        shutil.rmtree(copy)
        return found

    def is_quiet(self):
        """Nothing goes on but what the test has left to go on, and the data plane is as the registry says."""
        status, output, _ = self.try_ctl("status", "--json")
        seen = json.loads(output) if status == 0 else None
        return seen is not None and seen["gyrd"]["jobs"] == self.trainings and seen["dataplane"]["settled"]

    def wait_settled(self):
        self.wait_until("the end of all that goes on", self.is_quiet)

    def settle(self):
        self.start()
        self.wait_settled()

    def workers(self):
        """The processes that gyr-worker runs in for this gyrd."""
        found, ours = [], f"{self.state}/jobs/".encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += [path.parent.name] if ours in path.read_bytes() else []
            except OSError:
                pass  # it has ended
        return found


def follows_in(folder):
    """What STATE_DIR/follows says, as facts."""
    path = Path(folder) / "follows"
    return follow_facts(json.loads(path.read_text())) if path.exists() else set()


def follow_facts(follows):
    """FOLLOWS is what that file holds, or what the call model.follows answers."""
    facts = {f"follow {f['model']} {f['path']} {f['versions']} {f['promote']}" for f in follows}
    for follow in follows:
        pairs = [(row[0], row[3]) for row in follow["done"]] if "done" in follow else [(row["source"], row["version"]) for row in follow["followed"]]
        facts |= {f"followed {follow['model']} {source} as {number}" for source, number in pairs}
    return facts


def lasting(facts):
    """Without what is not an operator's: intentions, and the audit's length."""
    return {fact for fact in facts if not fact.startswith(("intended", "audit")) and not (fact.startswith("label") and fact.endswith(" 0"))}


def retired(lost, came):
    """Versions that are kept warm no longer since another was promoted: their facts before, and after."""
    before = {fact for fact in lost if fact.startswith("wanted") and fact[:-1] + "0" in came}
    return before, {fact[:-1] + "0" for fact in before}


# --- what a power cut leaves ---

Change = namedtuple("Change", "kind path second offset size data end")
LOG_WRITE, LOG_TRUNCATE, LOG_SYNC, LOG_BIND, LOG_RENAME, LOG_UNLINK, LOG_FOLDER = range(1, 8)
HEAD = struct.Struct("4I2Q")


def read_log(path):
    data, at, changes = Path(path).read_bytes(), 0, []
    while at < len(data):
        kind, length, second_length, _, offset, size = HEAD.unpack_from(data, at)
        at += HEAD.size
        name, second = data[at:at + length].decode(), data[at + length:at + length + second_length].decode()
        at += length + second_length
        content = data[at:at + size] if kind == LOG_WRITE else b""
        at += len(content)
        changes.append(Change(kind, name, second, offset, size, content, at))
    return changes


class File:
    def __init__(self):
        self.content, self.pending = bytearray(), []  # on the disk, and not there yet

    def apply(self, kind, offset, data):
        if kind == LOG_TRUNCATE:
            del self.content[offset:]
            self.content.extend(bytes(offset - len(self.content)))
        else:
            self.content.extend(bytes(max(0, offset + len(data) - len(self.content))))
            self.content[offset:offset + len(data)] = data


class Disk:
    """Follows the changes, and knows which of them a sync has made last."""

    def __init__(self, root):
        self.root = root
        self.names, self.kept = {}, {}  # path -> File (None: a folder), as programs see it, and as it is on the disk
        self.pending = []               # changes of names that no sync of their folder has made last

    def take(self, change):
        names, path = self.names, change.path
        if change.kind in (LOG_WRITE, LOG_TRUNCATE):
            names[path].pending.append((change.kind, change.offset, change.data))
        elif change.kind == LOG_SYNC and names.get(path) is not None:
            for pending in names[path].pending:
                names[path].apply(*pending)
            names[path].pending = []
        elif change.kind == LOG_SYNC:
            for pending in [p for p in self.pending if os.path.dirname(p[1]) == path]:
                self.settle(self.kept, pending)
                self.pending.remove(pending)
        else:
            second = change.second or None
            thing = names.get(path) if change.kind == LOG_RENAME else None if change.kind in (LOG_FOLDER, LOG_UNLINK) else File()
            made = (change.kind, path, second, thing)
            self.settle(names, made)
            self.pending.append(made)
            if path == self.root:  # the folder that the test itself made the parent of
                self.settle(self.kept, self.pending.pop())

    @staticmethod
    def settle(names, made):
        kind, path, second, thing = made
        if kind == LOG_RENAME:
            names.pop(path, None)
            names[second] = thing
        elif kind == LOG_UNLINK:
            names.pop(path, None)
        else:
            names[path] = thing

    def cut(self, chance, folder):
        """Writes what a power cut now may leave into FOLDER: of what no sync has made last any part, in any order, torn anywhere."""
        kept = dict(self.kept)
        mood = chance.choice(("none", "all", "some", "some"))
        chosen = lambda: mood == "all" or (mood == "some" and chance.random() < 0.5)
        for made in self.pending:
            if chosen():
                self.settle(kept, made)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        for path, file in sorted(kept.items(), key=lambda item: item[0]):
            to = folder + path[len(self.root):]
            if file is None:
                os.makedirs(to, exist_ok=True)
                continue
            if not os.path.isdir(os.path.dirname(to)):
                continue  # its folder is not there
            left = File()
            left.content = bytearray(file.content)
            pending = [p for p in file.pending if chosen()]
            if mood == "some":
                chance.shuffle(pending)
            for kind, offset, data in pending:
                if kind == LOG_WRITE and mood == "some" and chance.random() < 0.3:
                    data = data[:chance.randrange(len(data) + 1)]
                left.apply(kind, offset, data)
            with open(to, "wb") as out:
                out.write(left.content)
