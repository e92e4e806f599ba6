#!/usr/bin/env python3
"""Checks who includes whom: the rooms' dependencies, the owners of outside libraries, and that no cycle arises."""
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

# room: the rooms it may include, besides itself. A room is the longest matching prefix.
ALLOWED = {
    "base": [],
    "engine/model": ["base"],
    "engine/onnx": ["base", "engine/model"],
    "engine/ref": ["base", "engine/model"],
    "engine/kernel": ["base", "engine/model", "engine/ref"],
    "engine/plan": ["base", "engine/model", "engine/kernel", "engine/ref"],
    "engine/train": ["base", "engine/model", "engine/kernel", "engine/ref"],
    "dataplane/wire": ["base"],
    "dataplane/link": ["base"],
    "dataplane/client": ["base", "dataplane/wire"],
    "dataplane/port": ["base"],
    "dataplane/net": ["base"],
    "dataplane/flow": ["base", "dataplane/wire"],
    "dataplane/loop": ["base", "engine/model", "engine/plan", "dataplane/wire", "dataplane/link", "dataplane/net", "dataplane/port", "dataplane/flow"],
    "dataplane": ["base", "dataplane/loop", "dataplane/port"],
    "control/event": ["base"],
    "control/registry": ["base", "engine/model"],
    "control/load": ["base", "engine/model"],
    "control/jobs": ["base", "control/event", "engine/model", "engine/onnx", "engine/plan", "engine/train"],
    "control/link": ["base", "dataplane/link", "control/event"],
    "control/rpc": ["base", "control/event"],
    "control/rollout": ["base", "engine/model", "dataplane/link", "control/event", "control/registry", "control/load", "control/link", "control/jobs"],
    "control/cli": ["base", "dataplane/client", "dataplane/wire", "control/rpc"],
    "control": ["base", "control/event", "control/registry", "control/load", "control/link", "control/rollout", "control/rpc", "control/jobs"],
    "tools": ["base", "engine", "dataplane/wire", "dataplane/client", "dataplane/port"],
}

# outside header: the folders that may include it.
OWNERS = {
    r"rte_.*": ["dataplane/port", "dataplane/net", "dataplane/loop", "tools", "tests"],
    r"(oneapi/)?dnnl.*": ["engine", "tools/benchmark"],
    r"liburing\.h": ["control/load", "tests/unit/control", "tests/fault"],
    r"openssl/.*": ["engine/model"],
    r"sqlite3\.h": ["control/registry", "tests/unit/control", "tests/fault"],
    r"onnxruntime.*": ["tools/benchmark", "tests"],
    r"ini\.h": ["base"],
    r"yyjson\.h": ["control", "tools", "tests"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    rooms = [room for room in ALLOWED if path.startswith(room + "/")]
    return max(rooms, key=len) if rooms else None


def main():
    faults, edges = [], {}
    files = [f for top in ("base", "engine", "dataplane", "control", "tools", "tests") for f in (TOP / top).rglob("*.[ch]")]
    for file in files:
        path = file.relative_to(TOP).as_posix()
        room = room_of(path)
        if room is None and not path.startswith("tests/"):
            faults.append(f"{path}: lies in no room of tests/structure/rooms.py")
            continue
        for kind, target in INCLUDE.findall(file.read_text()):
            if kind == "<":
                for pattern, owners in OWNERS.items():
                    if re.fullmatch(pattern, target) and not any(path.startswith(o + "/") for o in owners):
                        faults.append(f"{path}: only {', '.join(owners)} may include <{target}>")
                continue
            if not (TOP / target).is_file():
                beside = room is None and (file.parent / target).is_file()
                if not beside and not target.endswith(".pb-c.h"):
                    faults.append(f'{path}: "{target}" is no file from the top of the checkout')
                continue
            if room is None:
                continue
            other = room_of(target)
            if target.startswith("tests/"):
                faults.append(f'{path}: includes "{target}"')
            elif other != room:
                edges.setdefault(room, set()).add(other)
                if not any(other == a or other.startswith(a + "/") for a in ALLOWED[room]):
                    faults.append(f'{path}: {room} may not include "{target}"')
            if target.endswith("_internal.h") and other != room:
                faults.append(f'{path}: "{target}" is internal to {other}')

    def walk(room, above):
        if room in above:
            faults.append("a cycle: " + " -> ".join(above[above.index(room):] + [room]))
            return
        for other in sorted(edges.get(room, ())):
            walk(other, above + [room])

    for room in sorted(edges):
        walk(room, [])
    for fault in dict.fromkeys(faults):
        print(fault)
    print(f"{len(files)} files, {len(edges)} rooms with dependencies, {len(faults)} faults")
    return 1 if faults or len(files) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
