"""Runs in the guest: takes commands, a line of JSON each, from a serial line, and answers with a line. usage: agent.py TTY"""
import json
import os
import subprocess
import sys
import tty

line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(line)


def answer(**message):
    rest = json.dumps(message).encode() + b"\n"
    while rest:
        rest = rest[os.write(line, rest):]


answer(agent="ready")
with os.fdopen(os.dup(line), "rb", buffering=0) as reader:
    for text in reader:
        try:
            request = json.loads(text)
            done = subprocess.run(request["words"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=request["seconds"])
            answer(status=done.returncode, said=done.stdout.decode(errors="replace")[-20000:])
        except Exception as error:  # whatever it is, the one who asked waits for a line
            answer(status=-1, said=f"{type(error).__name__}: {error}")
