"""A bundle of 1 GiB from its file to a version that may serve: over what fio reads of that file with io_uring and O_DIRECT.

usage: load.py [--short] [--json FILE] [--megabytes N]

Taken in turns, in one run: fio, with the loader's depth and size of reads, from plain buffers and into registered ones; then gyrctl load in an appliance whose lcore sleeps, from the call to its end. The version has been imported before and is
unloaded after each round; the first round is not counted. The memory is the most that gyrd and the data plane had together, above what they had before; what is packed is what the data plane keeps after.
"""
import argparse
import json
import os
import re
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from appliance import Appliance, run  # noqa: E402
from figures import CPU_SERVER, Figures, dense_net, describe_machine  # noqa: E402

import onnx  # noqa: E402

MODEL, WIDTH = "large", 4096
DEPTH, READ = 32, "1M"  # control/load/reader.h
MIB = 1 << 20
HUGE = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
SAMPLE_S = 0.002


def fio(file, *options):
    """Bytes a second."""
    told = run("fio", "--name=read", f"--filename={file}", "--rw=read", f"--bs={READ}", f"--iodepth={DEPTH}", "--ioengine=io_uring", "--direct=1", "--readonly",
               "--output-format=json", *options)
    job = json.loads(told.stdout)["jobs"][0]["read"]
    assert 0 <= file.stat().st_size - job["io_bytes"] < MIB, job  # it reads no part of a read
    return job["io_bytes"] * 1000 / job["runtime"]


def shared_memory():
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["Shmem"].split()[0]) << 10


def private(pid):
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]) << 10


@contextmanager
def huge_memory():
    """Memory files get huge pages where they ask for them, as docs/OPERATIONS.md advises, for as long as it lasts. Whether they do."""
    before = re.search(r"\[(\w+)\]", HUGE.read_text()).group(1) if HUGE.exists() else None
    try:
        if before == "never":
            HUGE.write_text("advise")
        yield before is not None
    finally:
        if before == "never":
            HUGE.write_text(before)


class Memory(threading.Thread):
    """The most that the appliance has, all memory files of the machine and what its processes have alone."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.ending = pids, threading.Event()
        self.before = self.peak = self.now()

    def now(self):
        return shared_memory() + sum(private(pid) for pid in self.pids)

    def run(self):
        while not self.ending.wait(SAMPLE_S):
            self.peak = max(self.peak, self.now())

    def stop(self):
        self.ending.set()
        self.join()
        self.after = self.now()


def import_large(appliance, megabytes):
    """Dense layers of WIDTH, as many as there is room for."""
    layers = max(1, megabytes * MIB // (WIDTH * WIDTH * 4))
    path = appliance.folder / "large.onnx"
    onnx.save(dense_net(MODEL, [WIDTH] * (layers + 1)), path)
    appliance.ctl("model", "import", MODEL, path, timeout=300)
    path.unlink()
    [blob] = (appliance.folder / "state/blobs").iterdir()
    return blob


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--megabytes", type=int)
    options = parser.parse_args()
    rounds, megabytes = (2, 64) if options.short else (5, 1024)
    megabytes = options.megabytes or megabytes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    figures, plain, registered, ready, seconds, extra, peaks = Figures(), [], [], [], [], [], []
    every_cpu = ",".join(map(str, range(os.cpu_count())))
    # The lcore sleeps, so that on a machine of few CPUs the loader and the house thread have all of them; batches of one row, as its weights are what is loaded.
    settings = {"dataplane.idle": "sleep", "dataplane.io_cpus": CPU_SERVER, "dataplane.engine_cpus": CPU_SERVER, "gyrd.control_cpus": every_cpu,
                "dataplane.batch_max": 1}
    with huge_memory() as huge, Appliance("memif", settings) as appliance:
        machine = describe_machine(huge)
        blob = import_large(appliance, megabytes)
        size = blob.stat().st_size
        os.sync()
        for round in range(rounds + 1):
            plain.append(fio(blob))
            registered.append(fio(blob, "--fixedbufs", "--registerfiles"))
            memory = Memory([appliance.daemon.pid, appliance.dataplane_pid()])
            memory.start()
            begin = time.monotonic()
            appliance.ctl("load", MODEL, "1", timeout=300)
            took = time.monotonic() - begin
            memory.stop()
            appliance.ctl("unload", MODEL, "1", timeout=60)
            if round == 0:  # the machine's memory has been touched once, and layers are measured
                plain.clear()
                registered.clear()
                continue
            seconds.append(took)
            ready.append(size / took)
            packed = memory.after - memory.before
            peaks.append((memory.peak - memory.before) / MIB)
            extra.append((memory.peak - memory.before - size - packed) / MIB)
    figures.add("load.file", [size / MIB], "MiB")
    figures.add("load.fio", [rate / 1e6 for rate in registered], "MB/s")
    figures.add("load.fio_plain", [rate / 1e6 for rate in plain], "MB/s")
    figures.add("load.ready", [rate / 1e6 for rate in ready], "MB/s")
    figures.add("load.time", [took * 1e3 for took in seconds], "ms")
    figures.add("load.of_fio", [got / most for got, most in zip(ready, registered)], "ratio")
    figures.add("load.of_fio_plain", [got / most for got, most in zip(ready, plain)], "ratio")
    figures.add("load.peak", peaks, "MiB")
    figures.add("load.beside_file_and_packed", extra, "MiB")
    if options.json:
        figures.write(options.json, machine)


if __name__ == "__main__":
    main()
