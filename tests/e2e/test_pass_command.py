#!/usr/bin/env python3
"""--pass-cmd: a program as a pass on graphs or kernels. What it prints is compiled, into the same
bytes each time; a wrong pass is found; and whatever a program does instead of its work, there is a
message with its code and status, no output file, and no process.

Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from checks import check, report

NET2C = os.environ.get("NET2C", "build/net2c")
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", "build/test_pass_command")).resolve()
MODEL, LARGE, WEIGHTS = FOLDER / "net.yaml", FOLDER / "large.yaml", FOLDER / "w.safetensors"
TEXT = """net2c: 1
name: net
inputs: {x: {shape: [N, 3, 12, 12]}}
network:
  - conv: {out: 4, kernel: 3}
  - relu: {name: a}
  - maxpool: {kernel: 2}
  - relu: {name: b}
  - conv: {out: 4, kernel: 3}
  - relu: {name: y}
"""
DROP = "examples/passes/drop_relu.py"


def script(name, text):
    path = FOLDER / name
    path.write_text("#!/bin/sh\n" + text + "\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def net2c(verb, command, *args, model=MODEL):
    """args with the command, unless it is None, on a model."""
    passes = [] if command is None else [f"--pass-cmd={command}"]
    return subprocess.run([NET2C, verb, str(model), *passes, *args], capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, timeout=120, check=False)


def graph(command, *args, model=MODEL):
    return net2c("opt", command, "--stop-after=narrow-weights", *args, model=model)


def expect(result, status, words, what):
    check(result.returncode == status and all(w in result.stderr for w in words),
          f"{what}: status {result.returncode}, not {status} with {words}: {result.stderr[:500]}")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def child_ends(path, what):
    """The process whose number stands in the file has been killed, or is about to be gone."""
    end = time.monotonic() + 5
    pid = path.read_text().strip()
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.01)
    check(pid and not is_running(pid), f"{what}: process {pid} is left")


def compile_files(command, name, *args):
    out = FOLDER / name
    result = net2c("compile", command, "-w", str(WEIGHTS), "-o", str(out / "net"), "--isa=scalar",
                   *args)
    files = {p.name: p.read_bytes() for p in out.glob("*")} if out.exists() else {}
    return result, files


# ---- programs that do their work ---------------------------------------------------------------
def check_good():
    plain = graph(None).stdout
    check(plain and graph("cat").stdout == plain, "cat leaves the graph as it was")
    check(graph("cat", model=LARGE).stdout == graph(None, model=LARGE).stdout, "a large graph")
    constant = FOLDER / "constant.yaml"
    constant.write_text(graph("cat", model=LARGE).stdout, encoding="utf-8")
    check(graph(f"cat {constant}", model=LARGE).stdout == constant.read_text(encoding="utf-8"),
          "a program that prints without reading")
    first, files = compile_files("grep -v */", "first")
    expect(first, 0, [], "compile")
    check(len(files) == 4 and compile_files("grep -v */", "second")[1] == files, "the same bytes")
    check(b"--pass-cmd='grep -v *" in files["net.c"], "the command stands in the file")
    expect(net2c("verify", "grep -v */", "-w", str(WEIGHTS)), 0, [], "a comment's end in a command")
    twice = graph(script("one.sh", "sed 's/name: b,/name: c,/; s/.b.,/[c],/'"),
                  "--pass-cmd=" + script("two.sh", "grep -q 'name: c,' && exit 7; cat"))
    expect(twice, 1, ["status 7"], "the second command gets what the first has printed")


def check_place():
    for args, groups in (((), True), (("--pass-cmd-after=graph-dce",), False),
                         (("--disable-pass=narrow-weights",), True),
                         (("--passes=use-winograd",), False)):
        result = net2c("opt", f"tee {FOLDER}/seen", "--emit=graph", *args)
        seen = (FOLDER / "seen").read_text(encoding="utf-8")
        check(result.returncode == 0 and ("group:" in seen) == groups and "algo:" not in seen,
              f"place with {args}: {seen}")
    result = net2c("opt", "false", "--stop-after=fuse-layers")
    expect(result, 0, [], "--stop-after a pass before it")
    result = net2c("opt", "cat", "--time-passes")
    names = [line.split(" ms  ")[1] for line in result.stderr.splitlines()]
    check(names[names.index("narrow-weights"):][:3] == ["narrow-weights", "cat", "use-winograd"] and
          "lowering" in names and names[-1] == "reuse-buffers", f"--time-passes: {names}")
    expect(net2c("opt", "cat", "--pass-cmd-after=prepack"), 2, ["E0007"], "behind a module pass")
    expect(net2c("opt", "cat", "--pass-cmd-after=tiel"), 2, ["E0001", "'tile'"], "behind nothing")
    expect(net2c("opt", None, "--pass-cmd-after=graph-dce"), 2, ["E0004"], "a place for nothing")
    expect(net2c("opt", " "), 2, ["E0003"], "no program")


def check_example():
    after = ("--pass-cmd-after=graph-dce",)
    try:
        subprocess.run([DROP], input="network: []", capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        check("No module named 'yaml'" in error.stderr, error.stderr)
        print("skipped: the example needs python3-yaml")
        return
    result = graph(DROP, *after)
    check("name: b," not in result.stdout and result.stdout.count("relu:") == 2,
          f"the relu of what is positive goes: {result.stdout}{result.stderr}")
    expect(net2c("opt", DROP, *after, "--verify-text", "--verify-each=exec"), 0, [], "its results")
    expect(net2c("verify", DROP, *after, "-w", str(WEIGHTS)), 0, [], "its code")


KERNEL_PASSES = ("tile", "split-border", "apply-layout", "vectorize", "unroll", "scalarize",
                 "expand-math", "loop-cse", "hoist", "loop-simplify")


def check_kernels():
    """Behind a pass on kernels the program gets these, one by one, for each instruction set."""
    plain = net2c("opt", None, "--isa=avx2").stdout
    for after in KERNEL_PASSES:
        result = net2c("opt", "cat", f"--pass-cmd-after={after}", "--isa=avx2", "--verify-text",
                       "--verify-each=exec")
        check(result.stdout == plain, f"cat behind {after}: {result.stderr}")
    seen = FOLDER / "kernels"
    result, files = compile_files(f"tee -a {seen}", "through", "--pass-cmd-after=unroll",
                                  "--isa=avx2", "--batch=2")
    names = [line.split("(")[0] for line in seen.read_text(encoding="utf-8").splitlines()
             if line.startswith("kernel ")]
    check(len(names) == 2 * len(set(names)) and "kernel y.avx2" not in names and
          any(n.endswith(".avx2") for n in names), f"for each row and batch: {names}")
    plain_files = compile_files(None, "plain", "--isa=avx2", "--batch=2")[1]
    lines = set(plain_files["net.c"].splitlines()) - set(files["net.c"].splitlines())
    check(result.returncode == 0 and len(lines) < 4, f"the same code but for the command: {lines}")
    half = script("half.sh", "sed 's/0x0p+0)/0x1p-1)/'")
    result = net2c("opt", half, "--pass-cmd-after=tile", "--verify-each=exec")
    expect(result, 70, ["E0972", "pass-cmd"], "--verify-each=exec finds a wrong pass")
    for what, command, words in (
            ("another name", "sed 's/^kernel /kernel z/'", ["E0134", "name or the buffers"]),
            ("another type", "sed 's/out y: f32/out y: f64/'", ["E0"]),
            ("another shape", "sed '/^kernel/,/{/s/, 10,/, 20,/'", ["E0134", "buffers"]),
            ("a graph", f"cat {MODEL}", ["E0502", "this is what the pass"]),
            ("zeros", "head -c 1000 /dev/zero", ["E0134", "text"]),
            ("half of it", "head -c 300", ["E050", " on conv1>"]),
            ("a crash", "kill -SEGV $$", ["E0132", "signal 11"]),
            ("nothing", "true", ["E0134", "nothing"]),
            ("no end", "yes", ["E0133", "4 MiB"])):
        result, files = compile_files(script("kernel.sh", command), "wrong_kernel",
                                      "--pass-cmd-after=tile")
        expect(result, 1, words, f"kernels: {what}")
        check(not files, f"kernels: {what}: {list(files)} were written")
    outside = script("outside.sh", "sed 's/oy < 10/oy < 11/'")
    expect(net2c("opt", outside, "--pass-cmd-after=split-border"), 70, ["E091", "pass-cmd"],
           "the verifier looks at kernels")


# ---- programs that do something wrong ----------------------------------------------------------
def check_wrong():
    """Graphs that are valid, but not of this network, or not right."""
    result = net2c("opt", "sed s/relu:/tanh:/", "--verify-each=exec")
    check(result.returncode != 0 and "E0972" in result.stderr and "pass-cmd" in result.stderr,
          f"--verify-each=exec finds a wrong pass: {result.stderr}")
    for what, command, code in (
            ("another name", script("name.sh", "sed 's/^name: net$/name: ten/'"), "E0134"),
            ("another output", script("output.sh", "sed 's/^outputs:.*/outputs: [b]/'"), "E0134"),
            ("another input", script("input.sh", "sed 's/ x: {shape.*/ x: {shape: [N, 3, 13, 13]}/;"
                                     "s/, expect: [^]]*]//'"), "E0134"),
            ("other weights", script("key.sh", "sed 's/path: conv2/path: conv3/'"), "E0204"),
            ("their shape", script("shape.sh", "sed '/conv1,/s/out: 4/out: 5/;"
                                   "s/N, 4, 10/N, 5, 10/; s/N, 4, 5/N, 5, 5/'"), "E0203"),
            ("an illegal layer", script("layer.sh", "sed 's/kernel: .3, 3./kernel: [99, 3]/'"),
             "E0604")):
        result, files = compile_files(command, "wrong")
        expect(result, 1, [code], what)
        check(not files, f"{what}: {list(files)} were written")


def check_misuse():
    for what, command, status, words in (
            ("missing", "./nowhere", 5, ["E0131", "./nowhere"]),
            ("not executable", str(MODEL), 5, ["E0131", "chmod"]),
            ("no interpreter", script("lost.sh", "").replace("lost.sh", "lost"), 5, ["E0131"]),
            ("a failure", script("fail.sh", "cat; exit 3"), 1, ["E0132", "status 3"]),
            ("a crash", script("crash.sh", "cat; kill -SEGV $$"), 1, ["E0132", "signal 11"]),
            ("nothing", "true", 1, ["E0134", "nothing"]),
            ("no end", "yes", 1, ["E0133", "4 MiB"]),
            ("zeros", "cat /dev/zero", 1, ["E0133", "4 MiB"]),
            ("some zeros", "head -c 1000 /dev/zero", 1, ["E0"]),
            ("noise", "head -c 100000 /dev/urandom", 1, ["E0"]),
            ("not a model", "echo hello", 1, ["E0401", "echo hello"]),
            ("half a graph", "head -c 300", 1, ["<head -c 300>"])):
        started = time.monotonic()
        result, files = compile_files(command, "misuse")
        expect(result, status, words, what)
        check(not files, f"{what}: {list(files)} were written")
        check(time.monotonic() - started < 8, f"{what}: took long")
    for command in ("head -n 3", "true", script("closed.sh", "exec 0<&-; sleep 0.2; echo x")):
        expect(graph(command, model=LARGE), 1, ["<" if command[0] != "t" else "nothing"],
               f"input that is closed early by {command}")


def check_time():
    """All at once, since each takes its ten seconds."""
    child = FOLDER / "child"
    hang = script("hang.sh", f"sleep 1000 & echo $! >{child}1; wait")
    stays = script("stays.sh", f"cat; sleep 1000 & echo $! >{child}2")
    kernel = script("kernel_hang.sh", f"cat; exec 1>&-; echo $$ >{child}4; exec sleep 1000")
    closed = script("mute.sh", f"cat; exec 1>&-; echo $$ >{child}3; exec sleep 1000")
    started = time.monotonic()
    running = [(what, subprocess.Popen([NET2C, "opt", str(MODEL), f"--pass-cmd={command}",
                                        f"--pass-cmd-after={after}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       text=True))
               for what, command, after in (("hang", hang, "graph-dce"),
                                            ("a child that stays", stays, "graph-dce"),
                                            ("an end without an end", closed, "graph-dce"),
                                            ("a hang on a kernel", kernel, "tile"))]
    for number, (what, process) in enumerate(running, 1):
        message = process.communicate(timeout=60)[1]
        check(process.returncode == 1 and "E0133" in message and "10 seconds" in message,
              f"{what}: status {process.returncode}: {message}")
        child_ends(Path(f"{child}{number}"), what)
    check(9 < time.monotonic() - started < 30, "ten seconds are ten seconds")


def check_interrupt():
    child = FOLDER / "child5"
    command = script("slow.sh", f"sleep 1000 & echo $! >{child}.new; mv {child}.new {child}; wait")
    process = subprocess.Popen([NET2C, "opt", str(MODEL), f"--pass-cmd={command}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 9
    while not child.exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    check(process.wait(timeout=5) == -signal.SIGTERM, "SIGTERM ends net2c")
    child_ends(child, "SIGTERM")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    MODEL.write_text(TEXT, encoding="utf-8")
    # Its text is longer than what a pipe holds.
    LARGE.write_text(TEXT.replace("  - relu: {name: y}\n", "  - relu\n" * 2000 +
                                  "  - relu: {name: y}\n"), encoding="utf-8")
    subprocess.run([NET2C, "weights", "init", str(MODEL), "-o", str(WEIGHTS), "-q"], check=True)
    for part in (check_good, check_place, check_example, check_kernels, check_wrong, check_misuse,
                 check_time, check_interrupt):
        part()
    return report("pass-cmd")


if __name__ == "__main__":
    sys.exit(main())
