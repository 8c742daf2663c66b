"""safetensors_numpy: the float32 tensors of a .safetensors file as numpy arrays."""
import json

import numpy as np


def load(path):
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(raw[:8].tobytes(), "little")
    header = json.loads(raw[8:8 + length].tobytes())
    tensors = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {key} is {entry['dtype']}, not F32")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[key] = raw[begin:end].view("<f4").reshape(entry["shape"])
    return tensors
