"""Real network cards: an Intel 82576 (igb) and a virtio card, each driven by its own DPDK driver through vfio and an IOMMU, in a machine that QEMU emulates
(guest.py). Two RX queues each with RSS, two NUMA nodes, jumbo frames, checksums left to the card, links that go down and up, both cards at once, fused and
separate lcores.

usage: test_pci.py BUILD    BUILD: a build directory of Gyr for a CPU that QEMU emulates (-Dmarch=x86-64-v3)
"""
import json
import os
import struct
import sys
import time
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import common
import guest
from appliance import CLIENT, SERVER, Client, ClientNamespace, wait_for

build = Path(sys.argv[1]).resolve()
CARDS = ["igb", "virtio-net"]
ADDRESSES = ["0000:21:00.0", "0000:22:00.0"]  # behind the root ports nic0, nic1
MTU, MBUFS, HUGEPAGES = 9000, 4096, 200
CLIENTS, FAITHFUL, ROUNDS = 24, 4, 8
PATIENCE_S = 60
IGB_RXCSUM, IGB_MRQC, IGB_RSSRK = 0x5000, 0x5818, 0x5C80  # registers


def devices():
    words = []
    for i, card in enumerate(CARDS):
        queues = ",queues=2" if card != "igb" else ""
        more = ",mq=on,rss=on,hash=on,vectors=6,host_mtu=%d,iommu_platform=on,disable-legacy=on" % MTU if card != "igb" else ""
        words += ["-netdev", f"tap,id=cable{i},ifname=gyrt{i},script=no,downscript=no{queues}"]
        words += ["-device", f"{card if card == 'igb' else 'virtio-net-pci'},netdev=cable{i},bus=nic{i},romfile=,mac=52:54:00:00:00:0{i + 1}{more}"]
    return words


class Box:
    """The appliance in the guest, and its clients outside."""

    def __init__(self):
        self.guest = guest.Guest(guest.cache_folder(), devices(), len(CARDS))
        self.networks = []
        os.chmod(self.guest.place, 0o755)
        try:
            for node in (0, 1):
                self.guest.run("sh", "-c", f"echo {HUGEPAGES} > /sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages")
            for address in ADDRESSES:
                device = f"/sys/bus/pci/devices/{address}"
                self.guest.run("sh", "-c", f"[ ! -e {device}/driver ] || echo {address} > {device}/driver/unbind")
                self.guest.run("sh", "-c", f"echo vfio-pci > {device}/driver_override && echo {address} > /sys/bus/pci/drivers_probe && readlink {device}/driver")
            for i in range(len(CARDS)):
                network = ClientNamespace()
                self.networks.append(network)
                network.take(f"gyrt{i}")
                network.run("ip", "link", "set", f"gyrt{i}", "mtu", MTU)
        except BaseException:
            self.close()
            raise

    def start(self, io_cpus, engine_cpus):
        # A name of its own each time: the guest keeps what it has read of a file.
        self.config = self.guest.place / f"gyr-{io_cpus}-{engine_cpus}.conf"
        self.config.write_text(f"[gyrd]\nstate_dir=/run/state\nrun_dir=/run/gyr\n[dataplane]\nport={' '.join(ADDRESSES)}\naddress={SERVER}/24\nhugepages=on\n"
                               f"memory_mb=384\nmbufs={MBUFS}\nqueues=2\nmtu={MTU}\nio_cpus={io_cpus}\nengine_cpus={engine_cpus}\n")
        self.guest.start(build / "control/gyrd", "--config", self.config, log="/run/gyrd.log")
        wait_for("the data plane", self.is_ready, PATIENCE_S)
        for i in range(len(CARDS)):
            wait_for(f"the link of {CARDS[i]}", lambda: self.port(i)["link"], PATIENCE_S)

    def ctl(self, *words, check=True):
        return self.guest.run(build / "control/gyrctl", "--config", self.config, *words, check=check)

    def is_ready(self):
        status, said = self.ctl("status", "--json", check=False)
        assert status == 0 or "gyrd" in said, said
        return status == 0 and json.loads(said)["dataplane"]["state"] == "ready"

    def status(self):
        return json.loads(self.ctl("status", "--json"))["dataplane"]["status"]

    def port(self, i):
        return self.status()["ports"][i]

    def received(self, i):
        """Frames taken from each receive queue of card I, with the lcore that did."""
        said = json.loads(self.guest.run("python3", Path(__file__).resolve().parent / "stats.py", "/run/gyr/gyrd.sock"))
        return {row["queue"]: (row["rx.frames"], row["lcore"]) for row in said["rx"] if row["port"] == ADDRESSES[i]}

    def counter(self, name):
        return self.status()["counters"][name]

    def register(self, offset):
        """A register of the igb, as QEMU has it."""
        base = int(self.guest.run("cat", f"/sys/bus/pci/devices/{ADDRESSES[0]}/resource").split()[0], 16)
        said = self.guest.monitor_command("human-monitor-command", **{"command-line": f"xp /1wx {base + offset:#x}"})
        return int(said.split()[1], 16)

    def stop(self):
        self.ctl("stop")
        wait_for("gyrd's end", lambda: self.guest.run("pidof", "gyrd", "gyr-dataplane", check=False)[0] != 0, PATIENCE_S)

    def log(self):
        return self.guest.run("cat", "/run/gyrd.log", check=False)[1]

    def close(self):
        for network in self.networks:
            network.close()
        self.guest.close()


class Net:
    """A model, and its answers by numpy."""

    def __init__(self, box, name, sizes):
        self.name, self.columns = name, sizes[0]
        file = box.guest.place / f"{name}.onnx"
        self.compute = common.dense_model(file, sizes, 1)
        box.ctl("model", "import", name, file)
        box.ctl("load", name, "1")
        box.ctl("promote", name, "1")

    def ask(self, client, seed, tries=8):
        x = numpy.random.default_rng(seed).standard_normal((1, self.columns)).astype(numpy.float32)
        answer = client.ask([1, self.name, None, 0, [x.tobytes()]], tries)
        assert answer[1] == 2, answer
        expected = self.compute(x)
        common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(expected.shape), expected)


def bad_frames(mac):
    """A ping of the wire whose UDP checksum is wrong, and one whose IPv4 checksum is."""
    payload = bytes([0x94, 1, 7, 1, 0xC4, 2]) + b"xy"
    for spoil_ip in (False, True):
        udp = struct.pack(">HHHH", 5000, 4970, 8 + len(payload), 0xBAD1 if not spoil_ip else 0) + payload
        addresses = bytes(map(int, CLIENT.split("."))) + bytes(map(int, SERVER.split(".")))
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0) + addresses
        checksum = common.checksum(head) ^ (0x0101 if spoil_ip else 0)
        yield bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000002") + b"\x08\x00" + head[:10] + struct.pack(">H", checksum) + head[12:] + udp


def check_queues(box, i, net, fused):
    """Clients meet on both queues, which fused lcores share out, each client always on the same."""
    clients = [Client(box.networks[i]) for _ in range(CLIENTS)]
    before = box.received(i)
    assert sorted(before) == [0, 1], before
    assert len({lcore for _, lcore in before.values()}) == (2 if fused else 1), before
    for client in clients:
        net.ask(client, 1)
    after = box.received(i)
    assert all(after[queue][0] > before[queue][0] for queue in (0, 1)), f"{CARDS[i]}: {before} frames, and {after} after {CLIENTS} clients"
    for client in clients[:FAITHFUL]:
        before = box.received(i)
        for seed in range(ROUNDS):
            net.ask(client, seed)
        grown = sorted(box.received(i)[queue][0] - before[queue][0] for queue in (0, 1))
        assert grown[0] < ROUNDS <= grown[1], f"{CARDS[i]}: one client's {ROUNDS} questions were {grown} frames of the two queues"
    for client in clients:
        client.close()


def check_card(box):
    """What the driver told the igb."""
    assert box.register(IGB_RXCSUM) & 0x300 == 0x300, "received checksums are not left to the card"
    assert box.register(IGB_MRQC) & 7 == 2, "RSS is off"
    key = b"".join(struct.pack("<I", box.register(IGB_RSSRK + 4 * i)) for i in range(10))
    assert key[:2] * 20 == key, f"the RSS key {key.hex()} is not symmetric: its every 16 bits must be the same"


def check_checksums(box, i):
    network = box.networks[i]
    before = {name: box.counter(name) for name in ("net.udp_checksum", "net.ip_checksum")}
    raw = network.socket(17, 3, 0)  # AF_PACKET, SOCK_RAW
    raw.bind((f"gyrt{i}", 0x0800))
    for frame in bad_frames(box.port(i)["mac"]):
        raw.send(frame)
    raw.close()
    for name, count in before.items():
        wait_for(f"{name} at {CARDS[i]}", lambda: box.counter(name) == count + 1, PATIENCE_S)


def check_link(box, i, net):
    """One cable pulled and put back, while the other card answers."""
    other = Client(box.networks[1 - i])
    client = Client(box.networks[i])
    box.guest.monitor_command("set_link", name=f"cable{i}", up=False)
    wait_for(f"{CARDS[i]} to see its link down", lambda: not box.port(i)["link"], PATIENCE_S)
    net.ask(other, 1)
    assert client.silent_for(b"\x94\x01\x07\x01\xc4\x01x", 0.5), "an answer came through a cable that was pulled"
    box.guest.monitor_command("set_link", name=f"cable{i}", up=True)
    wait_for(f"{CARDS[i]} to see its link up", lambda: box.port(i)["link"], PATIENCE_S)
    net.ask(client, 2, tries=40)
    client.close()
    other.close()


def check_memory(box):
    """The buffers of cards at the second node lie there, as do the lcores."""
    pid = box.status()["pid"]
    said = box.guest.run("sh", "-c", f"grep -o 'huge.*' /proc/{pid}/numa_maps | grep -o 'N1=[0-9]*' | cut -d= -f2")
    pages = sum(map(int, said.split()))
    needed = len(CARDS) * MBUFS * MTU // (2 << 20)
    assert pages >= needed, f"{pages} hugepages on the cards' node; their buffers alone are {needed}"
    for i in range(len(CARDS)):
        assert box.guest.run("cat", f"/sys/bus/pci/devices/{ADDRESSES[i]}/numa_node").strip() == "1"


def check_all(box, fused):
    small, wide = Net(box, "small", (4, 16, 3)), Net(box, "wide", (2000, 3))  # a question of 8,000 bytes: one frame
    roles = sorted(lcore["roles"] for lcore in box.status()["lcores"])
    assert roles == (["io+engine"] * 2 if fused else ["engine", "io"]), roles
    ports = box.status()["ports"]
    assert [port["queues"] for port in ports] == [2, 2], ports
    for i in range(len(CARDS)):
        box.networks[i].run("ping", "-c", "2", "-W", "10", "-s", "8000", "-M", "do", SERVER)
        client = Client(box.networks[i])
        small.ask(client, 1)
        wide.ask(client, 1)
        client.close()
        check_queues(box, i, small, fused)
        check_checksums(box, i)
        check_link(box, i, small)
    check_card(box)
    check_memory(box)


def main():
    if os.environ.get("GYR_ENTERED", str(os.geteuid())) != "0":
        print("skipped: needs root for its cables")
        sys.exit(77)
    if not guest.cache_folder().is_dir():
        print("skipped: QEMU was not fetched (tests/pci/guest.py fetches it)")
        sys.exit(77)
    begun = time.monotonic()
    box = Box()
    try:
        for io_cpus, engine_cpus in (("2-3", "2-3"), ("2", "3")):
            box.start(io_cpus, engine_cpus)
            check_all(box, io_cpus == engine_cpus)
            box.stop()
            box.guest.run("rm", "-rf", "/run/state")
            print(f"{' and '.join(CARDS)} with io on CPUs {io_cpus}, engine on {engine_cpus}: fine, {time.monotonic() - begun:.0f} s", flush=True)
    except Exception:
        print(box.guest.console(), file=sys.stderr)
        print(box.log(), file=sys.stderr)
        raise
    finally:
        box.close()


main()
