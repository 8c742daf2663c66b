"""export_onnx: a network (network.py) as an ONNX model, layer by layer, nothing folded: what an
engine makes of it is the engine's business. An operator that is not in the table is refused.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def window(layer):
    return {"kernel_shape": layer.pair("kernel"), "strides": layer.pair("stride"),
            "pads": layer.pair("pad")}


def conv(layer):
    return "Conv", {**window(layer), "dilations": layer.pair("dilation"),
                    "group": layer.attr["groups"]}


def linear(_):
    return "Gemm", {"transB": 1}


def maxpool(layer):
    return "MaxPool", {**window(layer), "dilations": layer.pair("dilation"),
                       "ceil_mode": int(layer.attr["ceil_mode"])}


def lrn(layer):
    a = layer.attr
    return "LRN", {"size": a["size"], "alpha": float(a["alpha"]), "beta": float(a["beta"]),
                   "bias": float(a["k"])}


def batchnorm(layer):
    return "BatchNormalization", {"epsilon": float(layer.attr["eps"])}


OPERATORS = {
    "conv": conv, "linear": linear, "maxpool": maxpool, "lrn": lrn, "batchnorm": batchnorm,
    "relu": lambda _: ("Relu", {}),
    "relu6": lambda _: ("Clip", {}),
    "add": lambda _: ("Add", {}),
    "concat": lambda layer: ("Concat", {"axis": layer.attr["axis"]}),
    "global_avgpool": lambda _: ("GlobalAveragePool", {}),
    "flatten": lambda _: ("Flatten", {"axis": 1}),
    "softmax": lambda layer: ("Softmax", {"axis": layer.attr["axis"]}),
}


def parameters(layer):
    """In the order of ONNX."""
    t, channels = layer.tensor, layer.shape[0]
    if layer.op == "batchnorm":
        return [("weight", t.get("weight", np.ones(channels, np.float32))),
                ("bias", t.get("bias", np.zeros(channels, np.float32))),
                ("running_mean", t["running_mean"]), ("running_var", t["running_var"])]
    if layer.op == "relu6":
        return [("min", np.float32(0)), ("max", np.float32(6))]
    return [(role, t[role]) for role in ("weight", "bias") if role in t]


def build(net, batch, path):
    nodes, initializers = [], []
    shape = {**net.inputs, **{layer.name: layer.shape for layer in net.layers}}
    for layer in net.layers:
        if layer.op not in OPERATORS:
            raise SystemExit(f"export_onnx.py: {layer.name}: no ONNX operator for '{layer.op}'")
        op, attributes = OPERATORS[layer.op](layer)
        names = list(layer.inputs)
        for role, value in parameters(layer):
            names.append(f"{layer.name}:{role}")
            initializers.append(numpy_helper.from_array(np.array(value), names[-1]))
        nodes.append(helper.make_node(op, names, [layer.name], name=layer.name, **attributes))

    def info(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape[name]])

    graph = helper.make_graph(nodes, net.name, [info(name) for name in net.inputs],
                              [info(name) for name in net.outputs], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)
