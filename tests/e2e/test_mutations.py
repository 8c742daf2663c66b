#!/usr/bin/env python3
"""Models and weights files with random mistakes in them: net2c says what is wrong and ends.

Each shipped model and the header of each shipped weights file is changed at random: bits, bytes,
slices, numbers. Whatever comes out, `check`, `fmt` and `expand` (of LeNet-5 also `compile`) end
with status 0 or 1 in under two seconds of processor time and 512 MiB, without a signal, and leave no
file behind if they fail. A mutation depends on its file and number alone: `test_mutations.py lenet5.yaml 17` makes
number 17 once more and keeps the file; `test_mutations.py 1000 5000` runs numbers 1000 to 4999 of
all files. Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_mutations")).resolve()
COUNT = 200                        # mutations a file
SECONDS, BYTES = 2, 512 << 20        # seconds: half of it on an idle machine
SANITIZED = b"__asan_init" in NET2C.read_bytes()   # needs terabytes of address space, and time
NUMBERS = [b"0", b"-1", b"1.5", b"nan", b"1e999", b"65536", b"16777216", b"16777217",
           b"4294967296", b"9223372036854775807", b"9223372036854775808", b"9" * 5000]


def flip(r, text):
    i = r.randrange(len(text))
    return text[:i] + bytes([text[i] ^ 1 << r.randrange(8)]) + text[i + 1:]


def insert(r, text):
    i = r.randrange(len(text) + 1)
    return text[:i] + bytes(r.choice(b"\0\t\n []{}:,-$()*&\"'#%!|>\xff\xc3a9")
                            for _ in range(r.randint(1, 3))) + text[i:]


def delete(r, text):
    i = r.randrange(len(text))
    return text[:i] + text[i + r.randint(1, 20):]


def duplicate(r, text):
    i, k = r.randrange(len(text)), r.randrange(len(text))
    piece = text[i:i + r.randint(1, 400)]
    return text[:k] + piece * r.choice((1, 1, 2, 100)) + text[k:]


def truncate(r, text):
    return text[:r.randrange(len(text))]


def renumber(r, text):
    places = list(re.finditer(rb"\d+", text))
    if not places:
        return insert(r, text)
    place = r.choice(places)
    return text[:place.start()] + r.choice(NUMBERS) + text[place.end():]


def swap(r, text):
    words = list(re.finditer(rb"[A-Za-z_]\w*|\d+", text))
    if len(words) < 2:
        return flip(r, text)
    a, b = sorted(r.sample(words, 2), key=lambda w: w.start())
    return (text[:a.start()] + b[0] + text[a.end():b.start()] + a[0] + text[b.end():])


def mutated(name, number):
    """The file with one to three mistakes. Of weights the header changes, with its length or not."""
    r = random.Random(f"{name} {number}")
    text, data = (MODELS / name).read_bytes(), b""
    weights = name.endswith(".safetensors")
    if weights:
        end = 8 + int.from_bytes(text[:8], "little")
        start = 8 if r.random() < 0.7 else 0
        head, text, data = text[:start], text[start:end], text[end:]
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        text = r.choice((flip, insert, delete, duplicate, truncate, renumber, swap))(r, text) or b" "
    if weights and start == 8:
        return (len(text) if r.random() < 0.8 else r.getrandbits(64)).to_bytes(8, "little") \
               + text + data
    return (head + text if weights else text) + data


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(*command):
    """None, or what is wrong about how the command ended."""
    before, seconds = set(os.listdir(FOLDER)), children_seconds()
    result = subprocess.run([NET2C, *command], cwd=FOLDER, capture_output=True, timeout=60)
    seconds = children_seconds() - seconds
    made = sorted(set(os.listdir(FOLDER)) - before)
    for name in made:
        (FOLDER / name).unlink()
    if seconds > SECONDS and not SANITIZED:
        return f"takes {seconds:.1f} s"
    if result.returncode not in (0, 1):
        return f"status {result.returncode}\n{result.stderr.decode(errors='replace')[-2000:]}"
    if result.returncode == 1 and not result.stderr.startswith(b"error") and \
            b": error: " not in result.stderr:
        return "status 1 without a message"
    if result.returncode == 1 and made:
        return f"fails and leaves {made}"
    return None


def check(name, number):
    path = FOLDER / ("mutated" + Path(name).suffix)
    path.write_bytes(mutated(name, number))
    stem = Path(name).stem
    if path.suffix == ".yaml":
        files = [path.name, "-w", MODELS / "lenet5.safetensors"]
        wrong = run("check", path.name) or run("fmt", path.name) or run("expand", path.name)
    else:
        files = [MODELS / f"{stem}.yaml", "-w", path.name]
        wrong = run("check", *files)
    if not wrong and stem == "lenet5":
        wrong = run("compile", *files, "-o", "net", "--isa=scalar")
    if wrong:
        print(f"FAILED: {name} {number}: {wrong}")
    return not wrong


def main(args):
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))     # of each command too
    if args and not args[0].isdigit():
        return check(args[0], int(args[1]))
    first, end = map(int, args) if args else (0, COUNT)
    names = sorted(p.name for p in MODELS.iterdir() if p.suffix in (".yaml", ".safetensors"))
    start = time.monotonic()
    failed = sum(not check(name, number) for name in names for number in range(first, end))
    shutil.rmtree(FOLDER)
    print(f"{len(names)} files, {end - first} mutations of each: {failed} failures, "
          f"{time.monotonic() - start:.0f} s")
    return failed == 0 and len(names) >= 5


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
