#!/usr/bin/env python3
"""Ten mistakes that passes make (tests/plugins/seeded_bugs.c), each as a pass from outside in the
pipeline: all are found, and the message names the pass that is to blame. Without them all is well.

Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NET2C = Path(os.environ.get("NET2C", "build/net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", "build/test_seeded_bugs")).resolve()
SOURCE, MODEL = "tests/plugins/seeded_bugs.c", "tests/plugins/seeded_bugs.yaml"
CC = os.environ.get("CC", "cc").split()
# How each is found: the verifier (E090x to E092x), or by computing something else (E0972).
FOUND = {"swapped-pads": "E0972", "dropped-bias": "E0972", "wrong-axis": "E0972",
         "off-by-one-halo": "E0972", "lost-group-offset": "E0972", "wrong-dtype": "E0972",
         "wrong-tail": "E0972", "unsafe-reorder": "E0972", "reused-live-buffer": "E0920",
         "lying-flag": "E0921"}
failures = []


def build(bug):
    library = FOLDER / f"{bug}.so"
    command = [*CC, "-std=c11", "-shared", "-fPIC", f"-I{NET2C.parent}/include",
               f"-DBUG={bug.replace('-', '_')}", SOURCE, "-o", str(library)]
    return library, subprocess.Popen(command)


def opt(*args):
    return subprocess.run([NET2C, "opt", MODEL, "-q", *args], capture_output=True, text=True,
                          timeout=60, check=False)


def check(bug, library):
    """Found where it happens: no pass behind it is blamed, nothing is printed."""
    result = opt(f"--load-pass={library}", "--verify-exec")
    blamed = set(re.findall("pass '([^']*)'", result.stderr))
    if result.returncode != 70 or FOUND[bug] not in result.stderr or blamed != {bug} or \
            result.stdout:
        failures.append(f"{bug}: status {result.returncode}, not {FOUND[bug]} of {bug}: "
                        f"{result.stderr}{result.stdout[:500]}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    built = {bug: build(bug) for bug in FOUND}
    if any(process.wait() for _, process in built.values()):
        failures.append("not all can be built")
    else:
        for bug, (library, _) in built.items():
            check(bug, library)
    plain = opt("--verify-exec")
    if plain.returncode:
        failures.append(f"without bugs: {plain.stderr}")
    for failure in failures:
        print("FAIL:", failure)
    print(f"seeded bugs: {len(FOUND)}, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
