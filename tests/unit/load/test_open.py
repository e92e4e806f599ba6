#!/usr/bin/env python3
"""gyr-load's schedules, streams and searches: what is asked when, and that a server that stands still is seen.

    test_open.py GYR-LOAD
"""
import csv
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import time

from responder import Responder, ask, expect, has, load, result

STALL_S = 0.2
PATIENT = ["--timeout-ms", "5000"]


def test_mix_and_streams(folder):
    rows = folder / "windows.csv"
    for host in ("127.0.0.1", "::1"):
        with Responder(lambda n, m: [result(m)], host) as responder:
            status, figures = ask(responder, "--mix", "a:3:40,b:1:80:2", "--rate", 2000, "--poisson", "--clients", 5, "--seconds", 1, "--window", 0.1, f"--csv={rows}",
                                  "--stream", "name=burst,model=c,bytes=8,rate=4000,clients=2,from=0.4,until=0.6", *PATIENT)
            expect("exit status", status, 0)
            expect("clients that were seen", len(responder.peers), 7)
    has(figures, lost=0, crowded=0, clients=7, busy=0)
    kinds = {kind["model"]: kind for kind in figures["kinds"]}
    expect("models", [(k["stream"], k["model"], k["tensor_bytes"]) for k in figures["kinds"]], [("main", "a", 40), ("main", "b", 160), ("burst", "c", 8)])
    expect("what is whole", sum(k["asked"] for k in kinds.values()), figures["asked"])
    # 5 standard deviations of a Poisson count, and of the draw between the two.
    main_asked = kinds["a"]["asked"] + kinds["b"]["asked"]
    expect(f"questions of the main stream: {main_asked}", abs(main_asked - 2000) < 5 * 2000**0.5, True)
    expect(f"share of a: {kinds['a']['asked']}", abs(kinds["a"]["asked"] - 0.75 * main_asked) < 5 * (main_asked * 0.75 * 0.25) ** 0.5, True)
    expect("questions of the burst", kinds["c"]["asked"], 800)
    with open(rows) as file:
        table = list(csv.DictReader(file))
    for kind in figures["kinds"]:
        told = [row for row in table if (row["stream"], row["model"]) == (kind["stream"], kind["model"])]
        expect(f"asked in windows of {kind['model']}", sum(int(row["asked"]) for row in told), kind["asked"])
        expect(f"answered in windows of {kind['model']}", sum(int(row["answered"]) for row in told), kind["answered"])
    busy = [row for row in table if row["model"] == "c" and int(row["asked"]) > 0]
    expect("the burst's time", float(busy[0]["end_s"]) > 0.4 and float(busy[-1]["begin_s"]) < 0.6 + 0.1, True)


def stand_still(asked, pid):
    """A server that is stopped for a while, once it is being asked."""
    asked.wait()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STALL_S)
    os.kill(pid, signal.SIGCONT)


def stalled(*arguments):
    asked = multiprocessing.Event()

    def manner(number, message):
        if number == 100:
            asked.set()
        return [result(message)]

    ready, told = multiprocessing.Pipe()

    def serve():
        with Responder(manner) as responder:
            told.send(responder.server)
            signal.pause()

    server = multiprocessing.Process(target=serve)
    server.start()
    try:
        class Address:
            server = ready.recv()

        stopper = multiprocessing.Process(target=stand_still, args=(asked, server.pid))
        stopper.start()
        status, figures = ask(Address, *arguments, *PATIENT)
        stopper.join()
    finally:
        server.kill()
        server.join()
    expect("exit status", status, 0)
    return figures


def test_stall_is_seen():
    """Coordinated omission: a closed loop sees one slow question; an open loop sees all that were due in the meantime."""
    closed = stalled("--count", 1000)["round_trip_ns"]
    opened = stalled("--count", 1000, "--rate", 1000)["round_trip_ns"]
    for name, figures in (("closed", closed), ("open", opened)):
        expect(f"max of the {name} loop: {figures['max']} ns", figures["max"] > 0.9 * STALL_S * 1e9, True)
    expect(f"p99 of the closed loop: {closed['p99']} ns", closed["p99"] < 0.5 * STALL_S * 1e9, True)
    # A fifth of the questions were due while it stood still: the p90 waited for half of that.
    expect(f"p99 of the open loop: {opened['p99']} ns", opened["p99"] > 0.8 * STALL_S * 1e9, True)
    expect(f"p90 of the open loop: {opened['p90']} ns", opened["p90"] > 0.3 * STALL_S * 1e9, True)


def test_waits_for_nobody():
    status, figures, received = load(lambda n, m: [], "--rate", 5000, "--in-flight", 10, "--count", 1000, "--timeout-ms", 300)
    expect("exit status", status, 1)
    has(figures, asked=1000, answered=0, lost=1000, crowded=990, resent=0)
    expect("datagrams", received, 1000)
    # The schedule took its 0.2 s, and no timeout longer.
    expect("late by", figures["late_ns"]["p50"] < 50e6, True)


def test_dead_server():
    """What a server answered before it died is spread over all the time for which it was asked."""
    status, figures, _ = load(lambda n, m: [result(m)] if n <= 100 else [], "--rate", 1000, "--count", 1000, "--timeout-ms", 200)
    expect("exit status", status, 1)
    has(figures, asked=1000, answered=100, lost=900)
    expect(f"seconds: {figures['seconds']}", figures["seconds"] > 0.99, True)
    expect(f"goodput: {figures['answers_per_second']}", figures["answers_per_second"] < 102, True)


def test_backoff():
    seen = set()

    def manner(number, message):
        if message[2] in seen:
            return [result(message)]
        seen.add(message[2])
        return [[1, 3, message[2], 10, "busy", 20000]]

    for extra in (["--in-flight", 8], ["--rate", 1000]):
        status, figures, received = load(manner, "--count", 200, "--backoff", *PATIENT, *extra)
        expect("exit status", status, 0)
        has(figures, asked=200, answered=200, lost=0, busy=0, put_off=200, resent=200)
        expect("the wait", figures["round_trip_ns"]["min"] >= 20e6, True)
        expect("datagrams", received, 400)
    # Told twice, it rests once.
    status, figures, received = load(lambda n, m: 2 * manner(n, m) if m[2] not in seen else manner(n, m), "--count", 200, "--in-flight", 8, "--backoff", *PATIENT)
    has(figures, asked=200, answered=200, busy=0, put_off=200, resent=200, doubled=200)
    expect("datagrams", received, 400)
    seen.clear()
    status, figures, _ = load(manner, "--count", 100, *PATIENT)
    expect("exit status without --backoff", status, 1)
    has(figures, asked=100, answered=0, busy=100, put_off=0)


def test_stable():
    status, figures, _ = load(lambda n, m: [result(m)], "--until-stable", 1000, "--window", 0.05, "--seconds", 60)
    expect("exit status", status, 0)
    has(figures, stable=True)
    expect("at once", 0.2 < figures["seconds"] < 30, True)
    numbers = iter(range(1 << 40))

    def slower(number, message):
        time.sleep(0.0002 * next(numbers) ** 0.5)
        return [result(message)]

    status, figures, _ = load(slower, "--until-stable", 1, "--window", 0.05, "--seconds", 1, *PATIENT)
    has(figures, stable=False)


def test_find_rate():
    """A server that refuses what is beyond a rate: that rate is found."""
    limit, depth = 2000, 200
    state = {"tokens": depth, "at": time.monotonic()}

    def manner(number, message):
        now = time.monotonic()
        state["tokens"] = min(depth, state["tokens"] + (now - state["at"]) * limit)
        state["at"] = now
        if state["tokens"] < 1:
            return [[1, 3, message[2], 10, "busy", 1000]]
        state["tokens"] -= 1
        return [result(message)]

    status, figures, _ = load(manner, "--find-rate", "--p99-us", 2e6, "--rate", 1500, "--seconds", 1, "--within", 10, *PATIENT)
    expect("exit status", status, 0)
    found = figures["found"]
    expect(f"the rate: {found}", 0.85 * limit < found["rate"] < 1.35 * limit and found["failed_rate"] <= 1.1 * found["rate"], True)
    status, figures, _ = load(lambda n, m: [], "--find-rate", "--p99-us", 100, "--rate", 4000, "--seconds", 0.3, "--timeout-ms", 50)
    expect("exit status when none holds", status, 1)
    expect("no rate", figures["found"]["rate"], 0)


def test_find_takes_the_majority():
    """A rate that holds in two trials of five does not hold. Runs are told apart by their ids, which begin anywhere."""
    begun, bad, slow, stall_s = [], {3, 4, 5}, 8, 0.3
    at = {"id": 0}

    def manner(number, message):
        sequence = message[2] >> 21
        begun.append(0) if abs(sequence - at["id"]) > 1 << 16 else None
        at["id"] = sequence
        begun[-1] += 1
        if len(begun) == slow and begun[-1] == 500:
            time.sleep(stall_s)
        return [[1, 3, message[2], 10, "busy", 1000]] if len(begun) in bad else [result(message)]

    status, figures, _ = load(manner, "--find-rate", "--p99-us", 2e6, "--rate", 4000, "--seconds", 0.5, "--within", 150, *PATIENT)
    found = figures["found"]
    has(found, rate=2000, failed_rate=4000, trials=8)
    expect(f"the p99 is the mean of three: {found}", stall_s / 4 < found["p99_ns"] / 1e9 < stall_s / 2, True)
    # A trial ends by the clock: what was due while the machine had taken the CPU away at its end is not asked.
    expect(f"asked in each trial: {begun}", all(abs(asked / (1.1 * rate * 0.5) - 1) < 0.04 for asked, rate in zip(begun, 5 * [4000] + 3 * [2000])), True)
    expect(f"of which were measured: {figures['asked']}", abs(figures["asked"] / 1000 - 1) < 0.04, True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_mix_and_streams(pathlib.Path(folder))
    test_stall_is_seen()
    test_waits_for_nobody()
    test_dead_server()
    test_backoff()
    test_stable()
    test_find_rate()
    test_find_takes_the_majority()


if __name__ == "__main__":
    sys.exit(main())
