"""alexnet_onnx: the two-group AlexNet as an ONNX model, from the same weights file that net2c
compiles. Written with the onnx package alone, so that the peer shares no code with the compiler.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# module path, kernel, stride, pad, groups, what follows
CONVOLUTIONS = [
    ("features.0", 11, 4, 2, 1, ("pool", "lrn")),
    ("features.4", 5, 1, 2, 2, ("pool", "lrn")),
    ("features.8", 3, 1, 1, 1, ()),
    ("features.10", 3, 1, 1, 2, ()),
    ("features.12", 3, 1, 1, 2, ("pool",)),
]
LINEARS = [("classifier.1", True), ("classifier.4", True), ("classifier.6", False)]


class Writer:
    def __init__(self, tensors):
        self.tensors, self.nodes, self.initializers = tensors, [], []
        self.value = "image"

    def add(self, op, parameters=(), **attributes):
        inputs = [self.value]
        for key in parameters:
            self.initializers.append(numpy_helper.from_array(np.array(self.tensors[key]), key))
            inputs.append(key)
        self.value = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.value], **attributes))


def build(tensors, batch, path):
    w = Writer(tensors)
    for module, kernel, stride, pad, groups, after in CONVOLUTIONS:
        w.add("Conv", (f"{module}.weight", f"{module}.bias"), kernel_shape=[kernel] * 2,
              strides=[stride] * 2, pads=[pad] * 4, group=groups)
        w.add("Relu")
        if "pool" in after:
            w.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2])
        if "lrn" in after:
            w.add("LRN", size=5, alpha=1e-4, beta=0.75, bias=2.0)
    w.add("Flatten", axis=1)
    for module, relu in LINEARS:
        w.add("Gemm", (f"{module}.weight", f"{module}.bias"), transB=1)
        if relu:
            w.add("Relu")
    classes = tensors["classifier.6.bias"].shape[0]
    graph = helper.make_graph(
        w.nodes, "alexnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 224, 224])],
        [helper.make_tensor_value_info(w.value, TensorProto.FLOAT, [batch, classes])],
        w.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
