#!/usr/bin/python3
"""Trains models/alexnet_small.yaml on Fashion-MNIST; about half an hour of one core.

usage: train_alexnet_small.py [--epochs N] [--seed N] [-o FILE]
Needs Debian's dataset-fashion-mnist and python3-torch.
"""
import argparse
import sys
from pathlib import Path

import torch
from torch import nn

import fashion

sys.path.append(str(fashion.ROOT / "tests" / "fixtures"))
import alexnet_torch

NAME = "alexnet_small"
WIDTHS = (12, 32, 48, 48, 32, 512, 10)


def make():
    return alexnet_torch.TwoGroupAlexNet(*WIDTHS)


def prepare(pictures):
    """28 x 28 enlarged to 224 x 224 as net2c run enlarges a picture; three equal channels."""
    large = nn.functional.interpolate(fashion.normalise(pictures), size=(224, 224),
                                      mode="bilinear", align_corners=False)
    return large.repeat(1, 3, 1, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", type=Path, default=fashion.ROOT / "models" / f"{NAME}.safetensors")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(chosen.seed)
    network = make()
    fashion.he_initialise(network)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2             # half is too much for an eighth of the width
    fashion.train(network, prepare, chosen.epochs, rate=1e-3)
    fashion.finish(network, prepare, chosen.o)


if __name__ == "__main__":
    main()
