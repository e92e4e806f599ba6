#!/usr/bin/env python3
"""tools/bench swap: what clients feel of versions that swap.

One fused lcore on the last CPU, a plain UDP client on CPU 0 through AF_XDP, and on that CPU too, below the client, all of the control plane: the house thread that compiles, and this program, which is gyrd's end of
the link. The client asks at an even rate, whatever comes back, and checks every answer against the net of the version that it names. Runs without swaps and with one each SWAP_S (load, route, unload of the one before
the one before) take turns; both ask the same. Figures are medians of the rounds, with the lowest and highest beside them:

    p50, p99   of round trips, steady and while versions swap; p99_over_steady: of the two in one round
    lost       questions without an answer; wrong: answers that are not of the version that they name, or went back to an older version
    load       from the request to load a version until it may be routed to; route: until it is
"""
import argparse
import os
import shutil
import signal
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from appliance import Appliance, run  # noqa: E402
from figures import CPU_CLIENT, CPU_SERVER, Figures, dense_net, describe_machine  # noqa: E402
from link_peer import LOAD, ROUTE, UNLOAD, Peer, memfd  # noqa: E402

SIZES = (100, 200, 100)
NETS = 2
ROWS = 64
RATE = 5000
SWAP_S = 0.1


def compute(net, x):
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in net.graph.initializer}
    for i in range(len(SIZES) - 1):
        x = x @ weights[f"w{i}"] + weights[f"b{i}"]
        x = numpy.maximum(x, 0) if i < len(SIZES) - 2 else x
    return x


class Bench:
    def __init__(self, appliance, seconds):
        self.appliance, self.seconds = appliance, seconds
        folder = appliance.folder
        rows, answers, self.bundles = numpy.random.default_rng(2).random((ROWS, SIZES[0]), dtype=numpy.float32), [], []
        for i in range(NETS):
            net = dense_net("net", SIZES, seed=i)
            onnx.save(net, folder / "net.onnx")
            appliance.ctl("model", "import", "net", folder / "net.onnx")
            appliance.ctl("model", "export", "net", i + 1, folder / "net.gyr")
            self.bundles.append((folder / "net.gyr").read_bytes())
            answers.append(compute(net, rows))
        numpy.save(folder / "asked.npy", rows)
        numpy.save(folder / "expected.npy", numpy.concatenate(answers))
        appliance.ctl("stop", "--keep-dataplane")
        appliance.daemon.wait(20)
        self.peer = Peer(str(folder / "run"))
        self.loads, self.routes = [], []
        self.served, self.before = 0, None
        self.swap()
        # The client comes before the control plane on the CPU that they share.
        first = ["chrt", "--fifo", "10"] if shutil.which("chrt") and run("chrt", "--fifo", "10", "true", check=False).returncode == 0 else []
        words = ["--model", "net", "--inputs", folder / "asked.npy", "--outputs", folder / "expected.npy", "--cpu", CPU_CLIENT, "--rate", RATE, "--attempts", 5,
                 "--warm-up", RATE // 10, "--seconds", seconds, "--json"]
        command = appliance.load_command(*words)
        self.command = [str(word) for word in [*command[:-len(words) - 3], *first, *command[-len(words) - 3:]]]

    def ask(self, *request):
        began = time.perf_counter()
        status, text, _ = self.peer.ask(*request)
        assert status == 0, text
        return time.perf_counter() - began

    def swap(self):
        version = self.served + 1
        descriptor = memfd(self.bundles[version % NETS])
        self.loads.append(self.ask(LOAD, "net", version, [], [descriptor]))
        os.close(descriptor)
        self.routes.append(self.ask(ROUTE, "net", 0, [["stable", version]]))
        if self.before is not None:
            self.ask(UNLOAD, "net", self.before)
        self.before, self.served = self.served or None, version

    def load(self, swapping):
        asking = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        due, swaps = time.monotonic(), 0
        while asking.poll() is None and swapping:
            self.swap()
            swaps += 1
            due += SWAP_S
            try:
                asking.wait(max(0, due - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
        out, errors = asking.communicate(timeout=60)
        assert out, errors
        report = json.loads(out)
        assert report["answered"] > 0, errors
        return report, swaps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    rounds, seconds = (2, 0.5) if options.short else (31, 1.0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    figures, machine = Figures(), describe_machine(False)
    settings = {"dataplane.io_cpus": CPU_SERVER, "dataplane.engine_cpus": CPU_SERVER, "gyrd.control_cpus": CPU_CLIENT}
    values = {}
    with Appliance("af_xdp", settings) as appliance:
        bench = Bench(appliance, seconds)
        for i in range(rounds):
            # Which is first changes, so that neither always has what the other left.
            for name in ("steady", "swapping") if i % 2 == 0 else ("swapping", "steady"):
                report, swaps = bench.load(name == "swapping")
                trip = report["round_trip_ns"]
                for figure, value in {"p50": trip["p50"] / 1e3, "p99": trip["p99"] / 1e3, "lost": report["lost"], "wrong": report["wrong"] + report["went_back"], "swaps": swaps}.items():
                    values.setdefault(f"{name}.{figure}", []).append(value)
        for name in ("steady", "swapping"):
            for percentile in ("p50", "p99"):
                figures.add(f"swap.{name}.{percentile}", values[f"{name}.{percentile}"], "us")
        for percentile in ("p50", "p99"):
            ratios = [b / a for a, b in zip(values[f"steady.{percentile}"], values[f"swapping.{percentile}"])]
            figures.add(f"swap.{percentile}_over_steady", ratios, "ratio")
        figures.add("swap.swaps", values["swapping.swaps"], "a run")
        figures.add("swap.load", [1e3 * value for value in bench.loads], "ms")
        figures.add("swap.route", [1e3 * value for value in bench.routes], "ms")
        figures.add("swap.steady.lost", [sum(values["steady.lost"])], "of all runs")
        figures.add("swap.lost", [sum(values["swapping.lost"])], "of all runs")
        figures.add("swap.wrong", [sum(values["steady.wrong"] + values["swapping.wrong"])], "of all runs")
        bench.peer.close()
    if options.json:
        figures.write(options.json, machine)


if __name__ == "__main__":
    main()
