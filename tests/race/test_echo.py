"""gyr-bench-echo and gyr-load over memif, each preempted all the time while the other is killed: it must end as it should, not within the driver.

usage: test_echo.py GYR-BENCH-ECHO GYR-LOAD
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

echo_program, load_program = sys.argv[1:3]
MEETINGS = 300 if os.environ.get("GYR_LONG") else 6
RIVALS = 1
PATIENCE_S = 60

random.seed(1)
cpus = sorted(os.sched_getaffinity(0))
processes = []


def start(*command, **options):
    processes.append(subprocess.Popen([str(word) for word in command], **options))
    return processes[-1]


def start_echo(socket):
    devargs = f"net_memif0,role=server,id=0,socket={socket},socket-abstract=no"
    echo = start(echo_program, cpus[-1], devargs, "--no-pci", "--no-huge", "--no-shconf", "-m", 64, stdout=subprocess.PIPE, text=True)
    assert echo.stdout.readline() == "ready\n"
    return echo


def start_load(socket, *more):
    """Gives it back once it has been answered, which its first line of progress tells."""
    load = start(load_program, "--memif", socket, "--echo", "--cpu", cpus[0], "--repeat", "--progress", *more, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert load.stderr.readline().startswith("load: "), f"no answer to gyr-load; gyr-bench-echo has ended with {echo.poll()}"
    return load


def kill_soon(process):
    time.sleep(random.random() / 100)
    process.kill()
    process.wait(PATIENCE_S)


with tempfile.TemporaryDirectory(prefix="gyr-echo-") as folder:
    try:
        for cpu in (cpus[0], cpus[-1]) * RIVALS:
            start(sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{cpu}])\nwhile True: pass")
        echo = start_echo(f"{folder}/echo.sock")
        for meeting in range(MEETINGS):
            kill_soon(start_load(f"{folder}/echo.sock"))
            assert echo.poll() is None, f"gyr-bench-echo ended with {echo.returncode} after {meeting + 1} askers"
        echo.terminate()
        assert echo.wait(PATIENCE_S) == 0
        assert os.listdir(folder) == [], "a socket was left"
        for meeting in range(MEETINGS):
            # The killed echo cannot take its socket away.
            socket = f"{folder}/echo-{meeting}.sock"
            echo = start_echo(socket)
            load = start_load(socket, "--timeout-ms", 20)
            kill_soon(echo)
            load.send_signal(signal.SIGTERM)
            assert load.wait(PATIENCE_S) == 1, f"gyr-load ended with {load.returncode}; what it asked last was lost, so 1 is right"
        print(f"{MEETINGS} askers and {MEETINGS} echoes died, and neither the other")
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
