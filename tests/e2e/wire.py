"""Every message and every refusal of the wire, from a UDP socket over AF_XDP, with one fused lcore and with two."""
import os
import sys

import msgpack
import numpy

import common
from appliance import SERVER, Appliance

RESULT, ERROR = 2, 3
MALFORMED, UNSUPPORTED, UNKNOWN_MODEL, UNKNOWN_VERSION, UNKNOWN_LABEL, BAD_SHAPE, BAD_DTYPE, TOO_LARGE = range(1, 9)


def ask_everything(appliance):
    compute = common.dense_model(appliance.folder / "net.onnx", (4, 16, 3), 1, softmax=True)
    other = common.dense_model(appliance.folder / "other.onnx", (4, 16, 3), 2)
    appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
    appliance.ctl("model", "import", "net", appliance.folder / "other.onnx")
    client = appliance.client()
    x = numpy.random.default_rng(3).standard_normal((5, 4)).astype(numpy.float32)
    bare = lambda rows: [rows.tobytes()]

    def result(answer, version=1):
        assert answer[1] == RESULT, answer
        assert answer[3] == version, answer
        return answer[4][0]

    def refused(answer, code, *words):
        assert answer[1] == ERROR and answer[3] == code, answer
        for word in words:
            assert word in answer[4], f"{answer[4]!r} does not name {word!r}"

    # Nothing is loaded, then nothing is promoted.
    refused(client.predict("net", bare(x[:1])), UNKNOWN_MODEL)
    appliance.ctl("load", "net", "1")
    refused(client.predict("net", bare(x[:1])), UNKNOWN_LABEL)
    close = common.close
    close(numpy.frombuffer(result(client.predict("net", bare(x[:1]), select=1)), numpy.float32).reshape(1, 3), compute(x[:1]))
    appliance.ctl("promote", "net", "1")

    # The three forms, one row and several; the answer comes in the style of the question.
    close(numpy.frombuffer(result(client.predict("net", bare(x[:1]))), numpy.float32).reshape(1, 3), compute(x[:1]))
    close(numpy.frombuffer(result(client.predict("net", bare(x))), numpy.float32).reshape(5, 3), compute(x))
    dtype, shape, data = result(client.predict("net", [[1, [5, 4], x.tobytes()]]))
    assert (dtype, shape) == (1, [5, 3]), (dtype, shape)
    close(numpy.frombuffer(data, numpy.float32).reshape(5, 3), compute(x))
    dtype, shape, data = result(client.predict("net", [[1, [4], x[0].tobytes()]]))
    assert (dtype, shape) == (1, [3]), (dtype, shape)
    close(result(client.predict("net", [x.tolist()])), compute(x))
    close(numpy.reshape(result(client.predict("net", [x[0].tolist()])), (1, 3)), compute(x[:1]))
    timed = client.predict("net", bare(x[:1]), options={"timing": True})
    assert len(timed) == 6 and len(timed[5]) == 3 and timed[5][0] <= timed[5][2], timed

    # By version, by label, by handle.
    appliance.ctl("promote", "net", "2", "--label", "canary")
    close(numpy.frombuffer(result(client.predict("net", bare(x[:1]), select="canary"), 2), numpy.float32).reshape(1, 3), other(x[:1]))
    close(numpy.frombuffer(result(client.predict("net", bare(x[:1]), select=2), 2), numpy.float32).reshape(1, 3), other(x[:1]))
    description = client.ask([4, "net", None])
    assert description[1] == 5, description
    told = description[3]
    assert sorted(told["versions"]) == [1, 2] and told["labels"] == {"stable": 1, "canary": 2}, told
    handle = told["handle"]
    close(numpy.frombuffer(result(client.predict(handle, bare(x[:1]))), numpy.float32).reshape(1, 3), compute(x[:1]))

    # Ping, ICMP echo, ARP (the ping command needs it first).
    assert client.ask([7, b"anybody there"])[3] == b"anybody there"
    appliance.network.run("ip", "neigh", "flush", "all")
    appliance.network.run("ping", "-c", "3", "-i", "0.01", "-W", "2", "-s", "1400", SERVER)

    # Refusals, each with its code and what is wrong.
    refused(client.predict("nte", bare(x[:1])), UNKNOWN_MODEL, "no model")
    refused(client.predict(4711, bare(x[:1])), UNKNOWN_MODEL)
    refused(client.predict("net", bare(x[:1]), select=9), UNKNOWN_VERSION)
    refused(client.predict("net", bare(x[:1]), select="gold"), UNKNOWN_LABEL, "label")
    refused(client.predict("net", [x.tobytes()[:-4]]), BAD_SHAPE)
    refused(client.predict("net", [b""]), BAD_SHAPE)
    refused(client.predict("net", bare(x[:1]) * 2), BAD_SHAPE)
    refused(client.predict("net", [[1, [5, 3], bytes(60)]]), BAD_SHAPE)
    refused(client.predict("net", [[11, [1, 4], bytes(32)]]), BAD_DTYPE)
    refused(client.predict("net", [[[1, 2, 3]]]), BAD_SHAPE)
    refused(client.predict("net", [numpy.zeros((65, 4), numpy.float32).tobytes()]), TOO_LARGE)
    refused(client.predict("net", [["a", "b"]]), MALFORMED)
    refused(client.predict("net", []), MALFORMED)
    refused(client.predict("net", bare(x[:1]), deadline_us=-1), MALFORMED)
    refused(client.predict("net", "inputs"), MALFORMED)
    refused(client.predict("UPPER", bare(x[:1])), MALFORMED)
    refused(client.ask([6, 1000, 0, b"part"]), MALFORMED, "fragment")
    refused(client.ask([99]), UNSUPPORTED)
    # What is not a message of ours, or has no id, is dropped and counted, not answered.
    for datagram in (b"", b"\xc1sealed", b"\x93\x01", msgpack.packb({"a": 1}), msgpack.packb([1, 1]), b"\x91" * 1400, os.urandom(8)[:0] + b"GET / HTTP/1.1\r\n\r\n"):
        assert client.silent(datagram), datagram
    # After all that, the right answer.
    close(numpy.frombuffer(result(client.predict("net", bare(x))), numpy.float32).reshape(5, 3), compute(x))
    client.close()

    # gyrctl predict, through libgyr.
    answer = appliance.predict("net", str(x[0].tolist()), "--json").stdout
    assert '"version":1' in answer.replace(" ", ""), answer
    assert appliance.predict("nte", "[1]", check=False).returncode == 1


def main():
    common.need_root()
    last = os.cpu_count() - 1
    layouts = {"fused": {"dataplane.io_cpus": last, "dataplane.engine_cpus": last}, "split": {"dataplane.io_cpus": 0, "dataplane.engine_cpus": last}}
    if last == 0:
        del layouts["split"]
    for name, settings in layouts.items():
        print(name, flush=True)
        with Appliance("af_xdp", settings) as appliance:
            ask_everything(appliance)
            appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
