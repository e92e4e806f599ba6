"""gyrd and gyrctl for tests that are scripts, with a data plane's end of the link that keeps what it is told."""
import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgpack

sys.path[:0] = [str(Path(__file__).parents[1] / "link"), str(Path(__file__).resolve().parents[3] / "tools/lib")]
import stats_memory as memory
from appliance import wait_for

HELLO, LOAD, UNLOAD, ROUTE, STATUS, STOP, CHOICES, STATS, POLICY = range(1, 10)
LANES = 2000
PLAN = {"precision": "bf16", "weight_bytes": 64, "scratch_bytes": 128, "nodes": 5, "steps": 2}  # of every version that it holds


class Plane:
    """Answers the link as gyr-dataplane does, in a thread. What it holds survives gyrd; close() is its death."""

    def __init__(self, folder):
        self.path = str(Path(folder) / "dataplane.sock")
        self.versions, self.labels, self.policies = {}, {}, {}
        self.refuse = False
        self.may_load, self.load_begun = threading.Event(), threading.Event()  # a load waits for the one, having set the other
        self.may_load.set()
        self.stats = memory.Writer({
            "lcores": (1, {"lcore": memory.NUMBER, "cpu": memory.NUMBER, "roles": memory.TEXT, "busy_ns": memory.CYCLES, "net.datagram": memory.COUNTER, "answer.result": memory.COUNTER}),
            "house": (1, {"hugepages": memory.NUMBER}),
            "models": (1, {"model": memory.TEXT, "refused.busy": memory.COUNTER}, LANES),
            "versions": (64, {"model": memory.TEXT, "version": memory.NUMBER, "precision": memory.TEXT, "weight_bytes": memory.NUMBER, "scratch_bytes": memory.NUMBER,
                             "nodes": memory.NUMBER, "steps": memory.NUMBER, "requests": memory.COUNTER, "rows": memory.COUNTER, "refused.busy": memory.COUNTER,
                             "total": memory.HISTOGRAM}),
        })
        self.stats.put("lcores", 0, {"lcore": 1, "cpu": 1, "roles": "io+engine", "answer.result": 5})
        self.stats.put("house", 0, {"hugepages": 0})
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.peer = None
        self.closing = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closing:
            try:
                self.peer, _ = self.listener.accept()
            except OSError:
                return
            with self.peer:
                while self.serve_one():
                    pass

    def serve_one(self):
        try:
            data, ancillary, _, _ = self.peer.recvmsg(65536, socket.CMSG_SPACE(4))
        except OSError:
            return False
        if not data:
            return False
        descriptors = [fd for _, _, payload in ancillary for fd in array.array("i", payload)]
        _, kind, seq, model, version, labels = msgpack.unpackb(data)
        status, text, body = self.obey(kind, model, version, labels, descriptors)
        for fd in descriptors:
            os.close(fd)
        try:
            socket.send_fds(self.peer, [msgpack.packb([1, kind | 0x80, seq, status, text, body])], [self.stats.descriptor] if kind == STATS else [])
        except OSError:
            return False
        return True

    def obey(self, kind, model, version, labels, descriptors):
        if self.refuse and kind in (LOAD, ROUTE):
            return -22, "refused by the test", None
        if kind == LOAD:
            self.load_begun.set()
            self.may_load.wait()
        if kind == LOAD and (model, version) not in self.versions:
            size = os.fstat(descriptors[0]).st_size
            self.versions[model, version] = os.pread(descriptors[0], size, 0)
            self.stats.put("versions", (model, version), {"model": model, "version": version, **PLAN})
        elif kind == UNLOAD:
            if version in self.labels.get(model, {}).values():
                return -16, "a label points at it", None
            self.versions.pop((model, version), None)
            self.stats.remove("versions", (model, version))
            if not any(name == model for name, _ in self.versions):
                self.policies.pop(model, None)
        elif kind == ROUTE:
            wanted = {name: number for name, number in labels}
            if any((model, number) not in self.versions for number in wanted.values()):
                return -2, "not loaded", None
            self.labels[model] = wanted
        elif kind == POLICY:
            if not any(name == model for name, _ in self.versions):
                return -2, "not loaded", None
            self.policies[model] = dict(labels)
        elif kind == CHOICES:
            os.pwrite(descriptors[0], b"choices", 0)
        if kind not in (HELLO, STATUS):
            return 0, "", None
        models = sorted({name for name, _ in self.versions})
        return 0, "", {
            "pid": os.getpid(), "models_left_out": 0,
            "models": [{"model": name, "versions": [{"version": v} for m, v in sorted(self.versions) if m == name], "labels": self.labels.get(name, {}), "policy": self.policies.get(name, {})} for name in models],
        }

    def close(self):
        self.closing = True
        self.may_load.set()
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.peer:
            try:
                self.peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(10)
        self.stats.close()


class Gyrd:
    """A gyrd that supervises nothing, in a folder of its own that close() removes."""

    def __init__(self, build, plane=True):
        self.build = Path(build)
        self.folder = Path(tempfile.mkdtemp(prefix="gyr-test-gyrd."))
        self.state, self.run_dir, self.log = self.folder / "state", self.folder / "run", self.folder / "log"
        self.run_dir.mkdir()
        self.daemon = None
        self.options = []  # more of gyrd's
        self.plane = Plane(self.run_dir) if plane else None

    def command(self, ready=None):
        words = [self.build / "control/gyrd", "--set", f"gyrd.state_dir={self.state}", "--set", f"gyrd.run_dir={self.run_dir}", "--set", "gyrd.supervise=no", *self.options]
        return [str(w) for w in words + (["--ready-fd", str(ready)] if ready is not None else [])]

    def start(self):
        """Starts it and waits until it answers calls."""
        reader, writer = os.pipe()
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(self.command(writer), stderr=log, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader) as ready:
            assert ready.read() == "ready\n", self.log.read_text()

    def kill(self):
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        self.daemon = None

    def stop(self):
        self.daemon.terminate()
        status = self.daemon.wait(20)
        self.daemon = None
        assert status == 0, self.log.read_text()

    def ctl_command(self, *words):
        return [str(w) for w in (self.build / "control/gyrctl", "--run-dir", self.run_dir, *words)]

    def ctl(self, *words, status=0):
        result = subprocess.run(self.ctl_command(*words), capture_output=True, text=True, timeout=90)
        assert result.returncode == status, f"{words}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def json(self, *words):
        return json.loads(self.ctl(*words, "--json").stdout.splitlines()[-1])

    def wait_until(self, what, condition, seconds=20):
        try:
            wait_for(what, condition, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log.read_text()}") from None

    def wait_settled(self):
        """Until the data plane is as the registry says."""
        self.wait_until("the data plane", lambda: self.json("status")["dataplane"]["settled"])

    def bundle(self, name, width=4, salt=1.0):
        path = self.folder / name
        subprocess.run([self.build / "tests/unit/control/make-bundle", path, str(width), str(salt)], check=True)
        return path

    def close(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        if self.plane:
            self.plane.close()
        shutil.rmtree(self.folder)
