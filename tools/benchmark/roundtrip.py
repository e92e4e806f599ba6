#!/usr/bin/env python3
"""tools/bench roundtrip: one request in flight, Gyr over the port's own echo, in rounds that take turns.

Two busy processes, the echo and the data plane, share the last CPU, and one of them is stopped (SIGSTOP) while the other is asked; the client runs on CPU 0. So each round
measures all of them within a few seconds of each other, and a drift of the machine touches all alike. The figures are medians of the rounds, with the lowest and highest beside them.
The stages of one request (roundtrip.MODEL.STAGE.p50) are what the data plane counted in each round, its warm-up included.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from appliance import GYR_LOAD, PORT, TOP, Appliance, run  # noqa: E402
import stages  # noqa: E402
from figures import CPU_CLIENT, CPU_SERVER, Figures, dense_net, describe_machine, hugepages, install  # noqa: E402

BENCH = TOP / "build/release/tools/benchmark"
SIZES = (100, 200, 100)
REQUEST_FLOATS = SIZES[0]
QUANTILES = ("p50", "p99", "p999")


def null_model():
    """Does nothing: what is left is the way of a request."""
    row = lambda label: helper.make_tensor_value_info(label, TensorProto.FLOAT, ["N", REQUEST_FLOATS])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "null", [row("x")], [row("y")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Echo:
    """The echoing port, on the same CPU as the data plane."""

    def __init__(self, socket, memory):
        devargs = f"net_memif0,role=server,id=0,socket={socket},socket-abstract=no"
        self.process = subprocess.Popen([BENCH / "gyr-bench-echo", str(CPU_SERVER), devargs, *memory], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "gyr-bench-echo did not start"

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()


def ask(command, count):
    """One measurement: {quantile: ns}. A lost or wrong answer ends the bench."""
    words = [*command, "--json", "--cpu", CPU_CLIENT, "--count", count, "--warm-up", count // 10]
    answer = json.loads(run(*words, timeout=120).stdout)
    return {quantile: answer["round_trip_ns"][quantile] for quantile in QUANTILES}


def bare_kernel_ns():
    """The net's time in this process, on the CPU that serves."""
    nets = subprocess.run([sys.executable, Path(__file__).parent / "nets" / "make.py"], check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.strip()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        run("taskset", "-c", CPU_SERVER, BENCH / "gyr-bench-infer", "--list", nets, "--short", "--net", "100-200-100", "--batch", "1", "--json", file.name,
            timeout=300)
        figures = json.loads(Path(file.name).read_text())["figures"]
    return next(row["value"] for row in figures if row["name"] == "infer.100-200-100.b1.ns")


def over_memif(figures, rounds, count, huge):
    settings = {
        "dataplane.hugepages": "on" if huge else "off",
        "dataplane.io_cpus": CPU_SERVER,
        "dataplane.engine_cpus": CPU_SERVER,
        "gyrd.control_cpus": CPU_CLIENT,
    }
    memory = ["--no-pci", *(["--in-memory"] if huge else ["--no-huge", "--no-shconf", "-m", "64"])]
    with Appliance("memif", settings) as appliance:
        install(appliance, "null", null_model())
        install(appliance, "mlp100", dense_net("mlp100", SIZES))
        echo_socket = appliance.folder / "echo.sock"
        echo, dataplane = Echo(echo_socket, memory), None
        try:
            load = [GYR_LOAD, "--tensor-bytes", 4 * REQUEST_FLOATS, *(["--hugepages"] if huge else [])]
            gyr = [*load, "--memif", appliance.memif]
            commands = {
                "echo": ([*load, "--memif", echo_socket, "--echo"], echo.process.pid),
                "null": ([*gyr, "--model", "null"], appliance.dataplane_pid()),
                "mlp100": ([*gyr, "--model", "mlp100"], appliance.dataplane_pid()),
            }
            pids = {pid for _, pid in commands.values()}
            dataplane = commands["null"][1]
            seen, kernel = {name: [] for name in commands}, []
            counted = {name: [] for name in commands if name != "echo"}
            for _ in range(rounds):
                for name, (command, pid) in commands.items():
                    for other in pids - {pid}:
                        os.kill(other, signal.SIGSTOP)
                    os.kill(pid, signal.SIGCONT)
                    before = stages.read(appliance, name) if name in counted else None
                    seen[name].append(ask(command, count))
                    if before:
                        counted[name].append(stages.between(before, stages.read(appliance, name)))
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                kernel.append(bare_kernel_ns())
        finally:
            if dataplane:
                os.kill(dataplane, signal.SIGCONT)
            echo.close()
    for name, rows in seen.items():
        for quantile in QUANTILES:
            figures.add(f"roundtrip.{name}.{quantile}", [row[quantile] for row in rows], "ns")
    figures.add("roundtrip.mlp100.kernel", kernel, "ns")
    for name, rows in counted.items():
        for stage in stages.STAGES:
            for label, share in (("p50", 0.5), ("p99", 0.99)):
                figures.add(f"roundtrip.{name}.{stage}.{label}", [stages.quantile(row[stage], share) for row in rows], "ns")
    for quantile in QUANTILES:
        figures.add(f"roundtrip.null.{quantile}_over_echo", [n[quantile] / e[quantile] for n, e in zip(seen["null"], seen["echo"])], "ratio")
    for quantile in QUANTILES:
        floors = [e[quantile] + k for e, k in zip(seen["echo"], kernel)]
        figures.add(f"roundtrip.mlp100.{quantile}_over_floor", [m[quantile] / f for m, f in zip(seen["mlp100"], floors)], "ratio")
    figures.add("roundtrip.mlp100.p50_over_aim", [m["p50"] / (e["p50"] + 2 * k) for m, e, k in zip(seen["mlp100"], seen["echo"], kernel)], "ratio")


class Peer:
    """UDP and ONNX Runtime in C, on the same CPU as the data plane, behind a veth of its own."""

    ADDRESS, CLIENT = "198.51.100.1", "198.51.100.2"

    def __init__(self, network, model):
        run("ip", "link", "add", "peer0", "type", "veth", "peer", "name", "peer1")
        run("ip", "addr", "add", f"{self.ADDRESS}/24", "dev", "peer0")
        run("ip", "link", "set", "peer0", "up")
        run("ip", "link", "set", "peer1", "netns", network.holder.pid)
        network.run("ip", "addr", "add", f"{self.CLIENT}/24", "dev", "peer1")
        network.run("ip", "link", "set", "peer1", "up")
        words = ["taskset", "-c", CPU_SERVER, BENCH / "gyr-bench-udp-ort", self.ADDRESS, PORT, model, REQUEST_FLOATS]
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "gyr-bench-udp-ort did not start"

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()
        run("ip", "link", "del", "peer0", check=False)


def over_udp(figures, rounds, count):
    settings = {"dataplane.io_cpus": CPU_SERVER, "dataplane.engine_cpus": CPU_SERVER, "gyrd.control_cpus": CPU_CLIENT}
    with Appliance("af_xdp", settings) as appliance:
        install(appliance, "mlp100", dense_net("mlp100", SIZES))
        peer = Peer(appliance.network, appliance.folder / "mlp100.onnx")
        dataplane = appliance.dataplane_pid()
        try:
            words = ["--model", "mlp100", "--tensor-bytes", 4 * REQUEST_FLOATS]
            gyr = appliance.load_command(*words)
            ort = appliance.client_command(GYR_LOAD, "--server", f"{Peer.ADDRESS}:{PORT}", *words)
            ways = {
                "udp": ([*gyr, "--busy-poll"], dataplane),
                "udp_ort": ([*ort, "--busy-poll"], peer.process.pid),
                "udp_blocking": (gyr, dataplane),
                "udp_ort_blocking": (ort, peer.process.pid),
            }
            seen = {name: [] for name in ways}
            for _ in range(rounds):
                for name, (command, pid) in ways.items():
                    os.kill(peer.process.pid if pid == dataplane else dataplane, signal.SIGSTOP)
                    os.kill(pid, signal.SIGCONT)
                    seen[name].append(ask(command, count))
        finally:
            os.kill(dataplane, signal.SIGCONT)
            peer.close()
    for name, rows in seen.items():
        for quantile in QUANTILES:
            figures.add(f"roundtrip.{name}.{quantile}", [row[quantile] for row in rows], "ns")
    for way in ("udp", "udp_blocking"):
        for quantile in QUANTILES:
            pairs = zip(seen[way], seen[way.replace("udp", "udp_ort")])
            figures.add(f"roundtrip.{way}.{quantile}_over_ort", [g[quantile] / o[quantile] for g, o in pairs], "ratio")


def codec(figures, rounds):
    """What parsing a request of 100 floats takes, and packing its result."""
    seen = {}
    for _ in range(rounds):
        for line in run(BENCH / "gyr-bench-wire", CPU_SERVER, timeout=60).stdout.splitlines():
            name, value = line.split("\t")
            seen.setdefault(name, []).append(float(value))
    for name, values in seen.items():
        figures.add(f"roundtrip.{name}", values, "ns")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    rounds, count = (3, 50_000) if options.short else (9, 300_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    figures = Figures()
    with hugepages() as huge:
        machine = describe_machine(huge)
        codec(figures, rounds)
        over_memif(figures, rounds, count, huge)
        over_udp(figures, rounds, count // 3)
    if options.json:
        figures.write(options.json, machine)


if __name__ == "__main__":
    main()
