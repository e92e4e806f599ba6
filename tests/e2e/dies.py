"""The data plane dies, or stands still, again and again while clients ask: each time it answers again within a second, with the versions that it had."""
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy

import common
from appliance import Appliance, wait_for

BUSY = 10         # the wire's code
KILLS = 100 if common.LONG else 5
BACK_S = 1.0     # from its death until every version answers again
STOPS = 5 if common.LONG else 1
STUCK_S = 2      # it may stand still for so long
STEADY_S = 2.5   # it has to answer for so long before its death is no sign of worse to come


class Crowd:
    """What each selection of the model shall answer, and how it is asked."""

    def __init__(self, appliance):
        self.x = numpy.random.default_rng(7).random((1, 100), dtype=numpy.float32)
        computes = {}
        for version in (1, 2, 3):
            computes[version] = common.dense_model(appliance.folder / "net.onnx", (100, 200, 100), version)
            appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
        appliance.ctl("promote", "net", "1")
        appliance.ctl("promote", "net", "2")  # 1 stays, as the one before
        appliance.ctl("promote", "net", "3", "--label", "canary")
        self.answers = {select: (version, computes[version](self.x)) for select, version in {None: 2, 1: 1, "canary": 3}.items()}
        # What gyr-load asks, and what it is to be answered by the promoted version.
        rows = numpy.random.default_rng(8).random((64, 100), dtype=numpy.float32)
        self.asked, self.expected = appliance.folder / "asked.npy", appliance.folder / "expected.npy"
        numpy.save(self.asked, rows)
        numpy.save(self.expected, computes[2](rows))
        self.client = appliance.client()
        self.client.socket.settimeout(0.02)

    def ask(self, select):
        """True for the right answer; False for none, or BUSY. Anything else is an error."""
        try:
            answer = self.client.predict("net", [self.x.tobytes()], select=select, options=None)
        except AssertionError:
            return False
        if answer[1] == 3:
            assert answer[3] == BUSY, f"while it comes back: {answer}"
            return False
        version, expected = self.answers[select]
        assert answer[3] == version, f"{select}: version {answer[3]}, not {version}"
        common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(1, -1), expected)
        return True

    def wait(self, since, seconds):
        """How long after SINCE every selection was answered."""
        left = set(self.answers)
        while left:
            assert time.monotonic() < since + seconds, f"no answer to {left} within {seconds} s"
            left = {select for select in left if not self.ask(select)}
        return time.monotonic() - since


def stands(pid):
    """A signal reaches the threads of a process one after another: until then some of them still answer."""
    try:
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return True  # gone, or going
    return all(state in "TZX" for state in states)


def main():
    common.need_root()
    chance = random.Random(1)
    with Appliance("af_xdp", {"gyrd.stuck_s": STUCK_S}) as appliance:
        crowd = Crowd(appliance)
        command = appliance.load_command("--model", "net", "--inputs", crowd.asked, "--outputs", crowd.expected, "--repeat", "--in-flight", 4, "--timeout-ms", 20, "--attempts", 500, "--backoff",
                                         "--json")
        asking = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        took = {signal.SIGKILL: [], signal.SIGSTOP: []}
        for number in [signal.SIGKILL] * KILLS + [signal.SIGSTOP] * STOPS:
            until = time.monotonic() + STEADY_S + chance.random()
            while time.monotonic() < until:
                crowd.wait(time.monotonic(), 5)
            pid = appliance.dataplane_pid()
            died = time.monotonic()
            os.kill(pid, number)
            wait_for("its threads to stand still", lambda: stands(pid))
            took[number].append(crowd.wait(died, STUCK_S + 5))
            assert appliance.dataplane_pid() != pid
        asking.terminate()
        report = json.loads(asking.communicate(timeout=20)[0])
        for number, seconds in took.items():
            print(f"{len(seconds)} times {number.name}: answers again after {min(seconds):.2f} to {max(seconds):.2f} s")
        print(f"gyr-load: {report['answered']} answers, lost {report['lost']}, malformed {report['malformed']}, wrong {report['wrong']}, by {[v['version'] for v in report['versions']]}")
        assert max(took[signal.SIGKILL]) <= BACK_S, took
        assert max(took[signal.SIGSTOP]) <= STUCK_S + 1 + BACK_S, took
        assert report["lost"] == 0 and report["malformed"] == 0 and report["wrong"] == 0, report
        assert [v["version"] for v in report["versions"]] == [2], report["versions"]
        # Whoever asked while it was away was told to come again, never that there is no such model.
        assert not {code for code, count in report["errors"].items() if count} - {"busy"}, report["errors"]
        assert "stands still; killing it" in appliance.log_text()
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
