#!/bin/bash
# ./build.sh bench api [MIB]: how long a checkpoint through libveloc-client.so holds a program up, and how long until it is durable, beside a plain write and fsync of the same bytes.
# One process, medians of 5 checkpoints; scratch, persistent directory and store on the file system of TMPDIR.
set -euo pipefail
mib=${1:-256} rounds=5
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
gcc -O2 -I out/include -o "$place/bench" tests/programs/veloc/bench.c -L out/lib -lveloc-client -Wl,-rpath,"$PWD/out/lib"
echo "load $(cut -d' ' -f1 /proc/loadavg), $(nproc) processors, $mib MiB, $(stat -f -c %T "$place")"
printf '%-34s %8s %12s %11s\n' way changed blocking,ms durable,ms
row() { # row NAME PERCENT TARGET
    local figures
    figures=$("$place/bench" "$3" "$mib" "$2" $rounds)
    printf '%-34s %7s%% %12s %11s\n' "$1" "$2" ${figures}
    rm -rf "$place/scratch" "$place/persistent" "$place/store"
}
row "write and fsync" 100 "plain:$place/plain"
for changed in 100 1; do
    for mode in sync async; do
        for kind in persistent store; do
            printf 'mode = %s\nscratch = %s\n%s = %s\nscratch_versions = 1\nmax_versions = 1\n' $mode "$place/scratch" $kind "$place/$kind" >"$place/$mode-$kind.cfg"
            row "VELOC, $mode, $kind" $changed "$place/$mode-$kind.cfg"
        done
    done
done
