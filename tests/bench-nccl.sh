#!/bin/bash
# ./build.sh bench nccl: NCCL's all-reduce and all-to-all on the software device beside those of native Open MPI on the same bytes, two processes. Goal: at least equal from 1 MiB.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -e /usr/bin/mpirun.openmpi ] && [ -e /usr/bin/mpicc.openmpi ] || { echo "bench nccl: no Open MPI" >&2; exit 2; }
repeats=${TRECR_BENCH_RUNS:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -m 700 "$work/run"
export XDG_RUNTIME_DIR=$work/run OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
samples/compile.sh tests/programs/bench/nccl.cu "$work/nccl" "$work/obj"
mpicc.openmpi -O2 tests/programs/bench/mpi.c -o "$work/mpi"
out/trecr run --store "$work/store" --device soft -- "$work/nccl" "$repeats" >"$work/ours"
mpirun.openmpi --oversubscribe --bind-to none -n 2 "$work/mpi" "$repeats" >"$work/theirs"
echo "load $(cut -d' ' -f1 /proc/loadavg), $(nproc) cores, best of $repeats; microseconds for one call"
echo "| bytes | all-reduce | MPI_Allreduce | MPI / ours | all-to-all | MPI_Alltoall | MPI / ours |"
echo "|---|---|---|---|---|---|---|"
paste "$work/ours" "$work/theirs" | awk '{ printf "| %d | %s | %s | %.2f | %s | %s | %.2f |\n", $1, $2, $5, $5 / $2, $3, $6, $6 / $3 }'
