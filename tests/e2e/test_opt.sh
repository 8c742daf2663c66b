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

# ---- remarks: with the place in the model, on standard error
status 0 "" opt $model --remarks --stop-after=tile
remark() { holds grep -q "^$model:[0-9]*:[0-9]*: remark: $1\$" "$folder/err"; }
remark "'drop6' disappears: dropout does nothing here \[fold-dropout\]"
remark "'prob' disappears: it reaches no output \[graph-dce\]"
remark "'relu3' joins the kernel of 'conv3' \[fuse-layers\]"
remark "missed: 'fc6' reads 2359296 bytes of weights; --precision=bf16w halves them \[narrow-weights\]"
remark "'conv3' takes winograd [0-9].*: about [0-9]* % of .* \[use-winograd\]"
remark "'conv1' is computed directly: no matrix of 1098075 elements is copied \[eliminate-im2col\]"
remark "missed: 'fc7' reads all weights: the cache nearly holds its weights \[skip-zeros\]"
remark "'norm2' lies in memory as c16 .* \[choose-layout\]"
remark "'conv4' is tiled in [0-9]* nests, the last one: tile of .* \[tile\]"
remark "missed: 'flat' keeps its loops: .* \[tile\]"
holds [ "$(grep -c remark: "$folder/err")" = "$(wc -l <"$folder/err")" ]
status 0 "" opt $model --stats --remarks=missed --precision=bf16w
holds [ "$(grep -c 'remark: missed: ' "$folder/err")" = "$(wc -l <"$folder/err")" ]
status 0 "keeps half of 2359296 bytes of weights: bf16" opt $model --stats --remarks=done --precision=bf16w
remark "[0-9]* buffers share [0-9]* bytes instead of having .* of them \[reuse-buffers\]"
holds [ "$(grep -c missed "$folder/err")" = 0 ]
status 0 "" opt $model --stats --remarks -q
holds [ ! -s "$folder/err" ]
status 2 "did you mean 'missed'" opt $model --remarks=mised
cat >"$folder/apart.yaml" <<'END'
net2c: 1
name: apart
inputs: {x: {shape: [N, 16, 9, 9]}}
network:
  - relu: {from: [x], name: a}
  - conv: {from: [a], out: 16, kernel: 1, name: b}
  - relu: {from: [b], name: c}
  - lrn: {from: [b], size: 3, name: d}
  - relu: {from: [d], name: e}
  - flatten: {from: [c], name: f}
  - relu: {from: [f], name: g}
outputs: [b, e, g]
END
status 0 "" opt "$folder/apart.yaml" --remarks=missed --stop-after=fuse-layers
for reason in "a.*: 'x' is an input" "c.*: 'b' has other readers" "e.*: 'd' is computed in several" \
    "g.*: 'f' is a view"; do
    holds grep -q ":[0-9]*:5: remark: missed: '$reason" "$folder/err"
done
# the schedule of the first instruction set only; weights are known where there are some
cat >"$folder/zeros.yaml" <<'END'
net2c: 1
name: zeros
inputs: {x: {shape: [N, 1024]}}
network:
  - relu
  - linear: {out: 1200, name: y}
END
status 0 "" weights init "$folder/zeros.yaml" -o "$folder/w"
status 0 "" compile "$folder/zeros.yaml" -w "$folder/w" -o "$folder/net" --isa=avx512,portable --remarks
holds [ "$(grep -c "'y' is tiled" "$folder/err")" = 1 ]
holds grep -q "zeros.yaml:6:5: remark: 'y' reads only the weights of inputs that" "$folder/err"

# ---- several instruction sets and batches: stages are those of the first
status 0 "" opt models/lenet5.yaml --stats --isa=avx512,avx2,portable --batch=8,1
cp "$folder/out" "$folder/several"
status 0 "" opt models/lenet5.yaml --stats --isa=avx512 --batch=8
holds cmp -s "$folder/out" "$folder/several"

# ---- what becomes of loops: the C that compile writes, and what a C compiler makes of it
lenet=models/lenet5.yaml
status 0 "" compile $lenet -w models/lenet5.safetensors --isa=avx512 -q -o "$folder/lenet5"
status 0 "" opt $lenet --emit=c
holds cmp -s "$folder/out" "$folder/lenet5.c"
status 0 "" opt $lenet --emit=asm --isa=portable --cflags=-fno-asynchronous-unwind-tables
prints "^lenet5_run:"
holds [ "$(grep -c cfi_startproc "$folder/out")" = 0 ]
status 5 "cannot start the C compiler '/nowhere'" opt $lenet --emit=asm --cc=/nowhere
status 2 "nothing else to print" opt $lenet --emit=c --stop-after=tile
status 2 "nothing else to print" opt $lenet --emit=asm --stats

# ---- a page: the options that go with it
status 2 "needs --html" opt $model --bench="$folder/info.json"
status 1 "is no result of bench for 'alexnet" opt $model --bench="$folder/info.json" --html="$folder/page.html"
holds [ ! -e "$folder/page.html" ]
status 5 "page.html" opt $model --stop-after=graph-dce --html="$folder/nowhere/page.html"

finish "opt"
