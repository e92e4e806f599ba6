"""Versions swap back and forth under a client that asks all the time: nothing is lost, doubled or wrong, and memory ends where it began."""
import json
import subprocess
import sys

import numpy

import common
from appliance import Appliance


def main():
    common.need_root()
    swaps = 10_000 if common.LONG else 60
    with Appliance("af_xdp") as appliance:
        for version in (1, 2, 3):
            common.dense_model(appliance.folder / "net.onnx", (100, 200, 100), version)
            appliance.ctl("model", "import", "net", appliance.folder / "net.onnx")
        appliance.ctl("promote", "net", "1")
        pid = appliance.dataplane_pid()
        command = appliance.load_command("--model", "net", "--tensor-bytes", 400, "--repeat", "--json")
        asking = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        begin = None
        for i in range(swaps):
            version = (2, 3, 1)[i % 3]
            appliance.ctl("promote", "net", str(version))
            # The version before is dropped every time, so that loading is part of every swap.
            appliance.ctl("unload", "net", str((1, 2, 3)[i % 3]))
            if i == swaps // 5:
                begin = common.resident_kb(pid)
        end = common.resident_kb(pid)
        asking.terminate()
        report = json.loads(asking.communicate(timeout=20)[0])
        print(f"{swaps} swaps, {report['answered']} answers by {[v['version'] for v in report['versions']]}, lost {report['lost']}, doubled {report['doubled']}, "
              f"resident {begin} -> {end} kB")
        assert report["lost"] == 0 and report["doubled"] == 0 and report["malformed"] == 0, report
        assert not any(report["errors"].values()), report["errors"]
        assert sorted(v["version"] for v in report["versions"]) == [1, 2, 3], report["versions"]
        assert appliance.dataplane_pid() == pid
        assert end - begin < 4096, "memory grew"
        status = appliance.ctl_json("status")["dataplane"]["status"]
        assert status["counters"]["route.stuck"] == 0
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
