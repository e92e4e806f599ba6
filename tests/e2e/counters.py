"""The counters of a whole appliance, as gyrctl tells them: they add up, with one fused lcore and with two; they are read while the data plane loads, and they begin anew when it does."""
import os
import signal

import msgpack
import numpy

import common
from appliance import Appliance, wait_for

SEED = 7


def total(rows, prefix):
    return sum(value for row in rows for name, value in row.items() if name.startswith(prefix))


def settled(appliance):
    """The counters when nothing is under way any more."""
    def look():
        told = appliance.ctl_json("stats")
        return told if total(told["lcores"], "net.datagram") == total(told["lcores"], "answer.") else None
    return wait_for("the last answers", look)


def check_sums(told):
    """The equations of docs/OPERATIONS.md."""
    lcores, versions, models, [house] = told["lcores"], told["versions"], told["models"], told["house"]
    assert total(told["rx"], "rx.frames") == total(lcores, "net."), (told["rx"], lcores)
    answers, silent = total(lcores, "answer."), sum(row[f"answer.{kind}"] for row in lcores for kind in ("none", "withheld", "piece", "no_room", "missing"))
    assert total(lcores, "net.datagram") == answers, lcores
    replies = sum(total(lcores, f"net.{kind}_reply") for kind in ("arp", "echo", "nd"))
    pieces = sum(total(lcores, f"large.{name}") for name in ("sent", "asked", "told")) - total(lcores, "large.answers")
    assert total(told["tx"], "tx.frames") + total(lcores, "send.dropped") == answers - silent + replies + pieces + total(lcores, "send.unasked"), told["tx"]
    results = total(lcores, "answer.result")
    assert results == total(versions, "requests") + house["retired.requests"], versions
    assert total(lcores, "answer.late") == sum(version["late"] for version in versions) + house["retired.late"], versions
    # What this test has refused names a model, but for what names none, or is no message.
    named = sum(value for row in lcores for name, value in row.items() if name in ("answer.bad_shape", "answer.bad_dtype", "answer.unknown_version", "answer.unknown_label"))
    assert named == total(versions, "refused.") + total(models, "refused.") + house["retired.refused"], (versions, models)
    for version in versions:
        assert all(stage["count"] == version["requests"] for stage in version["stages"].values()), version
        parts = sum(version["stages"][name]["sum_ns"] for name in ("parsed", "queued", "computed", "sent"))
        whole = version["stages"]["total"]["sum_ns"]
        assert parts <= whole <= parts + 5 * version["requests"], (parts, whole)
        assert version["rows"] >= version["requests"] >= total([version], "runs.") >= (version["requests"] > 0), version


def ask_in_pieces(appliance, client):
    """A question and an answer larger than a datagram; one of its pieces is asked for again, and a question that stays incomplete is given up."""
    width = 400
    compute = common.dense_model(appliance.folder / "wide.onnx", (width, width), SEED)
    appliance.ctl("model", "import", "wide", appliance.folder / "wide.onnx")
    appliance.ctl("promote", "wide", "1")
    row = numpy.arange(width, dtype=numpy.float32).reshape(1, width) / width
    question = msgpack.packb([1, 1, 7000, "wide", None, 0, [row.tobytes()]])
    piece = lambda id, offset: client.send(msgpack.packb([1, 6, id, len(question), offset, question[offset : offset + 1024]]))
    for offset in range(0, len(question), 1024):
        piece(7000, offset)
    pieces, total = {}, None
    while sum(map(len, pieces.values())) != total:
        _, kind, number, total, offset, part = client.receive()
        assert (kind, number) == (6, 7000)
        pieces[offset] = part
    answer = msgpack.unpackb(b"".join(pieces[offset] for offset in sorted(pieces)))
    common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(1, width), compute(row))
    client.send(msgpack.packb([1, 8, 7000, total, [[0, 64]]]))
    assert client.receive()[:5] == [1, 6, 7000, total, 0]
    client.socket.settimeout(5)
    piece(7001, 0)
    assert [client.receive()[1:4:2] for _ in range(2)] == [[8, len(question)], [3, 12]]
    client.socket.settimeout(0.5)


def ask_all(appliance):
    compute = common.dense_model(appliance.folder / "net.onnx", (4, 16, 3), SEED)
    common.dense_model(appliance.folder / "other.onnx", (4, 8, 3), SEED)
    for name in ("net", "other"):
        appliance.ctl("model", "import", "net", appliance.folder / f"{name}.onnx")
    appliance.ctl("promote", "net", "1")
    appliance.ctl("load", "net", "2")
    client, x = appliance.client(), numpy.random.default_rng(SEED).standard_normal((3, 4)).astype(numpy.float32)
    for i in range(30):
        answer = client.predict("net", [x.tobytes()], select=i % 2 + 1)
        assert answer[1] == 2, answer
        if i % 2 == 0:
            common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(3, 3), compute(x))
    for _ in range(4):
        assert client.predict("net", [b"123"])[3] == 6
        assert client.predict("net", [x.tobytes()], select=9)[3] == 4
        assert client.predict("net", [x.tobytes()], select="none")[3] == 5
    assert client.predict("nobody", [x.tobytes()])[3] == 3
    assert client.ask([7, b"ping"])[1] == 7
    ask_in_pieces(appliance, client)
    told = settled(appliance)
    check_sums(told)
    assert all(total(told["lcores"], name) > 0 for name in ("answer.piece", "answer.missing", "large.sent", "large.asked", "large.told", "large.answers")), told["lcores"]
    by_version = {row["version"]: row for row in told["versions"] if row["model"] == "net"}
    assert [(by_version[v]["requests"], by_version[v]["rows"]) for v in (1, 2)] == [(15, 45), (15, 45)], by_version
    assert by_version[1]["refused.bad_shape"] == 4 and total(told["models"], "refused.unknown_") == 8, told["models"]
    stages = by_version[1]["stages"]
    assert all(0 < stages[name]["p50_ns"] <= stages[name]["p99.9_ns"] <= stages[name]["max_ns"] for name in stages), stages
    # An unloaded version's requests stay in the sums.
    appliance.ctl("unload", "net", "2")
    told = settled(appliance)
    check_sums(told)
    assert (told["house"][0]["retired.requests"], len(told["versions"])) == (15, 2), told["house"]
    return told


def main():
    common.need_root()
    last = max(os.sched_getaffinity(0))
    for layout, settings in (("fused", {"dataplane.io_cpus": last, "dataplane.engine_cpus": last}), ("separate", {"dataplane.io_cpus": 0, "dataplane.engine_cpus": last})):
        with Appliance("af_xdp", settings) as appliance:
            before = ask_all(appliance)
            [interval] = [appliance.ctl_json("top", "--interval", "200", "--count", "1")]
            assert [lcore["roles"] for lcore in interval["lcores"]] == (["io+engine"] if layout == "fused" else ["io", "engine"]), interval
            # The next data plane counts from nothing, and is the one that is read.
            os.kill(appliance.dataplane_pid(), signal.SIGKILL)
            after = wait_for("the next data plane", lambda: (lambda told: told if told["alive"] and told["pid"] != before["pid"] else None)(appliance.ctl_json("stats")))
            assert total(after["lcores"], "answer.result") == 0, after["lcores"]
            wait_for("its version", lambda: [row["version"] for row in appliance.ctl_json("stats")["versions"]] == [1, 1])
            print(f"{layout}: {total(before['rx'], 'rx.frames')} frames, {total(before['lcores'], 'answer.')} datagrams, every one counted once")
            appliance.stop()


if __name__ == "__main__":
    main()
