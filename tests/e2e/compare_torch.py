#!/usr/bin/python3
"""Every element of every layer of AlexNet against the PyTorch module itself, run here.

Where test_fixtures.py sees samples, this sees all: the module runs in double precision on the same
weights file and input; single precision is shown beside it, for what PyTorch itself loses.
Exit status 77 (skipped) without python3-torch. Environment: NET2C, NET2C_TEST_DIR.
Each network is run twice: with --math=strict and with Winograd's convolutions.
usage: compare_torch.py [NETWORK ...] [--isa=ROW]      default: alexnet
"""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fixtures"), str(ROOT / "tools")]
try:
    import numpy as np
    import torch
except ImportError:
    print("skipped: needs python3-torch and python3-numpy")
    sys.exit(77)
import alexnet_torch
import fixture_data
import safetensors_numpy

NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "compare_torch"))
BOUND = {"strict": 1e-6, "default": 5e-6}


def relative_l2(got, want):
    want = want.astype(np.float64)
    return float(np.linalg.norm(got.astype(np.float64) - want) / np.linalg.norm(want))


def compare(network, math, options):
    names = fixture_data.LAYERS
    weights, image = FOLDER / f"{network}.safetensors", FOLDER / "image.npy"
    model = FOLDER / f"{network}_layers.yaml"
    model.write_text(fixture_data.with_outputs(
        NET2C, ROOT / "models" / f"{network}.yaml", names))
    x = np.array(fixture_data.input_values(), dtype=np.float32).reshape(fixture_data.INPUT)
    np.save(image, x)
    subprocess.run([NET2C, "weights", "init", model, "--seed", "2", "-o", weights], check=True)
    outputs = [part for name in names for part in ("-o", f"{name}={FOLDER / name}.npy")]
    subprocess.run([NET2C, "run", model, "-w", weights, "-i", f"image={image}", *outputs,
                    f"--math={math}", "--disable-pass=fuse-layers", *options], check=True)
    module = alexnet_torch.load(safetensors_numpy.load(weights))
    single = alexnet_torch.run_layers(module, torch.from_numpy(x))
    double = alexnet_torch.run_layers(module.double(), torch.from_numpy(x.astype(np.float64)))
    worst = 0.0
    print(f"{network} --math={math} {' '.join(options)}\n  layer     net2c    torch f32   (relative L2 to f64)")
    for name in names:
        got = np.load(FOLDER / f"{name}.npy")
        if got.shape != double[name].shape:
            print(f"  {name}: shape {got.shape}, expected {double[name].shape}")
            return False
        distance = relative_l2(got, double[name])
        worst = max(worst, distance)
        print(f"  {name:8} {distance:.2e}   {relative_l2(single[name], double[name]):.2e}")
    print(f"  worst {worst:.2e}, at most {BOUND[math]:.0e} is allowed")
    return worst <= BOUND[math]


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    options = [a for a in sys.argv[1:] if a.startswith("--")]
    networks = [a for a in sys.argv[1:] if not a.startswith("--")] or ["alexnet"]
    return 0 if all([compare(network, math, options) for network in networks
                     for math in BOUND]) else 1


if __name__ == "__main__":
    sys.exit(main())
