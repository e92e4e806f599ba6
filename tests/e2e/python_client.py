#!/usr/bin/env python3
"""Runs the Python client of docs/CLIENT.md, as it stands there, against a Gyr.

    python_client.py HOST [PORT [MODEL]]

Passes when the client has at most fifteen lines and a version answers with ten numbers. 77: python3-msgpack is not there.
"""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

LINES_MAX = 15


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    if importlib.util.find_spec("msgpack") is None:
        print("skipped: python3-msgpack is not installed")
        return 77
    page = pathlib.Path(__file__).parents[2] / "docs" / "CLIENT.md"
    client = re.search(r"```python\n(.*?)```", page.read_text(), re.DOTALL).group(1)
    lines = len(client.splitlines())
    if lines > LINES_MAX:
        print(f"the client in docs/CLIENT.md has {lines} lines; {LINES_MAX} are promised")
        return 1
    names = ("GYR_HOST", "GYR_PORT", "GYR_MODEL")
    run = subprocess.run([sys.executable, "-c", client], env={**os.environ, **dict(zip(names, sys.argv[1:]))}, capture_output=True, text=True, timeout=30)
    print(run.stdout + run.stderr, end="")
    if run.returncode != 0 or not re.search(r"^version \d+ says \((-?[\d.e+-]+, ){9}-?[\d.e+-]+\)$", run.stdout, re.MULTILINE):
        print("the client of docs/CLIENT.md got no version's ten numbers")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
