#!/usr/bin/env python3
"""tools/bench throughput: how much of the engine's own speed is left for questions that come one by one, and how near an ideal queue the load may come.

One fused lcore on the last CPU, gyr-load on CPU 0, memif, the 100-200-100 net in f32, one row a question.

    rate     answers a second with 64 questions in flight (closed loop)
    batch    the bare engine's rows a second on the same CPU, at the batch size that a turn of the loop makes of 64 (tools/bench infer), in turns with it while the data plane stands still
    service  what one question takes the server by its own clock, from its arrival until its answer is made: the p50 of one in flight, with --timing
    held     the highest rate of Poisson arrivals at which gyr-load's p99, its own way to the server and back included, is at most LIMIT times the service time
    ideal    the rate at which a single server without batches, that takes exactly the service time for each (M/D/1), has that p99: Erlang's distribution of the wait, solved for the load
"""
import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from appliance import GYR_LOAD, TOP, Appliance, run  # noqa: E402
from figures import CPU_CLIENT, CPU_SERVER, Figures, dense_net, describe_machine, hugepages, install  # noqa: E402

INFER = TOP / "build/release/tools/benchmark/gyr-bench-infer"
NET, SIZES = "100-200-100", (100, 200, 100)
MODEL = "mlp100"
IN_FLIGHT = 64
BATCHES = (32, 64)
TRIAL_S = 0.1  # short, so that many find the machine undisturbed
LIMIT = 10  # times the service time: the p99 to hold


def wait_at_most(times, load):
    """The part of questions that wait at most TIMES service times in an M/D/1 queue. Source: A. K. Erlang, "The theory of probabilities and telephone conversations", 1909, for one line."""
    terms = ((-load * (times - k)) ** k / math.factorial(k) * math.exp(load * (times - k)) for k in range(int(times) + 1))
    return (1 - load) * math.fsum(terms)


def ideal_load(limit, part=0.99):
    """The load at which PART of the questions have left an M/D/1 queue within LIMIT service times, their own included."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if wait_at_most(limit - 1, middle) >= part else (low, middle)
    return low


class Bench:
    def __init__(self, appliance, huge, seconds):
        self.appliance, self.seconds = appliance, seconds
        self.dataplane = appliance.dataplane_pid()
        self.command = [GYR_LOAD, "--memif", appliance.memif, "--cpu", CPU_CLIENT, "--model", MODEL, "--tensor-bytes", 4 * SIZES[0], *(["--hugepages"] if huge else [])]

    def load(self, *words):
        answer = run(*self.command, "--json", *words, check=False, timeout=80)
        assert answer.stdout, answer.stderr
        return json.loads(answer.stdout)

    def rate(self):
        report = self.load("--in-flight", IN_FLIGHT, "--seconds", self.seconds)
        assert report["lost"] == 0, report
        return report["answers_per_second"]

    def service_ns(self):
        return self.load("--timing", "--seconds", self.seconds)["timing_ns"]["served"]["p50"]

    def held(self, service_ns, rate):
        words = [] if rate is None else ["--rate", rate]
        return self.load("--find-rate", "--poisson", "--p99-us", LIMIT * service_ns / 1e3, "--seconds", self.seconds, *words)["found"]

    def batch_ns(self, nets, batch):
        """One run of the bare engine, while the data plane stands still."""
        os.kill(self.dataplane, signal.SIGSTOP)
        try:
            with tempfile.NamedTemporaryFile(suffix=".json") as file:
                run("taskset", "-c", CPU_SERVER, INFER, "--list", nets, "--short", "--net", NET, "--batch", batch, "--json", file.name, timeout=80)
                figures = json.loads(Path(file.name).read_text())["figures"]
        finally:
            os.kill(self.dataplane, signal.SIGCONT)
        return next(row["value"] for row in figures if row["name"] == f"infer.{NET}.b{batch}.ns")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    rounds, searches, seconds = (2, 1, 0.2) if options.short else (5, 3, 0.5)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    figures, rates, services, finds, batches = Figures(), [], [], [], {batch: [] for batch in BATCHES}
    nets = subprocess.run([sys.executable, Path(__file__).parent / "nets/make.py"], check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.strip()
    with hugepages() as huge:
        machine = describe_machine(huge)
        settings = {"dataplane.hugepages": "on" if huge else "off", "dataplane.io_cpus": CPU_SERVER, "dataplane.engine_cpus": CPU_SERVER, "gyrd.control_cpus": CPU_CLIENT}
        with Appliance("memif", settings) as appliance:
            install(appliance, MODEL, dense_net(MODEL, SIZES))
            bench = Bench(appliance, huge, seconds)
            for _ in range(rounds):
                rates.append(bench.rate())
                services.append(bench.service_ns())
                for batch in BATCHES:
                    batches[batch].append(batch * 1e9 / bench.batch_ns(nets, batch))
            rate = None
            for _ in range(searches):
                found = bench.held(sorted(services)[rounds // 2], rate)
                finds.append(found["rate"])
                rate = found["rate"] or None
    service = sorted(services)[rounds // 2]
    ideal = ideal_load(LIMIT) * 1e9 / service
    figures.add("throughput.rate", rates, "/s")
    for batch, rows in batches.items():
        figures.add(f"throughput.batch{batch}", rows, "/s")
    best = max(batches, key=lambda batch: sorted(batches[batch])[rounds // 2])
    figures.add("throughput.rate_over_batch", [rate / rows for rate, rows in zip(rates, batches[best])], "ratio")
    figures.add("throughput.service", services, "ns")
    figures.add("throughput.ideal_load", [ideal_load(LIMIT)], "ratio")
    figures.add("throughput.ideal", [ideal], "/s")
    figures.add("throughput.held", finds, "/s")
    figures.add("throughput.of_queue_ideal", [rate / ideal for rate in finds], "ratio")
    if options.json:
        figures.write(options.json, machine)


if __name__ == "__main__":
    main()
