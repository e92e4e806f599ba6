"""A program that breaks a rule must fail, and what it says must hold the reason: a crash for another one is no proof.

usage: must_report.py WORDS PROGRAM    WORDS: a regular expression
"""
import re
import subprocess
import sys

words, program = sys.argv[1:]
ended = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
if ended.returncode == 0 or not re.search(words, ended.stdout):
    sys.exit(f'{program}: status {ended.returncode}, and it should have failed with "{words}":\n{ended.stdout}')
print(re.search(f".*({words}).*", ended.stdout).group())
