"""The shim (shim.c) from a test's side: gyrd on a disk that fails, and what a power cut leaves of what it wrote."""
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
        path = self.folder / "control"
        path.write_bytes(bytes(24))
        with open(path, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 24)
        self.log_path = self.folder / "disk.log"
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
        """What registries say, after all of them was checked: a set of lines for each folder. What opening changes is changed there."""
        result = subprocess.run([self.build / "tests/fault/registry-state", *folders], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{result.stdout}{result.stderr}"
        return [set(part.splitlines()) for part in result.stdout.split(".\n")[:-1]]

    def facts(self):
        """What is on the disk now says; looked at in a copy, while nothing is under way."""
        if self.daemon:
            self.wait_settled()
        copy = self.folder / "copy"
        shutil.copytree(self.state, copy)
        [found] = self.facts_of([copy])
        shutil.rmtree(copy)
        return found

    def settle(self):
        self.start()
        self.wait_settled()


def lasting(facts):
    """Without what is not an operator's: intentions, and the audit's length."""
    return {fact for fact in facts if not fact.startswith(("intended", "audit")) and not (fact.startswith("label") and fact.endswith(" 0"))}


def retired(lost, came):
    """Versions that are kept warm no longer since another was promoted: their facts before, and after."""
    before = {fact for fact in lost if fact.startswith("wanted") and fact[:-1] + "0" in came}
    return before, {fact[:-1] + "0" for fact in before}


class Calls:
    """Every call that changes the state, again and again, each with what it needs made before."""

    NAMES = ("import", "promote", "label", "load", "unload", "set", "remove", "gc")

    def __init__(self, gyrd):
        self.gyrd, self.salt = gyrd, 0

    def new_bundle(self):
        self.salt += 1
        return ["model", "import", "net", self.gyrd.bundle("new", salt=float(self.salt))]

    def setup(self):
        for words in (self.new_bundle(), self.new_bundle(), ["promote", "net", 1], ["model", "set", "net", "weight=1000"]):
            self.gyrd.ctl(*words)

    def versions(self):
        """Those that no label points at: number -> whether it is loaded; and where "stable" points."""
        [model] = self.gyrd.json("model", "list")
        pointed = {label["label"]: label["version"] for label in model["labels"]}
        return {v["version"]: v["state"] != "stored" for v in model["versions"] if v["version"] not in pointed.values()}, pointed

    def some(self, loaded):
        """A version that no label points at, and that is loaded or not."""
        free, _ = self.versions()
        number = next((number for number, is_loaded in free.items() if is_loaded == loaded), None)
        if number is None:
            number = self.some(False) if loaded else int(self.gyrd.ctl(*self.new_bundle()).stdout.split()[2])
            if loaded:
                self.gyrd.ctl("load", "net", number)
        return number

    def words(self, name):
        """Brings about what NAME needs; the call's words."""
        if name == "import":
            return self.new_bundle()
        if name == "set":
            self.salt += 1
            return ["model", "set", "net", f"weight={self.salt % 999 + 1}"]
        if name == "gc":
            (self.gyrd.state / "blobs" / "0").write_bytes(b"x" * 5000)
            return ["gc", "--yes"]
        if name in ("promote", "label"):
            return ["promote", "net", self.some(self.salt % 2 == 1), "--label", "stable" if name == "promote" else "other"]
        return {"load": ["load"], "unload": ["unload"], "remove": ["model", "remove"]}[name] + ["net", self.some(name == "unload")]


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
