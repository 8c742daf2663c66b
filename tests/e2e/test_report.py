#!/usr/bin/env python3
"""test_report: the page of `opt --html` shows what the other options of opt print, needs nothing but
itself, and a browser draws it without complaint: each page of it is leafed through and none is
wider than a window of 1280 pixels. The browser's part is skipped where there is no chromium.

Environment: NET2C, NET2C_TEST_DIR.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NET2C = Path(os.environ.get("NET2C", ROOT / "build" / "net2c")).resolve()
FOLDER = Path(os.environ.get("NET2C_TEST_DIR", ROOT / "build" / "test_report")).resolve()
WIDTH = 1280
checks = 0
failures = []

# Opens every page by the keyboard, as a person would, and notes what it finds in the document.
VISITOR = """
<script>
{
  const problems = [];
  addEventListener("error", e => problems.push(e.message));
  const seen = [];
  for (let i = 0; i < 500; i++) {
    const section = document.querySelector("main > section:not([hidden])");
    const wide = document.documentElement.scrollWidth;
    seen.push(section.id);
    if (wide > WIDTH) problems.push(`${section.id} is ${wide} wide`);
    if (section.querySelectorAll("button.chip").length > 1) {
      const chips = [...section.querySelectorAll("button.chip")];
      if (!section.id.startsWith("page-kernel-")) chips[1].click();
    }
    dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
    if (document.querySelector("main > section:not([hidden])") === section) break;
  }
  document.body.dataset.seen = seen.join(" ");
  document.body.dataset.problems = problems.join("; ");
}
</script>
</body>"""


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        failures.append(what)


def net2c(*arguments):
    return subprocess.run([NET2C, *arguments], cwd=ROOT, capture_output=True, text=True, check=True,
                          env=dict(os.environ, NO_COLOR="1")).stdout


def read_data(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found.group(1))


class Report:
    """The JSON of a page, its texts put together."""

    def __init__(self, path, *arguments):
        self.said = subprocess.run([NET2C, "opt", *arguments, f"--html={path}"], cwd=ROOT,
                                   capture_output=True, text=True, check=True).stderr
        self.page = path.read_text(encoding="utf-8")
        self.data = read_data(self.page)
        self.stages = self.data["stages"]

    def text(self, number):
        return [self.data["lines"][i] for i in self.data["texts"][number]]

    def after(self, stage, name):
        """The text of a graph or kernel once the stage has run."""
        last = None
        for s in self.stages:
            last = next((c["new"] for c in s["changes"] if c["name"] == name), last)
            if s["name"] == stage:
                break
        return "\n".join(self.text(last)) + "\n"


def check_changes(report):
    """Without the lines that go and come, old and new are the same; nothing else is left out."""
    n = 0
    for stage in report.stages:
        for change in stage["changes"]:
            if "old" not in change:
                continue
            old, new = report.text(change["old"]), report.text(change["new"])
            for from_, to, first, last in reversed(change["changes"]):
                del old[from_:to], new[first:last]
                n += to - from_ + last - first
            check(old == new, f"changes of {change['name']} in {stage['name']}")
    check(n > 1000, "few lines change")


def check_alexnet():
    model = "models/alexnet.yaml"
    path = FOLDER / "alexnet.html"
    report = Report(path, model)
    skeleton = report.page.replace(json.dumps(report.data), "")
    check(report.said == "", "remarks outside of the page")
    check(path.stat().st_size < 10_000_000, "the page has 10 MB or more")
    check("{{" not in skeleton and skeleton.isascii(), "a mark or other characters are left")
    links = re.findall(r'(?:https?:|//)[\w./-]+\.[\w./-]+', re.sub(r"<script type=.*?</script>", "",
                                                                   report.page, flags=re.S))
    check(links == ["http://www.w3.org/2000/svg"], f"the page refers to {links}")
    check(report.after("choose-layout", "graph") == net2c("opt", model, "--stop-after=choose-layout"),
          "the graph is not that of --stop-after")
    for stage in ("tile", "unroll", "loop-simplify"):
        printed = net2c("opt", model, f"--print-after={stage}")
        for name in ("conv1", "norm1", "fc6"):
            check("\n" + report.after(stage, name) in printed, f"{name} after {stage}")
    table = [line.split() for line in net2c("opt", model, "--stats").splitlines()]
    check(report.data["stats"] == table[0][1:], "names of the numbers")
    check([[s["name"], *("-" if n < 0 else str(n) for n in s["stat"])] for s in report.stages] ==
          table[1:], "numbers")
    check_changes(report)
    remarks = {s["name"]: [(r["place"], r["text"]) for r in s["remarks"]] for s in report.stages}
    check(("models/alexnet.yaml:33", "'relu3' joins the kernel of 'conv3'") in
          remarks["fuse-layers"] and not remarks["unroll"], "remarks")
    values = next(s["values"] for s in report.stages if s["name"] == "reuse-buffers")
    arena = max(v["at"] + v["bytes"] for v in values)
    check(arena == report.stages[-1]["stat"][table[0].index("activations") - 1], "memory map")
    kernels = {k["name"]: k for k in report.data["kernels"]}
    check("_mm512_" in "\n".join(report.text(kernels["conv3"]["c"])), "C of conv3")
    check(kernels["conv3"]["schedule"].startswith("zero"), "schedule of conv3")
    return path


def check_times():
    """Times that bench measured; names in the model that would end a script change nothing."""
    weights, bench = FOLDER / "lenet5.safetensors", FOLDER / "bench.json"
    model = FOLDER / "lenet5.yaml"
    text = (ROOT / "models" / "lenet5.yaml").read_text(encoding="utf-8")
    model.write_text(re.sub(r"^doc: .*\n(  .*\n)*|^check:\n( .*\n|\n)*", "", text, flags=re.M) +
                     '\ndoc: "</script><script>throw 1</script>"\n', encoding="utf-8")
    net2c("weights", "init", model, "-o", weights)
    bench.write_text(net2c("bench", model, "-w", weights, "--isa=scalar", "--runs=2", "--json"),
                     encoding="utf-8")
    path = FOLDER / "lenet5.html"
    report = Report(path, model, "--isa=scalar", f"--bench={bench}")
    check(report.page.count("throw 1") == 1 and "<script>throw" not in report.page, "script")
    times = json.loads(report.data["bench"])["layers"]
    check([t["kernel"] for t in times] == [k["name"] for k in report.data["kernels"]], "times")
    return path


def browse(browser, path):
    """Leaf through a page; returns the document as it is then."""
    visited = FOLDER / f"visited_{path.stem}.html"
    page = path.read_text(encoding="utf-8")
    end = page.rindex("</body>")
    visited.write_text(page[:end] + VISITOR.replace("WIDTH", str(WIDTH)) + page[end + 7:],
                       encoding="utf-8")
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={FOLDER / 'browser'}", f"--window-size={WIDTH},1000",
               "--virtual-time-budget=10000"]

    def start(*more):
        result = subprocess.run([*command, *more], capture_output=True, text=True, timeout=240,
                                check=False)
        console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        check(not console, f"console of {path.name}: {console[:3]}")
        return result.stdout
    picture = FOLDER / f"{path.stem}.png"
    start(f"--screenshot={picture}", path.as_uri() + "#fuse-layers")
    check(picture.is_file() and picture.stat().st_size > 20000, f"no picture of {path.name}")
    return start("--dump-dom", visited.as_uri())


def check_browser(browser, path):
    report = read_data(path.read_text(encoding="utf-8"))
    dom = browse(browser, path)
    dom = dom[:dom.index('<script type="application/json"')] + dom[dom.rindex("</script>"):]
    body = re.search(r"<body[^>]*>", dom).group(0)
    check('data-problems=""' in body, f"{path.name}: {body[-300:]}")
    pages = [s["name"].strip("()") for s in report["stages"]] + \
        ["kernel-" + k["name"] for k in report["kernels"]]
    seen = re.search(r'data-seen="([^"]*)"', body)
    check(seen and seen.group(1).split() == ["page-" + p for p in ["overview", *pages]],
          f"{path.name}: not every page was seen, in order")
    sections = dict(re.findall(r'<section id="page-([^"]*)".*?(<h1>.*?)</section>', dom, re.S))
    for stage in report["stages"]:
        section = sections.get(stage["name"].strip("()"), "")
        check(f"<h1>{stage['name'].strip('()')}</h1>" in section, f"heading of {stage['name']}")
        if stage.get("level") == "graph":
            drawings = 2 if "graph" in stage else 1
            check(section.count('<svg class="graph"') == drawings, f"drawing of {stage['name']}")
            check(section.count('<g class="node') >= 3 * drawings, f"nodes of {stage['name']}")
        elif stage["changes"] and stage["name"] != "(model)":
            check('<table class="diff">' in section, f"loops of {stage['name']}")
    for kernel in report["kernels"]:
        check("static" in sections["kernel-" + kernel["name"]], f"C of {kernel['name']}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    paths = [check_alexnet(), check_times()]
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser:
        for path in paths:
            check_browser(browser, path)
    else:
        print("skipped what looks at the page: chromium is missing (tools/deps.sh browser)")
    for failure in failures:
        print("FAIL:", failure)
    print(f"report: {checks} checks, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
