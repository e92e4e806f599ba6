"""Jobs, and gyrctl as a person at a terminal meets it: what goes on without its caller, guards, dry runs, tables, colours, completion, the man page."""
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import Gyrd

BUILD = sys.argv.pop(1)


class Jobs(unittest.TestCase):
    def setUp(self):
        self.gyrd = Gyrd(BUILD)
        self.addCleanup(self.gyrd.close)
        self.gyrd.start()

    def train_words(self, epochs):
        data, targets = self.gyrd.folder / "data.csv", self.gyrd.folder / "targets.csv"
        data.write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(200)))
        targets.write_text("t\n" + "".join(f"{(i % 7) * 0.5 - (i % 5)}\n" for i in range(200)))
        return ["train", "line", "--data", data, "--targets", targets, "--sizes", "2-4-1", "--loss", "mse", "--epochs", epochs, "--rate", "0.01"]

    def state(self, job):
        return self.gyrd.json("job", "show", job)["state"]

    def workers(self):
        tasks = Path(f"/proc/{self.gyrd.daemon.pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]

    def test_a_job_outlives_its_terminal(self):
        gyrd = self.gyrd
        terminal, theirs = pty.openpty()
        # Whoever runs the tests may leave SIGHUP ignored to them.
        child = subprocess.Popen(gyrd.ctl_command(*self.train_words(60000)), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                 preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        os.close(theirs)
        self.assertIn(b"epoch", os.read(terminal, 4096))
        workers = self.workers()
        self.assertTrue(workers)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)  # or it could end before its caller has
        child.send_signal(signal.SIGHUP)  # the line is lost
        os.close(terminal)
        child.wait(20)
        self.assertEqual(self.state(1), "running")
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        followed = subprocess.run(gyrd.ctl_command("job", "follow", 1, "--json"), capture_output=True, text=True, timeout=100)
        self.assertEqual((followed.returncode, json.loads(followed.stdout.splitlines()[-1])["version"]), (0, 1), followed)
        self.assertEqual(self.state(1), "done")
        self.assertEqual(gyrd.json("job", "show", 1)["result"]["model"], "line")
        # Who comes after the end is told the same.
        self.assertEqual(gyrd.json("job", "follow", 1)["version"], 1)

    def test_cancel(self):
        gyrd = self.gyrd
        answer = gyrd.json(*self.train_words(1000000), "--detach")
        self.assertEqual(answer, {"job": 1, "kind": "train", "model": "line"})
        follower = subprocess.Popen(gyrd.ctl_command("job", "follow", 1), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("epoch ", follower.stdout.readline())
        # Interrupted, one that only follows leaves it alone.
        follower.send_signal(signal.SIGINT)
        self.assertIn("job 1 goes on", follower.communicate(timeout=20)[1])
        follower = subprocess.Popen(gyrd.ctl_command("job", "follow", 1), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("epoch ", follower.stdout.readline())
        self.assertIn("would be cancelled", gyrd.ctl("job", "cancel", 1, "--dry-run").stdout)
        self.assertEqual(self.state(1), "running")
        gyrd.ctl("job", "cancel", 1)
        self.assertIn("cancelled", follower.communicate(timeout=20)[1])
        self.assertEqual((follower.returncode, self.state(1)), (1, "cancelled"))
        gyrd.ctl("job", "cancel", 1)  # as often as one likes
        self.assertEqual(list((gyrd.state / "jobs").iterdir()), [])
        self.assertIn("no models yet", gyrd.ctl("model", "list").stdout)
        self.assertIn("no job 9", gyrd.ctl("job", "cancel", 9, status=1).stderr)
        gyrd.ctl("model", "import", "net", gyrd.bundle("first"))
        self.assertIn("ended already", gyrd.ctl("job", "cancel", 2, status=1).stderr)
        # A load ends with the unload that takes it back.
        gyrd.plane.may_load.clear()
        loading = subprocess.Popen(gyrd.ctl_command("load", "net", 1), stderr=subprocess.PIPE, text=True)
        gyrd.wait_until("the load", lambda: [job["state"] for job in gyrd.json("job", "list") if job["kind"] == "load"] == ["running"])
        gyrd.ctl("job", "cancel", 3)
        self.assertEqual(loading.wait(20), 1)
        loading.stderr.close()
        gyrd.plane.may_load.set()
        gyrd.wait_until("its end", lambda: gyrd.json("model", "show", "net")["versions"][0]["state"] == "stored")
        self.assertEqual(self.state(3), "cancelled")

    def test_a_load_tells_how_far_it_is(self):
        gyrd = self.gyrd
        bundle = gyrd.bundle("first")
        size = bundle.stat().st_size
        gyrd.ctl("model", "import", "net", bundle)
        for words in (["load", "net", 1], ["promote", "net", 1]):
            gyrd.plane.may_load.clear()
            with subprocess.Popen(gyrd.ctl_command(*words, "--json"), stdout=subprocess.PIPE, text=True) as loading:
                news = json.loads(loading.stdout.readline())
                gyrd.plane.may_load.set()
                answer = json.loads(loading.stdout.read().splitlines()[-1])
            self.assertEqual((news["kind"], news["bytes"], news["of_bytes"], answer["version"]), (words[0], size, size, 1))
            if words[0] == "load":
                gyrd.ctl("unload", "net", 1)

    def test_a_key_makes_a_call_once(self):
        gyrd = self.gyrd
        first = gyrd.json(*self.train_words(1000000), "--detach", "--key", "nightly")
        self.assertEqual(gyrd.json(*self.train_words(1000000), "--detach", "--key", "nightly"), first)
        self.assertEqual(len(gyrd.json("job", "list")), 1)
        bundle = gyrd.bundle("first")
        self.assertIn("job 1 has it", gyrd.ctl("model", "import", "line", bundle, "--key", "nightly", status=1).stderr)
        gyrd.ctl("job", "cancel", 1)
        one = gyrd.json("model", "import", "net", bundle, "--key", "k")
        self.assertEqual(gyrd.json("model", "import", "net", bundle, "--key", "k"), one)
        self.assertEqual(one["known"], False)

    def test_guards(self):
        gyrd = self.gyrd
        first, second = gyrd.bundle("first", salt=1), gyrd.bundle("second", salt=2)
        self.assertIn("newest version is 0 and not 3", gyrd.ctl("model", "import", "net", first, "--expect", 3, status=1).stderr)
        gyrd.ctl("model", "import", "net", first, "--expect", 0)
        self.assertIn("newest version is 1 and not 0", gyrd.ctl("model", "import", "net", second, "--expect", 0, status=1).stderr)
        gyrd.ctl("model", "import", "net", second, "--expect", 1)
        gyrd.ctl("promote", "net", 1, "--expect", 0)
        self.assertIn("points at version 1 and not at 2", gyrd.ctl("promote", "net", 2, "--expect", 2, status=1).stderr)
        gyrd.ctl("promote", "net", 2, "--expect", 1)
        self.assertIn("is process", gyrd.ctl("stop", "--expect", 1, status=1).stderr)
        self.assertEqual(gyrd.ctl("status").returncode, 0)

    def test_dry_runs_change_nothing(self):
        gyrd = self.gyrd
        first, wide = gyrd.bundle("first"), gyrd.bundle("wide", width=8)
        self.assertEqual(gyrd.ctl("model", "import", "net", first, "--dry-run").stdout, "net version 1 would be registered\n")
        self.assertIn("no models yet", gyrd.ctl("model", "list").stdout)
        junk = gyrd.folder / "junk"
        junk.write_bytes(b"no model")
        self.assertIn(str(junk), gyrd.ctl("model", "import", "net", junk, "--dry-run", status=1).stderr)
        gyrd.ctl("model", "import", "net", first)
        gyrd.ctl("model", "import", "net", wide)
        gyrd.ctl("promote", "net", 1)
        before = (gyrd.json("model", "show", "net"), gyrd.plane.labels, sorted(gyrd.plane.versions))
        out = gyrd.folder / "out.onnx"
        for words, said in ((["load", "net", 2], "would be loaded"), (["promote", "net", 2, "--force"], "would be promoted"), (["model", "set", "net", "weight=9"], "weight=9"),
                            (["model", "export", "net", 1, out], "would be written"), (["model", "remove", "net", 2], "would be removed"), (["stop"], "would end")):
            self.assertIn(said, gyrd.ctl(*words, "--dry-run").stdout)
        self.assertIn("would be registered", gyrd.ctl(*self.train_words(2), "--dry-run").stdout.splitlines()[-1])
        for words, said in ((["unload", "net", 1], "points at it"), (["promote", "net", 2], "--force"), (["load", "net", 7], "it has 1, 2"), (["model", "set", "net", "weight=0"], "1 to 1000"),
                            (["model", "remove", "net", 1], "unload it first")):
            self.assertIn(said, gyrd.ctl(*words, "--dry-run", status=1).stderr)
        self.assertEqual((gyrd.json("model", "show", "net"), gyrd.plane.labels, sorted(gyrd.plane.versions)), before)
        self.assertFalse(out.exists())


class Folders(unittest.TestCase):
    def setUp(self):
        self.gyrd = Gyrd(BUILD)
        self.addCleanup(self.gyrd.close)
        self.gyrd.options = ["--set", "gyrd.follow_interval_s=1"]
        self.gyrd.start()
        self.models = self.gyrd.folder / "models"
        self.models.mkdir()
        for name in ("02", "x", "readme"):
            (self.models / name).mkdir()

    def put(self, number, salt):
        """A version, moved into place whole."""
        gyrd, place = self.gyrd, self.models / str(number)
        gyrd.ctl("model", "import", "maker", gyrd.bundle("made", salt=salt))
        gyrd.ctl("model", "export", "maker", gyrd.json("model", "show", "maker")["version"], gyrd.folder / "made.onnx")
        place.mkdir(exist_ok=True)
        os.rename(gyrd.folder / "made.onnx", place / "model.onnx")

    def loaded(self, model):
        return sorted(version for name, version in self.gyrd.plane.versions if name == model)

    def test_a_folder_at_once(self):
        gyrd = self.gyrd
        for number in (3, 7, 12):
            self.put(number, number)
        answer = gyrd.json("model", "import", "net", self.models, "--versions", "latest:2")
        self.assertEqual(answer["versions"], [{"source": 7, "version": 1}, {"source": 12, "version": 2}])
        self.assertEqual(gyrd.json("model", "show", "net", 2)["lineage"]["source-version"], "12")
        self.assertEqual(gyrd.json("model", "import", "net", self.models)["versions"], [{"source": 3, "version": 3}, {"source": 7, "version": 1}, {"source": 12, "version": 2}])
        self.assertIn("net version 4, 3 in the folder", gyrd.ctl("model", "import", "net", self.models, "--versions", "3", "--dim", "N=2").stdout)
        for words, said in ((["--versions", "3,4"], "/4/model.onnx"), (["--versions", "3,x"], "latest:N"), (["--versions", "latest:0"], "1 to 64")):
            self.assertIn(said, gyrd.ctl("model", "import", "net", self.models, *words, status=1).stderr)
        self.assertIn("no version in it", gyrd.ctl("model", "import", "net", self.models / "x", status=1).stderr)
        self.assertIn("is no folder", gyrd.ctl("model", "import", "net", self.models / "3/model.onnx", "--versions", "3", status=1).stderr)
        self.assertEqual(len(gyrd.json("model", "show", "net")["versions"]), 4)

    def test_a_folder_is_followed(self):
        gyrd = self.gyrd
        for number in (1, 2, 3):
            self.put(number, number)
        self.assertIn("would follow", gyrd.ctl("model", "follow", "net", self.models, "--dry-run").stdout)
        self.assertEqual(gyrd.json("model", "follows"), [])
        gyrd.ctl("model", "follow", "net", self.models, "--versions", "latest:2", "--promote")
        gyrd.wait_until("versions 2 and 3", lambda: self.loaded("net") == [1, 2] and gyrd.plane.labels.get("net") == {"stable": 2})
        self.put(4, 4)
        gyrd.wait_until("version 4", lambda: self.loaded("net") == [2, 3] and gyrd.plane.labels.get("net") == {"stable": 3})
        [told] = gyrd.json("model", "follows")
        self.assertEqual((told["followed"], told["fault"]), ([{"source": 3, "version": 2}, {"source": 4, "version": 3}], ""))
        # The next gyrd goes on, without importing anything again.
        gyrd.stop()
        gyrd.start()
        self.put(5, 5)
        gyrd.wait_until("version 5", lambda: self.loaded("net") == [3, 4])
        self.assertEqual([job["model"] for job in gyrd.json("job", "list") if job["kind"] == "model.import"], ["net", "maker"])
        # What cannot be read is told, and changes nothing; what is mended is taken.
        (self.models / "6").mkdir()
        (self.models / "6/model.onnx").write_bytes(b"no model")
        gyrd.wait_until("the fault", lambda: "6/model.onnx" in gyrd.json("model", "follows")[0]["fault"])
        self.assertEqual(self.loaded("net"), [3, 4])
        self.put(6, 6)
        gyrd.wait_until("version 6", lambda: self.loaded("net") == [4, 5] and gyrd.json("model", "follows")[0]["fault"] == "")
        self.assertIn("6 as 5", gyrd.ctl("model", "follows").stdout)
        gyrd.ctl("model", "unfollow", "net", "--dry-run")
        self.assertEqual(len(gyrd.json("model", "follows")), 1)
        gyrd.ctl("model", "unfollow", "net")
        gyrd.ctl("model", "unfollow", "net")
        self.assertIn("no folder is followed", gyrd.ctl("model", "follows").stdout)
        self.assertEqual(self.loaded("net"), [4, 5])

    def test_a_list_that_is_damaged_is_told(self):
        gyrd = self.gyrd
        gyrd.stop()
        for text in ("no JSON", '[{"model": "net"}]'):
            (gyrd.state / "follows").write_text(text)
            refused = subprocess.run(gyrd.command(), capture_output=True, text=True, timeout=20)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("move", refused.stderr)


class Terminal(unittest.TestCase):
    def setUp(self):
        self.gyrd = Gyrd(BUILD)
        self.addCleanup(self.gyrd.close)
        self.gyrd.start()
        for number in (1, 2):
            self.gyrd.ctl("model", "import", "a-model-with-a-rather-long-name-that-fills-a-line", self.gyrd.bundle(f"{number}", salt=number))

    def on_terminal(self, columns, *words, **environment):
        """What a command prints on a terminal of so many columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        child = subprocess.Popen(self.gyrd.ctl_command(*words), stdin=theirs, stdout=theirs, env={**clean, "TERM": "xterm", **environment})
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
        os.close(ours)
        self.assertEqual(child.wait(20), 0)
        return shown.decode().replace("\r\n", "\n")

    def test_tables_fit(self):
        for columns in (60, 80, 200):
            for words in (["model", "list"], ["job", "list"]):
                lines = self.on_terminal(columns, *words, NO_COLOR="1").splitlines()
                self.assertEqual(len(lines), 3)
                self.assertLessEqual(max(map(len, lines)), columns, lines)
                self.assertEqual(any("..." in line for line in lines), columns < 120, lines)
        self.assertIn("a-model-with-a-rather-long-name-that-fills-a-line  ", self.gyrd.ctl("model", "list").stdout)

    def test_colour_only_where_it_is_wanted(self):
        self.assertIn("\033[32mdone\033[0m", self.on_terminal(200, "job", "list"))
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn("\033", self.on_terminal(200, "job", "list", **environment))
        self.assertIn("\033", self.on_terminal(200, "job", "list", NO_COLOR=""))
        self.assertNotIn("\033", self.gyrd.ctl("job", "list").stdout)

    def test_the_man_page_has_everything(self):
        page = self.gyrd.ctl("man").stdout
        plain = page.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")
        usage = self.gyrd.ctl("--help").stdout
        commands = [line[2:16].strip() for line in usage.split("\n\n")[1].splitlines()]
        self.assertIn("job follow", commands)
        for command in commands:
            self.assertIn(f".SS gyrctl {command} ", page)
            told = self.gyrd.ctl(*command.split(), "--help").stdout
            for line in told.split("\nOptions:\n")[1].splitlines():
                self.assertIn(f"\\fB{line.split()[0]}\\fR", plain, command)
        self.assertNotIn("complete AT", page)

    def complete(self, *words):
        """What bash offers for the last of WORDS, by the script that gyrctl prints."""
        script = "source <(gyrctl completion bash); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _gyrctl; printf '%s\\n' \"${COMPREPLY[@]}\""
        done = subprocess.run(["bash", "-c", script, "bash", "gyrctl", *map(str, words)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PATH": f"{BUILD}/control:{os.environ['PATH']}"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_completion(self):
        here = ["--run-dir", self.gyrd.run_dir]
        name = "a-model-with-a-rather-long-name-that-fills-a-line"
        for words, offered in ((["mod"], ["model"]), (["model", "s"], ["show", "set"]), (["job", ""], ["list", "show", "follow", "cancel"]), (["promote", "x", "--la"], ["--label"]),
                               (["train", "x", "--loss", ""], ["mse", "cross-entropy"]), (["train", "x", "--data", "f"], []), (["completion", ""], ["bash", "zsh"]), (["frob", ""], []),
                               ([*here, "load", "a-"], [name]), ([*here, "load", "b"], []), ([*here, "load", name, ""], ["1", "2"]), ([*here, "model", "show", name, ""], ["1", "2"]),
                               ([*here, "job", "show", ""], ["2", "1"])):
            self.assertEqual(self.complete(*words), offered, words)
        self.assertIn("--dry-run", self.complete("load", "x", "--"))
        self.assertNotIn("--dry-run", self.complete("status", "--"))
        self.assertIn("compdef _gyrctl gyrctl", self.gyrd.ctl("completion", "zsh").stdout)
        self.gyrd.ctl("completion", "fish", status=2)


if __name__ == "__main__":
    unittest.main()
