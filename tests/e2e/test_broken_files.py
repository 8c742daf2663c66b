#!/usr/bin/env python3
"""The command line on every broken file of tests/golden/model and tests/golden/weights.

`net2c compile` prints exactly the messages of the golden file, ends with status 1 and leaves no
file behind, whole or in parts. A pipe is refused, and weights that are cut off while they are read
are an error like any other.
Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_broken_files")).resolve()
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def weights_bytes(description, header):
    """The file that tests/golden/golden_weights.c makes of the same words."""
    words = dict(word.split("=") for word in description.split())
    data = int(words.get("data", 0))
    length = int(words.get("length", len(header)))
    whole = length.to_bytes(8, "little") + header + bytes(data)
    return words.get("file"), whole[:int(words.get("cut", len(whole)))]


def compile_model(model, weights):
    """Status, messages and what stands in the output's folder afterwards."""
    out = FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    result = subprocess.run([NET2C, "compile", model, "-w", weights, "-o", "out/net",
                             "--isa=scalar"], cwd=FOLDER, capture_output=True, timeout=60)
    return result.returncode, result.stderr, sorted(p.name for p in out.iterdir())


def check_golden(path):
    text = path.read_bytes()
    model, expected = text.split(b"\n---\n", 1)
    model += b"\n"
    fails = model.split(b"\n", 1)[0].endswith(b" fails")
    weights = "absent.safetensors"
    if b"\n===" in model:
        model, description = model.split(b"\n===", 1)
        model += b"\n"
        words, header = description.split(b"\n", 1)
        name, content = weights_bytes(words.decode(), header[:-1])
        weights = name or path.stem + ".safetensors"
        if not name:
            (FOLDER / weights).write_bytes(content)
    (FOLDER / path.name).write_bytes(model)
    status, messages, left = compile_model(path.name, weights)
    name = path.relative_to(ROOT)
    if fails:
        expect(messages == expected, f"{name}: messages\n{messages.decode(errors='replace')}")
    else:
        expect(expected in messages, f"{name}: {messages.decode(errors='replace')}")
    expect(status == (1 if fails else 0), f"{name}: status {status}")
    expect(left == ([] if fails else ["net.c", "net.h", "net.json", "net.n2w"]),
           f"{name}: leaves {left}")


def check_pipe():
    """A pipe that nobody writes to: refused, not waited for."""
    os.mkfifo(FOLDER / "pipe")
    (FOLDER / "lenet5.yaml").write_bytes((ROOT / "models" / "lenet5.yaml").read_bytes())
    for model, weights in (("pipe", "models/lenet5.safetensors"), ("lenet5.yaml", "pipe")):
        status, messages, left = compile_model(model, weights)
        expect(status == 1 and b"'pipe' is a device or pipe" in messages and not left,
               f"a pipe: status {status} {messages.decode()}")


def check_cut():
    """Weights that someone cuts off while they are packed: an error, nothing left."""
    (FOLDER / "wide.yaml").write_text("net2c: 1\nname: net\ninputs: {x: {shape: [N, 4000]}}\n"
                                      "network: [{linear: {out: 4000, path: fc, bias: false}}]\n")
    header = b'{"fc.weight":{"dtype":"F32","shape":[4000,4000],"data_offsets":[0,64000000]}}   '
    shutil.rmtree(FOLDER / "out", ignore_errors=True)
    (FOLDER / "out").mkdir()
    for _ in range(10):
        weights = FOLDER / "wide.safetensors"
        weights.write_bytes(len(header).to_bytes(8, "little") + header)
        os.truncate(weights, 8 + len(header) + 64000000)
        process = subprocess.Popen([NET2C, "compile", "wide.yaml", "-w", weights, "-o", "out/net",
                                    "--isa=scalar"], cwd=FOLDER, stderr=subprocess.PIPE)
        while process.poll() is None and not list((FOLDER / "out").glob("*.tmp")):
            pass
        os.truncate(weights, 100)
        messages = process.communicate()[1]
        if process.returncode:
            break
    left = list((FOLDER / "out").iterdir())
    expect(process.returncode == 5 and b"cut off while it was read" in messages and not left,
           f"cut off while it is read: status {process.returncode}, {left} {messages.decode()}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "models").symlink_to(ROOT / "models")
    paths = [p for topic in ("model", "weights")
             for p in sorted((ROOT / "tests" / "golden" / topic).rglob("*.golden"))]
    for path in paths:
        check_golden(path)
    check_pipe()
    check_cut()
    shutil.rmtree(FOLDER)
    print(f"{len(paths)} broken files, {len(failures)} failures")
    sys.exit(1 if failures or len(paths) < 110 else 0)


if __name__ == "__main__":
    main()
