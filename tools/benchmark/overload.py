#!/usr/bin/env python3
"""tools/bench overload: what is left of an appliance when more is asked than it can do.

One fused lcore on the last CPU, gyr-load on CPU 0, memif. The net, convolutions over a small image, takes some fifty microseconds a row at any batch size, so that one generating core can ask ten times what the server can
do, and so that refusing the other nine tenths, which costs a parse and a reply each, can be a small part of the time: what a refusal costs is printed. All loads are Poisson streams (an open loop, a question asked once), each from clients with addresses of their own:

    peak       the highest goodput of closed loops with PEAK_IN_FLIGHT in flight: the capacity
    x2 x5 x10  so many times the capacity from LOAD_CLIENTS clients, for a while; a watcher beside asks a little, before, during and after. Goodput: all results while it lasts, over the peak. Recovery: from
               the load's end until the watcher's p99, window by window, is back within RECOVERED times what it is in quiet, and has stayed there for STEADY_WINDOWS
    polite     POLITE clients that together ask a third of the capacity; then the same with a greedy one beside, which alone asks ten times the capacity; in turns,
               the medians of POLITE_TURNS of each

The figures are medians of rounds in which all of them take turns, with the lowest and highest beside them.
"""
import argparse
import csv
import json
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from appliance import GYR_LOAD, Appliance, run  # noqa: E402
from figures import CPU_CLIENT, CPU_SERVER, Figures, conv_net, describe_machine, hugepages, install  # noqa: E402

MODEL, SIDE, CHANNELS, LAYERS = "heavy", 16, 32, 3
FACTORS = (2, 5, 10)
PEAK_IN_FLIGHT = (16, 64, 256)
LOAD_CLIENTS = 10
WATCHER_PART = 0.1  # of the capacity
POLITE, POLITE_PART, POLITE_TURNS = 9, 1 / 3, 5
GREEDY_FACTOR = 10
WINDOW_S = 0.005
RECOVERED, STEADY_WINDOWS = 2, 4


class Bench:
    def __init__(self, appliance, huge, seconds):
        self.appliance, self.seconds = appliance, seconds
        self.command = [GYR_LOAD, "--memif", appliance.memif, "--cpu", CPU_CLIENT, "--model", MODEL, "--tensor-bytes", 4 * SIDE**2, *(["--hugepages"] if huge else [])]
        self.seed = 0

    def load(self, *words):
        self.seed += 1
        answer = run(*self.command, "--json", "--seed", self.seed, *words, check=False, timeout=60)
        assert answer.stdout, answer.stderr
        report = json.loads(answer.stdout)
        assert report["answered"] > 0, answer.stderr
        return report

    def kind(self, report, stream):
        [kind] = [kind for kind in report["kinds"] if kind["stream"] == stream]
        return kind

    def peak(self):
        return max(self.load("--in-flight", count, "--clients", LOAD_CLIENTS, "--seconds", self.seconds / 2)["answers_per_second"] for count in PEAK_IN_FLIGHT)

    def quiet(self, capacity):
        return self.load("--rate", WATCHER_PART * capacity, "--poisson", "--seconds", self.seconds)["round_trip_ns"]["p99"]

    def overloaded(self, capacity, factor, quiet_p99):
        begin, end = 0.3 * self.seconds, 1.3 * self.seconds
        with tempfile.NamedTemporaryFile(suffix=".csv") as rows:
            load = f"name=load,rate={factor * capacity},poisson,clients={LOAD_CLIENTS},from={begin},until={end}"
            report = self.load("--rate", WATCHER_PART * capacity, "--poisson", "--seconds", 1.8 * self.seconds, "--stream", load, "--window", WINDOW_S, f"--csv={rows.name}")
            with open(rows.name) as file:
                windows = list(csv.DictReader(file))
        kind = self.kind(report, "load")
        # The first tenth is left to the controls to find out in.
        steady = [row for row in windows if row["stream"] == "all" and begin + 0.1 * self.seconds <= float(row["begin_s"]) and float(row["end_s"]) <= end]
        goodput = sum(int(row["answered"]) for row in steady) / sum(float(row["end_s"]) - float(row["begin_s"]) for row in steady)
        turned_away = 1 - kind["answered"] / kind["asked"]
        after = [row for row in windows if row["stream"] == "main" and float(row["end_s"]) > end]
        slow = [int(row["p99_ns"]) > RECOVERED * quiet_p99 for row in after]
        steady_from = next((i for i in range(len(slow) - STEADY_WINDOWS + 1) if not any(slow[i : i + STEADY_WINDOWS])), len(slow))
        recovered = float(after[steady_from - 1]["end_s"]) - end if steady_from > 0 else 0.0
        refusal = max(0.0, 1 - goodput / capacity) / ((factor + WATCHER_PART) * capacity - goodput)
        return {
            "goodput_of_peak": (goodput / capacity, "ratio"),
            "accepted_p50": (kind["round_trip_ns"]["p50"] / 1e3, "us"),
            "accepted_p99": (kind["round_trip_ns"]["p99"] / 1e3, "us"),
            "busy": (kind["busy"] / kind["asked"], "of what was asked"),
            "lost": (kind["lost"] / kind["asked"], "of what was asked"),
            "unsent": (report["unsent"] / report["asked"], "of what was asked"),
            "turned_away": (turned_away, "of what was asked"),
            "refusal": (refusal * 1e9, "ns"),
            "watcher_answered": (self.kind(report, "main")["answered"] / self.kind(report, "main")["asked"], "of what was asked"),
            "recovery": (1e3 * recovered, "ms"),
            "late_p99": (report["late_ns"]["p99"] / 1e3, "us"),
        }

    def polite(self, capacity):
        words = ["--rate", POLITE_PART * capacity, "--poisson", "--clients", POLITE, "--seconds", self.seconds / 2]
        alone, beside, answered, greedy_rate = [], [], [], []
        for _ in range(POLITE_TURNS):
            alone.append(self.load(*words)["round_trip_ns"]["p99"] / 1e3)
            report = self.load(*words, "--stream", f"name=greedy,rate={GREEDY_FACTOR * capacity},poisson")
            kind = self.kind(report, "main")
            beside.append(kind["round_trip_ns"]["p99"] / 1e3)
            answered.append(kind["answered"] / kind["asked"])
            greedy_rate.append(self.kind(report, "greedy")["answers_per_second"] / capacity)
        return {
            "polite.p99_alone": (median(alone), "us"),
            "polite.p99_beside_greedy": (median(beside), "us"),
            "polite.p99_over_alone": (median(beside) / median(alone), "ratio"),
            "polite.answered": (median(answered), "of what was asked"),
            "greedy.answered_of_peak": (median(greedy_rate), "ratio"),
        }

    def round(self):
        capacity = self.peak()
        quiet = self.quiet(capacity)
        yield "peak", capacity, "/s"
        yield "quiet.p99", quiet / 1e3, "us"
        for factor in FACTORS:
            for name, (value, unit) in self.overloaded(capacity, factor, quiet).items():
                yield f"x{factor}.{name}", value, unit
        for name, (value, unit) in self.polite(capacity).items():
            yield name, value, unit


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    rounds, seconds = (1, 0.5) if options.short else (5, 1.0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    figures, values, units = Figures(), {}, {}
    with hugepages() as huge:
        machine = describe_machine(huge)
        settings = {"dataplane.hugepages": "on" if huge else "off", "dataplane.io_cpus": CPU_SERVER, "dataplane.engine_cpus": CPU_SERVER, "gyrd.control_cpus": CPU_CLIENT}
        with Appliance("memif", settings) as appliance:
            install(appliance, MODEL, conv_net(MODEL, SIDE, CHANNELS, LAYERS))
            bench = Bench(appliance, huge, seconds)
            for _ in range(rounds):
                for name, value, unit in bench.round():
                    values.setdefault(name, []).append(value)
                    units[name] = unit
    for name, seen in values.items():
        figures.add(f"overload.{name}", seen, units[name])
    figures.add("overload.goodput_of_peak", values[f"x{FACTORS[-1]}.goodput_of_peak"], "ratio")
    if options.json:
        figures.write(options.json, machine)


if __name__ == "__main__":
    main()
