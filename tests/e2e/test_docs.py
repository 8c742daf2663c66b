#!/usr/bin/env python3
"""test_docs: every ```sh block of README.md and docs/*.md runs as written, from a root like the
repository's, and ends with status 0. Blocks of one file run in order and share what they make. What
docs/tour.md quotes stands in the model, in the generated code or in what opt prints after a pass, and
it names every source file of the compiler, those of passes by the pass. The ```console blocks of the
other pages print what they say (see test_adding_a_pass.py).

Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from test_adding_a_pass import PAGES, output_pattern

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_docs"))
OWN_TEST = {"embedding.md"}                    # test_embedding.sh runs these, on an installed net2c


def scratch_root():
    """A folder with the repository's own, except that build/ is the one under test."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in ("build", "out", ".git"):
            (FOLDER / entry.name).symlink_to(entry)
    (FOLDER / "build").symlink_to(NET2C.parent)
    (FOLDER / "out").mkdir()


def blocks(path):
    return re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def console(path):
    """The commands of a page's console blocks, each with what it prints."""
    for block in re.findall(r"^```console\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            yield part.partition("\n")[::2]


def without_spaces(text):
    return re.sub(r"\s", "", text)


def quoted_wrong(path):
    """The lines of a page's other blocks that stand nowhere, spaces and `...` apart."""
    opt = [NET2C, "opt", "models/alexnet.yaml", "--disable-pass=use-winograd"]
    pipeline = subprocess.run([NET2C, "opt", "--print-pipeline"], capture_output=True, text=True,
                              check=True).stdout
    sources = [(FOLDER / "models" / "alexnet.yaml").read_text(encoding="utf-8"),
               (FOLDER / "out" / "alexnet_gen.c").read_text(encoding="utf-8")]
    names = [line.split()[0] for line in pipeline.splitlines()[1:]]
    for stop in [["--stop-after=" + n] for n in names if n != "use-winograd"] + \
            [["--stop-after=choose-layout", "--emit=loop"]]:
        sources.append(subprocess.run(opt + stop, cwd=FOLDER, capture_output=True, text=True,
                                      check=True).stdout)
    text = without_spaces("\n".join(sources))
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(encoding="utf-8"),
                                  re.M | re.S):
        for line in block.splitlines() if kind != "sh" and "►" not in block else []:
            quoted = re.sub(r"\s# .*", "", line)
            if not all(without_spaces(part) in text for part in quoted.split("...")):
                yield line


def unnamed(path):
    """Source files that a page leaves out, and those of its list that are not there."""
    text = path.read_text(encoding="utf-8")
    files = {p.name: p for p in (ROOT / "compiler").rglob("*.c")}
    for name, file in files.items():
        word = file.stem.replace("_", "-") if "passes" in file.parts[:-2] else name
        if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text):
            yield name
    yield from set(re.findall(r"`(\w+\.c)`", text.partition("## Folders")[2])) - set(files)


def main():
    failed = ran = 0
    scratch_root()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in blocks(path) if path.name not in OWN_TEST else []:
            result = subprocess.run(["bash", "-eo", "pipefail", "-c", block], cwd=FOLDER, text=True,
                                    capture_output=True, check=False)
            ran += 1
            if result.returncode:
                failed += 1
                print(f"{path.name}: status {result.returncode} of\n{block}{result.stderr[-2000:]}")
        for command, expected in console(path) if path.name not in (*OWN_TEST, *PAGES) else []:
            result = subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=FOLDER,
                                    text=True, capture_output=True, check=False)
            ran += 1
            if result.returncode or not output_pattern(expected).fullmatch(result.stdout):
                failed += 1
                print(f"{path.name}: status {result.returncode} of\n{command}\n"
                      f"{result.stdout[-2000:]}{result.stderr[-2000:]}")
    for line in quoted_wrong(ROOT / "docs" / "tour.md"):
        failed += 1
        print(f"tour.md: what it quotes is nowhere:\n{line}")
    for name in unnamed(ROOT / "docs" / "tour.md"):
        failed += 1
        print(f"tour.md: {name} is not named, or not there")
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
