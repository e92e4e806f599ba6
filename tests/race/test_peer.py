"""A memif peer that comes and goes while an lcore polls its port and is preempted all the time: the driver's hand on the shared rings must never meet the
lcore's (dataplane/port/quiet.h).

usage: test_peer.py GYR-DATAPLANE PEER
"""
import os
import random
import subprocess
import sys
import tempfile

program, peer = sys.argv[1:3]
MEETINGS = 1000 if os.environ.get("GYR_LONG") else 40
RIVALS = 2
PATIENCE_S = 60

random.seed(1)
cpus = sorted(os.sched_getaffinity(0))
hot, cool = cpus[-1], cpus[0]
processes = []
with tempfile.TemporaryDirectory(prefix="gyr-peer-") as folder:
    try:
        memif = f"{folder}/memif.sock"
        reading, writing = os.pipe()
        command = [program, "--ready-fd", str(writing)]
        for setting in [f"gyrd.run_dir={folder}", f"dataplane.port=net_memif0,role=server,id=0,socket={memif},socket-abstract=no", "dataplane.hugepages=off",
                        "dataplane.memory_mb=64", "dataplane.mbufs=4096", f"dataplane.io_cpus={hot}", f"dataplane.engine_cpus={hot}"]:
            command += ["--set", setting]
        dataplane = subprocess.Popen(command, pass_fds=[writing])
        processes.append(dataplane)
        os.close(writing)
        with os.fdopen(reading) as ready:
            assert ready.readline() == "ready\n"
        for _ in range(RIVALS):
            processes.append(subprocess.Popen([sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{hot}])\nwhile True: pass"]))
        for meeting in range(MEETINGS):
            met = subprocess.run([peer, memif, str(cool), str(random.randrange(10000))], timeout=PATIENCE_S)
            assert met.returncode == 0, f"no answer to a peer, after {meeting}"
            assert dataplane.poll() is None, f"gyr-dataplane ended with {dataplane.returncode} after {meeting + 1} peers"
        dataplane.terminate()
        assert dataplane.wait(PATIENCE_S) == 0
        print(f"{MEETINGS} peers came and went, each was answered")
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
