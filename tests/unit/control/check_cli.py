"""gyrctl and gyrd as a person meets them: what is printed, exit statuses, messages that say what to do next."""
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import unittest
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).parent))
from harness import LANES, PLAN, Gyrd

BUILD = sys.argv.pop(1)
COMMANDS = ["status", "stats", "top", "train", "model import", "model list", "model show", "model export", "model remove", "load", "unload", "promote", "predict", "verify", "gc", "audit", "stop"]


def gyrctl(*words):
    return subprocess.run([f"{BUILD}/control/gyrctl", *map(str, words)], capture_output=True, text=True, timeout=60)


def call(gyrd, name, **parameters):
    """A call of gyrd's own, past gyrctl: [kind, status, text, body] without the version."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(gyrd.run_dir / "gyrd.sock"))
        request = msgpack.packb([1, name, parameters])
        peer.sendall(struct.pack(">I", len(request)) + request)
        stream = peer.makefile("rb")
        return tuple(msgpack.unpackb(stream.read(struct.unpack(">I", stream.read(4))[0]))[1:])


class Usage(unittest.TestCase):
    def refuses(self, words, *said):
        result = gyrctl(*words)
        self.assertEqual(result.returncode, 2, (words, result))
        self.assertEqual(result.stdout, "")
        for text in said:
            self.assertIn(text, result.stderr)

    def test_mistakes_are_named(self):
        self.refuses([], "usage")
        self.refuses(["frobnicate"], "frobnicate", "--help")
        self.refuses(["model"], "model")
        self.refuses(["model", "burn"], "model")
        self.refuses(["load"], "NAME [VERSION]")
        self.refuses(["load", "a", "1", "2"], "NAME [VERSION]")
        self.refuses(["unload", "a"], "NAME VERSION")
        self.refuses(["load", "a", "x"], "\"x\"", "whole number")
        self.refuses(["status", "--frob"], "--frob", "gyrctl status --help")
        self.refuses(["status", "--json=yes"], "--json")
        self.refuses(["promote", "a", "--label"], "--label", "NAME")
        self.refuses(["--config", "/nonexistent.conf", "status"], "/nonexistent.conf")
        self.refuses(["--run-dir", "relative", "status"], "absolute")
        self.refuses(["model", "export", "a", "1", "f", "--format", "pickle"], "onnx or bundle")
        self.refuses(["train", "a", "--data", "/dev/null"], "--targets")
        self.refuses(["train", "a", "--data", "/dev/null", "--targets", "/dev/null", "--sizes", "1-1", "--from", "1"], "either")
        self.refuses(["predict", "a", "[1]", "--timeout-ms", "0"], "1 to 60000")
        self.refuses(["predict", "a", "[1]", "--row", "x"], "--row")

    def test_mistakes_are_json_for_programs(self):
        for words, status, said in ((["--json", "frobnicate"], 2, "frobnicate"), (["status", "--json", "--frob"], 2, "--frob"), (["load", "--json"], 2, "NAME [VERSION]"),
                                    (["model", "import", "a", "/nonexistent\x1b\"", "--json"], 1, "/nonexistent?\"")):
            result = gyrctl(*words)
            self.assertEqual((result.returncode, result.stdout), (status, ""))
            error = json.loads(result.stderr)
            self.assertEqual(list(error), ["error"])
            self.assertIn(said, error["error"])

    def test_what_a_terminal_would_obey_is_not_printed(self):
        for words, status in ((["\x1b[2J\x9b7\n"], 2), (["model", "import", "a", "/nonexistent\x1b[2J\x9b7\n"], 1)):
            result = gyrctl(*words)
            self.assertEqual(result.returncode, status)
            self.assertIn("?[2J??7?", result.stderr)

    def test_help(self):
        result = gyrctl("--help")
        self.assertEqual(result.returncode, 0)
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", result.stdout)
            one = gyrctl(*command.split(), "--help")
            self.assertEqual(one.returncode, 0)
            self.assertIn(f"usage: gyrctl {command}", one.stdout)
            self.assertIn(f"  gyrctl {command}", one.stdout)

    def test_nobody_there(self):
        for command in (["status"], ["model", "list"], ["load", "a"], ["stop"]):
            result = gyrctl("--run-dir", "/nonexistent", *command)
            self.assertEqual(result.returncode, 1)
            self.assertIn("start it with", result.stderr)
        result = gyrctl("predict", "a", "[1]", "--server", "localhost")
        self.assertEqual((result.returncode, "numeric" in result.stderr or "localhost" in result.stderr), (1, True))
        result = gyrctl("predict", "a", "[1]", "--server", "127.0.0.1:1", "--timeout-ms", "50")
        self.assertEqual(result.returncode, 1)

    def test_gyrd_options(self):
        for words, said in ([["--set", "gyrd.frob=1"], "frob"], [["--set", "gyrd.supervise"], "SECTION.KEY=VALUE"], [["extra"], "extra"],
                            [["--config", "/nonexistent.conf"], "/nonexistent.conf"], [["--ready-fd", "99"], "--ready-fd"], [["--frob"], "usage"]):
            result = subprocess.run([f"{BUILD}/control/gyrd", *words], capture_output=True, text=True, timeout=20)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn(said, result.stderr)


class Appliance(unittest.TestCase):
    def setUp(self):
        self.gyrd = Gyrd(BUILD)
        self.addCleanup(self.gyrd.close)
        self.gyrd.start()

    def test_a_version_from_file_to_promoted(self):
        gyrd = self.gyrd
        self.assertIn("no models yet", gyrd.ctl("model", "list").stdout)
        self.assertEqual(gyrd.json("model", "list"), [])
        first, second = gyrd.bundle("first", salt=1), gyrd.bundle("second", salt=2)
        answer = gyrd.json("model", "import", "net", first)
        self.assertEqual((answer["model"], answer["version"], answer["known"]), ("net", 1, False))
        self.assertEqual(gyrd.ctl("model", "import", "net", second).stdout, "net version 2\n")
        self.assertTrue(gyrd.json("model", "import", "net", first)["known"])
        self.assertEqual(gyrd.json("load", "net", 1), {"model": "net", "version": 1})
        self.assertEqual(gyrd.plane.versions["net", 1], first.read_bytes())
        self.assertEqual(gyrd.ctl("promote", "net", 1).stdout, "net version 1 is promoted\n")
        self.assertIn("gyrctl promote net 1\n", gyrd.ctl("promote", "net").stdout)
        self.assertEqual(gyrd.plane.labels, {"net": {"stable": 2}})
        self.assertEqual(gyrd.json("promote", "net", 1, "--label", "canary")["label"], "canary")
        self.assertEqual(gyrd.plane.labels, {"net": {"stable": 2, "canary": 1}})
        self.assertIn("canary", gyrd.ctl("unload", "net", 1, status=1).stderr)
        shown = gyrd.json("model", "show", "net", 2)
        self.assertEqual(shown["lineage"], {"accuracy": "0.9", "tool": "test"})
        self.assertEqual(shown["signature"]["inputs"], [{"name": "x", "dtype": "f32", "shape": [-1, 4]}])
        self.assertEqual([v["state"] for v in shown["versions"]], ["loaded", "loaded"])
        text = gyrd.ctl("model", "show", "net").stdout
        for words in ("input x: f32[N,4]", "output y: f32[N,2]", "accuracy: 0.9", "computed in bf16: 5 nodes in 2 steps, packed weights 64 B, scratch 128 B a core"):
            self.assertIn(words, text)
        self.assertEqual(shown["plan"], PLAN)
        settings = {"weight": 1, "priority": 4, "queue_limit": 0, "max_delay_us": 0}
        self.assertEqual(shown["policy"], settings)
        settings.update(weight=3, max_delay_us=50)
        self.assertEqual(gyrd.json("model", "set", "net", "weight=3", "max_delay_us=50"), {"model": "net", "policy": settings})
        self.assertEqual(gyrd.plane.policies, {"net": settings})
        self.assertIn("weight=3 priority=4 queue_limit=0 max_delay_us=50", gyrd.ctl("model", "show", "net").stdout)
        out = gyrd.folder / "out"
        gyrd.ctl("model", "export", "net", 1, out)
        self.assertEqual(out.read_bytes(), first.read_bytes())
        status = gyrd.json("status")
        self.assertEqual((status["dataplane"]["state"], status["gyrd"]["versions"]), ("ready", 2))
        self.assertEqual((gyrd.state / "choices").read_bytes(), b"choices")  # what the data plane keeps there
        self.assertIn("answer.result", gyrd.ctl("status").stdout)
        self.assertNotIn("net.datagram", gyrd.ctl("status").stdout)

    def test_the_registry_is_looked_after(self):
        gyrd = self.gyrd
        for salt in (1, 2):
            gyrd.ctl("model", "import", "net", gyrd.bundle("bundle", salt=salt))
        gyrd.ctl("promote", "net", 2)
        sound = gyrd.json("verify")
        self.assertEqual((sound["versions"], sound["fault_count"], sound["faults"], sound["loose"]), (2, 0, [], 0))
        rows = gyrd.json("audit", "net")
        self.assertEqual([(row["id"], row["action"], row["version"]) for row in rows], [(4, "promoted", 2), (3, "promote", 2), (2, "import", 2), (1, "import", 1)])
        self.assertEqual((sound["audit_rows"], sound["audit_head"]), (4, rows[0]["hash"]))
        self.assertEqual(len(gyrd.json("audit", "--limit", 2)), 2)
        self.assertEqual(gyrd.json("audit", "other"), [])
        self.assertIn("promoted", gyrd.ctl("audit").stdout)
        self.assertIn("limit", gyrd.ctl("audit", "--limit", 0, status=1).stderr)
        # A version that is served is not removed; one that is not, is, and its number is not given again.
        self.assertIn("unload", gyrd.ctl("model", "remove", "net", 2, status=1).stderr)
        first, second = (v["id"] for v in gyrd.json("model", "show", "net")["versions"])
        self.assertIn("gyrctl gc", gyrd.ctl("model", "remove", "net", 1).stdout)
        self.assertIn("has no version 1", gyrd.ctl("model", "show", "net", 1, status=1).stderr)
        # gc shows what would go, and frees just that.
        shown = gyrd.ctl("gc").stdout
        self.assertIn(first, shown)
        self.assertIn("gyrctl gc --yes", shown)
        self.assertEqual(sorted(os.listdir(gyrd.state / "blobs")), sorted([first, second]))
        freed = gyrd.json("gc", "--yes")
        self.assertEqual((freed["freed"], [file["name"] for file in freed["files"]]), (True, [first]))
        self.assertEqual(os.listdir(gyrd.state / "blobs"), [second])
        self.assertEqual(gyrd.json("gc")["files"], [])
        self.assertEqual(gyrd.json("model", "import", "net", gyrd.bundle("bundle", salt=1))["version"], 3)
        # One changed bit is found, told, and mended by the same bundle.
        blob = gyrd.state / "blobs" / second
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data)
        result = gyrd.ctl("verify", status=1)
        self.assertIn("damaged: net version 2: ", result.stdout)
        gyrd.ctl("model", "import", "net", gyrd.bundle("bundle", salt=2))
        self.assertIn("all as it was written", gyrd.ctl("verify").stdout)

    def test_what_gc_frees_was_shown(self):
        gyrd = self.gyrd
        name = "0" * 64
        (gyrd.state / "blobs" / name).write_bytes(b"x")
        self.assertEqual(call(gyrd, "gc", free="0" * 64)[1:3], (-11, "what nothing refers to is not what was shown any more; nothing was freed; look again"))
        self.assertEqual(os.listdir(gyrd.state / "blobs"), [name])

    def promoted(self):
        """A version that is served, and has counted something."""
        gyrd = self.gyrd
        gyrd.ctl("model", "import", "net", gyrd.bundle("first"))
        gyrd.ctl("promote", "net", 1)
        # Bucket b counts b ns below 256, and 256 to 257 ns in bucket 256.
        gyrd.plane.stats.put("versions", ("net", 1), {"requests": 1000, "rows": 3000, "refused.busy": 7, "total": [(100, 500), (200, 490), (256, 10)]})

    def test_every_counter_is_shown(self):
        self.promoted()
        told = self.gyrd.json("stats")
        self.assertEqual((told["alive"], told["pid"]), (True, os.getpid()))
        self.assertEqual(told["lcores"], [{"lcore": 1, "cpu": 1, "roles": "io+engine", "busy_ns": 0, "net.datagram": 0, "answer.result": 5}])
        [version] = told["versions"]
        self.assertEqual((version["model"], version["version"], version["requests"], version["refused.busy"]), ("net", 1, 1000, 7))
        total = version["stages"]["total"]
        self.assertEqual([total[name] for name in ("count", "p50_ns", "p90_ns", "p99_ns", "p99.9_ns", "p99.99_ns", "max_ns")], [1000, 100, 200, 200, 257, 257, 257])
        self.assertNotIn("buckets", total)
        [version] = self.gyrd.json("stats", "--buckets")["versions"]
        self.assertEqual(version["stages"]["total"]["buckets"], [[100, 500], [200, 490], [257, 10]])
        text = self.gyrd.ctl("stats").stdout
        for words in ("\nlcores: io+engine\n", "answer.result                5\n", "\nversions: net bf16\n", "refused.busy                 7\n", "p99.99_ns"):
            self.assertIn(words, text)
        self.assertIn("answer.result                counter    of a test\n", self.gyrd.ctl("stats", "--explain").stdout)
        self.assertIn("net                         1         1000        7        0.1        0.2\n", self.gyrd.ctl("status").stdout)

    def test_nothing_waits_for_a_load(self):
        gyrd = self.gyrd
        self.promoted()
        gyrd.ctl("model", "import", "net", gyrd.bundle("second", salt=2))
        gyrd.plane.may_load.clear()
        gyrd.plane.load_begun.clear()
        loading = subprocess.Popen(gyrd.ctl_command("load", "net", 2), stdout=subprocess.DEVNULL)
        self.assertTrue(gyrd.plane.load_begun.wait(20))
        self.assertEqual({v["version"]: v["state"] for v in gyrd.json("model", "show", "net")["versions"]}[2], "loading")
        for counted in (6, 9):
            gyrd.plane.stats.put("lcores", 0, {"answer.result": counted})
            self.assertEqual(gyrd.json("status")["dataplane"]["status"]["counters"]["answer.result"], counted)
            self.assertEqual(gyrd.json("stats")["lcores"][0]["answer.result"], counted)
        self.assertIsNone(loading.poll())
        gyrd.plane.may_load.set()
        self.assertEqual(loading.wait(20), 0)

    def test_counters_outlive_the_data_plane(self):
        gyrd = self.gyrd
        self.promoted()
        gyrd.plane.close()
        gyrd.wait_until("its end", lambda: gyrd.json("status")["dataplane"]["state"] == "absent")
        told = gyrd.json("stats")
        self.assertEqual((told["alive"], told["versions"][0]["requests"]), (False, 1000))
        self.assertIn("gone; this is what it had counted last", gyrd.ctl("stats").stdout)
        self.assertIn("had counted last", gyrd.ctl("status").stdout)
        self.assertIn("gone", gyrd.ctl("top", "--interval", 100, "--count", 1).stdout)
        gyrd.plane = None

    def test_top_tells_intervals(self):
        gyrd = self.gyrd
        self.promoted()
        with subprocess.Popen(gyrd.ctl_command("top", "--json", "--interval", 300, "--count", 3), stdout=subprocess.PIPE, text=True) as top:
            first = json.loads(top.stdout.readline())
            self.assertEqual((first["requests_per_s"], first["refused"], first["versions"][0]["stages"]["total"]["p50_ns"]), (0, {}, 0))
            gyrd.plane.stats.put("lcores", 0, {"answer.result": 4005, "net.datagram": 4100, "busy_ns": 30_000_000})
            gyrd.plane.stats.put("versions", ("net", 1), {"requests": 5000, "rows": 11000, "refused.busy": 10, "total": [(100, 600), (250, 4390)]})
            # All of that lies in the one interval or the other.
            lines = [json.loads(line) for line in top.stdout]
        self.assertEqual((top.returncode, len(lines)), (0, 2))
        counted = lambda figures: round(sum(figure * line["interval_s"] for figure, line in zip(figures, lines)))
        self.assertEqual(counted([line["requests_per_s"] for line in lines]), 4000)
        self.assertEqual(counted([line["rows_per_s"] for line in lines]), 8000)
        self.assertEqual(counted([line["versions"][0]["refused_per_s"] for line in lines]), 3)
        self.assertEqual(counted([line["lcores"][0]["busy"] * 1000 for line in lines]), 30)
        [busy] = [line for line in lines if line["versions"][0]["rows_per_s"]]
        self.assertEqual([busy["versions"][0]["stages"]["total"][name] for name in ("p50_ns", "p99_ns")], [250, 250])
        text = gyrd.ctl("top", "--interval", 100, "--count", 2).stdout
        self.assertEqual((text.count("requests/s,"), "\033" in text), (2, False))
        for words in ("LCORE", "io+engine", "MODEL", "net "):
            self.assertIn(words, text)
        for words in (["--interval", 10], ["--interval", "x"], ["--count", 0]):
            self.assertEqual(subprocess.run(gyrd.ctl_command("top", *words), capture_output=True, timeout=60).returncode, 2)

    def test_top_of_a_version_that_was_loaded_anew(self):
        gyrd = self.gyrd
        self.promoted()
        gyrd.plane.stats.put("versions", ("net", 1), {"requests": 600, "total": [(100, 600), (250, 0)]})
        with subprocess.Popen(gyrd.ctl_command("top", "--json", "--interval", 300, "--count", 2), stdout=subprocess.PIPE, text=True) as top:
            top.stdout.readline()
            # More requests than before, none of which took the time that those took.
            gyrd.plane.stats.put("versions", ("net", 1), {"requests": 1000, "total": [(100, 0), (250, 1000)]})
            [line] = [json.loads(line) for line in top.stdout]
        self.assertEqual([line["versions"][0]["stages"]["total"][name] for name in ("p50_ns", "p99_ns")], [250, 250])

    def test_a_row_is_whole_or_not_there(self):
        stats, over = self.gyrd.plane.stats, threading.Event()
        for lane in range(LANES):
            stats.put("models", 0, {"model": "net", "refused.busy": 1}, lane)

        def come_and_go():
            while not over.wait(0.0003):
                stats.remove("models", 0)
                stats.put("models", 0, {})

        other = threading.Thread(target=come_and_go)
        other.start()
        try:
            seen = [row for _ in range(100) for row in self.gyrd.json("stats")["models"]]
        finally:
            over.set()
            other.join()
        self.assertGreater(len(seen), 10)
        for row in seen:
            self.assertEqual([lane["refused.busy"] for lane in row["lanes"]], [1] * LANES)

    def test_top_on_a_terminal(self):
        self.promoted()
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
        before = termios.tcgetattr(theirs)
        top = subprocess.Popen(self.gyrd.ctl_command("top", "--interval", 100), stdin=theirs, stdout=theirs)
        shown = b""
        while shown.count(b"\033[H") < 3:
            shown += os.read(ours, 65536)
        # Ten lines of forty columns hold it: nothing scrolls, and nothing is wrapped.
        for frame in shown.split(b"\033[H")[1:3]:
            lines = frame.replace(b"\033[K", b"").split(b"\033[J")[0].split(b"\r\n")
            self.assertLess(len(lines), 11)
            self.assertTrue(all(len(line) < 40 for line in lines), lines)
            self.assertIn(b"requests/s", lines[0])
        os.write(ours, b"q")
        self.assertEqual(top.wait(20), 0)
        self.assertEqual(termios.tcgetattr(theirs), before)
        self.assertIn(b"\033[?25h", os.read(ours, 65536))
        os.close(ours)
        os.close(theirs)

    def test_onnx_in_and_out(self):
        gyrd = self.gyrd
        gyrd.ctl("model", "import", "net", gyrd.bundle("first"))
        onnx = gyrd.folder / "net.onnx"
        gyrd.ctl("model", "export", "net", 1, onnx)
        self.assertEqual(gyrd.json("model", "import", "other", onnx)["version"], 1)
        shown = gyrd.json("model", "show", "other")
        self.assertEqual(shown["signature"], gyrd.json("model", "show", "net")["signature"])
        self.assertNotIn("plan", shown)  # it is not loaded
        # How far it may be off in bf16 is the importer's to say for an ONNX file, and stated already in a bundle.
        out = gyrd.folder / "bound"
        self.assertEqual(gyrd.json("model", "import", "bound", onnx, "--bf16-bound", "0.25")["version"], 1)
        gyrd.ctl("model", "export", "bound", 1, out)
        data = out.read_bytes()
        self.assertEqual(msgpack.unpackb(data[4096:4096 + int.from_bytes(data[32:40], "little")])[8:], [0.25])
        self.assertIn("bf16-bound", gyrd.ctl("model", "import", "bound", onnx, "--bf16-bound", "2", status=1).stderr)
        self.assertIn("states its own", gyrd.ctl("model", "import", "bound", out, "--bf16-bound", "0.25", status=1).stderr)
        # Sizes are for what an ONNX file leaves open; this one leaves only the batch, which may be fixed.
        self.assertEqual(gyrd.json("model", "import", "fixed", onnx, "--dim", "N=3")["version"], 1)
        self.assertEqual([i["shape"] for i in gyrd.json("model", "show", "fixed")["signature"]["inputs"]], [[3, 4]])
        self.assertIn("no input leaves it open", gyrd.ctl("model", "import", "fixed", onnx, "--dim", "N=3", "--dim", "steps=2", status=1).stderr)
        self.assertIn("another size", gyrd.ctl("model", "import", "fixed", onnx, "--shape", "x=N,5", status=1).stderr)
        self.assertIn("NAME=SIZE is expected", gyrd.ctl("model", "import", "fixed", onnx, "--dim", "N", status=1).stderr)
        self.assertIn("where all is fixed", gyrd.ctl("model", "import", "fixed", out, "--dim", "N=3", status=1).stderr)
        self.assertIn("more than 24", gyrd.ctl("model", "import", "fixed", onnx, *(f"--dim=d{i}=1" for i in range(25)), status=1).stderr)
        self.assertIn("no such input", gyrd.ctl("model", "import", "fixed", onnx, "--value", "rate=8000", status=1).stderr)
        # What is neither is refused by the worker, and leaves nothing behind.
        junk = gyrd.folder / "junk"
        junk.write_bytes(b"neither a bundle nor ONNX")
        self.assertIn(str(junk), gyrd.ctl("model", "import", "net", junk, status=1).stderr)
        junk.write_bytes(gyrd.bundle("cut").read_bytes()[:-1])
        self.assertIn(str(junk), gyrd.ctl("model", "import", "net", junk, status=1).stderr)
        self.assertEqual(len(gyrd.json("model", "show", "net")["versions"]), 1)
        self.assertEqual(list((gyrd.state / "jobs").iterdir()), [])

    def test_a_refused_models_names_are_printed_plain(self):
        gyrd = self.gyrd
        gyrd.ctl("model", "import", "net", gyrd.bundle("first"))
        onnx = gyrd.folder / "net.onnx"
        gyrd.ctl("model", "export", "net", 1, onnx)
        # The input's name is "x" wherever its length and it stand.
        onnx.write_bytes(onnx.read_bytes().replace(b"\x01x", b"\x01\x1b"))
        self.assertIn("'?'", gyrd.ctl("model", "import", "other", onnx, status=1).stderr)

    def test_refusals_name_what_is_wrong(self):
        gyrd = self.gyrd
        gyrd.ctl("model", "import", "net", gyrd.bundle("first"))
        gyrd.ctl("model", "import", "net", gyrd.bundle("wide", width=8))
        gyrd.ctl("promote", "net", 1)
        for words, said in ([["load", "none"], "gyrctl model list"], [["load", "net", 9], "it has 1, 2"], [["model", "set", "net", "speed=1"], "weight, priority, queue_limit, max_delay_us"], [["model", "set", "net", "weight=0"], "1 to 1000"],
                            [["model", "set", "net", "weight=x"], "weight"], [["model", "set", "none", "weight=2"], "none"], [["load", "net", 0], "count from 1"], [["load", "No"], "a-z"], [["promote", "net", 2], "--force"], [["promote", "net", 1, "--label", "No"], "a-z"],
                            [["model", "import", "net", "/nonexistent"], "/nonexistent"], [["model", "import", "net", "/tmp"], "not a file"],
                            [["model", "import", "No", gyrd.bundle("again")], "a-z"], [["model", "export", "net", 1, "/nonexistent/x"], "/nonexistent"],
                            [["train", "net", "--data", "/nonexistent", "--targets", "/dev/null", "--sizes", "1-1"], "--data"],
                            [["train", "net", "--data", "/dev/null", "--targets", "/dev/null", "--from", "9"], "no version 9"],
                            [["train", "net", "--data", "/dev/null", "--targets", "/dev/null", "--sizes", "1-1"], "/dev/null"]):
            result = gyrd.ctl(*words, status=1)
            self.assertIn(said, result.stderr, words)
            self.assertTrue(result.stderr.startswith("gyrctl: "))
        # An export replaces files only, and a folder's message is no other than a device's.
        fifo = gyrd.folder / "fifo"
        os.mkfifo(fifo)
        for path in (fifo, gyrd.folder):
            for form in ("onnx", "bundle"):
                self.assertIn(f"{path}: is there", gyrd.ctl("model", "export", "net", 1, path, "--format", form, status=1).stderr)
        self.assertTrue(fifo.is_fifo())
        gyrd.plane.refuse = True
        self.assertIn("refused by the test", gyrd.ctl("load", "net", 2, status=1).stderr)
        gyrd.plane.refuse = False
        self.assertEqual(gyrd.ctl("promote", "net", 2, "--force").returncode, 0)

    def train_words(self, epochs):
        data, targets = self.gyrd.folder / "data.csv", self.gyrd.folder / "targets.csv"
        data.write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(200)))
        targets.write_text("t\n" + "".join(f"{(i % 7) * 0.5 - (i % 5)}\n" for i in range(200)))
        return ["train", "line", "--data", data, "--targets", targets, "--sizes", "2-4-1", "--loss", "mse", "--epochs", epochs, "--rate", "0.01"]

    def test_training(self):
        gyrd = self.gyrd
        lines = [json.loads(line) for line in gyrd.ctl(*self.train_words(3), "--json", "--promote").stdout.splitlines()]
        # Epochs that follow each other at once may share a line.
        epochs = [line["epoch"] for line in lines[:-1]]
        self.assertEqual((epochs[0], epochs[-1], epochs), (1, 3, sorted(set(epochs))))
        self.assertEqual((lines[-1]["version"], lines[-1]["promoted"]), (1, True))
        self.assertEqual(gyrd.plane.labels, {"line": {"stable": 1}})
        words = self.train_words(2)
        words[words.index("--sizes"):words.index("--sizes") + 2] = ["--from", "1"]
        text = gyrd.ctl(*words).stdout
        self.assertIn("epoch 2/2  loss ", text)
        self.assertIn("line version 2, loss ", text)
        self.assertEqual(gyrd.json("model", "show", "line", 2)["lineage"]["parent"], "1")

    def test_an_interrupted_training_ends(self):
        gyrd = self.gyrd
        child = subprocess.Popen(gyrd.ctl_command(*self.train_words(1000000)), stdout=subprocess.PIPE, text=True)
        self.assertIn("epoch 1/", child.stdout.readline())
        self.assertEqual(gyrd.json("status")["gyrd"]["jobs"], 1)
        child.send_signal(signal.SIGINT)
        child.stdout.close()
        child.wait(20)
        gyrd.wait_until("the job's end", lambda: gyrd.json("status")["gyrd"]["jobs"] == 0)
        self.assertIn("no models yet", gyrd.ctl("model", "list").stdout)
        # And one is ended by the end of gyrd.
        child = subprocess.Popen(gyrd.ctl_command(*self.train_words(1000000)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("epoch 1/", child.stdout.readline())
        gyrd.ctl("stop")
        self.assertEqual(gyrd.daemon.wait(20), 0)
        self.assertIn("gyrd is ending", child.communicate(timeout=20)[1])
        self.assertEqual(child.returncode, 1)
        gyrd.daemon = None

    def test_a_second_gyrd_is_refused(self):
        gyrd = self.gyrd
        second = subprocess.run(gyrd.command(), capture_output=True, text=True, timeout=20)
        self.assertEqual(second.returncode, 1)
        self.assertIn("run_dir of its own", second.stderr)
        self.assertIn(f"process {gyrd.daemon.pid};", second.stderr)
        other = gyrd.folder / "other"
        second = subprocess.run(gyrd.command() + ["--set", f"gyrd.run_dir={other}"], capture_output=True, text=True, timeout=20)
        self.assertEqual(second.returncode, 1)
        self.assertIn(str(gyrd.daemon.pid), second.stderr)
        self.assertEqual(gyrd.ctl("status").returncode, 0)

    def test_what_cannot_be_printed_is_a_failure(self):
        for words in (["status"], ["model", "list"], ["model", "list", "--json"]):
            with open("/dev/full", "w") as full:
                result = subprocess.run(self.gyrd.ctl_command(*words), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(result.returncode, 1, words)
            self.assertIn("standard output", result.stderr)

    def test_stop(self):
        gyrd = self.gyrd
        gyrd.ctl("stop")
        # It has ended by now, so that another may be started.
        self.assertEqual(gyrd.daemon.poll(), 0)
        gyrd.daemon = None
        self.assertFalse(os.path.exists(gyrd.run_dir / "gyrd.sock"))
        gyrd.start()
        gyrd.stop()


if __name__ == "__main__":
    unittest.main()
