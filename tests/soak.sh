#!/bin/bash
# ./build.sh soak [NAME] [--seed N] [--minutes M]: long tests on out/; each writes docs/results/soak-NAME.md. Without NAME all of them, M minutes each.
#   api       programs that take checkpoints themselves, through VELOC, SCR and GPI_CP: 50 jobs, under both MPI libraries and gaspi_run, killed at random moments, with lost nodes and spares (tests/soak-api.sh)
#   faults    every fault point x process x kind, at each time that it is passed, in two samples; goes on where it was ended (out/soak-faults.state), as long as
#             the build is the same; exit code 1 also where M minutes were not enough
#   process   every program of the process engine in every scenario, as root and as a user; then random ones for M minutes; then 200 cycles of single programs without growth (100 where M is below 30)
#   ring      10,000 random freezes of the shared rings, half of them with the delegator in a process of its own
#   mpi       schedules of the protocol between ranks (tests/TreCr.Mpi.Tests), for a quarter of the time; then MPI programs at 20 random moments each, on 2, 4 and 8 ranks, under both libraries (tests/soak-mpi.sh)
#   mutate    each thing that can be changed in what the software device emits for a row of the instruction table: 95 % must turn the row red
#   samples   NVIDIA's CUDA samples where they and nvcc are installed: run, killed and restarted (tests/soak-samples.sh); goes on where it was ended; writes docs/results/samples.md
#   sequences random driver calls by the wrapper and on the back end itself: the same codes and values, and those of the real driver
#   stubs     each function of the driver API replaced by "return success, do nothing": a named case must fail
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
usage() { echo "usage: ./build.sh soak [api|faults|mpi|mutate|process|ring|samples|sequences|stubs] [--seed N] [--minutes M]" >&2; exit 2; }

names=(api faults mpi mutate process ring samples sequences stubs) seed=$((RANDOM * 32768 + RANDOM)) minutes=60
case ${1-} in
api | faults | mpi | mutate | process | ring | samples | sequences | stubs) names=("$1"); shift ;;
--* | "") ;;
*) usage ;;
esac
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] && [[ $2 =~ ^[0-9]+$ ]] || usage
    case $1 in --seed) seed=$2 ;; --minutes) minutes=$2 ;; *) usage ;; esac
    shift 2
done
export TRECR_ROOT=$PWD
mkdir -p docs/results

# built PROJECT: builds a test project and prints its program.
built() {
    dotnet build "tests/$1/$1.csproj" -c Release -v quiet --nologo >&2 && echo "artifacts/bin/$1/release/$1.dll"
}

failed=0
for name in "${names[@]}"; do
    report=docs/results/soak-$name.md
    case $name in
    faults)
        dll=$(built TreCr.Samples.Tests) || exit 1
        dotnet "$dll" soak --seed "$seed" --minutes "$minutes" --report "$report" || failed=1
        ;;
    samples) tests/soak-samples.sh docs/results/samples.md $((minutes * 60)) || failed=1 ;;
    sequences)
        dll=$(built TreCr.Surface.Tests) || exit 1
        dotnet "$dll" sequences --seed "$seed" --minutes "$minutes" --report "$report" || failed=1
        ;;
    stubs)
        dll=$(built TreCr.Surface.Tests) || exit 1
        dotnet "$dll" stubs --minutes "$minutes" --report "$report" || failed=1
        ;;
    mutate)
        {
            printf '# soak mutate\n\n%s UTC, %s cores, Linux %s\n\n```\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)"
            timeout $((minutes * 60)) dotnet test tests/TreCr.SoftDevice.Tests -c Release --nologo --filter "FullyQualifiedName~MutationTests.EveryChange" --logger "console;verbosity=normal" -- NUnit.ExplicitMode=None
            printf 'exit code %s\n```\n' $?
        } | grep -Ev '^ trecr: |^\s*$|^Test run|^Starting' | tee "$report"
        grep -qx 'exit code 0' "$report" || failed=1
        ;;
    process)
        built TreCr.Process.Host >/dev/null || exit 1 # precompiled by its build
        {
            printf '# soak process\n\n%s UTC, %s cores, Linux %s\n\n```\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)"
            timeout $((minutes * 60 + 5400)) artifacts/publish/TreCr.Process.Host/TreCr.Process.Host soak out/trecr-init tests/programs/process "$seed" "$minutes"
            code=$?
            printf 'exit code %s\n```\n' $code
        } | tee "$report"
        grep -qx 'exit code 0' "$report" || failed=1
        ;;
    mpi)
        dll=$(built TreCr.Mpi.Tests) || exit 1
        {
            printf '# soak mpi\n\n%s UTC, %s cores, Linux %s, seed %s\n\n```\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)" "$seed"
            dotnet "$dll" soak --seed "$seed" --minutes $(((minutes + 3) / 4)) && tests/soak-mpi.sh "$seed" $((minutes * 45))
            code=$?
            printf 'exit code %s\n```\n' $code
        } | tee "$report"
        grep -qx 'exit code 0' "$report" || failed=1
        ;;
    api)
        {
            printf '# soak api\n\n%s UTC, %s cores, Linux %s\n\n```\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)"
            tests/soak-api.sh "$seed" $((minutes * 60))
            code=$?
            printf 'exit code %s\n```\n' $code
        } | tee "$report"
        grep -qx 'exit code 0' "$report" || failed=1
        ;;
    ring)
        dll=$(built TreCr.Ring.Tests) || exit 1
        {
            printf '# soak ring\n\n%s UTC, %s cores, Linux %s\n\n```\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)"
            timeout $((minutes * 60)) dotnet "$dll" soak --seed "$seed" --freezes 10000
            code=$?
            printf 'exit code %s\n```\n' $code
        } | tee "$report"
        grep -qx 'exit code 0' "$report" || failed=1
        ;;
    esac
done
exit $failed
