"""Every call that changes the state, for tests that fail under each of them."""
import re
from pathlib import Path

KEPT = 6  # versions of a model that no label points at: where there are more, they are taken away but for two

# What the test names, and the call of gyrd's that it makes.
CALLS = {"import": "model.import", "folder": "model.import", "train": "train", "promote": "promote", "label": "promote", "rollback": "promote", "load": "load",
         "unload": "unload", "cancel": "job.cancel", "set": "model.set", "follow": "model.follow", "unfollow": "model.unfollow", "arrive": "model.follow",
         "remove": "model.remove", "gc": "gc"}
# Only operators may make these, and nothing of gyrd's changes by them: a version is written to the caller's file; all is read; gyrd ends.
CHANGELESS = {"model.export", "verify", "stop"}
# How many facts each call takes away, and adds, at most.
CHANGES = {"import": (0, 2), "folder": (0, 4), "train": (0, 2), "promote": (2, 2), "label": (2, 2), "rollback": (2, 2), "load": (1, 1), "unload": (1, 1), "cancel": (1, 1),
           "set": (1, 1), "follow": (1, 1), "unfollow": (1, 0), "remove": (2, 0), "gc": (0, 0)}
LABELS = 4
LATEST_MAX = 64  # that gyrd takes of "latest:N"


def check_complete():
    """No call that an operator may make, and a viewer may not, is forgotten here."""
    table = (Path(__file__).parents[3] / "control/calls.c").read_text()
    guarded = set(re.findall(r'^\t\{"([a-z.]+)", true, ', table, re.MULTILINE))
    assert guarded == set(CALLS.values()) | CHANGELESS, guarded ^ (set(CALLS.values()) | CHANGELESS)


class Calls:
    """Makes the calls again and again, each with what it needs made before."""

    # Their effects are there when they are acknowledged; those of LATER come after it.
    NAMES = tuple(name for name in CALLS if name not in ("cancel", "arrive"))
    LATER = ("cancel", "arrive")

    def __init__(self, gyrd):
        self.gyrd, self.salt, self.latest = gyrd, 0, 0
        self.arriving = 0  # the number in its folder of the version that shall appear
        check_complete()
        (gyrd.folder / "data.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(200)))
        (gyrd.folder / "targets.csv").write_text("t\n" + "".join(f"{i % 7 - i % 5}\n" for i in range(200)))
        (gyrd.folder / "broken/1").mkdir(parents=True)
        (gyrd.folder / "broken/1/model.onnx").write_text("this is no model")

    def new_salt(self):
        self.salt += 1
        return self.salt

    def new_bundle(self):
        return ["model", "import", "net", self.gyrd.bundle("new", salt=float(self.new_salt()))]

    def new_folder(self, count):
        """A folder of COUNT versions, and the number that the last has there."""
        folder = self.gyrd.folder / f"folder-{self.salt}"
        for _ in range(count):
            (folder / str(self.new_salt())).mkdir(parents=True)
            self.gyrd.bundle(f"{folder.name}/{self.salt}/model.onnx", salt=float(self.salt))
        return folder

    def training(self, model, epochs):
        return ["train", model, "--data", self.gyrd.folder / "data.csv", "--targets", self.gyrd.folder / "targets.csv", "--sizes", "2-2-1", "--loss", "mse",
                "--epochs", epochs, "--rate", "0.01", "--seed", self.new_salt()]

    def setup(self):
        for words in (self.new_bundle(), self.new_bundle(), ["promote", "net", 1], ["model", "set", "net", "weight=1000"]):
            self.gyrd.ctl(*words)

    def versions(self, name="net"):
        """Those that no label points at: number -> whether it is loaded; and where the labels point."""
        [model] = [model for model in self.gyrd.json("model", "list") if model["model"] == name]
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
        gyrd, folder = self.gyrd, self.gyrd.folder
        if name == "import":
            return self.new_bundle()
        if name == "folder":
            return ["model", "import", "net", self.new_folder(2)]
        if name == "train":
            return self.training("line", 1)
        if name == "set":
            return ["model", "set", "net", f"weight={self.new_salt() % 999 + 1}"]
        if name == "gc":
            gyrd.wait_settled()  # it is refused while there are jobs
            gyrd.ctl("gc", "--yes")
            (gyrd.state / "blobs" / "0").write_bytes(b"x" * 5000)
            return ["gc", "--yes"]
        if name in ("promote", "label"):
            return ["promote", "net", self.some(self.salt % 2 == 1), "--label", "stable" if name == "promote" else f"label-{self.salt % LABELS}"]
        if name == "rollback":
            _, pointed = self.versions()
            gyrd.ctl("promote", "net", self.some(False))
            return ["promote", "net", pointed["stable"]]
        if name == "cancel":
            number = self.some(False)
            gyrd.plane.load_begun.clear()
            gyrd.plane.may_load.clear()
            job = gyrd.json("load", "net", number, "--detach")["job"]
            assert gyrd.plane.load_begun.wait(20)
            return ["job", "cancel", job]
        if name == "follow":
            self.latest = self.latest % LATEST_MAX + 1  # another than the last time
            return ["model", "follow", "broken", folder / "broken", "--versions", f"latest:{self.latest}"]
        if name == "unfollow":
            gyrd.ctl(*self.words("follow"))
            return ["model", "unfollow", "broken"]
        if name == "arrive":
            followed = self.new_folder(1)
            self.arriving = self.salt
            return ["model", "follow", "watched", followed, "--promote"]
        return {"load": ["load"], "unload": ["unload"], "remove": ["model", "remove"]}[name] + ["net", self.some(name == "unload")]

    def make(self, name, words):
        """Makes the call, and waits for what comes of it later; the call's status and what it said."""
        gyrd = self.gyrd
        result = gyrd.try_ctl(*words)
        gyrd.plane.may_load.set()
        if result[0] == 0 and name in self.LATER:
            gyrd.wait_until("what follows the call", lambda: gyrd.daemon.poll() is not None or (name != "arrive" or self.has_arrived()) and gyrd.is_quiet())
        return result

    def has_arrived(self):
        status, output, _ = self.gyrd.try_ctl("model", "follows", "--json")
        return status == 0 and f'"source":{self.arriving},' in output

    def trim(self):
        """Keeps the state small, so that the thousandth run costs what the first did."""
        gyrd, trimmed = self.gyrd, False
        for model in [model["model"] for model in gyrd.json("model", "list")]:
            free, _ = self.versions(model)
            if len(free) <= KEPT:
                continue
            for number in sorted(free)[:-2]:
                if free[number]:
                    gyrd.ctl("unload", model, number)
                gyrd.ctl("model", "remove", model, number)
            trimmed = True
        if trimmed:
            gyrd.wait_settled()
            gyrd.ctl("gc", "--yes")
