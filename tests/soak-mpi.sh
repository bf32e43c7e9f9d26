#!/bin/bash
# soak-mpi.sh SEED SECONDS: self-checking MPI programs (tests/programs/mpi), under the mpirun of both libraries, on 2, 4 and 8 ranks: checkpointed at a random moment, killed with everything, restarted under a library
# chosen at random, 20 moments each, as far as the time goes. A restart passes only if the program goes on after the checkpoint's round, ends with "ok", and no round is missing or there twice. Writes rows to standard output.
# TRECR_SOAK_RANKS=8, TRECR_SOAK_MOMENTS=1, ...: other numbers than these.
set -uo pipefail
cd "$(dirname "$0")/.."
seed=$1 seconds=$2 trecr=$PWD/out/trecr
RANDOM=$seed
place=$(mktemp -d /tmp/trecr-soak-mpi.XXXXXX)
trap 'rm -rf "$place"' EXIT
export TRECR_STORE=$place/store TMPDIR=$place OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
end=$((SECONDS + seconds)) rounds=30 passed=0 failed=0

# launch KIND RANKS WORDS...: below that library's launcher, in a session of its own, so that everything can be killed.
launch() {
    local kind=$1 ranks=$2
    shift 2
    # Open MPI gives its ranks a terminal, which makes CR LF of the ends of lines.
    if [ "$kind" = openmpi ]; then setsid --wait mpirun.openmpi --oversubscribe --bind-to none -n "$ranks" "$@"; else setsid --wait mpirun.mpich -n "$ranks" "$@"; fi > >(stdbuf -oL tr -d '\r')
}

# one PROGRAM KIND RANKS: prints what was wrong, or nothing.
one() {
    local program=$1 kind=$2 ranks=$3 job=j$RANDOM$RANDOM other pid code last first arguments=("$rounds" 60)
    rm -rf "$place/files"
    mkdir "$place/files"
    [ "$program" = files ] && arguments=("$place/files" "${arguments[@]}")
    launch "$kind" "$ranks" "$trecr" run --job "$job" -- "$place/$program.$kind" "${arguments[@]}" >"$place/out" 2>"$place/err" </dev/null &
    pid=$!
    for ((i = 0; i < 2400; i++)); do grep -q '^round 1$' "$place/out" && break; sleep 0.05; done
    sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
    timeout 120 "$trecr" checkpoint "$job" >"$place/said" 2>"$place/said.err"
    code=$?
    if [ $code != 0 ]; then
        # A program that has ended meanwhile is no failure.
        wait "$pid"
        grep -qx ok "$place/out" && { echo ended; return; }
        echo "checkpoint: $code $(head -n 1 "$place/said.err")"
        pkill -KILL -f "$place" 2>/dev/null
        return
    fi
    last=$(grep -c '^round' "$place/out")
    pkill -KILL -f "$place/$program.$kind"
    pkill -KILL -f -- "--job $job "
    wait "$pid" 2>/dev/null
    grep -qx ok "$place/out" && { echo ended; return; }
    [ $((RANDOM % 2)) = 0 ] && other=openmpi || other=mpich
    launch "$other" "$ranks" timeout -s KILL 300 "$trecr" restart "$job" >"$place/again" 2>"$place/again.err" </dev/null
    code=$?
    [ $code = 0 ] && [ "$(tail -n 1 "$place/again")" = ok ] || { echo "restart under $other: $code $(grep -v '^-' "$place/again.err" | head -n 2 | tr '\n' ' ')$(tail -n 1 "$place/again")"; return; }
    first=$(head -n 1 "$place/again" | cut -d' ' -f2)
    [ "$(head -n 1 "$place/again")" = ok ] && first=$rounds
    [ "$first" -ge 1 ] && [ "$first" -le $((last + 1)) ] || { echo "went on at round $first after $last"; return; }
    diff <(seq -f 'round %g' "$first" $((rounds - 1)); echo ok) "$place/again" >/dev/null || { echo "rounds are missing or twice"; return; }
    "$trecr" rm "$job" >/dev/null 2>&1 || rm -rf "$place/store"
}

for kind in openmpi mpich; do
    for source in tests/programs/mpi/*.c; do
        program=$(basename "${source%.c}")
        [ "$program" = threads ] || "mpicc.$kind" -O1 -w -pthread -o "$place/$program.$kind" "$source" 2>/dev/null || echo "$program: not with $kind, which has not all of its functions"
    done
done
echo "program library ranks moments passed ended-before failed"
for ranks in ${TRECR_SOAK_RANKS:-2 4 8}; do
    for kind in openmpi mpich; do
        for binary in "$place"/*."$kind"; do
            program=$(basename "${binary%."$kind"}")
            good=0 bad=0 early=0
            for ((moment = 0; moment < ${TRECR_SOAK_MOMENTS:-20} && SECONDS < end; moment++)); do
                what=$(one "$program" "$kind" "$ranks" 2>/dev/null)
                case $what in
                '') good=$((good + 1)) ;;
                ended) early=$((early + 1)) ;;
                *) bad=$((bad + 1)); echo "  $program $kind $ranks, moment $moment: $what" ;;
                esac
            done
            passed=$((passed + good)) failed=$((failed + bad))
            [ $moment = 0 ] || echo "$program $kind $ranks $moment $good $early $bad"
        done
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
