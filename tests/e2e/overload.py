"""Far more is asked of an appliance than it can do: it goes on doing what it can, rightly; what it turns away is told so and counted; a greedy client takes little from polite ones; and once
it is over, all is answered again. How well is measured by tools/bench overload; here the bounds are ones that a machine shared with others keeps, with an io lcore that has its CPU
only every few milliseconds: what then finds no room in the port or the ring is turned away whoever sent it.

usage: overload.py fused|separate
"""
import json
import sys
from statistics import median

import common
from appliance import Appliance, run

sys.path.insert(0, str(common.TOP / "tools/benchmark"))
from figures import CPU_CLIENT, CPU_SERVER, conv_net, install  # noqa: E402

MODEL, SIDE, CHANNELS, LAYERS = "heavy", 16, 32, 3  # of the bench: some fifty microseconds a row at any batch size
LAYOUTS = {"fused": CPU_SERVER, "separate": CPU_CLIENT}  # the io lcore's CPU: with the engine, or with the client
ROUNDS, SECONDS = 3, 0.5
FACTOR = 10
POLITE, POLITE_PART = 9, 1 / 4
GOODPUT, POLITE_ANSWERED, AFTER_ANSWERED = 0.5, 0.5, 0.9
TIMES_GREEDY = 3  # a polite client's chance over the greedy one's


class Asking:
    """gyr-load; what it asked and was told in all."""

    def __init__(self, appliance):
        self.appliance, self.results, self.busy = appliance, 0, 0

    def load(self, *words):
        """The streams' reports. Every answer is right, and every question that was sent has one."""
        command = self.appliance.load_command("--cpu", CPU_CLIENT, "--model", MODEL, "--tensor-bytes", 4 * SIDE**2, "--check", "--tolerance", 1e-4, "--timeout-ms", 5000, "--json", *words)
        told = run(*command, check=False, timeout=60)
        assert told.stdout, told.stderr
        report = json.loads(told.stdout)
        assert report["lost"] == report["unsent"], report  # what found the port full was not asked
        for name in ("doubled", "malformed", "rejected", "stray"):
            assert report[name] == 0, (name, report)
        assert all(kind["wrong"] == 0 for kind in report["kinds"]), report
        self.results += sum(kind["answered"] for kind in report["kinds"])
        self.busy += sum(kind["busy"] for kind in report["kinds"])
        return {kind["stream"]: kind for kind in report["kinds"]}

    def peak(self):
        return max(self.load("--in-flight", count, "--clients", POLITE, "--seconds", SECONDS)["main"]["answers_per_second"] for count in (16, 64))

    def overloaded(self, peak):
        [kind] = self.load("--rate", FACTOR * peak, "--poisson", "--clients", POLITE, "--seconds", SECONDS).values()
        assert kind["busy"] > 0, kind
        return kind["answers_per_second"] / peak

    def beside_a_greedy_one(self, peak):
        kinds = self.load("--rate", POLITE_PART * peak, "--poisson", "--clients", POLITE, "--seconds", SECONDS, "--stream", f"name=greedy,rate={FACTOR * peak},poisson")
        assert kinds["greedy"]["busy"] > 0, kinds
        return [kinds[name]["answered"] / kinds[name]["asked"] for name in ("main", "greedy")]

    def afterwards(self, peak):
        [kind] = self.load("--rate", POLITE_PART * peak, "--poisson", "--clients", POLITE, "--seconds", SECONDS).values()
        return kind["answered"] / kind["asked"]


def main():
    [layout] = sys.argv[1:]
    with Appliance("memif", {"dataplane.io_cpus": LAYOUTS[layout], "dataplane.engine_cpus": CPU_SERVER}) as appliance:
        install(appliance, MODEL, conv_net(MODEL, SIDE, CHANNELS, LAYERS))
        asking, rounds = Asking(appliance), []
        for _ in range(ROUNDS):
            peak = asking.peak()
            goodput = asking.overloaded(peak)
            polite, greedy = asking.beside_a_greedy_one(peak)
            rounds.append({"peak": peak, "goodput": goodput, "polite": polite, "greedy": greedy, "afterwards": asking.afterwards(peak)})
            print(", ".join(f"{name} {value:.3g}" for name, value in rounds[-1].items()), flush=True)
        figures = {name: median(one[name] for one in rounds) for name in rounds[0]}
        assert figures["goodput"] >= GOODPUT, figures
        assert figures["polite"] >= POLITE_ANSWERED and figures["polite"] >= TIMES_GREEDY * figures["greedy"], figures
        assert figures["afterwards"] >= AFTER_ANSWERED, figures
        stats = json.loads(appliance.ctl("stats", "--json").stdout)
        count = lambda table, name: sum(row[name] for row in stats[table])
        assert count("lcores", "answer.result") == asking.results, (asking.results, stats["lcores"])
        assert count("lcores", "answer.busy") == count("models", "refused.busy") == asking.busy, (asking.busy, stats["lcores"], stats["models"])
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
