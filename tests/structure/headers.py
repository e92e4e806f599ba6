#!/usr/bin/env python3
"""Compiles every header alone: each must include all that it needs."""
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PACKAGES = ["libdpdk", "liburing", "msgpack-c", "libprotobuf-c", "libsodium", "libcrypto", "sqlite3", "yyjson", "inih"]


def main():
    build = sys.argv[1]
    flags = subprocess.run(["pkg-config", "--cflags", *PACKAGES], check=True, capture_output=True, text=True).stdout.split()
    headers = sorted(h for top in ("base", "engine", "dataplane", "control", "tools") for h in (TOP / top).rglob("*.h"))

    def compile_alone(header):
        source = f'#include "{header.relative_to(TOP)}"\n#include "{header.relative_to(TOP)}"\n'
        command = ["cc", "-xc", "-", "-fsyntax-only", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unused-function", "-D_GNU_SOURCE", f"-I{TOP}",
                   f"-I{build}/engine/onnx", *flags]
        return header, subprocess.run(command, input=source, capture_output=True, text=True)

    faults = 0
    with ThreadPoolExecutor(2) as pool:
        for header, result in pool.map(compile_alone, headers):
            if result.returncode != 0:
                faults += 1
                print(f"{header.relative_to(TOP)} does not compile alone:\n{result.stderr}")
    print(f"{len(headers)} headers, {faults} faults")
    return 1 if faults or len(headers) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
