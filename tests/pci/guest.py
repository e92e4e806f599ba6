#!/usr/bin/env python3
"""A machine within this one, for what cannot be had here: a network card driven by its own driver. QEMU (software emulation: no /dev/kvm is needed) boots Debian's
kernel; its root is ours, read-only, so that what was built here runs there.

usage: guest.py [CACHE]    fetches QEMU and the kernel from Debian into CACHE (~/.cache/gyr), without installing them, and prints the folder

Without a network, and where nothing was fetched before, the last line says what was missing, and the exit status is 77.
"""
import hashlib
import json
import lzma
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools/lib"))
from appliance import wait_for  # noqa: E402

PACKAGES = ["qemu-system-x86", "seabios", "linux-image-amd64", "busybox-static"]
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "vfio_pci", "vfio_iommu_type1"]  # those that they need are found
CPUS = 4  # two on each node
MEMORY_MB = 2048
BOOT_S, COMMAND_S, MONITOR_S = 180, 60, 30


def missing(text):
    print(f"skipped: {text}")
    sys.exit(77)


def cache_folder(cache=None):
    name = "guest-" + hashlib.sha256(repr((PACKAGES, MODULES)).encode()).hexdigest()[:12]
    return Path(cache or Path.home() / ".cache/gyr") / name


def run(*command, what):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if done.returncode != 0:
        missing(f"{what}: {(done.stdout.strip().splitlines() or ['it said nothing'])[-1]}")


def fetch(folder):
    """Downloads the packages and what they need beyond what is installed, and unpacks them all into FOLDER."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        for name in ("lists/partial", "archives/partial", "root"):
            os.makedirs(f"{place}/{name}")
        apt = ["apt-get", "-q", "-o", f"Dir::State::lists={place}/lists", "-o", f"Dir::Cache::archives={place}/archives", "-o", "Dir::Cache::pkgcache=",
               "-o", "Dir::Cache::srcpkgcache=", "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]
        run(*apt, "update", what="Debian's package lists could not be fetched")
        run(*apt, "install", "-y", "--download-only", "--no-install-recommends", *PACKAGES, what="Debian's packages could not be fetched")
        for package in Path(f"{place}/archives").glob("*.deb"):
            run("dpkg-deb", "-x", package, f"{place}/root", what=f"{package.name} could not be unpacked")
        shutil.rmtree(f"{place}/root/usr/share/doc", ignore_errors=True)
        os.rename(f"{place}/root", folder)


def needs_of(module):
    """The names in the `depends=` of a kernel module's bytes."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name for name in found.group(1).decode().split(",") if name] if found else []


def load_modules(folder):
    """Name and bytes of each module, those that others need first. What is built into the kernel is not there."""
    files = {path.name.split(".")[0].replace("-", "_"): path for path in folder.glob("usr/lib/modules/*/kernel/**/*.ko.xz")}
    order = {}

    def add(name):
        name = name.replace("-", "_")
        if name in files and name not in order:
            module = lzma.decompress(files[name].read_bytes())
            for need in needs_of(module):
                add(need)
            order[name] = module

    for name in MODULES:
        add(name)
    return order


def pack_cpio(entries):
    """An archive in the kernel's "newc" form of (name, mode, bytes)."""
    archive = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        archive += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        archive += bytes(-len(archive) % 4) + content
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in MODULES; do $b insmod /modules/$module.ko; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=1048576 root /root || $b poweroff -f
for d in proc sys dev; do $b mount --move /$d /root/$d; done
$b mount -t tmpfs tmpfs /root/run
$b chroot /root /usr/sbin/ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run LC_ALL=C.UTF-8
$b chroot /root /usr/bin/python3 TOP/tests/pci/agent.py /dev/ttyS1
$b poweroff -f
"""


def make_initramfs(folder):
    modules = load_modules(folder)
    directory, program, plain = 0o40755, 0o100755, 0o100644
    entries = [(name, directory, b"") for name in ("bin", "modules", "proc", "sys", "dev", "root")]
    entries.append(("bin/busybox", program, (folder / "usr/bin/busybox").read_bytes()))
    entries.append(("init", program, INIT.replace("MODULES", " ".join(modules)).replace("TOP", str(TOP)).encode()))
    entries += [(f"modules/{name}.ko", plain, module) for name, module in modules.items()]
    return pack_cpio(entries)


class Lines:
    """A stream that speaks JSON, a line each way: our end of it. THEIRS is the machine's."""

    def __init__(self, seconds):
        self.socket, self.theirs = socket.socketpair()
        self.socket.settimeout(seconds)
        self.file = self.socket.makefile("rb")

    def send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self):
        while True:
            try:
                line = self.file.readline()
            except ConnectionResetError:
                line = b""
            if not line:
                raise AssertionError("the guest's machine has ended")
            # What the serial line says before the agent speaks is not for us.
            if line.lstrip().startswith(b"{"):
                return json.loads(line)

    def close(self):
        self.file.close()
        self.socket.close()
        self.theirs.close()


class Guest:
    """A machine of two NUMA nodes with an IOMMU, and DEVICES (QEMU's words) at the second node's root ports nic0, nic1."""

    def __init__(self, folder, devices, ports=2):
        self.place = Path(tempfile.mkdtemp(prefix="gyr-guest-"))
        self.process, self.agent, self.monitor = None, Lines(BOOT_S), Lines(MONITOR_S)
        descriptors = {name: line.theirs.fileno() for name, line in (("agent", self.agent), ("monitor", self.monitor))}
        (self.place / "initramfs").write_bytes(make_initramfs(folder))
        kernel = next(folder.glob("boot/vmlinuz-*"))
        node_mb = MEMORY_MB // 2
        command = [
            folder / "usr/bin/qemu-system-x86_64", "-L", folder / "usr/share/qemu", "-L", folder / "usr/share/seabios", "-nodefaults", "-display", "none", "-no-reboot",
            "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", CPUS, "-m", MEMORY_MB,
            "-object", f"memory-backend-ram,id=node0,size={node_mb}M", "-numa", f"node,nodeid=0,memdev=node0,cpus=0-{CPUS // 2 - 1}",
            "-object", f"memory-backend-ram,id=node1,size={node_mb}M", "-numa", f"node,nodeid=1,memdev=node1,cpus={CPUS // 2}-{CPUS - 1}",
            "-device", "intel-iommu,intremap=on", "-device", "pxb-pcie,id=bridge,bus_nr=32,numa_node=1,bus=pcie.0",
            "-kernel", kernel, "-initrd", self.place / "initramfs", "-append", "console=ttyS0 intel_iommu=on iommu=nopt panic=-1 sysrq_always_enabled nohz=off highres=off",
            "-serial", f"file:{self.place}/console", "-serial", "chardev:agent", "-mon", "chardev=monitor,mode=control",
            "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap", "-device", "virtio-9p-pci,fsdev=root,mount_tag=root,bus=pcie.0",
        ]
        for name, descriptor in descriptors.items():
            command += ["-chardev", f"socket,id={name},fd={descriptor}"]
        for port in range(ports):
            command += ["-device", f"pcie-root-port,id=nic{port},bus=bridge,chassis={port + 1},slot={port + 1}"]
        environment = {**os.environ, "LD_LIBRARY_PATH": str(folder / "usr/lib/x86_64-linux-gnu")}
        self.process = subprocess.Popen([str(word) for word in [*command, *devices]], env=environment, stdin=subprocess.DEVNULL, pass_fds=descriptors.values())
        # They are QEMU's alone now: its end is the end of both streams.
        self.agent.theirs.close()
        self.monitor.theirs.close()
        try:
            self.connect()
        except BaseException:
            self.close()
            raise

    def connect(self):
        self.monitor.receive()
        self.monitor_command("qmp_capabilities")
        try:
            assert self.agent.receive() == {"agent": "ready"}
        except (AssertionError, TimeoutError):
            raise AssertionError(f"the guest did not start:\n{self.console()}") from None

    def console_text(self):
        return (self.place / "console").read_text(errors="replace") if (self.place / "console").exists() else ""

    def console(self, lines=30):
        return "\n".join(self.console_text().splitlines()[-lines:])

    def blocked(self):
        """What the guest's kernel says of tasks that wait within it."""
        said = len(self.console_text())
        for key in ("w", "h"):  # the second is for help, which always comes, and behind what the first has to say
            self.monitor_command("send-key", keys=[{"type": "qcode", "data": pressed} for pressed in ("alt", "sysrq", key)])
        try:
            wait_for("the guest's kernel", lambda: "sysrq: HELP" in self.console_text()[said:], MONITOR_S)
        except AssertionError as error:
            return f"{self.console(120)}\n{error}"
        return self.console(120)

    def monitor_command(self, command, **arguments):
        self.monitor.send({"execute": command, **({"arguments": arguments} if arguments else {})})
        while True:
            answer = self.monitor.receive()
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]

    def run(self, *words, check=True, seconds=COMMAND_S):
        """A command in the guest; what it printed, both streams. Without CHECK, with its status."""
        self.agent.socket.settimeout(seconds + 10)
        self.agent.send({"words": [str(word) for word in words], "seconds": seconds})
        try:
            answer = self.agent.receive()
        except TimeoutError:
            raise AssertionError(f"{' '.join(map(str, words))}: no end\n{self.blocked()}") from None
        if not check:
            return answer["status"], answer["said"]
        assert answer["status"] == 0, f"{' '.join(map(str, words))}: {answer['status']}\n{answer['said']}\n{self.console()}"
        return answer["said"]

    def start(self, *words, log):
        """A daemon in the guest."""
        return self.run("sh", "-c", f"setsid {' '.join(map(str, words))} >{log} 2>&1 </dev/null &")

    def close(self):
        self.agent.close()
        self.monitor.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.place, ignore_errors=True)


if __name__ == "__main__":
    place = cache_folder(sys.argv[1] if len(sys.argv) > 1 else None)
    fetch(place)
    print(place)
