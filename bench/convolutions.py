#!/usr/bin/env python3
"""convolutions: does the cost model find good schedules for shapes that nobody looked at?

Draws random convolutions (16 to 512 output channels in steps of 8, output at least 7 x 7, weights
within the second level cache), compiles each as a network of its own and runs it warm, in turn
with the machine's multiply-add loop. Lists each and sums up.

usage: convolutions.py [--count=60] [--seed=1] [--rounds=5] [--cc=gcc]
Writes bench/results/convolutions.json. Standard library only.
"""
import argparse
import json
import random
import statistics
from pathlib import Path

import network_files as files
import turns

HERE = Path(__file__).resolve().parent
CACHE_BYTES = 1 << 20
MOST_MACS = 400e6
MEDIAN_DUE, WORST_DUE = 0.70, 0.35


def draw(generator):
    """One shape; drawn again until it is within the limits."""
    while True:
        groups = generator.choice((1, 1, 1, 2))
        shape = {"out": 8 * generator.randint(2, 64), "in": 8 * generator.randint(1, 64) * groups,
                 "kernel": generator.choice((1, 3, 3, 5, 7)), "stride": generator.choice((1, 1, 2)),
                 "groups": groups, "height": generator.randint(7, 56),
                 "width": generator.randint(7, 56)}
        weights = 4 * shape["out"] * shape["in"] // groups * shape["kernel"] ** 2
        macs = weights / 4 * shape["height"] * shape["width"]
        if weights <= CACHE_BYTES and macs <= MOST_MACS and shape["out"] % (8 * groups) == 0:
            return shape


def model_text(name, shape):
    """Output height and width as drawn: the input is what makes them so."""
    kernel, stride, pad = shape["kernel"], shape["stride"], shape["kernel"] // 2
    height, width = ((n - 1) * stride + kernel - 2 * pad for n in (shape["height"], shape["width"]))
    return (f"net2c: 1\nname: {name}\ninputs:\n"
            f"  x: {{shape: [N, {shape['in']}, {height}, {width}]}}\n"
            f"weights: {{bind: \"$path.$param\"}}\nnetwork:\n"
            f"  - conv: {{name: y, path: c, out: {shape['out']}, kernel: {kernel}, "
            f"stride: {stride}, pad: {pad}, groups: {shape['groups']}, "
            f"expect: [N, {shape['out']}, {shape['height']}, {shape['width']}]}}\n")


def build(number, shape, compiler):
    folder = files.OUT / "convolutions"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"conv{number}"
    model, base = folder / f"{name}.yaml", folder / f"{name}_gen"
    model.write_text(model_text(name, shape))
    weights = base.with_suffix(".safetensors")
    files.run(files.NET2C, "weights", "init", model, "--seed", "1", "-o", weights)
    files.run(files.NET2C, "compile", model, "-w", weights, "-o", base)
    return turns.Program(name, [files.program(name, base, compiler), base.with_suffix(".n2w"),
                                "--steps"])


def measure(number, shape, options, fma):
    """The convolution's own step (the one with the work), as a share of the multiply-add loop."""
    program = build(number, shape, options.cc)
    flops = [float(row[2]) for row in program.preamble if row and row[0] == "step"]
    step = flops.index(max(flops))
    shares, speeds = [], []
    for _ in range(options.rounds):
        peak = fma.measure()[0]
        best = min(row[1 + step] for row in program.measure_many(10))
        speeds.append(flops[step] / best * 1e-6)
        shares.append(speeds[-1] / peak)
    program.close()
    return statistics.median(shares), max(speeds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cc", default="gcc")
    options = parser.parse_args()
    generator = random.Random(options.seed)
    fma = turns.Program("FMA loop", files.yardsticks()[0])
    print(f"{turns.machine()}; {options.cc}\n"
          "   in  out  kernel stride groups  output   GFLOP/s  of FMA")
    rows = []
    for number in range(options.count):
        shape = draw(generator)
        share, speed = measure(number, shape, options, fma)
        rows.append({**shape, "of_fma": share, "gflops": speed})
        print(f"{shape['in']:5} {shape['out']:4} {shape['kernel']:7} {shape['stride']:6} "
              f"{shape['groups']:6}  {shape['height']:2} x {shape['width']:2} {speed:9.1f} "
              f"{share:7.2f}", flush=True)
    fma.close()
    shares = sorted(row["of_fma"] for row in rows)
    median = statistics.median(shares)
    print(f"median {median:.2f} (at least {MEDIAN_DUE}), worst {shares[0]:.2f} "
          f"(at least {WORST_DUE})")
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "convolutions.json").write_text(json.dumps(
        {"machine": turns.machine(), "cc": options.cc, "median": median, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
