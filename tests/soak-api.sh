#!/bin/bash
# soak-api.sh SEED SECONDS: the heat equations of tests/programs/veloc and tests/programs/scr below the mpirun of both libraries, 50 jobs as far as the time goes. In each job a rank is killed at a random moment, three times,
# and after every second kill a node is lost: with SCR the directory of one of four nodes, with VELOC the scratch directory. A job passes only if it ends with the sum of an undisturbed run, and each restart began at what
# had been said to be taken (VELOC: at the checkpoint after it), or later. Every third job is one of GPI_CP (tests/programs/gpi_cp), below gaspi_run: three ranks are killed at random moments, a random one somewhere in a
# start, commit or restore, and spares take over. Writes rows to standard output.
set -uo pipefail
cd "$(dirname "$0")/.."
seed=$1 seconds=$2 root=$PWD jobs=50 ranks=4 steps=120 every=5 rows=64
RANDOM=$seed
place=$(mktemp -d /tmp/trecr-soak-api.XXXXXX)
trap 'rm -rf "$place"' EXIT
export TMPDIR=$place OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 HEAT_FILES=$place/files SCR_PREFIX=$place/prefix SCR_CACHE_BYPASS=0 SCR_CACHE_SIZE=2 SCR_JOB_ID=1 SCR_CONF_FILE=$place/scr.conf
end=$((SECONDS + seconds)) passed=0 failed=0
printf 'SCR_CACHE_BASE=%s/cache\nSTORE=%s/cache COUNT=2 VIEW=GLOBAL\n' "$place" "$place" >"$SCR_CONF_FILE"
printf '#!/bin/sh\nexport SCR_NODE_NAME=n${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\nexec "$@"\n' >"$place/node"
chmod +x "$place/node"
for library in openmpi mpich; do
    for api in veloc scr; do
        name=$([ $api = scr ] && echo scr || echo veloc-client)
        mpicc.$library -O2 -I out/include -o "$place/$api.$library" tests/programs/$api/heat.c -L out/lib -l"$name" -lm -Wl,-rpath,"$root/out/lib" || exit 1
    done
done

gcc -O2 -I out/include -o "$place/gpi_cp" tests/programs/gpi_cp/heat.c -L out/lib -lgpi_cp -pthread -Wl,-rpath,"$root/out/lib" || exit 1

# launch LIBRARY WORDS...: in a session of its own, so that everything can be killed.
launch() {
    local library=$1
    shift
    cd "$place/prefix" || exit 1
    if [ "$library" = openmpi ]; then exec setsid mpirun.openmpi --oversubscribe --bind-to none -n $ranks "$@"; else exec setsid mpirun.mpich -n $ranks "$@"; fi
}

# arguments API LIBRARY KIND: words of the program.
arguments() {
    if [ "$1" = scr ]; then echo "$place/node $place/scr.$2 $steps $every $rows"; else echo "$place/veloc.$2 ${3%-*} $place/veloc.cfg $steps $every $rows"; fi
}

fresh() { rm -rf "$place"/{cache,prefix,files,scratch,persistent}; mkdir -p "$place"/{prefix,files}; }

# Numbers that lines of a word have; the last one, -1 where there is none.
last() { sed -n "s/^$1 \(-\?[0-9]*\).*/\1/p" "$place/out" | tail -n 1 | grep . || echo -1; }

# one API LIBRARY KIND: prints what was wrong, or nothing.
one() {
    local api=$1 library=$2 kind=$3 words whole safe=-1 kill restart
    read -ra words <<<"$(arguments "$api" "$library" "$kind")"
    fresh
    (launch "$library" "${words[@]}") >"$place/out" 2>"$place/err" </dev/null || { echo "the undisturbed run failed: $(tail -n 1 "$place/err")"; return; }
    whole=$(tail -n 1 "$place/out")
    fresh
    for kill in 1 2 3 4; do
        : >"$place/out"
        (launch "$library" "${words[@]}") >"$place/out" 2>"$place/err" </dev/null &
        local pid=$!
        if [ $kill -lt 4 ]; then
            while [ -e /proc/$pid ] && ! grep -q '^restart' "$place/out"; do sleep 0.01; done
            sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
            local victims
            mapfile -t victims < <(ps -e -o pid=,args= | awk -v program="$place/$api.$library" '$2 == program { print $1 }')
            [ ${#victims[@]} -gt 0 ] && kill -9 "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null
        fi
        wait $pid
        local code=$?
        restart=$(last restart)
        [ "$restart" -ge "$safe" ] || { echo "restart $restart, and $safe was said to be safe"; return; }
        if [ "$code" = 0 ]; then
            [ "$(tail -n 1 "$place/out")" = "$whole" ] || { echo "$(tail -n 1 "$place/out") is not $whole"; return; }
            # It had come to its end before the kill.
            return
        fi
        [ $kill = 4 ] && { echo "exit code $code: $(tail -n 1 "$place/err")"; return; }
        echo kill >>"$place/count"
        local word=taken
        # Without a collective call in it, VELOC's checkpoint has returned on rank 0 before the others have come there; at the next one they have.
        [ "$api" = veloc ] && word=saved
        [ "$(last $word)" -gt "$safe" ] && safe=$(last $word)
        [ $((kill % 2)) = 0 ] || continue
        echo node >>"$place/count"
        if [ "$api" = scr ]; then rm -rf "$place/cache/node.n$((RANDOM % ranks))"; else
            while pgrep -f "veloc-backend.* $place/scratch" >/dev/null; do sleep 0.05; done
            rm -rf "$place/scratch"
        fi
    done
}

# gpi_cp: prints what was wrong, or nothing.
gpi_cp() {
    local words=("$place/gpi_cp" $ranks $((steps * 5)) $every $rows) wheres=(start commit restore) whole kill safe restored
    whole=$(out/bin/gaspi_run -n $ranks "${words[@]}" | grep '^sum') || { echo "the undisturbed run failed"; return; }
    : >"$place/out"
    setsid out/bin/gaspi_run -n $((ranks + 5)) "${words[@]}" $((RANDOM % ranks)):${wheres[RANDOM % 3]}:$((RANDOM % (steps * 4) + every)) $((ranks + RANDOM % 3)):${wheres[RANDOM % 3]}:$((RANDOM % (steps * 4) + every)) \
        >"$place/out" 2>"$place/err" </dev/null &
    local pid=$!
    while [ -e /proc/$pid ] && ! grep -q '^taken' "$place/out"; do sleep 0.01; done
    for kill in 1 2 3; do
        sleep "0.0$((RANDOM % 10))"
        local victims
        mapfile -t victims < <(ps -e -o pid=,args= | awk -v program="$place/gpi_cp" '$2 == program { print $1 }')
        # A rank that computes or a spare.
        safe=$(last taken)
        [ ${#victims[@]} -gt 0 ] && kill -9 "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null && echo kill >>"$place/count"
        sleep 0.05
        restored=$(last restored)
        [ "$restored" = -1 ] || [ "$restored" -ge "$safe" ] || [ "$(grep -n '^restored' "$place/out" | tail -n 1 | cut -d: -f1)" -lt "$(grep -n "^taken $safe\$" "$place/out" | tail -n 1 | cut -d: -f1)" ] || { echo "restored $restored, and $safe was said to be taken"; return; }
    done
    wait $pid
    grep -qx "$whole" "$place/out" || echo "no $whole: $(tail -n 1 "$place/out") $(tail -n 1 "$place/err")"
}

for ((job = 0; job < jobs && SECONDS < end; job++)); do
    if [ $((job % 3)) = 2 ]; then
        problem=$(gpi_cp)
        if [ -z "$problem" ]; then passed=$((passed + 1)); else
            failed=$((failed + 1))
            echo "| gpi_cp | gaspi_run | job $job | $problem |"
        fi
        continue
    fi
    library=$([ $((job % 2)) = 0 ] && echo openmpi || echo mpich)
    case $((RANDOM % 6)) in
    0) api=scr kind=XOR ;;
    1) api=scr kind=PARTNER ;;
    2) api=scr kind=RS ;;
    3) api=scr kind=XOR-async ;;
    4) api=veloc kind=mem-sync ;;
    5) api=veloc kind=mem-async ;;
    esac
    export SCR_COPY_TYPE=${kind%-async} SCR_FLUSH=$([ "$kind" = XOR-async ] && echo 3 || echo 0) SCR_FLUSH_ASYNC=$([ "$kind" = XOR-async ] && echo 1 || echo 0)
    printf 'mode = %s\nscratch = %s/scratch\npersistent = %s/persistent\n' "${kind#*-}" "$place" "$place" >"$place/veloc.cfg"
    problem=$(one "$api" "$library" "$kind")
    if [ -z "$problem" ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "| $api $kind | $library | job $job | $problem |"
    fi
done
echo "| $passed jobs ended with the right sum, $failed did not | $(grep -c kill "$place/count") kills, $(grep -c node "$place/count") lost nodes | seed $seed load $(cut -d' ' -f1 /proc/loadavg) | |"
[ $failed = 0 ] && [ $passed -gt 0 ]
