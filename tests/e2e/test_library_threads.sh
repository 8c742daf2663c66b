#!/bin/bash
# Two compilers in two threads of a program, all of it built with ThreadSanitizer: no data race, and
# what each makes is what one alone makes (library_threads.c).
# Environment: CC, NET2C_TEST_DIR. Status 77: no ThreadSanitizer here.
. "$(dirname "$0")/check.sh"
cc=${CC:-cc}

printf 'int main(void) { return 0; }\n' >"$folder/empty.c"
if ! "$cc" -fsanitize=thread "$folder/empty.c" -o "$folder/empty" 2>"$folder/err" ||
    ! "$folder/empty" 2>>"$folder/err"; then
    echo "skipped: $cc has no ThreadSanitizer that works here"
    exit 77
fi

# build NAME COMMAND...: what it says is shown if it fails.
build() {
    checks=$((checks + 1))
    "${@:2}" >"$folder/out" 2>&1 || { cp "$folder/out" "$folder/err"; fail "cannot build $1"; }
}

build "the makefiles" cmake -S . -B "$folder/build" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS=-fsanitize=thread -DBUILD_TESTING=OFF
build "the library" cmake --build "$folder/build" -j2 --target net2c_library
build "the program" "$cc" -std=gnu11 -Wall -Wextra -Werror -O1 -g -fsanitize=thread \
    -Icompiler/include tests/e2e/library_threads.c "$folder/build/libnet2c.so" -pthread \
    -Wl,-rpath,"$(realpath "$folder/build")" -o "$folder/library_threads"
export TSAN_OPTIONS="halt_on_error=0 exitcode=66"
checks=$((checks + 1))
"$folder/library_threads" models/lenet5 models/alexnet_small >"$folder/out" 2>"$folder/err" ||
    fail "status $? of the program: $(tail -n 1 "$folder/out")"
prints '^threads: 0 failures$'
rm -rf "$folder/build"
finish "threads"
