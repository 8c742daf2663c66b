"""fashion: the Fashion-MNIST data set, training on it, and weights files.

The data set comes from Debian's package dataset-fashion-mnist; needs python3-torch. A network is
trained on the 60 000 training pictures only, by Adam with a one-cycle rate, in one thread, so that
a seed always gives the same weights on the same machine.
"""
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
import safetensors_numpy

DATA = Path("/usr/share/datasets/fashion-mnist")
LABELS = (ROOT / "models" / "fashion_labels.txt").read_text().splitlines()


def read_idx(path):
    """An idx file of bytes: 0, 0, type 8 (unsigned byte), rank, big-endian sizes, elements."""
    raw = gzip.decompress(path.read_bytes())
    zero, kind, rank = int.from_bytes(raw[:2], "big"), raw[2], raw[3]
    if zero != 0 or kind != 8:
        raise ValueError(f"{path}: not an idx file of unsigned bytes")
    start = 4 + 4 * rank
    sizes = [int.from_bytes(raw[at:at + 4], "big") for at in range(4, start, 4)]
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(sizes)


def is_installed():
    return (DATA / "t10k-labels-idx1-ubyte.gz").exists()


def load(part):
    """'train' (60 000) or 't10k' (the 10 000 test pictures): bytes [n, 28, 28], classes [n]."""
    pictures = read_idx(DATA / f"{part}-images-idx3-ubyte.gz")
    classes = read_idx(DATA / f"{part}-labels-idx1-ubyte.gz")
    return torch.from_numpy(pictures.copy()), torch.from_numpy(classes.astype(np.int64))


def normalise(pictures):
    """Bytes [n, 28, 28] to [n, 1, 28, 28] in -1 ... 1, as `preprocess:` in the models."""
    return (pictures.unsqueeze(1).float() / 255 - 0.5) / 0.5


def he_initialise(network):
    """Weights whose layers keep the variance of what passes through a ReLU; biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


def classify(network, prepare, pictures, batch=250):
    """The network's outputs [n, 10] for pictures of bytes; leaves it in evaluation mode."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(prepare(part)) for part in pictures.split(batch)])


def accuracy(outputs, classes):
    return float((outputs.argmax(1) == classes).double().mean())


def train(network, prepare, epochs, rate, decay=0.0, mirror=False, batch=64):
    """Trains in place. mirror: half of the pictures of each batch, drawn anew, left to right."""
    pictures, classes = load("train")
    steps = epochs * -(-len(pictures) // batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    begin, done, mean_loss = time.monotonic(), 0, 0.0
    network.train()
    for _ in range(epochs):
        for index in torch.randperm(len(pictures)).split(batch):
            some = pictures[index]
            if mirror:
                turned = torch.rand(len(index)) < 0.5
                some[turned] = some[turned].flip(-1)
            loss = nn.functional.cross_entropy(network(prepare(some)), classes[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            done += 1
            mean_loss += (loss.item() - mean_loss) / min(done, 100)
            if done % 100 == 0 or done == steps:
                print(f"{time.monotonic() - begin:6.0f} s  step {done} of {steps}  "
                      f"loss {mean_loss:.3f}", flush=True)


def save_tensors(path, tensors):
    """A safetensors file: header length (8 bytes), JSON header padded to 8, then the elements."""
    header, data = {}, []
    at = 0
    for key, tensor in tensors.items():
        raw = tensor.detach().numpy().astype("<f4").tobytes()
        header[key] = {"dtype": "F32", "shape": list(tensor.shape),
                       "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


def load_tensors(path):
    """The tensors of a safetensors file of float32: key to tensor."""
    return {key: torch.from_numpy(values.copy())
            for key, values in safetensors_numpy.load(path).items()}


def finish(network, prepare, path):
    """Writes the weights, then measures what is in the file on the 10 000 test pictures."""
    save_tensors(path, network.state_dict())
    network.load_state_dict(load_tensors(path))
    pictures, classes = load("t10k")
    reached = accuracy(classify(network, prepare, pictures), classes)
    print(f"{path}: {100 * reached:.2f} % of {len(classes)} test pictures")
