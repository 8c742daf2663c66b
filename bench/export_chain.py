"""export_chain: a folded network (network.py) as a list of steps for peers_onednn.cpp, and its
weights as raw floats in the order of steps.

    input image 3 224 224
    conv conv1 image 96 55 55 kernel 11 11 stride 4 4 pad 2 2 2 2 dilation 1 1 groups 1 act relu
         residual -
    ...
    output logits

one line a step: operator, name, how many inputs and which, three output extents, then what the
operator takes. flatten is a name for its input: a linear layer reads any shape.
"""
import numpy as np

OPERATORS = ("conv", "linear", "maxpool", "lrn", "add", "concat", "global_avgpool", "flatten")


def padding(layer, shape):
    """At the end as far as the last window reaches, which ceil_mode makes wider than asked for."""
    top, left, bottom, right = layer.pair("pad")
    ends = []
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        reach = (layer.shape[1 + axis] - 1) * layer.pair("stride")[axis] + \
            layer.pair("kernel")[axis]
        ends.append(max(after, reach - shape[1 + axis] - before))
    return [top, left, *ends]


def words(layer, shape):
    if layer.op == "conv":
        return [*layer.pair("kernel"), *layer.pair("stride"), *layer.pair("pad"),
                *layer.pair("dilation"), layer.attr["groups"], layer.activation or "-",
                layer.residual or "-"]
    if layer.op == "maxpool":
        return [*layer.pair("kernel"), *layer.pair("stride"), *padding(layer, shape)]
    if layer.op == "lrn":
        return [layer.attr[key] for key in ("size", "alpha", "beta", "k")]
    if layer.op in ("linear", "add"):
        return [layer.activation or "-"]
    return []


def build(net, stem):
    """STEM.chain and STEM.raw; None, or the operator that is not in the table."""
    missing = [layer.op for layer in net.layers if layer.op not in OPERATORS]
    if missing:
        return missing[0]
    alias, shapes = {}, dict(net.inputs)
    lines = [" ".join(["input", name, *map(str, shape)]) for name, shape in net.inputs.items()]
    with open(f"{stem}.raw", "wb") as raw:
        for layer in net.layers:
            inputs = [alias.get(name, name) for name in layer.inputs]
            if layer.op == "flatten":
                alias[layer.name] = inputs[0]
                continue
            layer.residual = alias.get(layer.residual, layer.residual)
            shapes[layer.name] = shape = (layer.shape + [1, 1])[:3]
            line = [layer.op, layer.name, len(inputs), *inputs, *shape,
                    *words(layer, shapes[inputs[0]])]
            lines.append(" ".join(map(str, line)))
            if "weight" in layer.tensor:
                bias = layer.tensor.get("bias", np.zeros(layer.shape[0], np.float32))
                for tensor in (layer.tensor["weight"], bias):
                    raw.write(np.asarray(tensor, "<f4").tobytes())
    lines.append(f"output {alias.get(net.outputs[0], net.outputs[0])}")
    with open(f"{stem}.chain", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return None
