"""export_ncnn: a folded network (network.py) as ncnn's .param and .bin, as ncnn's own converters
write it: activations within convolutions, blobs with several readers split.

A .param line: type, name, inputs, outputs, their names, then number=value. The .bin holds weights
in the order of layers; 0 before a convolution's or linear layer's weights says single precision.
"""
import numpy as np

MAGIC = "7767517"
ACTIVATION = {"": "", "relu": "9=1", "relu6": "9=3 -23310=2,0.0,6.0"}


class Writer:
    def __init__(self, file):
        self.file, self.lines, self.blobs = file, [], 0

    def layer(self, kind, name, inputs, outputs, *values):
        self.blobs += len(outputs)
        words = [kind, name, len(inputs), len(outputs), *inputs, *outputs, *filter(None, values)]
        self.lines.append(" ".join(str(word) for word in words))

    def numbers(self, array, tagged=False):
        self.file.write((b"\0\0\0\0" if tagged else b"") + np.asarray(array, "<f4").tobytes())


def conv(w, layer, inputs):
    (kh, kw), (sh, sw), (dh, dw) = (layer.pair(k) for k in ("kernel", "stride", "dilation"))
    top, left, bottom, right = layer.pair("pad")
    weight, bias, groups = layer.tensor["weight"], layer.tensor.get("bias"), layer.attr["groups"]
    w.layer("Convolution" if groups == 1 else "ConvolutionDepthWise", layer.name, inputs,
            [layer.name], f"0={layer.shape[0]}", f"1={kw}", f"11={kh}", f"2={dw}", f"12={dh}",
            f"3={sw}", f"13={sh}", f"4={left}", f"14={top}", f"15={right}", f"16={bottom}",
            f"5={int(bias is not None)}", f"6={weight.size}", groups > 1 and f"7={groups}",
            ACTIVATION[layer.activation])
    w.numbers(weight, tagged=True)
    if bias is not None:
        w.numbers(bias)


def linear(w, layer, inputs):
    weight, bias = layer.tensor["weight"], layer.tensor.get("bias")
    w.layer("InnerProduct", layer.name, inputs, [layer.name], f"0={layer.shape[0]}",
            f"1={int(bias is not None)}", f"2={weight.size}", ACTIVATION[layer.activation])
    w.numbers(weight, tagged=True)
    if bias is not None:
        w.numbers(bias)


def maxpool(w, layer, inputs):
    (kh, kw), (sh, sw) = layer.pair("kernel"), layer.pair("stride")
    top, left, bottom, right = layer.pair("pad")
    w.layer("Pooling", layer.name, inputs, [layer.name], "0=0", f"1={kw}", f"11={kh}", f"2={sw}",
            f"12={sh}", f"3={left}", f"13={top}", f"14={right}", f"15={bottom}",
            f"5={0 if layer.attr['ceil_mode'] else 1}")


def add(w, layer, inputs):
    summed = f"{layer.name}:sum" if layer.activation else layer.name
    w.layer("BinaryOp", f"{layer.name}:add", inputs, [summed], "0=0")
    if layer.activation:
        activate(w, layer.activation, layer.name, [summed])


def activate(w, op, name, inputs):
    if op == "relu":
        w.layer("ReLU", name, inputs, [name])
    else:
        w.layer("Clip", name, inputs, [name], "0=0.0", "1=6.0")


def lrn(w, layer, inputs):
    a = layer.attr
    w.layer("LRN", layer.name, inputs, [layer.name], "0=0", f"1={a['size']}",
            f"2={float(a['alpha'])}", f"3={float(a['beta'])}", f"4={float(a['k'])}")


def plain(kind, *values):
    return lambda w, layer, inputs: w.layer(kind, layer.name, inputs, [layer.name], *values)


OPERATORS = {
    "conv": conv, "linear": linear, "maxpool": maxpool, "add": add, "lrn": lrn,
    "relu": lambda w, layer, inputs: activate(w, "relu", layer.name, inputs),
    "relu6": lambda w, layer, inputs: activate(w, "relu6", layer.name, inputs),
    "concat": plain("Concat", "0=0"),
    "global_avgpool": plain("Pooling", "0=1", "4=1"),
    "flatten": plain("Flatten"),
    "softmax": plain("Softmax", "0=0", "1=1"),
}


def build(net, stem):
    """STEM.param and STEM.bin; None, or the operator that is not in the table."""
    missing = [layer.op for layer in net.layers if layer.op not in OPERATORS]
    if missing:
        return missing[0]
    with open(f"{stem}.bin", "wb") as file:
        w, copies = Writer(file), {}

        def publish(name):
            users = sum(layer.inputs.count(name) for layer in net.layers) + (name in net.outputs)
            copies[name] = [name] if users < 2 else [f"{name}:{i}" for i in range(users)]
            if users > 1:
                w.layer("Split", f"{name}:split", [name], copies[name])

        for name, shape in net.inputs.items():
            w.layer("Input", name, [], [name], *(f"{i}={n}" for i, n in enumerate(shape[::-1])))
            publish(name)
        for layer in net.layers:
            OPERATORS[layer.op](w, layer, [copies[name].pop() for name in layer.inputs])
            publish(layer.name)
    with open(f"{stem}.param", "w", encoding="ascii") as file:
        file.write("\n".join([MAGIC, f"{len(w.lines)} {w.blobs}", *w.lines]) + "\n")
    return None
