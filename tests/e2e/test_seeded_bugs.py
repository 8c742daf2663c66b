#!/usr/bin/env python3
"""Ten mistakes that passes make (tests/plugins/seeded_bugs.c), each as a pass from outside in the
pipeline: all are found, and the message names the pass that is to blame. Without them all is well.
`verify --bisect` names the pass too, and the layer or kernel, and its command shows the fault again.
`reduce` brings each to three layers or fewer.

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
# What bisect says: the first wrong layer; where a verifier finds it, the kernel or nothing.
LAYER = {"swapped-pads": "grouped", "dropped-bias": "grouped", "wrong-axis": "share",
         "off-by-one-halo": "kernel", "lost-group-offset": "grouped", "wrong-dtype": "average",
         "wrong-tail": "image.padded", "unsafe-reorder": "right", "reused-live-buffer": "network",
         "lying-flag": "kernel"}
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
    result = opt(f"--load-pass={library}", "--verify-each=exec")
    blamed = set(re.findall("pass '([^']*)'", result.stderr))
    if result.returncode != 70 or FOUND[bug] not in result.stderr or blamed != {bug} or \
            result.stdout:
        failures.append(f"{bug}: status {result.returncode}, not {FOUND[bug]} of {bug}: "
                        f"{result.stderr}{result.stdout[:500]}")


def verify(*args):
    return subprocess.run([NET2C, "verify", MODEL, "-w", FOLDER / "w.safetensors", "-q",
                           "--cflags=-O0", *args], capture_output=True, text=True, timeout=300,
                          check=False)


def bisect(bug, library):
    """Layer and pass; and with one application less the code is right."""
    result = verify(f"--load-pass={library}", "--bisect")
    limit = re.search(r"^first application: (\d+) of ", result.stdout, re.M)
    layer = re.search(rf"^first (wrong layer|application): .*\b{LAYER[bug]}\b", result.stdout, re.M)
    if f"first wrong pass:  {bug}\n" not in result.stdout or not layer or not limit or \
            f" --bisect-limit={limit[1]}\n" not in result.stdout:
        failures.append(f"bisect of {bug}: status {result.returncode}: {result.stdout}"
                        f"{result.stderr}")
        return
    number = int(limit[1])
    if bug in ("lost-group-offset", "lying-flag"):       # of each kind one: it takes its time
        again = [verify(f"--load-pass={library}", f"--bisect-limit={n}").returncode
                 for n in (number - 1, number)]
        if again != [0, result.returncode]:
            failures.append(f"bisect of {bug}: with {number - 1} and {number}: {again}")


def reduce(bug, library, *command):
    small = FOLDER / f"{bug}.yaml"
    result = subprocess.run([NET2C, "reduce", MODEL, "-q", "-o", small, "--", *(
        command or [NET2C, "opt", "{}", f"--load-pass={library}", "--verify-each=exec"])],
        capture_output=True, text=True, timeout=120, check=False)
    layers = small.read_text().count("\n  - ") if small.exists() else 0
    if not command and (result.returncode or not 1 <= layers <= 3):
        failures.append(f"reduce of {bug}: status {result.returncode}, {layers} layers: "
                        f"{result.stderr}")
    return result.returncode, result.stderr, small


def check_reduce(library):
    """The same twice; nothing where there is nothing to do."""
    first = reduce("lost-group-offset", library)[2].read_text()
    if first != reduce("lost-group-offset", library)[2].read_text():
        failures.append("reduce: another result the second time")
    for command, code in (("true", "E0139"), ("./missing", "E0138")):
        status, text, small = reduce("nothing", library, command)
        if status != 1 or code not in text or small.exists():
            failures.append(f"reduce with {command}: status {status}: {text}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    subprocess.run([NET2C, "weights", "init", MODEL, "-o", FOLDER / "w.safetensors", "-q"], check=True)
    built = {bug: build(bug) for bug in FOUND}
    if any(process.wait() for _, process in built.values()):
        failures.append("not all can be built")
    else:
        for bug, (library, _) in built.items():
            check(bug, library)
            bisect(bug, library)
            reduce(bug, library)
        check_reduce(built["lost-group-offset"][0])
    plain = opt("--verify-each=exec")
    if plain.returncode:
        failures.append(f"without bugs: {plain.stderr}")
    for failure in failures:
        print("FAIL:", failure)
    print(f"seeded bugs: {len(FOUND)}, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
