#!/bin/bash
# AlexNet from its description to a classified photograph, a line a step. What an earlier run made
# and what has not changed since is reused.
set -euo pipefail
cd "$(dirname "$0")/.."

net2c=build/net2c
model=models/alexnet.yaml
weights=out/alexnet.safetensors
generated=out/alexnet_gen
program=out/classify_photo
mkdir -p out

step() { printf '%5d s  %s\n' "$SECONDS" "$*"; }
# newer A B...: A exists and is at least as new as every B
newer() {
    local made=$1 source
    shift
    [ -e "$made" ] || return 1
    for source in "$@"; do
        [ "$source" -nt "$made" ] && return 1
    done
    return 0
}

if newer $weights $model; then
    step "weights: $weights is there"
else
    step "weights: seeded, into $weights"
    $net2c weights init $model --seed 1 -o $weights
fi

if newer $generated.n2w $net2c $model $weights; then
    step "compile: $generated.c is there"
else
    step "compile: $model to $generated.c, .h, .n2w"
    $net2c compile $model -w $weights -o $generated
fi

if newer $program $generated.c examples/classify_photo.c build/libnet2c_rt.a; then
    step "cc: $program is there"
else
    step "cc: $generated.c and examples/classify_photo.c to $program"
    ${CC:-gcc} -O2 -Iout -Iruntime/include examples/classify_photo.c $generated.c \
        build/libnet2c_rt.a -lm -o $program
fi

if newer out/verified $generated.n2w $program; then
    step "verify: done before, on these files"
else
    step "verify: every layer against its definition in double precision"
    $net2c verify $model -w $weights
    touch out/verified
fi

step "photograph: models/photo.jpg through $program (seeded weights: the classes mean nothing)"
$program $generated.n2w models/photo.jpg

for network in lenet5 alexnet_small; do
    step "trained on Fashion-MNIST: ten pictures named by $network"
    for picture in tests/fixtures/fashion/*.png; do
        named=$($net2c run -q models/$network.yaml -w models/$network.safetensors -i "$picture" \
            --top 1 --labels models/fashion_labels.txt)
        printf '  %-24s %s\n' "$(basename "$picture" .png)" "$named"
    done
done

step "files"
for file in $model $weights $generated.c $generated.h $generated.n2w $program; do
    printf '  %11d bytes  %s\n' "$(stat -c %s $file)" $file
done
