"""systemd's own view of the service units: each is understood wholly, and leaves no more open than it must.

usage: units.py FOLDER-WITH-UNITS GYRD GYR-DATAPLANE
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EXPOSURE_MAX = 45  # in tenths, as systemd-analyze security counts; 100 is a service without any limits


def main():
    folder, *programs = map(Path, sys.argv[1:])
    if shutil.which("systemd-analyze") is None:
        print("skipped: no systemd-analyze")
        return 77
    with tempfile.TemporaryDirectory() as copies:
        for program in programs:
            unit = Path(copies, f"{program.name}.service")
            text = (folder / unit.name).read_text()
            [command] = re.findall(r"^ExecStart=(\S+) (.*)$", text, re.M)
            assert Path(command[0]).name == program.name, command
            # As it would be started, but for what it would do: its options are its own.
            options = [word for word in command[1].split() if not word.startswith("$")]
            asked = subprocess.run([program, *options, "--help"], capture_output=True, text=True)
            assert asked.returncode == 0, asked.stderr
            # Where it is to be installed there may be nothing yet.
            unit.write_text(text.replace(command[0], str(program.resolve())))
        units = sorted(Path(copies).iterdir())
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
        said = verified.stdout + verified.stderr
        assert verified.returncode == 0 and copies not in said, said
        for unit in units:
            exposed = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}", unit], capture_output=True, text=True)
            assert exposed.returncode == 0, exposed.stdout + exposed.stderr
            print(unit.name, exposed.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
