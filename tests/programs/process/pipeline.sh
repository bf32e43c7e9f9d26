#!/bin/bash
# A shell with a pipeline in the background, subshells and external commands all the time; runs until standard input closes, then checks what the pipeline counted.
nonce=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
keep=$nonce work=$(mktemp -d /tmp/trecr-pipeline-XXXXXX) pid=$$
fail() { echo "FAILED line $1: $2"; rm -rf "$work"; exit 1; }
(i=0; while [ ! -e "$work/stop" ]; do echo $((i++)); sleep 0.002; done; echo end) | (want=0
    while read -r n; do [ "$n" = end ] && break; [ "$n" = "$want" ] || { echo "$n instead of $want" >"$work/wrong"; break; }; want=$((want + 1)); echo "$want" >"$work/count"; done; exit 7) &
job=$!
(exit 23) & ended=$!
trap 'hit=$((hit + 1))' USR1
rounds=0 hit=0
echo "ready $nonce"
while read -rt 0.02 line; [ $? -gt 128 ] || [ $rounds -lt 3 ]; do
    rounds=$((rounds + 1)); kill -USR1 $$
    [ "$(printf '%s\n' c a b | sort | tr -d '\n')" = abc ] || fail $LINENO "a pipeline gave something else"
    [ $$ = $pid ] && [ "$(sh -c 'echo $PPID')" = $pid ] || fail $LINENO "another pid"
    [ ! -e "$work/wrong" ] || fail $LINENO "$(cat "$work/wrong")"
done
wait $ended; [ $? = 23 ] || fail $LINENO "status of an ended child"
until [ -s "$work/count" ]; do sleep 0.01; done # it has begun to count
touch "$work/stop"
wait $job; [ $? = 7 ] || fail $LINENO "status of the pipeline"
[ ! -e "$work/wrong" ] || fail $LINENO "$(cat "$work/wrong")"
[ $hit = $rounds ] && [ "$(cat "$work/count")" -gt 0 ] && [ $nonce = $keep ] || fail $LINENO "signals $hit, rounds $rounds"
rm -rf "$work"
echo "done $nonce"
