"""Gyr as a host among hosts: Linux' own stack is the peer, over AF_XDP and TAP (tagged frames are made here: not every kernel has VLANs). Both families, neighbour discovery, VLAN, jumbo frames, a router with a smaller MTU behind it, fragments, options, strangers."""
import json
import socket
import struct
import sys
import time

import msgpack
import numpy

import common
from appliance import CLIENT, FAR, GYR_LOAD, NEAR, PORT, SERVER, Appliance, ClientNamespace, run, wait_for

SERVER6, CLIENT6 = "2001:db8::1", "2001:db8::2"
ELSEWHERE, ELSEWHERE6, BEYOND, BEYOND6 = "198.51.100.7", "2001:db8:1::7", "198.51.100.1", "2001:db8:1::1"
STRANGER = "203.0.113.9"
ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_VLAN, ETH_ALL = 0x0806, 0x0800, 0x86DD, 0x8100, 3
LOOSE_ROUTE, STRICT_ROUTE, NOTHING = 131, 137, 1
SOL_PACKET, PACKET_AUXDATA = 263, 8
OUTPUTS = 340  # floats: an answer of more than 1,300 bytes and less than 1,500


class Counting:
    """How far counters go while the body runs; entering and leaving read them."""

    def __init__(self, appliance):
        self.appliance = appliance

    def __enter__(self):
        self.before = self.appliance.counters()
        return self

    def __exit__(self, kind, error, trace):
        after = self.appliance.counters()
        self.grown = {name: after[name] - self.before.get(name, 0) for name in after if after[name] != self.before.get(name, 0)}


def counted(appliance, name, count, do):
    """DO, then until COUNTER has grown by COUNT."""
    before = appliance.counters()[name]
    do()
    wait_for(f"{count} more of {name}", lambda: appliance.counters()[name] - before >= count, 5)
    assert appliance.counters()[name] - before == count, name


def link_of(run_there, link):
    return json.loads(run_there("ip", "-j", "link", "show", "dev", link).stdout)[0]


def mac_of(network):
    return link_of(network.run, FAR)["address"]


def server_mac():
    """AF_XDP leaves the port the address of its interface."""
    return link_of(run, NEAR)["address"]


def link_local(mac):
    octets = bytearray(raw(mac))
    octets[0] ^= 2
    return socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:])


def raw(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ipv4(source, payload, protocol=17, options=b""):
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | length // 4, 0, length + len(payload), 0, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(SERVER)) + options
    return head[:10] + struct.pack("!H", common.checksum(head)) + head[12:] + payload


def with_sum(packet, pseudo):
    """PACKET with its checksum, which stands at 2 in ICMP and at 6 in UDP (whose pseudo header ends in 17)."""
    at = 6 if pseudo[-1:] == b"\x11" else 2
    return packet[:at] + struct.pack("!H", common.checksum(pseudo + packet)) + packet[at + 2 :]


def ipv6(payload, protocol, hops=64):
    ends = socket.inet_pton(socket.AF_INET6, CLIENT6) + socket.inet_pton(socket.AF_INET6, SERVER6)
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + ends + with_sum(payload, ends + struct.pack("!II", len(payload), protocol))


def udp(payload, port=40000):
    return struct.pack("!HHHH", port, PORT, 8 + len(payload), 0) + payload


def ping(network, *words):
    result = network.run("ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", *words, check=False)
    return " 0% packet loss" in result.stdout


def udp_ping(network, address, size=64, family=socket.AF_INET6):
    """Gyr's own ping over UDP: what is sent comes back."""
    with network.socket(family) as client:
        client.settimeout(2)
        question = msgpack.packb([1, 7, 99, bytes(range(256)) * (size // 256) + bytes(size % 256)])
        client.sendto(question, address)
        answer, source = client.recvfrom(65535)
        assert answer == question and source[1] == PORT, source


class Wire:
    """Raw frames at the clients' end of the cable."""

    def __init__(self, network, link=FAR):
        self.socket = network.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.bind((link, ETH_ALL))
        self.socket.settimeout(1)

    def send(self, destination, source, kind, payload, tag=None):
        tag = b"" if tag is None else struct.pack("!HH", ETH_VLAN, tag)
        self.socket.send(raw(destination) + raw(source) + tag + struct.pack("!H", kind) + payload)

    def receive(self, wanted, seconds=2.0):
        """The first frame from Gyr for which WANTED holds: its bytes without the tag, and the tag. None: there came none."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                frame, extra, _, _ = self.socket.recvmsg(65535, 256)
            except TimeoutError:
                continue
            tag = next((struct.unpack("IIIHHHH", data[:20])[5] for level, kind, data in extra if level == SOL_PACKET and kind == PACKET_AUXDATA), 0)
            if wanted(frame):
                return frame, tag
        return None

    def close(self):
        self.socket.close()


def two_families():
    with Appliance("af_xdp", {"dataplane.address6": f"{SERVER6}/64"}) as appliance:
        network = appliance.network
        network.run("ip", "-6", "addr", "add", f"{CLIENT6}/64", "dev", FAR, "nodad")
        local = link_local(server_mac())
        index = link_of(network.run, FAR)["ifindex"]
        wait_for("the clients' link-local address", lambda: "fe80" in network.run("ip", "-6", "addr", "show", "dev", FAR, "-tentative").stdout)
        with Counting(appliance) as seen:
            assert ping(network, SERVER) and ping(network, "-6", SERVER6) and ping(network, "-6", f"{local}%{FAR}")
            assert ping(network, "-s", "1400", SERVER) and ping(network, "-6", "-s", "1400", SERVER6)
            udp_ping(network, (SERVER6, PORT))
            udp_ping(network, (SERVER6, PORT), 1301)
            udp_ping(network, (local, PORT, 0, index))
            udp_ping(network, (SERVER, PORT), family=socket.AF_INET)
        assert seen.grown["net.echo_reply"] == 15 and seen.grown["net.nd_reply"] >= 2 and seen.grown["answer.pong"] == 4, seen.grown
        neighbours = network.run("ip", "-6", "neigh", "show", "dev", FAR).stdout
        assert f"{SERVER6} lladdr {server_mac()}" in neighbours, neighbours
        # One who takes our address finds out that it is ours, and so do we.
        with Counting(appliance) as seen:
            network.run("ip", "-6", "addr", "add", f"{SERVER6}/64", "dev", FAR)
            wait_for("duplicate address detection", lambda: "dadfailed" in network.run("ip", "-6", "addr", "show", "dev", FAR).stdout, 10)
            network.run("ip", "-6", "addr", "del", f"{SERVER6}/64", "dev", FAR)
        assert seen.grown.get("net.nd_reply", 0) >= 1, seen.grown
        print("two families: echo, neighbour discovery, UDP, link-local, duplicate address detection")
        refused(appliance)
        appliance.stop()


def refused(appliance):
    """What is dropped: each under a reason of its own."""
    network = appliance.network
    counted(appliance, "net.ip_fragment", 3, lambda: network.run("ping", "-c", "1", "-W", "0.2", "-s", "4000", SERVER, check=False))
    counted(appliance, "net.ip6_fragment", 3, lambda: network.run("ping", "-6", "-c", "1", "-W", "0.2", "-s", "4000", SERVER6, check=False))
    counted(appliance, "net.ip_options", 1, lambda: network.run("ping", "-R", "-c", "1", "-W", "0.2", SERVER, check=False))
    extension = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # nothing but padding
    for option, name in ((socket.IPV6_HOPOPTS, "hop_by_hop"), (socket.IPV6_DSTOPTS, "options")):
        with network.socket(socket.AF_INET6) as client:
            client.setsockopt(socket.IPPROTO_IPV6, option, extension)
            counted(appliance, f"net.ip6_{name}", 1, lambda: client.sendto(b"question", (SERVER6, PORT)))
    wire = Wire(network)
    us, them = server_mac(), mac_of(network)
    for kind in (LOOSE_ROUTE, STRICT_ROUTE):
        options = bytes([NOTHING, kind, 7, 4]) + socket.inet_aton(CLIENT)
        counted(appliance, "net.ip_source_route", 1, lambda: wire.send(us, them, ETH_IPV4, ipv4(CLIENT, udp(b"question"), options=options)))
    v6 = lambda address: socket.inet_pton(socket.AF_INET6, address)
    routed = struct.pack("!IHBB", 6 << 28, 24, 43, 64) + v6(CLIENT6) + v6(SERVER6) + bytes([59, 2, 0, 1, 0, 0, 0, 0]) + v6(SERVER6)
    counted(appliance, "net.ip6_routing", 1, lambda: wire.send(us, them, ETH_IPV6, routed))
    # Nobody who cannot be a client is answered.
    question = udp(msgpack.packb([1, 7, 1, b"hello"]))
    for source in ("255.255.255.255", "192.0.2.255", "224.0.0.1", "127.0.0.1", "0.0.0.0", SERVER):
        counted(appliance, "net.ip_source", 1, lambda: wire.send(us, them, ETH_IPV4, ipv4(source, question)))
    # A stranger gets no more than it sent: the same bytes, an error with fewer words, or nothing.
    port = lambda frame: frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x11" and frame[30:34] == socket.inet_aton(STRANGER)
    for body, expected in (([1, 7, 7, b"hello"], [1, 7, 7, b"hello"]), ([1, 4, 7, "none", None], [1, 3, 7, 3]), ([1, 9, 7, b""], [1, 3, 7, 2])):
        packed = msgpack.packb(body)
        wire.send(us, them, ETH_IPV4, ipv4(STRANGER, udp(packed)))
        frame, _ = wire.receive(port)
        answer = frame[42 : 14 + struct.unpack("!H", frame[16:18])[0]]
        assert len(answer) <= len(packed) and msgpack.unpackb(answer)[: len(expected)] == expected, (body, answer)
    counted(appliance, "answer.withheld", 1, lambda: wire.send(us, them, ETH_IPV4, ipv4(STRANGER, udp(msgpack.packb([1, 9, 7])))))
    wire.close()
    print("refused: fragments, options, source routes, extension headers, sources that are none; to strangers nothing larger than their question")


def quiet(network):
    """No frame of Linux' own is to be counted beside ours."""
    network.run("sysctl", "-q", "-w", f"net.ipv6.conf.{FAR}.disable_ipv6=1")


def large_tagged(appliance, wire, us, them, tag):
    """A question in pieces of which one is asked for, and its answer in pieces: all of them tagged as the question was."""
    width, at, pieces, total = 1000, 0, {}, None
    model = appliance.folder / "square.onnx"
    compute = common.dense_model(model, [width, width], 11)
    appliance.ctl("model", "import", "square", model)
    appliance.ctl("promote", "square", "1")
    row = (numpy.arange(width, dtype=numpy.float32) % 7 - 3).reshape(1, width)
    question = msgpack.packb([1, 1, 5, "square", None, 0, [row.tobytes()]])
    send = lambda offset: wire.send(us, them, ETH_IPV4, ipv4(CLIENT, udp(msgpack.packb([1, 6, 5, len(question), offset, question[offset : offset + 1408]]))), tag=tag)
    from_us = lambda frame: frame[:6] == raw(them) and frame[6:12] == raw(us) and frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x11"

    def receive():
        got = wire.receive(from_us)
        assert got is not None and got[1] == tag, got
        return msgpack.unpackb(got[0][42 : 14 + struct.unpack("!H", got[0][16:18])[0]])

    for offset in range(1408, len(question), 1408):
        send(offset)
    assert receive() == [1, 8, 5, len(question), [[0, 1408]]]
    send(0)
    while at != total:
        message = receive()
        assert message[1:3] == [6, 5] and message[4] not in pieces, message[:5]
        total, pieces[message[4]] = message[3], message[5]
        at += len(message[5])
    answer = msgpack.unpackb(b"".join(pieces[offset] for offset in sorted(pieces)))
    common.close(numpy.frombuffer(answer[4][0], dtype=numpy.float32), compute(row)[0])


def vlan(port):
    """PORT: af_xdp leaves tags in frames; af_packet takes them off and puts them on."""
    with Appliance(port, {"dataplane.address6": f"{SERVER6}/64", "dataplane.vlan": 7}) as appliance:
        network = appliance.network
        network.run("ip", "addr", "flush", "dev", FAR)
        quiet(network)
        wire = Wire(network)
        us, them = server_mac(), mac_of(network)
        question = ipv4(CLIENT, udp(msgpack.packb([1, 7, 1, b"urgent"]), 40123))
        answer = lambda frame: frame[:6] == raw(them) and b"urgent" in frame
        arp = struct.pack("!HHBBH6s4s6s4s", 1, ETH_IPV4, 6, 4, 1, raw(them), socket.inet_aton(CLIENT), bytes(6), socket.inet_aton(SERVER))
        v6 = lambda address: socket.inet_pton(socket.AF_INET6, address)
        ask = struct.pack("!BBHI16sBB6s", 135, 0, 0, 0, v6(SERVER6), 1, 1, raw(them))
        echo, echo6 = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"urgent", struct.pack("!BBHHH", 128, 0, 0, 1, 1) + b"urgent"
        for kind, packet, wanted in (
            (ETH_ARP, arp, lambda frame: frame[:6] == raw(them) and frame[12:14] == b"\x08\x06" and frame[22:28] == raw(us)),
            (ETH_IPV6, ipv6(ask, 58, 255), lambda frame: frame[:6] == raw(them) and frame[54:55] == bytes([136]) and raw(us) in frame[62:]),
            (ETH_IPV4, ipv4(CLIENT, with_sum(echo, b""), 1), answer),
            (ETH_IPV6, ipv6(echo6, 58), answer),
            (ETH_IPV4, question, answer),
            (ETH_IPV6, ipv6(udp(msgpack.packb([1, 7, 1, b"urgent"]), 40123), 17), answer),
        ):
            for priority in (0, 5):
                wire.send(us, them, kind, packet, tag=priority << 13 | 7)
                got = wire.receive(wanted)
                assert got is not None and got[1] == priority << 13 | 7, (kind, got)
        large_tagged(appliance, wire, us, them, 3 << 13 | 7)
        for other in (5 << 13, 8, 4095, None):
            counted(appliance, "net.vlan", 1, lambda: wire.send(us, them, ETH_IPV4, question, tag=other))
        wire.close()
        appliance.stop()
    with Appliance(port) as appliance:
        network = appliance.network
        quiet(network)
        wire = Wire(network)
        us, them = server_mac(), mac_of(network)
        wire.send(us, them, ETH_IPV4, question, tag=3 << 13)
        _, tag = wire.receive(answer)
        assert tag == 3 << 13, hex(tag)
        counted(appliance, "net.vlan", 1, lambda: wire.send(us, them, ETH_IPV4, question, tag=7))
        wire.close()
        appliance.stop()
    print(f"VLAN over {port}: only ours is heard, and answered with its tag and priority")


def jumbo():
    with Appliance("tap", {"dataplane.address6": f"{SERVER6}/64", "dataplane.mtu": 9000}) as appliance:
        network = appliance.network
        network.run("ip", "link", "set", FAR, "mtu", "9000")
        network.run("ip", "-6", "addr", "add", f"{CLIENT6}/64", "dev", FAR, "nodad")
        assert ping(network, "-M", "do", "-s", "8972", SERVER) and ping(network, "-6", "-M", "do", "-s", "8952", SERVER6)
        udp_ping(network, (SERVER, PORT), 8960, socket.AF_INET)
        udp_ping(network, (SERVER6, PORT), 8940)
        appliance.stop()
    print("jumbo: 9,000 bytes over TAP")


def shared_memory():
    """vhost, which is left the UDP checksums, and memif with buffers for jumbo frames: both families, each answer the same as the last to the same question."""
    for port, mtu in (("vhost", 1500), ("memif", 9000)):
        with Appliance("memif", {"dataplane.address6": f"{SERVER6}/64", "dataplane.mtu": mtu}, start=False) as appliance:
            path = appliance.memif
            mine, theirs = {
                "vhost": (f"net_vhost0,iface={path}", f"net_virtio_user0,path={path}"),
                "memif": (f"net_memif0,role=server,id=0,socket={path},socket-abstract=no", f"net_memif0,role=client,id=0,socket={path},socket-abstract=no,bsize=9216"),
            }[port]
            appliance.config.write_text("\n".join(line if not line.startswith("port = ") else f"port = {mine}" for line in appliance.config.read_text().splitlines()) + "\n")
            appliance.start()
            inputs = (mtu - 200) // 4
            model = appliance.folder / "long.onnx"
            common.dense_model(model, [inputs, 8], 5)
            appliance.ctl("model", "import", "long", model)
            appliance.ctl("promote", "long", "1")
            with Counting(appliance) as seen:
                for server, client in ((SERVER, CLIENT), (f"[{SERVER6}]", CLIENT6)):
                    words = ["--model", "long", "--tensor-bytes", inputs * 4, "--mtu", mtu, "--count", 1000, "--in-flight", 4, "--check", "--tolerance", 1e-4, "--json"]
                    report = json.loads(run(GYR_LOAD, "--port", theirs, "--server", f"{server}:{PORT}", "--address", client, *words, timeout=60).stdout)
                    assert report["answered"] == 1000 and report["lost"] == 0, report
            assert seen.grown["answer.result"] == 2000, seen.grown
            appliance.stop()
        print(f"{port}: 1,000 questions of {inputs * 4} bytes by each family")


def router():
    """Clients behind a router that passes 1,300 bytes: they are reached through the gateway, and what the router says of its MTU is heard."""
    settings = {
        "dataplane.address6": f"{SERVER6}/64",
        "dataplane.gateway": CLIENT,
        "dataplane.gateway6": CLIENT6,
        "dataplane.trusted": "192.0.2.0/24 2001:db8::/64 198.51.100.0/24 2001:db8:1::/64",
    }
    far = ClientNamespace()
    try:
        with Appliance("af_xdp", settings) as appliance:
            near = appliance.network
            near.run("ip", "-6", "addr", "add", f"{CLIENT6}/64", "dev", FAR, "nodad")
            near.run("ip", "link", "add", "r0", "type", "veth", "peer", "name", "r1")
            near.run("ip", "link", "set", "r1", "netns", str(far.holder.pid))
            for network, link, v4, v6 in ((near, "r0", BEYOND, BEYOND6), (far, "r1", ELSEWHERE, ELSEWHERE6)):
                network.run("ip", "link", "set", link, "mtu", "1300")
                network.run("ethtool", "-K", link, "tx", "off")
                network.run("ip", "addr", "add", f"{v4}/24", "dev", link)
                network.run("ip", "-6", "addr", "add", f"{v6}/64", "dev", link, "nodad")
                network.run("ip", "link", "set", link, "up")
            near.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            far.run("ip", "route", "add", "default", "via", BEYOND)
            far.run("ip", "-6", "route", "add", "default", "via", BEYOND6)
            wait_for("the gateways' answers", lambda: appliance.counters()["net.arp_gateway"] and appliance.counters()["net.nd_gateway"])
            assert ping(far, SERVER) and ping(far, "-6", SERVER6)
            model = appliance.folder / "wide.onnx"
            compute = common.dense_model(model, [4, OUTPUTS], 7)
            appliance.ctl("model", "import", "wide", model)
            appliance.ctl("promote", "wide", "1")
            row = numpy.array([[0.5, -1.0, 2.0, 3.0]], dtype=numpy.float32)
            for family, server, here in ((socket.AF_INET, SERVER, near), (socket.AF_INET6, SERVER6, near), (socket.AF_INET, SERVER, far), (socket.AF_INET6, SERVER6, far)):
                with here.socket(family) as client:
                    client.settimeout(0.3)
                    for attempt in range(8):
                        client.sendto(msgpack.packb([1, 1, attempt, "wide", None, 0, [row.tobytes()]]), (server, PORT))
                        try:
                            answer = msgpack.unpackb(client.recv(65535), strict_map_key=False)
                            break
                        except TimeoutError:
                            continue
                if here is near:
                    assert answer[1] == 2 and attempt == 0, answer[:4]
                    common.close(numpy.frombuffer(answer[4][0], dtype=numpy.float32), compute(row)[0])
                else:
                    # The first answer was lost, and made the router speak: from then on answers fit its MTU.
                    assert attempt > 0 and len(msgpack.packb(answer)) <= 1300 - 28 and answer[1] in (3, 6), (attempt, answer[:4])
            assert appliance.counters()["net.path_mtu"] == 2, appliance.counters()
            assert appliance.counters()["net.path_mtu_refused"] == 0
            appliance.stop()
    finally:
        far.holder.terminate()
        far.holder.wait()
    print("router: gateways of both families found, and its MTU of 1,300 respected")


def main():
    common.need_root()
    two_families()
    vlan("af_xdp")
    vlan("af_packet")
    jumbo()
    shared_memory()
    router()
    return 0


if __name__ == "__main__":
    sys.exit(main())
