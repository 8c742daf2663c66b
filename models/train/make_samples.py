#!/usr/bin/python3
"""Writes models/samples/: pictures and the outputs that PyTorch gives for them, for `check:`.

Needs Debian's dataset-fashion-mnist and python3-torch. usage: make_samples.py
"""
import numpy as np

import fashion
import train_lenet5

COUNT = 4


def main():
    folder = fashion.ROOT / "models" / "samples"
    folder.mkdir(exist_ok=True)
    network = train_lenet5.make()
    network.load_state_dict(fashion.load_tensors(fashion.ROOT / "models" / "lenet5.safetensors"))
    pictures = fashion.load("t10k")[0][:COUNT]
    images = train_lenet5.prepare(pictures)
    logits = fashion.classify(network.double(), lambda part: part.double(), images)
    np.save(folder / "lenet5_image.npy", images.numpy().astype("<f4"))
    np.save(folder / "lenet5_logits.npy", logits.numpy().astype("<f4"))


if __name__ == "__main__":
    main()
