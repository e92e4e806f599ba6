"""Runs in the guest: prints gyrd's counters as JSON. usage: stats.py RUN-DIR/gyrd.sock"""
import json
import socket
import struct
import sys

import msgpack

gyrd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
gyrd.settimeout(30)
gyrd.connect(sys.argv[1])
request = msgpack.packb([1, "stats", {}])
gyrd.sendall(struct.pack(">I", len(request)) + request)
with gyrd.makefile("rb") as stream:
    version, kind, status, text, body = msgpack.unpackb(stream.read(struct.unpack(">I", stream.read(4))[0]))
assert (version, kind, status) == (1, 1, 0), text
print(json.dumps(body))
