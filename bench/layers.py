#!/usr/bin/env python3
"""layers: every step of the generated code beside what this machine can do at most.

In each round, in turn and each in a process of its own: the network with a clock around every
step, the multiply-add loop, the read bandwidth. A step that reads more weights than the second
level cache holds is compared with the bandwidth too: the larger percentage says what bounds it.
GFLOP/s count the operations of the definition: where the column "algorithm" says winograd, fewer
are done, and the share of the multiply-add loop may exceed 100 %.

usage: layers.py [--model=alexnet] [--rounds=20] [--cc=gcc,clang] [-- options of net2c compile]
Writes bench/results/layers.json and prints one table a compiler. Standard library only.
"""
import argparse
import json
import re
from datetime import date
from pathlib import Path

import network_files as files
import turns

HERE = Path(__file__).resolve().parent


def algorithms(c_path):
    """{kernel: algorithm} from the comments before the kernels of the first row."""
    found = {}
    for comment in re.findall(r"^/\* (.*?)\*/", c_path.read_text(), re.M | re.S):
        name = re.match(r"(\w+): ", comment)
        algorithm = re.search(r"^ \* algorithm: (.*)$", comment, re.M)
        if name and algorithm:
            found.setdefault(name.group(1), algorithm.group(1))
    return found


def table(steps, figures, peak, bandwidth, algorithm):
    """Rows of name, ms, GFLOP/s, share of the FMA loop, GB/s of weights, share of the reads; each
    share is of the same round's yardstick."""
    rows = []
    for i, (name, flops, weight_bytes) in enumerate(steps):
        ms = [row[1 + i] for row in figures]
        best = min(ms)
        rows.append({
            "name": name, "algorithm": algorithm.get(name, "direct" if weight_bytes else ""),
            "flops": flops, "weight_bytes": weight_bytes, "min_ms": best,
            "median_ms": turns.summary(ms)["median"],
            "gflops": flops / best * 1e-6, "gbs": weight_bytes / best * 1e-6,
            "of_fma": turns.median_ratio([flops / m * 1e-6 for m in ms], peak),
            "of_read": turns.median_ratio([weight_bytes / m * 1e-6 for m in ms], bandwidth),
        })
    return rows


def print_table(title, total, rows):
    width = max(len(r["name"]) for r in rows)
    print(f"\n{title}: min {total['min']:.3f} ms, median {total['median']:.3f} ms")
    print(f"{'step':{width}} {'algorithm':18}   min ms  GFLOP/s  of FMA   GB/s  of read")
    for r in rows:
        print(f"{r['name']:{width}} {r['algorithm']:18} {r['min_ms']:8.4f} {r['gflops']:8.1f} "
              f"{r['of_fma']:6.0%} {r['gbs']:7.1f} {r['of_read']:7.0%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="alexnet")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--cc", default="gcc,clang")
    parser.add_argument("options", nargs="*", help="for net2c compile")
    options = parser.parse_args()

    suffix = "gen" if not options.options else "bench"
    base = files.generated(options.model, *options.options, suffix=suffix)
    fma, stream = files.yardsticks()
    programs = [turns.Program(compiler, [files.program(options.model, base, compiler),
                                         base.with_suffix(".n2w"), "--steps"])
                for compiler in options.cc.split(",")]
    programs += [turns.Program("FMA loop", fma), turns.Program("read bandwidth", stream)]
    figures = turns.alternate(programs, options.rounds)
    peak, bandwidth = turns.column(figures["FMA loop"]), turns.column(figures["read bandwidth"])

    print(f"{turns.machine()}; {options.rounds} rounds; in the same run: FMA loop median "
          f"{turns.summary(peak)['median']:.0f} GFLOP/s, read "
          f"{turns.summary(bandwidth)['median']:.1f} GB/s")
    result = {"date": date.today().isoformat(), "machine": turns.machine(),
              "rounds": options.rounds, "model": options.model,
              "fma_gflops": turns.summary(peak), "read_gbs": turns.summary(bandwidth), "cc": {}}
    for program in programs[:-2]:
        steps = [(row[1], float(row[2]), float(row[3])) for row in program.preamble
                 if row and row[0] == "step"]
        total = turns.summary(turns.column(figures[program.name]))
        rows = table(steps, figures[program.name], peak, bandwidth,
                     algorithms(base.with_suffix(".c")))
        print_table(program.name, total, rows)
        result["cc"][program.name] = {"total": total, "steps": rows}
    for program in programs:
        program.close()
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "layers.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
