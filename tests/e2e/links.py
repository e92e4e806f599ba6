"""Links that go down and come up again, peers that die and are followed by others, a device that is taken away: on every kind of port that this machine offers. Answers
resume, the change is counted, and no buffer is left behind."""
import json
import subprocess
import sys

import common
from appliance import FAR, GYR_LOAD, NEAR, PORT, SERVER, Appliance, ClientNamespace, run, wait_for

FLAPS = 40 if common.LONG else 4
QUESTIONS = 300
TENSOR = ["--model", "dense", "--tensor-bytes", str(16 * 4), "--in-flight", "4"]


def port_counters(appliance):
    return appliance.status()["ports"]


def serve(appliance):
    common.dense_model(appliance.folder / "dense.onnx", (16, 8, 4), seed=3)
    appliance.ctl("model", "import", "dense", appliance.folder / "dense.onnx")
    appliance.ctl("promote", "dense", "1")


def ask(command):
    # Patience for a kernel at the other end, which asks for an address that it lost once a second.
    report = json.loads(run(*command, *TENSOR, "--count", str(QUESTIONS), "--attempts", "50", "--json", timeout=60).stdout)
    assert report["answered"] == QUESTIONS and report["lost"] == 0, report


def wait_link(appliance, up):
    wait_for(f"the link to be {'up' if up else 'down'}", lambda: bool(port_counters(appliance)[0]["link"]) == up)


def settled_mbufs(appliance):
    """Buffers in use, once two copies of the driver's figures agree, one made after the other."""
    last = [-1]

    def settled():
        used = appliance.status_fresh()["ports"][0]["mbufs_used"]
        same, last[0] = used == last[0], used
        return (used,) if same else None

    return wait_for("the number of buffers to settle", settled)[0]


def flap(appliance, down, up):
    """DOWN and UP change the link; questions are under way while it goes down."""
    ask(appliance.load_command())
    # The TAP driver does not see its interface any more, once that was moved to the clients' namespace.
    wait = (lambda up: None) if appliance.port == "tap" else (lambda up: wait_link(appliance, up))
    before, changes = settled_mbufs(appliance), port_counters(appliance)[0]["link_changes"]
    for _ in range(FLAPS):
        asking = subprocess.Popen([*map(str, appliance.load_command()), *TENSOR, "--repeat"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        down()
        wait(False)
        up()
        wait(True)
        asking.terminate()
        asking.wait()
        ask(appliance.load_command())
    after = settled_mbufs(appliance)
    counted = port_counters(appliance)[0]["link_changes"] - changes
    assert counted == 2 * FLAPS or appliance.port == "tap", f"{counted} changes of the link were counted, of {2 * FLAPS}"
    return before, after


def interfaces(kind):
    with Appliance(kind) as appliance:
        serve(appliance)
        far = lambda state: (lambda: appliance.network.run("ip", "link", "set", FAR, state))
        near = lambda state: (lambda: run("ip", "link", "set", NEAR, state))
        ends = {"the clients' end": far} if kind == "tap" else {"the clients' end": far, "the appliance's end": near}
        for name, end in ends.items():
            before, after = flap(appliance, end("down"), end("up"))
            print(f"{kind}, {name}: {FLAPS} times down and up, {before} buffers in use before and {after} after", flush=True)
            assert after - before < FLAPS, "buffers leaked"  # one that was sent last may not have come back yet
        pid = appliance.dataplane_pid()
        if kind == "tap":
            # The driver says nothing of a TAP that is gone.
            appliance.network.run("ip", "link", "del", FAR)
        else:
            run("ip", "link", "del", NEAR)
            wait_link(appliance, False)
        assert appliance.dataplane_pid() == pid, "the data plane ended with its device"
        appliance.stop()
        print(f"{kind}: the device was taken away, and the data plane ended only when it was told to", flush=True)


def peers(kind):
    """A client by shared memory is killed in the middle of its questions; the next one is answered."""
    with Appliance(kind) as appliance:
        serve(appliance)
        ask(appliance.load_command())
        wait_link(appliance, False)
        before, changes = settled_mbufs(appliance), port_counters(appliance)[0]["link_changes"]
        for _ in range(FLAPS):
            client = subprocess.Popen([*map(str, appliance.load_command()), *TENSOR, "--repeat", "--progress"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            client.stderr.readline()
            wait_link(appliance, True)
            client.kill()
            client.wait()
            wait_link(appliance, False)
            ask(appliance.load_command())
            wait_link(appliance, False)
        after = settled_mbufs(appliance)
        print(f"{kind}: {FLAPS} clients killed, {before} buffers in use before and {after} after", flush=True)
        assert port_counters(appliance)[0]["link_changes"] - changes >= 2 * FLAPS
        assert after <= before, "buffers leaked"
        appliance.stop()


def several():
    """Four kinds of ports at once, under one address, each with clients of its own."""
    beside = ("net_memif0,role=server,id=0,socket={folder}/memif.sock,socket-abstract=no", "net_tap0,iface=gyrtap", "net_vhost0,iface={folder}/vhost.sock")
    with Appliance("af_xdp", beside=beside) as appliance:
        taps = ClientNamespace()
        try:
            taps.take("gyrtap")
            serve(appliance)
            server = ["--server", f"{SERVER}:{PORT}"]
            ways = [appliance.load_command(), [GYR_LOAD, "--memif", appliance.memif], [*taps.enter, GYR_LOAD, *server],
                    [GYR_LOAD, "--port", f"net_virtio_user0,path={appliance.vhost}", *server]]
            for way in ways:
                ask(way)
            # And all at once.
            asking = [subprocess.Popen([*map(str, way), *TENSOR, "--count", str(QUESTIONS)], stdout=subprocess.DEVNULL) for way in ways]
            assert [process.wait(60) for process in asking] == [0] * len(ways)
            print(f"{len(ways)} ports at once, each asked alone and all together", flush=True)
            appliance.stop()
        finally:
            taps.close()


def main():
    common.need_root()
    several()
    for kind in ("memif", "vhost"):
        peers(kind)
    for kind in ("af_packet", "af_xdp", "tap"):
        interfaces(kind)


if __name__ == "__main__":
    sys.exit(main())
