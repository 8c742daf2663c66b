#!/bin/bash
# The files that compile writes on request: weights that are linked in (incbin, array), the program
# of --selftest and the make rule of -MD, used by gcc and clang, as C and as C++.
# Environment: NET2C (in its build folder), NET2C_TEST_DIR. Status 77: a tool is missing.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
net2c=$(realpath "${NET2C:-$root/build/net2c}")
build=$(dirname "$net2c")
folder=${NET2C_TEST_DIR:-$build/test_compile_files}
runtime="-I$root/runtime/include"
for tool in gcc g++ clang clang++ make; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: $tool is missing"
        exit 77
    fi
done
rm -rf "$folder"
mkdir -p "$folder/a b"
cd "$folder/a b" || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS

checks=0 failures=0
# holds TEXT COMMAND...: it succeeds
holds() {
    local text=$1
    shift
    checks=$((checks + 1))
    "$@" >out 2>&1 || { failures=$((failures + 1)); echo "FAILED: $text"; tail -n 15 out; }
}
# says PATTERN: what the last command of holds or refused printed contains it
says() {
    checks=$((checks + 1))
    grep -q -- "$1" out || { failures=$((failures + 1)); echo "FAILED: no '$1' in:"; cat out; }
}
# refused STATUS PATTERN COMMAND...: it ends with that status and says so
refused() {
    local status=$1 pattern=$2 got
    shift 2
    "$@" >out 2>&1
    got=$?
    checks=$((checks + 1))
    [ $got -eq "$status" ] || { failures=$((failures + 1)); echo "FAILED: status $got of $*"; }
    says "$pattern"
}

cp "$root/examples/tiny.yaml" 'my $#net.yaml'
model='my $#net.yaml' weights='my $#w.safetensors'
holds "weights" "$net2c" weights init "$model" --seed 1 -o "$weights"
compile() { "$net2c" compile -q "$model" -w "$weights" "$@"; }

# ---- weights and self-test: each way, each compiler, both languages
# The header's own example, taken out of its comment.
example() { sed -n 's/^ \*     //p' "$1"; }
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
build_and_test() {
    local way=$1 compiler=$2 standard=$3 language=${4:+-x $4} linked
    cc_() { $compiler $standard $runtime -O2 "$@"; }
    case $way in
    file) linked=$build/libnet2c_rt.a ;;
    incbin) holds "$* .S" "$compiler" -Wall -Werror -c -I. net_gen_weights.S -o weights.o
            linked=weights.o ;;
    array) holds "$* array" cc_ $warnings $language -c net_gen_weights.c -o weights.o
           linked=weights.o ;;
    esac
    holds "$* code" cc_ -Wall -Wextra -Werror $language -c net_gen.c -o code.o
    holds "$* test" cc_ $warnings $language -c net_gen_test.c -o test.o
    holds "$* link" "$compiler" test.o code.o $linked -lm -pthread -o test
    holds "$* self-test" ./test
    says '^portable: ok$'
    example net_gen.h >example.c
    holds "$* example" cc_ $language -c example.c -o example.o
    holds "$* links" "$compiler" example.o code.o $linked "$build/libnet2c_rt.a" -pthread -o example
    holds "$* runs" ./example
    cp out "../$way.numbers"
    holds "$* four numbers" [ "$(grep -c '^0\.' "../$way.numbers")" = 4 ]
}
for way in file incbin array; do
    mkdir $way
    holds "compile $way" compile -o $way/net_gen --weights-as=$way --selftest
    cd $way || exit 1
    build_and_test $way gcc -std=c99
    build_and_test $way clang -std=c11
    build_and_test $way g++ -std=c++17 c++
    build_and_test $way clang++ -std=c++17 c++
    cd ..
    holds "$way: same results" cmp file.numbers $way.numbers
    holds "$way: same code" cmp file/net_gen.c $way/net_gen.c
done
holds "incbin: no text but the .S" [ ! -e incbin/net_gen_weights.c ]
sed '1,/{$/d' array/net_gen_weights.c | grep -o '[0-9]*' >array/text
od -An -v -tu1 -w1 array/net_gen.n2w | tr -d ' ' >array/bytes
holds "array: the blob's bytes" cmp array/text array/bytes

# ---- the self-test finds what is wrong
cd file || exit 1
sed 's/^    0\./    0.9/' net_gen_test.c >changed.c
holds "a changed expectation" gcc $runtime changed.c code.o "$build/libnet2c_rt.a" -lm -o changed
refused 1 'prob\[0\] is .*, expected 0.9' ./changed net_gen.n2w
says '^portable: WRONG$'
"$net2c" weights init "../$model" --seed 2 -o other.safetensors
holds "other weights" "$net2c" compile -q "../$model" -w other.safetensors -o other/net_gen
holds "test" gcc $runtime net_gen_test.c code.o "$build/libnet2c_rt.a" -lm -o test
refused 1 '^portable: WRONG$' ./test other/net_gen.n2w
refused 1 '^status ' ./test /dev/null
holds "measures" ./test --bench net_gen.n2w
says '^portable: [0-9.]* ms$'
cd ..

# ---- several inputs and outputs, none of a row, values that are no numbers
cat >two.yaml <<'END'
net2c: 1
name: two
inputs: {a: {shape: [N, 3000]}, b: {shape: [N, 3000]}}
outputs: [sum, some]
network:
  - add: {from: [a, b], name: sum}
  - linear: {out: 4, name: some}
END
holds "two: weights" "$net2c" weights init two.yaml -o two.safetensors
printf '\0\0\x80\x7f\0\0\xc0\x7f' | dd of=two.safetensors bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s two.safetensors) - 8))           # the last two weights: infinity, NaN
holds "two: compile" "$net2c" compile -q two.yaml -w two.safetensors -o two --selftest \
    --weights-as=array --isa=scalar
holds "two: expects what is no number" grep -q NAN two_test.c
holds "two: a thousand elements of three thousand" grep -q '"sum", .*, 3u, ' two_test.c
holds "two: build" gcc -std=c99 $warnings $runtime -O1 two_test.c two.c two_weights.c -lm -o two
holds "two: test" ./two
sed '/want_some/,/}/s/NAN/1.0/' two_test.c >changed.c
holds "two: changed" gcc $runtime changed.c two.c two_weights.c -lm -o changed
refused 1 '^some\[[0-3]\] is -*nan, expected 1$' ./changed

# ---- rounded weights: the definitions have them exact
holds "bf16: compile" compile -o bf16 --selftest --precision=bf16w --isa=scalar --weights-as=array
holds "bf16: rounds" grep -q uint16_t bf16.c
holds "bf16: build" gcc -std=c99 $runtime -O1 bf16_test.c bf16.c bf16_weights.c -lm -o bf16
holds "bf16: test" ./bf16
sed 's/^    0\./    0.9/' bf16_test.c >changed.c
holds "bf16: changed" gcc $runtime changed.c bf16.c bf16_weights.c -lm -o changed
refused 1 '^scalar: WRONG$' ./changed
awk '/want_/ { print; getline; sub(/[-0-9.]+/, $1 * 1.01) } { print }' bf16_test.c >changed.c
holds "bf16: a hundredth more" gcc $runtime changed.c bf16.c bf16_weights.c -lm -o changed
refused 1 '^scalar: WRONG$' ./changed

# ---- refused
refused 1 'at most 65536' "$net2c" compile "$root/models/lenet5.yaml" \
    -w "$root/models/lenet5.safetensors" -o large/net --weights-as=array
holds "nothing written" [ ! -e large ]
refused 2 "value of --weights-as" compile -o large/net --weights-as=text
refused 5 "C compiler" compile -o large/net --selftest --cc=/nowhere/cc
holds "nothing written" [ ! -e large ]

# ---- -MD: make runs net2c when a file that it read has changed, and only then
cat >Makefile <<END
made/net.c:
	echo again >>runs
	"$net2c" compile -q 'my \$\$#net.yaml' -w 'my \$\$#w.safetensors' -o made/net -MD
-include made/net.d
END
runs() { holds "make" make -s; holds "$2" [ "$(wc -l <runs)" = "$1" ]; }
runs 1 "the first time"
runs 1 "nothing has changed"
touch -d '+2 seconds' "$weights"
runs 2 "the weights have changed"
touch -d '+4 seconds' made/net.c
runs 2 "nothing has changed again"
touch -d '+6 seconds' "$model"
runs 3 "the model has changed"
# paths with characters that make has to see quoted, as target and as what it depends on
mkdir odd
i=0
touch -d '-1 hour' "$weights"
for name in 'a b' 'a#b$c:d' 'a\b\ c\#d\:e\\ f' "~a*?[b]'c"; do
    i=$((i + 1))
    cp "$model" "odd/$name.yaml"
    touch -d '-1 hour' "odd/$name.yaml"
    holds "$name" "$net2c" compile -q "odd/$name.yaml" -w "$weights" -o "odd/$name/net" -MD -MF "odd/$i.d"
    printf 'include odd/%s.d\n%%.c:\n\t@echo "rebuilds"\n' $i >odd/makefile
    holds "$name: up to date" make -q -f odd/makefile
    touch -d '+1 hour' "odd/$name.yaml"
    holds "$name: make" make -s -f odd/makefile
    says '^rebuilds$'
done
for name in $'a\tb' $'a\nb' $'a\rb' 'a;b' 'a=b' 'a|b' 'a%b'; do
    refused 1 "make rule cannot hold the path" compile -o "odd/$name/net" -MD
    holds "nothing written" [ ! -e "odd/$name" ]
    cp "$model" "odd/$name"
    refused 1 "make rule cannot hold the path" "$net2c" compile "odd/$name" -w "$weights" -o odd/net -MD
    holds "nothing written" [ ! -e odd/net.c ]
done
cp "$model" 'odd/a\'
refused 1 "make rule cannot hold the path" "$net2c" compile 'odd/a\' -w "$weights" -o odd/net -MD
holds "no rule, no need" compile -o 'odd/a;c/net'
holds "-MF" compile -o made/net -MD -MF "rule.d"
holds "the same rule" cmp rule.d made/net.d
holds "-MF alone" compile -o made/net -MF again.d
holds "the same rule" cmp rule.d again.d
holds "standard input is no file" bash -c \
    "'$net2c' compile -q - -w '$weights' -o piped -MD <'$model' && [ \"\$(wc -w <piped.d)\" = 3 ]"
refused 2 "needs a value" compile -o made/net -MF

echo "files of compile: $checks checks, $failures failures"
[ $failures -eq 0 ]
