"""Images of 600 KB in, 1,000 floats out, through AF_XDP and a cable that loses 1% of the frames both ways: each is answered right, and nothing is left behind.

    large.py FORWARDER LAYOUT    LAYOUT: fused, or separate (io and engine on lcores of their own)
"""
import ctypes
import os
import re
import statistics
import sys
import time
from pathlib import Path

import msgpack
import numpy

import common
from appliance import CLONE_NEWNET, PORT, SERVER, STAGE, Appliance, libc, wait_for
from badnet import BadNetwork

SEED = 20261125
IMAGES = 2000 if common.LONG else 110
SHAPE, CLASSES, ROWS_MAX, HALVES = (3, 224, 224), 1000, 4, 20
TIMEOUT_US = 20_000_000
HARMS = (("nothing", {}), ("1% lost both ways", {"loss": 0.01}), ("lost, doubled and reordered", {"loss": 0.01, "duplicate": 0.02, "reorder": 0.02, "reorder_us": 500}))


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class Reply(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint64), ("round_trip_ns", ctypes.c_uint64), ("attempts", ctypes.c_uint32), ("retry_after_us", ctypes.c_uint32)]


class Libgyr:
    """libgyr as it is installed, with its socket in NAMESPACE."""

    def __init__(self, namespace, host):
        [path] = STAGE.glob("**/libgyr.so")
        self.library, self.client = ctypes.CDLL(str(path)), ctypes.c_void_p()
        self.library.gyr_client_error.restype = ctypes.c_char_p
        with open("/proc/self/ns/net") as own, open(namespace.path) as other:
            assert libc.setns(other.fileno(), CLONE_NEWNET) == 0
            try:
                status = self.library.gyr_client_create(host.encode(), PORT, ctypes.byref(self.client))
            finally:
                assert libc.setns(own.fileno(), CLONE_NEWNET) == 0
        assert status == 0, os.strerror(-status)

    def predict(self, model, x, count):
        out, reply = numpy.zeros(count, numpy.float32), Reply()
        given, wanted = Tensor(x.ctypes.data, x.nbytes), Tensor(out.ctypes.data, out.nbytes)
        status = self.library.gyr_predict(self.client, model.encode(), None, ctypes.byref(given), 1, ctypes.byref(wanted), 1, TIMEOUT_US, ctypes.byref(reply))
        assert status == 0, self.library.gyr_client_error(self.client).decode()
        assert wanted.bytes == out.nbytes
        return out, reply

    def close(self):
        self.library.gyr_client_destroy(self.client)


def image_model(path):
    """Mean over patches of 16 x 16, then a dense layer to 1,000 classes; and the same in numpy."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random, patches = numpy.random.default_rng(SEED), SHAPE[1] // 16
    weight = random.standard_normal((SHAPE[0] * patches * patches, CLASSES)).astype(numpy.float32) / 10
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE])
    wanted = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "image", [given], [wanted], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return lambda x: x.reshape(-1, SHAPE[0], patches, 16, patches, 16).mean(axis=(3, 5)).reshape(len(x), -1) @ weight


def is_empty(appliance):
    now = appliance.counters()
    return now["large.messages"] == 0 and now["large.bytes"] == 0


def send_halves(namespace, count):
    """The first pieces of COUNT questions, from a socket each; the rest is asked for, and never comes."""
    for i in range(count):
        with namespace.socket() as half:
            half.connect((SERVER, PORT))
            half.settimeout(0.5)
            asked = None
            while asked is None:
                for offset in range(0, 8 * 1408, 1408):
                    half.send(msgpack.packb([1, 6, i, 602_176, offset, bytes(1408)]))
                try:
                    asked = msgpack.unpackb(half.recv(65535))
                except TimeoutError:
                    continue
            assert asked[1] == 8 and asked[2] == i, asked


def run_example(plain):
    """The Python of docs/CLIENT.md that asks in pieces, as it stands there, from this socket."""
    example = re.findall(r"```python\n(.*?)```", (common.TOP / "docs/CLIENT.md").read_text(), re.DOTALL)[1]
    scope = {"gyr": plain, "msgpack": msgpack, "os": os, "time": time}
    plain.settimeout(5)
    exec(example, scope)
    assert scope["answer"][1] == 2, scope["answer"]
    common.close(numpy.frombuffer(scope["answer"][4][0], numpy.float32), numpy.zeros(CLASSES))


def main():
    forwarder, layout = Path(sys.argv[1]).resolve(), sys.argv[2]
    common.need_root()
    last = max(os.sched_getaffinity(0))
    network = BadNetwork(forwarder, "large", ["192.0.2.2/24"], SEED)
    try:
        settings = {"dataplane.port": f"net_af_xdp0,iface={network.near}", "dataplane.io_cpus": 0 if layout == "separate" else last, "dataplane.engine_cpus": last,
                    "dataplane.batch_max": ROWS_MAX, "dataplane.large_message_kb": 3072, "dataplane.large_client_mb": 24}
        with Appliance("memif", settings) as appliance:
            compute = image_model(appliance.folder / "image.onnx")
            appliance.ctl("model", "import", "image", appliance.folder / "image.onnx")
            appliance.ctl("promote", "image", "1")
            network.join()
            client, random = Libgyr(network.clients, SERVER), numpy.random.default_rng(SEED)
            images = random.standard_normal((20, *SHAPE)).astype(numpy.float32)
            answers, pid = compute(images), appliance.dataplane_pid()
            for i in range(5):
                client.predict("image", images[i:i + 1], CLASSES)
            resident = None
            for name, harm in HARMS:
                network.heal()
                network.harm("both", **harm)
                took, again = [], 0
                for i in range(IMAGES):
                    # Now and then several rows, whose answer too is larger than a datagram by far.
                    first, rows = int(random.integers(16)), int(random.integers(1, ROWS_MAX + 1)) if i % 10 == 0 else 1
                    try:
                        got, reply = client.predict("image", images[first:first + rows], rows * CLASSES)
                    except AssertionError:
                        print(f"image {i}, {rows} rows: {appliance.counters()}; the cable: {network.stats()}")
                        raise
                    common.close(got.reshape(rows, CLASSES), answers[first:first + rows])
                    took.append(reply.round_trip_ns / 1e6)
                    again += reply.attempts - 1
                took.sort()
                print(f"{layout}, {name}: {IMAGES} answered, round trip p50 {statistics.median(took):.1f} ms, p99 {took[int(len(took) * 0.99)]:.1f} ms, sent whole again {again} times", flush=True)
                wait_for("everything to be let go", lambda: is_empty(appliance))
                resident = resident or common.resident_kb(pid)
            network.heal()
            before = appliance.counters()
            send_halves(network.clients, HALVES)
            got, _ = client.predict("image", images[:1], CLASSES)  # among them
            with network.clients.socket() as plain:
                plain.connect((SERVER, PORT))
                run_example(plain)
            common.close(got.reshape(1, CLASSES), answers[:1])
            wait_for("half-sent questions to be let go", lambda: is_empty(appliance))
            now = appliance.counters()
            halves = sum(now[f"large.{name}"] - before[f"large.{name}"] for name in ("given_up", "put_out"))
            print(f"{halves} half-sent questions given up; counters: " + ", ".join(f"{name} {value:,}" for name, value in now.items() if name.startswith("large.") and value))
            assert halves == HALVES, halves
            grown = common.resident_kb(pid) - resident
            assert grown < 4096, f"{grown} KB more than after the first {IMAGES} images"
            assert pid == appliance.dataplane_pid(), "the data plane died"
            assert now["large.asked"] > 0 and now["answer.missing"] > 0 and now["large.lost"] == 0, now
            client.close()
            appliance.stop()
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(main())
