#!/usr/bin/env python3
"""What `net2c compile` promises about its files.

Figures, on the full AlexNet: seconds and peak memory of the compiler, bytes of C, seconds of gcc.
Quality, per instruction set and for several in a file: no warning from gcc or clang as strict C99
and C11 and as C++17, no symbol needed beyond the C library's memory functions, no writable data.
Reproducibility: the same bytes in another folder, locale and time zone. The blob: a truncated,
extended, changed or foreign one is refused.
Standard library only. Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = os.environ.get("NET2C", str(ROOT / "build" / "net2c"))
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_generated"))
INCLUDE = ROOT / "runtime" / "include"

COMPILE_SECONDS, GCC_SECONDS = 3.0, 15.0
MEMORY_FACTOR = 1.5
SOURCE_BYTES = 300 * 1024
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
OTHER_LANGUAGES = (["gcc", "-std=c11"], ["clang", "-std=c11"], ["g++", "-std=c++17", "-xc++"],
                   ["clang++", "-std=c++17", "-xc++"])
MAY_NEED = {"memcpy", "memset", "memmove", "memcmp"}
ROWS = ("avx512", "avx2", "sse4", "portable", "scalar", "avx512,avx2,portable", "sse4,scalar",
        "avx512,scalar", "scalar,sse4")

failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def execute(command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def must(command, **options):
    result = execute(command, **options)
    if result.returncode:
        sys.exit(f"status {result.returncode}: {' '.join(map(str, command))}\n{result.stderr}")
    return result.stdout


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_bytes(command):
    """Runs the command; its processor seconds and peak resident bytes."""
    process = subprocess.Popen([str(c) for c in command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(status == 0, f"compile ends with status 0, not {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def seeded_weights(network):
    weights = FOLDER / f"{network}.safetensors"
    must([NET2C, "weights", "init", ROOT / "models" / f"{network}.yaml", "--seed", "1",
          "-o", weights])
    return weights


def compile_network(network, weights, base, *options, **environment):
    base.parent.mkdir(parents=True, exist_ok=True)
    must([NET2C, "compile", ROOT / "models" / f"{network}.yaml", "-w", weights, "-o", base,
          *options], env={**os.environ, **environment})
    return base


def check_figures():
    weights = seeded_weights("alexnet")
    base = FOLDER / "full" / "alexnet_gen"
    base.parent.mkdir(exist_ok=True)
    seconds, memory = peak_bytes([NET2C, "compile", ROOT / "models" / "alexnet.yaml", "-w", weights,
                                  "-o", base, "--isa=avx512"])
    factor = memory / weights.stat().st_size
    size = base.with_suffix(".c").stat().st_size
    before = children_seconds()
    must(["gcc", "-O2", f"-I{INCLUDE}", "-c", base.with_suffix(".c"), "-o", FOLDER / "full.o"])
    gcc = children_seconds() - before
    print(f"alexnet: compiled in {seconds:.2f} s, peak memory {factor:.2f} x weights, "
          f"{size} bytes of C, gcc -O2 {gcc:.1f} s")
    expect(seconds < COMPILE_SECONDS, f"compiling takes under {COMPILE_SECONDS} s")
    expect(factor < MEMORY_FACTOR, f"peak memory is under {MEMORY_FACTOR} x the weights")
    expect(size <= SOURCE_BYTES, f"at most {SOURCE_BYTES} bytes of C a row")
    expect(gcc < GCC_SECONDS, f"gcc takes under {GCC_SECONDS} s")
    for path in (weights, base.with_suffix(".n2w")):
        path.unlink()


def check_languages(base):
    """No warning as C11 and C++ either."""
    for compiler in OTHER_LANGUAGES:
        result = execute([*compiler, *WARNINGS, f"-I{INCLUDE}", "-fsyntax-only",
                          base.with_suffix(".c")])
        expect(result.returncode == 0, f"{base.name} {base.parent.name} {' '.join(compiler)}: "
               f"no warning\n{result.stderr[:2000]}")


def check_object(compiler, base):
    """No warning, nothing needed, nothing writable."""
    name, target = f"{base.name} {base.parent.name} {compiler}", FOLDER / "object.o"
    result = execute([compiler, "-std=c99", *WARNINGS, "-O2", f"-I{INCLUDE}", "-c",
                      base.with_suffix(".c"), "-o", target])
    expect(result.returncode == 0, f"{name}: no warning\n{result.stderr[:2000]}")
    if result.returncode:
        return
    needed = {line.split()[-1] for line in must(["nm", "-u", target]).splitlines() if line.strip()}
    expect(needed <= MAY_NEED | {"_GLOBAL_OFFSET_TABLE_"},
           f"{name}: needs only memory functions, not {sorted(needed - MAY_NEED)}")
    # .data.rel.ro holds constants with addresses: read-only once they are relocated
    writable = [line for line in must(["objdump", "-t", target]).splitlines()
                if " O " in line and any(f" {section}" in line for section in (".data", ".bss", "*COM*"))
                and ".data.rel.ro" not in line]
    expect(not writable, f"{name}: no writable data: {writable}")


def check_quality(weights):
    for row in ROWS:
        base = compile_network("alexnet_small", weights, FOLDER / row / "alexnet_small_gen",
                               f"--isa={row}")
        for compiler in ("gcc", "clang"):
            check_object(compiler, base)
        check_languages(base)
    header = '#include "alexnet_small_gen.h"\nint main() { return ALEXNET_SMALL_MAX_BATCH - 1; }\n'
    (FOLDER / "header.cpp").write_text(header)
    result = execute(["clang", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                      f"-I{FOLDER / ROWS[0]}", f"-I{INCLUDE}", FOLDER / "header.cpp"])
    expect(result.returncode == 0, f"the header is C++ too\n{result.stderr[:2000]}")
    print(f"alexnet_small: warnings, symbols and data checked for {', '.join(ROWS)}")


def check_reproducible(weights):
    environments = ({"LC_ALL": "C", "TZ": "UTC"}, {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo"})
    bases = [compile_network("alexnet_small", weights, FOLDER / f"again{i}" / "alexnet_small_gen",
                             "--isa=avx512", **e) for i, e in enumerate(environments)]
    for suffix in (".c", ".h", ".n2w", ".json"):
        first, second = (b.with_suffix(suffix).read_bytes() for b in bases)
        expect(first == second, f"{suffix} has the same bytes in another folder and locale")
    print("alexnet_small: same bytes twice")


def check_blob(weights):
    """The program refuses every blob but its own."""
    base, program = FOLDER / "scalar" / "alexnet_small_gen", FOLDER / "run_generated"
    must(["gcc", "-O1", "-DNET=alexnet_small", '-DNET_HEADER="alexnet_small_gen.h"',
          f"-I{base.parent}", f"-I{INCLUDE}", ROOT / "bench" / "run_generated.c",
          base.with_suffix(".c"), *sorted((ROOT / "runtime").glob("*.c")), "-o", program])
    blob = base.with_suffix(".n2w").read_bytes()
    other = compile_network("alexnet_small", weights, FOLDER / "other" / "alexnet_small_gen",
                            "--isa=scalar", "--disable-pass=fuse-layers")
    changed = {f"byte {i} changed": blob[:i] + bytes([blob[i] ^ 1]) + blob[i + 1:]
               for i in (0, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80)}
    changed |= {"its last byte missing": blob[:-1], "eight bytes more": blob + bytes(8),
                "its header only": blob[:64], "nothing": b"",
                "other options": other.with_suffix(".n2w").read_bytes()}
    expect(run_with(program, blob) == 0, "the program accepts its own blob")
    for what, data in changed.items():
        status = run_with(program, data)
        expect(status == 1, f"a blob with {what} is refused (status 1), not status {status}")
    print(f"alexnet_small: {len(changed)} wrong blobs refused")


def run_with(program, data):
    path = FOLDER / "blob.n2w"
    path.write_bytes(data)
    return execute([program, path], stdin=subprocess.DEVNULL).returncode


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    weights = seeded_weights("alexnet_small")
    check_quality(weights)
    check_reproducible(weights)
    check_blob(weights)
    check_figures()
    print(f"generated code: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
