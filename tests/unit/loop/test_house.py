"""gyr-dataplane as a process: its options, its link to gyrd, how it refuses and how it ends.

usage: test_house.py GYR-DATAPLANE MAKE-BUNDLE
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import msgpack

sys.path[:0] = [str(Path(__file__).parents[1] / "link"), str(Path(__file__).parents[3] / "tools/lib")]
import stats_memory
from link_peer import CHOICES, HELLO, LOAD, PATIENCE_S, POLICY, ROUTE, SETTLED, STATUS, STOP, UNLOAD, Peer, memfd

PROGRAM, MAKE_BUNDLE = sys.argv[1:3]
EINVAL, ENOENT, EBUSY, EBADMSG, EPROTONOSUPPORT = -22, -2, -16, -74, -93


def read(path):
    with open(path, "rb") as file:
        return file.read()


class House(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gyr-house-")
        self.addCleanup(self.folder.cleanup)
        self.run_dir = os.path.join(self.folder.name, "run")
        self.process = None
        self.addCleanup(self.kill)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=PATIENCE_S)

    def command(self, *more):
        port = f"net_memif0,role=server,id=0,socket={self.folder.name}/memif.sock,socket-abstract=no"
        return [PROGRAM, "--set", f"gyrd.run_dir={self.run_dir}", "--set", f"dataplane.port={port}", "--set", "dataplane.hugepages=off",
                "--set", "dataplane.memory_mb=64", "--set", "dataplane.mbufs=4096", *more]

    def start(self):
        reading, writing = os.pipe()
        self.process = subprocess.Popen([*self.command(), "--ready-fd", str(writing)], pass_fds=[writing], stderr=subprocess.PIPE, text=True)
        os.close(writing)
        with os.fdopen(reading) as ready:
            line = ready.readline()
        if line != "ready\n":
            self.fail(self.process.communicate(timeout=PATIENCE_S)[1])
        peer = Peer(self.run_dir)
        self.addCleanup(peer.close)
        return peer

    def end(self):
        """The exit status and what was logged, of one that is ending by itself."""
        log = self.process.communicate(timeout=PATIENCE_S)[1]
        return self.process.returncode, log

    def refused(self, *more):
        done = subprocess.run(self.command(*more), capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertNotEqual(done.returncode, 0)
        return done.returncode, done.stderr

    def test_life_of_a_version(self):
        bundle = os.path.join(self.folder.name, "bundle")
        subprocess.run([MAKE_BUNDLE, bundle], check=True)
        content = read(bundle)
        peer = self.start()
        status, _, body = peer.ask(HELLO)
        self.assertEqual(status, 0)
        self.assertEqual(body["pid"], self.process.pid)
        self.assertEqual(peer.ask(LOAD, "scale", 1, descriptors=[memfd(content)])[0], 0)
        self.assertEqual(peer.ask(LOAD, "scale", 1, descriptors=[memfd(content)])[0], 0)
        self.assertEqual(peer.ask(ROUTE, "scale", 0, [["stable", 2]])[0], ENOENT)
        self.assertEqual(peer.ask(ROUTE, "other", 0, [["stable", 1]])[0], ENOENT)
        self.assertEqual(peer.ask(ROUTE, "scale", 0, [["stable", 1]])[0], 0)
        status, text, _ = peer.ask(UNLOAD, "scale", 1)
        self.assertEqual(status, EBUSY)
        self.assertIn("stable", text)
        [model] = peer.ask(STATUS)[2]["models"]
        self.assertEqual((model["model"], model["labels"]), ("scale", {"stable": 1}))
        self.assertEqual([version["version"] for version in model["versions"]], [1])
        counters = peer.counters()
        self.addCleanup(os.close, counters)
        tables = stats_memory.read(counters)
        self.assertEqual(tables["pid"], self.process.pid)
        [plan] = tables["versions"]
        self.assertEqual((plan["model"], plan["version"], plan["id"], plan["requests"]), ("scale", 1, model["versions"][0]["id"], 0))
        self.assertEqual([row["model"] for row in tables["models"]], ["scale"])
        self.assertEqual((plan["precision"], plan["nodes"] >= plan["steps"] >= 1, plan["scratch_bytes"] % 64), ("f32", True, 0), plan)
        self.assertEqual(model["policy"], {"weight": 1, "priority": 4, "queue_limit": 0, "max_delay_us": 0})
        self.assertEqual(peer.ask(POLICY, "other", 0, [["weight", 2]])[0], ENOENT)
        self.assertEqual(peer.ask(POLICY, "scale", 0, [["weight", 0]])[0], EINVAL)
        self.assertEqual(peer.ask(POLICY, "scale", 0, [["speed", 1]])[0], EINVAL)
        self.assertEqual(peer.ask(POLICY, "scale", 0, [["weight", 2], ["priority", 7]])[0], 0)
        self.assertEqual(peer.ask(POLICY, "scale", 0, [["weight", 5], ["queue_limit", 9]])[0], 0)
        [model] = peer.ask(STATUS)[2]["models"]
        self.assertEqual(model["policy"], {"weight": 5, "priority": 4, "queue_limit": 9, "max_delay_us": 0})
        self.assertEqual(peer.ask(ROUTE, "scale", 0, [])[0], 0)
        self.assertEqual(peer.ask(UNLOAD, "scale", 1)[0], 0)
        self.assertEqual(peer.ask(STATUS)[2]["models"], [])
        tables = stats_memory.read(counters)
        self.assertEqual((tables["versions"], tables["models"]), ([], []))
        self.assertEqual((tables["house"][0]["house.loads"], tables["house"][0]["house.unloads"]), (1, 1))

    def test_counters_are_there_without_it(self):
        peer = self.start()
        counters = peer.counters()
        self.addCleanup(os.close, counters)
        with self.assertRaises(OSError):
            os.pwrite(counters, b"x", 0)
        first = stats_memory.read(counters)
        self.assertEqual([row["devargs"].split(",")[0] for row in first["ports"]], ["net_memif0"])
        self.assertGreater(len(first["lcores"]), 0)
        until = time.monotonic() + PATIENCE_S
        # Nobody asks, and the lcores' turns and the driver's figures are new all the same.
        while stats_memory.read(counters)["ports"][0]["copied_ns"] == first["ports"][0]["copied_ns"]:
            self.assertLess(time.monotonic(), until)
        self.assertGreater(stats_memory.read(counters)["lcores"][0]["polls"], first["lcores"][0]["polls"])
        self.process.send_signal(signal.SIGKILL)
        self.end()
        self.assertGreater(stats_memory.read(counters)["lcores"][0]["polls"], first["lcores"][0]["polls"])

    def test_a_service_manager_is_told(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(os.path.join(self.folder.name, "notify"))
            manager.settimeout(PATIENCE_S)
            os.environ.update(NOTIFY_SOCKET=manager.getsockname(), WATCHDOG_USEC="200000")
            try:
                peer = self.start()
            finally:
                del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
            self.assertEqual([manager.recv(100) for _ in range(4)], [b"READY=1"] + 3 * [b"WATCHDOG=1"])
            # One that stands still is not heard of any more.
            self.process.send_signal(signal.SIGSTOP)
            manager.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                while True:
                    self.assertEqual(manager.recv(100), b"WATCHDOG=1")
            self.process.send_signal(signal.SIGCONT)
            manager.settimeout(PATIENCE_S)
            self.assertEqual(manager.recv(100), b"WATCHDOG=1")
            # A load may take longer.
            peer.ask(LOAD, "scale", 1, descriptors=[memfd(b"x")])
            self.assertEqual(peer.ask(STOP)[0], 0)
            self.assertEqual(self.end()[0], 0)
            manager.settimeout(0)
            told = []
            with self.assertRaises(BlockingIOError):
                while True:
                    told.append(manager.recv(100))
        self.assertEqual([text for text in told if text != b"WATCHDOG=1"], [b"WATCHDOG_USEC=150000000\nWATCHDOG=1", b"WATCHDOG_USEC=200000\nWATCHDOG=1", b"STOPPING=1"])

    def test_choices_outlive_it(self):
        bundle, choices = os.path.join(self.folder.name, "bundle"), os.path.join(self.folder.name, "choices")
        subprocess.run([MAKE_BUNDLE, bundle, "dense"], check=True)
        content = read(bundle)
        descriptor = os.open(choices, os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, descriptor)
        peer = self.start()
        reading, writing = os.pipe()
        for bad in ([], [reading], [descriptor, descriptor]):
            self.assertEqual(peer.ask(CHOICES, descriptors=bad)[0], EINVAL)
        os.close(reading)
        os.close(writing)
        self.assertEqual(peer.ask(CHOICES, descriptors=[descriptor])[0], 0)
        self.assertEqual(read(choices), b"")
        self.assertEqual(peer.ask(LOAD, "dense", 1, descriptors=[memfd(content)])[0], 0)
        first = msgpack.unpackb(read(choices))
        self.assertGreater(len(first[2]), 1)
        self.assertEqual(peer.ask(STOP)[0], 0)
        self.end()
        # The next one finds them, measures no more, and leaves the file as it is.
        written = os.stat(choices).st_mtime_ns
        peer = self.start()
        self.assertEqual(peer.ask(CHOICES, descriptors=[descriptor])[0], 0)
        self.assertEqual(peer.ask(LOAD, "dense", 1, descriptors=[memfd(content)])[0], 0)
        self.assertEqual(os.stat(choices).st_mtime_ns, written)
        self.assertEqual(peer.ask(UNLOAD, "dense", 1)[0], 0)
        # What is no such file is measured over, and replaced.
        for junk in (b"junk", msgpack.packb(["1", "another CPU", []]), os.urandom(1 << 20)):
            with open(choices, "wb") as file:
                file.write(junk)
            self.assertEqual(peer.ask(CHOICES, descriptors=[descriptor])[0], 0)
        self.assertEqual(peer.ask(STOP)[0], 0)
        self.assertIn("plans measure anew", self.end()[1])
        peer = self.start()
        self.assertEqual(peer.ask(CHOICES, descriptors=[descriptor])[0], 0)
        self.assertEqual(peer.ask(LOAD, "dense", 1, descriptors=[memfd(content)])[0], 0)
        # The same is measured; what comes out may differ, and with it the tile width, which the next choices are named by.
        measured = lambda entries: {(entry[0], *entry[2:5], *entry[6:]) for entry in entries}
        self.assertEqual(measured(msgpack.unpackb(read(choices))[2]), measured(first[2]))

    def test_bad_packets_are_answered_and_survived(self):
        peer = self.start()
        for packet, expected in [(b"\xc1", EBADMSG), (b"\x96", EBADMSG), (msgpack.packb([2, HELLO, 7, "", 0, []]), EPROTONOSUPPORT),
                                 (msgpack.packb([1, 99, 7, "", 0, []]), EBADMSG), (b"\xc1" + os.urandom(65535), EBADMSG), (b"\x00" * 70000, EBADMSG)]:
            peer.send(packet)
            _, _, status, text, _ = peer.receive()
            self.assertEqual(status, expected, text)
            self.assertNotEqual(text, "")
        for descriptors, expected in [([], "one descriptor"), ([memfd(b"x"), memfd(b"x")], "one descriptor"), ([memfd(b"x", sealed=False)], "sealed"),
                                      ([os.open("/dev/null", os.O_RDONLY)], "sealed")]:
            status, text, _ = peer.ask(LOAD, "scale", 1, descriptors=descriptors)
            self.assertEqual(status, EINVAL)
            self.assertIn(expected, text)
        status, text, _ = peer.ask(LOAD, "scale", 1, descriptors=[memfd(os.urandom(8192))])
        self.assertEqual(status, EBADMSG)
        self.assertIn("scale version 1", text)
        # None of the descriptors that came was kept.
        kept = [os.readlink(f"/proc/{self.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.process.pid}/fd")]
        self.assertEqual([path for path in kept if "memfd:bundle" in path], [])

    def test_the_next_peer_is_served_when_one_dies(self):
        first = self.start()
        second = Peer(self.run_dir)
        self.addCleanup(second.close)
        second.send(msgpack.packb([1, HELLO, 1, "", 0, []]))
        self.assertEqual(first.ask(HELLO)[0], 0)
        first.close()
        self.assertEqual(second.receive()[2], 0)

    def test_stop_is_answered_and_ends(self):
        peer = self.start()
        self.assertEqual(peer.ask(STOP)[0], 0)
        code, log = self.end()
        self.assertEqual(code, 0, log)
        self.assertFalse(os.path.exists(os.path.join(self.run_dir, "dataplane.sock")))

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.start()
            self.process.send_signal(number)
            code, log = self.end()
            self.assertEqual(code, 0, log)
            self.assertFalse(os.path.exists(os.path.join(self.run_dir, "dataplane.sock")))

    def test_starts_over_one_that_was_killed(self):
        self.start()
        self.kill()
        self.assertTrue(os.path.exists(os.path.join(self.run_dir, "dataplane.sock")))
        self.assertEqual(self.start().ask(HELLO)[0], 0)

    def test_a_second_on_the_same_run_dir_is_refused(self):
        peer = self.start()
        code, log = self.refused()
        self.assertEqual(code, 1)
        self.assertIn("another gyr-dataplane", log)
        self.assertEqual(peer.ask(HELLO)[0], 0)

    def test_bad_ports_are_named(self):
        for port, expected in [("net_af_packet0,iface=no-such-if", "no-such-if"), ("net_nonsense0", "net_nonsense0"), ("0000:7f:1f.7", "vfio-pci"),
                               ("net_memif0,role=server,id=0,socket=/no/such/folder/memif.sock,socket-abstract=no", "socket="),
                               ("net_memif0,role=waiter", "net_memif0,role=waiter")]:
            code, log = self.refused("--set", f"dataplane.port={port}")
            self.assertEqual(code, 1, log)
            self.assertIn(f"port {port}: ", log)
            self.assertIn(expected, log)

    @unittest.skipUnless(os.geteuid() == 0, "an AF_PACKET port needs root")
    def test_an_mtu_that_the_port_does_not_take_is_named(self):
        _, log = self.refused("--set", "dataplane.port=net_af_packet0,iface=lo", "--set", "dataplane.mtu=9000")
        self.assertIn("an mtu of 46 to 1500", log)

    def test_bad_options_are_named(self):
        for option, expected in [("dataplane.nonsense=1", "nonsense"), ("dataplane.io_cpus=900", "900"), ("dataplane.mtu=1", "mtu"), ("mtu", "SECTION.KEY=VALUE")]:
            code, log = self.refused("--set", option)
            self.assertEqual(code, 2, log)
            self.assertIn(expected, log)
        self.assertEqual(self.refused("--ready-fd", "x")[0], 2)
        self.assertEqual(self.refused("surplus")[0], 2)

    def test_missing_hugepages_are_an_error_only_when_asked_for(self):
        free = sum(int(read(f"/sys/kernel/mm/hugepages/{size}/free_hugepages")) * int(re.findall(r"\d+", size)[0]) >> 10
                   for size in os.listdir("/sys/kernel/mm/hugepages"))
        code, log = self.refused("--set", "dataplane.hugepages=on", "--set", f"dataplane.memory_mb={free + 64}")
        self.assertEqual(code, 1)
        self.assertIn("/proc/sys/vm/nr_hugepages", log)

    def test_too_little_memory_is_named(self):
        code, log = self.refused("--set", "dataplane.mbufs=1048576")
        self.assertEqual(code, 1)
        self.assertIn("memory_mb", log)


unittest.main(argv=sys.argv[:1], verbosity=1)
