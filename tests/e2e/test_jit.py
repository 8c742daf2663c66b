#!/usr/bin/env python3
"""test_jit: code that LLVM makes in net2c's own process gives the bits of the generated C, for every
instruction set that this CPU has; and what the plugin offers besides.

    test_jit.py             lenet5, the other operators, random networks, samples of the grid
    test_jit.py MODEL...    these, with weights at random

Inputs hold NaN, infinities and denormal numbers too; all NaNs count as equal. Without the plugin
(no LLVM when net2c was built) only the message about that is tested.
Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import math
import os
import re
import struct
import subprocess
import sys
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fixtures"), str(ROOT / "tests" / "e2e")]
import fixture_data
import random_networks

NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_jit")).resolve()
ROWS = {"avx512": "avx512f", "avx2": "avx2", "sse4": "sse4_2", "portable": "", "scalar": ""}
SPECIAL = (math.nan, math.inf, -math.inf, -0.0, 2.0**-149, -(2.0**-130), 3e38)
RANDOM = range(1, 7)
# what is small compiles longer than it runs
ITEMS, LEVEL = (1, "-O1") if sys.argv[1:] else (3, "-O0")
failures, compared = [], 0


def net2c(*arguments, status=0, **variables):
    """Standard output and error of one command."""
    result = subprocess.run([NET2C, *map(str, arguments)], cwd=FOLDER, capture_output=True,
                            env=dict(os.environ, **variables))
    if result.returncode != status:
        failures.append(f"status {result.returncode} instead of {status}: net2c "
                        f"{' '.join(map(str, arguments))}\n{result.stderr.decode()[:2000]}")
    return result.stdout, result.stderr.decode()


def check(what, holds):
    if not holds:
        failures.append(what)


def bits(path):
    return [None if v != v else struct.pack("<f", v) for v in fixture_data.read_npy(path)]


def write_input(path, shape, special):
    values = fixture_data.input_values(shape)
    if special:
        for i in range(0, len(values), 61):
            values[i] = SPECIAL[i // 61 % len(SPECIAL)]
    fixture_data.write_npy(path, shape, values)


class Model:
    """A model with weights and inputs, and what `run` needs to know of it."""

    def __init__(self, path, special, weights=None):
        self.path, self.weights = path, weights or FOLDER / "w.safetensors"
        if not weights:
            net2c("weights", "init", path, "-o", self.weights)
        text = net2c("opt", path, "--stop-after=fold-dropout", "--emit=graph")[0].decode()
        self.outputs = re.search(r"^outputs: \[(.*)\]$", text, re.M).group(1).split(", ")
        self.files = []
        block = re.search(r"^inputs:\n((?:  .*\n)+)", text, re.M).group(1)
        for name, shape in re.findall(r"^  (\S+): \{shape: \[N(.*?)\]", block, re.M):
            file = FOLDER / f"in_{len(self.files)}.npy"
            dims = [int(d) for d in shape.split(",")[1:]]
            write_input(file, [ITEMS, *dims], special)
            self.files += ["-i", f"{name}={file}"]

    def run(self, *options):
        """The bits of all outputs."""
        files = [FOLDER / f"out_{i}.npy" for i in range(len(self.outputs))]
        for file in files:
            file.unlink(missing_ok=True)
        wanted = [w for name, f in zip(self.outputs, files) for w in ("-o", f"{name}={f}")]
        net2c("run", "-q", self.path, "-w", self.weights, *self.files, *wanted, *options)
        return [b for f in files if f.exists() for b in bits(f)]

    def compare(self, row, *options):
        """The C code runs on one thread, that of LLVM on two as well."""
        global compared
        want = self.run(f"--isa={row}", f"--cflags={LEVEL}", *options)
        for more in ([], ["--threads=2"]):
            got = self.run(f"--isa={row}", "--backend=jit", *options, *more)
            differ = sum(a != b for a, b in zip(got, want)) + abs(len(got) - len(want))
            check(f"{self.path.name} {row} {' '.join([*options, *more])}: {differ} of {len(want)} "
                  "elements differ", differ == 0 and want)
            compared += len(want)


def rows():
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        flags = []
    return [row for row, flag in ROWS.items() if not flag or flag in flags]


def check_random(row):
    for number in RANDOM:
        path = FOLDER / f"random{number}.yaml"
        path.write_text(random_networks.network(number), encoding="utf-8")
        Model(path, number % 2).compare(row)


def check_grid(row, part):
    """Every kind of shape on small integers, against the oracles."""
    grid = NET2C.parent / "tests" / "grid"
    result = subprocess.run([grid, NET2C, FOLDER / "grid", f"--part={part}/120", f"--isa={row}",
                             "--backend=jit", "-q"], capture_output=True, text=True)
    check(f"grid {row}: {result.stdout}{result.stderr}", result.returncode == 0)
    check("grid: no shapes", re.search(r"grid: [1-9]\d* of", result.stdout))


def check_verbs(model):
    lenet5, weights = ROOT / "models" / "lenet5.yaml", ROOT / "models" / "lenet5.safetensors"
    out = net2c("verify", lenet5, "-w", weights, "--backend=jit", "--batch=4", "--json")[0]
    verified = json.loads(out)
    check("verify", all(layer["ok"] for layer in verified["layers"]) and verified["samples"]
          and verified["batches"]["different"] == 0)
    out = json.loads(net2c("bench", lenet5, "-w", weights, "--backend=jit", "--runs=2", "--json")[0])
    check("bench", out["cc"] == "jit" and all(k["median_ms"] > 0 for k in out["layers"]))
    text = net2c("opt", lenet5, "--isa=avx2", "--emit=llvm")[0].decode()
    check("opt --emit=llvm", "call <8 x float> @llvm.fma.v8f32(" in text and "fast" not in text)
    text = net2c("opt", lenet5, "--isa=sse4", "--emit=llvm")[0].decode()
    check("a row without FMA", "fmul <4 x float>" in text and "llvm.fma" not in text)
    # no shell between, and no C compiler
    want = model.run("--isa=portable")
    got = model.run("--isa=portable", "--backend=jit", "--cc=/nowhere")
    check("run without a C compiler", got == want)


def check_object():
    """Kernels under their names, and nothing needed but what any C library has."""
    path = FOLDER / "net.o"
    path.write_bytes(net2c("opt", ROOT / "models" / "lenet5.yaml", "--isa=scalar", "--emit=obj")[0])
    names = subprocess.run(["nm", path], check=True, capture_output=True, text=True).stdout
    check(f"symbols of the object file:\n{names}", re.search(r" T conv1_\w*scalar$|_scalar$", names,
                                                             re.M))
    needed = set(re.findall(r"^ +U (\w+)$", names, re.M))
    check(f"the object file needs {needed}", needed <= {"memset", "memcpy", "memmove"})


def check_missing():
    model, weights = ROOT / "models" / "lenet5.yaml", ROOT / "models" / "lenet5.safetensors"
    said = net2c("bench", model, "-w", weights, "--backend=jit", status=5, NET2C_LLVM="/nowhere")[1]
    check("E0117 of bench", "E0117" in said and "/nowhere" in said and "llvm-dev" in said)
    said = net2c("opt", model, "--emit=llvm", status=5, NET2C_LLVM="/nowhere")[1]
    check("E0117 of opt", "E0117" in said)
    said = net2c("opt", model, "--emit=obj", "--stop-after=tile", status=2)[1]
    check("E0009 of opt", "E0009" in said)
    needed = subprocess.run(["ldd", NET2C], capture_output=True, text=True).stdout
    check("net2c itself needs LLVM", "LLVM" not in needed)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    check_missing()
    if not (NET2C.parent / "net2c_llvm.so").exists():
        print("no plugin: only the message about that was tested")
        return finish()
    lenet5 = ROOT / "models" / "lenet5.yaml"
    for number, row in enumerate(rows()):
        for path in sys.argv[1:]:
            Model(Path(path).resolve(), False).compare(row)
        if sys.argv[1:]:
            continue
        Model(lenet5, False, lenet5.with_suffix(".safetensors")).compare(row, "--batch=2")
        for special in (False, True):
            Model(ROOT / "tests" / "fixtures" / "operators.yaml", special).compare(row)
        check_random(row)
        check_grid(row, number)
    if not sys.argv[1:]:
        check_verbs(Model(lenet5, True, lenet5.with_suffix(".safetensors")))
        check_object()
    return finish()


def finish():
    for failure in failures:
        print(f"FAIL: {failure}")
    print(f"jit: {compared} elements compared on {', '.join(rows())}: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
