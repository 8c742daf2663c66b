#!/usr/bin/env python3
"""test_special: NaN, infinities, zeros and denormals through the layers of every instruction set that
this CPU has, in every lane, against what PyTorch gives.

Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import math
import os
import struct
import subprocess
import sys
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_special"))
ROWS = {"avx512": "avx512f", "avx2": "avx2", "sse4": "sse4_2", "portable": "", "scalar": ""}

INF, NAN, TINY = math.inf, math.nan, 2.0**-149
SPECIAL = (NAN, 1.5, -INF, -0.0, 3 * TINY, INF, -2.0, -5 * TINY, 0.0, 1e30, -1e30, 1000.0, 0.25)
C, H, W = 37, 4, 21                  # two blocks of channels and five lanes, no whole vector a row

MODEL = """net2c: 1
name: special
inputs: {x: {shape: [N, 37, 4, 21]}, v: {shape: [N, 3]}}
network:
  - conv: {name: conv, from: x, out: 37, kernel: 1, groups: 37, bias: false}
  - relu: {name: relu, from: x}
  - maxpool: {name: maxpool, from: x, kernel: 3, stride: 1, pad: 1}
  - lrn: {name: lrn, from: x, size: 5}
  - clip: {name: clip, from: x, min: -1, max: 2}
  - leaky_relu: {name: leaky_relu, from: x, negative_slope: 0.5}
  - tanh: {name: tanh, from: x}
  - sigmoid: {name: sigmoid, from: x}
  - log_softmax: {name: log_softmax, from: x, axis: 1}
  - softmax: {name: softmax, from: v, axis: 1}
  - conv: {name: chain, from: x, out: 37, kernel: 1, groups: 37, bias: false, path: conv}
  - relu: {name: chain_relu}
  - maxpool: {name: chain_pool, kernel: 2, stride: 1}
  - softmax: {name: chain_softmax, axis: 1}
outputs: [conv, relu, maxpool, lrn, clip, leaky_relu, tanh, sigmoid, log_softmax, softmax, chain_relu,
  chain_pool, chain_softmax]
"""

ROUNDED = ("lrn", "tanh", "sigmoid", "softmax", "log_softmax", "chain_softmax")


def single(x):
    """Rounded to float."""
    return array("f", [x])[0] if abs(x) < 3.5e38 or x != x or abs(x) == INF else math.copysign(INF, x)


def write_npy(path, shape, values):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header +
                     array("f", values).tobytes())


def read_npy(path):
    data = path.read_bytes()
    values = array("f")
    values.frombytes(data[10 + struct.unpack_from("<H", data, 8)[0]:])
    return values


def write_weights(path):
    """Ones: a depthwise convolution that changes nothing."""
    header = f'{{"conv.weight":{{"dtype":"F32","shape":[{C},1,1,1],"data_offsets":[0,{4 * C}]}}}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() +
                     array("f", [1.0] * C).tobytes())


def largest(values):
    return NAN if any(v != v for v in values) else max(values)


def relu(v):
    return v if v != v else max(v, 0.0)


def softmax(values):
    top = largest(values)
    if top != top or top == INF or top == -INF:
        return [NAN] * len(values)
    powers = [math.exp(v - top) for v in values]
    return [p / sum(powers) for p in powers]


def log_softmax(values):
    top = largest(values)
    if top != top or top == INF or top == -INF:
        return [NAN] * len(values)
    return [v - top - math.log(sum(math.exp(w - top) for w in values)) for v in values]


def sigmoid(v):
    return 1 / (1 + math.exp(-v)) if v > -700 else math.exp(max(v, -1000.0)) if v == v else v


def lrn(values, c):
    """PyTorch's defaults: size 5, alpha 1e-4, beta 0.75, k 1; sums in double."""
    window = values[max(0, c - 2):c + 3]
    scale = 1 + 1e-4 / 5 * sum(single(v * v) for v in window)
    return values[c] / scale ** 0.75 if scale != INF else values[c] * 0.0


def windows(values, size, pad):
    """Maxima of a plane."""
    h, w = H + 2 * pad - size + 1, W + 2 * pad - size + 1
    return [largest([values[y * W + x] for y in range(oy - pad, oy - pad + size) if 0 <= y < H
                     for x in range(ox - pad, ox - pad + size) if 0 <= x < W])
            for oy in range(h) for ox in range(w)]


def along_channels(planes, function):
    columns = [function(list(column)) for column in zip(*planes)]
    return [v for plane in zip(*columns) for v in plane]


def expected(x, v):
    planes = [x[c * H * W:(c + 1) * H * W] for c in range(C)]
    rectified = [[relu(v) for v in plane] for plane in planes]
    pooled = [windows(plane, 2, 0) for plane in rectified]
    return {
        "conv": x,
        "relu": [relu(v) for v in x],
        "maxpool": [v for plane in planes for v in windows(plane, 3, 1)],
        "lrn": along_channels(planes, lambda column: [lrn(column, c) for c in range(C)]),
        "clip": [v if v != v else min(max(v, -1.0), 2.0) for v in x],
        "leaky_relu": [v if v >= 0 else v * 0.5 for v in x],
        "tanh": [math.tanh(v) for v in x],
        "sigmoid": [sigmoid(v) for v in x],
        "log_softmax": along_channels(planes, log_softmax),
        "softmax": [p for i in range(0, len(v), 3) for p in softmax(v[i:i + 3])],
        "chain_relu": [v for plane in rectified for v in plane],
        "chain_pool": [v for plane in pooled for v in plane],
        "chain_softmax": along_channels(pooled, softmax),
    }


def same(got, want, tolerance, least):
    """Within the tolerance, relative to what is expected or to `least` if that is larger."""
    if want != want or got != got:
        return want != want and got != got
    return got == single(want) or abs(got - want) <= tolerance * max(abs(want), least) + 2 * TINY * tolerance


def cpu_has(flag):
    return not flag or flag in Path("/proc/cpuinfo").read_text(errors="replace").split()


def check(row, item, x, v):
    want = expected(x, v)
    outputs = [word for name in want for word in ("-o", f"{name}={FOLDER / name}.npy")]
    write_npy(FOLDER / "x.npy", (1, C, H, W), x)
    write_npy(FOLDER / "v.npy", (1, 3), v)
    subprocess.run([NET2C, "run", "-q", FOLDER / "special.yaml", "-w", FOLDER / "w.safetensors",
                    f"--isa={row}", "-i", f"x={FOLDER / 'x.npy'}", "-i", f"v={FOLDER / 'v.npy'}",
                    *outputs], check=True)
    bad = 0
    for name, values in want.items():
        got = read_npy(FOLDER / f"{name}.npy")
        tolerance = 1e-6 if name in ROUNDED else 0
        least = 1 if name == "log_softmax" else 0
        wrong = [i for i, (a, b) in enumerate(zip(got, values))
                 if not same(a, b, tolerance, least)]
        if len(got) != len(values) or wrong:
            i = wrong[0] if wrong else 0
            print(f"{row}, item {item}: {name} has {len(wrong)} wrong values, "
                  f"the first at {i}: {got[i]} instead of {values[i]}")
            bad += 1
    return bad


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "special.yaml").write_text(MODEL)
    write_weights(FOLDER / "w.safetensors")
    n, checks, bad = C * H * W, 0, 0
    items = [
        # every value in every lane, alone among ordinary ones
        ([SPECIAL[i // 29 % len(SPECIAL)] if i % 29 == 0 else (i % 17 - 8) / 4 for i in range(n)],
         [1e30, -1e30, 1000.0]),
        # side by side
        ([SPECIAL[(i * 7 + i // 13) % len(SPECIAL)] for i in range(n)], [-INF, 0.0, -INF]),
        # windows of nothing but -inf, and denormals
        ([-INF if i % (H * W) % W < 12 else TINY * (i % 9 - 4) for i in range(n)],
         [NAN, 1.0, 2.0]),
    ]
    for row, flag in ROWS.items():
        if not cpu_has(flag):
            print(f"{row}: skipped, this CPU lacks it")
            continue
        for item, (x, v) in enumerate(items):
            bad += check(row, item, [single(a) for a in x], [single(a) for a in v])
            checks += 1
    print(f"special values: {checks} runs, {bad} layers with wrong values")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
