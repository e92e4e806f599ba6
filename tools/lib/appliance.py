"""A whole Gyr on this machine, for quickstart, the tests and the benches: gyrd, its data plane on a port, and a network namespace for the clients.

The network is that of the caller, which tools/root --alone makes a private one. close() takes everything down.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgpack

TOP = Path(__file__).resolve().parents[2]
STAGE = TOP / "build/release/stage/usr/local"
GYRD, GYRCTL, GYR_LOAD = STAGE / "sbin/gyrd", STAGE / "bin/gyrctl", STAGE / "bin/gyr-load"
NEAR, FAR = "gyr0", "gyr1"
SERVER, CLIENT, PORT = "192.0.2.1", "192.0.2.2", 4970
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


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
    """A network namespace for clients, held by a process of ours."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        wait_for("the clients' namespace", lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own)
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.enter = ["nsenter", f"--net={self.path}"]
        self.run("ip", "link", "set", "lo", "up")

    def make_veth(self):
        """A cable: NEAR is the appliance's end, FAR the clients'."""
        run("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        run("ip", "link", "set", NEAR, "up")
        self.take(FAR)

    def take(self, link):
        """Moves LINK into the namespace and gives it the clients' address."""
        run("ip", "link", "set", link, "netns", self.holder.pid)
        # A TAP gives both its ends the same address: the clients' gets another, as a cable would have.
        self.run("ip", "link", "set", link, "address", "02:00:00:00:00:02")
        # A checksum left to the card would arrive unfinished: there is no card.
        self.run("ethtool", "-K", link, "tx", "off")
        self.run("ip", "addr", "add", f"{CLIENT}/24", "dev", link)
        self.run("ip", "link", "set", link, "up")

    def run(self, *command, **options):
        return run(*self.enter, *command, **options)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, protocol=0):
        """A socket of this process that lives in the namespace."""
        with open("/proc/self/ns/net") as own, open(self.path) as other:
            assert libc.setns(other.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                return socket.socket(family, kind, protocol)
            finally:
                assert libc.setns(own.fileno(), CLONE_NEWNET) == 0

    def close(self):
        run("ip", "link", "del", NEAR, check=False)
        self.holder.terminate()
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

    def silent(self, datagram):
        """True when nothing comes back of what an io lcore decides alone. It takes one client's datagrams in order, so a ping behind is answered after it."""
        self.ask([7, b"before"])
        self.send(datagram)
        behind = [1, 7, self.next_id, b"behind"]
        self.next_id += 1
        self.send(msgpack.packb(behind))
        return self.receive() == behind

    def silent_for(self, datagram, seconds):
        """True when nothing comes back for so long."""
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
    """gyrd with its data plane on one port, in a folder of its own. PORT: af_xdp, af_packet or tap (clients in a namespace), or memif or vhost (clients by shared
    memory). BESIDE: more ports, as DPDK's devargs with {folder} for the folder."""

    def __init__(self, port="af_xdp", settings=None, start=True, beside=()):
        self.folder = Path(tempfile.mkdtemp(prefix="gyr."))
        self.port, self.daemon, self.network, self.beside = port, None, None, beside
        self.memif, self.vhost = self.folder / "memif.sock", self.folder / "vhost.sock"
        try:
            self.prepare(settings or {})
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def prepare(self, settings):
        if self.port in ("af_xdp", "af_packet"):
            self.network = ClientNamespace()
            self.network.make_veth()
        elif self.port == "tap":
            self.network = ClientNamespace()
        devargs = {
            "af_xdp": f"net_af_xdp0,iface={NEAR}",
            "af_packet": f"net_af_packet0,iface={NEAR}",
            "tap": f"net_tap0,iface={FAR}",
            "vhost": f"net_vhost0,iface={self.vhost}",
            "memif": f"net_memif0,role=server,id=0,socket={self.memif},socket-abstract=no",
        }[self.port]
        values = {
            "gyrd.state_dir": self.folder / "state",
            "gyrd.run_dir": self.folder / "run",
            "dataplane.port": " ".join([devargs, *(more.format(folder=self.folder) for more in self.beside)]),
            "dataplane.address": f"{SERVER}/24",
            "dataplane.hugepages": "off",
            **settings,
        }
        sections = {}
        for key, value in values.items():
            section, name = key.split(".")
            sections.setdefault(section, []).append(f"{name} = {value}\n")
        self.config = self.folder / "gyr.conf"
        self.config.write_text("".join(f"[{s}]\n{''.join(lines)}" for s, lines in sections.items()))

    def start(self):
        with open(self.folder / "gyrd.log", "a") as log:
            self.daemon = subprocess.Popen([GYRD, "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for("the data plane", self.is_ready, 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()}") from None
        if self.port == "tap":
            self.network.take(FAR)

    def is_ready(self):
        assert self.daemon.poll() is None, "gyrd ended"
        status = self.ctl("status", "--json", check=False)
        return status.returncode == 0 and json.loads(status.stdout)["dataplane"]["state"] == "ready"

    def log_text(self):
        log = self.folder / "gyrd.log"
        return log.read_text() if log.exists() else ""

    def ctl(self, *words, check=True, **options):
        return run(GYRCTL, "--config", self.config, *words, check=check, **options)

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json").stdout)

    def client_command(self, *command):
        """COMMAND as it is run where the clients are."""
        return [*(self.network.enter if self.network else []), *map(str, command)]

    def load_command(self, *words):
        """gyr-load as a client of this appliance."""
        shared = {"memif": ["--memif", self.memif], "vhost": ["--port", f"net_virtio_user0,path={self.vhost}", "--server", f"{SERVER}:{PORT}"]}
        way = shared.get(self.port, ["--server", f"{SERVER}:{PORT}"])
        return self.client_command(GYR_LOAD, *way, *words)

    def predict(self, *words, check=True):
        """gyrctl predict, from the clients' namespace."""
        return run(*self.client_command(GYRCTL, "--config", self.config, "predict", *words), check=check)

    def client(self):
        return Client(self.network)

    def status(self):
        """What the data plane tells of itself."""
        return self.ctl_json("status")["dataplane"]["status"]

    def status_fresh(self):
        """The same, with drivers' figures that are no older than this call."""
        called_ns = time.monotonic_ns()

        def fresh():
            told = self.status()
            return told if all(port["copied_ns"] > called_ns for port in told["ports"]) else None

        return wait_for("the drivers' figures to be copied", fresh)

    def counters(self):
        return self.status()["counters"]

    def dataplane_pid(self):
        return self.ctl_json("status")["dataplane"]["pid"]

    def stop(self):
        self.ctl("stop")
        assert self.daemon.wait(20) == 0, self.log_text()

    def stop_dataplane(self):
        """Ends one that gyrd has left (stop --keep-dataplane), where there is one."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
            try:
                link.connect(str(self.folder / "run/dataplane.sock"))
            except OSError:
                return
            pid = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        os.kill(pid, signal.SIGTERM)
        wait_for("the data plane's end", lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())

    def close(self):
        try:
            if self.daemon and self.daemon.poll() is None:
                self.daemon.send_signal(signal.SIGTERM)
                self.daemon.wait(20)
            elif self.daemon:
                self.stop_dataplane()
        finally:
            if self.network:
                self.network.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind not in (None, SystemExit, KeyboardInterrupt):
            print(self.log_text()[-4000:], file=sys.stderr)
        self.close()
