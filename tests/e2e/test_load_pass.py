#!/usr/bin/env python3
"""--load-pass: passes in shared libraries, built with the headers of the build alone. They run at
their place, under their name, in every verb; and whatever a library is instead of a pass, there is
a message with its code and status, and no output file.

Environment: NET2C, NET2C_TEST_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from checks import check, report

NET2C = Path(os.environ.get("NET2C", "build/net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", "build/test_load_pass")).resolve()
MODEL, WEIGHTS = FOLDER / "net.yaml", FOLDER / "w.safetensors"
EXAMPLES = Path("examples/passes").resolve()
INCLUDE = NET2C.parent / "include"
STRICT = ("-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef "
          "-Wdouble-promotion -Werror").split()
CC = os.environ.get("CC", "cc").split()
TEXT = """net2c: 1
name: net
inputs: {x: {shape: [N, 3, 12, 12]}}
network:
  - conv: {name: a, out: 4, kernel: 3}
  - maxpool: {name: b, kernel: 1}
  - relu: {name: c}
  - avgpool: {name: y, kernel: 1}
"""
PASS = """#include <net2c/plugin.h>
static PassResult f(PassCx *pc, %s *ir) { (void)pc; (void)ir; %s }
const net2c_plugin net2c_plugin_v1 = {%s};
"""


def build(name, source, *options):
    """A library from a C text or file."""
    if isinstance(source, str):
        (FOLDER / f"{name}.c").write_text(source, encoding="utf-8")
        source = FOLDER / f"{name}.c"
    library = FOLDER / f"{name}.so"
    result = subprocess.run([*CC, "-std=c11", "-shared", "-fPIC", *options, f"-I{INCLUDE}",
                             str(source), "-o", str(library)], capture_output=True, text=True,
                            check=False)
    check(result.returncode == 0 and not result.stderr, f"building {name}: {result.stderr}")
    return str(library)


def plugin(own_name, ir="Graph", body="return PASS_UNCHANGED;", **fields):
    """One that does what body says; fields override what it should say about itself."""
    own = {"abi": "NET2C_PLUGIN_ABI", "name": f'"{own_name}"', ir.lower(): "f",
           "after": '"graph-dce"'} | fields
    return build(own_name, PASS % (ir, body, ", ".join(f".{k} = {v}" for k, v in own.items())))


def net2c(verb, libraries, *args, model=MODEL, cwd=None):
    return subprocess.run([NET2C, verb, str(model), *[f"--load-pass={p}" for p in libraries], *args],
                          capture_output=True, text=True, errors="replace", cwd=cwd,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)


def expect(result, status, words, what):
    check(result.returncode == status and all(w in result.stderr for w in words),
          f"{what}: status {result.returncode}, not {status} with {words}: {result.stderr[:800]}")


def compile_files(libraries, name):
    out = FOLDER / name
    result = net2c("compile", libraries, "-w", str(WEIGHTS), "-o", str(out / "net"),
                   "--isa=avx2,scalar", "--batch=2")
    files = {p.name: p.read_bytes() for p in out.glob("*")} if out.exists() else {}
    return result, files


# ---- passes that do their work -----------------------------------------------------------------
def check_examples():
    drop = build("drop", EXAMPLES / "drop_unit_pool.c", "-O2", *STRICT)
    note = build("note", EXAMPLES / "note_turns.c", "-O2", *STRICT)
    result = net2c("opt", [drop], "--stop-after=drop-unit-pool")
    check("maxpool" not in result.stdout and "avgpool" in result.stdout,
          f"the unit pool goes, the output stays: {result.stdout}{result.stderr}")
    expect(net2c("opt", [drop, note], "--verify-text", "--verify-each=exec"), 0, [], "results stay")
    expect(net2c("verify", [drop, note], "-w", str(WEIGHTS)), 0, [], "their code")
    expect(net2c("run", [drop, note], "-w", str(WEIGHTS), "-i", str(FOLDER / "nowhere.npy"),
                 "--top=1"), 1,
           ["E0101"], "run takes them")
    result = net2c("bench", [drop, note], "-w", str(WEIGHTS), "--isa=scalar", "--runs=2",
                   "--ablate", "--json", "--disable-pass=tile,hoist,loop-cse,reuse-buffers")
    check('"drop-unit-pool"' in result.stdout and '"note-turns"' in result.stdout,
          f"each can be left out: {result.stdout}{result.stderr}")
    first, files = compile_files([drop, note], "first")
    expect(first, 0, [], "compile")
    check(len(files) == 4 and compile_files([drop, note], "second")[1] == files, "the same bytes")
    check(re.search(rb"--load-pass=drop\.so --load-pass=note\.so", files["net.c"]) and
          b" turns" in files["net.c"], "the libraries' names and the note stand in the file")
    (FOLDER / "folder").mkdir()
    shutil.copy(drop, FOLDER / "folder" / "mine.so")
    expect(net2c("opt", ["mine.so"], cwd=FOLDER / "folder"), 0, [], "a file in this folder")


def check_place():
    early = plugin("early", after='"fold-dropout"')
    late = plugin("late", after='"fold-dropout"', why='"because"')
    naive = plugin("naive", "Kernel", after='"choose-layout"')
    end = plugin("end", "Module", after='"reuse-buffers"')
    everything = [naive, late, end, early]
    result = net2c("opt", everything, "--print-pipeline")
    names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    check(names[:4] == ["fold-dropout", "late", "early", "graph-dce"] and names[-1] == "end" and
          names[names.index("naive"):][1] == "tile" and "because" in result.stdout,
          f"--print-pipeline: {result.stdout}{result.stderr}")
    result = net2c("opt", everything, "--time-passes", "--print-after=late,naive,end")
    timed = [line.split(" ms  ")[1] for line in result.stderr.splitlines()]
    check([n for n in timed if n != "lowering"] == names, f"--time-passes: {timed}")
    printed = re.findall("^# after (.*)$", result.stdout, re.M)
    check(set(printed) == {"late", "naive", "end"}, f"--print-after: {printed}")
    expect(net2c("opt", everything, "--print-after=nobody"), 2, ["E0001", "early"], "unknown name")
    for args, expected in (
            (("--stop-after=late",), ["fold-dropout", "late"]),
            (("--stop-after=fold-dropout",), ["fold-dropout", "late", "early"]),
            (("--passes=early,graph-dce",), ["early", "late", "graph-dce", "naive", "end"]),
            (("--passes=end",), ["late", "early", "naive", "end"])):
        result = net2c("opt", everything, *args, "--print-pipeline")
        names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
        check(names == expected, f"{args}: {names}{result.stderr}")
    bad = plugin("bad", body="return PASS_CHANGED;")
    expect(net2c("opt", [bad]), 70, ["E0921", "'bad'"], "a lie")
    expect(net2c("opt", [bad], "--disable-pass=bad"), 0, [], "--disable-pass")
    failed = plugin("failed", body='diag_error(pc->cx->diags, NO_PLACE, "E0134", "not today"); '
                    "return PASS_FAILED;")
    expect(net2c("opt", [failed]), 1, ["not today"], "a failure that it reports")


def number_with(what, path, before, after):
    """NET2C_PLUGIN_ABI of the headers with a change in one of them."""
    tree = FOLDER / what
    shutil.copytree("compiler", tree / "compiler")
    text = (tree / "compiler" / path).read_text(encoding="utf-8")
    check(before in text, f"no '{before}' in {path}")
    (tree / "compiler" / path).write_text(text.replace(before, after, 1), encoding="utf-8")
    subprocess.run(["cmake", "-Wno-dev", f"-DPROJECT_SOURCE_DIR={tree}",
                    f"-DPROJECT_BINARY_DIR={tree}", "-P", "cmake/plugin_headers.cmake"], check=True)
    return (tree / "include" / "net2c" / "abi.h").read_text(encoding="utf-8")


def check_number():
    here = (INCLUDE / "net2c" / "abi.h").read_text(encoding="utf-8")
    check(number_with("comment", "graph/graph.h", "/* graph: ", "/* the graph: ") == here,
          "a comment is no change")
    check(number_with("field", "graph/graph.h", "    int n_in;\n", "    long n_in;\n") != here,
          "a field's type is one")
    check(number_with("order", "loop/loop.h", "STMT_FOR, STMT_IF,", "STMT_IF, STMT_FOR,") != here,
          "so are numbers of names")


# ---- what is no pass ---------------------------------------------------------------------------
def check_misuse():
    empty = FOLDER / "empty.so"
    empty.write_bytes(b"")
    broken = FOLDER / "broken.so"
    broken.write_bytes(Path(plugin("whole")).read_bytes()[:2000])
    good = plugin("good")
    for what, library, code, words in (
            ("missing", "nowhere.so", "E0101", []),
            ("a folder", str(FOLDER), "E0102", []),
            ("a device", "/dev/zero", "E0102", []),
            ("a text", str(MODEL), "E0135", []),
            ("an empty file", str(empty), "E0135", []),
            ("no symbol", build("other", "int net2c_plugin_v2;"), "E0135", ["net2c_plugin_v1"]),
            ("a missing function", build("lost", "void lost(void); void f(void);"
                                         "void (*p)(void) = lost; int net2c_plugin_v1;"), "E0135",
             ["lost"]),
            ("a function", build("code", "int net2c_plugin_v1(void) { return 3; }"), "E0136", []),
            ("zeros", build("zeros", "long net2c_plugin_v1[16];"), "E0136", ["another net2c"]),
            ("another number", plugin("old", abi="NET2C_PLUGIN_ABI + 1"), "E0136", []),
            ("no name", plugin("unnamed", name="0"), "E0137", ["a name"]),
            ("an empty name", plugin("short", name='""'), "E0137", ["a name"]),
            ("a name with a comma", plugin("comma", name='"a,b"'), "E0137", ["a name"]),
            ("a name that is taken", plugin("tile"), "E0137", ["of its own"]),
            ("the programs' name", plugin("pass-cmd"), "E0137", ["of its own"]),
            ("all", plugin("all"), "E0137", ["of its own"]),
            ("no function", plugin("idle", graph="0"), "E0137", ["one function"]),
            ("two functions", plugin("two", kernel="(KernelPass)(void (*)(void))f"), "E0137",
             ["one function"]),
            ("no place", plugin("lost-place", after="0"), "E0137", ["behind"]),
            ("no such place", plugin("nowhere", after='"tiel"'), "E0137", ["behind"]),
            ("behind itself", plugin("self", after='"self"'), "E0137", ["behind"]),
            ("a place of another kind", plugin("late", after='"tile"'), "E0137", ["same kind"]),
            ("too early", plugin("soon", "Kernel", after='"graph-dce"'), "E0137", ["same kind"])):
        result, files = compile_files([library], "misuse")
        expect(result, 1, [code, *words], what)
        check(not files, f"{what}: {list(files)} were written")
    for body in ("*(volatile int *)0 = 1;", "__builtin_trap();"):
        result, files = compile_files([plugin("crash", body=body + " return PASS_CHANGED;")],
                                      "misuse")
        check(result.returncode < 0 and "net2c: crash (crashed)" in result.stderr and not files,
              f"a crash: {result.returncode} {result.stderr} {list(files)}")
    expect(net2c("opt", [good, good]), 1, ["E0137", "of its own"], "twice")
    result, files = compile_files([str(broken)], "misuse")
    expect(result, 5, ["cut off"], "half a library")
    check(not files, f"half a library: {list(files)} were written")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    MODEL.write_text(TEXT, encoding="utf-8")
    subprocess.run([NET2C, "weights", "init", str(MODEL), "-o", str(WEIGHTS), "-q"], check=True)
    for part in (check_examples, check_place, check_number, check_misuse):
        part()
    return report("load-pass")


if __name__ == "__main__":
    sys.exit(main())
