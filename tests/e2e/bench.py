"""The benches of whole appliances in their short form: each runs to its end and prints its figures, to the terminal and as JSON. What they measure is judged nowhere here.

usage: bench.py GROUP
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import common

# A figure of each part of the bench.
FIGURES = {
    "load": ["file", "fio", "fio_plain", "ready", "of_fio", "of_fio_plain", "peak"],
    "overload": ["peak", "quiet.p99", "x2.goodput_of_peak", "x5.accepted_p99", "x10.goodput_of_peak", "goodput_of_peak", "x10.recovery", "polite.p99_over_alone"],
    "swap": ["p99_over_steady", "swapping.p99", "load", "swaps"],
    "roundtrip": ["parse", "pack", "null.p50_over_echo", "null.parsed.p50", "null.sent.p99", "mlp100.computed.p50", "mlp100.computed.p99", "mlp100.p99_over_floor", "udp.p50_over_ort"],
    "throughput": ["rate", "batch32", "rate_over_batch", "service", "held", "of_queue_ideal"],
}


def main():
    [group] = sys.argv[1:]
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        bench = subprocess.run([sys.executable, common.TOP / "tools/benchmark" / f"{group}.py", "--short", "--json", file.name], capture_output=True, text=True, timeout=220)
        assert bench.returncode == 0, bench.stdout + bench.stderr
        told = json.loads(Path(file.name).read_text())
    lines = dict(line.split("\t")[:2] for line in bench.stdout.splitlines())
    figures = {row["name"]: row["value"] for row in told["figures"]}
    assert told["machine"]["cpus"] == int(lines["machine.cpus"])
    for name in FIGURES[group]:
        name = f"{group}.{name}"
        # What was never slow has recovered after no time at all; a machine that stands still now and then holds no rate.
        may_be_zero = name.endswith((".recovery", ".held", ".of_queue_ideal"))
        assert figures[name] > 0 or (figures[name] == 0 and may_be_zero), (name, figures[name])
        assert abs(float(lines[name]) - figures[name]) <= 0.5, (name, lines.get(name), figures.get(name))
    print(f"{group}: {len(figures)} figures")


if __name__ == "__main__":
    sys.exit(main())
