"""Each client address has a budget of engine time: who asks all the time gets that and no more, is told when to come back, and takes nothing from others.

usage: allowance.py fused|separate
"""
import json
import sys

import common
from appliance import Appliance, run

sys.path.insert(0, str(common.TOP / "tools/benchmark"))
from figures import CPU_CLIENT, CPU_SERVER, conv_net, install  # noqa: E402

MODEL, SIDE, CHANNELS, LAYERS = "heavy", 16, 32, 3
LAYOUTS = {"fused": CPU_SERVER, "separate": CPU_CLIENT}  # the io lcore's CPU: with the engine, or with the client
US_PER_S = 5000
BURST_S = 0.1    # what a client earns in this it may use at once
SECONDS = 3.0
RATE = 20        # of one who asks little
QUEUED_US = 5000  # what may have stood in the queue when the budget was used up, and is computed


def engine_us(appliance):
    stats = json.loads(appliance.ctl("stats", "--json").stdout)
    return sum(row["engine_ns"] for row in stats["versions"]) / 1e3, stats


def main():
    [layout] = sys.argv[1:]
    settings = {"dataplane.io_cpus": LAYOUTS[layout], "dataplane.engine_cpus": CPU_SERVER, "dataplane.client_us_per_s": US_PER_S}
    with Appliance("memif", settings) as appliance:
        install(appliance, MODEL, conv_net(MODEL, SIDE, CHANNELS, LAYERS))
        before, _ = engine_us(appliance)
        command = appliance.load_command("--cpu", CPU_CLIENT, "--model", MODEL, "--tensor-bytes", 4 * SIDE**2, "--check", "--tolerance", 1e-4, "--timeout-ms", 5000, "--json", "--rate", RATE, "--seconds", SECONDS,
                                         "--stream", "name=greedy,in-flight=4")
        told = run(*command, check=False, timeout=60)
        assert told.stdout, told.stderr
        report = json.loads(told.stdout)
        kinds = {kind["stream"]: kind for kind in report["kinds"]}
        after, stats = engine_us(appliance)
        each = (after - before) / sum(kind["answered"] for kind in kinds.values())
        used = each * kinds["greedy"]["answered"]
        most = US_PER_S * (SECONDS + BURST_S) + QUEUED_US
        print(f"greedy: {kinds['greedy']['answered']} of {kinds['greedy']['asked']} answered, {used / 1e3:.1f} ms of engine time in {SECONDS} s, of {most / 1e3:.1f}; "
              f"beside it {kinds['main']['answered']} of {kinds['main']['asked']}")
        assert report["lost"] == report["unsent"] and all(kind["wrong"] == 0 for kind in kinds.values()), report
        assert kinds["greedy"]["busy"] > 0 and used <= most, report
        assert used >= US_PER_S * SECONDS / 3, "it had less than its budget"
        # A run that loses its CPU is charged with that, too.
        assert kinds["main"]["answered"] >= kinds["main"]["asked"] / 2, "who keeps to its budget was turned away"
        assert 0 < sum(row["over_allowance"] for row in stats["models"]) <= kinds["greedy"]["busy"], stats["models"]
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
