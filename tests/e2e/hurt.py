"""Clients of two networks behind bad cables, asking one appliance through two ports while versions swap: every one is answered in the end, with the right numbers.

    hurt.py FORWARDER LAYOUT    LAYOUT: fused, or separate (io and engine on lcores of their own)
"""
import os
import sys
from pathlib import Path

import numpy

import common
from appliance import SERVER, Appliance, wait_for
from badnet import BadNetwork
from crowd import Crowd

SEED = 20261124
SIZES = (20, 40, 20)
CLIENTS = 12
SERVER6 = "2001:db8::1"
VERSIONS = (1, 2, 3)
# What is done to the cables, one after another: both ways, and on the way back. A path of less than 1280 bytes would be none for IPv6.
HARMS = (
    ("nothing", {}, {}),
    ("loss", {"loss": 0.05}, {}),
    ("duplication", {"duplicate": 0.2}, {}),
    ("reordering", {"reorder": 0.2, "reorder_us": 3000}, {}),
    ("damage", {"corrupt": 0.05}, {}),
    ("delay", {"delay_us": 2000, "jitter_us": 3000}, {}),
    ("a narrower way back", {}, {"mtu": 1300}),
    ("a narrower path", {"mtu": 1300}, {}),
    ("all of it", {"loss": 0.03, "duplicate": 0.1, "reorder": 0.1, "reorder_us": 2000, "corrupt": 0.01, "delay_us": 200, "jitter_us": 500}, {"mtu": 1290}),
    ("nothing again", {}, {}),
)


def main():
    forwarder, layout = Path(sys.argv[1]).resolve(), sys.argv[2]
    common.need_root()
    each = 20_000 if common.LONG else 400
    last = max(os.sched_getaffinity(0))
    networks, crowds = [], []
    try:
        for i, name in enumerate(("hurta", "hurtb")):
            networks.append(BadNetwork(forwarder, name, [f"192.0.2.{10 + i}/24", f"2001:db8::{10 + i}/64"], SEED + 10 * i))
        ports = " ".join(f"net_af_xdp{i},iface={network.near}" for i, network in enumerate(networks))
        settings = {"dataplane.port": ports, "dataplane.io_cpus": 0 if layout == "separate" else last, "dataplane.engine_cpus": last, "dataplane.large_mb": 0, "dataplane.address6": f"{SERVER6}/64"}
        with Appliance("memif", settings) as appliance:
            questions = numpy.random.default_rng(SEED).standard_normal((500, SIZES[0])).astype(numpy.float32)
            answers = {}
            for version in VERSIONS:
                compute = common.dense_model(appliance.folder / "net.onnx", SIZES, version)
                appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
                answers[version] = compute(questions)
            appliance.ctl("promote", "net", "1")
            pid = appliance.dataplane_pid()
            for network in networks:
                network.join()
            crowds = [Crowd(network.clients, [SERVER, SERVER6], CLIENTS, "net", questions, answers, 16, SEED + i) for i, network in enumerate(networks)]
            for turn, (name, harm, back) in enumerate(HARMS):
                for network in networks:
                    network.heal()
                    network.harm("both", **harm)
                    network.harm("down", **back)
                for part in range(3):
                    appliance.ctl("promote", "net", str(VERSIONS[(turn + part) % 3]))
                    for crowd in crowds:
                        crowd.wait(each // 3, 120)
                print(f"{name}: " + "; ".join(map(str, crowds)), flush=True)
            for crowd in crowds:
                crowd.finish()
            assert pid == appliance.dataplane_pid(), "the data plane died"
            # What the cables still held when the last clients went may be on its way.
            wait_for("the counters to explain what came", lambda: missing_frames(networks, appliance.counters()) == 0, 10)
            judge(networks, crowds, appliance.counters())
            appliance.stop()
    finally:
        for crowd in crowds:
            crowd.ending = True
        for network in networks:
            network.close()


def missing_frames(networks, counts):
    """Frames that came out of the cables towards the appliance and are not counted there under any reason."""
    stats = [network.stats() for network in networks]
    came = sum(network["up"]["out"] + network["down"]["told"] for network in stats)
    return came - sum(value for name, value in counts.items() if name.startswith("net.")) - counts["port.missed"]


def judge(networks, crowds, counts):
    stats = [network.stats() for network in networks]
    print(f"the cables: {stats}")
    print("the appliance: " + ", ".join(f"{name} {value:,}" for name, value in counts.items() if value))
    for network, crowd in zip(stats, crowds):
        assert sorted(crowd.versions) == list(VERSIONS), crowd.versions
        assert crowd.doubled > 0 and crowd.narrowed > 0, f"the harm was not felt: {crowd}"
        for direction in network.values():
            assert all(direction[kind] > 0 for kind in ("lost", "duplicated", "reordered", "corrupted")), direction
            assert direction["too_big"] > 0, direction
    # What was damaged was refused.
    damaged, refused = (sum(network["up"]["corrupted"] for network in stats), counts["net.ip_checksum"] + counts["net.udp_checksum"])
    assert damaged / 2 < refused <= damaged, f"{refused} frames refused for their checksums, {damaged} damaged"
    assert counts["net.path_mtu"] > 0 and counts["answer.too_large"] > 0, "what routers said of the way back was not heard"
    assert counts["answer.malformed"] == 0 and counts["answer.none"] == 0, "a damaged datagram was read"


if __name__ == "__main__":
    sys.exit(main())
