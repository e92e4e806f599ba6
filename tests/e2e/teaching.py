"""The teaching example as it is given: 100-200-100, mean squared error, Adam at 1e-3, 1,000 epochs; then export to ONNX, then serve it. ONNX Runtime is the judge."""
import sys

import numpy
import onnxruntime

import common
from appliance import Appliance


def main():
    common.need_root()
    with Appliance("af_packet") as appliance:
        random = numpy.random.default_rng(7)
        x = random.standard_normal((200, 100)).astype(numpy.float32)
        y = random.standard_normal((200, 100)).astype(numpy.float32)
        numpy.save(appliance.folder / "x.npy", x)
        numpy.save(appliance.folder / "y.npy", y)
        before = appliance.ctl("train", "lesson", "--data", appliance.folder / "x.npy", "--targets", appliance.folder / "y.npy", "--sizes", "100-200-100", "--loss", "mse",
                               "--optimiser", "adam", "--rate", "0.001", "--epochs", "1000", "--batch", "64", "--seed", "1", timeout=300)
        print(before.stdout.splitlines()[-1])
        appliance.ctl("promote", "lesson", "1")
        out = appliance.folder / "lesson.onnx"
        appliance.ctl("model", "export", "lesson", "1", out)
        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        judged = session.run(None, {session.get_inputs()[0].name: x})[0]
        loss = float(numpy.mean((judged - y) ** 2))
        print(f"loss by ONNX Runtime {loss:.6f}; {float(numpy.mean(y**2)):.6f} for answering 0")
        assert loss < 0.2, "it learned nothing"
        client = appliance.client()
        for at in range(0, 200, 3):
            answer = client.predict("lesson", [x[at : at + 3].tobytes()])
            assert answer[1] == 2, answer
            common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(-1, 100), judged[at : at + 3])
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
