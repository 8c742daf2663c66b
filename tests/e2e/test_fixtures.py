#!/usr/bin/env python3
"""AlexNet, full and small, and tests/fixtures/operators.yaml against the committed fixtures of the
PyTorch modules.

Checks that `weights init` gives the fixture's bytes, then compares in relative L2 of the sampled
elements and of the norm, at most 5e-6 apart where Winograd's convolution may be chosen, else 1e-6:
    the logits, as the model stands;
    every group's output, with the default passes;
    every layer's output, with fuse-layers off and --math=strict.
Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "fixtures"))
import fixture_data

NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_fixtures"))
BOUND, STRICT_BOUND = 5e-6, 1e-6
ROWS = {"avx512": "avx512f", "avx2": "avx2", "sse4": "sse4_2", "portable": "", "scalar": ""}
STRICT = ["--disable-pass=fuse-layers", "--math=strict"]
failures = []


def net2c(*arguments):
    command = [NET2C, *(str(a) for a in arguments)]
    result = subprocess.run(command, cwd=FOLDER)
    if result.returncode:
        sys.exit(f"status {result.returncode}: {' '.join(command)}")


def relative_l2(got, want):
    norm = math.sqrt(sum(w * w for w in want))
    return math.sqrt(sum((g - w) ** 2 for g, w in zip(got, want))) / norm


def check(what, got, want, bound):
    """The larger of both distances: sampled elements, and norm."""
    samples = [got[i] for i in fixture_data.sample_indices(len(got))]
    if len(samples) != len(want["values"]):
        failures.append(f"{what}: {len(got)} elements, expected shape {want['shape']}")
        return math.inf
    norm = math.sqrt(math.fsum(g * g for g in got))
    distance = max(relative_l2(samples, want["values"]), abs(norm / want["norm"] - 1))
    if not distance <= bound:
        failures.append(f"{what}: relative L2 {distance:.2e}, at most {bound:.0e} is allowed")
    return distance


def run_layers(path, weights, names, want, options):
    """Compares the named layers, all outputs of one run. Returns the worst distance."""
    network = path.stem
    model = FOLDER / f"{network}_{len(names)}.yaml"
    model.write_text(fixture_data.with_outputs(NET2C, path, names))
    outputs = [part for name in names for part in ("-o", f"{name}={FOLDER / name}.npy")]
    bound = STRICT_BOUND if "--math=strict" in options else BOUND
    net2c("run", model, "-w", weights, "-i", f"image={FOLDER / 'image.npy'}", *outputs, *options)
    return max(check(f"{network} {name} {' '.join(options)}",
                     fixture_data.read_npy(FOLDER / f"{name}.npy"), want["layers"][name], bound)
               for name in names)


def check_network(path, rows, shape, choices):
    """choices: what, names of the layers compared, and options of each run."""
    network = path.stem
    fixture_data.write_npy(FOLDER / "image.npy", shape, fixture_data.input_values(shape))
    want = json.loads((ROOT / "tests" / "fixtures" / f"{network}.json").read_text())
    weights = FOLDER / f"{network}.safetensors"
    net2c("weights", "init", path, "--seed", want["seed"], "-o", weights)
    if hashlib.sha256(weights.read_bytes()).hexdigest() != want["weights_sha256"]:
        sys.exit(f"{network}: weights init gives other bytes than the fixture's")
    for row in rows:
        for what, names, options in choices:
            worst = run_layers(path, weights, names or list(want["layers"]), want,
                               [f"--isa={row}", *options])
            print(f"{network} {row}: {what}, worst relative L2 {worst:.2e}",
                  flush=True)
    weights.unlink()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = f.read().split()
    rows = [row for row, flag in ROWS.items() if not flag or flag in flags]
    for row in ROWS.keys() - set(rows):
        print(f"{row}: skipped, this CPU lacks it")
    check_network(ROOT / "tests" / "fixtures" / "operators.yaml", rows,
                  fixture_data.OPERATORS_INPUT,
                  [("outputs", ["logits", "gated"], []), ("layers", None, []),
                   ("unfused", None, STRICT)])
    choices = [("logits", ["logits"], []), ("groups", fixture_data.GROUP_ENDS, []),
               ("layers", fixture_data.LAYERS, STRICT)]
    for network, some in (("alexnet_small", [rows[0], "scalar"]), ("alexnet", rows[:1])):
        check_network(ROOT / "models" / f"{network}.yaml", some, fixture_data.INPUT, choices)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
