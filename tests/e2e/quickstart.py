"""What tools/quickstart shows, over the default port and over memif: it ends well, loses nothing, and leaves nothing behind."""
import os
import re
import subprocess
import sys
from pathlib import Path

import common
from appliance import Appliance


def falls_back():
    """Where AF_XDP is refused, AF_PACKET takes its place, on the same CPU."""
    sys.path.insert(0, str(common.TOP / "tools/lib"))  # before this file, which has the same name
    import quickstart

    def refuse(port, settings):
        if port == "af_xdp":
            raise AssertionError("af_xdp is refused by the test")
        return Appliance(port, settings)

    cpus = os.sched_getaffinity(0)
    quickstart.Appliance = refuse
    with quickstart.open_appliance("af_xdp", False) as appliance:
        status = appliance.ctl_json("status")["dataplane"]["status"]
        assert "af_packet" in status["ports"][0]["devargs"], status["ports"]
        assert [lcore["cpu"] for lcore in status["lcores"]] == [max(cpus)], status["lcores"]
        appliance.stop()
    os.sched_setaffinity(0, cpus)


def main():
    common.need_root()
    falls_back()
    before = {name: Path(name).read_text() for name in ("/proc/sys/vm/nr_hugepages",)}
    for port in ("af_xdp", "memif"):
        result = subprocess.run([sys.executable, common.TOP / "tools/lib/quickstart.py", "--port", port], capture_output=True, text=True, timeout=180)
        assert result.returncode == 0, result.stdout + result.stderr
        assert re.search(r"the swap lost 0 of [\d,]+", result.stdout), result.stdout
        found = [float(value) for value in re.findall(r"version \d: [\d,]+ answers, accuracy ([\d.]+)%", result.stdout)]
        assert len(found) == 3 and min(found) > 80 and found[2] > found[1], found
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
        assert "gyr" not in links, links
        print(result.stdout[-400:])
    for name, value in before.items():
        assert Path(name).read_text() == value, f"{name} was changed"


if __name__ == "__main__":
    sys.exit(main())
