"""What the tests of gyr-load share: a responder on loopback that answers as it is told, and checks of the figures. The program is the first argument."""
import json
import socket
import struct
import subprocess
import sys
import threading

import msgpack

LOAD = sys.argv[1]
SO_RCVBUFFORCE = 33  # Linux's, which the socket module does not name


class Responder:
    """Answers each request with MANNER(number of the datagram, message): a list of datagrams to send back."""

    def __init__(self, manner, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        # Room for all that comes while this is not running, where that is allowed.
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, 0))
        self.server = ("[%s]:%d" if ":" in host else "%s:%d") % (host, self.socket.getsockname()[1])
        self.manner = manner
        self.count = 0
        self.peers = set()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while True:
            datagram, peer = self.socket.recvfrom(65536)
            if not datagram:
                return
            self.count += 1
            self.peers.add(peer)
            for answer in self.manner(self.count, msgpack.unpackb(datagram)):
                self.socket.sendto(answer if isinstance(answer, bytes) else msgpack.packb(answer), peer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


def scores(best):
    return struct.pack("<10f", *[float(i == best) for i in range(10)])


def result(message, version=1):
    """The first byte of the input is the class that is told."""
    return [1, 2, message[2], version, [scores(message[6][0][0] % 10)]]


def ask(responder, *arguments):
    run = subprocess.run([LOAD, "--server", responder.server, "--json", *map(str, arguments)], capture_output=True, text=True, timeout=100)
    if run.stdout == "":
        sys.exit(f"gyr-load {arguments}: {run.stderr}")
    return run.returncode, json.loads(run.stdout)


def load(manner, *arguments):
    with Responder(manner) as responder:
        return *ask(responder, *arguments), responder.count


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got}; expected {wanted}")


def has(figures, **wanted):
    for name, value in wanted.items():
        expect(name, figures[name], value)
