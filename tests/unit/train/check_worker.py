#!/usr/bin/env python3
"""gyr-worker from outside: its numbers against numpy and ONNX Runtime, its events and exit statuses, what it leaves behind.

    check_worker.py GYR-WORKER TRAIN-ANSWERS
"""
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import msgpack
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WORKER, ANSWERS = sys.argv[1:3]


def events_of(output):
    return [json.loads(line) for line in output.splitlines()]


def run(command, **options):
    """The events and the exit status of one command."""
    words = [f"{name.replace('_', '-')}={value}" for name, value in options.items()]
    done = subprocess.run([WORKER, command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
    return events_of(done.stdout), done.returncode


def answers(bundle, data, how):
    done = subprocess.run([ANSWERS, bundle, data, how], stdout=subprocess.PIPE, check=True, timeout=100)
    return np.frombuffer(done.stdout, np.float32).reshape(len(np.load(data)), -1)


def runtime_answers(path, x):
    with open(path, "rb") as file:
        question = pickle.dumps((file.read(), {"input": x}))
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../onnx/ort_answers.py")
    done = subprocess.run([sys.executable, script], input=question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=100)
    answer = pickle.loads(done.stdout)
    assert not isinstance(answer, str), answer
    return answer[0]


def dense_model(weights, softmax):
    """An ONNX model of Gemm (transposed, as PyTorch exports it) and Relu; its parameters as numpy has them."""
    nodes, constants, last = [], [], "x"
    for i, (w, b) in enumerate(weights):
        constants += [numpy_helper.from_array(w.T.copy(), f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"h{i}"], transB=1))
        last = f"h{i}"
        if i + 1 < len(weights):
            nodes.append(helper.make_node("Relu", [last], [f"r{i}"]))
            last = f"r{i}"
    if softmax:
        nodes.append(helper.make_node("Softmax", [last], ["p"]))
        last = "p"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
            for name, width in (("x", weights[0][0].shape[0]), (last, weights[-1][0].shape[1]))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def numpy_training(weights, x, t, epochs, batch, rate, momentum, classes):
    """The same training in double: mean squared error and Adam, or (CLASSES) cross-entropy and SGD. The loss of each epoch; WEIGHTS change in place."""
    first = [np.zeros_like(p) for p in weights]
    second = [np.zeros_like(p) for p in weights]
    losses, step = [], 0
    for _ in range(epochs):
        total = 0.0
        for at in range(0, len(x), batch):
            xs, ts, step = x[at:at + batch], t[at:at + batch], step + 1
            layers = [xs]
            for i in range(0, len(weights), 2):
                h = layers[-1] @ weights[i] + weights[i + 1]
                layers.append(np.maximum(h, 0) if i + 2 < len(weights) else h)
            y = layers[-1]
            if classes:
                e = np.exp(y - y.max(axis=1, keepdims=True))
                p = e / e.sum(axis=1, keepdims=True)
                total += -np.log(p[np.arange(len(ts)), ts]).sum()
                g = (p - np.eye(y.shape[1])[ts]) / len(ts)
            else:
                total += ((y - ts) ** 2).mean() * len(ts)
                g = 2 * (y - ts) / y.size
            for i in range(len(weights) - 2, -1, -2):
                grads = (layers[i // 2].T @ g, g.sum(axis=0))
                g = (g @ weights[i].T) * (layers[i // 2] > 0)
                for j, grad in zip((i, i + 1), grads):
                    if classes:
                        first[j] = momentum * first[j] + grad
                        weights[j] -= rate * first[j]
                    else:
                        first[j] = 0.9 * first[j] + 0.1 * grad
                        second[j] = 0.999 * second[j] + 0.001 * grad ** 2
                        weights[j] -= rate * (first[j] / (1 - 0.9 ** step)) / (np.sqrt(second[j] / (1 - 0.999 ** step)) + 1e-8)
        losses.append(total / len(x))
    return losses


def manifest(path):
    """That of a bundle (docs/BUNDLE.md)."""
    with open(path, "rb") as file:
        data = file.read()
    return msgpack.unpackb(data[4096:4096 + int.from_bytes(data[32:40], "little")])


class Worker(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gyr-worker-")
        self.addCleanup(self.folder.cleanup)
        self.random = np.random.default_rng(1)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def save(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def weights(self, sizes):
        """Each layer's weight and bias, f32."""
        return [((self.random.standard_normal((a, b)) * np.sqrt(2 / a)).astype(np.float32), (self.random.standard_normal(b) * 0.1).astype(np.float32))
                for a, b in zip(sizes, sizes[1:])]

    def exported_weights(self, bundle):
        events, status = run("export", **{"in": bundle, "out": self.path("out.onnx")})
        self.assertEqual(status, 0, events)
        return {c.name: numpy_helper.to_array(c) for c in onnx.load(self.path("out.onnx")).graph.initializer}

    def against_numpy(self, sizes, classes, **options):
        weights = self.weights(sizes)
        x = self.random.uniform(-1, 1, (203, sizes[0])).astype(np.float32)
        t = self.random.integers(0, sizes[-1], 203) if classes else self.random.uniform(-1, 1, (203, sizes[-1])).astype(np.float32)
        onnx.save(dense_model(weights, classes), self.path("start.onnx"))
        epochs, batch = 12, 32
        # Fewer rows than batches' worth: the last batch has 11.
        events, status = run("train", **{"from": self.path("start.onnx"), "data": self.save("x.npy", x), "targets": self.save("t.npy", t), "shuffle": 0,
                                         "epochs": epochs, "batch": batch, "loss": "cross-entropy" if classes else "mse", "out": self.path("out.gyr"), **options})
        self.assertEqual(status, 0, events)
        doubles = [p.astype(np.float64) for layer in weights for p in layer]
        losses = numpy_training(doubles, x.astype(np.float64), t, epochs, batch, float(options["rate"]), float(options.get("momentum", 0)), classes)
        for event in events[:-1]:
            # 84 steps in f32: each rounds at about 1e-7 of the sums.
            self.assertAlmostEqual(event["loss"] / losses[event["epoch"] - 1], 1, delta=1e-4)
        self.assertEqual(events[-2]["epoch"], epochs)
        self.assertLess(losses[-1], losses[0])
        got = self.exported_weights(self.path("out.gyr"))
        for i in range(len(weights)):
            np.testing.assert_allclose(got[f"w{i}"].T, doubles[2 * i], rtol=0, atol=2e-4)
            np.testing.assert_allclose(got[f"b{i}"], doubles[2 * i + 1], rtol=0, atol=2e-4)
            self.assertGreater(np.abs(got[f"w{i}"].T - weights[i][0]).max(), 1e-2)

    def test_adam_and_squares_as_numpy(self):
        self.against_numpy([100, 200, 100], False, rate=0.001)

    def test_sgd_and_cross_entropy_as_numpy(self):
        self.against_numpy([30, 50, 20, 4], True, optimiser="sgd", rate=0.05, momentum=0.9)

    def test_teaching_example(self):
        """100-200-100, mean squared error, Adam at 1e-3, 1,000 epochs; then ONNX; then the same answers from everything that can answer."""
        x = self.random.uniform(-1, 1, (100, 100)).astype(np.float32)
        data, targets = self.save("x.npy", x), self.save("t.npy", self.random.uniform(-1, 1, (100, 100)).astype(np.float32))
        bundle, onnx_file = self.path("teach.gyr"), self.path("teach.onnx")
        events, status = run("train", name="teach", data=data, targets=targets, sizes="100-200-100", loss="mse", optimiser="adam", rate="1e-3", epochs=1000, out=bundle)
        self.assertEqual(status, 0, events)
        progress, done = events[:-1], events[-1]
        self.assertEqual({e["event"] for e in progress}, {"progress"})
        self.assertEqual(set(progress[0]), {"event", "epoch", "epochs", "loss", "examples_per_s", "left_s"})
        self.assertEqual((progress[-1]["epoch"], progress[-1]["epochs"]), (1000, 1000))
        self.assertLess(progress[-1]["loss"], progress[0]["loss"] / 10)
        self.assertEqual((done["event"], done["out"], done["loss"]), ("done", bundle, progress[-1]["loss"]))
        self.assertRegex(done["id"], "^[0-9a-f]{64}$")
        events, status = run("export", **{"in": bundle, "out": onnx_file})
        self.assertEqual((status, events[0]["id"]), (0, done["id"]))
        onnx.checker.check_model(onnx_file, full_check=True)
        events, status = run("import", **{"in": onnx_file, "out": self.path("again.gyr"), "name": "again"})
        self.assertEqual((status, events[0]["golden_rows"]), (0, 8), events)
        expected = runtime_answers(onnx_file, x)
        self.assertGreater(np.abs(expected).max(), 0.1)
        for file in (bundle, self.path("again.gyr")):
            for how in ("plan", "reference"):
                np.testing.assert_allclose(answers(file, data, how), expected, rtol=1e-4, atol=1e-5)

    def test_the_same_run_makes_the_same_bundle(self):
        data, targets = self.save("x.npy", self.random.uniform(-1, 1, (50, 6))), self.save("t.npy", self.random.integers(0, 3, 50))
        ids = []
        for seed, shuffle in ((1, 1), (1, "yes"), (2, 1), (1, 0)):
            events, status = run("train", data=data, targets=targets, sizes="6-9-3", loss="cross-entropy", seed=seed, shuffle=shuffle, epochs=5, batch=16,
                                 out=self.path("out.gyr"))
            self.assertEqual(status, 0, events)
            self.assertIn("accuracy", events[-1])
            ids.append(events[-1]["id"])
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(len(set(ids)), 3)

    def test_the_bound_of_bf16(self):
        data, targets = self.save("x.npy", self.random.uniform(-1, 1, (20, 6))), self.save("t.npy", self.random.uniform(-1, 1, (20, 2)))
        first, second, third, fourth, onnx_file = (self.path(name) for name in ("1.gyr", "2.gyr", "3.gyr", "4.gyr", "1.onnx"))
        steps = [("train", dict(data=data, targets=targets, sizes="6-9-2", epochs=2, bf16_bound="0.25", out=first)),
                 ("train", {"data": data, "targets": targets, "from": first, "epochs": 2, "out": second}),
                 ("export", {"in": first, "out": onnx_file}),
                 ("import", {"in": onnx_file, "out": third, "name": "x"}),
                 ("import", {"in": onnx_file, "out": fourth, "name": "x", "bf16_bound": "0.5"})]
        for command, options in steps:
            events, status = run(command, **options)
            self.assertEqual(status, 0, events)
        self.assertEqual([manifest(path)[8:] for path in (first, second, third, fourth)], [[0.25], [0.25], [], [0.5]])

    def test_csv_by_columns_and_limit(self):
        rows = self.random.uniform(-1, 1, (40, 5)).astype(np.float32)
        with open(self.path("all.csv"), "w") as file:
            file.write("a,b,c,d,label\n")
            np.savetxt(file, np.column_stack([rows[:, :4], rows[:, 0] > 0]), fmt="%.9g", delimiter=",")
        options = dict(data=self.path("all.csv"), data_columns="0-3", targets=self.path("all.csv"), target_columns="label", sizes="4-8-2", loss="cross-entropy",
                       held_data=self.path("all.csv"), held_targets=self.path("all.csv"), rate="0.02", epochs=40, batch=8, out=self.path("out.gyr"))
        events, status = run("train", **options)
        self.assertEqual(status, 0, events)
        self.assertGreater(events[-1]["accuracy"], 0.9)
        self.assertIn("held_loss", events[-1])
        events, status = run("train", **options, limit=10, parent="model:3")
        self.assertEqual(status, 0, events)

    def test_usage(self):
        good = dict(data="x", targets="t", sizes="3-4", out="o")
        cases = [({"wrong": 1}, "wrong=1"), ({"epochs": 0}, "option epochs"), ({"epochs": "many"}, "option epochs"), ({"rate": -1}, "option rate"),
                 ({"rate": "nan"}, "option rate"), ({"loss": "huber"}, "mse or cross-entropy"), ({"optimiser": "x"}, "adam"), ({"sizes": "3"}, "784-128-10"),
                 ({"sizes": "3-"}, "784-128-10"), ({"sizes": "3-x"}, "784-128-10"), ({"from": "f"}, "both are"), ({"held_data": "x"}, "held-targets"),
                 ({"momentum": 0.5}, "momentum"), ({"momentum": 1, "optimiser": "sgd"}, "0 to below 1"), ({"name": "No Name"}, "option name"),
                 ({"shuffle": 2}, "option shuffle"), ({"seed": -1}, "option seed"), ({"batch": 0}, "option batch"), ({"limit": 0}, "option limit"),
                 ({"divisor": ""}, "option divisor is empty"), ({"bf16_bound": 0}, "option bf16-bound"), ({"bf16_bound": 1.5}, "option bf16-bound")]
        for options, words in cases:
            events, status = run("train", **{**good, **options})
            self.assertEqual((status, events[-1]["event"]), (2, "error"), options)
            self.assertIn(words, events[-1]["text"])
        for name in ("data", "targets", "out"):
            events, status = run("train", **{k: v for k, v in good.items() if k != name})
            self.assertEqual(status, 2)
            self.assertIn(f"option {name} is missing", events[-1]["text"])
        events, status = run("train", **{k: v for k, v in good.items() if k != "sizes"})
        self.assertEqual((status, "none is" in events[-1]["text"]), (2, True))
        for words in ([], ["fly"], ["train", "data"], ["train", "data=1", "data=2"], ["import", "in=x", "out=y", "name=.x"]):
            done = subprocess.run([WORKER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
            self.assertEqual((done.returncode, events_of(done.stdout)[-1]["event"]), (2, "error"), words)
            self.assertIn("gyr-worker: ", done.stderr)

    def test_failures_leave_nothing(self):
        data, targets = self.save("x.npy", np.ones((9, 4), np.float32)), self.save("t.npy", np.ones((9, 2), np.float32))
        bad = self.save("bad.npy", np.full((9, 4), np.nan, np.float32))
        before = set(os.listdir(self.folder.name))
        good = dict(data=data, targets=targets, sizes="4-2", out=self.path("out.gyr"))
        for options, words in [({"data": bad}, "NaN"), ({"data": self.path("none")}, "No such file"), ({"sizes": "5-2"}, "takes 5"), ({"sizes": "4-3"}, "answers with 3"),
                               ({"rate": "1e30", "optimiser": "sgd"}, "NaN or infinite"), ({"out": self.path("no/out.gyr")}, "No such file")]:
            events, status = run("train", **{**good, **options})
            self.assertEqual((status, events[-1]["event"]), (1, "error"), options)
            self.assertIn(words, events[-1]["text"])
        self.assertEqual(set(os.listdir(self.folder.name)), before)

    def test_hostile_models(self):
        model = dense_model(self.weights([6, 5, 3]), True)
        whole = model.SerializeToString()
        model.graph.node[1].op_type = "Nosuch"
        cases = [whole[:at] for at in (1, 10, len(whole) // 2, len(whole) - 1)] + [b"", b"\x89GYR" + whole, os.urandom(1000), model.SerializeToString()]
        for case in cases:
            with open(self.path("in.onnx"), "wb") as file:
                file.write(case)
            events, status = run("import", **{"in": self.path("in.onnx"), "out": self.path("out.gyr"), "name": "x"})
            self.assertEqual((status, [e["event"] for e in events]), (1, ["error"]), case[:20])
            self.assertIn("in.onnx", events[0]["text"])
        self.assertIn("Nosuch", events[0]["text"])
        self.assertEqual(os.listdir(self.folder.name), ["in.onnx"])
        events, status = run("export", **{"in": self.path("in.onnx"), "out": self.path("out.onnx")})
        self.assertEqual(status, 1)

    def import_net(self, nodes, constants, **options):
        """Imports a net from x to y, both of ["N", 4]."""
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy"]
        model = helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:], constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, self.path("in.onnx"))
        return run("import", **{"in": self.path("in.onnx"), "out": self.path("out.gyr"), "name": "x"}, **options)

    def test_a_model_that_takes_for_ever(self):
        value = helper.make_tensor_value_info
        wide = [numpy_helper.from_array(np.full(shape, 1e-3, np.float32), name) for name, shape in (("in", (4, 1024)), ("mid", (1024, 1024)), ("out", (1024, 4)))]
        body = helper.make_graph([helper.make_node("Identity", ["go"], ["on"]), helper.make_node("MatMul", ["a", "in"], ["p"]), helper.make_node("MatMul", ["p", "mid"], ["q"]),
                                  helper.make_node("MatMul", ["q", "out"], ["b"])], "body",
                                 [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("a", TensorProto.FLOAT, ["N", 4])],
                                 [value("on", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, ["N", 4])], wide)
        outer = helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)
        for times, failed in ((3, False), (2**20, True)):
            began = time.monotonic()
            events, status = self.import_net([outer], [numpy_helper.from_array(np.array(times), "times")], time_s=1)
            self.assertEqual((status, events[-1]["event"]), (1, "error") if failed else (0, "done"), events)
            self.assertLess(time.monotonic() - began, 60)
            if not failed:
                os.remove(self.path("out.gyr"))
        self.assertIn("in.onnx: took longer than the 1 s", events[-1]["text"])
        self.assertEqual(os.listdir(self.folder.name), ["in.onnx"])

    @unittest.skipIf(b"__asan_init" in open(WORKER, "rb").read(), "the address sanitizer reserves terabytes, so that there is no limit")
    def test_a_model_that_wants_all_memory(self):
        nodes = [helper.make_node("Expand", ["x", "wide"], ["w"]), helper.make_node("ReduceMax", ["w"], ["y"], axes=[0], keepdims=0)]
        for wide, failed in ((16, False), (2**20, True)):
            events, status = self.import_net(nodes, [numpy_helper.from_array(np.array([wide, 8, 4]), "wide")], memory_mb=160)
            self.assertEqual((status, events[-1]["event"]), (1, "error") if failed else (0, "done"), events)
            if not failed:
                os.remove(self.path("out.gyr"))
        self.assertIn("no memory", events[-1]["text"])
        self.assertEqual(os.listdir(self.folder.name), ["in.onnx"])

    @unittest.skipIf(os.geteuid() != 0, "only root can take another's rights")
    def test_files_are_opened_with_the_rights_of_who_named_them(self):
        data, targets = self.save("x.npy", self.random.uniform(-1, 1, (20, 6))), self.save("t.npy", self.random.uniform(-1, 1, (20, 2)))
        bundle, out = self.path("first.gyr"), self.path("out.gyr")
        self.assertEqual(run("train", data=data, targets=targets, sizes="6-2", epochs=1, out=bundle)[1], 0)
        os.mkdir(self.path("theirs"))
        os.chown(self.path("theirs"), 65534, 65534)
        os.chmod(self.folder.name, 0o755)
        good = [("import", {"in": bundle, "out": out, "name": "x"}), ("train", {"data": data, "targets": targets, "sizes": "6-2", "epochs": 1, "out": out}),
                ("export", {"in": bundle, "out": self.path("theirs/out.onnx")}), ("export", {"in": bundle, "out": self.path("theirs/out.gyr"), "format": "bundle"})]
        # What gyrd names is gyrd's own to read: only the data, the imported file and where the export goes are the caller's.
        for mode, where in ((0o644, "theirs"), (0o600, "")):
            for path in (data, bundle):
                os.chmod(path, mode)
            for command, options in good:
                options = dict(options)
                if command == "export":
                    options["out"] = self.path(os.path.join(where, os.path.basename(options["out"])))
                allowed = mode == 0o644
                events, status = run(command, **options, **{"as": "65534:65534,65533"})
                self.assertEqual((status, "ermission denied" in events[-1].get("text", "")), (0, False) if allowed else (1, True), (command, mode, events))
                self.assertEqual(run(command, **options)[1], 0)
        self.assertEqual(os.stat(self.path("theirs/out.onnx")).st_uid, 0)
        events, status = run("import", **good[0][1], **{"as": "65534"})
        self.assertEqual((status, "UID:GID" in events[-1]["text"]), (2, True))

    def test_a_signal_stops_it(self):
        data, targets = self.save("x.npy", np.ones((9, 4), np.float32)), self.save("t.npy", np.ones((9, 2), np.float32))
        before = set(os.listdir(self.folder.name))
        words = [WORKER, "train", f"data={data}", f"targets={targets}", "sizes=4-2", "epochs=1000000", f"out={self.path('out.gyr')}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(json.loads(process.stdout.readline())["event"], "progress")
            # It runs at the lowest priority, whatever that of who started it.
            self.assertEqual((os.getpriority(os.PRIO_PROCESS, process.pid), os.sched_getscheduler(process.pid)), (19, os.SCHED_IDLE))
            process.send_signal(signal.SIGTERM)
            rest = events_of(process.stdout.read())
        self.assertEqual((process.returncode, rest[-1]["event"]), (1, "error"))
        self.assertEqual(set(os.listdir(self.folder.name)), before)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
