"""gyr-load on every way that it has to a whole appliance, with many clients and models, checking every answer; and a data plane that dies under it and comes again."""
import json
import os
import signal
import subprocess
import sys

import common
import numpy
from appliance import FAR, GYR_LOAD, Appliance, run, wait_for

SERVER6, CLIENT6 = "2001:db8::1", "2001:db8::2"
QUESTIONS = 20_000
CLIENTS = 40
SIZES = {"small": (16, 8), "wide": (100, 200, 100)}
HUGEPAGES = "/proc/sys/vm/nr_hugepages"
# Each number of questions computed together has its own code, chosen by measuring: sums may be in another order, in another process too.
SAME = ["--check", "--tolerance", 1e-4]
# An appliance whose CPU is taken away for a while turns work away until it has caught up: who is told to come back comes back.
PATIENT = ["--timeout-ms", 500, "--backoff", "--attempts", 20]


def prepare(appliance):
    """Two models; the questions for one and what numpy answers, in files."""
    for name, sizes in SIZES.items():
        compute = common.dense_model(appliance.folder / f"{name}.onnx", sizes, 1)
        appliance.ctl("model", "import", name, appliance.folder / f"{name}.onnx")
        appliance.ctl("promote", name, "1")
    x = numpy.random.default_rng(2).standard_normal((500, SIZES["wide"][0])).astype(numpy.float32)
    numpy.save(appliance.folder / "x.npy", x)
    numpy.save(appliance.folder / "y.npy", compute(x).astype(numpy.float32))


def ask(appliance, what, way, *words, clients=CLIENTS):
    """A mix from many clients, then known answers: all answered, once, and rightly."""
    mix = ["--mix", f"small:1:{4 * SIZES['small'][0]}:3,wide:2:{4 * SIZES['wide'][0]}", *SAME, "--clients", clients]
    known = ["--model", "wide", "--inputs", appliance.folder / "x.npy", "--outputs", appliance.folder / "y.npy", "--in-flight", 4]
    for questions in ([*mix, "--in-flight", 16, "--count", QUESTIONS], [*mix, "--rate", 5000, "--poisson", "--count", 5000], known):
        result = run(*appliance.client_command(GYR_LOAD, *way, *questions, *words, *PATIENT, "--json"), check=False, timeout=60)
        assert result.returncode == 0, f"{what}: {result.stdout}{result.stderr}"
        report = json.loads(result.stdout)
        judged = sum(kind["wrong"] == 0 for kind in report["kinds"])
        assert report["answered"] == report["asked"] and judged == len(report["kinds"]), report
        assert report["rejected"] == 0 and report["stray"] == 0, report
    print(f"{what}: right, p50 {report['round_trip_ns']['p50'] / 1e3:.1f} us", flush=True)


def survives_the_data_plane(appliance):
    """Answers stop when it is killed, and come again when gyrd has started another."""
    words = ["--cpu", 0, "--model", "small", "--tensor-bytes", 4 * SIZES["small"][0], "--repeat", "--timeout-ms", 50, "--attempts", 1000, "--json", "--clients", 3, *SAME]
    rows = appliance.folder / "windows.csv"
    load = subprocess.Popen([str(word) for word in appliance.load_command(*words, "--window", 0.05, f"--csv={rows}", "--in-flight", 4)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def answered():
        lines = rows.read_text().splitlines()[1:] if rows.exists() else []
        return [int(line.split(",")[5]) for line in lines if line.count(",") == 16]

    try:
        wait_for("answers", lambda: sum(answered()) > 1000)
        os.kill(appliance.dataplane_pid(), signal.SIGKILL)
        wait_for("a window without an answer", lambda: 0 in answered())
        quiet = answered().index(0)
        wait_for("answers of the next data plane", lambda: sum(answered()[quiet:]) > 1000, 60)
        load.send_signal(signal.SIGTERM)
        out, error = load.communicate(timeout=60)
        assert load.returncode == 0, out + error
        report = json.loads(out)
        assert report["lost"] == 0 and report["resent"] > 0 and report["wrong"] == 0, report
    finally:
        load.kill()
    print(f"the data plane died: {report['resent']} asked again, none lost", flush=True)


def main():
    common.need_root()
    both = {"dataplane.address6": f"{SERVER6}/64"}
    with Appliance("memif", both) as appliance:
        prepare(appliance)
        ask(appliance, "memif, IPv4", ["--memif", appliance.memif])
        ask(appliance, "memif, IPv6", ["--memif", appliance.memif, "--server", f"[{SERVER6}]:4970"])
        survives_the_data_plane(appliance)
        appliance.stop()
    with Appliance("af_xdp", both) as appliance:
        prepare(appliance)
        appliance.network.run("ip", "-6", "addr", "add", f"{CLIENT6}/64", "dev", FAR, "nodad")
        ask(appliance, "sockets, IPv4", ["--server", "192.0.2.1"])
        ask(appliance, "sockets, IPv6", ["--server", f"[{SERVER6}]"])
        # The same cable's far end, taken from the kernel. Addresses that are not the kernel's own.
        port = ["--port", f"net_af_xdp0,iface={FAR}"]
        ask(appliance, "AF_XDP, IPv4", [*port, "--address", "192.0.2.100"])
        ask(appliance, "AF_XDP, IPv6", [*port, "--server", f"[{SERVER6}]:4970", "--address", "2001:db8::100"])
        appliance.stop()
    before = open(HUGEPAGES).read()
    try:
        with open(HUGEPAGES, "w") as file:
            file.write("512")
        if int(open(HUGEPAGES).read()) < 512:
            print("no hugepages to be had: vhost is left out")
            return 0
        with Appliance("vhost", {**both, "dataplane.hugepages": "on"}) as appliance:
            prepare(appliance)
            ask(appliance, "vhost", ["--hugepages", "--port", f"net_virtio_user0,path={appliance.vhost},queue_size=1024"])
            appliance.stop()
    finally:
        with open(HUGEPAGES, "w") as file:
            file.write(before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
