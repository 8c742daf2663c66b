#!/usr/bin/env python3
"""net2c explain: every code that the compiler can print is in the table and the other way round,
and the examples of a model's codes fail with just that code and pass when done right.

Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = os.environ.get("NET2C", "build/net2c")
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", "build/test_codes"))
SECTIONS = {"net2c": "net2c: 1", "name": "name: t", "inputs": "inputs: {x: {shape: [N, 4, 8, 8]}}",
            "network": "network: [relu]"}
failures = []


def run(*args):
    return subprocess.run([NET2C, *args], capture_output=True, text=True)


def codes_in_sources():
    found = set()
    for path in (ROOT / "compiler").rglob("*.[ch]"):
        found |= set(re.findall(r'"(E\d{4})"', path.read_text()))
    return found


def model_of(example):
    """Layers become the network; sections take the place of the usual ones."""
    for word, character in (("<newline>", "\n"), ("<tab>", "\t"), ("<07>", "\a")):
        example = example.replace(word, character)
    text = example if not example.startswith("- ") else "network:\n" + example
    rest = [line for key, line in SECTIONS.items() if not re.search(f"^{key}:", text, re.M)]
    return "\n".join(rest + [text]) + "\n"


def codes_of(example):
    path = FOLDER / "model.yaml"
    path.write_text(model_of(example))
    result = run("check", str(path), "--json")
    found = [m["code"] for m in json.loads(result.stdout) if m["severity"] == "error"]
    if (result.returncode == 0) != (not found):
        failures.append(f"status {result.returncode} with errors {found}")
    return found


def is_model(code, example):
    return re.match("E0[3467]", code) and code != "E0312" and "..." not in example and \
        re.match("- |(net2c|name|params|inputs|outputs|weights|blocks|network|check|preprocess):",
                 example)


def check_code(code):
    result = run("explain", code)
    if result.returncode != 0 or not result.stdout.startswith(code + ": "):
        failures.append(f"explain {code}: {result.stdout}{result.stderr}")
        return 0
    found = dict(re.findall(r"^(wrong|right): (.*(?:\n {7}.*)*)", result.stdout, re.M))
    found = {key: text.replace("\n       ", "\n") for key, text in found.items()}
    if not is_model(code, found.get("wrong", "")):
        return 0
    if set(codes_of(found["wrong"])) != {code}:
        failures.append(f"{code}: the wrong example gives {codes_of(found['wrong'])}")
    if codes_of(found["right"]):
        failures.append(f"{code}: the right example gives {codes_of(found['right'])}")
    return 1


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    listed = [line.split()[0] for line in run("explain").stdout.splitlines()]
    if len(listed) != len(set(listed)) or listed[:1] != ["E0001"]:
        failures.append("a code is listed twice, or none is")
    for code in sorted(codes_in_sources() ^ set(listed)):
        failures.append(f"{code} is " + ("in codes.def only" if code in listed else
                                         "not in compiler/driver/codes.def"))
    examples = sum(check_code(code) for code in listed)
    near = run("explain", "E04100")
    if near.returncode != 1 or "E0410" not in near.stderr:
        failures.append("no nearest code: " + near.stderr)
    for failure in failures:
        print("FAIL:", failure)
    print(f"codes: {len(listed)} codes, {examples} examples run, {len(failures)} failures")
    return 1 if failures or examples < 60 else 0


if __name__ == "__main__":
    sys.exit(main())
