"""network_files: what the benches need before they can measure: seeded weights, generated code in
out/bench, and programs built from it. Files that are newer than what they are made of are kept.
"""
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "bench"
NET2C = ROOT / "build" / "net2c"


def run(*command):
    result = subprocess.run([str(c) for c in command], cwd=ROOT)
    if result.returncode:
        raise SystemExit(f"failed ({result.returncode}): {' '.join(map(str, command))}")


def fresh(target, *sources):
    return target.exists() and all(target.stat().st_mtime >= Path(s).stat().st_mtime
                                   for s in sources)


def seeded_weights(name):
    model, weights = ROOT / "models" / f"{name}.yaml", OUT / f"{name}.safetensors"
    OUT.mkdir(parents=True, exist_ok=True)
    if not fresh(weights, model):
        run(NET2C, "weights", "init", model, "--seed", "1", "-o", weights)
    return weights


def generated(name, *options, suffix="gen"):
    """out/bench/NAME_SUFFIX.c, .h and .n2w; returns the path without its extension."""
    weights, base = seeded_weights(name), OUT / f"{name}_{suffix}"
    if not fresh(base.with_suffix(".n2w"), NET2C, weights):
        run(NET2C, "compile", ROOT / "models" / f"{name}.yaml", "-w", weights, "-o", base, *options)
    return base


def program(name, base, compiler, flags=("-O2",)):
    """run_generated.c linked with the generated code."""
    target = base.with_name(f"{base.name}_{compiler}")
    sources = [ROOT / "bench" / "run_generated.c", base.with_suffix(".c")]
    library = ROOT / "build" / "libnet2c_rt.a"
    if not fresh(target, library, *sources):
        run(compiler, *flags, f"-DNET={name}", f'-DNET_HEADER="{base.name}.h"',
            f"-I{base.parent}", f"-I{ROOT}/runtime/include", *sources, library, "-o", target)
    return target


def compiler_versions(compilers):
    """ "gcc 12.2.0, clang 14.0.6" """
    texts = (subprocess.run([c, "--version"], capture_output=True, text=True).stdout
             for c in compilers)
    return ", ".join(f"{c} {re.search(r'[0-9]+[.][0-9.]+', text).group()}"
                     for c, text in zip(compilers, texts))


def yardsticks():
    """The machine's own multiply-add loop and read bandwidth, as turns.Program commands."""
    for target in ("fma_loop", "stream"):
        if not (ROOT / "build" / target).exists():
            raise SystemExit(f"build/{target} is missing: make bench builds it")
    return [ROOT / "build" / "fma_loop"], [ROOT / "build" / "stream"]
