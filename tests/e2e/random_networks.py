#!/usr/bin/env python3
"""Random networks that are valid: every operator, branches, odd sizes, several inputs and outputs.

    random_networks.py 17 out/random.yaml          writes network number 17
    import random_networks; random_networks.network(17)

A network depends on its number alone. Most layers read the layer before, some one further back; what
nobody reads is an output, or now and then a dead layer. Tensors have at most 16384 elements, a layer
takes at most about a million multiply-adds, so that the slowest backend is fast enough. Standard
library only.
"""
import random
import sys
from math import prod
from pathlib import Path

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64)
MAX_ELEMENTS, MAX_MACS = 16384, 1 << 20


class Refused(Exception):
    """This layer cannot stand here: another one is tried."""


class Network:
    def __init__(self, number):
        self.r = random.Random(number)
        self.name = f"random{number}"
        self.inputs = {}               # name -> shape behind N
        self.shapes = {}               # of inputs and layers
        self.layers = []               # lines of YAML
        self.unread = []               # names, oldest first
        self.wanted = self.r.randint(2, 14)

    def chance(self, percent):
        return self.r.randrange(100) < percent

    def add_input(self):
        rank = self.r.choice((1, 2, 2, 3, 3, 3, 3, 3))
        while True:
            shape = [self.r.choice(SIZES) for _ in range(rank)]
            if 4 <= prod(shape) <= MAX_ELEMENTS // 4:
                break
        name = f"in{len(self.inputs)}"
        self.inputs[name] = self.shapes[name] = shape
        self.unread.append(name)

    def pick(self, *ranks):
        """A tensor of one of these ranks (without N), mostly the last one."""
        names = [n for n, s in self.shapes.items() if not ranks or len(s) in ranks]
        if not names:
            raise Refused
        waiting = [n for n in names if n in self.inputs and n in self.unread]
        if waiting and (len(self.layers) >= self.wanted or self.chance(20)):
            return waiting[0]
        return names[-1] if self.chance(70) else self.r.choice(names)

    def layer(self, operator, inputs, shape, attributes=""):
        if prod(shape) > MAX_ELEMENTS or min(shape, default=1) < 1 or len(shape) > 5:
            raise Refused
        name = f"{operator}{len(self.layers)}"
        read = f"from: [{', '.join(inputs)}], " if inputs else ""
        expect = f"expect: [{', '.join(map(str, ['N', *shape]))}]"
        self.layers.append(f"  - {operator}: {{name: {name}, {read}{attributes}{expect}}}")
        self.unread = [n for n in self.unread if n not in inputs] + [name]
        self.shapes[name] = shape
        return name


# ---- attributes -----------------------------------------------------------------------------------

def pair(values):
    """[h, w] as YAML; a number where both are the same; at rank 3 there is w alone."""
    return str(values[0]) if len(set(values)) == 1 else str(list(values))


def window(net, extents, kernels, ceil=False, pool=False, dilated=True):
    """Kernel, stride, pad, dilation over the spatial extents; the text and the output extents."""
    r = net.r
    square = net.chance(60)
    n = len(extents)

    def each(choices):
        values = [r.choice(choices) for _ in range(n)]
        return values[:1] * n if square else values
    kernel = each(kernels)
    stride = each((1, 1, 1, 2, 2, 3))
    dilation = each((1, 1, 1, 2, 3)) if dilated and net.chance(25) else [1] * n
    most = [k // 2 if pool else k * d for k, d in zip(kernel, dilation)]
    pads = [[r.randint(0, m), r.randint(0, m)] for m in most]
    if net.chance(75):                 # alike on both sides
        pads = [[k // 2 if net.chance(70) else p[0]] * 2 for k, p in zip(kernel, pads)]
    if net.chance(20):
        pads = [[0, 0]] * n
    out = []
    for x, k, s, d, (before, after) in zip(extents, kernel, stride, dilation, pads):
        room = x + before + after - (k - 1) * d - 1
        if room < 0:
            raise Refused
        size = (room + s - 1 if ceil else room) // s + 1
        out.append(size - (ceil and (size - 1) * s >= x + before))
    sides = [p[0] for p in pads] + [p[1] for p in pads]      # top, left, bottom, right
    text = f"kernel: {pair(kernel)}, "
    if stride != kernel or not pool or net.chance(50):
        text += f"stride: {pair(stride)}, "
    if any(sides):
        text += f"pad: {pair([p[0] for p in pads]) if sides[:n] == sides[n:] else sides}, "
    return text + (f"dilation: {pair(dilation)}, " if set(dilation) != {1} else ""), kernel, out


def number(net, low, high):
    return round(net.r.uniform(low, high), 3)


def an_axis(net, shape):
    axis = net.r.randint(1, len(shape))
    return axis - len(shape) - 1 if net.chance(50) else axis


# ---- operators ------------------------------------------------------------------------------------

def conv(net):
    x = net.pick(2, 3)
    channels, *extents = net.shapes[x]
    groups = 1
    if net.chance(30):
        groups = net.r.choice([d for d in range(1, channels + 1) if channels % d == 0])
    out = net.r.choice(SIZES)
    out = groups * (net.r.choice((1, 1, 2)) if groups > 16 else max(1, out // groups))
    text, kernel, spatial = window(net, extents, (1, 1, 2, 3, 3, 3, 4, 5, 7))
    if prod(spatial) * out * channels // groups * prod(kernel) > MAX_MACS:
        raise Refused
    text += f"groups: {groups}, " if groups > 1 else ""
    text += "bias: false, " if net.chance(30) else ""
    return net.layer("conv", [x], [out, *spatial], f"out: {out}, {text}")


def linear(net):
    x = net.pick(1, 2)
    shape, out = net.shapes[x], net.r.choice(SIZES + (100, 257))
    if prod(shape) * out > MAX_MACS:
        raise Refused
    bias = "bias: false, " if net.chance(30) else ""
    return net.layer("linear", [x], [*shape[:-1], out], f"out: {out}, {bias}")


def pool(net):
    operator = net.r.choice(("maxpool", "avgpool"))
    x = net.pick(2, 3)
    channels, *extents = net.shapes[x]
    ceil = net.chance(40)
    text, _, spatial = window(net, extents, (2, 2, 3, 3, 5), ceil, True, operator == "maxpool")
    text += "ceil_mode: true, " if ceil else ""
    text += "count_include_pad: false, " if operator == "avgpool" and net.chance(40) else ""
    return net.layer(operator, [x], [channels, *spatial], text)


def global_avgpool(net):
    x = net.pick(2, 3)
    shape = net.shapes[x]
    return net.layer("global_avgpool", [x], [shape[0]] + [1] * (len(shape) - 1))


def batchnorm(net):
    x = net.pick(1, 2, 3, 4)
    text = "affine: false, " if net.chance(30) else ""
    text += f"eps: {net.r.choice(('1e-3', '1e-5', '0.1'))}, " if net.chance(50) else ""
    return net.layer("batchnorm", [x], net.shapes[x], text)


def lrn(net):
    x = net.pick(2, 3)
    text = f"size: {net.r.randint(1, 7)}, "
    text += f"beta: {net.r.randint(1, 8) / 4}, " if net.chance(50) else ""
    text += f"alpha: {number(net, 0.0001, 1)}, " if net.chance(50) else ""
    text += f"k: {number(net, 0.5, 3)}, " if net.chance(50) else ""
    return net.layer("lrn", [x], net.shapes[x], text)


def activation(net):
    x = net.pick()
    operator = net.r.choice(("relu", "relu", "relu", "leaky_relu", "relu6", "clip", "tanh",
                             "sigmoid", "dropout", "identity"))
    text = ""
    if operator == "leaky_relu" and net.chance(60):
        text = f"negative_slope: {number(net, -0.5, 1.5)}, "
    if operator == "clip":
        low = number(net, -1, 0.5)
        text = net.r.choice((f"min: {low}, ", f"max: {low + 1}, ", f"min: {low}, max: {low + 1}, "))
    return net.layer(operator, [x], net.shapes[x], text)


def softmax(net):
    x = net.pick(1, 2, 3, 4)
    return net.layer(net.r.choice(("softmax", "log_softmax")), [x], net.shapes[x],
                     f"axis: {an_axis(net, net.shapes[x])}, ")


def constant(net):
    x = net.pick()
    return net.layer(net.r.choice(("add", "mul", "sub")), [x], net.shapes[x],
                     f"value: {number(net, -2, 2)}, ")


def fitting(net, shape):
    """Tensors that broadcast with the shape, or a new one of the weights."""
    names = [n for n, s in net.shapes.items() if len(s) == len(shape)
             and all(a == b or 1 in (a, b) for a, b in zip(s, shape))]
    if net.chance(20):
        part = [d if net.chance(60) else 1 for d in shape]
        names = [net.layer("param", [], part, f"shape: {[1, *part]}, ")]
    return names


def arithmetic(net):
    operator = net.r.choice(("add", "add", "mul", "sub"))
    inputs = [net.pick(1, 2, 3, 4)]
    shape = net.shapes[inputs[0]]
    for _ in range(1 if operator == "sub" or net.chance(70) else net.r.randint(1, 4)):
        other = net.r.choice(fitting(net, shape))
        shape = [max(a, b) for a, b in zip(shape, net.shapes[other])]
        inputs.append(other)
    net.r.shuffle(inputs)
    return net.layer(operator, inputs, shape)


def concat(net):
    x = net.pick(1, 2, 3, 4)
    shape, axis = net.shapes[x], net.r.randint(1, len(net.shapes[x]))

    def rest(s):
        return s[:axis - 1] + s[axis:]
    alike = [n for n, s in net.shapes.items() if len(s) == len(shape) and rest(s) == rest(shape)]
    inputs = [x] + [net.r.choice(alike) for _ in range(net.r.randint(0, 3))]
    total = sum(net.shapes[n][axis - 1] for n in inputs)
    written = axis - len(shape) - 1 if net.chance(30) else axis
    return net.layer("concat", inputs, shape[:axis - 1] + [total] + shape[axis:],
                     f"axis: {written}, ")


def pad(net):
    x = net.pick(2, 3)
    channels, *extents = net.shapes[x]
    n = len(extents)
    sides = [net.r.randint(0, 3) for _ in range(2 * n)]
    out = [e + sides[i] + sides[n + i] for i, e in enumerate(extents)]
    value = f"value: {number(net, -2, 2)}, " if net.chance(40) else ""
    return net.layer("pad", [x], [channels, *out], f"pad: {sides}, {value}")


def transpose(net):
    x = net.pick(2, 3, 4)
    shape = net.shapes[x]
    perm = net.r.sample(range(len(shape)), len(shape))
    return net.layer("transpose", [x], [shape[i] for i in perm],
                     f"perm: {[0] + [i + 1 for i in perm]}, ")


def reduce_mean(net):
    x = net.pick(1, 2, 3, 4)
    shape = net.shapes[x]
    axes = sorted(net.r.sample(range(len(shape)), net.r.randint(1, len(shape))))
    keep = net.chance(50) or len(axes) == len(shape)
    out = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
    written = axes[0] + 1 if len(axes) == 1 else [i + 1 for i in axes]
    return net.layer("reduce_mean", [x], out,
                     f"axis: {written}, {'keepdims: true, ' if keep else ''}")


def flatten(net):
    x = net.pick(2, 3, 4)
    return net.layer("flatten", [x], [prod(net.shapes[x])])


def reshape(net):
    """Two neighbouring axes become one, or one becomes two."""
    x = net.pick(1, 2, 3, 4)
    shape = list(net.shapes[x])
    if len(shape) > 1 and net.chance(60):
        i = net.r.randrange(len(shape) - 1)
        shape[i:i + 2] = [shape[i] * shape[i + 1]]
    elif len(shape) < 4:
        i = net.r.randrange(len(shape))
        part = net.r.choice([d for d in range(1, shape[i] + 1) if shape[i] % d == 0])
        shape[i:i + 1] = [part, shape[i] // part]
    written = list(shape)
    if net.chance(30):
        written[net.r.randrange(len(written))] = -1
    return net.layer("reshape", [x], shape, f"shape: [N, {', '.join(map(str, written))}], ")


OPERATORS = ((conv, 30), (linear, 10), (pool, 10), (global_avgpool, 2), (batchnorm, 8), (lrn, 4),
             (activation, 25), (softmax, 4), (constant, 4), (arithmetic, 15), (concat, 7), (pad, 4),
             (transpose, 5), (reduce_mean, 4), (flatten, 4), (reshape, 5))


def network(number):
    """The network as the text of a model."""
    net = Network(number)
    for _ in range(net.r.choice((1, 1, 1, 2, 3))):
        net.add_input()
    makers, weights = zip(*OPERATORS)
    while len(net.layers) < net.wanted or set(net.inputs) & set(net.unread):
        try:
            net.r.choices(makers, weights)[0](net)
        except Refused:
            pass
    layers = [n for n in net.shapes if n not in net.inputs]
    outputs = [n for n in net.unread if n == layers[-1] or net.chance(90)]     # else it is dead
    if net.chance(20):                 # one that others read too
        outputs.append(net.r.choice([n for n in layers if n not in outputs] or [outputs.pop()]))
    net.r.shuffle(outputs)
    inputs = [f"  {n}: {{shape: [{', '.join(map(str, ['N', *s]))}]}}" for n, s in net.inputs.items()]
    return "\n".join([f"net2c: 1\nname: {net.name}\ninputs:", *inputs,
                      f"outputs: [{', '.join(outputs)}]\nnetwork:", *net.layers]) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: random_networks.py NUMBER FILE")
    Path(sys.argv[2]).write_text(network(int(sys.argv[1])), encoding="utf-8")
