"""Bad datagrams and frames from one client, good questions from another: the good ones are all answered right, and every bad frame is counted."""
import os
import random
import socket
import struct
import sys

import msgpack
import numpy

import common
from appliance import CLIENT, PORT, SERVER, FAR, Appliance

SEED = 20261123


def frame(payload, mac, *, ihl=5, version=4, flags=0, ip_sum=None, udp_sum=None, udp_length=None, total=None, source=CLIENT, protocol=17, ethertype=0x0800, destination=SERVER):
    """An Ethernet frame whose every field can be made wrong."""
    udp_length = 8 + len(payload) if udp_length is None else udp_length
    udp = struct.pack(">HHHH", 40000, PORT, udp_length, 0) + payload
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack(">BBH", 0, 17, len(udp))
    right = common.checksum(pseudo + udp) or 0xFFFF
    udp = udp[:6] + struct.pack(">H", right if udp_sum is None else udp_sum) + udp[8:]
    header = struct.pack(">BBHHHBBH4s4s", version << 4 | ihl, 0, 4 * ihl + len(udp) if total is None else total, 1, flags, 64, protocol, 0, socket.inet_aton(source),
                         socket.inet_aton(destination)) + bytes(4 * (ihl - 5) if ihl > 5 else 0)
    right = common.checksum(header[:10] + b"\0\0" + header[12:])
    header = header[:10] + struct.pack(">H", right if ip_sum is None else ip_sum) + header[12:]
    return mac + b"\x02\0\0\0\0\x09" + struct.pack(">H", ethertype) + header + udp


def mutants(seeds, count, random):
    """Random, truncated, oversized, spliced and deeply nested datagrams."""
    for i in range(count):
        kind = i % 6
        seed = bytearray(random.choice(seeds))
        if kind == 0:
            yield random.randbytes(random.randrange(0, 1400))
        elif kind == 1:
            yield bytes(seed[: random.randrange(len(seed) + 1)])
        elif kind == 2:
            for _ in range(random.randrange(1, 6)):
                seed[random.randrange(len(seed))] = random.randrange(256)
            yield bytes(seed)
        elif kind == 3:
            yield bytes(seed) + random.randbytes(random.randrange(1, 1000))
        elif kind == 4:
            at = random.randrange(len(seed))
            yield bytes(seed[:at]) + bytes(random.choice(seeds)[at:])
        else:
            yield b"\x97\x01\x01\x05\xa3net\xc0\x00" + bytes([random.choice((0x91, 0x81, 0xDD, 0x9F))]) * random.randrange(1, 1300)


def main():
    common.need_root()
    rng = random.Random(SEED)
    count = 300_000 if common.LONG else 12_000
    with Appliance("af_xdp") as appliance:
        compute = common.dense_model(appliance.folder / "net.onnx", (4, 16, 3), 1)
        appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
        appliance.ctl("promote", "net", "1")
        good, bad = appliance.client(), appliance.client()
        x = numpy.random.default_rng(3).standard_normal((3, 4)).astype(numpy.float32)

        def check_good():
            answer = good.predict("net", [x.tobytes()])
            assert answer[1] == 2, answer
            common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(3, 3), compute(x))

        pack = lambda message: msgpack.packb(message, use_single_float=True)
        seeds = [pack([1, 1, 7, "net", None, 0, [x.tobytes()]]), pack([1, 1, 8, "net", "stable", 500, [[1, [3, 4], x.tobytes()]], {"timing": True}]),
                 pack([1, 1, 9, "net", 1, 0, [x.tolist()]]), pack([1, 4, 10, "net", None]), pack([1, 7, 11, b"ping"]), pack([1, 2, 12, 1, [b"1234"]]), pack([1, 3, 13, 10, "busy", 5])]
        bad.socket.setblocking(False)
        for i, datagram in enumerate(mutants(seeds, count, rng)):
            bad.send(datagram)
            if i % 20 == 0:
                check_good()
                try:
                    while True:
                        # Whatever comes back is itself a whole message.
                        answer = bad.receive()
                        assert answer[0] == 1 and answer[1] in (2, 3, 5, 7), answer
                except BlockingIOError:
                    pass

        # Frames that are wrong below UDP: each is counted under one reason, and none is answered.
        raw = appliance.network.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        raw.bind((FAR, 0))
        mac = bytes.fromhex(appliance.ctl_json("status")["dataplane"]["status"]["ports"][0]["mac"].replace(":", ""))
        ask = seeds[0]
        wrong = {
            "net.ip_checksum": frame(ask, mac, ip_sum=1),
            "net.udp_checksum": frame(ask, mac, udp_sum=1),
            "net.ip_fragment": frame(ask, mac, flags=0x2000),
            "net.ip_options": frame(ask, mac, ihl=6),
            "net.ip_version": frame(ask, mac, version=6),
            "net.ip_length": frame(ask, mac, total=5000),
            "net.udp_length": frame(ask, mac, udp_length=len(ask) + 500),
            "net.ip_destination": frame(ask, mac, destination="192.0.2.77"),
            "net.ip_source": frame(ask, mac, source="255.255.255.255"),
            "net.ip_protocol": frame(ask, mac, protocol=6),
            "net.ethertype": frame(ask, mac, ethertype=0x86DD),
        }
        before = appliance.counters()
        for data in wrong.values():
            for _ in range(10):
                raw.send(data)
        check_good()
        after = appliance.counters()
        for name in wrong:
            assert after[name] - before[name] == 10, f"{name} counted {after[name] - before[name]} of 10"
        check_good()
        refused = {name: value for name, value in after.items() if value and name.startswith(("answer.", "net."))}
        print(f"{count} mutants, {sum(value for name, value in after.items() if name.startswith('net.'))} frames counted: {refused}")
        for name in ("answer.malformed", "answer.none", "answer.unsupported"):
            assert after[name] > 0, f"no mutant was counted as {name}"
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
