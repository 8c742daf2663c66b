#!/usr/bin/python3
"""NaN, infinities, -0 and denormals through small networks, against PyTorch run here.

Where test_special.py has definitions of its own and ordinary neighbours, this puts NaN and both
infinities alone into every channel and every column (37 and 21 of them: two vectors and a rest)
before convolutions, and every value into every place before the other layers. Numbers, infinities
and NaN must be where PyTorch has them; copies and sums keep the sign of zero. --math=strict:
Winograd may spread what is not finite.
Exit status 77 (skipped) without python3-torch. Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError:
    print("skipped: needs python3-torch and python3-numpy")
    sys.exit(77)

NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "compare_special"))
ROWS = {"avx512": "avx512f", "avx2": "avx2", "sse4": "sse4_2", "portable": "", "scalar": ""}
C, H, W = 37, 5, 21
INF, NAN, TINY = np.inf, np.nan, 2.0**-149
SPECIAL = (NAN, 1.5, -INF, -0.0, 3 * TINY, INF, -2.0, -5 * TINY, 0.0, 1e30, -1e30, 1000.0, 0.25)

# Name: the layers in the model language (the first from s, alone in each item, or from x and z),
# and in PyTorch; then the tolerance, relative to the result: None for equal bits, 0 for equal
# numbers.
NETWORKS = {
    "conv_relu_pool": ("conv: {from: s, out: 20, kernel: 3, pad: 1}; relu: {}; "
                       "maxpool: {kernel: 2, stride: 1}",
                       lambda s, x, z, p: F.max_pool2d(F.relu(F.conv2d(s, *p, padding=1)), 2, 1),
                       1e-6),
    "depthwise_clip": ("conv: {from: s, out: 37, kernel: 3, pad: 1, groups: 37}; "
                       "clip: {min: -1, max: 2}",
                       lambda s, x, z, p: F.conv2d(s, *p, padding=1, groups=C).clamp(-1, 2), 1e-6),
    "pointwise_relu6": ("conv: {from: s, out: 33, kernel: 1}; relu6: {}",
                        lambda s, x, z, p: F.relu6(F.conv2d(s, *p)), 1e-6),
    "strided_leaky": ("conv: {from: s, out: 18, kernel: 3, stride: 2}; "
                      "leaky_relu: {negative_slope: 0.5}",
                      lambda s, x, z, p: F.leaky_relu(F.conv2d(s, *p, stride=2), 0.5), 1e-6),
    "residual": ("conv: {from: s, out: 37, kernel: 1}; add: {from: [$last, s]}; relu: {}",
                 lambda s, x, z, p: F.relu(F.conv2d(s, *p) + s), 1e-6),
    "flat_linear": ("flatten: {from: s}; linear: {out: 17}",
                    lambda s, x, z, p: F.linear(s.flatten(1), *p), 1e-6),
    "relu": ("relu: {from: x}", lambda s, x, z, p: F.relu(x), 0),
    "relu6": ("relu6: {from: x}", lambda s, x, z, p: F.relu6(x), 0),
    "leaky": ("leaky_relu: {from: x, negative_slope: 0.5}",
              lambda s, x, z, p: F.leaky_relu(x, 0.5), 0),
    "clip": ("clip: {from: x, min: -1, max: 2}", lambda s, x, z, p: x.clamp(-1, 2), 0),
    "maxpool": ("maxpool: {from: x, kernel: 3, stride: 1, pad: 1}",
                lambda s, x, z, p: F.max_pool2d(x, 3, 1, 1), 0),
    "maxpool_alone": ("maxpool: {from: s, kernel: 2, ceil_mode: true}",
                      lambda s, x, z, p: F.max_pool2d(s, 2, ceil_mode=True), 0),
    "avgpool": ("avgpool: {from: s, kernel: 3, stride: 1, pad: 1}",
                lambda s, x, z, p: F.avg_pool2d(s, 3, 1, 1), 1e-6),
    "avgpool_inside": ("avgpool: {from: s, kernel: 2, pad: 1, count_include_pad: false}",
                       lambda s, x, z, p: F.avg_pool2d(s, 2, padding=1, count_include_pad=False),
                       1e-6),
    "global": ("global_avgpool: {from: s}", lambda s, x, z, p: s.mean((2, 3), keepdim=True), 1e-6),
    "add": ("add: {from: [x, z]}", lambda s, x, z, p: x + z, None),
    "sub": ("sub: {from: [x, z]}", lambda s, x, z, p: x - z, None),
    "mul": ("mul: {from: [x, z]}", lambda s, x, z, p: x * z, None),
    "concat": ("concat: {from: [z, x], axis: 1}", lambda s, x, z, p: torch.cat([z, x], 1), None),
    "concat_relu_pool": ("concat: {from: [x, s], axis: 1}; relu: {}; "
                         "maxpool: {kernel: 3, stride: 2}",
                         lambda s, x, z, p: F.max_pool2d(F.relu(torch.cat([x, s], 1)), 3, 2), 0),
    "pad": ("pad: {from: x, pad: [1, 2, 0, 3], value: -1}",
            lambda s, x, z, p: F.pad(x, (2, 3, 1, 0), value=-1), None),
    "lrn": ("lrn: {from: x, size: 5}", lambda s, x, z, p: F.local_response_norm(x, 5), 1e-6),
    "lrn_alone": ("lrn: {from: s, size: 3}", lambda s, x, z, p: F.local_response_norm(s, 3), 1e-6),
    "softmax": ("softmax: {from: s, axis: 1}", lambda s, x, z, p: F.softmax(s, 1), 2e-6),
    "softmax_row": ("softmax: {from: x, axis: 3}", lambda s, x, z, p: F.softmax(x, 3), 2e-6),
}


def inputs():
    """s: NaN or an infinity alone at each channel and column, then each other value; x: every value
    in every place; z: ordinary."""
    alone = [v for v in (NAN, INF, -INF) for _ in range(C)] + list(SPECIAL)
    n = len(alone) + 1
    places = np.arange(C * H * W)
    s = np.zeros((n, C, H, W), dtype=np.float32)
    s[::2] = (places % 7 - 3).reshape(C, H, W)
    for i, value in enumerate(alone):
        s[i, i % C, i % H, i * 4 % W] = value
    s[n - 1] = -INF
    which = (places * 7 + places // 13 + np.arange(n)[:, None]) % len(SPECIAL)
    x = np.array(SPECIAL, dtype=np.float32)[which].reshape(n, C, H, W)
    z = np.broadcast_to(((places % 5 - 2) * 0.5).reshape(C, H, W), s.shape).astype(np.float32)
    return {"s": s, "x": x, "z": np.ascontiguousarray(z)}


def make_model():
    """The model, all networks in one, and which layer of each has weights."""
    lines, last, weighted = [], None, {}
    for name, (layers, _, _) in NETWORKS.items():
        parts = layers.split("; ")
        for i, part in enumerate(parts):
            op, attributes = part.split(": ", 1)
            here = name if i == len(parts) - 1 else f"{name}_{i}"
            body = attributes.strip("{}").replace("$last", str(last))
            lines.append(f"  - {op}: {{name: {here}, path: {here}{', ' if body else ''}{body}}}"
                         if op in ("conv", "linear") else
                         f"  - {op}: {{name: {here}{', ' if body else ''}{body}}}")
            if op in ("conv", "linear"):
                weighted[name] = here
            last = here
    shape = f"{{shape: [N, {C}, {H}, {W}]}}"
    return ("net2c: 1\nname: special\n"
            f"inputs: {{s: {shape}, x: {shape}, z: {shape}}}\noutputs: [{', '.join(NETWORKS)}]\n"
            "weights: {bind: \"$path.$param\"}\nnetwork:\n" + "\n".join(lines) + "\n"), weighted


def make_weights(weighted):
    """Small whole numbers other than 0."""
    shapes = {"conv_relu_pool": (20, C, 3, 3), "depthwise_clip": (C, 1, 3, 3),
              "pointwise_relu6": (33, C, 1, 1), "strided_leaky": (18, C, 3, 3),
              "residual": (C, C, 1, 1), "flat_linear": (17, C * H * W)}
    random = np.random.default_rng(1)
    return {name: (random.choice([-2, -1, 1, 2], shapes[name]).astype(np.float32),
                   np.zeros(shapes[name][0], dtype=np.float32)) for name in weighted}


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": values.shape,
                        "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text +
                     b"".join(values.tobytes() for values in tensors.values()))


def wrong(got, want, tolerance):
    """Indices of the elements that are not as they should be."""
    if tolerance is None:
        same = got.view(np.uint32) == want.view(np.uint32)
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            same = (got == want) | (np.abs(got.astype(np.float64) - want) <=
                                    tolerance * np.abs(want.astype(np.float64)) +
                                    (4 * TINY if tolerance else 0))
        same &= np.isfinite(got) == np.isfinite(want)
    return np.argwhere(~(same | (np.isnan(got) & np.isnan(want))))


def compare(row, compiler, data, want):
    files = [w for name in data for w in ("-i", f"{name}={FOLDER / name}.npy")]
    files += [w for name in want for w in ("-o", f"{name}={FOLDER / name}_got.npy")]
    subprocess.run([NET2C, "run", "-q", FOLDER / "special.yaml", "-w", FOLDER / "w.safetensors",
                    f"--isa={row}", f"--cc={compiler}", "--math=strict", *files], check=True)
    bad = 0
    for name, expected in want.items():
        got = np.load(FOLDER / f"{name}_got.npy")
        at = wrong(got, expected, NETWORKS[name][2]) if got.shape == expected.shape else [()]
        if len(at):
            i = tuple(at[0])
            print(f"{row} {compiler}: {name}: {len(at)} wrong elements, the first at {i}: "
                  f"{got[i]} instead of {expected[i]}")
            bad += 1
    return bad


def main():
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False       # its convolutions may be Winograd's
    FOLDER.mkdir(parents=True, exist_ok=True)
    text, weighted = make_model()
    data, weights = inputs(), make_weights(weighted)
    (FOLDER / "special.yaml").write_text(text)
    write_safetensors(FOLDER / "w.safetensors", {
        f"{weighted[name]}.{part}": values for name, pair in weights.items()
        for part, values in zip(("weight", "bias"), pair)})
    for name, values in data.items():
        np.save(FOLDER / f"{name}.npy", values)
    tensors = [torch.from_numpy(data[name]) for name in ("s", "x", "z")]
    with torch.no_grad():
        parameters = {name: [torch.from_numpy(w) for w in pair] for name, pair in weights.items()}
        want = {name: function(*tensors, parameters.get(name, [])).numpy()
                for name, (_, function, _) in NETWORKS.items()}
    flags, runs, bad = Path("/proc/cpuinfo").read_text().split(), 0, 0
    for row, flag in ROWS.items():
        if flag and flag not in flags:
            print(f"{row}: skipped, this CPU lacks it")
            continue
        for compiler in ("gcc", "clang") if row in ("avx512", "portable") else ("gcc",):
            bad += compare(row, compiler, data, want)
            runs += 1
    elements = sum(values.size for values in want.values())
    print(f"special values: {runs} runs of {len(want)} networks, {elements} elements each, "
          f"{bad} networks wrong")
    return 1 if bad or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
