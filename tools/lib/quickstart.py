"""What tools/quickstart shows, once everything is built: train, serve, ask, train further, swap under traffic."""
import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appliance import CLIENT, GYRCTL, PORT, SERVER, TOP, Appliance, run

DATA = Path("/usr/share/datasets/fashion-mnist")
MODEL = "fashion"
TRAINING = ["--data", DATA / "train-images-idx3-ubyte.gz", "--targets", DATA / "train-labels-idx1-ubyte.gz",
            "--held-data", DATA / "t10k-images-idx3-ubyte.gz", "--held-targets", DATA / "t10k-labels-idx1-ubyte.gz",
            "--loss", "cross-entropy", "--rate", "0.001", "--batch", "64", "--seed", "1"]
QUESTIONS = ["--model", MODEL, "--images", DATA / "t10k-images-idx3-ubyte.gz", "--labels", DATA / "t10k-labels-idx1-ubyte.gz"]


def say(text):
    print(f"\n== {text}", flush=True)


def settings():
    """The data plane on the last CPU, everything else on the others, when there are others."""
    cpus = sorted(os.sched_getaffinity(0))
    rest = cpus[:-1] or cpus
    os.sched_setaffinity(0, rest)
    return {"dataplane.io_cpus": cpus[-1], "dataplane.engine_cpus": cpus[-1], "gyrd.control_cpus": ",".join(map(str, rest))}


def open_appliance(port, chosen):
    """The appliance on PORT; where AF_XDP is refused and nothing else was asked for, on AF_PACKET."""
    values = settings()  # once: it leaves this process on fewer CPUs
    try:
        return Appliance(port, values)
    except AssertionError as error:
        if port != "af_xdp" or chosen:
            raise
        reason = [line for line in str(error).splitlines() if "af_xdp" in line][-1:] or [str(error).splitlines()[0]]
        say(f"AF_XDP is refused here ({reason[0].strip()}): AF_PACKET takes its place, a few microseconds slower")
        return Appliance("af_packet", values)


def train(appliance, *words):
    """gyrctl train, its progress shown as it comes."""
    subprocess.run([GYRCTL, "--config", appliance.config, "train", MODEL, *TRAINING, *words], check=True)


def table(report):
    """What gyr-load's JSON says, for people."""
    trip = report["round_trip_ns"]
    print(f"asked {report['asked']:,}, answered {report['answered']:,}, lost {report['lost']}, asked again {report['resent']}; {report['answers_per_second']:,.0f} answers a second")
    for version in report["versions"]:
        print(f"  version {version['version']}: {version['answers']:,} answers, accuracy {version['accuracy']:.2%}")
    print("  round trip in microseconds: " + ", ".join(f"{name} {trip[key] / 1e3:.1f}" for name, key in
                                                       (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))), flush=True)


def ask_all(appliance):
    result = run(*appliance.load_command(*QUESTIONS, "--busy-poll", "--count", 10000, "--warm-up", 200, "--json"), check=False)
    if result.returncode not in (0, 1):
        raise AssertionError(result.stderr)
    report = json.loads(result.stdout)
    table(report)
    return report


def swap(appliance):
    """Trains version 2 and promotes it while a client keeps asking."""
    words = appliance.load_command(*QUESTIONS, "--until-version", 2, "--then", 10000, "--json")
    if appliance.port == "memif":
        # This client spins, and would leave the training nothing of a CPU that they share.
        words = ["chrt", "--idle", "0", *words]
    with tempfile.TemporaryFile("w+") as out:
        asking = subprocess.Popen([str(word) for word in words], stdout=out, stderr=subprocess.DEVNULL)
        try:
            train(appliance, "--from", "1", "--epochs", "4", "--rate", "0.0005")
            appliance.ctl("promote", MODEL, "2")
            asking.wait(60)
        finally:
            if asking.poll() is None:
                asking.kill()
                asking.wait()
        out.seek(0)
        report = json.load(out)
    table(report)
    return report


def next_steps(appliance, stay):
    print(f"""
What to try next:
  tools/doctor                       what this machine offers, and how to mend what it lacks
  tools/bench infer                  Gyr's inference over ONNX Runtime's
  tools/bench roundtrip              a request over the port's own echo
  docs/CLIENT.md                     a client in fifteen lines of Python, and the C library
  docs/OPERATIONS.md                 running an appliance; gyrctl by example""")
    if not stay:
        print("  tools/quickstart --stay            the same, left running for you to ask")
        return
    enter = f"tools/root nsenter --net=/proc/{appliance.network.holder.pid}/ns/net" if appliance.network else "tools/root"
    gyrctl = GYRCTL.relative_to(TOP)
    print(f"""
It is running, with its files in {appliance.folder}. From the checkout's folder:
  tools/root {gyrctl} --config {appliance.config} status""")
    if appliance.network:
        print(f"  {enter} {gyrctl} --config {appliance.config} predict {MODEL} {DATA}/t10k-images-idx3-ubyte.gz --row 0")
        print(f"  (clients are at {CLIENT} in that network namespace, the appliance is at {SERVER}, UDP port {PORT})")
    print(f"Stop it with:\n  tools/quickstart --stop {appliance.folder}")


def leave_running(appliance):
    pids = {"gyrd": appliance.daemon.pid, "holder": appliance.network.holder.pid if appliance.network else 0}
    (appliance.folder / "gyrd.pid").write_text(json.dumps(pids))


def stop(folder):
    """Ends what --stay left: by the ids that it wrote down, and only while they still are those programs."""
    folder = Path(folder)
    pids = json.loads((folder / "gyrd.pid").read_text())
    for name, program in (("gyrd", "gyrd"), ("holder", "sleep")):
        pid = pids[name]
        try:
            if pid == 0 or Path(f"/proc/{pid}/comm").read_text().strip() != program:
                continue
            handle = os.pidfd_open(pid)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not select.select([handle], [], [], 20)[0]:
                sys.exit(f"quickstart: {program} (process {pid}) does not end")
        except (FileNotFoundError, ProcessLookupError):
            continue
    subprocess.run(["rm", "-rf", folder], check=True)
    print("stopped")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port")
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("--stop")
    options = parser.parse_args()
    if options.stop:
        return stop(options.stop)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    really_root = os.environ.get("GYR_ENTERED") == "0"
    port = options.port or ("af_xdp" if really_root else "memif")
    if not really_root:
        print("Without root: a memif port, no hugepages, user namespaces. Root would add AF_XDP, AF_PACKET, TAP and PCI ports, so clients with a plain socket, and hugepages.")
    began = time.monotonic()
    say("starting gyrd and gyr-dataplane" + (", with a network namespace for the clients" if port != "memif" else ""))
    appliance = open_appliance(port, options.port is not None)
    try:
        status = appliance.ctl_json("status")
        print(f"port {status['dataplane']['status']['ports'][0]['devargs']} at {SERVER}, UDP port {PORT}")
        say(f"training version 1 of \"{MODEL}\": 784-128-10 on Fashion-MNIST, 60,000 images of 28 x 28")
        train(appliance, "--sizes", "784-128-10", "--divisor", "255", "--epochs", "2")
        appliance.ctl("load", MODEL, "1")
        appliance.ctl("promote", MODEL, "1")
        print("version 1 is registered, loaded and promoted")
        say("asking for all 10,000 test images, one at a time")
        first = ask_all(appliance)
        say("training version 2 from version 1, while the questions keep coming; then swapping it in")
        second = swap(appliance)
        bad = [r for r in (first, second) if r["lost"] or r["doubled"] or r["malformed"] or any(r["errors"].values())]
        print(f"the swap lost {second['lost']} of {second['asked']:,}")
        next_steps(appliance, options.stay)
        if options.stay:
            leave_running(appliance)
        else:
            appliance.stop()
            say(f"stopped; all of it took {time.monotonic() - began:.0f} s")
        return 1 if bad or len(second["versions"]) != 2 else 0
    except KeyboardInterrupt:
        print("\ninterrupted: stopping everything")
        return 130
    finally:
        if not (options.stay and (appliance.folder / "gyrd.pid").exists()):
            appliance.close()


if __name__ == "__main__":
    sys.exit(main())
