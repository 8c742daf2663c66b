#!/usr/bin/python3
"""The trained networks on Fashion-MNIST test pictures: net2c's classes beside PyTorch's.

Fails when more than one class in 2 000 differs or when fewer than 87 % are right.
Exit status 77 (skipped) without python3-torch or dataset-fashion-mnist.
Environment: NET2C, NET2C_TEST_DIR.
usage: compare_fashion.py [NETWORK ...] [--pictures=N] [net2c's options]
       default: lenet5 on all 10 000 pictures, alexnet_small on 500
"""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "models" / "train"))
try:
    import numpy as np
    import torch
    import fashion
    import train_alexnet_small
    import train_lenet5
except ImportError as problem:
    print(f"skipped: needs python3-torch and python3-numpy ({problem})")
    sys.exit(77)

NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "compare_fashion"))
NETWORKS = {"lenet5": (train_lenet5, 10000), "alexnet_small": (train_alexnet_small, 500)}
CHUNK = 1000                           # pictures a run: 224 x 224 x 3 floats each are 0.6 MB
SAME, RIGHT = 0.9995, 0.87


def run_net2c(network, weights, x, options):
    given, made = FOLDER / "x.npy", FOLDER / "y.npy"
    np.save(given, x.numpy())
    subprocess.run([NET2C, "run", ROOT / "models" / f"{network}.yaml", "-w", weights,
                    "-q", "-i", given, "-o", made, *options], check=True)
    return torch.from_numpy(np.load(made))


def compare(network, wanted, options):
    trained, usual = NETWORKS[network]
    weights = ROOT / "models" / f"{network}.safetensors"
    module = trained.make()
    module.load_state_dict(fashion.load_tensors(weights))
    pictures, classes = (part[:wanted or usual] for part in fashion.load("t10k"))
    ours, theirs = [], []
    for part in pictures.split(CHUNK):
        ours.append(run_net2c(network, weights, trained.prepare(part), options))
        theirs.append(fashion.classify(module, trained.prepare, part))
    ours, theirs = torch.cat(ours), torch.cat(theirs)
    if ours.shape != theirs.shape:
        print(f"{network}: shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}")
        return False
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    right = fashion.accuracy(ours, classes)
    print(f"{network} {' '.join(options)}\n"
          f"  same class as PyTorch  {same} of {len(ours)}, at least {100 * SAME} % needed\n"
          f"  right                  {100 * right:.2f} %, PyTorch "
          f"{100 * fashion.accuracy(theirs, classes):.2f} %, at least {100 * RIGHT:.0f} % needed\n"
          f"  largest difference     {float((ours - theirs).abs().max()):.1e}")
    return same >= SAME * len(ours) and right >= RIGHT


def main():
    if not fashion.is_installed():
        print(f"skipped: no {fashion.DATA}, which Debian's dataset-fashion-mnist installs")
        return 77
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = [int(a.split("=")[1]) for a in sys.argv[1:] if a.startswith("--pictures=")]
    options = [a for a in sys.argv[1:] if a.startswith("--") and not a.startswith("--pictures=")]
    networks = [a for a in sys.argv[1:] if not a.startswith("--")] or list(NETWORKS)
    passed = [compare(network, wanted[-1] if wanted else 0, options) for network in networks]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
