"""gyrd's end of the link (dataplane/link/link.h), written from its description."""
import fcntl
import os
import socket

import msgpack

HELLO, LOAD, UNLOAD, ROUTE, STATUS, STOP, CHOICES, STATS, POLICY, SETTLED = range(1, 11)
F_ADD_SEALS, SEALS = 1033, 1 | 2 | 4 | 8
PATIENCE_S = 30


class Peer:
    def __init__(self, run_dir):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(os.path.join(run_dir, "dataplane.sock"))
        self.seq = 0

    def send(self, packet, descriptors=()):
        socket.send_fds(self.socket, [packet], list(descriptors))

    def receive(self):
        """(type, seq, status, text, body)"""
        version, kind, *rest = msgpack.unpackb(self.socket.recv(1 << 17))
        assert version == 1 and kind & 0x80, (version, kind)
        return (kind & 0x7F, *rest)

    def ask(self, kind, model="", version=0, labels=(), descriptors=()):
        self.seq += 1
        self.send(msgpack.packb([1, kind, self.seq, model, version, list(labels)]), descriptors)
        answered, seq, status, text, body = self.receive()
        assert (answered, seq) == (kind, self.seq), (answered, seq)
        assert (status == 0) == (text == ""), (status, text)
        return status, text, body

    def counters(self):
        """The descriptor of the counters' memory; the caller's."""
        self.seq += 1
        self.send(msgpack.packb([1, STATS, self.seq, "", 0, []]))
        packet, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 17, 4)
        assert msgpack.unpackb(packet) == [1, STATS | 0x80, self.seq, 0, "", None], packet
        assert len(descriptors) == 1, descriptors
        return descriptors[0]

    def close(self):
        self.socket.close()


def memfd(content, sealed=True):
    descriptor = os.memfd_create("bundle", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    if sealed:
        fcntl.fcntl(descriptor, F_ADD_SEALS, SEALS)
    return descriptor
