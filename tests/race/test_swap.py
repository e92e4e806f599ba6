"""Spin on the swap of route tables (swap.pml): it holds as it is, exhaustively, and with any one of its orderings relaxed Spin finds the harm.

usage: test_swap.py SWAP.PML
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

model = os.path.abspath(sys.argv[1])
if shutil.which("spin") is None:
    print("spin is not installed")
    sys.exit(77)
PATIENCE_S = 300
ORDERINGS = re.findall(r"^#ifdef WITHOUT_([RA]\d)$", open(model).read(), re.M)


def run(folder, *command):
    """What COMMAND prints; it must end well, which Spin's searches do whatever they find."""
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S).stdout


def search(without, ending=False):
    """The errors found in the whole of the model's states (with ENDING: against `writer_ends`), and how many states there are."""
    with tempfile.TemporaryDirectory(prefix="gyr-swap-") as folder:
        run(folder, "spin", "-a", *[f"-DWITHOUT_{name}" for name in without], model)
        run(folder, "gcc", "-O1", "-w", *([] if ending else ["-DSAFETY", "-DNOCLAIM"]), "-o", "pan", "pan.c")
        said = run(folder, "./pan", "-m1000000", *(["-a", "-f"] if ending else []))
        assert "out of memory" not in said and "max search depth too small" not in said, said
        states = int(re.search(r"(\d+) states, stored", said).group(1))
        return int(re.search(r"errors: (\d+)", said).group(1)), states


errors, states = search([])
assert errors == 0, "a table is freed too early, used unfinished, or the writer stands still at the end: run spin by hand"
errors, ending_states = search([], ending=True)
assert errors == 0, "the writer can wait for ever"
assert states > 10000, f"only {states} states: the model does not do what it should"
assert len(ORDERINGS) == 7, ORDERINGS
for ordering in ORDERINGS:
    errors, _ = search([ordering])
    assert errors > 0, f"without {ordering} nothing goes wrong: it is not needed, or the model is wrong"
errors, _ = search(["REPORT"], ending=True)
assert errors > 0, "readers that never report do not hold the writer up: the model is wrong"
print(f"holds in all {states} states ({ending_states} for its end); each of {', '.join(ORDERINGS)} is needed")
