#!/usr/bin/env python3
"""peers: generated code beside every rival that can be installed here, in one run.

All get the same seeded weights and the same input; outputs are compared before any time is taken.
Then every round runs, in turn and each in a process of its own that is stopped while others run:
our code, the rivals, the machine's multiply-add loop and its read bandwidth; each is woken and runs
once untimed first. Ratios: of minima, and the median over rounds of the ratio within a round, with
a 95 % interval.

usage: peers.py [--peers=onnxruntime,openvino,openvino-default,onednn,ncnn] [--models=alexnet]
                [--threads=1,2] [--batches=1] [--rounds=30] [--cc=gcc,clang]
                [--ours=default,dense,bf16w]
Installs rivals with pip into bench/.venv. Writes bench/results/peers.json and peers.md and prints
the latter. Exit status 3: a single-precision output differs.
"""
import argparse
import json
import os
import sys
from datetime import date
from pathlib import Path

import contenders
import network_files as files
import turns

HERE = Path(__file__).resolve().parent
WORST = {"f32": 1e-5}           # relative L2 to our own output
WORST_REDUCED = 5e-2
LEAST_ROUNDS = 20
YARDSTICKS = ("FMA loop", "read bandwidth")


def enter_environment():
    """Go on in bench/.venv, made on the first run."""
    contenders.make_environment()
    if Path(sys.prefix).resolve() != contenders.VENV.resolve():
        os.execv(contenders.PYTHON, [contenders.PYTHON, __file__, *sys.argv[1:]])


def relative_difference(path_a, path_b):
    import numpy as np
    a, b = (np.fromfile(p, dtype=np.float32).astype(np.float64) for p in (path_a, path_b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b)) if a.size == b.size else float("inf")


class Field:
    """The programs of one case: those that started, and who is absent and why."""

    def __init__(self, case, options):
        self.case, self.programs, self.about, self.absent = case, [], {}, {}
        case.write_input()
        for variant in options.ours:
            for compiler in options.cc:
                title = f"{contenders.OURS[variant][0]} ({compiler})"
                self.enter(title, contenders.OURS[variant][2], lambda v=variant, c=compiler: (
                    contenders.ours(case, v, c), case.target(f"{v}_{c}")))
        for name in options.peers:
            self.enter(contenders.TITLES[name], None, lambda n=name: contenders.rival(case, n))

    def enter(self, title, precision, make):
        threads = str(self.case.threads)
        try:
            command, target = make()
            target.unlink(missing_ok=True)
            program = turns.Program(title, command, {"OMP_NUM_THREADS": threads})
        except (contenders.Absent, SystemExit) as reason:
            self.absent[title] = str(reason)
            print(f"absent: {title}: {reason}", file=sys.stderr)
            return
        said = {row[0]: row[1] for row in program.preamble if len(row) == 2}
        self.programs.append(program)
        self.about[title] = {"ours": precision is not None, "output": target,
                             "precision": precision or said.get("precision", "?"),
                             "version": said.get("version", "")}

    def compare(self):
        """Every output with ours; the reference is our first program."""
        reference = self.about[self.programs[0].name]["output"]
        for title, about in self.about.items():
            about["difference"] = value = relative_difference(about.pop("output"), reference)
            if not value <= WORST.get(about["precision"], WORST_REDUCED):
                self.close()
                print(f"peers.py: {self.case.model}: output of {title} differs: relative L2 "
                      f"{value:.2e}", file=sys.stderr)
                sys.exit(3)

    def close(self):
        for program in self.programs:
            program.close()


def drop_twin(field):
    """OpenVINO's default is a program of its own only where it is not single precision."""
    title = contenders.TITLES["openvino-default"]
    about = field.about.get(title)
    if about and about["precision"] == "f32":
        field.absent[title] = "it is f32 on this CPU, as forced"
        for program in [p for p in field.programs if p.name == title]:
            program.close()
            field.programs.remove(program)
        del field.about[title]


def measure(case, options):
    field = Field(case, options)
    drop_twin(field)
    if not field.programs:
        sys.exit("peers.py: no program to measure")
    field.compare()
    yardsticks = [turns.Program(name, command)
                  for name, command in zip(YARDSTICKS, files.yardsticks())]
    field.programs += yardsticks
    columns = {name: turns.column(rows)
               for name, rows in turns.alternate(field.programs, options.rounds).items()}
    field.close()
    programs = {name: {**about, **turns.summary(columns[name]), "ms": columns[name]}
                for name, about in field.about.items()}
    return {"model": case.model, "batch": case.batch, "threads": case.threads,
            "rounds": options.rounds, "programs": programs, "absent": field.absent,
            "zeros": contenders.zero_shares(case),
            "fma_gflops": turns.summary(columns[YARDSTICKS[0]]),
            "read_gbs": turns.summary(columns[YARDSTICKS[1]]), **rank(programs)}


def rank(programs):
    """ONNX Runtime and the fastest rival in single precision, and each program's ratio to both."""
    rivals = {n: p for n, p in programs.items() if not p["ours"] and p["precision"] == "f32"}
    best = min(rivals, key=lambda n: rivals[n]["min"], default=None)
    bases = {"ort": contenders.TITLES["onnxruntime"], "best": best}
    for program in programs.values():
        program["ratio"] = {key: turns.ratio(program["ms"], programs[name]["ms"])
                            for key, name in bases.items() if name in programs}
    return {"best": best}


def table_row(name, program):
    def ratio(key):
        r = program["ratio"].get(key)
        return f"{r['minima']:.3f} | {r['median']:.3f} ({r['low']:.3f} to {r['high']:.3f})" \
            if r else "- | -"
    bold = "**" if program["ours"] else ""
    version = f" {program['version']}" if program["version"] else ""
    return (f"| {bold}{name}{bold}{version} | {program['precision']} | {program['min']:.2f} | "
            f"{program['median']:.2f} | {ratio('ort')} | {ratio('best')} | "
            f"{program['difference']:.1e} |")


def markdown_case(case):
    lines = [f"### {case['model']}, batch {case['batch']}, {case['threads']} thread"
             f"{'s' if case['threads'] > 1 else ''}", "",
             "| program | precision | min ms | median ms | to ONNX Runtime: minima | median "
             "(95 %) | to the best f32 rival: minima | median (95 %) | relative L2 to ours |",
             "|---|---|---|---|---|---|---|---|---|"]
    ordered = sorted(case["programs"].items(), key=lambda item: item[1]["min"])
    lines += [table_row(name, program) for name, program in ordered]
    trial = "" if case["rounds"] >= LEAST_ROUNDS else " (a trial, no result)"
    lines += ["", f"{case['rounds']} rounds{trial}; best f32 rival: {case['best']}. In the same "
                  f"run: FMA loop {case['fma_gflops']['median']:.0f} GFLOP/s, one stream read "
                  f"{case['read_gbs']['median']:.1f} GB/s (medians)."]
    if case["zeros"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in case["zeros"].items())
        lines.append(f"Zeros in what each linear layer reads: {shares}.")
    lines += [f"Absent: {name}: {reason}." for name, reason in case["absent"].items()]
    return "\n".join(lines) + "\n"


def markdown(result):
    return "\n".join([f"{result['date']}; {result['machine']}; {result['versions']}; "
                      f"`{result['command']}`", "",
                      *(markdown_case(case) for case in result["cases"])])


def parse_options():
    def words(text):
        return [word for word in text.split(",") if word]

    def numbers(text):
        return [int(word) for word in words(text)]

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", type=words, default=list(contenders.PACKAGES))
    parser.add_argument("--models", type=words, default=["alexnet"])
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--batches", type=numbers, default=[1])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--cc", type=words, default=["gcc", "clang"])
    parser.add_argument("--ours", type=words, default=list(contenders.OURS))
    options = parser.parse_args()
    for kind, known in (("peers", contenders.PACKAGES), ("ours", contenders.OURS)):
        unknown = [name for name in getattr(options, kind) if name not in known]
        if unknown:
            parser.error(f"--{kind}: no {unknown[0]}; there are: {', '.join(known)}")
    if options.rounds < LEAST_ROUNDS:
        print(f"peers.py: a trial: results need {LEAST_ROUNDS} rounds", file=sys.stderr)
    return options


def main():
    options = parse_options()
    enter_environment()
    result = {"date": date.today().isoformat(), "machine": turns.machine(),
              "versions": files.compiler_versions(options.cc),
              "command": " ".join(["bench/peers.py", *sys.argv[1:]]), "cases": []}
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    for model in options.models:
        if not (files.ROOT / "models" / f"{model}.yaml").exists():
            print(f"absent: models/{model}.yaml", file=sys.stderr)
            continue
        for batch in options.batches:
            for threads in options.threads:
                case = measure(contenders.Case(model, batch, threads), options)
                print(markdown_case(case), flush=True)
                result["cases"].append(case)
                (folder / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
                (folder / "peers.md").write_text(markdown(result))


if __name__ == "__main__":
    main()
