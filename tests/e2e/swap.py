"""Versions swap under a client that asks all the time and checks every answer: nothing is lost, doubled, mixed or wrong, no version comes back, and memory ends
where it began.

usage: swap.py fused|separate

First the whole way: gyrctl promotes and unloads, so that loading is part of each swap. Then gyrd goes and the test takes its end of the link, where swaps are
as fast as the data plane makes them and versions only count up; separate: two engine lcores, between which a client's questions go to and fro. In the end gyrd
comes back, and finds a data plane that serves what the registry does not know.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy

import common
from appliance import Appliance, wait_for
from link_peer import LOAD, ROUTE, STATUS, UNLOAD, Peer, memfd

PROMOTIONS = 10_000 if common.LONG else 30
SWAPS = 10_000 if common.LONG else 300
NETS = 3             # version V has the weights of net V modulo NETS
GROWTH_KB = 4096     # a fifth of the swaps in, memory has found its size
LAYOUTS = {"fused": {}, "separate": {"dataplane.io_cpus": 1, "dataplane.engine_cpus": "1,1"}}


class Asking:
    """gyr-load, which asks until finish()."""

    def __init__(self, appliance, inputs, outputs):
        command = appliance.load_command("--model", "net", "--inputs", inputs, "--outputs", outputs, "--in-flight", 4, "--timeout-ms", 1000, "--repeat", "--json")
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def finish(self, what):
        self.process.terminate()
        report = json.loads(self.process.communicate(timeout=20)[0])
        print(f"{what}: {report['answered']} answers, lost {report['lost']}, doubled {report['doubled']}, wrong {report['wrong']}, from an older version {report['went_back']}")
        for bad in ("lost", "doubled", "malformed", "wrong", "stray"):
            assert report[bad] == 0, (bad, report)
        assert not any(report["errors"].values()), report["errors"]
        return report


class Memory:
    """How much a process holds once it has found its size, and in the end."""

    def __init__(self, pid, swaps):
        self.pid, self.at, self.begin, self.files = pid, swaps // 5, None, None

    def look(self):
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")), len(os.listdir(f"/proc/{self.pid}/fd"))

    def swapped(self, i):
        if i == self.at:
            self.begin, self.files = self.look()

    def check(self):
        end, files = self.look()
        print(f"memory {self.begin} -> {end} kB, {self.files} -> {files} descriptors")
        assert end - self.begin < GROWTH_KB, "memory grew"
        assert files <= self.files, "descriptors were kept"


def prepare(appliance):
    """The nets as versions 1 to NETS, as bundles, and what is asked and expected: part V of the outputs is net V's, counted modulo NETS."""
    folder = appliance.folder
    rows = numpy.random.default_rng(8).random((64, 100), dtype=numpy.float32)
    computes = {}
    for version in range(1, NETS + 1):
        computes[version % NETS] = common.dense_model(folder / "net.onnx", (100, 200, 100), version)
        appliance.ctl("model", "import", "net", folder / "net.onnx")
        appliance.ctl("model", "export", "net", version, folder / f"{version % NETS}.gyr")
    numpy.save(folder / "asked.npy", rows)
    numpy.save(folder / "expected.npy", numpy.concatenate([computes[i](rows) for i in range(NETS)]))
    return [(folder / f"{i}.gyr").read_bytes() for i in range(NETS)]


def promote(appliance):
    memory = Memory(appliance.dataplane_pid(), PROMOTIONS)
    appliance.ctl("promote", "net", "1")
    asking = Asking(appliance, appliance.folder / "asked.npy", appliance.folder / "expected.npy")
    for i in range(PROMOTIONS):
        appliance.ctl("promote", "net", i % NETS + 1)
        # The version before is dropped every time, so that loading is part of every swap.
        if i > 0:
            appliance.ctl("unload", "net", (i - 1) % NETS + 1)
        memory.swapped(i)
    report = asking.finish(f"{PROMOTIONS} promotions")
    assert sorted(v["version"] for v in report["versions"]) == [1, 2, 3], report["versions"]
    memory.check()


def swap(appliance, bundles):
    pid = appliance.dataplane_pid()
    appliance.ctl("stop", "--keep-dataplane")
    assert appliance.daemon.wait(20) == 0, appliance.log_text()
    peer = Peer(str(appliance.folder / "run"))
    memory = Memory(pid, SWAPS)
    served = peer.ask(STATUS)[2]["models"][0]["labels"]["stable"]
    before = None
    asking = Asking(appliance, appliance.folder / "asked.npy", appliance.folder / "expected.npy")
    for i in range(SWAPS):
        version = NETS + 1 + i
        descriptor = memfd(bundles[version % NETS])
        for request in ((LOAD, "net", version, [], [descriptor]), (ROUTE, "net", 0, [["stable", version]]), *([(UNLOAD, "net", before)] if before else [])):
            status, text, _ = peer.ask(*request)
            assert status == 0, (request, text)
        os.close(descriptor)
        # The version before stays warm; the one before that is gone.
        before, served = served, version
        memory.swapped(i)
    report = asking.finish(f"{SWAPS} swaps over the link")
    assert report["went_back"] == 0, report
    assert report["versions"][-1]["answers"] > 0
    memory.check()
    held = [version["version"] for version in peer.ask(STATUS)[2]["models"][0]["versions"]]
    assert held == [before, served], held
    peer.close()
    return pid


def come_back(appliance, pid):
    """gyrd finds versions that are not the registry's, loads those that are, and only then lets go."""
    asking = Asking(appliance, appliance.folder / "asked.npy", appliance.folder / "expected.npy")
    appliance.start()
    wait_for("what the registry says", lambda: appliance.ctl_json("status")["dataplane"]["settled"])
    report = asking.finish("gyrd comes back")
    assert appliance.dataplane_pid() == pid, "the data plane was started anew"
    assert "not this registry's" in appliance.log_text()
    label = appliance.ctl_json("model", "list")[0]["labels"][0]
    assert report["versions"][-1]["version"] == label["version"] <= NETS, (report["versions"], label)
    counters = appliance.ctl_json("status")["dataplane"]["status"]["counters"]
    assert counters["route.stuck"] == 0


def main():
    common.need_root()
    with Appliance("af_xdp", LAYOUTS[sys.argv[1]]) as appliance:
        bundles = prepare(appliance)
        promote(appliance)
        pid = swap(appliance, bundles)
        come_back(appliance, pid)
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
