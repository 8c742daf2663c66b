#!/usr/bin/python3
"""The networks of models/ against PyTorch: the same weights, the same input, the same logits.

Each network is written here once more, in torch.nn.functional and in double precision, from the
source that its model names. A weight that is not used is an error, as is one that is missing.
What PyTorch loses in single precision is shown beside what net2c loses.
Small sizes by default; --full takes the sizes of the papers.
Exit status 77 (skipped) without python3-torch. Environment: NET2C, NET2C_TEST_DIR.
usage: compare_zoo.py [NETWORK ...] [--full] [--isa=ROW]
"""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools")]
try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError:
    print("skipped: needs python3-torch and python3-numpy")
    sys.exit(77)
import safetensors_numpy

NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "compare_zoo"))
BOUND = 5e-6
BATCH = 2


class Weights:
    """The tensors of a file in one precision, and which of them were used."""

    def __init__(self, path, dtype):
        self.tensors = {name: torch.from_numpy(a.astype(dtype))
                        for name, a in safetensors_numpy.load(path).items()}
        self.unused = set(self.tensors)

    def take(self, name):
        self.unused.discard(name)
        return self.tensors[name]

    def conv(self, x, path, bias=True, **options):
        return F.conv2d(x, self.take(path + ".weight"),
                        self.take(path + ".bias") if bias else None, **options)

    def linear(self, x, path):
        return F.linear(x, self.take(path + ".weight"), self.take(path + ".bias"))

    def conv_bn(self, x, conv, bn, **options):
        y = self.conv(x, conv, bias=False, **options)
        return F.batch_norm(y, *[self.take(f"{bn}.{p}") for p in
                                 ("running_mean", "running_var", "weight", "bias")])


def vgg16(w, x):
    at = 0
    for convs in (2, 2, 3, 3, 3):
        for _ in range(convs):
            x = F.relu(w.conv(x, f"features.{at}", padding=1))
            at += 2
        x = F.max_pool2d(x, 2, 2)
        at += 1
    x = torch.flatten(x, 1)
    x = F.relu(w.linear(x, "classifier.0"))
    x = F.relu(w.linear(x, "classifier.3"))
    return w.linear(x, "classifier.6")


def resnet18(w, x):
    x = F.relu(w.conv_bn(x, "conv1", "bn1", stride=2, padding=3))
    x = F.max_pool2d(x, 3, 2, 1)
    for layer in range(1, 5):
        for block in range(2):
            p = f"layer{layer}.{block}."
            stride = 2 if layer > 1 and block == 0 else 1
            y = F.relu(w.conv_bn(x, p + "conv1", p + "bn1", stride=stride, padding=1))
            y = w.conv_bn(y, p + "conv2", p + "bn2", padding=1)
            if stride > 1:
                x = w.conv_bn(x, p + "downsample.0", p + "downsample.1", stride=stride)
            x = F.relu(y + x)
    return w.linear(x.mean(dim=(2, 3)), "fc")


def squeezenet1_1(w, x):
    x = F.relu(w.conv(x, "features.0", stride=2))
    for i in range(2, 13):
        if i in (2, 5, 8):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        x = F.relu(w.conv(x, f"features.{i}.squeeze"))
        x = torch.cat([F.relu(w.conv(x, f"features.{i}.expand1x1")),
                       F.relu(w.conv(x, f"features.{i}.expand3x3", padding=1))], 1)
    return F.relu(w.conv(x, "classifier.1")).mean(dim=(2, 3))


def mobilenet_v2(w, x):
    x = F.relu6(w.conv_bn(x, "features.0.0", "features.0.1", stride=2, padding=1))
    at = 1
    for expand, blocks, first_stride in ((1, 1, 1), (6, 2, 2), (6, 3, 2), (6, 4, 2), (6, 3, 1),
                                         (6, 3, 2), (6, 1, 1)):
        for block in range(blocks):
            p, y, k = f"features.{at}.conv.", x, 0
            if expand > 1:
                y = F.relu6(w.conv_bn(y, p + "0.0", p + "0.1"))
                k = 1
            y = F.relu6(w.conv_bn(y, f"{p}{k}.0", f"{p}{k}.1", padding=1, groups=y.shape[1],
                                  stride=first_stride if block == 0 else 1))
            y = w.conv_bn(y, f"{p}{k + 1}", f"{p}{k + 2}")
            x = x + y if block > 0 else y
            at += 1
    x = F.relu6(w.conv_bn(x, "features.18.0", "features.18.1"))
    return w.linear(x.mean(dim=(2, 3)), "classifier.1")


# What makes them small enough for a test, the size of the picture then, and the bound without
# Winograd: in MobileNet's 52 layers without much between them, single precision itself loses 3e-6.
NETWORKS = {
    vgg16: (2, 64, 1e-6),
    resnet18: (2, 96, 1e-6),
    squeezenet1_1: (1, 97, 1e-6),
    mobilenet_v2: (2, 96, 4e-6),
}


def relative_l2(got, want):
    return float(np.linalg.norm(got.astype(np.float64) - want) / np.linalg.norm(want))


def compare(network, full, options):
    name = network.__name__
    scale, size, strict = NETWORKS[network]
    if full:
        scale, size = 1, 224
    model = [ROOT / "models" / f"{name}.yaml", "-D", f"scale={scale}", "-D", f"size={size}"]
    weights, image, logits = (FOLDER / f"{name}{end}"
                              for end in (".safetensors", "_image.npy", "_logits.npy"))
    subprocess.run([NET2C, "weights", "init", *model, "--seed", "3", "-o", weights], check=True)
    x = np.random.default_rng(1).standard_normal((BATCH, 3, size, size)).astype(np.float32)
    np.save(image, x)
    w = Weights(weights, np.float64)
    want = network(w, torch.from_numpy(x.astype(np.float64))).numpy()
    single = relative_l2(network(Weights(weights, np.float32), torch.from_numpy(x)).numpy(), want)
    if w.unused:
        print(f"{name}: PyTorch did not use {sorted(w.unused)}")
    good = not w.unused
    for math, bound in (("default", BOUND), ("strict", strict)):
        subprocess.run([NET2C, "run", *model, "-w", weights, "-i", image, "-o", logits,
                        f"--math={math}", *options], check=True)
        got = np.load(logits)
        distance = relative_l2(got, want) if got.shape == want.shape else np.inf
        print(f"{name:14} {size:4} {math:8} {distance:.2e}, at most {bound:.0e} is allowed; "
              f"PyTorch in single precision {single:.2e}", flush=True)
        good = good and distance <= bound
    return good


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    options = [a for a in sys.argv[1:] if a.startswith("--") and a != "--full"]
    chosen = [a for a in sys.argv[1:] if not a.startswith("--")]
    networks = [n for n in NETWORKS if not chosen or n.__name__ in chosen]
    with torch.no_grad():
        good = [compare(n, "--full" in sys.argv, options) for n in networks]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
