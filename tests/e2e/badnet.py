"""Networks of clients behind a bad cable: a namespace for the clients, one for the forwarder (tests/e2e/forwarder), and the appliance's end in ours."""
import json
import subprocess

from appliance import ClientNamespace, run

HARMLESS = {"loss": 0, "duplicate": 0, "reorder": 0, "corrupt": 0, "delay_us": 0, "jitter_us": 0, "reorder_us": 0, "mbps": 0, "mtu": 0}


class BadNetwork:
    """Clients at ADDRESSES (with prefixes) behind a cable whose near end is the interface `near`. NAME: at most 13 letters, its own for each."""

    def __init__(self, program, name, addresses, seed, mtu=1500):
        self.near, left, right, far = (f"{name}{i}" for i in range(4))
        self.forwarder = self.clients = self.middle = None
        try:
            self.clients, self.middle = ClientNamespace(), ClientNamespace()
            run("ip", "link", "add", self.near, "mtu", mtu, "type", "veth", "peer", "name", left)
            run("ip", "link", "set", left, "netns", self.middle.holder.pid)
            run("ip", "link", "add", far, "mtu", mtu, "type", "veth", "peer", "name", right)
            run("ip", "link", "set", far, "netns", self.clients.holder.pid)
            run("ip", "link", "set", right, "netns", self.middle.holder.pid)
            # Nobody but the clients and the appliance speaks on this cable.
            run("sysctl", "-qw", f"net.ipv6.conf.{self.near}.disable_ipv6=1")
            for link in (left, right):
                self.middle.run("sysctl", "-qw", f"net.ipv6.conf.{link}.disable_ipv6=1")
                self.middle.run("ethtool", "-K", link, "tx", "off", "gro", "off")
                self.middle.run("ip", "link", "set", link, "up", "mtu", mtu)
            run("ip", "link", "set", self.near, "up", "mtu", mtu)
            self.clients.run("ethtool", "-K", far, "tx", "off", "gro", "off")
            self.clients.run("ip", "link", "set", far, "mtu", mtu)
            for address in addresses:
                self.clients.run("ip", "addr", "add", address, "dev", far, *(["nodad"] if ":" in address else []))
            self.far = far
            self.forwarder = subprocess.Popen([*self.middle.enter, program, right, left, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert self.forwarder.stdout.readline() == "ready\n", "the forwarder did not start"
        except BaseException:
            self.close()
            raise

    def join(self):
        """Lets the clients in. Before that no frame goes anywhere, so that all can be counted."""
        self.clients.run("ip", "link", "set", self.far, "up")

    def ask(self, line):
        self.forwarder.stdin.write(line + "\n")
        self.forwarder.stdin.flush()
        return self.forwarder.stdout.readline()

    def harm(self, direction="both", **harm):
        """Sets what is done to frames; up: from the clients, down: to them, both. What is not named is as it was."""
        words = " ".join(f"{key}={value}" for key, value in harm.items())
        assert self.ask({"up": "ab", "down": "ba", "both": "both"}[direction] + " " + words) == "done\n", words

    def heal(self):
        self.harm(**HARMLESS)

    def stats(self):
        """{"up": what happened to frames from the clients, "down": to those for them}"""
        stats = json.loads(self.ask("stats"))
        return {"up": stats["ab"], "down": stats["ba"]}

    def close(self):
        if self.forwarder:
            self.forwarder.stdin.close()
            self.forwarder.wait(10)
        run("ip", "link", "del", self.near, check=False)
        for namespace in (self.clients, self.middle):
            if namespace:
                namespace.holder.terminate()
                namespace.holder.wait()
