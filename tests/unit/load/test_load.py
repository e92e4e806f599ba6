#!/usr/bin/env python3
"""gyr-load against a responder on loopback that loses, doubles, refuses and swaps versions: what it counts is what was done to it.

    test_load.py GYR-LOAD
"""
import gzip
import pathlib
import struct
import subprocess
import sys
import tempfile

from responder import LOAD, expect, has, load, result

IMAGES = 50


def test_clean():
    for extra in ([], ["--in-flight", "16"], ["--rate", "2000"], ["--busy-poll"], ["--warm-up", "20", "--timing"]):
        status, figures, _ = load(lambda n, m: [result(m)], "--count", "300", "--tensor-bytes", "40", "--timeout-ms", "5000", *extra)
        expect("exit status", status, 0)
        has(figures, asked=300, answered=300, lost=0, resent=0, doubled=0, malformed=0, stray=0, errors={})
        expect("measured", figures["round_trip_ns"]["count"], 300)


def test_loss():
    # Every tenth datagram is lost; a resend is the eleventh.
    status, figures, received = load(lambda n, m: [] if n % 10 == 0 else [result(m)], "--count", "90", "--timeout-ms", "200", "--in-flight", "1")
    expect("exit status", status, 0)
    has(figures, asked=90, answered=90, lost=0, resent=received - 90)
    expect("resent at all", figures["resent"] >= 9, True)
    # A question that is never answered is lost, and the others go on.
    seen = set()

    def never(number, message):
        seen.add(message[2])
        return [] if message[2] == min(seen) else [result(message)]

    status, figures, _ = load(never, "--count", "100", "--timeout-ms", "100", "--attempts", "3", "--in-flight", "4")
    expect("exit status", status, 1)
    has(figures, asked=100, answered=99, lost=1, resent=2)


def test_amiss():
    def manner(number, message):
        kind = number % 5
        return [
            [result(message), result(message)],
            [[1, 3, message[2], 10, "busy", 500]],
            [[1, 2, message[2], 1, "no tensors"]],
            [result([0, 0, message[2] ^ 1 << 60, 0, 0, 0, message[6]]), b"\xc1", result(message)],
            [result(message)],
        ][kind]

    status, figures, _ = load(manner, "--count", "100", "--timeout-ms", "5000")
    expect("exit status", status, 1)
    # The second answer to the last question may come after the end.
    has(figures, asked=100, answered=60, lost=0, resent=0, malformed=20, stray=40, errors={"busy": 20})
    expect("doubled", figures["doubled"] in (19, 20), True)


def test_images_and_swap(folder):
    images, labels = folder / "images.gz", folder / "labels"
    pixels = b"".join(bytes([i % 7]) + bytes(3) for i in range(IMAGES))
    images.write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, IMAGES, 2, 2) + pixels))
    labels.write_bytes(struct.pack(">4BI", 0, 0, 8, 1, IMAGES) + bytes(i % 7 if i % 5 else 9 for i in range(IMAGES)))
    files = ["--images", str(images), "--labels", str(labels), "--timeout-ms", "5000"]
    status, figures, _ = load(lambda n, m: [result(m)], *files)
    expect("exit status", status, 0)
    has(figures, asked=IMAGES, answered=IMAGES, accuracy=0.8, tensor_bytes=4)

    status, figures, _ = load(lambda n, m: [result(m, 1 if n <= 120 else 2)], *files, "--until-version", "2", "--then", "30")
    expect("exit status", status, 0)
    expect("versions", [(v["version"], v["answers"]) for v in figures["versions"]], [(1, 120), (2, 30)])

    status, figures, _ = load(lambda n, m: [result(m)], *files, "--until-version", "2", "--seconds", "0.3")
    expect("exit status without that version", status, 1)
    for broken in (images.read_bytes()[:-20], b"\0\0\x0d\x01\0\0\0\1abcd", struct.pack(">4B2I", 0, 0, 8, 2, 2**31, 2**31), b""):
        (folder / "broken").write_bytes(broken)
        run = subprocess.run([LOAD, "--images", str(folder / "broken")], capture_output=True, text=True, timeout=60)
        expect("exit status", run.returncode, 1)
        expect("the file is named", str(folder / "broken") in run.stderr, True)


def test_usage():
    for arguments in (["--no-such"], ["--count"], ["--count", "0"], ["--count", "x"], ["--rate", "-1"], ["--server", "host"], ["--server", "127.0.0.1:0"], ["--labels", "x"],
                      ["--model", "A"], ["--select", "a b"], ["--images", "x", "--tensor-bytes", "4"], ["--repeat", "--count", "1"], ["--in-flight", "65537"], ["stray"]):
        run = subprocess.run([LOAD, *arguments], capture_output=True, text=True, timeout=60)
        expect(f"exit status of {arguments}", run.returncode, 2)
        expect(f"{arguments} names what is wrong", arguments[0].lstrip("-") in run.stderr or arguments[-2] in run.stderr, True)
    expect("--help", subprocess.run([LOAD, "--help"], capture_output=True, timeout=60).returncode, 0)


def main():
    test_clean()
    test_loss()
    test_amiss()
    with tempfile.TemporaryDirectory() as folder:
        test_images_and_swap(pathlib.Path(folder))
    test_usage()


if __name__ == "__main__":
    main()
