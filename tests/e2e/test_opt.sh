#!/bin/bash
# net2c opt shows what passes do: before and after them, only what they change, in numbers.
# Environment: NET2C, NET2C_TEST_DIR.
set -u
. "$(dirname "$0")/check.sh"
model=models/alexnet_small.yaml

# ---- before and after: what one pass leaves is what the next one gets
status 0 "" opt $model --stop-after=graph-dce
cp "$folder/out" "$folder/graph.yaml"
status 0 "" opt $model --stop-after=fuse-layers --print-before=fuse-layers
holds cmp -s <(sed 1d "$folder/out") "$folder/graph.yaml"
prints "^# before fuse-layers$"
status 0 "" opt $model --print-before=hoist,tile --print-after=tile
holds [ "$(grep -c '^# before hoist$' "$folder/out")" = "$(grep -c '^# after tile$' "$folder/out")" ]
holds [ "$(grep -c '^# before tile$' "$folder/out")" = "$(grep -c '^# after tile$' "$folder/out")" ]
holds [ "$(grep -c '^kernel ' "$folder/out")" = "$(grep -c '^# ' "$folder/out")" ]
status 2 "did you mean 'tile'" opt $model --print-before=tiel

# ---- only what changes: nothing of a pass that changes nothing, no colours in a file
status 0 "" opt $model --print-changed --disable-pass=reuse-buffers
cp "$folder/out" "$folder/changes"
prints "^--- graph before fold-dropout$"
prints "^-  - dropout: {name: drop6,"
prints "^+++ conv1 after vectorize$"
prints "^--- module before prepack$"
holds [ "$(grep -c narrow-weights "$folder/out")" = 0 ]
holds [ "$(grep -c 'reuse-buffers' "$folder/out")" = 0 ]
holds [ "$(grep -c '^--- ' "$folder/out")" = "$(grep -c '^+++ ' "$folder/out")" ]
holds [ -z "$(tr -d -c '\033' <"$folder/out")" ]
# each block of changes is as long as it says
holds python3 - "$folder/changes" <<'END'
import re, sys
hunks = 0
left = [0, 0]
for line in open(sys.argv[1]):
    head = re.match(r"@@ -\d+,(\d+) \+\d+,(\d+) @@$", line)
    if head or re.match(r"(---|\+\+\+) [\w.]+ (before|after) [\w-]+$", line):
        assert left == [0, 0], line
        left = [int(head[1]), int(head[2])] if head else left
        hunks += head is not None
    else:
        left = [left[0] - (line[0] in " -"), left[1] - (line[0] in " +")]
assert left == [0, 0] and hunks > 50
END
if command -v script >/dev/null; then
    on_terminal="'$net2c' opt $model --print-changed --stop-after=fold-dropout"
    script -qec "env -u NO_COLOR $on_terminal" /dev/null >"$folder/out" </dev/null
    prints "$(printf '\033\\[31m-  - dropout')"
    script -qec "$on_terminal" /dev/null >"$folder/out" </dev/null
    prints "^-  - dropout"
fi

# ---- numbers: a row for the model, for lowering and for each pass that runs
status 0 "" info $model --json
cp "$folder/out" "$folder/info.json"
status 0 "" opt $model --stats
holds python3 - "$folder/out" "$folder/info.json" <<'END'
import json, sys
rows = [line.split() for line in open(sys.argv[1])]
info = json.load(open(sys.argv[2]))
table = {row[0]: dict(zip(rows[0][1:], row[1:])) for row in rows[1:]}
model, last = table["(model)"], table["reuse-buffers"]
assert int(model["nodes"]) == len(info["layers"]) and model["loops"] == "-"
assert int(model["multiply-adds"]) == info["macs"]
assert int(model["weights"]) == info["weight_bytes"]
assert int(last["activations"]) == info["arena_bytes"]
assert int(last["activations"]) < int(table["prepack"]["activations"])
assert table["graph-dce"]["kernels"] > table["fuse-layers"]["kernels"]
assert int(table["unroll"]["statements"]) > int(table["vectorize"]["statements"])
END
status 0 "" opt models/lenet5.yaml --stats --isa=scalar --math=strict
# naive sums, one by one: what the loops execute is what the operators define
holds [ "$(awk '$1 == "(model)" { print $6 }' "$folder/out")" = \
        "$(awk '$1 == "(lowering)" { print $6 }' "$folder/out")" ]

# ---- a page: the options that go with it
status 2 "needs --html" opt $model --bench="$folder/info.json"
status 1 "is no result of bench for 'alexnet" opt $model --bench="$folder/info.json" --html="$folder/page.html"
holds [ ! -e "$folder/page.html" ]
status 5 "page.html" opt $model --stop-after=graph-dce --html="$folder/nowhere/page.html"

finish "opt"
