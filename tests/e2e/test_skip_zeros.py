#!/usr/bin/env python3
"""test_skip_zeros: layers that leave out zeros give the bits of layers that do not, for every instruction
set that this CPU has, gcc and clang, whatever share of the input is zero, NaN and infinity included; and
weights that are not finite switch it off.

Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_skip_zeros"))
ROWS = {"avx512": "avx512f", "avx2": "avx2", "sse4": "sse4_2", "portable": ""}
OFF = "--disable-pass=skip-zeros"

# 1000 outputs fill no whole vector; 2304 are a row of their own, 4096 two blocks
INPUTS, OUTPUTS = 2304, (4096, 1000, 2304)
MODEL = "net2c: 1\nname: zeros\ninputs: {x: {shape: [N, 2304]}}\nnetwork:\n" + "".join(
    f"  - relu\n  - linear: {{name: fc{i}, out: {n}}}\n" for i, n in enumerate(OUTPUTS)) + "outputs: [fc0, fc2]\n"


def write_npy(path, values):
    """An item for each list of inputs."""
    header = repr({"descr": "<f4", "fortran_order": False, "shape": (len(values), INPUTS)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header +
                     b"".join(array("f", item).tobytes() for item in values))


def by_item(path, size):
    """The bits of each item's elements; all NaNs count as equal."""
    data = path.read_bytes()
    values = array("f")
    values.frombytes(data[10 + struct.unpack_from("<H", data, 8)[0]:])
    words = [None if v != v else struct.pack("<f", v) for v in values]
    return [words[i:i + size] for i in range(0, len(words), size)]


def net2c(*arguments, **variables):
    return subprocess.run([NET2C, *arguments], check=True, stdout=subprocess.PIPE,
                          env=dict(os.environ, **variables)).stdout.decode()


def inputs():
    rng = random.Random(3)
    plain = [rng.gauss(0, 1) for _ in range(INPUTS)]
    special = [{0: -0.0, 1: math.nan, 2: math.inf, 3: 2.0**-149}.get(i % 97, v)
               for i, v in enumerate(plain)]
    return {"dense": [abs(v) + 0.01 for v in plain], "half": plain, "zero": [-1.0] * INPUTS,
            "one": [1.0 if i == 700 else -0.0 for i in range(INPUTS)],
            "infinite": [math.inf if i == 5 else v for i, v in enumerate(plain)], "special": special}


def run(row, cc, *options):
    """The bits of both outputs of each item: what is infinite in the first one is NaN in the other."""
    fc0, fc2 = FOLDER / "fc0.npy", FOLDER / "fc2.npy"
    net2c("run", "-q", FOLDER / "zeros.yaml", "-w", FOLDER / "w.safetensors", f"--isa={row}",
          "-i", f"x={FOLDER / 'x.npy'}", "-o", f"fc0={fc0}", "-o", f"fc2={fc2}", *options,
          CC=cc)
    return [a + b for a, b in zip(by_item(fc0, OUTPUTS[0]), by_item(fc2, OUTPUTS[-1]))]


def skips(weights, *options):
    net2c("compile", "-q", FOLDER / "zeros.yaml", "-w", weights, "--isa=avx2", "-o", FOLDER / "net",
          *options)
    return (FOLDER / "net.c").read_text().count("skip i.i")


def check_label(good, bad):
    """A label of the model's own counts whatever passes run, and only for finite weights."""
    path, wrong = FOLDER / "labelled.yaml", 0
    path.write_text(MODEL.replace("name: fc1,", "name: fc1, algo: skip-zeros,"))
    for options in ([], [OFF], ["--batch=2"], ["--pass-cmd=cat"]):
        for weights, due in (good, 0), (bad, 1):
            done = subprocess.run([NET2C, "compile", "-q", path, "-w", weights, "--isa=avx2", "-o",
                                   FOLDER / "labelled", *options], capture_output=True, text=True)
            told = "'fc1' cannot skip zeros" in done.stderr and "[E0213]" in done.stderr
            if done.returncode != due or told != bool(due):
                print(f"label, {options}, {weights.name}: status {done.returncode} {done.stderr}")
                wrong += 1
    return wrong


def check_pass():
    """In how many layers: all, none, and all but the one with an infinite weight."""
    good, bad = FOLDER / "w.safetensors", FOLDER / "infinite.safetensors"
    data = bytearray(good.read_bytes())
    size = struct.unpack_from("<Q", data)[0]
    tensor = json.loads(data[8:8 + size])["fc1.weight"]
    struct.pack_into("<f", data, 8 + size + tensor["data_offsets"][1] - 4, math.inf)
    bad.write_bytes(data)
    found = [skips(good), skips(good, OFF), skips(good, "--math=strict"), skips(bad)]
    print(f"layers that skip: {found[0]}, switched off {found[1]}, strict {found[2]}, "
          f"one infinite weight {found[3]}")
    return int(found != [3, 0, 3, 2]) + check_label(good, bad)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "zeros.yaml").write_text(MODEL)
    net2c("weights", "init", FOLDER / "zeros.yaml", "--seed", "3", "-o", FOLDER / "w.safetensors")
    bad, runs = check_pass(), 0
    write_npy(FOLDER / "x.npy", list(inputs().values()))
    flags = Path("/proc/cpuinfo").read_text(errors="replace").split()
    for row, flag in ROWS.items():
        if flag and flag not in flags:
            print(f"{row}: skipped, this CPU lacks it")
            continue
        want = run(row, "cc", OFF)
        for cc in filter(shutil.which, ("gcc", "clang")):
            got = run(row, cc)
            for item, name in enumerate(inputs()):
                runs += 1
                if got[item] != want[item]:
                    print(f"{row}, {cc}, input {name}: other bits")
                    bad += 1
    print(f"skipping zeros: {runs} runs, {bad} wrong")
    return 1 if bad or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
