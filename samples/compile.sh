#!/bin/bash
# Compiles one sample: compile.sh SOURCE OUTPUT [OBJECT-DIRECTORY]
#   *.cu   with nvcc where it is installed (TRECR_NO_NVCC=1 leaves it aside), else with clang-19: device code to PTX by the NVPTX backend,
#          the PTX into a fatbin of one entry, host code by the same clang, linked with NVIDIA's libcudart.so.11.0.
#   *.cpp  a program of the driver API: linked against a stub that has libcuda's soname, so that it finds the real one, or ours, when it starts.
# The PTX stays beside the object, as NAME.ptx, for tests that want it.
set -euo pipefail

source=$1 output=$2
name=$(basename "${source%.*}")
objects=${3:-$(dirname "$output")/obj}
mkdir -p "$objects" "$(dirname "$output")"
clang=${TRECR_CLANG:-clang-19}

# Prints a number as little-endian bytes: le VALUE LENGTH.
le() {
    local v=$1 i text=
    for ((i = 0; i < $2; i++)); do
        printf -v text '%s\\x%02x' "$text" $(((v >> (8 * i)) & 255))
    done
    printf "$text"
}

# Wraps PTX text into a fat binary: header of 16 bytes, entry header of 64, the text with a terminating zero, padded to 8
# (layout as in the public description of the format: kind 1 is PTX; flags 64-bit, CUDA, Linux).
fatbin() { # fatbin PTX ARCHITECTURE > FATBIN
    local length padded
    length=$(stat -c %s "$1")
    padded=$(((length + 1 + 7) / 8 * 8))
    le 0xBA55ED50 4; le 1 2; le 16 2; le $((64 + padded)) 8
    le 1 2; le 0x0101 2; le 64 4; le "$padded" 8
    le 0 4; le 0 4; le 4 2; le 6 2; le "$2" 4   # compressed size, options, PTX version 6.4, architecture
    le 0 4; le 0 4; le 0x15 8; le 0 8; le 0 8   # name, flags, uncompressed size 0: stored as it is
    cat "$1"
    le 0 $((padded - length))
}

# Makes a library of empty functions for the names of NCCL that an object needs: only the linker ever sees it. The program finds ours when it starts, under trecr run, or NVIDIA's.
nccl_of() { # nccl_of OBJECT > linker arguments
    local names stub=$objects/$name.stub
    names=$(nm -u "$1" | sed -n 's/^ *U \(nccl[A-Z][A-Za-z0-9_]*\)$/void \1(void) {}/p')
    [ -n "$names" ] || return 0
    mkdir -p "$stub"
    "$clang" -x c -shared -fPIC -Wl,-soname,libnccl.so.2 -o "$stub/libnccl.so" - <<<"$names"
    echo "-L$stub -lnccl"
}

case $source in
*.cpp)
    stub=$objects/stub/libcuda.so
    mkdir -p "$objects/stub"
    if [ ! -e "$stub" ]; then
        # One empty function for each name that the sample's symbols need; only the linker ever sees them.
        "$clang" -x c++ -O1 -c "$source" -o "$objects/$name.names.o"
        nm -u "$objects/$name.names.o" | sed -n 's/^ *U \(cu[A-Z][A-Za-z0-9_]*\)$/void \1(void) {}/p' |
            "$clang" -x c -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$stub" -
    fi
    "$clang" -x c++ -std=c++17 -O2 -Wall -c "$source" -o "$objects/$name.o"
    "$clang" "$objects/$name.o" -L"$objects/stub" -lcuda -lstdc++ -lm -o "$output.tmp"
    ;;
*.cu)
    if [ -z "${TRECR_NO_NVCC:-}" ] && command -v nvcc >/dev/null; then
        nvcc -std=c++17 -O2 -cudart shared -gencode arch=compute_70,code=compute_70 -c "$source" -o "$objects/$name.o"
        # shellcheck disable=SC2046
        nvcc -cudart shared "$objects/$name.o" $(nccl_of "$objects/$name.o") -o "$output.tmp"
        mv -f "$output.tmp" "$output"
        exit
    fi
    sdk=(-Xclang -target-sdk-version=11.8)
    common=(-x cuda -std=c++17 -O2 -Wall -Wno-unused-function -nocudainc -nocudalib --cuda-gpu-arch=sm_70 -DTRECR_OWN_CUDA_HEADERS "${sdk[@]}")
    "$clang" "${common[@]}" --cuda-device-only -Xclang -target-feature -Xclang +ptx64 -S "$source" -o "$objects/$name.ptx"
    fatbin "$objects/$name.ptx" 70 >"$objects/$name.fatbin"
    "$clang" "${common[@]}" --cuda-host-only -Xclang -fcuda-include-gpubinary -Xclang "$objects/$name.fatbin" -c "$source" -o "$objects/$name.o"
    # shellcheck disable=SC2046
    "$clang" "$objects/$name.o" $(nccl_of "$objects/$name.o") -l:libcudart.so.11.0 -lstdc++ -lm -lpthread -o "$output.tmp"
    ;;
*)
    echo "compile.sh: $source: neither .cu nor .cpp" >&2
    exit 2
    ;;
esac
mv -f "$output.tmp" "$output"
