#!/bin/bash
# net2c in a stranger's hands: installed into an empty prefix, its examples copied into an empty
# folder and built by exactly the commands of their READMEs, the programs of the embedding guide
# likewise. All must print the same numbers, those of `net2c run`. Then what the READMEs do not
# show: other generators and toolchains, a part of another project, wrong calls, a moved prefix.
# Environment: NET2C (in its build folder), NET2C_TEST_DIR. Status 77: a tool is missing.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(dirname "$(realpath "${NET2C:-$root/build/net2c}")")
folder=${NET2C_TEST_DIR:-$build/test_embedding}
for tool in cmake make cc c++ pkg-config python3 readelf; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: $tool is missing"
        exit 77
    fi
done

rm -rf "$folder"
mkdir -p "$folder/work"
folder=$(realpath "$folder")
prefix=$folder/prefix
export LC_ALL=C CMAKE_BUILD_PARALLEL_LEVEL=1
unset CMAKE_PREFIX_PATH CMAKE_GENERATOR MAKEFLAGS MAKELEVEL MFLAGS CC CXX CFLAGS CXXFLAGS

failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# commands FILE: its ```sh blocks.
commands() { awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$1"; }

# programs FILE: writes each other block whose first line names a file into that file.
programs() {
    awk '/^```[a-z]+$/ { first = $0 != "```sh"; next }
         /^```$/ { if (name) close(name); name = ""; next }
         first { first = 0; name = ""
                 if (match($0, /^(\/\*|\/\/|#) [A-Za-z0-9_]+\.[a-z]+(:| |$)/)) {
                     name = $2; sub(/:$/, "", name) } }
         name { print > name }' "$1"
}

# follow NAME README: the README's commands in this folder; the last four numbers printed are kept.
follow() {
    if ! commands "$2" | bash -euo pipefail /dev/stdin >"$folder/$1.out" 2>"$folder/$1.err"; then
        fail "$1: the commands of $2"
        tail -n 20 "$folder/$1.err"
        return 0
    fi
    grep -E '^[0-9.e+-]+$' "$folder/$1.out" | tail -n 4 >"$folder/$1.numbers" || true
}

# same NAME: as many numbers as there should be, and the same ones as net2c run's.
same() {
    if ! cmp -s "$folder/expected.numbers" "$folder/$1.numbers"; then
        fail "$1: other numbers"
        diff "$folder/expected.numbers" "$folder/$1.numbers" || true
    fi
}

# refused NAME TEXT COMMAND...: the command fails and says TEXT.
refused() {
    local name=$1 text=$2
    shift 2
    if "$@" >"$folder/$name.out" 2>&1; then
        fail "$name: not refused"
    elif ! tr -s ' \n' ' ' <"$folder/$name.out" | grep -qF -- "$text"; then
        fail "$name: does not say: $text"
        tail -n 10 "$folder/$name.out"
    fi
}

install_net2c() {
    cmake --install "$build" --prefix "$folder/before" >"$folder/install.log"
    mv "$folder/before" "$prefix"
    pc=$(dirname "$(find "$prefix" -name net2c_rt.pc)")
    document=$(dirname "$(find "$prefix" -name embedding.md)")
    export PATH="$prefix/bin:$PATH" PKG_CONFIG_PATH=$pc
    cp -r "$document/examples" "$folder/work/examples"
    for file in LICENSE README.md; do
        [ -s "$document/$file" ] || fail "install: no $file"
    done
    if grep -rlF -e "$root/" -e "$folder" "$prefix" --include='*.cmake' --include='*.pc'; then
        fail "install: names a folder of this machine"
    fi
}

# What the programs should print: net2c run, as the numbers that %.9g prints.
expect_numbers() {
    cd "$folder/work"
    python3 - <<'END'
import struct
values = [(x + 2 * y) % 16 / 16 for y in range(12) for x in range(12)]
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 12, 12), }"
header += " " * (117 - len(header)) + "\n"
with open("image.npy", "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    file.write(struct.pack("<144f", *values))
END
    net2c weights init examples/tiny.yaml --seed 1 -o tiny.safetensors
    net2c run examples/tiny.yaml -w tiny.safetensors -i image.npy -o prob.npy
    python3 -c 'import struct
for p in struct.unpack("<4f", open("prob.npy", "rb").read()[-16:]): print(f"{p:.9g}")' \
        >"$folder/expected.numbers"
}

run_examples() {
    local name
    for name in c cpp cmake python; do
        cd "$folder/work/examples/$name"
        follow $name README.md
        same $name
    done
    run_library_example
    cd "$folder/work/examples/c"
    make >/dev/null 2>&1
    make -q || fail "c: make does not see that everything is there"
    mkdir "$folder/work/guide"
    cd "$folder/work/guide"
    cp ../examples/tiny.yaml .
    programs "$document/embedding.md"
    follow guide "$document/embedding.md"
    same guide
}

# The compiler as a library: in C, from Python, linked statically, and by CMake; then the header
# alone, in C99 and C++. The folder of net2c_rt.h is found from the library's place.
run_library_example() {
    local models=$root/models compiler
    cd "$folder/work/examples/library"
    cp "$models/lenet5.yaml" "$models/lenet5.safetensors" "$models/fashion_labels.txt" .
    cp "$models/samples/lenet5_image.npy" images.npy
    net2c run lenet5.yaml -w lenet5.safetensors -i images.npy --top 1 --labels fashion_labels.txt \
        2>/dev/null | cut -d ' ' -f 5- >"$folder/labels"
    [ "$(wc -l <"$folder/labels")" -eq 4 ] || fail "library: no labels to compare with"
    follow library README.md
    cat "$folder/labels" "$folder/labels" "$folder/labels" | cmp - "$folder/library.out" ||
        fail "library: other classes"
    printf '#!/bin/sh\necho "$@" >%s/cc.out\nexec cc "$@"\n' "$folder" >"$folder/cc"
    chmod +x "$folder/cc"
    cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.18)
project(library LANGUAGES C)
find_package(net2c REQUIRED)
add_executable(classify classify.c)
target_link_libraries(classify PRIVATE net2c::compiler)
END
    cmake -B build >"$folder/library.log" && cmake --build build >>"$folder/library.log" ||
        fail "library: cmake"
    CC=$folder/cc build/classify lenet5.yaml lenet5.safetensors images.npy fashion_labels.txt |
        cmp - "$folder/labels" || fail "library: other classes by cmake"
    [ "$(realpath "$(grep -o -- '-I [^ ]*' "$folder/cc.out" | cut -d ' ' -f 2)")" = \
        "$prefix/include" ] || fail "library: net2c_rt.h is not taken from where it is installed"
    for compiler in "cc -std=c99 -x c" "c++ -std=c++11 -x c++"; do
        echo '#include <net2c/net2c.h>' | $compiler -Wall -Wextra -Wpedantic -Werror \
            $(pkg-config --cflags net2c) -fsyntax-only - || fail "library: the header by $compiler"
    done
}

check_cmake_example() {
    cd "$folder/work/examples/cmake"
    if readelf -lW build/embedded | grep -E 'GNU_STACK.*E +0x' ; then
        fail "cmake: the stack is executable"
    fi
    nm build/embedded | grep -q '000 R tiny_weights$' || fail "cmake: weights not on a page"
    touch tiny.safetensors
    cmake --build build >"$folder/again.out"
    grep -q 'net2c: tiny_gen' "$folder/again.out" || fail "cmake: new weights are not noticed"
    cmake --build build >"$folder/again.out"
    if grep -E 'net2c: |Building' "$folder/again.out"; then
        fail "cmake: builds again what is there"
    fi
}

# configure NAME OPTION...: the project in $folder/work/NAME, into NAME/build.
configure() {
    local name=$1
    shift
    cmake -S "$folder/work/$name" -B "$folder/work/$name/build" "$@" >"$folder/$name.log" 2>&1
}

build_and_run() {
    if cmake --build "$folder/work/$1/build" >>"$folder/$1.log" 2>&1; then
        "$folder/work/$1/build/embedded" >"$folder/$1.numbers" || true
        same "$1"
    else
        fail "$1: build"
        tail -n 20 "$folder/$1.log"
    fi
}

# project NAME: standard input as the CMakeLists.txt of a copy of the CMake example.
project() {
    mkdir -p "$folder/work/$1"
    cp "$folder/work/examples/cmake/embedded.c" "$folder/work/examples/cmake/tiny.safetensors" \
        "$folder/work/examples/tiny.yaml" "$folder/work/$1"
    cat >"$folder/work/$1/CMakeLists.txt"
}

# net2c as a part: its function and targets, and nothing else of it. The runtime is built for the
# other machine, which here is this one under another name; net2c itself is the installed one.
check_subproject() {
    project part <<'END'
cmake_minimum_required(VERSION 3.18)
project(part LANGUAGES C)
set(before "${CMAKE_C_FLAGS}|${CMAKE_C_FLAGS_RELEASE}|${CMAKE_BUILD_TYPE}|${CMAKE_C_STANDARD}")
include(FetchContent)
FetchContent_Declare(net2c SOURCE_DIR ${NET2C_SOURCE})
FetchContent_MakeAvailable(net2c)
set(after "${CMAKE_C_FLAGS}|${CMAKE_C_FLAGS_RELEASE}|${CMAKE_BUILD_TYPE}|${CMAKE_C_STANDARD}")
if(NOT before STREQUAL after OR TARGET stream OR TARGET golden OR BUILD_TESTING)
  message(FATAL_ERROR "net2c leaks: ${before} ${after}")
endif()
net2c_add_network(tiny_gen MODEL tiny.yaml WEIGHTS tiny.safetensors WEIGHTS_AS incbin)
add_executable(embedded embedded.c)
target_link_libraries(embedded PRIVATE tiny_gen)
END
    configure part -DNET2C_SOURCE="$root" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=other ||
        { fail "part: configure"; tail -n 20 "$folder/part.log"; return 0; }
    build_and_run part
    if [ -n "$(cd "$folder/work/part/build" && ctest -N | grep 'Test *#')" ]; then
        fail "part: brings tests along"
    fi
}

# The weights as C text by clang, where there is one; what the depfile tells CMake is what net2c read.
check_array() {
    project array <<'END'
cmake_minimum_required(VERSION 3.20)
project(array LANGUAGES C)
find_package(net2c REQUIRED)
net2c_add_network(tiny_gen MODEL tiny.yaml WEIGHTS tiny.safetensors WEIGHTS_AS array)
add_executable(embedded embedded.c)
target_link_libraries(embedded PRIVATE tiny_gen)
END
    local compiler=cc
    command -v clang >/dev/null && compiler=clang
    configure array -DCMAKE_C_COMPILER=$compiler ||
        { fail "array: configure"; tail -n 20 "$folder/array.log"; return 0; }
    build_and_run array
    for file in tiny.yaml tiny.safetensors; do
        grep -q "^[^ ]*tiny_gen\.c:.* [^ ]*/$file\( \|\$\)" \
            "$folder/work/array/build/net2c/tiny_gen.d" || fail "array: no $file in the depfile"
        touch "$folder/work/array/$file"
        cmake --build "$folder/work/array/build" >"$folder/again.out"
        grep -q 'net2c: tiny_gen' "$folder/again.out" || fail "array: a new $file is not noticed"
    done
    cmake --build "$folder/work/array/build" >"$folder/again.out"
    if grep -E 'net2c: |Building' "$folder/again.out"; then
        fail "array: builds again what is there"
    fi
}

# A project in C++ alone, in a folder with a space, by Ninja if there is one, with link-time
# optimisation, a unity build and warnings as errors.
check_cxx_project() {
    project 'plain c++' <<'END'
cmake_minimum_required(VERSION 3.18)
project(plain LANGUAGES CXX)
find_package(net2c 0.1 REQUIRED)
set(CMAKE_UNITY_BUILD ON)
add_compile_options(-Wall -Wextra -Werror -flto)
add_link_options(-flto)
net2c_add_network(tiny_gen MODEL tiny.yaml WEIGHTS tiny.safetensors WEIGHTS_AS incbin)
set_source_files_properties(embedded.c PROPERTIES LANGUAGE CXX)
add_executable(embedded embedded.c)
target_link_libraries(embedded PRIVATE tiny_gen)
END
    local generator=()
    command -v ninja >/dev/null && generator=(-G Ninja)
    configure 'plain c++' "${generator[@]}" ||
        { fail "c++ project: configure"; tail -n 20 "$folder/plain c++.log"; return 0; }
    build_and_run 'plain c++'
}

# Another machine, where there is a cross compiler for it and an emulator: the runtime installed
# into its tree as the guide says, then an application.
check_other_machine() {
    local gcc=aarch64-linux-gnu-gcc emulator=qemu-aarch64
    if ! command -v $gcc >/dev/null || ! command -v $emulator >/dev/null; then
        echo "left out: no $gcc or no $emulator"
        return 0
    fi
    cat >"$folder/work/other.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER $gcc)
set(CMAKE_FIND_ROOT_PATH $folder/work/sysroot)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_EXE_LINKER_FLAGS -static)
END
    project other <<'END'
cmake_minimum_required(VERSION 3.18)
project(other LANGUAGES C)
find_package(net2c REQUIRED)
net2c_add_network(tiny_gen MODEL tiny.yaml WEIGHTS tiny.safetensors ISA scalar WEIGHTS_AS incbin)
add_executable(embedded embedded.c)
target_link_libraries(embedded PRIVATE tiny_gen)
END
    local toolchain=-DCMAKE_TOOLCHAIN_FILE=$folder/work/other.cmake
    if cmake -S "$root" -B "$folder/work/runtime" "$toolchain" &&
        cmake --build "$folder/work/runtime" &&
        cmake --install "$folder/work/runtime" --prefix "$folder/work/sysroot/usr" &&
        configure other "$toolchain" && cmake --build "$folder/work/other/build" &&
        configure other -B "$folder/work/other/here" &&
        cmake --build "$folder/work/other/here"; then
        $emulator "$folder/work/other/build/embedded" >"$folder/there.numbers" || true
        "$folder/work/other/here/embedded" >"$folder/here.numbers"
        cmp "$folder/here.numbers" "$folder/there.numbers" || fail "other machine: other numbers"
    else
        fail "other machine: build"
    fi >"$folder/other_machine.log" 2>&1
    grep FAILED "$folder/other_machine.log" || true
}

# wrong NAME TEXT ARGUMENTS: this call of net2c_add_network is refused with TEXT.
wrong() {
    project "$1" <<END
cmake_minimum_required(VERSION 3.18)
project(wrong LANGUAGES C)
find_package(net2c REQUIRED)
net2c_add_network(tiny_gen $3)
END
    refused "$1" "$2" cmake -S "$folder/work/$1" -B "$folder/work/$1/build"
}

check_wrong_calls() {
    local good="MODEL tiny.yaml WEIGHTS tiny.safetensors"
    wrong no_model "MODEL and a file are missing" "WEIGHTS tiny.safetensors"
    wrong no_weights "WEIGHTS and a file are missing" "MODEL tiny.yaml"
    wrong weights_as "WEIGHTS_AS is file, incbin or array, not 'text'" "$good WEIGHTS_AS text"
    wrong word "not understood: ISAS;scalar" "$good ISAS scalar"
    wrong empty "without a value: ISA" "$good ISA"
    project not_made <<'END'
cmake_minimum_required(VERSION 3.18)
project(wrong LANGUAGES C)
find_package(net2c REQUIRED)
net2c_add_network(tiny_gen MODEL tiny.yaml WEIGHTS tiny.safetensors ISA pdp11)
END
    configure not_made || fail "not_made: configure"
    refused not_made pdp11 cmake --build "$folder/work/not_made/build"
}

install_net2c
expect_numbers
run_examples
check_cmake_example
check_subproject
check_array
check_cxx_project
check_other_machine
check_wrong_calls
echo "embedding: $failures failures"
[ $failures -eq 0 ]
