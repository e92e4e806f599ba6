"""What tools/quickstart shows, over the default port and over memif: it ends well, loses nothing, and leaves nothing behind."""
import re
import subprocess
import sys
from pathlib import Path

import common


def main():
    common.need_root()
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
