#!/usr/bin/env python3
"""A signal that ends net2c ends it by that signal, with the C compiler it has started, and leaves no
temporary folder or file, neither while C is compiled nor while files are written.

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
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", "build/test_interrupt")).resolve()
TEMP, OUT = FOLDER / "tmp", FOLDER / "out"
MODEL = "models/lenet5.yaml"
WEIGHTS = "models/lenet5.safetensors"
SLOW = """#!/bin/sh
# A C compiler with a child of its own that takes long.
sleep 100 &
echo $! >{0}/child.new
mv {0}/child.new {0}/child
wait
"""


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def start(*args, ignored=None):
    before = (lambda: signal.signal(ignored, signal.SIG_IGN)) if ignored else None
    return subprocess.Popen([NET2C, *args], env={**os.environ, "TMPDIR": str(TEMP)},
                            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, preexec_fn=before)


def end_while_compiling(number):
    child = FOLDER / "child"
    child.unlink(missing_ok=True)
    net2c = start("bench", MODEL, "-w", WEIGHTS, "--isa=scalar", f"--cc={FOLDER}/slow")
    check(wait_for(child.exists), "the C compiler starts")
    pid = int(child.read_text())
    check(len(list(TEMP.iterdir())) == 2 and is_running(pid), "folders are there meanwhile")
    net2c.send_signal(number)
    check(net2c.wait(timeout=60) == -number, f"{number.name} ends net2c: {net2c.returncode}")
    check(not list(TEMP.iterdir()), f"{number.name}: nothing is left: {list(TEMP.iterdir())}")
    check(wait_for(lambda: not is_running(pid)), f"{number.name} ends the C compiler")


def end_while_writing():
    model = ("models/alexnet.yaml", "-D", "scale=2")
    weights = str(FOLDER / "w.safetensors")
    check(start("weights", "init", *model, "-o", weights).wait() == 0, "weights init")
    net2c = start("compile", *model, "-w", weights, "-o", str(OUT / "net"))
    check(wait_for(lambda: OUT.exists() and any(OUT.iterdir())), "files are being written")
    net2c.send_signal(signal.SIGTERM)
    status = net2c.wait()
    left = sorted(p.name for p in OUT.iterdir())
    whole = {"net.c", "net.h", "net.json", "net.n2w"}
    check(status in (0, -signal.SIGTERM) and whole.issuperset(left), f"{status}, left {left}")
    os.unlink(weights)


def ignored_stays_ignored():
    child = FOLDER / "child"
    child.unlink(missing_ok=True)
    net2c = start("bench", MODEL, "-w", WEIGHTS, "--isa=scalar", f"--cc={FOLDER}/slow",
                  ignored=signal.SIGHUP)
    check(wait_for(child.exists), "the C compiler starts")
    net2c.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    check(net2c.poll() is None, "nohup keeps it running")
    net2c.send_signal(signal.SIGTERM)
    check(net2c.wait(timeout=60) == -signal.SIGTERM, "SIGTERM ends it")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    TEMP.mkdir(parents=True)
    slow = FOLDER / "slow"
    slow.write_text(SLOW.format(FOLDER))
    slow.chmod(0o755)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        end_while_compiling(number)
    ignored_stays_ignored()
    end_while_writing()
    return report("interrupt")


if __name__ == "__main__":
    sys.exit(main())
