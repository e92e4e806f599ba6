"""The shared libgyr exports the functions that gyr.h declares and nothing else: exports.py LIBGYR.SO GYR.H"""
import re
import subprocess
import sys

library, header = sys.argv[1:]
names = subprocess.run(["nm", "-D", "--defined-only", "--format=just-symbols", library], capture_output=True, text=True, check=True).stdout.split()
text = re.sub(r"/\*.*?\*/", "", open(header).read(), flags=re.DOTALL)
declared = re.findall(r"\b(gyr_\w+)\(", text)
if sorted(names) != sorted(declared) or not declared:
    sys.exit(f"exported: {sorted(names)}\ndeclared: {sorted(declared)}")
