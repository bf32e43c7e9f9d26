#!/bin/bash
# ./build.sh bench api [MIB]: how long a checkpoint through libveloc-client.so, libscr.so or libgpi_cp.so holds a program up, and how long until it is durable, beside a plain write and fsync of the same bytes.
# MIB in all. Medians of 5 checkpoints; scratch, persistent directory and store on the file system of TMPDIR.
set -euo pipefail
mib=${1:-256} rounds=5
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
gcc -O2 -I out/include -o "$place/bench" tests/programs/veloc/bench.c -L out/lib -lveloc-client -Wl,-rpath,"$PWD/out/lib"
echo "load $(cut -d' ' -f1 /proc/loadavg), $(nproc) processors, $mib MiB, $(stat -f -c %T "$place")"
printf '%-34s %8s %12s %11s\n' way changed blocking,ms durable,ms
row() { # row NAME PERCENT TARGET [FLAGS]
    local figures
    figures=$("$place/bench" "$3" "$mib" "$2" $rounds ${4-})
    printf '%-34s %7s%% %12s %11s\n' "$1" "$2" ${figures}
    rm -rf "$place/scratch" "$place/persistent" "$place/store"
}
row "write and fsync" 100 "plain:$place/plain"
row "copy in memory" 100 copy
for changed in 100 1; do
    for mode in sync async; do
        for kind in persistent store; do
            printf 'mode = %s\nscratch = %s\n%s = %s\nscratch_versions = 1\nmax_versions = 1\n' $mode "$place/scratch" $kind "$place/$kind" >"$place/$mode-$kind.cfg"
            row "VELOC, $mode, $kind" $changed "$place/$mode-$kind.cfg"
            [ $mode = sync ] || row "VELOC, $mode, $kind, DEFAULT" $changed "$place/$mode-$kind.cfg" 0
            [ $mode = sync ] || row "VELOC, $mode, $kind, READ_ONLY" $changed "$place/$mode-$kind.cfg" 1
        done
    done
done

# GPI_CP: so many MiB spread over the ranks. Blocking: gpi_cp_start; durable: from there until gpi_cp_commit has returned, which for the original is "in the neighbour's memory".
gcc -O2 -I out/include -o "$place/gpi" tests/programs/gpi_cp/bench.c -L out/lib -lgpi_cp -Wl,-rpath,"$PWD/out/lib"
for ranks in 1 2 4; do
    for changed in 100 1; do
        read -r start commit copy < <(out/bin/gaspi_run -n $ranks "$place/gpi" $((mib / ranks)) $changed 7)
        printf '%-34s %7s%% %12s %11s\n' "GPI_CP, $ranks ranks" $changed "$start" "$commit"
        printf '%-34s %7s%% %12s %11s\n' "copy in memory, $ranks ranks" 100 "$copy" -
    done
done

# SCR: a file of so many MiB from each of two and four ranks, each on a node of its own (a directory of the same file system). Blocking: Start_output to Complete_output, the program's own writing in it.
command -v mpicc.openmpi >/dev/null || exit 0
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 SCR_CACHE_BYPASS=0 SCR_FLUSH=0 SCR_JOB_ID=1 SCR_PREFIX=$place/prefix SCR_CONF_FILE=$place/scr.conf SCR_SET_FAILURES=1
mkdir -p "$place/prefix"
printf 'SCR_CACHE_BASE=%s/cache\nSTORE=%s/cache COUNT=1 VIEW=GLOBAL\n' "$place" "$place" >"$SCR_CONF_FILE"
printf '#!/bin/sh\nexport SCR_NODE_NAME=n$OMPI_COMM_WORLD_RANK\nexec "$@"\n' >"$place/node"
chmod +x "$place/node"
mpicc.openmpi -O2 -I out/include -o "$place/scr" tests/programs/scr/bench.c -L out/lib -lscr -Wl,-rpath,"$PWD/out/lib"
for ranks in 2 4; do
    for type in none SINGLE PARTNER XOR RS; do
        figures=$(cd "$place/prefix" && SCR_COPY_TYPE=$type mpirun.openmpi --oversubscribe --bind-to none -n $ranks "$place/node" "$place/scr" $((mib / ranks)) $rounds $type 2>/dev/null)
        printf '%-34s %7s%% %12s %11s\n' "SCR, $ranks ranks, $type" 100 "$figures" -
        rm -rf "$place/cache" "$place"/prefix/{.scr,*}
    done
done
