#!/bin/bash
# The whole job once, as a user sees it: heat2d under `trecr run` on the software device; two checkpoints while it runs; SIGKILL of program and
# delegator; `trecr restart`; an uninterrupted run; comparison. The last line is `identical: yes` or `identical: no`; exit code 0 only for yes and when
# everything else was as it must be (each failure has a line of its own before the table).
#   --sabotage   one bit of device memory is flipped after the restart, so the comparison must find a difference: `identical: no`, exit code 1.
# Environment: TRECR_DEMO_SIZE, TRECR_DEMO_STEPS: cells per side, steps. Everything is written below out/demo.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
sabotage=no
case ${1-} in
"") ;;
--sabotage) sabotage=yes ;;
*) echo "usage: ./build.sh demo [--sabotage]" >&2; exit 2 ;;
esac
size=${TRECR_DEMO_SIZE:-768} steps=${TRECR_DEMO_STEPS:-300} every=5

work=$root/out/demo
trecr=$root/out/trecr
job=demo-$$
export TRECR_STORE=$work/store
unset TRECR_SAMPLE_COUNTER TRECR_SAMPLE_HOLD
failures=0
children=()

fail() { echo "failed: $*"; failures=$((failures + 1)); }
give_up() { echo "failed: $*"; show_logs; echo "identical: no"; exit 1; }
show_logs() { for f in "$work"/*.err; do [ -s "$f" ] && { echo "--- $(basename "$f")"; tail -n 15 "$f"; }; done; }
# Whatever way the demo ends, nothing that it started stays.
clean_up() {
    local p
    for p in "${children[@]}"; do kill -KILL $(descendants "$p") "$p" 2>/dev/null; done
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# All processes below a process, by /proc.
descendants() {
    local child
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        echo "$child"
        descendants "$child"
    done
}

# Waits until a file holds a line with at least this step (or the end of the program): wait_step FILE STEP PID.
step_of() { sed -n 's/^heat2d: step \([0-9]*\) of .*/\1/p' "$1" 2>/dev/null | tail -n 1; }
wait_step() {
    local deadline=$((SECONDS + 120)) now
    while now=$(step_of "$1") && [ "${now:-0}" -lt "$2" ]; do
        kill -0 "$3" 2>/dev/null || return 1
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

# A number out of JSON text: json KEY < TEXT.
json() { grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'; }
ms() { [ -n "$1" ] && awk -v us="$1" 'BEGIN { printf "%.1f", us / 1000 }' || echo "?"; }
now_us() { local t=$EPOCHREALTIME; echo "${t/[.,]/}"; }

[ -x "$trecr" ] || { echo "failed: out/trecr was not built"; echo "identical: no"; exit 1; }
rm -rf "$work"
mkdir -p "$work"

# ---- 1. run, two checkpoints ----------------------------------------------------------------------------------------------------------
echo "1. heat2d, $size x $size cells, $steps steps, on the software device"
# On a fast machine it waits before its last step, so that the kill falls before the end in any case.
TRECR_SAMPLE_COUNTER=$work/starts TRECR_SAMPLE_HOLD=$work/hold "$trecr" run --job "$job" --device soft -- \
    "$root/out/samples/heat2d" --size "$size" --steps "$steps" --every $every --output "$work/killed.field" --png "$work/heat2d.png" \
    >"$work/run.out" 2>"$work/run.err" </dev/null &
run=$!
children+=($run)

ids=() stored=() image=() stop=()
at=$((steps / 10))
for n in 1 2; do
    wait_step "$work/run.out" "$at" $run || give_up "the program ended, or stood still, before step $at"
    before=$(step_of "$work/run.out")
    id=$("$trecr" checkpoint "$job" 2>"$work/checkpoint$n.err" | tail -n 1)
    [ -n "$id" ] || give_up "checkpoint $n was not taken"
    ids+=("$id")
    "$trecr" inspect "$id" --json >"$work/inspect$n.json" 2>>"$work/checkpoint$n.err" || give_up "inspect $id"
    stored+=("$(json bytes_stored <"$work/inspect$n.json")")
    image+=("$(json bytes_total <"$work/inspect$n.json")")
    stop+=("$(json stop_time_us <"$work/inspect$n.json")")
    echo "   checkpoint $id taken after step $before"
    at=$(($(step_of "$work/run.out") + 2 * every))
    [ "$at" -lt "$steps" ] || at=$((steps - every))
done

# ---- 2. kill, restart -----------------------------------------------------------------------------------------------------------------
wait_step "$work/run.out" "$at" $run || give_up "the program did not go on after the second checkpoint"
victims=()
for p in $(descendants $run); do
    case $(readlink "/proc/$p/exe") in */heat2d | */trecr-delegator) victims+=("$p") ;; esac
done
[ ${#victims[@]} -ge 2 ] || give_up "program and delegator were not found below trecr run"
kill -KILL "${victims[@]}"
wait $run
code=$?
touch "$work/hold"
echo "2. killed program and delegator after step $(step_of "$work/run.out"); trecr run ended with exit code $code"
[ $code = 137 ] || fail "trecr run must end with 137 after a SIGKILL"
[ -e "$work/killed.field" ] && fail "the killed program had written its result already"

flip=
if [ $sabotage = yes ]; then
    # The middle cell's conductance, third byte: bit 22 of the float, half of its value.
    map=$(sed -n 's/^heat2d: conductance map at \(0x[0-9a-f]*\), .*/\1/p' "$work/run.err" | head -n 1)
    [ -n "$map" ] || give_up "heat2d did not say where its map is"
    flip=$(printf '0x%x' $((map + 4 * (size / 2 * size + size / 2) + 2)))
    echo "   sabotage: one bit at device address $flip will be flipped"
fi
begin=$(now_us)
TRECR_TEST_FLIP_DEVICE_BYTE=$flip "$trecr" restart "${ids[1]}" >"$work/restart.out" 2>"$work/restart.err" </dev/null &
restart=$!
children+=($restart)
wait_step "$work/restart.out" 1 $restart
seen_us=$(($(now_us) - begin))
wait $restart
code=$?
first=$(sed -n 's/^heat2d: step \([0-9]*\) of .*/\1/p' "$work/restart.out" | head -n 1)
echo "   restarted from ${ids[1]}: went on at step ${first:-?}, exit code $code"
[ -s "$work/killed.field" ] || fail "the restarted program wrote no result"
if [ $sabotage = no ]; then
    [ $code = 0 ] || fail "the restarted program must end with 0"
    [ "${first:-0}" -ge "$before" ] || fail "work done before the checkpoint was done again"
    nonce=$(sed -n 's/^heat2d: begin nonce=\([0-9a-f]*\) .*/\1/p' "$work/run.out")
    grep -qx "nonce=${nonce:-none}" "$work/killed.field.nonce" 2>/dev/null || fail "the nonce is not the first run's: the program was started over"
    grep -qx "starts=1" "$work/killed.field.nonce" 2>/dev/null && [ "$(cat "$work/starts")" = 1 ] || fail "the program was started more than once"
    grep -qx "launches=$((steps + 1))" "$work/killed.field.nonce" 2>/dev/null || fail "the number of kernels launched is not $((steps + 1))"
fi

# ---- 3. the same without interruption -------------------------------------------------------------------------------------------------
"$trecr" run --job "$job-whole" --device soft -- \
    "$root/out/samples/heat2d" --size "$size" --steps "$steps" --every $every --output "$work/whole.field" --png "$work/whole.png" \
    >"$work/whole.out" 2>"$work/whole.err" </dev/null &
whole=$!
children+=($whole)
wait $whole
code=$?
echo "3. uninterrupted run: exit code $code"
[ $code = 0 ] || fail "the uninterrupted run must end with 0"

identical=no
cmp "$work/killed.field" "$work/whole.field" && identical=yes
(cd "$work" && sha256sum killed.field whole.field 2>&1 | sed 's/^/   /')
[ -s "$work/heat2d.png" ] && echo "   picture: out/demo/heat2d.png"

# ---- 4. figures -----------------------------------------------------------------------------------------------------------------------
"$trecr" inspect "${ids[1]}" --json >"$work/inspect-restarted.json" 2>/dev/null
restart_us=$(json restart_us <"$work/inspect-restarted.json")
echo "4."
printf '   %-28s %14s %14s\n' "" "checkpoint 1" "checkpoint 2"
printf '   %-28s %14s %14s\n' "stop time, ms" "$(ms "${stop[0]}")" "$(ms "${stop[1]}")"
printf '   %-28s %14s %14s\n' "bytes in the image" "${image[0]:-?}" "${image[1]:-?}"
printf '   %-28s %14s %14s\n' "bytes stored" "${stored[0]:-?}" "${stored[1]:-?}"
[ -n "$restart_us" ] && printf '   %-28s %14s %14s\n' "restart time, ms" "" "$(ms "$restart_us")"
printf '   %-28s %14s %14s\n' "restart to next output, ms" "" "$(ms $seen_us)"
if [ -n "${stored[0]}" ] && [ -n "${stored[1]}" ] && [ "${stored[0]}" -gt 0 ]; then
    share=$((stored[1] * 100 / stored[0]))
    echo "   the second checkpoint stored $share % of the first"
    [ $((stored[1] * 100)) -le $((stored[0] * 40)) ] || fail "the second checkpoint must store at most 40 % of the first"
else
    fail "inspect does not tell how many bytes were stored"
fi
[ $failures = 0 ] || show_logs
echo "identical: $identical"
[ $identical = yes ] && [ $failures = 0 ]
