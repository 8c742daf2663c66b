#!/usr/bin/env python3
"""What a model says about its use: `preprocess:` against the formula of docs/model-language.md,
written again here, and against PyTorch's interpolation where that is installed; examples/classify_photo.c
against `net2c run`; `check:` right, wrong, with NaN, of several items, with files that are not there.
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
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_samples"))
TORCH = "/usr/bin/python3"

failures = []
checks = 0


def expect(condition, what):
    global checks
    checks += 1
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def execute(command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def must(command):
    result = execute(command)
    if result.returncode:
        sys.exit(f"status {result.returncode}: {' '.join(map(str, command))}\n{result.stderr}")
    return result.stdout


# ---- files ---------------------------------------------------------------------------------------

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, rows, channels):
    """rows[y][x][channel], bytes."""
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    data = b"".join(b"\0" + bytes(v for pixel in row for v in pixel) for row in rows)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
                     chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def write_npy(path, shape, values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (117 - len(header)) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() +
                     struct.pack(f"<{len(values)}f", *values))


def read_npy(path):
    raw = path.read_bytes()
    data = raw[10 + struct.unpack_from("<H", raw, 8)[0]:]
    return struct.unpack(f"<{len(data) // 4}f", data)


def write_model(name, shape, layers, more=""):
    """A network and the weights it needs, which are none if it has no parameters."""
    model = FOLDER / f"{name}.yaml"
    model.write_text(f"net2c: 1\nname: {name}\ninputs: {{image: {{shape: {shape}}}}}\n"
                     f"network: [{layers}]\n{more}")
    weights = FOLDER / f"{name}.safetensors"
    must([NET2C, "weights", "init", model, "-o", weights])
    return model, weights


# ---- preprocess ----------------------------------------------------------------------------------

def scale(values, to):
    """docs/model-language.md, "Scaling is linear interpolation", along one axis."""
    n = len(values)
    s = n / to
    r = max(s, 1)
    out = []
    for i in range(to):
        center = (i + 0.5) * s - 0.5
        share = [max(0, 1 - abs(j - center) / r) for j in range(n)]
        out.append(sum(a * b for a, b in zip(share, values)) / sum(share))
    return out


def prepare(rows, size, begin, need, mean, std, bgr):
    """Planes of the picture scaled to size, from begin on, need of them; all height first."""
    out = []
    channels = len(rows[0][0])
    for c in range(channels):
        from_c = channels - 1 - c if bgr else c
        lines = [scale([pixel[from_c] for pixel in row], size[1]) for row in rows]
        columns = [scale(column, size[0]) for column in zip(*lines)]
        out += [((columns[x][y] / 255) - mean[c]) / std[c]
                for y in range(begin[0], begin[0] + need[0])
                for x in range(begin[1], begin[1] + need[1])]
    return out


def picture(height, width, channels):
    numbers = random.Random(height * width)
    return [[[numbers.randrange(256) for _ in range(channels)] for _ in range(width)]
            for _ in range(height)]


# name, picture, input, preprocess, options, size after scaling, begin, mean, std, bgr
ZERO, ONE = [0, 0, 0], [1, 1, 1]
CASES = [
    ("shrinks", (31, 45, 3), (8, 8), "{resize: 11, crop: 8}", [], (11, 15), (2, 4), ZERO, ONE, False),
    ("upright", (45, 31, 3), (8, 8), "{resize: 11, crop: 8}", [], (15, 11), (4, 2), ZERO, ONE, False),
    ("enlarges", (5, 7, 1), (12, 12), "{resize: 13, crop: 12}", [], (13, 18), (0, 3), ZERO, ONE, False),
    ("cuts", (9, 12, 3), (6, 6), "{crop: 6}", [], (9, 12), (2, 3), ZERO, ONE, False),
    ("as it is", (4, 6, 3), (4, 6), "{mean: [0.5, 0.4, 0.3], std: [0.1, 0.2, 0.4], order: bgr}", [],
     (4, 6), (0, 0), [.5, .4, .3], [.1, .2, .4], True),
    ("fits", (8, 12, 3), (4, 6), "{resize: 4}", [], (4, 6), (0, 0), ZERO, ONE, False),
    ("three numbers", (4, 6, 3), (4, 6), "{mean: [1, 1, 1], std: [2, 2, 2]}",
     ["--mean=.1,.2,.3", "--std=.5,.6,.7"], (4, 6), (0, 0), [.1, .2, .3], [.5, .6, .7], False),
    ("one number", (4, 6, 3), (4, 6), "{std: [2, 2, 2]}", ["--mean", ".25"], (4, 6), (0, 0),
     [.25] * 3, [2] * 3, False),
    ("covers", (30, 20, 3), (6, 8), None, [], (12, 8), (3, 0), ZERO, ONE, False),
    ("covers wide", (20, 50, 1), (6, 8), None, ["--std=.5"], (6, 15), (0, 4), ZERO, [.5], False),
]


def check_preprocess():
    for name, (height, width, channels), need, said, options, size, begin, mean, std, bgr in CASES:
        rows = picture(height, width, channels)
        png, array = FOLDER / "picture.png", FOLDER / "picture.npy"
        write_png(png, rows, channels)
        more = f"preprocess: {{image: {said}}}\n" if said else ""
        model, weights = write_model("same", f"[N, {channels}, {need[0]}, {need[1]}]",
                                     "{add: {value: 0}}", more)
        must([NET2C, "run", "-q", model, "-w", weights, "-i", png, "-o", array, *options])
        want = prepare(rows, size, begin, need, mean, std, bgr)
        got = read_npy(array)
        worst = max(abs(a - b) for a, b in zip(got, want)) if len(got) == len(want) else math.inf
        expect(worst < 1e-6, f"preprocess {name}: differs from the formula by {worst}")


def check_refused():
    write_png(FOLDER / "picture.png", picture(9, 12, 3), 3)
    for said, shape, options, text in [
            ("{crop: 16}", "[N, 3, 16, 16]", [], "12 x 9 pixels, the input takes 16 x 16"),
            ("{resize: 8}", "[N, 3, 8, 8]", [], "makes 10 x 8"),
            ("{crop: 8}", "[N, 3, 8, 8]", ["--mean=1,2"], "each of the 3 channels"),
            ("{crop: 8}", "[N, 3, 8, 8]", ["--mean=1,2,3,4"], "each of the 3 channels"),
            ("{crop: 8}", "[N, 3, 8, 8]", ["--std=0"], "above 0"),
            ("{crop: 8}", "[N, 1, 8, 8]", ["--std=1,2,3"], "each of the 1 channels")]:
        model, weights = write_model("same", shape, "{add: {value: 0}}",
                                     f"preprocess: {{image: {said}}}\n")
        result = execute([NET2C, "run", model, "-w", weights, "-i", FOLDER / "picture.png",
                          "--top=1", *options])
        expect(result.returncode in (1, 2) and text in result.stderr,
               f"{said} {options}: status {result.returncode}, no '{text}' in {result.stderr}")


def check_torch():
    """The same picture by PyTorch: shrunk by 2.8 and cut."""
    if execute([TORCH, "-c", "import torch"]).returncode:
        print("left out: no PyTorch")
        return
    rows = picture(31, 45, 3)
    write_png(FOLDER / "picture.png", rows, 3)
    model, weights = write_model("same", "[N, 3, 8, 8]", "{add: {value: 0}}",
                                 "preprocess: {image: {resize: 11, crop: 8}}\n")
    must([NET2C, "run", "-q", model, "-w", weights, "-i", FOLDER / "picture.png", "-o",
          FOLDER / "picture.npy"])
    program = ("import json, sys, torch\n"
               "x = torch.tensor(json.load(sys.stdin)).permute(2, 0, 1).unsqueeze(0) / 255.\n"
               "y = torch.nn.functional.interpolate(x, size=(11, 15), mode='bilinear',"
               " antialias=True)[0, :, 2:10, 4:12]\n"
               "print(json.dumps(y.flatten().tolist()))")
    result = execute([TORCH, "-c", program], input=json.dumps(rows))
    want = json.loads(result.stdout)
    worst = max(abs(a - b) for a, b in zip(read_npy(FOLDER / "picture.npy"), want))
    expect(worst < 1e-5, f"PyTorch's interpolation differs by {worst}")


def check_demo():
    """The example's own preparation gives the logits of net2c run."""
    model, base = ROOT / "models" / "alexnet.yaml", FOLDER / "alexnet_gen"
    weights, program = FOLDER / "alexnet.safetensors", FOLDER / "classify_photo"
    photo = ROOT / "models" / "photo.jpg"
    must([NET2C, "weights", "init", model, "-D", "scale=8", "-o", weights])
    must([NET2C, "compile", "-q", model, "-D", "scale=8", "-w", weights, "-o", base])
    must(["cc", "-O2", f"-I{FOLDER}", f"-I{ROOT / 'runtime' / 'include'}",
          ROOT / "examples" / "classify_photo.c", base.with_suffix(".c"),
          *sorted((ROOT / "runtime").glob("*.c")), "-lm", "-pthread", "-o", program])
    lines = [line.split() for line in must([program, base.with_suffix(".n2w"), photo]).splitlines()]
    there = {int(line[2].rstrip(",")): float(line[4]) for line in lines if line[1] == "class"}
    lines = [line.split() for line in must([NET2C, "run", "-q", model, "-D", "scale=8", "-w", weights,
                                            "-i", photo, "--top=5"]).splitlines()]
    here = {int(line[2]): float(line[3]) for line in lines}
    expect(len(there) == 5 and there.keys() == here.keys() and
           all(abs(there[i] - here[i]) < 2e-4 for i in there),
           f"classify_photo has the logits of run: {there} {here}")


# ---- check ---------------------------------------------------------------------------------------

def verify(model, weights, *options):
    return execute([NET2C, "verify", "-q", model, "-w", weights, "--isa=scalar", *options])


def check_samples():
    said = "check: [{inputs: {image: in/x.npy}, outputs: {y: y.npy}, rtol: 0.01, atol: 0.1}]\n"
    model, weights = write_model("twice", "[N, 2, 3]", "{mul: {value: 2, name: y}}", said)
    (FOLDER / "in").mkdir(exist_ok=True)
    values = [float(i - 3) for i in range(12)]
    wanted = [2 * v for v in values]
    write_npy(FOLDER / "in" / "x.npy", (2, 2, 3), values)

    def sample(name, changes, status, text, *options):
        right = dict(enumerate(wanted)) | changes
        write_npy(FOLDER / "y.npy", (2, 2, 3), [right[i] for i in range(12)])
        result = verify(model, weights, *options)
        expect(result.returncode == status and text in result.stdout,
               f"check {name}: status {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout

    sample("right", {}, 0, "check 1  y [2, 2, 3]  max abs 0  ok")
    sample("within atol + rtol", {11: 16.25}, 0, "ok")
    sample("just beyond", {11: 16.27}, 3, "[1, 1, 2] is 16, expected 16.27")
    sample("two wrong", {4: 9.0, 7: 9.0}, 3, "[0, 1, 1] is 2, expected 9; 2 of 12 differ")
    sample("NaN expected", {0: math.nan}, 3, "expected nan")
    sample("infinity expected", {0: math.inf}, 3, "expected inf")
    sample("left out", {0: 100.0}, 0, "ok", "--no-samples")
    report = json.loads(sample("as JSON", {4: 9.0}, 3, "", "--json"))["samples"]
    expect(report == [{"check": 1, "output": "y", "max_abs": 7.0, "wrong": 1, "ok": False,
                       "index": [0, 1, 1], "got": 2, "expected": 9}], f"JSON: {report}")

    write_npy(FOLDER / "in" / "x.npy", (2, 2, 3), [math.nan, math.inf] + values[2:])
    sample("both NaN, both infinite", {0: math.nan, 1: math.inf}, 0, "ok")
    write_npy(FOLDER / "in" / "x.npy", (1, 2, 3), values[:6])
    result = verify(model, weights)
    expect(result.returncode == 1 and "has 2 items" in result.stderr and
           "used by this sample" in result.stderr, f"numbers of items: {result.stderr}")
    (FOLDER / "y.npy").unlink()
    result = verify(model, weights)
    expect(result.returncode == 1 and "y.npy" in result.stderr and
           "twice.yaml:5:" in result.stderr, f"no such file: {result.stderr}")
    (FOLDER / "y.npy").mkdir()
    result = verify(model, weights)
    expect(result.returncode == 1 and "not a regular file" in result.stderr,
           f"a folder: {result.stderr}")
    (FOLDER / "y.npy").rmdir()


def check_passes_keep_outputs():
    """An output whose layer goes away keeps its name for the sample."""
    said = "check: [{inputs: {image: x.npy}, outputs: {last: y.npy}}]\n"
    model, weights = write_model("gone", "[N, 3]", "relu, {dropout: {name: last}}", said)
    write_npy(FOLDER / "x.npy", (1, 3), [-1, 0, 1])
    write_npy(FOLDER / "y.npy", (1, 3), [0, 0, 1])
    result = verify(model, weights)
    expect(result.returncode == 0 and "check 1  last" in result.stdout,
           f"dropped output: {result.stdout}{result.stderr}")


def check_models():
    """Every shipped model with samples agrees with them."""
    models = [m for m in sorted((ROOT / "models").glob("*.yaml"))
              if "\ncheck:" in m.read_text(encoding="utf-8")]
    expect(models, "a shipped model has samples")
    for model in models:
        result = verify(model, model.with_suffix(".safetensors"))
        expect(result.returncode == 0 and "check 1 " in result.stdout,
               f"{model.name}: {result.stdout}{result.stderr}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    check_preprocess()
    check_refused()
    check_torch()
    check_demo()
    check_samples()
    check_passes_keep_outputs()
    check_models()
    print(f"samples: {checks} checks, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
