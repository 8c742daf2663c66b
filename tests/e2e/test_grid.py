#!/usr/bin/env python3
"""test_grid: the exact-integer grid (grid.c) on every instruction set with gcc and clang.

usage: test_grid.py [--full]

Without --full, a cover: every shape once with gcc and once with clang, on two instruction sets that
neighbours in a sweep do not share, so that every kind of shape meets every pair of instruction
set and compiler; some shapes also on the further instruction sets of a file, whose layouts are
those of the first. With --full, every shape with all of them: half an hour on two cores.
Fails if fewer shapes, instruction sets or compilers were seen than this machine allows for.

Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
GRID = NET2C.parent / "tests" / "grid"
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_grid")).resolve()

ROWS = ("avx512", "avx2", "sse4", "portable", "scalar")
FURTHER = (("avx512,avx2", "avx2"), ("avx2,avx512", "avx512"), ("avx512,portable", "portable"),
           ("sse4,scalar", "scalar"), ("scalar,sse4", "sse4"))
COMPILERS = ("gcc", "clang")
LEAST_SHAPES = 2300


class Job:
    """One run of grid: a part of the shapes on one instruction set with one compiler."""

    def __init__(self, part, parts, compiler, row, first=None):
        self.part, self.compiler, self.row = f"{part}/{parts}", compiler, row
        self.is_further, self.files = first is not None, (first, row)
        # -O1 here and there: faster to compile, and another view of the same code
        flags = "-O1" if part % 2 else "-O2"
        self.options = [f"--isa={first or row}", f"--cc={compiler}", f"--cflags={flags}"]
        if first:
            self.options += [f"--use-isa={row}", "--threads=2"]
        self.name = f"{compiler}-{first or row}-{row}-{part}of{parts}"
        self.status, self.shapes, self.all_shapes, self.elements = None, 0, 0, 0

    def run(self):
        folder = FOLDER / self.name
        result = subprocess.run([GRID, NET2C, folder, f"--part={self.part}", *self.options, "-q"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.status = result.returncode
        counts = re.search(r"grid: (\d+) of (\d+) shapes, (\d+) elements", result.stdout)
        if counts:
            self.shapes, self.all_shapes, self.elements = map(int, counts.groups())
        if self.status == 0:
            shutil.rmtree(folder)       # many small files
        elif self.status != 77:
            print(f"FAILED: {self.name}\n{result.stdout}", flush=True)
        return self


def cover():
    jobs, n = [], len(ROWS)
    for part in range(2 * n):
        jobs.append(Job(part, 2 * n, "gcc", ROWS[part % n]))
        jobs.append(Job(part, 2 * n, "clang", ROWS[(part + 2) % n]))
    for part in range(2 * n):
        first, row = FURTHER[part % n]
        jobs.append(Job(part, 8 * n, COMPILERS[part // n], row, first))
    return jobs


def full_product():
    parts = 6
    return [Job(part, parts, compiler, row, first) for part in range(parts)
            for compiler in COMPILERS for first, row in (*((None, row) for row in ROWS), *FURTHER)]


def report(jobs):
    """Prints what was seen; true if it is all that this machine allows for."""
    done = [job for job in jobs if job.status == 0]
    missing = {job.row for job in jobs if job.status == 77}
    for row in ROWS:
        if row in missing:
            print(f"{row}: skipped, this CPU lacks it")
    further = {job.files for job in done if job.is_further}
    pairs = {(job.row, job.compiler) for job in done if not job.is_further}
    seen = {(job.part, job.shapes) for job in done if not job.is_further}
    n_seen, n_all = sum(n for _, n in seen), max((job.all_shapes for job in done), default=0)
    print(f"grid: {n_seen} of {n_all} shapes, {len(pairs)} pairs of instruction set and compiler, "
          f"{len(further)} further instruction sets of a file; "
          f"{sum(job.shapes for job in done)} comparisons of {sum(job.elements for job in done)} "
          f"elements; {sum(job.status not in (0, 77) for job in jobs)} runs failed")
    wanted = (len(ROWS) - len(missing)) * len(COMPILERS)
    return n_seen == n_all >= LEAST_SHAPES and len(pairs) == wanted


def main():
    if any(not shutil.which(compiler) for compiler in COMPILERS):
        print("skipped: gcc or clang is missing")
        return 77
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    is_full = "--full" in sys.argv[1:]
    jobs = full_product() if is_full else cover()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for n, job in enumerate(pool.map(Job.run, jobs), 1):
            if is_full:         # a sign of life
                print(f"{n} of {len(jobs)}: {job.name}, {job.shapes} shapes", flush=True)
    enough = report(jobs)
    return 0 if enough and all(job.status in (0, 77) for job in jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
