"""The same model on every kind of port that this machine offers: AF_XDP, AF_PACKET and TAP for a plain UDP socket (the client of docs/CLIENT.md among them), memif for shared memory."""
import json
import subprocess
import sys
from pathlib import Path

import common
from appliance import GYRCTL, PORT, SERVER, Appliance, run

DATA = Path("/usr/share/datasets/fashion-mnist")


def main():
    if not DATA.is_dir():
        print("skipped: the package dataset-fashion-mnist is not installed")
        return 77
    common.need_root()
    bundle = None
    for port in ("memif", "af_xdp", "af_packet", "tap"):
        with Appliance(port) as appliance:
            if bundle is None:
                train = ["--data", DATA / "train-images-idx3-ubyte.gz", "--targets", DATA / "train-labels-idx1-ubyte.gz", "--limit", "6000", "--sizes", "784-32-10", "--divisor", "255",
                         "--loss", "cross-entropy", "--epochs", "2"]
                appliance.ctl("train", "fashion", *train)
                out = appliance.folder / "fashion.gyr"
                appliance.ctl("model", "export", "fashion", "1", out)
                bundle = out.read_bytes()
            else:
                (appliance.folder / "in.gyr").write_bytes(bundle)
                appliance.ctl("model", "import", "fashion", appliance.folder / "in.gyr")
            appliance.ctl("promote", "fashion", "1")
            images = ["--model", "fashion", "--images", DATA / "t10k-images-idx3-ubyte.gz", "--labels", DATA / "t10k-labels-idx1-ubyte.gz"]
            report = json.loads(run(*appliance.load_command(*images, "--count", "2000", "--in-flight", "8", "--json"), timeout=60).stdout)
            print(f"{port}: {report['answered']} answers, accuracy {report['accuracy']:.3f}, p50 {report['round_trip_ns']['p50'] / 1e3:.1f} us", flush=True)
            assert report["answered"] == 2000 and report["lost"] == 0, report
            assert 0.7 < report["accuracy"] < 0.9, report["accuracy"]
            if port == "af_xdp":
                client = subprocess.run(appliance.client_command(sys.executable, common.TOP / "tests/e2e/python_client.py", SERVER, str(PORT)), capture_output=True, text=True, timeout=60)
                assert client.returncode == 0 and client.stdout.startswith("version 1 says"), client.stdout + client.stderr
                answer = json.loads(appliance.predict("fashion", DATA / "t10k-images-idx3-ubyte.gz", "--row", "0", "--json").stdout)
                print("gyrctl predict:", json.dumps(answer)[:160])
                assert answer["version"] == 1
            appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
