"""Scalars and whole numbers over the wire: a small model with a scalar int64 among its inputs and outputs, and the speech detector that was fetched, whose states
go back and forth, against ONNX Runtime."""
import json
import subprocess
import sys

import numpy

import common
from appliance import FAR, Appliance

sys.path.insert(0, str(common.TOP / "tests/conformance"))
import engines

MTU = 9000  # the detector's states and window are 3 KB, which no frame of AF_XDP holds
RESULT, ERROR = 2, 3


def small_model(path):
    """y = x * scale, and the next scale: f32[N,2] and a scalar i64 to f32[N,2] and a scalar i64."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    one = numpy_helper.from_array(numpy.array(1, numpy.int64), "one")
    nodes = [helper.make_node("Cast", ["scale"], ["f"], to=TensorProto.FLOAT), helper.make_node("Mul", ["x", "f"], ["y"]),
             helper.make_node("Add", ["scale", "one"], ["next"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "small", [value("x", TensorProto.FLOAT, [1, 2]), value("scale", TensorProto.INT64, [])],
                              [value("y", TensorProto.FLOAT, [1, 2]), value("next", TensorProto.INT64, [])], [one])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def small(appliance, client):
    path = appliance.folder / "small.onnx"
    subprocess.run([sys.executable, __file__, "--small", path], check=True)
    appliance.ctl("model", "import", "small", path)
    appliance.ctl("promote", "small", "1")
    outputs = json.loads(appliance.predict("small", "[[1.5, -2]]", "7", "--json").stdout)["outputs"]
    assert outputs == {"y": [[10.5, -14]], "next": 8}, outputs
    assert appliance.predict("small", "[[1.5, -2]]", "[7]", check=False).returncode == 0  # an array of one is as good

    assert appliance.predict("small", "[[1.5, -2]]", "[7, 8]", check=False).returncode == 1
    x, big = numpy.array([[3, 4]], numpy.float32), 1 << 40
    for inputs in ([x.tobytes(), big.to_bytes(8, "little")], [x.tobytes(), [7, [], big.to_bytes(8, "little")]]):
        answer = client.predict("small", inputs)
        assert answer[1] == RESULT, answer
        assert numpy.array_equal(numpy.frombuffer(answer[4][0], numpy.float32), x[0] * numpy.float32(big)), answer
        assert int.from_bytes(answer[4][1], "little") == big + 1, answer
    for wrong in (b"", [big]):  # plain numbers have a dimension
        refused = client.predict("small", [x.tobytes(), wrong])
        assert refused[1] == ERROR, refused


def detector(appliance, client):
    fetched = subprocess.run([sys.executable, common.TOP / "tools/benchmark/nets/fetch.py"], stdout=subprocess.PIPE, text=True)
    if fetched.returncode == 77:
        print("without the speech detector:", fetched.stdout.strip())
        return
    path = f"{fetched.stdout.strip()}/silero_vad_v5.onnx"
    appliance.ctl("model", "import", "detector", path, "--shape", "input=1,512", "--shape", "state=2,1,128")
    appliance.ctl("promote", "detector", "1")
    runtime, model = engines.Runtime(), open(path, "rb").read()
    random = numpy.random.default_rng(1)
    ours = theirs = numpy.zeros((2, 1, 128), numpy.float32)
    rate = numpy.array(16000, numpy.int64)
    for _ in range(5):
        window = random.uniform(-0.3, 0.3, (1, 512)).astype(numpy.float32)
        answer = client.predict("detector", [window.tobytes(), ours.tobytes(), rate.tobytes()])
        assert answer[1] == RESULT, answer
        expected = runtime.answers(model, [{"input": window, "state": theirs, "sr": rate}])[0]
        got = [numpy.frombuffer(data, numpy.float32).reshape(e.shape) for data, e in zip(answer[4], expected)]
        for a, b in zip(got, expected):
            assert engines.difference(a, b)[0] < 1e-4, engines.difference(a, b)
        ours, theirs = got[1], expected[1]
    outputs = json.loads(appliance.predict("detector", json.dumps(window.tolist()), json.dumps(theirs.tolist()), "16000", "--json").stdout)["outputs"]
    expected = runtime.answers(model, [{"input": window, "state": theirs, "sr": rate}])[0]
    assert engines.difference(numpy.array(outputs["output"], numpy.float32), expected[0])[0] < 1e-4, outputs
    runtime.close()
    print("the speech detector answers as ONNX Runtime does")


def main():
    if sys.argv[1:2] == ["--small"]:  # in a process of its own: see common.dense_model
        small_model(sys.argv[2])
        return
    common.need_root()
    with Appliance("tap", {"dataplane.mtu": MTU}) as appliance:
        appliance.network.run("ip", "link", "set", FAR, "mtu", MTU)
        client = appliance.client()
        small(appliance, client)
        detector(appliance, client)
        client.close()
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
