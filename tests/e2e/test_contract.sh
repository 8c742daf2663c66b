#!/bin/bash
# The contract of generated code on every instruction set with gcc and clang; equal bits of
# instruction sets in one file; the stack that the header states; two networks in one program, as C
# and as C++; 16 threads once more under ThreadSanitizer; other processors.
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
    $cc -O2 "$@" -DNET="$network" -DNET_HEADER="\"${network}_gen.h\"" \
        -DSTACK_BYTES="${network^^}_STACK_BYTES" -DNET_MAX_BATCH="${network^^}_MAX_BATCH" \
        -I"$folder/$isa" \
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

compile() {   # network, isa, further options
    local files=models
    [ -f models/$1.yaml ] || files=$folder
    $net2c compile -q $files/$1.yaml -w $files/$1.safetensors --isa=$2 -o "$folder/$2/$1_gen" \
        "${@:3}"
}

# Convolutions by Winograd, of stride 1 and 2, in groups and bands: parallel loops within others.
cat >"$folder/winograd.yaml" <<'END'
net2c: 1
name: winograd
inputs: {image: {shape: [N, 16, 45, 45]}}
weights: {bind: "$path.$param"}
network:
  - conv: {name: wide, out: 64, kernel: 5, stride: 2, pad: 2, algo: winograd 4 rows 3}
  - relu: {}
  - conv: {name: groups, out: 64, kernel: 3, pad: 1, groups: 2, algo: winograd 4}
  - relu: {}
  - conv: {name: last, out: 32, kernel: 3, pad: [1, 0, 2, 1], bias: false, algo: winograd 3}
END
$net2c weights init -q "$folder/winograd.yaml" -o "$folder/winograd.safetensors"

for isa in avx512,avx2,portable sse4,scalar; do
    compile lenet5 $isa --batch=1,8
    for cc in gcc clang; do
        build lenet5 $isa $cc "$folder/contract"
        hold "lenet5 $isa $cc" "$folder/contract" "$folder/$isa/lenet5_gen.n2w"
    done
done
# Winograd, groups and normalisation; the first batch, which decides layouts, need not be 1.
for batch in 1,8 16,3; do
    isa=avx512,avx2,portable
    compile alexnet_small $isa --batch=$batch
    build alexnet_small $isa gcc "$folder/contract"
    hold "alexnet_small --batch=$batch" "$folder/contract" "$folder/$isa/alexnet_small_gen.n2w" --batch
done
# One order of sums: rows with FMA agree bit by bit, whichever came first, and so do those without.
for isa in avx512,avx2 avx2,avx512 sse4,portable,scalar scalar,sse4,portable; do
    for network in lenet5 alexnet_small winograd; do
        compile $network $isa
        build $network $isa gcc "$folder/contract"
        hold "$network $isa, same bits" "$folder/contract" "$folder/$isa/${network}_gen.n2w" --same
    done
done
# The stack's bound is for optimised code: without -O gcc and clang give each vector its own place.
for isa in avx512,avx2,portable sse4,scalar; do
    compile alexnet_small $isa
    for compiler in "gcc -O1" "gcc -O3" "clang -O1" "clang -O3"; do
        build alexnet_small $isa "${compiler% *}" "$folder/contract" "${compiler#* }"
        hold "alexnet_small $isa $compiler, stack" "$folder/contract" \
            "$folder/$isa/alexnet_small_gen.n2w" --stack
    done
done
for source in runtime/*.c; do
    gcc -O2 -Iruntime/include -c "$source" -o "$folder/$(basename "$source" .c).o"
done
two() {       # title, compiler, flags and language...
    local title=$1 isa=avx512,avx2,portable
    shift
    "$@" -O2 -I"$folder/$isa" -Iruntime/include tests/e2e/contract_two.c \
        "$folder/$isa/lenet5_gen.c" "$folder/$isa/alexnet_small_gen.c" -x none "$folder"/rt_*.o \
        -o "$folder/two" -lpthread
    hold "$title" "$folder/two" "$folder/$isa/lenet5_gen.n2w" "$folder/$isa/alexnet_small_gen.n2w"
}
two "two networks, C99" gcc -std=c99 -x c
two "two networks, C11" clang -std=c11 -x c
# strict C++ before 17 has no hexadecimal floats
two "two networks, gnu++98" g++ -std=gnu++98 -x c++
two "two networks, C++17" clang++ -std=c++17 -x c++
two "two networks, TSan" gcc -fsanitize=thread -g -x c
compile alexnet_small sse4
compile winograd avx512,scalar
grep -q 'args.at\[0\] = ' "$folder/avx512,scalar/winograd_gen.c" || {
    echo "winograd: no task within a loop"
    failed=1
}
for program in lenet5:sse4,portable,scalar alexnet_small:sse4 winograd:avx512,scalar; do
    network=${program%:*} isa=${program#*:}
    build $network $isa gcc "$folder/contract" -fsanitize=thread -g
    hold "$network $isa TSan" "$folder/contract" "$folder/$isa/${network}_gen.n2w" --threads
done

# Machines that lack the first instruction sets of a file use the next one that they have.
elsewhere() { # title, compiler, emulator...
    local title=$1 cc=$2
    shift 2
    if ! command -v "$cc" >/dev/null || ! command -v "$1" >/dev/null; then
        echo "$title: skipped, $cc or $1 is missing"
        return
    fi
    build lenet5 avx512,avx2,portable "$cc" "$folder/contract" -static
    hold "$title" "$@" "$folder/contract" "$folder/avx512,avx2,portable/lenet5_gen.n2w" --threads
}
elsewhere "lenet5 on a processor of 2006" gcc qemu-x86_64 -cpu core2duo
elsewhere "lenet5 on aarch64" aarch64-linux-gnu-gcc qemu-aarch64
exit $failed
