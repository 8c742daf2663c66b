#!/usr/bin/env python3
"""Random networks: `net2c verify` of each, with one set of options after another.

A layer's backward error is at most what verify allows. The relative error of an output end to end
may be larger, up to 1e-4: where terms of a random network cancel, rounding is all that is left of
them. Every element of a call with several items has the bits of a call of its own.

`test_random_networks.py 100 400` runs numbers 100 to 399 and keeps the files of those that fail.
Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import random_networks

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_random_networks")).resolve()
OPTIONS = [[], ["--isa=portable"], ["--batch=3"], ["--isa=avx2"], ["--math=strict"],
           ["--isa=scalar"], ["--disable-pass=fuse-layers"], ["--isa=sse4"],
           ["--disable-pass=choose-layout,eliminate-im2col"], ["--precision=bf16w"]]
END_TO_END = 1e-4


def net2c(*args):
    return subprocess.run([NET2C, *args, "-q"], cwd=FOLDER, capture_output=True, text=True)


def judge(text, allowed):
    """What is wrong in the JSON of verify."""
    root = json.loads(text)
    for layer in root["layers"]:
        outside = layer["kernel"] == "(output)"
        error = layer["relative_l2" if outside else "backward"]
        if error is None or error > (max(allowed, layer["allowed"]) if outside
                                     else layer["allowed"]):
            return f"{layer['name']}: {layer}"
    if root.get("batches", {}).get("different"):
        return str(root["batches"])
    return None


def check(number):
    """None, or what is wrong."""
    model, weights = f"{number}.yaml", f"{number}.safetensors"
    (FOLDER / model).write_text(random_networks.network(number), encoding="utf-8")
    options = OPTIONS[number % len(OPTIONS)]
    for command in (["check", model], ["weights", "init", model, "-o", weights]):
        result = net2c(*command)
        if result.returncode:
            return f"{command[0]}: status {result.returncode}\n{result.stderr}"
    result = net2c("verify", model, "-w", weights, "--json", *options)
    if "E0116" in result.stderr:       # this CPU lacks the row
        return None
    if result.returncode not in (0, 3):
        return f"verify {options}: status {result.returncode}\n{result.stderr}"
    return judge(result.stdout, END_TO_END)


def main(args):
    first, end = map(int, args) if args else (0, 15)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    failed = 0
    for number in range(first, end):
        wrong = check(number)
        if wrong:
            failed += 1
            print(f"FAILED: network {number}, {OPTIONS[number % len(OPTIONS)]}: {wrong}", flush=True)
        else:
            (FOLDER / f"{number}.safetensors").unlink()
    print(f"{end - first} random networks, {failed} failures")
    return failed == 0


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
