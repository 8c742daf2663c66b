#!/usr/bin/env python3
"""The library, through the module of examples/library, beside the command line: the same bytes for
every model that ships with weights and many options; the same messages, as a list and as text, for
every model that lacks one line of a good one, and for broken weights; what libnet2c exports and
calls.

Environment: NET2C (libnet2c.so beside it), NET2C_TEST_DIR.
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from checks import check, report

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_library_files")).resolve()
LIBRARY = NET2C.parent / "libnet2c.so"
os.environ["NET2C_LIBRARY"] = str(LIBRARY)
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "examples" / "library"))
import net2c                                                         # noqa: E402

# Each a list of (name, value).
VARIANTS = [
    [],
    [("isa", "scalar")],
    [("isa", "sse4,avx2"), ("batch", "4"), ("batch", "8,1")],
    [("math", "strict"), ("isa", "avx512")],
    [("precision", "bf16w"), ("isa", "portable"), ("remarks", None)],
    [("disable-pass", "fuse-layers,use-winograd"), ("disable-pass", "reuse-buffers"), ("isa", "avx2")],
    [("pass-cmd", str(ROOT / "examples" / "passes" / "drop_relu.py")), ("isa", "scalar"),
     ("pass-cmd-after", "fold-dropout")],
]
# What a program that has the compiler inside does not expect of it.
NEVER = {"exit", "_exit", "abort", "printf", "fprintf", "puts", "fputs", "putchar", "fwrite", "stdout",
         "stderr", "signal", "sigaction", "setitimer", "alarm", "setenv", "putenv", "chdir", "umask",
         "setlocale", "srand", "rand", "strtok", "system", "popen", "fork", "assert_fail"}


def run(*args):
    env = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run([NET2C, *map(str, args)], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL, check=False)


def make_job(model, weights, options):
    job = net2c.Job(model, weights)
    for name, value in options:
        job.option(name, value)
    return job


def same_files(name, model, weights, options):
    words = [f"--{o}" if v is None else f"--{o}={v}" for o, v in options]
    base = f"{name}_gen"
    made = run("compile", model, "-w", weights, "-o", FOLDER / base, "-q", *words)
    check(made.returncode == 0, f"{name} {words}: {made.stderr}")
    for source in ((model, weights), ((str(model), model.read_bytes()),
                                      (str(weights), weights.read_bytes()))):
        result = make_job(*source, options).compile(base)
        files = result.files()
        check(list(files) == [base + end for end in (".c", ".h", ".n2w", ".json")], f"{files.keys()}")
        for file, data in files.items():
            check(data == (FOLDER / file).read_bytes(), f"{file} with {words} differs")


def flat(messages):
    """What check --json prints, in the order of the list: kinds of what is attached apart."""
    def plain(m, severity=None):
        return {"code": None, "severity": severity, **m}
    for m in messages:
        notes, helps = m.pop("notes"), m.pop("help")
        yield plain(m), [plain(n, "note") for n in notes], [plain(h, "help") for h in helps]


def nested(messages):
    at = 0
    while at < len(messages):
        m = messages[at]
        own = messages[at + 1:at + 1 + m["attached"]]
        at += 1 + m.pop("attached")
        for o in own:
            o.pop("attached")
        yield m, [o for o in own if o["severity"] == "note"], [o for o in own
                                                              if o["severity"] == "help"]


def same_messages(model, weights, source):
    told = run("check", model, "--json", "-w", weights)
    plain = run("check", model, "-w", weights)
    printed = "".join(line for line in plain.stderr.splitlines(keepends=True)
                      if ": no errors: " not in line)
    try:
        result = net2c.Job(*source).check()
        status, text, messages = 0, result.text(), result.messages()
    except net2c.Error as error:
        status, text, messages = error.status, str(error), error.messages
    check(status == told.returncode == plain.returncode, f"{model.name}: status {status}")
    check(list(nested(messages)) == list(flat(json.loads(told.stdout))), f"{model.name}: {messages}")
    check(text == printed, f"{model.name}: {text} {printed}")
    return status


def broken_models():
    lines = (ROOT / "models" / "lenet5.yaml").read_text().splitlines(keepends=True)
    weights = ROOT / "models" / "lenet5.safetensors"
    broken = 0
    for i, line in enumerate(lines):
        if not line.strip() or line.startswith("#"):
            continue
        model = FOLDER / f"without_{i + 1}.yaml"
        model.write_text("".join(lines[:i] + lines[i + 1:]))
        source = (str(model), model.read_bytes())
        broken += same_messages(model, weights, (source if i % 2 else model, weights)) != 0
    check(broken > 10, f"only {broken} models are broken")


def broken_weights():
    good = (ROOT / "models" / "lenet5.safetensors").read_bytes()
    model = ROOT / "models" / "lenet5.yaml"
    for name, data in (("empty", b""), ("short", good[:100]), ("cut", good[:-4]),
                       ("renamed", good.replace(b"weight", b"wiehgt")), ("header", good[:8] + b"[" +
                                                                         good[9:])):
        path = FOLDER / f"{name}.safetensors"
        path.write_bytes(data)
        check(same_messages(model, path, (model, (str(path), data))) == 1, f"{name}: accepted")
        check(same_messages(model, path, (model, path)) == 1, f"{name}: accepted")


def symbols():
    lines = subprocess.run(["nm", "-D", LIBRARY], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    names = {line.split()[-1].split("@")[0]: line.split()[-2] for line in lines}
    defined = {n for n, kind in names.items() if kind not in "Uw"}
    used = {n for n, kind in names.items() if kind in "Uw"}
    header = (ROOT / "compiler" / "include" / "net2c" / "net2c.h").read_text()
    declared = {word for line in header.splitlines() if line.startswith("NET2C_API")
                for word in [line.split("(")[0].split()[-1].lstrip("*")]}
    check(defined == declared, f"exported, not declared or the other way round: {defined ^ declared}")
    check(not used & NEVER, f"calls {used & NEVER}")
    check("malloc" in used, "nm works")


def main():
    if not LIBRARY.exists() or shutil.which("nm") is None:
        print("skipped: no libnet2c.so, or no nm")
        return 77
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("lenet5", "alexnet_small"):
        model = ROOT / "models" / f"{name}.yaml"
        for options in VARIANTS:
            same_files(name, model, model.with_suffix(".safetensors"), options)
    large, weights = ROOT / "models" / "alexnet.yaml", FOLDER / "alexnet.safetensors"
    run("weights", "init", large, "-D", "scale=16", "-o", weights)
    same_files("alexnet", large, weights, [("define", "scale=16"), ("isa", "avx2")])
    broken_models()
    broken_weights()
    symbols()
    shutil.rmtree(FOLDER)
    return report("library")


if __name__ == "__main__":
    sys.exit(main())
