#!/bin/bash
# Verbs that read a model and write nothing: check, expand, info; and fmt, which rewrites it.
# Environment: NET2C, NET2C_TEST_DIR.
set -u
. "$(dirname "$0")/check.sh"
model=models/alexnet_small.yaml

# ---- batch: sizes are refused or composed, to the same bits; the weights are there once
lenet="models/lenet5.yaml -w models/lenet5.safetensors"
for sizes in 0 8,-1 two 65537; do
    status 2 "E0003" compile $lenet -o "$folder/none" --batch=1,$sizes
done
status 2 "at most 7 sizes" compile $lenet -o "$folder/none" --batch=2,3,4,5,6,7,8,9
status 0 "" run $lenet --isa=avx2,portable -i models/samples/lenet5_image.npy -o "$folder/one.npy"
status 0 "" run $lenet --isa=avx2,portable -i models/samples/lenet5_image.npy -o "$folder/many.npy" --batch=3
holds cmp "$folder/one.npy" "$folder/many.npy"
status 0 "" verify $lenet --isa=avx2,portable --batch=5
prints "^batches 5, 1  6 items at once  ok$"
status 0 "" bench $lenet --isa=avx2,portable --batch=8 --runs 2 --json
judge 'root["batch"] == 8 and root["layers"][0]["flops"] % 8 == 0'
status 0 "" compile $lenet --isa=scalar --batch=1,8 -q -o "$folder/both"
cp "$folder/both.json" "$folder/out"
judge 'root["batch"] == 1 and [m["batch"] for m in root["more_batches"]] == [8]'
judge '(lambda one, eight: one == eight != [])(*[[(b["name"], b["offset"], b["bytes"])
        for b in m["buffers"] if b["kind"] == "weight"] for m in [root, *root["more_batches"]]])'

# ---- check
w=$folder/w.safetensors
status 0 "" weights init $model --seed 3 -o "$w"
status 0 "^$model: no errors: 24 layers, 898554 parameters$" check $model
holds [ "$(wc -l <"$folder/err")" = 1 ]
status 0 "" check -q $model -w "$w"
holds [ ! -s "$folder/err" ]
status 0 "" check models/alexnet.yaml -D scale=8 -D classes=10 -w "$w"
status 1 "E0203" check models/alexnet.yaml -w "$w" --json
judge 'len(root) == 16 and all(m["code"] == "E0203" and m["severity"] == "error" for m in root)'
judge 'root[0]["file"] == "models/alexnet.yaml" and root[0]["line"] == 31'
status 2 "" check models/alexnet.yaml --isa=scalar
cat >"$folder/wrong.yaml" <<'END'
net2c: 1
name: wrong
inputs: {x: {shape: [N, 2, 4, 4]}}
network:
  - conf: {out: 1}
  - relu: {name: a}
  - relu: {name: a}
  - softmax: {axis: 1, from: "\u00fc"}
END
status 1 "" check "$folder/wrong.yaml" --json
judge '[m["code"] for m in root] == ["E0410", "E0407", "E0413"]'
judge '(root[0]["line"], root[0]["column"], root[0]["length"]) == (5, 5, 4)'
judge 'root[0]["help"][0]["message"] == "did you mean '"'conv'"'?" and root[0]["notes"] == []'
judge 'root[1]["notes"][0]["line"] == 6'
status 1 "" check "$folder/nowhere.yaml" --json
judge 'root[0]["code"] == "E0101" and root[0]["file"] is None'
status 0 "" check $model --json
judge 'root == []'
printf 'net2c: 1\nname: t\ninputs: {x: {shape: [N, 2, 4, 4]}}\nnetwork: [{relu: {layout: odd}}, relu]\n' \
    >"$folder/label.yaml"
status 1 "E0701" check "$folder/label.yaml"

# ---- expand: reads back to itself
for file in models/*.yaml examples/tiny.yaml; do
    status 0 "" expand $file
    cp "$folder/out" "$folder/flat.yaml"
    status 0 "" expand "$folder/flat.yaml"
    holds cmp -s "$folder/out" "$folder/flat.yaml"
done
status 0 "" expand models/alexnet.yaml -D scale=8
prints "out: 12, kernel: \[11, 11\]"
status 1 "" expand "$folder/wrong.yaml"
holds [ ! -s "$folder/out" ]

# ---- fmt
for file in models/*.yaml examples/tiny.yaml tests/unit/alexnet_flat.yaml; do
    status 0 "" fmt --check $file
    status 0 "" fmt $file
    holds cmp -s "$folder/out" $file
done
cat >"$folder/untidy.yaml" <<'END'
# head
net2c:   1
name: 'untidy'     # quoted
inputs: { x: {shape: [N,2,
                      4,4]} }    # wrapped
blocks:
   twice:
     args: {n: &three 3}     # inside a block
     # end of twice's arguments
     layers:
     - conv: {out: $n, kernel: 1, # in the braces
              bias: false}
     - when: $(n > 2)
       layers: [relu]


network:
-   repeat: {i: [1, 2]}
    layers:
    - twice: {n: *three, name: t$i}
# end
END
status 1 "untidy.yaml:2: error: not in canonical form" fmt --check "$folder/untidy.yaml"
status 0 "" fmt "$folder/untidy.yaml" -o "$folder/tidy.yaml"
holds [ ! -s "$folder/out" ]
status 0 "" fmt --check "$folder/tidy.yaml"
status 0 "" expand "$folder/untidy.yaml"
cp "$folder/out" "$folder/flat.yaml"
status 0 "" expand "$folder/tidy.yaml"
holds cmp -s "$folder/out" "$folder/flat.yaml"
holds [ "$(grep -o '#.*' "$folder/tidy.yaml")" = "$(grep -o '#.*' "$folder/untidy.yaml")" ]
sed 's/$/\r/' "$folder/untidy.yaml" >"$folder/crlf.yaml"
status 0 "" fmt --in-place "$folder/crlf.yaml"
holds cmp -s "$folder/crlf.yaml" "$folder/tidy.yaml"
touch -d 2000-01-01 "$folder/crlf.yaml"
status 0 "" fmt --in-place "$folder/crlf.yaml"
holds [ "$(date -r "$folder/crlf.yaml" +%Y)" = 2000 ]
status 2 "" fmt --in-place --check "$folder/tidy.yaml"
status 2 "" fmt --in-place -
status 1 "" fmt "$folder/nowhere.yaml"
status 0 "" fmt "$folder/wrong.yaml"         # what it says may be wrong, not how

# ---- info
status 0 "" info models/alexnet.yaml
prints "^conv1  *conv  *\[N, 96, 55, 55\]  *34944  *105415200  *1161600  *139776$"
prints "^total  *60965224  *724406816 "
prints "^arena  *[0-9]* bytes"
status 0 "" info $model --json
judge 'sum(l["parameters"] for l in root["layers"]) == root["parameters"] == 898554'
judge 'root["weight_bytes"] == 4 * root["parameters"] <= root["blob_bytes"]'
judge 'root["layers"][0]["shape"] == ["N", 12, 55, 55]'
judge 'root["layers"][0]["activation_bytes"] == 4 * 12 * 55 * 55'
judge 'root["isa"] == ["avx512", "avx2", "portable"]'
cp "$folder/out" "$folder/info.json"
status 0 "" compile $model -w "$w" -o "$folder/gen/net" -q
holds grep -q "\"arena_bytes\": $(python3 -c '
import json, sys
print(json.load(open(sys.argv[1]))["arena_bytes"])' "$folder/info.json")\b" "$folder/gen/net.json"
status 0 "" info $model --json --isa=scalar
judge 'root["isa"] == ["scalar"]'
status 0 "" info $model --dot
prints '^  "conv1" -> "relu1";$'
holds [ "$(grep -c -- '->' "$folder/out")" = 24 ]
if command -v dot >/dev/null; then
    holds dot -Tsvg -o "$folder/graph.svg" "$folder/out"
fi

finish "verbs"
