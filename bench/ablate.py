#!/usr/bin/env python3
"""ablate: `net2c bench --ablate` on a network with seeded weights, kept for chart.py.

usage: ablate.py [--model=alexnet] [--runs=20] [-- further options of net2c bench]
Writes bench/results/ablate.json and prints the table. Standard library only.
"""
import argparse
import json
import subprocess
from pathlib import Path

import chart
import network_files as files

RESULTS = Path(__file__).resolve().parent / "results"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="alexnet")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("options", nargs="*", help="for net2c bench")
    options = parser.parse_args()
    weights = files.seeded_weights(options.model)
    made = subprocess.run([files.NET2C, "bench", files.ROOT / "models" / f"{options.model}.yaml",
                           "-w", weights, "--ablate", "--json", "--runs", str(options.runs),
                           *options.options], stdout=subprocess.PIPE, text=True, check=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ablate.json").write_text(made.stdout)
    print(chart.ablation_table(json.loads(made.stdout)), end="")


if __name__ == "__main__":
    main()
