#!/usr/bin/env python3
"""peers: AlexNet's generated code beside ONNX Runtime, in one run.

Both get the same seeded weights and the same input; their outputs are compared before any time is
taken. Then every round runs, in turn and each in a process of its own: the generated code (gcc and
clang), ONNX Runtime, the machine's multiply-add loop and its read bandwidth. The ratio is the
median over rounds. Installs ONNX Runtime with pip into bench/.venv on the first run.

usage: peers.py [--rounds=30] [--threads=1] [--batch=1]
Writes bench/results/peers.json and peers.md and prints the latter.
"""
import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PACKAGES = ["numpy", "onnx", "onnxruntime"]
WORST_DIFFERENCE = 1e-5


def enter_environment():
    """Go on in bench/.venv, made on the first run."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not (VENV / "ready").exists():
        print(f"installing {' '.join(PACKAGES)} into bench/.venv", file=sys.stderr)
        made = subprocess.run([sys.executable, "-m", "venv", VENV]).returncode == 0 and \
            subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES]).returncode == 0
        if not made:
            sys.exit("peers.py: could not make bench/.venv (Debian: apt-get install python3-venv)")
        (VENV / "ready").touch()
    os.execv(python, [python, __file__, *sys.argv[1:]])


def seeded_input(path, batch):
    import numpy as np
    x = np.random.default_rng(1).standard_normal((batch, 3, 224, 224), dtype=np.float32)
    x.tofile(path)


def relative_difference(path_a, path_b):
    import numpy as np
    a, b = (np.fromfile(p, dtype=np.float32).astype(np.float64) for p in (path_a, path_b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def start_programs(options):
    sys.path.append(str(HERE.parent / "tools"))
    import alexnet_onnx
    import network_files as files
    import safetensors_numpy
    import turns

    base, out = files.generated("alexnet"), files.OUT
    onnx_path, source = out / f"alexnet_b{options.batch}.onnx", out / "peers_input.f32"
    if not files.fresh(onnx_path, files.seeded_weights("alexnet")):
        alexnet_onnx.build(safetensors_numpy.load(files.seeded_weights("alexnet")),
                           options.batch, onnx_path)
    seeded_input(source, options.batch)
    blob, fma, stream = base.with_suffix(".n2w"), *files.yardsticks()
    programs = []
    for compiler in ("gcc", "clang"):
        programs.append(turns.Program(f"net2c, {compiler}", [
            files.program("alexnet", base, compiler), blob, f"--input={source}",
            f"--output={out / f'peers_{compiler}.f32'}", f"--batch={options.batch}"]))
    programs.append(turns.Program("ONNX Runtime", [
        sys.executable, HERE / "peer_ort.py", onnx_path, str(options.threads), str(options.batch),
        source, out / "peers_ort.f32"]))
    difference = {c: relative_difference(out / f"peers_{c}.f32", out / "peers_ort.f32")
                  for c in ("gcc", "clang")}
    for compiler, value in difference.items():
        if not value <= WORST_DIFFERENCE:
            sys.exit(f"peers.py: outputs differ ({compiler}): relative L2 {value:.2e}")
    programs.append(turns.Program("FMA loop", fma))
    programs.append(turns.Program("read bandwidth", stream))
    return programs, difference


def markdown(result):
    ort = "ONNX Runtime"
    lines = [f"AlexNet, batch {result['batch']}, {result['threads']} thread(s), "
             f"{result['rounds']} rounds, {result['date']}; {result['machine']}; "
             f"ONNX Runtime {result['onnxruntime']}",
             "",
             "| program | min ms | median ms | ratio to ONNX Runtime | relative L2 to it |",
             "|---|---|---|---|---|"]
    for name, figures in result["ms"].items():
        compiler = name.split(", ")[-1]
        ratio = "1" if name == ort else f"{result['ratio'][name]:.3f}"
        difference = "" if name == ort else f"{result['difference'][compiler]:.1e}"
        lines.append(f"| {name} | {figures['min']:.2f} | {figures['median']:.2f} | {ratio} | "
                     f"{difference} |")
    lines += ["", f"In the same run: FMA loop {result['fma_gflops']['median']:.0f} GFLOP/s "
                  f"(median; {result['fma_gflops']['max']:.0f} at best), read "
                  f"{result['read_gbs']['median']:.1f} GB/s. Ratios are medians over rounds; "
                  "every input is dense."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    if options.rounds < 20:
        parser.error("at least 20 rounds")
    enter_environment()
    import turns
    from importlib.metadata import version

    programs, difference = start_programs(options)
    figures = {name: turns.column(rows)
               for name, rows in turns.alternate(programs, options.rounds).items()}
    for program in programs:
        program.close()
    timed = [name for name in figures if name not in ("FMA loop", "read bandwidth")]
    result = {
        "date": date.today().isoformat(), "machine": turns.machine(), "rounds": options.rounds,
        "threads": options.threads, "batch": options.batch,
        "onnxruntime": version("onnxruntime"), "difference": difference,
        "ms": {name: turns.summary(figures[name]) for name in timed},
        "ratio": {name: turns.median_ratio(figures[name], figures["ONNX Runtime"])
                  for name in timed if name != "ONNX Runtime"},
        "fma_gflops": turns.summary(figures["FMA loop"]),
        "read_gbs": turns.summary(figures["read bandwidth"]),
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "results" / "peers.md").write_text(markdown(result))
    print(markdown(result), end="")


if __name__ == "__main__":
    main()
