#!/usr/bin/env python3
"""The rules of the tree that no compiler checks, as one test.

Include direction, size budgets, unique file names, who may name operators and instruction sets,
passes with their files and golden tests. Prints every violation as file:line: rule, then a count.
Standard library only. usage: check_structure.py [ROOT]
"""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
COMPILER = ROOT / "compiler"

FILE_LINES, FUNCTION_LINES, COLUMNS = 600, 60, 100
COMPILER_LINES, RUNTIME_LINES, PLUGIN_LINES = 29000, 700, 900
GOLDEN_PER_PASS = 3

# folder -> folders whose header it may include
MAY_INCLUDE = {
    "base": [],
    "graph": ["base"],
    "loop": ["base"],
    "target": ["base", "loop"],
    "ops": ["base", "graph", "loop"],
    "front": ["base", "graph", "ops"],
    "sched": ["base", "loop", "target"],
    "passes": ["base", "graph", "loop", "target", "ops", "sched", "lower"],
    "lower": ["base", "graph", "loop", "target", "ops", "passes", "sched"],
    "emit": ["base", "loop", "target"],
    "driver": ["base", "graph", "loop", "target", "ops", "front", "passes", "sched", "lower",
               "emit"],
    "include": ["base", "graph", "loop", "target", "ops", "passes"],
}

# What the plugin net2c_llvm.so is made of.
LLVM_FILES = ("emit_llvm.h", "jit.c")
PLUGIN_FILES = LLVM_FILES + ("emit_llvm.c", "emit_llvm_expr.c")

# Operators whose names are also plain words of C code: they say nothing about a network.
NEUTRAL = set("add sub mul div min max pow sqrt exp neg abs pad slice split clip identity".split())
# Words that are an instruction set's name, and the intrinsics' prefixes.
INSTRUCTION_SET = re.compile(
    r"\b(avx\w*|sse[0-9]?\w*|neon|sve2?|amx\w*|vnni|x86\w*|aarch64|armv[0-9]\w*|riscv\w*|"
    r"[xyz]mm\d*)\b", re.I)
INTRINSIC = re.compile(r"\b(_mm\d*_\w+|__m(64|128|256|512)[di]?|vld1q?_\w+|vfmaq_\w+)\b")
# Text that is C when it stands in a string: kernels are printed from the loop IR only.
KERNEL_TEXT = re.compile(r"\bfor \(|\bwhile \(|\bfloat \*|\bvoid \w+\(|#include|#pragma|"
                         r"\brestrict\b|\+= |\bstatic (inline|const|void)\b")
UNFINISHED = re.compile(r"\b(TODO|FIXME)\b")

violations = []


def report(path, line, text):
    violations.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def blank(match):
    """Spaces for everything but newlines, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


class Source:
    """A C file: its text, its code without comments, and its string literals."""
    TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

    def __init__(self, path):
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.split("\n")[:-1]
        self.strings = []
        for match in self.TOKEN.finditer(self.text):
            if match.group(0)[0] == '"':
                self.strings.append((self.line(match.start()), match.group(0)[1:-1]))
        self.uncommented = self.TOKEN.sub(
            lambda m: blank(m) if m.group(0)[0] == "/" else m.group(0), self.text)
        self.code = self.TOKEN.sub(blank, self.text)

    def line(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def find(self, pattern, text=None):
        for match in pattern.finditer(self.text if text is None else text):
            yield self.line(match.start()), match.group(0)


def sources(folder, *suffixes):
    return [p for p in sorted(folder.rglob("*")) if p.suffix in suffixes and p.is_file()]


def folder_of(path):
    return path.relative_to(COMPILER).parts[0]


def check_includes(source):
    """Includes point down, one header a folder."""
    folder = folder_of(source.path)
    pattern = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
    for match in pattern.finditer(source.uncommented):
        line, name = source.line(match.start()), match.group(2)
        top = name.split("/")[0] if "/" in name else folder
        if match.group(1) == "<":
            if name == "yaml.h" and source.path.name != "yaml.c":
                report(source.path, line, "yaml.h is for yaml.c only")
            if name.startswith("llvm-c/") and source.path.name not in LLVM_FILES:
                report(source.path, line, f"llvm-c is for {', '.join(LLVM_FILES)} only")
        elif top in MAY_INCLUDE and top != folder and top not in MAY_INCLUDE[folder]:
            report(source.path, line, f"{folder}/ may not include {name}")


def check_functions(source):
    """A function begins at column 0 and ends with } at column 0."""
    start = None
    for number, line in enumerate(source.code.split("\n"), 1):
        if line.startswith("{"):
            start = number
            while start > 1 and re.match(r"[^#}\s]|\s+\S", source.lines[start - 2]) and \
                    not source.lines[start - 2].rstrip().endswith((";", "*/")):
                start -= 1
        elif line.rstrip() == "}" and line[0] == "}" and start:
            if number - start + 1 > FUNCTION_LINES:
                report(source.path, start, f"function of {number - start + 1} lines, "
                                           f"{FUNCTION_LINES} are allowed")
            start = None


def check_size(source):
    if len(source.lines) > FILE_LINES:
        report(source.path, 1, f"{len(source.lines)} lines, {FILE_LINES} are allowed")
    for number, line in enumerate(source.lines, 1):
        if len(line) > COLUMNS:
            report(source.path, number, f"{len(line)} columns, {COLUMNS} are allowed")


def words_of(text):
    """Words of identifiers: pool_norm and poolNorm are pool and norm."""
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+", text)


def operators():
    table = COMPILER / "ops" / "ops.def"
    if not table.is_file():
        return set()
    names = set()
    for line in table.read_text().split("\n"):
        match = re.match(r'\s*OP\w*\(\s*"?(\w+)"?', line)
        if match:
            names.add(match.group(1))
    if not names:
        report(table, 1, "no operator found in this table")
    return names - NEUTRAL


def check_operator_names(source, names):
    """emit/ knows types, loops, loads, stores and lanes; it names no operator. What LLVM calls its
    functions is LLVM's business."""
    spoken = [(source.line(m.start()), m.group(0))
              for m in re.finditer(r"(?!LLVM)\b[A-Za-z_]\w*", source.code)] + source.strings
    for line, text in spoken:
        for name in names:
            inside = name in text.lower() if "_" in name else \
                name in (w.lower() for w in words_of(text))
            if inside:
                report(source.path, line, f"names the operator '{name}'")


def check_kernel_text(source):
    for line, text in source.strings:
        match = KERNEL_TEXT.search(text)
        if match:
            report(source.path, line, f"C code in a string: '{match.group(0)}'")


def check_words(source):
    folder = folder_of(source.path)
    if folder in ("ops", "passes", "sched", "lower"):
        for line, word in source.find(INSTRUCTION_SET):
            report(source.path, line, f"names the instruction set '{word}'")
    if folder != "target":
        for line, word in source.find(INTRINSIC, source.uncommented):
            report(source.path, line, f"names the intrinsic '{word}'")
    if folder not in ("emit", "target"):
        check_kernel_text(source)
    if folder != "base":
        for line, word in source.find(re.compile(r"\b(malloc|calloc|realloc|free)\("), source.code):
            report(source.path, line, f"{word}): memory is the arenas' business")
    if folder != "driver":
        call = re.compile(r"\b(exit|_exit|abort|printf|puts|putchar|assert)\(")
        for line, word in source.find(call, source.code):
            report(source.path, line, f"{word}) outside driver/")


def check_models(source):
    """The compiler knows no network by name."""
    names = {p.stem.lower() for p in (ROOT / "models").glob("*.yaml")} | {"alexnet"}
    for line, text in [(source.line(m.start()), m.group(0))
                       for m in re.finditer(r"[A-Za-z_]\w*", source.code)] + source.strings:
        for name in names:
            if name in text.lower():
                report(source.path, line, f"names the network '{name}'")


def check_passes():
    """One pass, one file, one name, at least three golden tests."""
    table = COMPILER / "passes" / "passes.def"
    found = re.findall(r'^(GRAPH|KERNEL|MODULE)_PASS\("([\w-]+)", (\w+),', table.read_text(), re.M)
    for _, name, function in found:
        if name.replace("-", "_") != function:
            report(table, 1, f"pass {name} is the function {function}")
        files = [p for p in sources(COMPILER / "passes", ".c") if p.stem == function]
        if len(files) != 1:
            report(table, 1, f"pass {name} has {len(files)} files named {function}.c")
        tests = [p for d in (ROOT / "tests" / "golden").glob("*/*")
                 if d.is_dir() and d.name in (name, function) for p in d.iterdir() if p.is_file()]
        if len(tests) < GOLDEN_PER_PASS:
            report(table, 1, f"pass {name} has {len(tests)} golden tests, at least "
                             f"{GOLDEN_PER_PASS} are due in tests/golden/*/{name}/")
    return len(found)


def check_unique_names(paths):
    seen = {}
    for path in paths:
        if path.name in seen:
            report(path, 1, f"same name as {seen[path.name].relative_to(ROOT)}")
        seen.setdefault(path.name, path)


def main():
    hidden = ("build", "out", "generated", ".git", ".venv")
    tree = [p for p in sources(ROOT, ".c", ".h", ".def", ".py", ".sh")
            if not set(p.relative_to(ROOT).parts) & set(hidden)]
    check_unique_names(tree)
    names = operators()
    total = {"compiler": 0, "runtime": 0, "LLVM plugin": 0}
    for path in (p for p in tree if p.suffix in (".c", ".h", ".def")):
        source = Source(path)
        check_size(source)
        check_functions(source)
        for line, word in source.find(UNFINISHED):
            report(path, line, f"{word} left behind")
        part = path.relative_to(ROOT).parts[0]
        if part in total and path.name != "codes.def":     # explanations for users, no code
            counted = "LLVM plugin" if path.name in PLUGIN_FILES else part
            total[counted] += sum(1 for line in source.uncommented.split("\n") if line.strip())
        if COMPILER in path.parents:
            check_includes(source)
            check_words(source)
            check_models(source)
            if folder_of(path) == "emit":
                check_operator_names(source, names)
        if part == "runtime":
            for line, word in source.find(re.compile(r'#include "(?!net2c_rt\.h)[^"]*"')):
                report(path, line, f"runtime sees nothing of the compiler: {word}")
    for part, budget in (("compiler", COMPILER_LINES), ("runtime", RUNTIME_LINES),
                         ("LLVM plugin", PLUGIN_LINES)):
        if total[part] > budget:
            violations.append(f"{part}: {total[part]} lines of code, {budget} are allowed")
    passes = check_passes()
    for violation in violations:
        print(violation)
    print(f"structure: {len(tree)} files, compiler {total['compiler']} lines of code, runtime "
          f"{total['runtime']} lines, LLVM plugin {total['LLVM plugin']} lines, {passes} passes, "
          f"{len(names)} operators: {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
