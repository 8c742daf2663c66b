#!/usr/bin/env python3
"""test_docs: every ```sh block of README.md and docs/*.md runs as written, from a root like the
repository's, and ends with status 0. Blocks of one file run in order and share what they make.

Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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


def blocks(path):
    return re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


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
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
