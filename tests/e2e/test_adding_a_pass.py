#!/usr/bin/env python3
"""test_adding_a_pass: docs/adding-a-pass.md and docs/adding-an-operator.md are followed to the
letter in a copy of the tree, and every command prints what the page says.

What is read of a page, in order:

    New file `PATH`:                                               and the block after it
    In `PATH`, after (before) the line that begins `TEXT`:         and the block after it
    In `PATH`, take out `TEXT`.
    ```console blocks: "$ COMMAND" and its output, status 0

In an output, `...` stands for anything, on a line of its own for any lines; a number with a decimal
point stands for any such number. Standard library only. Environment: NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_adding_a_pass"))
PAGES = ("adding-a-pass.md", "adding-an-operator.md")

# A make that runs this test has no say in the ones that it starts.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}

STEP = re.compile(
    r"^New file `(?P<new>[^`]+)`:\n+```\w*\n(?P<content>.*?)^```\n"
    r"|^In `(?P<path>[^`]+)`, (?P<side>after|before) the line that begins `(?P<line>[^`]+)`:\n+"
    r"```\w*\n(?P<insert>.*?)^```\n"
    r"|^In `(?P<cut>[^`]+)`, take out `(?P<words>[^`]+)`\.\n"
    r"|^```console\n(?P<console>.*?)^```\n", re.M | re.S)


class Mismatch(Exception):
    pass


def copy_tree():
    """The tree as a fresh clone has it, with a build folder that is quick to fill."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(ROOT, FOLDER, symlinks=True, ignore=lambda folder, names: [
        n for n in names if n == ".git" or Path(folder) == ROOT and n in ("build", "out")])
    (FOLDER / "out").mkdir()
    subprocess.run(["cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug",
                    "-DCMAKE_C_FLAGS_DEBUG=-O0"], cwd=FOLDER, check=True, capture_output=True)
    # The examples must not depend on how full the tree's budget of lines is.
    rules = FOLDER / "tests" / "e2e" / "check_structure.py"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(re.sub(r"(COMPILER_LINES.*= )\d+", r"\g<1>99999", text, count=1),
                     encoding="utf-8")


def new_file(step):
    path = FOLDER / step["new"]
    if path.exists():
        raise Mismatch(f"{step['new']} is in the tree already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(step["content"], encoding="utf-8")


def insert(step):
    path = FOLDER / step["path"]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found = [i for i, line in enumerate(lines) if line.lstrip().startswith(step["line"])]
    if not found:
        raise Mismatch(f"{step['path']}: no line begins {step['line']}")
    at = found[0] + (step["side"] == "after")
    path.write_text("".join(lines[:at]) + step["insert"] + "".join(lines[at:]), encoding="utf-8")


def take_out(step):
    path = FOLDER / step["cut"]
    text = path.read_text(encoding="utf-8")
    if step["words"] not in text:
        raise Mismatch(f"{step['cut']}: no {step['words']}")
    path.write_text(text.replace(step["words"], "", 1), encoding="utf-8")


def output_pattern(text):
    """One regular expression for a documented output."""
    pattern = ""
    for line in text.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        pieces = re.split(r"(\.\.\.|\s*\d+\.\d+)", line)
        pattern += "".join(r".*" if p == "..." else r"\s*\d+\.\d+" if re.fullmatch(
            r"\s*\d+\.\d+", p) else re.escape(p) for p in pieces) + r"\n"
    return re.compile(pattern)


def run_command(command, expected):
    result = subprocess.run(["bash", "-ec", command], cwd=FOLDER, text=True, capture_output=True,
                            check=False, env=ENVIRONMENT)
    if result.returncode:
        raise Mismatch(f"status {result.returncode} of {command}\n{result.stdout[-3000:]}"
                       f"{result.stderr[-3000:]}")
    if not output_pattern(expected).fullmatch(result.stdout):
        raise Mismatch(f"{command}\nprints\n{result.stdout[-6000:]}\ndocumented is\n{expected}")


def actions(step):
    """What one step of a page asks for, as functions to call."""
    if step["new"]:
        yield lambda: new_file(step)
    elif step["console"]:
        for part in re.split(r"^\$ ", step["console"], flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            yield lambda c=command, e=expected: run_command(c, e)
    else:
        yield lambda: (insert if step["path"] else take_out)(step)


def follow(page):
    """Every step of a page; returns how many were taken and how many went wrong."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    steps = list(STEP.finditer(text))
    taken = wrong = 0
    for action in (a for step in steps for a in actions(step)):
        try:
            taken += 1
            action()
        except Mismatch as mismatch:
            wrong += 1
            print(f"{page}: {mismatch}")
    # What STEP does not understand would silently not be followed.
    announced = re.findall(r"^(?:New file `|In `[^`]+`, (?:after|before|take)|```console\n)", text,
                           re.M)
    if len(announced) != len(steps):
        wrong += 1
        print(f"{page}: {len(announced)} steps are announced, {len(steps)} understood")
    return taken, wrong


def main():
    copy_tree()
    failed = 0
    for page in PAGES:
        taken, wrong = follow(page)
        print(f"{page}: {taken - wrong} steps as documented, {wrong} not")
        failed += wrong or not taken
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
