#!/usr/bin/python3
"""Trains models/lenet5.yaml on Fashion-MNIST; a few minutes of one core.

usage: train_lenet5.py [--epochs N] [--seed N] [-o FILE]
Needs Debian's dataset-fashion-mnist and python3-torch.
"""
import argparse
from pathlib import Path

import torch
from torch import nn

import fashion

NAME = "lenet5"


class LeNet5(nn.Module):
    """LeNet-5's shapes, with ReLU and maximum pooling in place of tanh and averages."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def make():
    return LeNet5()


def prepare(pictures):
    return fashion.normalise(pictures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", type=Path, default=fashion.ROOT / "models" / f"{NAME}.safetensors")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(chosen.seed)
    network = make()
    fashion.he_initialise(network)
    fashion.train(network, prepare, chosen.epochs, rate=3e-3, decay=0.01, mirror=True)
    fashion.finish(network, prepare, chosen.o)


if __name__ == "__main__":
    main()
