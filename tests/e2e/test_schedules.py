#!/usr/bin/env python3
"""Files of schedules: entries by hand are used and change no bit on data whose sums are exact, illegal
ones are refused where they stand, none is passed over in silence; what sched prints makes the same
code; tune writes what compile reads, goes on where it ended, and loses nothing to Ctrl-C.

Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from checks import check, report

NET2C = os.environ.get("NET2C", "build/net2c")
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", "build/test_schedules")).resolve()
MODEL = """net2c: 1
name: small
inputs:
  x: {shape: [N, 4, 8, 8]}
outputs: [y]
network:
  - conv: {name: conv1, out: 16, kernel: 3, pad: 1}
  - relu: {name: relu1}
  - flatten: {name: flat}
  - linear: {name: fc, out: 40, path: fc}
  - relu: {name: y}
"""
HAND = """# by hand: other loops outside, another order of sums
conv1 @ portable: split oc 4, pack w [d0/4, d3, d2, d1, d0%4],
    order n oy ox oc.o kx ky ic oc.i,      # columns of the kernel first
    stage at kx, vector oc.i

fc @ portable:
    split o 8, split o.i 4, pack w [d0/8, d1, d0%8],
\torder n o.o i o.i.o o.i.i, stage at i, unroll o.i.o, vector o.i.i
"""


def net2c(*args, status=0):
    result = subprocess.run([NET2C, *map(str, args)], capture_output=True, text=True,
                            env={**os.environ, "TMPDIR": str(FOLDER / "tmp"), "NO_COLOR": "1"})
    check(result.returncode == status, f"status {result.returncode}, not {status}: net2c "
          f"{' '.join(map(str, args))}\n{result.stderr}")
    return result


def write(name, text):
    path = FOLDER / name
    path.write_text(text)
    return path


def write_data(model):
    """Weights and an input of small whole numbers: sums of them have no rounding, in any order."""
    rng = random.Random(1)
    info = json.loads(net2c("weights", "ls", FOLDER / "seeded", "--json").stdout)
    header, body = {}, b""
    for t in info["tensors"]:
        shape = t["shape"]
        count = 1
        for n in shape:
            count *= n
        data = struct.pack(f"<{count}f", *(rng.randint(-3, 3) for _ in range(count)))
        header[t["key"]] = {"dtype": "F32", "shape": shape,
                             "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (FOLDER / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 8, 8), }"
    shape += " " * (-(len(shape) + 11) % 64) + "\n"
    (FOLDER / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(shape)) +
                                   shape.encode() + struct.pack(
                                       "<512f", *(rng.randint(-3, 3) for _ in range(512))))


def run(model, weights, x, *more):
    out = FOLDER / "out.npy"
    result = net2c("run", model, "-w", weights, "-i", x, "-o", out, *more)
    data = out.read_bytes()
    out.unlink()
    return data, result


def by_hand(model, weights, x):
    hand = write("hand.sched", HAND)
    usual, _ = run(model, weights, x, "--isa=portable")
    ours, result = run(model, weights, x, "--isa=portable", f"--schedule={hand}")
    check(usual == ours and len(usual) > 200, "the bits are those of the usual schedule")
    check("warning" not in result.stderr, f"no message: {result.stderr}")
    check(len(set(struct.unpack("<80f", usual[-320:]))) > 20, "and they are not all the same")
    net2c("verify", model, "-w", weights, "--isa=portable", f"--schedule={hand}")
    net2c("bench", model, "-w", weights, "--isa=portable", f"--schedule={hand}", "--runs", 1)
    loops = net2c("opt", model, "--isa=portable", f"--schedule={hand}", "--emit=loop",
                  "--verify-each=exec", "--verify-text").stdout
    for line in ("split o 8, split o.i 4, pack w [d0/8, d1, d0%8], order n o.o i o.i.o o.i.i, stage "
                 "at i, unroll o.i.o, vector o.i.i", "order n oy ox oc.o kx ky ic oc.i, stage at kx"):
        check(line in loops, f"the loops say '{line}'")
    net2c("compile", model, "-w", weights, "--isa=portable", f"--schedule={hand}", "-q", "-MD",
          "-o", FOLDER / "gen")
    text = (FOLDER / "gen.c").read_text()
    check("as the file of schedules says" in text and "kx ky ic oc.i" in re.sub(r"\s[* ]*", " ", text),
          "the generated code says whose schedule it is")
    check("hand.sched" in text and str(FOLDER) not in text, "and by which command, without a folder")
    check(str(hand) in (FOLDER / "gen.d").read_text(), "the file is a dependency")


ILLEGAL = [   # entry, code, line, column, reason
    ("fc @ portable: split o 9", "E0951", 1, 16, "split o 9 leaves"),
    ("fc @ portable:\n  split o 8,\n  order n o.o i o.i,\n  vector o.o", "E0951", 4, 3, "innermost"),
    ("fc @ portable: vector i", "E0951", 1, 16, "is a reduction"),
    ("fc @ portable: split o 8,\n    splat o.i 4", "E0952", 2, 5, "unknown verb"),
    ("fc @ portable: split q 8", "E0951", 1, 16, "no loop 'q'"),
    ("fc @ portable: order n o", "E0951", 1, 16, "order"),
    ("fc @ portable: pack v [d0]", "E0951", 1, 16, "no buffer 'v'"),
    ("fc @ portable: split o 8; nest: split o 8", "E0952", 1, 27, "unknown label"),
    ("fc @ portable: split o 8, order n o.o i o.i, stage at n,\n partial i,\n partial o.o", "E0951",
     3, 2, ""),
    ("fc @ portable: split o 8 split", "E0952", 1, 26, "tail=peel"),
    ("fc @ portable: unroll n o i", "E0956", 1, 16, "statements"),
    ("fc @ portable: split o 4, order n o.o i o.i, stage at i, vector o.i", "E0955", 1, 16,
     "contiguous"),
    ("fc @ portable:", "E0957", 1, 1, "expected"),
    ("\nfc portable: split o 8", "E0957", 2, 1, "expected"),
    ("\n\n  split o 8", "E0957", 3, 3, "no entry"),
    ("fc @ portabel: auto", "E0957", 1, 1, "unknown instruction set"),
    ("fc @ portable: auto\nfc @ portable: auto", "E0957", 2, 1, "second entry"),
    ("# ok\nfc @ portable: \a", "E0957", 2, 16, "control character"),
    ("fd @ portable: auto", "E0959", 1, 1, "no kernel is called 'fd'"),
]


def illegal(model, weights):
    for text, code, line, column, reason in ILLEGAL:
        path = write("illegal.sched", text + "\n")
        gone = FOLDER / "none"
        result = net2c("compile", model, "-w", weights, "--isa=portable", f"--schedule={path}",
                       "-o", gone, status=1)
        check(f"{path}:{line}:{column}: error: " in result.stderr and f"[{code}]" in result.stderr and
              reason in result.stderr, f"{code} at {line}:{column}, '{reason}' for {text!r}:\n"
              f"{result.stderr}")
        check("help: " in result.stderr, f"a remedy for {text!r}: {result.stderr}")
        check(not gone.with_suffix(".c").exists(), "no file is written")


def nothing_in_silence(model, weights):
    def warned(what, text, *more):
        path = write("unused.sched", text)
        result = net2c("opt", model, "--emit=loop", f"--schedule={path}", *more)
        check(f"{path}:1:1: warning: this entry is not used: {what}" in result.stderr, result.stderr)
        return result.stderr
    warned("no code is made for its instruction set", "fc @ avx2: auto\n", "--isa=portable")
    stderr = warned("no such kernel is in this network", "add(3x4, 3x4) @ portable: auto\n"
                    "add(3x5, 3x5) @ portable: auto\nfc @ portable: auto\n", "--isa=portable")
    check("nor is 1 more of this file" in stderr, stderr)
    warned("the pass 'tile' does not run", "fc @ portable: auto\n", "--isa=portable",
           "--disable-pass=tile")
    hand = FOLDER / "hand.sched"
    check("--emit=loop" in net2c("opt", model, f"--schedule={hand}", "--stop-after=fuse-layers",
                                 status=2).stderr, "graphs have no schedules")
    check("E0101" in net2c("opt", model, "--schedule=nowhere", "--emit=loop", status=1).stderr,
          "a file that is not there")


def shared_layouts(model, weights):
    """The first row decides how weights lie: another's schedule may not."""
    fc = HAND[HAND.index("fc @"):]
    path = write("other.sched", fc)
    result = net2c("compile", model, "-w", weights, "--isa=scalar,portable", f"--schedule={path}",
                   "-o", FOLDER / "none", status=1)
    check("[E0958]" in result.stderr and "on portable it lays out the weights 'w' otherwise than on "
          "scalar" in result.stderr and f"{path}:2:5: error" in result.stderr, result.stderr)
    net2c("compile", model, "-w", weights, "--isa=scalar,portable", "-o", FOLDER / "both", "-q",
          f"--schedule={write('both.sched', fc.replace('portable', 'scalar') + fc)}")
    data = [run(model, weights, FOLDER / "x.npy", "--isa=scalar,portable", f"--use-isa={isa}",
                f"--schedule={FOLDER}/both.sched")[0] for isa in ("scalar", "portable")]
    check(data[0] == data[1], "both rows read the same weights")


def without_why(text):
    return re.sub(r'\n *why "[^"]*";', "", text)


def printed():
    for model, weights, isa in (("models/lenet5.yaml", "models/lenet5.safetensors", "portable"),
                                ("models/lenet5.yaml", "models/lenet5.safetensors", "avx512"),
                                ("models/alexnet_small.yaml", None, "avx2")):
        found = net2c("sched", model, f"--isa={isa}").stdout
        path = write("printed.sched", found)
        args = ("opt", model, "--emit=loop", f"--isa={isa}")
        usual, ours = net2c(*args), net2c(*args, f"--schedule={path}")
        check(found.count("\n# ") > 20 and "warning" not in ours.stderr, f"entries: {ours.stderr}")
        check(without_why(usual.stdout) == without_why(ours.stdout) and
              usual.stdout != ours.stdout, f"{model} {isa}: what sched prints makes the same code")
    model, weights = "models/lenet5.yaml", "models/lenet5.safetensors"
    image = "models/samples/lenet5_image.npy"
    text = net2c("sched", model, "--isa=portable", "--layer=conv2").stdout
    others = re.findall(r"^# (conv2 @ portable:.*\n(?:#    .*\n)*)", text, re.M)
    check(len(others) == 12 and len(set(others)) == 12, f"{len(others)} candidates")
    usual, _ = run(model, weights, image, "--isa=portable")
    for other in others[:3]:
        path = write("other.sched", other.replace("\n#    ", "\n    "))
        ours, result = run(model, weights, image, "--isa=portable", f"--schedule={path}")
        check(ours == usual and "warning" not in result.stderr, f"candidate: {other} {result.stderr}")
    check("unknown kernel 'conv3'" in net2c("sched", model, "--layer=conv3", status=2).stderr,
          "unknown layer")
    net2c("sched", model, "--isa=avx2,scalar", status=2)


def entries(path):
    return re.findall(r"^([^#\s].*) @ portable:", path.read_text(), re.M)


def tuned():
    model, weights = "models/lenet5.yaml", "models/lenet5.safetensors"
    args = ("tune", model, "-w", weights, "--isa=portable")
    path = FOLDER / "tuned.sched"
    first = net2c(*args, "--budget=4s", "--layer=conv2,fc3", "-o", path)
    check(len(entries(path)) == 2, f"two entries: {path.read_text()}")
    check("conv2 " in first.stdout and "fc3 " in first.stdout, first.stdout)
    text = path.read_text()
    again = net2c(*args, "--budget=1s", "--layer=conv2,fc3", "-o", path)
    check(path.read_text() == text and "conv2" not in again.stdout, "they are not tried again")
    net2c(*args, "--budget=2s", "--layer=conv1,conv2", "--seed=3", "-o", path)
    check(path.read_text().startswith(text) and len(entries(path)) == 3, "it goes on")
    image = "models/samples/lenet5_image.npy"
    ours, result = run(model, weights, image, "--isa=portable", f"--schedule={path}")
    check(ours == run(model, weights, image, "--isa=portable")[0], "the bits are the same")
    check("warning" not in result.stderr, f"every entry is used: {result.stderr}")
    net2c("compile", model, "-w", weights, "--isa=portable", f"--schedule={path}", "-q", "-o",
          FOLDER / "tuned")
    for budget in ("0", "fast", "3x", "-1s"):
        check("E0003" in net2c(*args, f"--budget={budget}", "-o", path, status=2).stderr, budget)
    broken = write("broken.sched", "conv2: what?\n")
    net2c(*args, "-o", broken, status=1)
    check(broken.read_text() == "conv2: what?\n", "a file with mistakes is left as it is")


def seeded():
    """The code that is measured first is the same for the same seed, whatever the clock says."""
    kept = FOLDER / "kept.c"
    wrapper = write("cc", f"""#!/bin/sh
for word; do case $word in *.c) [ -e {kept} ] || cp "$word" {kept} ;; esac; done
exec ${{CC:-cc}} "$@"
""")
    wrapper.chmod(0o755)
    codes = []
    for seed in (1, 1, 2):
        kept.unlink(missing_ok=True)
        (FOLDER / "seed.sched").unlink(missing_ok=True)
        net2c("tune", "models/lenet5.yaml", "-w", "models/lenet5.safetensors", "--isa=portable",
              "--layer=conv2", "--budget=0.01s", f"--seed={seed}", f"--cc={wrapper}", "-o",
              FOLDER / "seed.sched")
        codes.append(re.findall(r"schedule: .*?\*/", kept.read_text(), re.S))
    check(len(codes[0]) == 12 and len(set(codes[0])) == 12, f"{len(codes[0])} are measured together")
    check(codes[0] == codes[1] and codes[0] != codes[2], "the seed decides what is tried")


def batches(model, weights):
    """An entry serves all sizes of batches."""
    hand = FOLDER / "hand.sched"
    usual, _ = run(model, weights, FOLDER / "x.npy", "--isa=portable")
    ours, _ = run(model, weights, FOLDER / "x.npy", "--isa=portable", "--batch=2,1",
                  f"--schedule={hand}")
    check(usual == ours, "two items at once")
    loops = net2c("opt", model, "--isa=portable", "--batch=2", "--emit=loop",
                  f"--schedule={hand}").stdout
    check("f32[2, 4, 8, 8]" in loops and "kx ky ic oc.i, stage at kx" in loops, loops[:300])


def interrupted():
    path = FOLDER / "cut.sched"
    process = subprocess.Popen(
        [NET2C, "tune", "models/lenet5.yaml", "-w", "models/lenet5.safetensors", "--budget=60s",
         "--isa=portable", "-o", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(FOLDER / "tmp")})
    end = time.monotonic() + 60
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    check(process.wait(timeout=60) == -signal.SIGINT, f"ended by the signal: {process.returncode}")
    check(len(entries(path)) >= 1, "it keeps what it has")
    net2c("opt", "models/lenet5.yaml", "--emit=loop", "--isa=portable", f"--schedule={path}")
    left = [p.name for p in FOLDER.iterdir() if p.name.startswith("cut.sched")]
    check(left == ["cut.sched"] and not list((FOLDER / "tmp").iterdir()), f"nothing else: {left}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "tmp").mkdir(parents=True)
    model = write("small.yaml", MODEL)
    net2c("weights", "init", model, "-o", FOLDER / "seeded")
    write_data(model)
    weights = FOLDER / "w.safetensors"
    by_hand(model, weights, FOLDER / "x.npy")
    illegal(model, weights)
    nothing_in_silence(model, weights)
    shared_layouts(model, weights)
    printed()
    batches(model, weights)
    tuned()
    seeded()
    interrupted()
    return report("schedules")


if __name__ == "__main__":
    sys.exit(main())
