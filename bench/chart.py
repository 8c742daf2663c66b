#!/usr/bin/env python3
"""chart: two pictures from what the benches left: docs/figures/peers.svg, milliseconds of every
program, and docs/figures/roofline.svg, each layer under the machine's limits; with them the tables
between marks such as <!-- PEERS BEGIN --> of README.md and bench/README.md.

usage: chart.py [--trial]      --trial: pictures only, also from fewer than 20 rounds
Reads peers.json, peers.md, layers.json and ablate.json of bench/results. Standard library only; the
pictures choose their colours by the reader's light or dark setting.
"""
import argparse
import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
FIGURES = HERE.parent / "docs" / "figures"
WIDTH = 760
LEAST_ROUNDS = 20
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 14px }
.small { font-size: 11px; fill: #57606a }
.ours { fill: #1a7f37 }
.rival { fill: #8c959f }
.reduced { fill: #8c959f; fill-opacity: 0.45 }
.direct { fill: #0969da }
.other { fill: #bc4c00 }
.roof { stroke: #57606a; stroke-width: 2; fill: none }
.grid { stroke: #8c959f; stroke-opacity: 0.3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .ours { fill: #3fb950 }
  .rival, .reduced { fill: #6e7681 }
  .direct { fill: #4493f8 }
  .other { fill: #f0883e }
  .roof { stroke: #9198a1 }
}
</style>"""


class Picture:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, style="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" '
                          f'text-anchor="{anchor}">{escape(words)}</text>')

    def bar(self, x, y, width, height, style, title):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" '
                          f'rx="2" class="{style}"><title>{escape(title)}</title></rect>')

    def line(self, points, style):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" class="{style}"/>')

    def dot(self, x, y, style, title):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="{style}">'
                          f"<title>{escape(title)}</title></circle>")

    def write(self, path, height):
        path.parent.mkdir(parents=True, exist_ok=True)
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                f'width="{WIDTH}" height="{height:.0f}">')
        path.write_text("\n".join([head, STYLE, *self.parts, "</svg>"]) + "\n")


# ---- bars ----------------------------------------------------------------------------------------

def style_of(program):
    if program["ours"]:
        return "ours"
    return "rival" if program["precision"] == "f32" else "reduced"


def draw_case(picture, case, y):
    """Bars of one case from y on, its own scale; returns where the next one begins."""
    left, room = 250, WIDTH - 250 - 150
    ordered = sorted(case["programs"].items(), key=lambda item: item[1]["min"])
    longest = ordered[-1][1]["min"]
    best = case["programs"][case["best"]]["min"] if case["best"] else None
    threads = f"{case['threads']} thread{'s' if case['threads'] > 1 else ''}"
    picture.text(10, y + 14, f"{case['model']}, batch {case['batch']}, {threads}", "title")
    y += 24
    for name, program in ordered:
        ms = program["min"]
        picture.text(left - 8, y + 13, name, anchor="end")
        picture.bar(left, y, max(1, room * ms / longest), 17, style_of(program),
                    f"{name}: {ms:.2f} ms, {program['precision']}")
        label = f"{ms:.2f} ms"
        if best and program["ours"]:
            label += f", {ms / best:.2f} x best rival"
        picture.text(left + room * ms / longest + 6, y + 13, label, "small")
        y += 22
    return y + 14


def draw_peers(result):
    picture, y = Picture(), 8
    for case in result["cases"]:
        y = draw_case(picture, case, y)
    picture.text(10, y + 8, "Minimum of a run, lower is better; green: net2c, pale: reduced "
                            f"precision. {result['machine']}, {result['date']}", "small")
    picture.write(FIGURES / "peers.svg", y + 20)


# ---- roofline ------------------------------------------------------------------------------------

LEFT, RIGHT, TOP, BOTTOM = 60, WIDTH - 20, 34, 360


def scale(value, low, high, start, end):
    share = (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return start + share * (end - start)


def decades(low, high):
    return [10 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def place_labels(points):
    """Labels that would lie on one another go one line lower."""
    taken = []
    for x, y, step in sorted(points, key=lambda p: p[:2]):
        at = y + 4
        while any(abs(at - other_y) < 12 and abs(x - other_x) < 75 for other_x, other_y in taken):
            at += 12
        taken.append((x, at))
        yield x, y, at, step


def draw_roofline(result, compiler):
    steps = [s for s in result["cc"][compiler]["steps"] if s["weight_bytes"] > 0 and s["flops"] > 0]
    peak, read = result["fma_gflops"]["median"], result["read_gbs"]["median"]
    intensity = {s["name"]: s["flops"] / s["weight_bytes"] for s in steps}
    grid_x = decades(min([*intensity.values(), 1]), max([*intensity.values(), 2 * peak / read]))
    grid_y = decades(min(s["gflops"] for s in steps), max([peak, *(s["gflops"] for s in steps)]))
    picture = Picture()

    def x_of(value):
        return scale(value, grid_x[0], grid_x[-1], LEFT, RIGHT)

    def y_of(value):
        return scale(value, grid_y[0], grid_y[-1], BOTTOM, TOP)

    for value in grid_x:
        picture.line([(x_of(value), TOP), (x_of(value), BOTTOM)], "grid")
        picture.text(x_of(value), BOTTOM + 16, f"{value:g}", "small", "middle")
    for value in grid_y:
        picture.line([(LEFT, y_of(value)), (RIGHT, y_of(value))], "grid")
        picture.text(LEFT - 6, y_of(value) + 4, f"{value:g}", "small", "end")
    start = max(grid_x[0], grid_y[0] / read)
    picture.line([(x_of(start), y_of(start * read)), (x_of(peak / read), y_of(peak)),
                  (RIGHT, y_of(peak))], "roof")
    picture.text(RIGHT, y_of(peak) - 6, f"multiply-add loop {peak:.0f} GFLOP/s", "small", "end")
    picture.text(x_of(start) + 40, y_of(start * read) - 6, f"one stream read {read:.1f} GB/s",
                 "small")
    points = [(x_of(intensity[s["name"]]), y_of(s["gflops"]), s) for s in steps]
    for x, y, label_y, s in place_labels(points):
        style = "direct" if s["algorithm"] == "direct" else "other"
        picture.dot(x, y, style, f"{s['name']}: {s['gflops']:.1f} GFLOP/s, {s['algorithm']}")
        flip = x > RIGHT - 80
        picture.text(x - 9 if flip else x + 9, label_y, s["name"], "small",
                     "end" if flip else "start")
    picture.text(10, 18, f"{result['model']}: GFLOP/s by operations per byte of weights", "title")
    picture.text(10, BOTTOM + 36, "Orange: Winograd, counted as the operations of the definition, "
                                  "of which it does fewer: above the roof.", "small")
    picture.text(10, BOTTOM + 52, f"{compiler}, {result['machine']}, {result['date']}", "small")
    picture.write(FIGURES / "roofline.svg", BOTTOM + 64)


# ---- tables --------------------------------------------------------------------------------------

def publish(path, mark, text):
    begin, end = f"<!-- {mark} BEGIN -->\n", f"<!-- {mark} END -->"
    before, rest = path.read_text().split(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def peers_summary(result):
    """One row a program, one column a case: the minima in ms. Of our code, gcc's."""
    cases = result["cases"]
    names = dict.fromkeys(name for case in cases for name in case["programs"]
                          if "(clang)" not in name)
    lines = [f"{result['machine']}; {result['date']}; {result['versions']}. Minimum in ms of "
             f"{cases[0]['rounds']} alternating rounds (`{result['command']}`); medians, intervals "
             "and clang's code: [bench/README.md](bench/README.md).", "",
             "| network, batch, threads | " + " | ".join(
                 f"{c['model']}, {c['batch']}, {c['threads']}" for c in cases) + " |",
             "|---" * (len(cases) + 1) + "|"]
    for name in names:
        found = [case["programs"].get(name) for case in cases]
        bold = "**" if any(p and p["ours"] for p in found) else ""
        lines.append(f"| {bold}{name}{bold} | " + " | ".join(
            f"{p['min']:.1f}" if p else "" for p in found) + " |")
    lines.append("| multiply-add loop, GFLOP/s | " + " | ".join(
        f"{c['fma_gflops']['median']:.0f}" for c in cases) + " |")
    lines += ["", "![milliseconds of every program](docs/figures/peers.svg)", "",
              "![layers under the machine's limits](docs/figures/roofline.svg)", ""]
    return "\n".join(lines)


def ablation_table(result):
    lines = [f"| {result['network']}, batch {result['batch']}, {result['threads']} thread"
             f"{'s' if result['threads'] > 1 else ''}, {result['rounds']} rounds | min ms | "
             "median ms | difference ms (95 %) | arena bytes | C bytes |",
             "|---|---|---|---|---|---|"]
    for v in result["variants"]:
        name = f"without {v['without']}" if v["without"] else "all passes"
        if v["same_code"]:
            lines.append(f"| {name} | same code | | | | |")
            continue
        difference = (f"{v['difference_ms']:+.2f} ({v['low_ms']:+.2f} to {v['high_ms']:+.2f})"
                      if v["without"] else "")
        lines.append(f"| {name} | {v['min_ms']:.2f} | {v['median_ms']:.2f} | {difference} | "
                     f"{v['arena_bytes']} | {v['c_bytes']} |")
    return "\n".join(lines) + "\n"


def layers_table(result, compiler):
    lines = [f"### Layers of {result['model']}, {compiler}", "",
             f"In the same run: multiply-add loop {result['fma_gflops']['median']:.0f} GFLOP/s, "
             f"one stream read {result['read_gbs']['median']:.1f} GB/s. GFLOP/s count the "
             "operations of the definition; Winograd does fewer.", "",
             "| layer | algorithm | min ms | GFLOP/s | of the loop | GB/s of weights | of the "
             "read |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {s['name']} | {s['algorithm']} | {s['min_ms']:.4f} | {s['gflops']:.1f} | "
              f"{s['of_fma']:.0%} | {s['gbs']:.1f} | {s['of_read']:.0%} |"
              for s in result["cc"][compiler]["steps"]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trial", action="store_true")
    options = parser.parse_args()
    read = {}
    for name in ("peers", "layers", "ablate"):
        path = RESULTS / f"{name}.json"
        if path.exists():
            read[name] = json.loads(path.read_text())
        elif not options.trial:
            sys.exit(f"chart.py: {path} is missing: make bench-peers bench bench-ablate")
    rounds = [case["rounds"] for case in read["peers"]["cases"]]
    rounds += [read[name]["rounds"] for name in ("layers", "ablate") if name in read]
    if min(rounds) < LEAST_ROUNDS and not options.trial:
        sys.exit(f"chart.py: {min(rounds)} rounds are no result: at least {LEAST_ROUNDS}")
    compiler = next(iter(read["layers"]["cc"]))
    draw_peers(read["peers"])
    draw_roofline(read["layers"], compiler)
    if not options.trial:
        publish(HERE / "README.md", "FIGURES", (RESULTS / "peers.md").read_text() + "\n" +
                layers_table(read["layers"], compiler))
        publish(HERE.parent / "README.md", "PEERS", peers_summary(read["peers"]))
        publish(HERE.parent / "README.md", "ABLATION", ablation_table(read["ablate"]))


if __name__ == "__main__":
    main()
