"""Death and return of each daemon, starts that must be refused, and gyrctl's exit statuses."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy

import common
from appliance import GYRCTL, GYRD, Appliance, run, wait_for


def expect(result, status, *words):
    text = result.stdout + result.stderr
    assert result.returncode == status, f"status {result.returncode}, expected {status}: {text}"
    for word in words:
        assert word in text, f"{text!r} does not name {word!r}"


def daemons_die(appliance):
    computes = {}
    for version in (2, 1):
        computes[3 - version] = common.dense_model(appliance.folder / "net.onnx", (4, 16, 3), version)
        appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
    appliance.ctl("promote", "net", "1")
    appliance.ctl("promote", "net", "2", "--label", "canary")
    client = appliance.client()
    x = numpy.ones((1, 4), numpy.float32)

    def right(select=None, version=1):
        answer = client.predict("net", [x.tobytes()], select=select)
        assert answer[1] == 2 and answer[3] == version, answer
        common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(1, 3), computes[version](x))

    right()
    # gyrd is killed: answers go on, and the next gyrd takes the data plane over as it is.
    pid = appliance.dataplane_pid()
    appliance.daemon.kill()
    appliance.daemon.wait()
    for _ in range(50):
        right()
    appliance.start()
    assert appliance.dataplane_pid() == pid, "the data plane was started anew"
    right("canary", 2)
    # Nor does it end with whoever reads its log.
    ignored = next(int(line.split()[1], 16) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn"))
    assert ignored >> (signal.SIGPIPE - 1) & 1, "the data plane ends when its log's reader does"
    # The data plane is killed: it comes back with the same versions and labels.
    os.kill(pid, signal.SIGKILL)
    wait_for("another data plane", lambda: appliance.ctl_json("status")["dataplane"].get("pid") not in (0, None, pid) and appliance.is_ready(), 20)

    def settled():
        try:
            answer = client.predict("net", [x.tobytes()], select="canary")
        except AssertionError:
            return False
        return answer[1] == 2 and answer[3] == 2

    wait_for("the versions to be back", settled, 20)
    right()
    # A second gyrd on the same state is refused and disturbs nothing.
    expect(run(GYRD, "--config", appliance.config, check=False, timeout=20), 1, f"process {appliance.daemon.pid};", "run_dir")
    right()
    client.close()


def commands(appliance):
    folder = appliance.folder
    expect(run(GYRCTL, check=False), 2)
    expect(appliance.ctl("fly", check=False), 2, "fly")
    expect(appliance.ctl("promote", check=False), 2)
    expect(appliance.ctl("promote", "nobody", "1", check=False), 1, "nobody")
    expect(appliance.ctl("promote", "net", "99", check=False), 1, "99")
    expect(appliance.ctl("load", "net", "x", check=False), 2)
    expect(appliance.ctl("unload", "net", "1", check=False), 1, "stable")
    expect(appliance.ctl("model", "import", "net", folder / "absent.onnx", check=False), 1, "absent.onnx")
    (folder / "junk.onnx").write_bytes(os.urandom(5000))
    expect(appliance.ctl("model", "import", "net", folder / "junk.onnx", check=False), 1, "junk.onnx")
    whole = (folder / "net.onnx").read_bytes()
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    expect(appliance.ctl("model", "import", "net", folder / "cut.onnx", check=False), 1, "cut.onnx")
    # Another signature may not follow the promoted one, unless forced.
    common.dense_model(folder / "wide.onnx", (5, 16, 3), 1)
    appliance.ctl("model", "import", "net", folder / "wide.onnx")
    expect(appliance.ctl("promote", "net", "3", check=False), 1, "--force")
    listed = appliance.ctl_json("model", "list")
    assert "net" in json.dumps(listed)
    expect(appliance.ctl("model", "export", "net", "1", folder / "out.onnx"), 0)
    import onnx
    onnx.checker.check_model(onnx.load(folder / "out.onnx"), full_check=True)
    # A bundle goes out and comes in again; with one byte changed it does not.
    expect(appliance.ctl("model", "export", "net", "1", folder / "out.gyr"), 0)
    bundle = bytearray((folder / "out.gyr").read_bytes())
    expect(appliance.ctl("model", "import", "copy", folder / "out.gyr"), 0)
    for at in (0, 100, 5000, len(bundle) // 2, len(bundle) - 1):
        changed = bytearray(bundle)
        changed[at] ^= 0x10
        (folder / "changed.gyr").write_bytes(changed)
        expect(appliance.ctl("model", "import", "copy", folder / "changed.gyr", check=False), 1)
    (folder / "cut.gyr").write_bytes(bundle[:-4096])
    expect(appliance.ctl("model", "import", "copy", folder / "cut.gyr", check=False), 1)
    # Training data that cannot be trained on.
    (folder / "bad.csv").write_text("a,b,c\n1,2,3\n4,nan,6\n")
    train = lambda *words: appliance.ctl("train", "t", "--data", folder / "bad.csv", "--targets", folder / "bad.csv", "--sizes", "2-4-1", *words, check=False)
    expect(train("--data-columns", "a,b", "--target-columns", "c"), 1, "bad.csv:3")
    expect(train("--data-columns", "a,z", "--target-columns", "c"), 1, "z")
    (folder / "bad.csv").write_text("a,b,c\n")
    expect(train("--data-columns", "a,b", "--target-columns", "c"), 1, "bad.csv")
    appliance.stop()
    expect(appliance.ctl("status", check=False), 1, "gyrd.sock")


def starts_refused(folder):
    def start(text, *words):
        (folder / "bad.conf").write_text(text)
        expect(run(GYRD, "--config", folder / "bad.conf", check=False, timeout=30), 2, *words)

    base = f"[gyrd]\nstate_dir = {folder}/s2\nrun_dir = {folder}/r2\n"
    start(base + "speed = 1\n", "bad.conf:4", "speed", "state_dir")
    start(base + "[dataplane]\nengine_cpus = 999\n", "CPU 999")
    start(base + "[dataplane]\nbatch_max = 3\n", "batch_max", "power of two")
    # A port that does not exist: the data plane says so, by name.
    (folder / "bad.conf").write_text(base + "[dataplane]\nport = net_af_packet0,iface=nosuchlink\nhugepages = off\n")
    from appliance import STAGE
    expect(run(STAGE / "sbin/gyr-dataplane", "--config", folder / "bad.conf", check=False, timeout=60), 1, "nosuchlink")
    (folder / "bad.conf").write_text(base + "[dataplane]\nport = net_nothing0\nhugepages = off\n")
    expect(run(STAGE / "sbin/gyr-dataplane", "--config", folder / "bad.conf", check=False, timeout=60), 1, "net_nothing0")


def main():
    common.need_root()
    with Appliance("af_xdp") as appliance:
        daemons_die(appliance)
        commands(appliance)
        starts_refused(appliance.folder)


if __name__ == "__main__":
    sys.exit(main())
