#!/usr/bin/env python3
"""test_winograd: generated code of Winograd's convolutions on every instruction set that this CPU has.

1. Sixty shapes, tiles, bands and groups, alone and in front of other layers, with weights that are
   multiples of what the transform divides by and sparse whole numbers: 0 different bits against
   the direct sum.
2. Real data: the difference to the sum in double, over the sum of magnitudes. Near padding that
   sum has few terms, yet the element shares the rounding errors of its tile. `verify` allows what
   follows from the size of the transform, worked out here once more in fractions.
3. NaN and infinity change nothing outside of their tile.

Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
from array import array
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_winograd"))
BUILDS = (      # what runs, options, the CPU's flag
    ("avx512 gcc", "--isa=avx512 --cc=gcc", "avx512f"),
    ("avx2 clang", "--isa=avx2 --cc=clang", "avx2"),
    ("sse4 gcc", "--isa=sse4 --cc=gcc", "sse4_2"),
    ("portable clang", "--isa=portable --cc=clang", ""),
    ("scalar gcc", "--isa=scalar --cc=gcc", ""),
    ("scalar after avx512", "--isa=avx512,scalar --use-isa=scalar --cc=clang", "avx512f"),
    ("avx512 after scalar", "--isa=scalar,avx512 --use-isa=avx512 --cc=gcc", "avx512f"),
)
POINTS = (0, 1, -1, Fraction(1, 2), -2, Fraction(-1, 2), 2)
BATCH = 2


class Case:
    """One convolution and what follows it: "", "relu", "add" (of its input), "norm" or "conv"."""

    def __init__(self, c, h, w, out, kernel, algo, stride=1, pad=(0, 0, 0, 0), groups=1, bias=True,
                 then=""):
        self.c, self.h, self.w, self.out, self.kernel, self.stride = c, h, w, out, kernel, stride
        self.pad, self.groups, self.bias, self.then, self.algo = pad, groups, bias, then, algo
        self.m, self.r = int(algo.split()[1]), -(-kernel // stride)
        self.oh = (h + pad[0] + pad[2] - kernel) // stride + 1
        self.ow = (w + pad[1] + pad[3] - kernel) // stride + 1

    def divisor(self):
        """The odd part of the rows' common denominator, squared: of rows and of columns."""
        points, common = POINTS[:self.m + self.r - 2], 1
        for p in points:
            n = math.prod(p - q for q in points if q != p).numerator
            while n % 2 == 0:
                n //= 2
            common = common * abs(n) // math.gcd(common, abs(n))
        return common * common


def cases():
    every = []
    for r in (2, 3, 4, 5, 6):
        for m in range(2, 10 - r):
            p = r // 2
            every.append(Case(16, 9, 7 + m, 16, r, f"winograd {m}", pad=(p, p, p, p)))
    for i, (kernel, stride) in enumerate(((3, 2), (4, 2), (5, 2), (4, 3), (5, 3), (7, 3), (5, 4), (11, 4))):
        c = {2: 4, 3: 16, 4: 1}[stride]
        every.append(Case(c, 17 + i, 21 - i, 16 * (1 + i % 3), kernel, f"winograd {2 + i % 3}", stride,
                          (i % 3, 1, 2, i % 2), then=("relu", "", "conv")[i % 3]))
    for groups in (1, 2, 3):
        for m in (2, 3, 4):
            every.append(Case(16 * groups, 6, 5 + m, 32 * groups, 3, f"winograd {m}", groups=groups,
                              pad=(1, 1, 1, 1), bias=m != 3, then=("", "relu", "norm")[m - 2]))
    for rows in (1, 2, 3, 4, 6, 12):
        every.append(Case(16, 23, 6, 48, 3, f"winograd 2 rows {rows}", pad=(1, 0, 1, 2), then="conv"))
    for i, pad in enumerate(((0, 0, 0, 1), (2, 0, 1, 3), (0, 3, 2, 0), (4, 4, 4, 4), (5, 0, 0, 5))):
        every.append(Case(32, 5, 6, 16, 3, f"winograd {2 + i % 3}", pad=pad, then=("relu", "norm")[i % 2]))
    for i in range(13):
        every.append(Case(16, 1 + i, 13 - i, 16, 3, f"winograd {2 + i % 3}", pad=(1, 1, 1, 1),
                          then=("add", "relu", "conv", "norm")[i % 4]))
    return every


def product_of_roots(roots):
    """Coefficients of (x - root)(x - root)..., the constant first."""
    poly = [Fraction(1)]
    for root in roots:
        poly = [a - root * b for a, b in zip([Fraction(0)] + poly, poly + [Fraction(0)])]
    return poly


def growth(m, r):
    """What an element of F(m, r) sums up, all signs positive, over what the definition does."""
    points, worst = POINTS[:m + r - 2], 0
    rows = []                                 # of A, largest first power; product of those of B and G
    for p in points:
        b = product_of_roots([q for q in points if q != p])
        divisor = math.prod(p - q for q in points if q != p)
        rows.append((p, sum(map(abs, b)) * sum(abs(p)**k for k in range(r)) / abs(divisor)))
    last = sum(map(abs, product_of_roots(points)))        # of the point at infinity
    for i in range(m):
        each = [abs(p)**i * size for p, size in rows] + [last if i == m - 1 else 0]
        worst = max(worst, sum(each) / r)
    return float(worst) ** 2


def real_cases():
    every = [Case(32, 9, 10, 16, r, f"winograd {m}") for r in (2, 3, 4, 5) for m in (2, 3, 4)]
    every += [Case(16, 9, 10, 16, r, "winograd 4", pad=(r // 2,) * 4) for r in (2, 3, 5)]
    for m, r in ((5, 2), (6, 2), (7, 2), (5, 3), (6, 3), (5, 4)):
        every += [Case(32, 9, 10, 16, r, f"winograd {m}"),
                  Case(16, 9, 10, 16, r, f"winograd {m}", pad=(r // 2,) * 4)]
    return every + [Case(4, 25, 27, 16, 11, "winograd 4", stride=4)]


def model(every):
    lines, shapes = [], []
    for i, k in enumerate(every):
        shapes.append(f"x{i}: {{shape: [N, {k.c}, {k.h}, {k.w}]}}")
        lines.append(f"  - conv: {{name: c{i}, from: x{i}, out: {k.out}, kernel: {k.kernel}, "
                     f"stride: {k.stride}, pad: {list(k.pad)}, groups: {k.groups}, "
                     f"bias: {str(k.bias).lower()}, algo: {k.algo}}}\n")
        follow = {"": "", "relu": f"  - relu: {{name: y{i}}}\n",
                  "add": f"  - add: {{name: a{i}, from: [c{i}, x{i}]}}\n  - relu: {{name: y{i}}}\n",
                  "norm": f"  - batchnorm: {{name: y{i}, eps: 1}}\n",
                  "conv": f"  - conv: {{name: y{i}, out: 5, kernel: 3, pad: 1, bias: false}}\n"}
        lines.append(follow[k.then])
    outputs = ", ".join(f"y{i}" if k.then else f"c{i}" for i, k in enumerate(every))
    return ("net2c: 1\nname: winograd\ninputs:\n  " + "\n  ".join(shapes) + "\nweights: {bind: \"$path.$param\"}\n"
            f"outputs: [{outputs}]\nnetwork:\n" + "".join(lines))


def convolve(x, w, bias, k, batch, out, kernel, stride, pad, groups, c, h, width):
    """The sum as defined, in double, of the elements that are not 0; and of their magnitudes."""
    oh = (h + pad[0] + pad[2] - kernel) // stride + 1
    ow = (width + pad[1] + pad[3] - kernel) // stride + 1
    y = [bias[o] for _ in range(batch) for o in range(out) for _ in range(oh * ow)]
    size = [abs(v) for v in y]
    taps = {}                                 # by input channel: output channel, ky, kx, weight
    each, out_each = c // groups, out // groups
    for at, value in enumerate(w):
        if value:
            rest, kx = divmod(at, kernel)
            rest, ky = divmod(rest, kernel)
            o, i = divmod(rest, each)
            taps.setdefault(o // out_each * each + i, []).append((o, ky, kx, value))
    for at, value in enumerate(x):
        if not value:
            continue
        rest, ix = divmod(at, width)
        rest, iy = divmod(rest, h)
        n, i = divmod(rest, c)
        for o, ky, kx, weight in taps.get(i, ()):
            oy, below = divmod(iy + pad[0] - ky, stride)
            ox, right = divmod(ix + pad[1] - kx, stride)
            if below or right or not 0 <= oy < oh or not 0 <= ox < ow:
                continue
            place = ((n * out + o) * oh + oy) * ow + ox
            y[place] += value * weight
            size[place] += abs(value * weight)
    return y, size


def expected(k, i, x, weights):
    y, size = convolve(x, weights[f"c{i}.weight"], weights.get(f"c{i}.bias", [0.0] * k.out), k, BATCH,
                       k.out, k.kernel, k.stride, k.pad, k.groups, k.c, k.h, k.w)
    if k.then == "add":
        y = [a + b for a, b in zip(y, x)]
    if k.then in ("relu", "add"):
        y = [max(v, 0.0) for v in y]
    if k.then == "norm":                      # (y - mean) * 4 / sqrt(3 + 1) + bias
        y = [(v - 1) * 2 + 3 for v in y]
    if k.then == "conv":
        y, _ = convolve(y, weights[f"y{i}.weight"], [0.0] * 5, k, BATCH, 5, 3, 1, (1, 1, 1, 1), 1, k.out,
                        k.oh, k.ow)
    return y, size


def write_npy(path, shape, values):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header +
                     array("f", values).tobytes())


def read_npy(path):
    data = path.read_bytes()
    return array("f", data[10 + struct.unpack("<H", data[8:10])[0]:])


def write_weights(path, weights, shapes):
    header, at = {}, 0
    for key, values in weights.items():
        header[key] = {"dtype": "F32", "shape": shapes[key], "data_offsets": [at, at + 4 * len(values)]}
        at += 4 * len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text +
                     b"".join(array("f", v).tobytes() for v in weights.values()))


def make_data(every, exact):
    """Inputs, weights, shapes of weights; whole numbers and mostly 0, or real and dense."""
    rng = random.Random(7)

    def draw(n, one_of, scale):
        if not exact:
            return array("f", (rng.uniform(-1, 1) for _ in range(n)))
        return array("f", (rng.choice((-scale, scale)) if rng.randrange(one_of) == 0 else 0 for _ in range(n)))

    inputs, weights, shapes = [], {}, {}
    for i, k in enumerate(every):
        inputs.append(draw(BATCH * k.c * k.h * k.w, 5, 1))
        shapes[f"c{i}.weight"] = [k.out, k.c // k.groups, k.kernel, k.kernel]
        weights[f"c{i}.weight"] = draw(math.prod(shapes[f"c{i}.weight"]), 9, k.divisor())
        if k.bias:
            shapes[f"c{i}.bias"], weights[f"c{i}.bias"] = [k.out], draw(k.out, 2, 3)
        if k.then == "conv":
            shapes[f"y{i}.weight"] = [5, k.out, 3, 3]
            weights[f"y{i}.weight"] = draw(5 * k.out * 9, 9, 1)
        if k.then == "norm":
            for name, value in (("running_mean", 1), ("running_var", 3), ("weight", 4), ("bias", 3)):
                shapes[f"y{i}.{name}"], weights[f"y{i}.{name}"] = [k.out], array("f", [value] * k.out)
    return inputs, weights, shapes


def run(every, inputs, options, name):
    command = [NET2C, "run", "-q", FOLDER / f"{name}.yaml", "-w", FOLDER / f"{name}.safetensors",
               "--cflags=-O1", *options.split()]
    results = []
    for i, k in enumerate(every):
        write_npy(FOLDER / f"x{i}.npy", (BATCH, k.c, k.h, k.w), inputs[i])
        results.append(FOLDER / f"y{i}.npy")
        command += ["-i", f"x{i}={FOLDER / f'x{i}.npy'}", "-o", f"{'y' if k.then else 'c'}{i}={results[-1]}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} {options}: status {done.returncode}\n{done.stderr}")
    return [read_npy(path) for path in results]


def prepare(every, exact, name):
    inputs, weights, shapes = make_data(every, exact)
    (FOLDER / f"{name}.yaml").write_text(model(every))
    write_weights(FOLDER / f"{name}.safetensors", weights, shapes)
    return inputs, [expected(k, i, inputs[i], weights) for i, k in enumerate(every)]


def check_exact(every, want, results, title):
    wrong = 0
    for k, (y, _), got in zip(every, want, results):
        assert len(y) == len(got) and any(y)
        bad = [i for i, v in enumerate(y) if got[i] != v]
        if bad:
            wrong += 1
            print(f"{title}: {vars(k)}: {len(bad)} of {len(y)}, the first {got[bad[0]]!r}, not {y[bad[0]]!r}")
    return wrong


def check_real(every, want, results, title):
    worst, wrong = {}, 0
    for k, (y, size), got in zip(every, want, results):
        error = max(abs(g - v) / s for g, v, s in zip(got, y, size))
        worst[f"F({k.m},{k.r})" + (" padded" if any(k.pad) else "")] = error
        wrong += not error <= (growth(k.m, k.r) * 2**-24 if k.m > 4 else 5e-6 if any(k.pad)
                               else 2.5e-6 if k.r >= 5 else 1.5e-6)
    print(f"{title}: backward error " + ", ".join(f"{f} {e:.1e}" for f, e in worst.items()))
    return wrong


def check_verify(every):
    """It accepts them all, by the bound that follows from each one's transform."""
    done = subprocess.run([NET2C, "verify", "-q", "--json", "--cflags=-O1", FOLDER / "real.yaml", "-w",
                           FOLDER / "real.safetensors"], capture_output=True, text=True)
    layers = {layer["name"]: layer for layer in json.loads(done.stdout or '{"layers": []}')["layers"]
              if layer["kernel"] != "(output)"}
    wrong = int(done.returncode != 0 or len(layers) < len(every))
    for i, k in enumerate(every) if layers else []:
        due = max(5e-6, growth(k.m, k.r) * 2**-24)
        layer = layers.get(f"c{i}.blocked") or layers[f"c{i}"]
        allowed = layer["allowed"]
        if abs(allowed / due - 1) > 0.01:
            print(f"verify: F({k.m},{k.r}): {allowed} is allowed, not {due:.2e}")
            wrong += 1
    if wrong:
        print(f"verify: status {done.returncode} {done.stderr}")
    return wrong


def check_special(every, inputs, plain, options, name):
    """Outputs that share no tile with the element keep their bits."""
    wrong = 0
    for special in (math.nan, math.inf):
        poisoned = [array("f", x) for x in inputs]
        for k, x in zip(every, poisoned):
            x[((k.c - 1) * k.h + k.h // 2) * k.w + k.w // 2] = special     # of item 0
        for k, before, after in zip(every, plain, run(every, poisoned, options, name)):
            rows = [y for y in range(k.oh) if y // k.m * k.m * k.stride - k.pad[0] <= k.h // 2
                    < (y // k.m * k.m + k.m + k.r - 1) * k.stride - k.pad[0]]
            columns = [x for x in range(k.ow) if x // k.m * k.m * k.stride - k.pad[1] <= k.w // 2
                       < (x // k.m * k.m + k.m + k.r - 1) * k.stride - k.pad[1]]
            touched = 0
            for at, value in enumerate(after):
                rest, x = divmod(at, k.ow)
                n, y = divmod(rest, k.oh)
                near = n < k.out and y in rows and x in columns
                touched += near and not math.isfinite(value)
                wrong += not near and value != before[at]
            wrong += touched == 0
    return wrong


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    every = cases()
    real = real_cases()
    inputs, want = prepare(every, True, "exact")
    real_inputs, real_want = prepare(real, False, "real")
    flags, failed = Path("/proc/cpuinfo").read_text().split(), 0
    for title, options, needs in BUILDS:
        if needs and needs not in flags or not shutil.which(options.rsplit("=", 1)[1]):
            print(f"{title}: skipped, the CPU or the compiler is missing")
            continue
        failed += check_exact(every, want, run(every, inputs, options, "exact"), title)
        results = run(real, real_inputs, options, "real")
        failed += check_real(real, real_want, results, title)
        if options.startswith("--isa=avx512 ") or options.startswith("--isa=scalar "):
            failed += check_special(real, real_inputs, results, options, "real")
    failed += check_verify(real)
    print(f"test_winograd: {len(every)} shapes, {len(real)} more on real data, {failed} failed")
    return failed > 0


sys.exit(main())
