#!/usr/bin/env python3
"""test_disassembly: what gcc and clang make of the inner loops of AlexNet's convolutions at -O2.

An inner loop that accumulates (four or more registers that only multiply-adds write) must keep
everything in registers: no multiply-add with an operand on the stack and no vector spilled or
reloaded between them. Direct and Winograd convolutions, avx512 and avx2. Says which function
fails.

Standard library only; the processor need not have the instructions.
Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_disassembly"))
CONVOLUTIONS = 5
LEAST_ACCUMULATORS = 4


def functions(text):
    """Pairs of a name and its instructions, pairs of address and text."""
    for block in re.split(r"\n(?=[0-9a-f]+ <)", text):
        header = re.match(r"[0-9a-f]+ <(.+)>:\n", block)
        if header:
            yield header[1], [(int(a, 16), t.split("#")[0].strip()) for a, t in
                              re.findall(r"^ +([0-9a-f]+):\t(.*)$", block, re.M)]


def inner_loops(instructions):
    """Bodies that end with a jump back and have no such body inside."""
    index = {address: i for i, (address, _) in enumerate(instructions)}
    spans = []
    for i, (_, text) in enumerate(instructions):
        jump = re.match(r"j\w+ +([0-9a-f]+)", text)
        start = index.get(int(jump[1], 16)) if jump else None
        if start is not None and start <= i:
            spans.append((start, i))
    for start, end in spans:
        if not any((s, e) != (start, end) and start <= s and e <= end for s, e in spans):
            yield [text for _, text in instructions[start:end + 1]]


def accumulators(loop):
    """Vector registers that nothing but multiply-adds into them writes."""
    adds, others = set(), set()
    for text in loop:
        target = re.search(r"%([xyz]mm\d+)$", text)
        if target:
            (adds if re.match(r"vfn?m(add|sub)231ps", text) else others).add(target[1][1:])
    return adds - others


def on_stack(text, frame_pointer):
    return text.startswith("v") and ("(%rsp" in text or (frame_pointer and "(%rbp" in text))


def check(title, text):
    """Returns the convolutions with accumulating loops, and the number of loops that spill."""
    seen, bad = set(), 0
    for name, instructions in functions(text):
        frame_pointer = any(re.match(r"mov +%rsp,%rbp", t) for _, t in instructions)
        if not name.startswith("conv"):
            continue
        for loop in inner_loops(instructions):
            if len(accumulators(loop)) < LEAST_ACCUMULATORS:
                continue
            seen.add(re.match(r"conv\d+", name)[0])
            spills = [t for t in loop if on_stack(t, frame_pointer)]
            if spills:
                bad += 1
                print(f"{title}: {name}: {len(spills)} of {len(loop)} instructions of a loop with "
                      f"{len(accumulators(loop))} sums touch the stack, such as {spills[0]}")
    return seen, bad


def main():
    if any(not shutil.which(tool) for tool in ("gcc", "clang", "objdump")):
        print("skipped: gcc, clang or objdump is missing")
        return 77
    FOLDER.mkdir(parents=True, exist_ok=True)
    # the convolutions as they are, on narrow linear layers
    model, weights = FOLDER / "narrow.yaml", FOLDER / "narrow.safetensors"
    text = (ROOT / "models" / "alexnet.yaml").read_text().replace("out: 4096}", "out: 16}")
    model.write_text(text)
    subprocess.run([NET2C, "weights", "init", model, "-o", weights], check=True)
    failed = 0
    for row in ("avx512", "avx2"):
        for math in ("strict", "default"):
            base = FOLDER / f"{row}_{math}" / "alexnet_gen"
            subprocess.run([NET2C, "compile", "-q", model, "-w", weights, f"--isa={row}",
                            f"--math={math}", "-o", base], check=True)
            for compiler in ("gcc", "clang"):
                title, target = f"{row} {math} {compiler}", FOLDER / "alexnet.o"
                subprocess.run([compiler, "-O2", f"-I{ROOT / 'runtime' / 'include'}", "-c",
                                base.with_suffix(".c"), "-o", target], check=True)
                listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", target],
                                         check=True, capture_output=True, text=True).stdout
                seen, bad = check(title, listing)
                print(f"{title}: inner loops of {len(seen)} convolutions, {bad} with spills")
                failed += bad + (len(seen) < CONVOLUTIONS)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
