#!/bin/bash
# The contract of generated code on every instruction set with gcc and clang, and on a second
# network; then 16 threads once more under ThreadSanitizer.
#
# Environment: NET2C, NET2C_TEST_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
net2c=${NET2C:-build/net2c}
folder=${NET2C_TEST_DIR:-build/test_contract}
rm -rf "$folder"
mkdir -p "$folder"
failed=0

build() {     # network, isa, compiler, program, further flags
    local network=$1 isa=$2 cc=$3 program=$4
    shift 4
    $cc -O2 "$@" -DNET="$network" -DNET_HEADER="\"${network}_gen.h\"" -I"$folder/$isa" \
        -Iruntime/include tests/e2e/contract.c "$folder/$isa/${network}_gen.c" runtime/*.c \
        -o "$program" -lm -lpthread
}

hold() {      # title, program and arguments
    local title=$1 status=0 result
    shift
    result=$("$@") || status=$?
    echo "$title: $result"
    [ $status -eq 0 ] || [ $status -eq 77 ] || failed=1
}

for network in lenet5 alexnet_small; do
    for isa in avx512 avx2 sse4 portable scalar; do
        [ $network = lenet5 ] || [ $isa = avx512 ] || continue
        $net2c compile -q models/$network.yaml -w models/$network.safetensors --isa=$isa \
            -o "$folder/$isa/${network}_gen"
        for cc in gcc clang; do
            build $network $isa $cc "$folder/contract"
            hold "$network $isa $cc" "$folder/contract" "$folder/$isa/${network}_gen.n2w"
        done
    done
done
build lenet5 scalar gcc "$folder/contract" -fsanitize=thread -g
hold "lenet5 scalar gcc TSan" "$folder/contract" "$folder/scalar/lenet5_gen.n2w" --threads
exit $failed
