#!/bin/bash
# The command line as scripts see it: exit statuses, hints, what goes to stdout and stderr, and that
# a failure leaves no file behind. Environment: NET2C, NET2C_TEST_DIR.
set -u
. "$(dirname "$0")/check.sh"
model=models/alexnet_small.yaml

# JSON on stdout that a strict parser accepts and that has the keys.
json() { judge "set('$*'.split()) <= set(root)"; }

# ---- usage
status 0 ""; prints "weights init"
status 0 "" --version; prints "^net2c [0-9]"
status 0 "" help run; prints "--top=K"
status 0 "" weights init --help; prints "--seed=N"
status 2 "did you mean 'compile'" compil
status 2 "there are: compile" frobnicate
status 2 "did you mean '--weights'" run $model --wieghts x
status 2 "run needs --weights=FILE" run $model -i x.npy
status 2 "compile needs a MODEL" compile -w w -o x
status 2 "one too many" info $model $model
status 2 "needs a value" compile $model -w
status 2 "takes no value" info $model --json=yes
status 2 "a whole number" bench $model -w w --runs=many
status 2 "did you mean 'avx512'" compile $model -w w -o x --isa=avx51
status 2 "there are: sse4, scalar" run $model -w w -i x --top 1 --isa=sse4,scalar --use-isa=avx2
status 2 "did you mean 'tile'" compile $model -w w -o x --disable-pass=tiel
status 2 "cannot be left out" compile $model -w w -o x --disable-pass=vectorize
status 2 "unknown pass" opt $model --stop-after=nowhere
status 2 "cannot run after" opt $model --passes=tile,graph-dce
status 2 "value of --emit" opt $model --emit=assembler
status 2 "names no file" compile $model -w w -o out/

# ---- files that are not there or wrong
w=$folder/w.safetensors
status 1 "cannot open" info nowhere.yaml
status 0 "" weights init $model --seed 3 -o "$w"
cp "$w" "$folder/again"
status 0 "" weights init $model --seed 3 -o "$w"
holds cmp -s "$w" "$folder/again"
status 0 "" weights ls "$w"; prints "^features.0.weight F32 \[12, 3, 11, 11\] 17424$"
status 0 "" weights ls "$w" --json; json tensors
status 1 "" weights ls $model
status 1 "" compile models/alexnet.yaml -w "$w" -o "$folder/bad/net"
holds [ ! -e "$folder/bad" ]
printf 'net2c: 1\nname: t\ninputs: {x: {shape: [N, 2, 4, 4]}}\nnetwork:\n  - conf: {out: 1}\n' \
    >"$folder/typo.yaml"
status 1 "typo.yaml:5:5: error" info "$folder/typo.yaml"
head -c 2000000 "$w" >"$folder/short"
status 1 "" compile $model -w "$folder/short" -o "$folder/bad/net"
holds [ ! -e "$folder/bad" ]

# ---- compile: all files or none
gen=$folder/gen/deep/net
status 0 "net.n2w: [0-9]* bytes" compile $model -w "$w" -o "$gen" --isa=scalar
for end in c h n2w json; do holds [ -s "$gen.$end" ]; done
holds [ "$(ls "$folder/gen/deep" | wc -l)" = 4 ]
status 0 "" compile -q $model -w "$w" -o "$folder/rows/net"
holds grep -q -- "--isa=avx512,avx2,portable" "$folder/rows/net.c"
status 0 "" compile -q $model -w "$w" -o "$folder/rows/net" --isa=sse4,scalar --isa=sse4
holds grep -q "ISA_SCALAR 2u" "$folder/rows/net.h"
holds [ ! -s "$folder/out" ]
status 0 "" compile $model -w "$w" -o "$folder/second/net" --isa=scalar --quiet
holds [ ! -s "$folder/err" ]
for end in c h n2w json; do holds cmp -s "$gen.$end" "$folder/second/net.$end"; done
mkdir -p "$folder/blocked/net.json"
status 5 "net.json" compile $model -w "$w" -o "$folder/blocked/net" --isa=scalar
holds [ "$(ls -A "$folder/blocked")" = net.json ]
status 1 "use letters" compile $model -w "$w" -o "$folder/new/a b" --isa=scalar
holds [ ! -e "$folder/new" ]
(ulimit -v 30000; "$net2c" compile $model -w "$w" -o "$folder/oom/net" >"$folder/out" 2>"$folder/err")
code=$?
grep -q AddressSanitizer "$folder/err" || holds [ $code -eq 0 -o $code -eq 5 ]

# ---- run
photo=models/photo.jpg
status 2 "needs --output or --top" run $model -w "$w" -i $photo
status 1 "did you mean 'image'" run $model -w "$w" -i imgae=$photo --top 1
status 1 "did you mean 'logits'" run $model -w "$w" -i $photo -o logist="$folder/y.npy"
status 1 "cannot tell what" run $model -w "$w" -i $model --top 1
status 1 "given twice" run $model -w "$w" -i $photo -i $photo --top 1
status 5 "cannot start the C compiler" run $model -w "$w" -i $photo --top 1 --isa=scalar --cc=/nowhere
status 0 "" run $model -w "$w" -i $photo --top 3 -o "$folder/y.npy" --isa=scalar
holds [ "$(wc -l <"$folder/out")" = 3 ]
prints "^logits 0 [0-9] "
cut -d' ' -f1-3 "$folder/out" >"$folder/top"
status 0 "" run $model -w "$w" -i image=$photo --top 3 --isa=scalar --backend=interp
# The interpreter rounds a multiply-add once, the scalar row twice: same classes, other last digits.
holds [ "$(cut -d' ' -f1-3 "$folder/out")" = "$(cat "$folder/top")" ]
# NaN counts as the largest, of equal elements the first comes first
cat >"$folder/same.yaml" <<'END'
net2c: 1
name: same
inputs: {x: {shape: [N, 6]}}
network: [relu]
END
python3 - "$folder" <<'END'
import math, struct, sys
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6)}".ljust(117) + "\n"
values = (1, 3, math.nan, 3, 2, math.nan, math.inf, 0, 1, 1, 0, 1)
with open(sys.argv[1] + "/six.npy", "wb") as f:
    f.write(b"\x93NUMPY\1\0" + struct.pack("<H118s12f", 118, header.encode(), *values))
END
status 0 "" weights init "$folder/same.yaml" -o "$folder/same.safetensors"
status 0 "" run "$folder/same.yaml" -w "$folder/same.safetensors" -i "$folder/six.npy" --top 5 --isa=scalar
cut -d' ' -f2-4 "$folder/out" | tr '\n' ';' >"$folder/top"
holds [ "$(cat "$folder/top")" = "0 2 nan;0 5 nan;0 1 3;0 3 3;0 4 2;1 0 inf;1 2 1;1 3 1;1 5 1;1 1 0;" ]
status 1 "has shape \[1, 10\]" run $model -w "$w" -i "$folder/y.npy" --top 1
cp "$folder/y.npy" "$folder/long.npy"
printf x >>"$folder/long.npy"
status 1 "not as long as its shape" run $model -w "$w" -i "$folder/long.npy" --top 1
head -c 100 $photo >"$folder/half.jpg"
status 1 "picture" run $model -w "$w" -i "$folder/half.jpg" --top 1
# A Huffman table of 4080 codes, which overruns stb_image.
{ printf '\xff\xd8\xff\xc4\x10\x03\x00'; printf '\xff%.0s' {1..16}; head -c 5000 /dev/zero; } \
    >"$folder/table.jpg"
status 1 "not a sound JPEG" run $model -w "$w" -i "$folder/table.jpg" --top 1

# ---- verify, bench, info, opt
status 0 "" verify $model -w "$w" --isa=scalar; prints "^conv1+relu1 .* ok$"
prints "^0 of [0-9]* differ by more than is allowed$"
tiny=examples/tiny.yaml
status 0 "" weights init $tiny --seed 1 -o "$folder/tiny.safetensors"
status 0 "" verify $tiny -w "$folder/tiny.safetensors" --isa=scalar --precision=bf16w
prints "^conv1+.* 1.00e-06 .* ok$"; prints "^fc2.* 4.00e-03 .* ok$"
status 3 "" verify $model -w "$w" --isa=scalar --tolerance=1e-12; prints "FAIL"
status 0 "" verify $model -w "$w" --isa=scalar --json; json layers samples
# cancellation is no error: differences are judged by the size of what they take from each other
cat >"$folder/sub.yaml" <<'END'
net2c: 1
name: difference
inputs: {a: {shape: [N, 16, 5, 5]}, b: {shape: [N, 16, 5, 5]}}
network:
  - mul: {from: [a], value: 1.1, name: p}
  - sub: {from: [p, b], name: q}
  - batchnorm: {path: norm}
  - mul: {value: -0.3}
END
status 0 "" weights init "$folder/sub.yaml" --seed 1 -o "$folder/sub.safetensors"
status 0 "" verify "$folder/sub.yaml" -w "$folder/sub.safetensors" --isa=scalar; prints "^0 of"
status 0 "" bench $model -w "$w" --isa=scalar --runs=2 --json
json min_ms median_ms p90_ms threads batch arena_bytes layers
# a baseline: a tenth of a microsecond before is a regression, an hour is not
for ms in 0.0001 3600000; do
    sed "s/\"min_ms\": [0-9.]*/\"min_ms\": $ms/" "$folder/out" >"$folder/baseline$ms.json"
done
bench_small="bench $model -w $w --isa=scalar --runs=2"
status 4 "^regression: " $bench_small --baseline="$folder/baseline0.0001.json" --max-regress=3%
prints "^min [0-9.]* ms"
status 0 "no regression: -" $bench_small --baseline="$folder/baseline3600000.json"
status 1 "is no result of bench for" $bench_small --baseline=$model
sed 's/"network": "/&another_/' "$folder/baseline3600000.json" >"$folder/another.json"
status 1 "net2c bench --json prints one" $bench_small --baseline="$folder/another.json"
# nor is one that was measured otherwise, or that does not say how
for change in 's/"isa": "scalar"/"isa": "avx2"/' \
    's/"precision": "f32"/"precision": "bf16w"/' 's/"threads": 1/"threads": 2/' \
    's/"batch": 1/"batch": 8/' 's/"batch": 1,//'; do
    sed "$change" "$folder/baseline3600000.json" >"$folder/another.json"
    what=$(echo "$change" | cut -d'"' -f2)
    status 1 "is no baseline of this: $what is " $bench_small --baseline="$folder/another.json"
done
status 1 "batch is 1 there, 2 here" $bench_small --batch=2 --baseline="$folder/baseline3600000.json"
status 1 "cannot open" $bench_small --baseline="$folder/nowhere.json"
status 2 "needs a percentage" $bench_small --baseline="$folder/another.json" --max-regress=much
# ablation: what shares memory with the pass takes more without it; no pass finds dropout there
status 2 "neither" $bench_small --ablate --layers
ablate="bench $tiny -w $folder/tiny.safetensors --isa=scalar --runs=3 --ablate"
status 0 "" $ablate --disable-pass=use-winograd,tile,loop-cse,hoist
prints "^without .*arena bytes"; prints "^fold-dropout  *same code$"
arena() { awk -v pass="$1" '$1 == pass { print $(NF - 1) }' "$folder/out"; }
holds [ "$(arena reuse-buffers)" -gt "$(arena -)" ]
holds grep -q "^fuse-layers .* [+-][0-9.]* ([+-][0-9.]* to [+-][0-9.]*) " "$folder/out"
status 0 "" $ablate --json --disable-pass=use-winograd,tile,loop-cse,hoist
json network rounds threads batch variants
holds python3 -c '
import json, sys
v = {x["without"]: x for x in json.load(open(sys.argv[1]))["variants"]}
assert "tile" not in v and v["fold-dropout"]["same_code"]
assert v[""]["arena_bytes"] < v["reuse-buffers"]["arena_bytes"]
assert v["fuse-layers"]["low_ms"] <= v["fuse-layers"]["difference_ms"] <= v["fuse-layers"]["high_ms"]
' "$folder/out"
status 0 "" info $model --json; json name layers parameters macs
status 0 "" opt --print-pipeline; prints "^reuse-buffers "
status 0 "" opt $model --verify-text --emit=graph
cp "$folder/out" "$folder/graph.yaml"
status 0 "" opt "$folder/graph.yaml" --emit=graph
holds cmp -s "$folder/out" "$folder/graph.yaml"
status 0 "" opt $model --stop-after=tile --print-after=tile; prints "^# after tile$"
"$net2c" info - <$model >"$folder/out" 2>"$folder/err"
holds [ $? -eq 0 ]
"$net2c" info $model >/dev/full 2>"$folder/err"
holds [ $? -eq 5 ]

finish "command line"
