"""A whole Gyr for a test: a veth whose other end lies in a client namespace, gyrd, gyr-dataplane, and clients inside that namespace.

Run as root (a private network namespace around it is kind to the host: tools/check gives one). Everything is taken down by close().
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgpack

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GYR_BUILD", TOP / "build/release"))
SERVER, CLIENT, PORT = "192.0.2.1", "192.0.2.2", 4970
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def run(*command, check=True, **options):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def wait_for(what, condition, seconds=20.0):
    """Polls CONDITION, an event of another process, until it gives something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for {what}")


class ClientNamespace:
    """A network namespace held by a process of ours, with one end of a veth in it."""

    def __init__(self, near="gyr0", far="gyr1"):
        self.near, self.far = near, far
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        wait_for("the namespace", lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own)
        self.path = f"/proc/{self.holder.pid}/ns/net"
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.holder.pid)
        run("ip", "link", "set", near, "up")
        self.run("ip", "addr", "add", f"{CLIENT}/24", "dev", far)
        self.run("ip", "link", "set", far, "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ethtool", "-K", far, "tx", "off")

    def run(self, *command, **options):
        return run("nsenter", f"--net={self.path}", *command, **options)

    def popen(self, *command, **options):
        return subprocess.Popen(["nsenter", f"--net={self.path}", *map(str, command)], text=True, **options)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, protocol=0):
        """A socket of this process that lives in the client's namespace."""
        with open("/proc/self/ns/net") as own, open(self.path) as other:
            assert libc.setns(other.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                return socket.socket(family, kind, protocol)
            finally:
                assert libc.setns(own.fileno(), CLONE_NEWNET) == 0

    def close(self):
        run("ip", "link", "del", self.near, check=False)
        self.holder.stdin.close()
        self.holder.wait()


class Client:
    """A plain UDP client in Python: msgpack and a socket."""

    def __init__(self, namespace):
        self.socket = namespace.socket()
        self.socket.bind((CLIENT, 0))
        self.socket.connect((SERVER, PORT))
        self.socket.settimeout(0.5)
        self.next_id = 1

    def send(self, datagram):
        self.socket.send(datagram)

    def receive(self):
        return msgpack.unpackb(self.socket.recv(65535), strict_map_key=False)

    def ask(self, message, tries=4):
        """Sends MESSAGE (its id is filled in) until its answer comes."""
        message = [1, message[0], self.next_id, *message[1:]]
        self.next_id += 1
        for _ in range(tries):
            self.send(msgpack.packb(message, use_single_float=True))
            try:
                while True:
                    answer = self.receive()
                    if answer[2] == message[2]:
                        return answer
            except TimeoutError:
                continue
        raise AssertionError(f"no answer to {message[:5]}")

    def predict(self, model, inputs, select=None, deadline_us=0, options=None):
        return self.ask([1, model, select, deadline_us, inputs] + ([options] if options is not None else []))

    def silent(self, datagram, seconds=0.05):
        """True when nothing comes back."""
        self.socket.settimeout(seconds)
        try:
            self.send(datagram)
            self.socket.recv(65535)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(0.5)

    def close(self):
        self.socket.close()


class Appliance:
    def __init__(self, port="af_xdp", settings=None, start=True):
        if os.geteuid() != 0:
            skip("needs root for a veth and a network namespace")
        self.folder = Path(tempfile.mkdtemp(prefix="gyr-e2e."))
        self.network = ClientNamespace()
        self.daemon, self.processes = None, []
        self.port = port
        devargs = {"af_xdp": "net_af_xdp0,iface=gyr0", "af_packet": "net_af_packet0,iface=gyr0"}[port]
        values = {
            "gyrd.state_dir": self.folder / "state",
            "gyrd.run_dir": self.folder / "run",
            "dataplane.port": devargs,
            "dataplane.address": f"{SERVER}/24",
            "dataplane.hugepages": "off",
            **(settings or {}),
        }
        sections = {}
        for key, value in values.items():
            section, name = key.split(".")
            sections.setdefault(section, []).append(f"{name} = {value}\n")
        self.config = self.folder / "gyr.conf"
        self.config.write_text("".join(f"[{s}]\n{''.join(lines)}" for s, lines in sections.items()))
        if start:
            self.start()

    def start(self):
        self.log = open(self.folder / "gyrd.log", "a")
        self.daemon = subprocess.Popen([BUILD / "control/gyrd", "--config", self.config], stdout=self.log, stderr=self.log)
        self.wait_ready()

    def wait_ready(self, seconds=30.0):
        def ready():
            assert self.daemon.poll() is None, f"gyrd ended: {self.log_text()}"
            status = self.ctl("status", "--json", check=False)
            return status.returncode == 0 and json.loads(status.stdout).get("dataplane", {}).get("state") == "ready"

        try:
            wait_for("the data plane", ready, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log_text()}") from None

    def log_text(self):
        return (self.folder / "gyrd.log").read_text()

    def ctl(self, *words, check=True, **options):
        return run(BUILD / "control/gyrctl", "--config", self.config, *words, check=check, **options)

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json").stdout)

    def predict(self, *words, check=True):
        """gyrctl predict, from the client's namespace."""
        return self.network.run(BUILD / "control/gyrctl", "--config", self.config, "predict", *words, check=check)

    def client(self):
        return Client(self.network)

    def load_generator(self, *words, **options):
        return self.network.popen(BUILD / "tools/load/gyr-load", "--server", f"{SERVER}:{PORT}", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def dataplane_pid(self):
        return self.ctl_json("status")["dataplane"]["pid"]

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.ctl("stop")
            assert self.daemon.wait(20) == 0, self.log_text()

    def close(self):
        try:
            if self.daemon and self.daemon.poll() is None:
                self.daemon.send_signal(signal.SIGTERM)
                self.daemon.wait(20)
        finally:
            self.network.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind not in (None, SystemExit):
            print(self.log_text()[-4000:] if self.daemon else "gyrd was not started")
        self.close()
