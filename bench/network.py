"""network: a model as Python sees it: the layers that `net2c expand` prints, with the tensors of a
weights file. What converts it for a rival starts here, so that a rival shares no code with the
compiler but its parser.

    net = network.load("models/alexnet.yaml", "out/bench/alexnet.safetensors")
    net.layers[0].op, net.layers[0].shape, net.layers[0].attr["stride"], net.layers[0].weight
    network.folded(net)      # the same with batch normalisation in weights, activations in layers

Layers that reach no output, dropout and identity are gone. Needs PyYAML and NumPy.
"""
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import network_files as files

sys.path.append(str(files.ROOT / "tools"))
PARAMETERS = {"conv": ("weight", "bias"), "linear": ("weight", "bias"),
              "batchnorm": ("running_mean", "running_var", "weight", "bias")}
OPTIONAL = {"bias", "weight"}
NOTHING = ("dropout", "identity")
ACTIVATIONS = ("relu", "relu6")
FOLDS = ("conv", "linear", "add")


@dataclass
class Layer:
    op: str
    name: str
    inputs: list
    shape: list                                  # of the output, without the batch
    attr: dict
    tensor: dict = field(default_factory=dict)   # by parameter; those that the layer has
    activation: str = ""                         # folded only
    residual: str = ""                           # folded only: added before the activation

    def pair(self, name):
        """kernel, stride, dilation: two numbers; pad: top, left, bottom, right."""
        if name == "stride" and name not in self.attr:
            name = "kernel"                      # of pooling, if the model has none
        return [int(n) for n in self.attr[name]]


@dataclass
class Network:
    name: str
    inputs: dict                                 # name: shape without the batch
    outputs: list
    layers: list

    def users(self, name):
        return [layer for layer in self.layers
                if name in layer.inputs or name == layer.residual]


def take_parameters(layer, path, tensors):
    for role in PARAMETERS.get(layer.op, ()):
        key = f"{path}.{role}"
        if key in tensors:
            layer.tensor[role] = tensors[key]
        elif role not in OPTIONAL or (role == "weight" and layer.op != "batchnorm"):
            raise SystemExit(f"network.py: {layer.name}: no weights '{key}'")


def drop_unused(net):
    wanted, kept = set(net.outputs), []
    for layer in reversed(net.layers):
        if layer.name in wanted:
            wanted.update(layer.inputs)
            kept.append(layer)
    net.layers = kept[::-1]


def load(model, weights):
    import safetensors_numpy
    import yaml
    text = subprocess.run([files.NET2C, "expand", model], capture_output=True, text=True,
                          check=True).stdout
    root = yaml.safe_load(text)
    if root["weights"]["bind"] != "$path.$param":
        raise SystemExit(f"network.py: {model}: weights are not bound as $path.$param")
    tensors, alias, layers = safetensors_numpy.load(weights), {}, []
    for entry in root["network"]:
        (op, attr), = entry.items()
        inputs = [alias.get(name, name) for name in attr.pop("from")]
        name, path, shape = attr.pop("name"), attr.pop("path"), attr.pop("expect")[1:]
        if op in NOTHING and name not in root["outputs"]:
            alias[name] = inputs[0]
            continue
        layer = Layer(op, name, inputs, shape, attr)
        take_parameters(layer, path, tensors)
        layers.append(layer)
    inputs = {name: entry["shape"][1:] for name, entry in root["inputs"].items()}
    net = Network(root["name"], inputs, root["outputs"], layers)
    drop_unused(net)
    return net


def fold_batchnorm(conv, norm):
    """In double precision, then rounded once."""
    import numpy as np
    t = {role: np.asarray(value, np.float64) for role, value in norm.tensor.items()}
    factor = t.get("weight", 1.0) / np.sqrt(t["running_var"] + float(norm.attr["eps"]))
    bias = np.asarray(conv.tensor.get("bias", 0.0), np.float64)
    weight = np.asarray(conv.tensor["weight"], np.float64)
    conv.tensor["weight"] = (weight * factor.reshape([-1, 1, 1, 1])).astype(np.float32)
    conv.tensor["bias"] = ((bias - t["running_mean"]) * factor +
                           t.get("bias", 0.0)).astype(np.float32)


def rename(net, old, new):
    for layer in net.layers:
        layer.inputs = [new if name == old else name for name in layer.inputs]
        layer.residual = new if layer.residual == old else layer.residual
    net.outputs = [new if name == old else name for name in net.outputs]


def folded(net):
    """As every engine has it: one step for a convolution with its normalisation and activation."""
    made = {}
    for layer in list(net.layers):
        before = made.get(layer.inputs[0]) if layer.inputs else None
        alone = before and len(net.users(before.name)) == 1 and before.name not in net.outputs
        if alone and layer.op == "batchnorm" and before.op == "conv" and not before.activation:
            fold_batchnorm(before, layer)
        elif alone and layer.op in ACTIVATIONS and before.op in FOLDS and not before.activation:
            before.activation = layer.op
        else:
            made[layer.name] = layer
            continue
        net.layers.remove(layer)
        rename(net, layer.name, before.name)
    return net


def fold_residuals(net):
    """conv, then add: the convolution adds what was computed before it, and takes its memory: so
    nothing may read that afterwards."""
    for layer in [layer for layer in net.layers if layer.op == "add" and len(layer.inputs) == 2]:
        place = {other.name: i for i, other in enumerate(net.layers)}
        for last, other in (layer.inputs, layer.inputs[::-1]):
            conv = net.layers[place[last]] if last in place else None
            if not conv or conv.op != "conv" or conv.activation or conv.residual or \
                    len(net.users(last)) > 1 or {last, other} & set(net.outputs):
                continue
            readers = [place[user.name] for user in net.users(other) if user is not layer]
            if other in place and max([place[other], *readers]) < place[last]:
                conv.residual, conv.activation = other, layer.activation
                net.layers.remove(layer)
                rename(net, layer.name, last)
                break
    return net


def macs(net):
    """Multiply-adds of convolutions and linear layers for one item."""
    total = 0
    for layer in net.layers:
        if layer.op in ("conv", "linear"):
            pixels = layer.shape[1] * layer.shape[2] if layer.op == "conv" else 1
            total += layer.tensor["weight"].size * pixels
    return total
