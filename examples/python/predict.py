#!/usr/bin/env python3
"""predict: a network from Python, through ctypes. Standard library only.

    predict.py ./tiny_gen.so tiny_gen

The class Network knows no network: what it needs stands in NAME.json, which net2c writes beside the
C. Arrays are array.array('f'), or anything with writable memory of the right size, such as numpy's.
"""
import array
import ctypes
import json
import mmap
import sys

N2C_OK = 0


class Model(ctypes.Structure):
    _fields_ = [("weights", ctypes.c_void_p), ("isa", ctypes.c_uint32)]


class Network:
    def __init__(self, library, base):
        with open(base + ".json", encoding="utf-8") as file:
            self.about = json.load(file)
        with open(base + ".n2w", "rb") as file:     # a copy on write, since ctypes asks for it
            self.weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self.arena = mmap.mmap(-1, max(self.about["arena_bytes"], 1))   # aligned to a page
        self.code = ctypes.CDLL(library)
        self.model = Model()
        self.tensors = self.about["inputs"] + self.about["outputs"]
        self.call("bind", ctypes.byref(self.model), address(self.weights),
                  ctypes.c_size_t(len(self.weights)))

    def call(self, function, *arguments):
        status = getattr(self.code, f"{self.about['network']}_{function}")(*arguments)
        if status != N2C_OK:
            raise RuntimeError(f"{function}: n2c_status {status}")

    def run(self, *inputs):
        """One array an input, in the manifest's order; a list of arrays, one an output. The number
        of items follows from the first input."""
        items = memoryview(inputs[0]).nbytes // (4 * self.about["inputs"][0]["elements"])
        outputs = [array.array("f", bytes(4 * items * t["elements"]))
                   for t in self.about["outputs"]]
        arrays = [*inputs, *outputs]
        for tensor, data in zip(self.tensors, arrays, strict=True):
            if memoryview(data).nbytes != 4 * items * tensor["elements"]:
                raise ValueError(f"{tensor['name']}: {items} x {tensor['elements']} floats expected")
        io = (ctypes.c_void_p * len(arrays))(*(address(data) for data in arrays))
        self.call("run", ctypes.byref(self.model), io, ctypes.c_size_t(items),
                  address(self.arena), None)
        return outputs


def address(data):
    """Where the bytes of a writable object are."""
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(data)))


def main():
    network = Network(sys.argv[1], sys.argv[2])
    image = array.array("f", ((x + 2 * y) % 16 / 16 for y in range(12) for x in range(12)))
    prob, = network.run(image)
    for p in prob:
        print(f"{p:.9g}")


if __name__ == "__main__":
    main()
