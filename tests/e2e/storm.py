"""Frames by the million, wrong in every way, into one port through which a good client asks: it never gets a wrong answer and loses none, memory stays flat, and every frame is counted under exactly one reason.

    storm.py PROGRAM LAYOUT    the storm (tests/e2e/storm/storm.c); LAYOUT: fused, separate (io and engine on lcores of their own), or sockets (fused, through AF_XDP)
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy

import common
from appliance import FAR, NEAR, Appliance, run

SEED = 20261123
SIZES = (4, 16, 3)
PAIRS = 256
RSS_GROWTH_KB = 4096
MBUFS_WITH_KERNEL = 64
SILENT = ("none", "withheld", "piece", "no_room", "missing")  # ends of a datagram that send nothing


def counters(appliance):
    """With the drivers' figures as they are now."""
    return appliance.status_fresh()["counters"]


def mbufs_used(appliance):
    return [port["mbufs_used"] for port in appliance.status_fresh()["ports"]]


def total(counts, prefix):
    return sum(value for name, value in counts.items() if name.startswith(prefix))


class Storm:
    """The storm's program, against one appliance."""

    def __init__(self, program, appliance, shares_cpu):
        self.appliance, self.shares_cpu = appliance, shares_cpu
        compute = common.dense_model(appliance.folder / "net.onnx", SIZES, 1)
        appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
        appliance.ctl("promote", "net", "1")
        questions = numpy.random.default_rng(SEED).standard_normal((PAIRS, SIZES[0])).astype(numpy.float32)
        self.pairs = appliance.folder / "pairs"
        self.pairs.write_bytes(numpy.array([PAIRS, SIZES[0], SIZES[-1]], numpy.uint32).tobytes() + questions.tobytes() + compute(questions).astype(numpy.float32).tobytes())
        if appliance.network:
            # Nobody else may send there: the kernel's own chatter would be counted too.
            appliance.network.run("sysctl", "-qw", f"net.ipv6.conf.{FAR}.disable_ipv6=1")
            appliance.network.run("ip", "addr", "flush", "dev", FAR)
            appliance.network.run("ip", "link", "set", FAR, "arp", "off")
            run("sysctl", "-qw", f"net.ipv6.conf.{NEAR}.disable_ipv6=1")
        self.way = ["--memif", appliance.memif] if appliance.port == "memif" else ["--interface", FAR]
        self.command = [*(appliance.network.enter if appliance.network else ["taskset", "--cpu-list", "0"]), program]

    def blow(self, mode, count, *words, seconds):
        """What the storm says, and by how much each counter grew."""
        before = counters(self.appliance)
        result = subprocess.run([str(word) for word in (*self.command, "--mode", mode, *self.way, "--pairs", self.pairs, "--count", count, "--seed", SEED, *words)],
                                capture_output=True, text=True, timeout=seconds)
        assert result.returncode == 0, result.stdout + result.stderr
        said = json.loads(result.stdout)
        after = counters(self.appliance)
        grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        self.judge(mode, said, grown)
        return said, grown

    def judge(self, mode, said, grown):
        """What must hold after every storm."""
        good, received = said["good"], said["received"]
        print(f"{mode}: {said['frames']:,} frames in {said['seconds']:.1f} s; good client: {good['asked']:,} asked, {good['answered']:,} answered, {good['busy']:,} times told to come back, "
              f"{good['lost']} lost, {good['wrong']} wrong, at worst {good['worst_us']} us", flush=True)
        print("   " + ", ".join(f"{name} {value:,}" for name, value in sorted(grown.items()) if name.startswith(("net.", "answer.", "send.", "port.missed"))), flush=True)
        # Where the storm has to wait for a CPU, its own queue can be full of answers that it has not read yet: nothing else may be lost.
        unread = grown.get("send.dropped", 0) if self.shares_cpu else 0
        assert good["wrong"] == 0 and good["refused"] == 0 and good["lost"] <= unread, f"{good}, {unread} answers dropped"
        assert good["answered"] + good["lost"] == good["asked"] > 0, good
        assert received["unsound"] == 0, f"frames came back that are not sound: {received}"
        # Every frame under one reason, every datagram with one end, and every answer on the wire.
        missed = grown.get("port.missed", 0)
        assert total(grown, "net.") + missed == said["frames"], f"{total(grown, 'net.')} frames counted and {missed} missed of {said['frames']}"
        assert grown["rx.frames"] + missed == said["frames"], f"{grown['rx.frames']} frames received"
        answers = total(grown, "answer.")
        assert answers == grown.get("net.datagram", 0), f"{answers} answers to {grown.get('net.datagram')} datagrams"
        # All that was sent has come, and is there for a reason (the equation of dataplane/loop/counters.h).
        # What it sent of itself may have met nobody, before the storm and after it.
        count = lambda *names: sum(grown.get(name, 0) for name in names)
        came = sum(received.values())
        assert 0 <= grown["tx.frames"] - came <= count("send.unasked", "large.sent", "large.asked", "large.told"), f"{came} frames came back of {grown['tx.frames']}: {received}"
        replies = count("net.arp_reply", "net.echo_reply", "net.nd_reply") + answers - count(*(f"answer.{kind}" for kind in SILENT))
        pieces = count("large.sent", "large.asked", "large.told") - count("large.answers")
        assert count("tx.frames", "send.dropped") == replies + pieces + count("send.unasked"), f"{grown['tx.frames']} frames sent for {replies} replies"


def judge_reasons(said, grown):
    """Each reason has counted as many as were sent with that fault, and no other has counted anything."""
    good = said["good"]
    expected = {"net.datagram": good["sent"], "answer.result": good["answered"], "answer.busy": good["busy"], "net.arp_reply": said["arp"]}
    for fault in said["faults"]:
        for name in (f"net.{fault['net']}", f"answer.{fault['answer']}" if fault["answer"] else None):
            if name:
                expected[name] = expected.get(name, 0) + fault["count"]
    expected = {name: value for name, value in expected.items() if value}
    counted = {name: value for name, value in grown.items() if name.startswith(("net.", "answer."))}
    wrong = {name: (counted.get(name, 0), expected.get(name, 0)) for name in {*expected, *counted} if counted.get(name, 0) != expected.get(name, 0)}
    assert not wrong, f"counted, expected: {wrong}"


def layout_settings(layout):
    last = max(os.sched_getaffinity(0))
    return {"dataplane.io_cpus": 0 if layout == "separate" else last, "dataplane.engine_cpus": last, "dataplane.address6": "2001:db8::1/64"}


def main():
    program, layout = Path(sys.argv[1]).resolve(), sys.argv[2]
    common.need_root()
    # Those that share a CPU with the storm, or go through the kernel, are slower.
    count = (10_000_000 if common.LONG else 1_000_000) // (1 if layout == "fused" else 10)
    # A socket's queues lose what comes too fast, and nobody says how much: one burst at a time there.
    pace = ["--lockstep"] if layout == "sockets" else []
    with Appliance("af_xdp" if layout == "sockets" else "memif", layout_settings(layout)) as appliance:
        storm = Storm(program, appliance, layout == "separate")
        pid = appliance.dataplane_pid()
        said, grown = storm.blow("clean", 20_000 if layout != "separate" else 5_000, "--lockstep", seconds=120)
        judge_reasons(said, grown)
        storm.blow("mixed", count // 10, *pace, seconds=120)
        mbufs, memory = mbufs_used(appliance), common.resident_kb(pid)
        said, _ = storm.blow("mixed", count, *pace, seconds=1200)
        storm.blow("quiet", min(said["good"]["asked"], 1_000_000), seconds=600)
        grown_kb = common.resident_kb(pid) - memory
        assert grown_kb < RSS_GROWTH_KB, f"the data plane grew by {grown_kb} kB"
        # What the kernel has sent is taken back from it when the next is sent.
        slack = MBUFS_WITH_KERNEL if layout == "sockets" else 0
        now = mbufs_used(appliance)
        assert all(abs(a - b) <= slack for a, b in zip(mbufs, now)), f"packet buffers in use: {mbufs} before, {now} after"
        assert appliance.dataplane_pid() == pid
        print(f"{layout}: resident memory grew by {grown_kb} kB, packet buffers in use {mbufs} -> {now}")
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
