#!/bin/bash
# ./build.sh soak samples: NVIDIA's CUDA samples (Debian: nvidia-cuda-samples, nvidia-cuda-toolkit, nvidia-cuda-toolkit-gcc; 4 GB, not installed by this script),
# built by their own makefiles, run under out/trecr: once plain, once without their kernels or copies (does the sample check anything?), and once with checkpoint and
# SIGKILL in the middle of their launches, then restart. Goes on where it was ended: artifacts/cuda-samples/state.tsv.
#   soak-samples.sh REPORT SECONDS    environment: TRECR_SAMPLES="NAME ..." only these, and again
# Exit code 0: all samples were looked at.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
root=$PWD report=$1 end=$((SECONDS + $2))
sources=${TRECR_CUDA_SAMPLES:-/usr/share/doc/nvidia-cuda-samples/examples}
work=${TRECR_SAMPLES_WORK:-$root/artifacts/cuda-samples}
limit=${TRECR_SAMPLE_SECONDS:-100}
out=${TRECR_OUT:-$root/out} # another build, while out/ is being worked on
state=$work/state.tsv
[ -d "$sources/Samples" ] && command -v nvcc >/dev/null || { echo "soak samples: needs Debian's nvidia-cuda-samples and nvidia-cuda-toolkit (non-free)" >&2; exit 2; }
mkdir -p "$work/run" "$work/logs"
touch "$state"
[ -d "$work/src" ] || { cp -rL "$sources" "$work/src.new" 2>/dev/null; chmod -R u+w "$work/src.new" && mv "$work/src.new" "$work/src"; } || exit 1
gcc -O1 -Wall -shared -fPIC -o "$work/shim.so" tests/cuda-samples/shim.c -ldl || exit 1
build=$(cd "$out" && sha256sum trecr lib/libtrecr-wrapper.so delegator/trecr-delegator.dll delegator/TreCr.SoftDevice.dll delegator/TreCr.Ptx.dll 2>/dev/null | sha256sum | cut -c1-12)
export XDG_RUNTIME_DIR=$work/run TRECR_STORE=$work/store

# Lines of tests/cuda-samples/arguments.tsv: name, arguments that make a sample small or keep it from waiting for a user.
arguments_of() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' tests/cuda-samples/arguments.tsv; }
# Lines of tests/cuda-samples/left-out.tsv: name, reason: needs a display, another system, or hardware that no machine here has.
left_out() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' tests/cuda-samples/left-out.tsv; }

descendants() { local c; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do descendants "$c"; echo "$c"; done; }

# Kills what is left below a pid, and the pid.
finish() { local p; for p in $(descendants "$1") "$1"; do kill -9 "$p" 2>/dev/null; done; wait "$1" 2>/dev/null; }

# start MODE AT LOG: runs the sample in the background under trecr; $pid is its supervisor.
start() {
    rm -rf "$work/shim" && mkdir -p "$work/shim"
    (cd "$where" && exec timeout -s KILL "$limit" env TRECR_SHIM_DIR="$work/shim" TRECR_SHIM_MODE="$1" TRECR_SHIM_AT="$2" \
        "$out/trecr" run --job "$job" --device soft -- env LD_PRELOAD="$work/shim.so" "./$name" $arguments) >"$3" 2>&1 </dev/null &
    pid=$!
}

# Whether a log and an exit code say that the sample found its results right.
good() { [ "$2" = 0 ] && ! grep -qE 'FAILED|Result = FAIL|[Tt]est failed|Test FAIL|failed!|FAILURE|&&&& .*FAILED|: Not equal|NOT OK' "$1"; }

why() { # why LOG CODE: the line that says most
    local line
    line=$(grep -aE 'trecr: .*(not supported|refused|cannot|CUDA error)' "$1" | head -n 1)
    [ -n "$line" ] || line=$(grep -aiE 'error|fail|not support|waiv|require|assert' "$1" | head -n 1)
    [ -n "$line" ] || line=$(tail -n 1 "$1")
    [ "$2" = 137 ] && line="not done after $limit s; $line"
    printf '%s' "exit code $2: $line" | tr '\t\n|' '   ' | sed "s#$work/src/##g; s/0x[0-9a-f]*/0x…/g" | cut -c1-230
}

look_at() {
    local log=$work/logs/$name code
    ran=no passes=no restarts=no reason=
    if ! (cd "$where" && timeout 600 make CUDA_PATH=/usr CUDA_SEARCH_PATH=/usr/lib/x86_64-linux-gnu HOST_COMPILER=g++-11 SMS=80 GENCODE_FLAGS='-gencode arch=compute_80,code=compute_80' EXTRA_NVCCFLAGS='-cudart shared' build) >"$log.build" 2>&1 \
        || [ ! -x "$where/$name" ]; then
        reason="not built: $(grep -aiE 'error|warning|waiv|not found' "$log.build" | head -n 1 | tr '\t|' '  ' | cut -c1-200)"
        return
    fi
    job=s-$$ arguments=$(arguments_of "$name")
    start count "" "$log.plain"
    wait "$pid"; code=$?
    if [ "$code" = 0 ]; then ran=yes; else reason=$(why "$log.plain" "$code"); return; fi
    local launches=0 calls=0 at=
    read -r launches calls <"$work/shim/counts" || true
    if ! good "$log.plain" 0; then reason=$(why "$log.plain" 0); return; fi
    start null "" "$log.null"
    wait "$pid"; code=$?
    if good "$log.null" "$code"; then
        start nullcopy "" "$log.null"
        wait "$pid"; code=$?
    fi
    if good "$log.null" "$code"; then passes=unknown reason="checks nothing: it says the same when its kernels do not run"; else passes=yes; fi
    if [ "$launches" -gt 0 ]; then at="launch $((launches / 2 + 1))"; elif [ "$calls" -gt 0 ]; then at="call $((calls / 2 + 1))"; else reason="${reason:+$reason; }no call of the runtime to stop at"; return; fi
    start hold "$at" "$log.hold"
    local waited=0
    while [ ! -e "$work/shim/held" ] && kill -0 "$pid" 2>/dev/null && [ $waited -lt $((limit * 10)) ]; do sleep 0.1; waited=$((waited + 1)); done
    if [ ! -e "$work/shim/held" ]; then finish "$pid"; reason="${reason:+$reason; }never came to $at again"; return; fi
    local id
    id=$(timeout 100 "$out/trecr" checkpoint "$job" 2>"$log.checkpoint" | tail -n 1)
    finish "$pid"
    touch "$work/shim/go"
    if [ -z "$id" ]; then reason="${reason:+$reason; }no checkpoint: $(grep -a . "$log.checkpoint" | head -n 1 | tr '\t|' '  ' | cut -c1-200)"; return; fi
    (cd "$where" && exec timeout -s KILL "$limit" "$out/trecr" restart "$id") >"$log.restart" 2>&1 </dev/null &
    pid=$!
    wait "$pid"; code=$?
    [ "$code" = 137 ] && finish "$pid"
    if ! good "$log.restart" "$code"; then reason="${reason:+$reason; }restart at $at: $(why "$log.restart" "$code")"
    elif [ "$(wc -l <"$work/shim/starts")" != 1 ] || ! cmp -s "$work/shim/starts" "$work/shim/ends"; then reason="${reason:+$reason; }restart at $at: not the program that was saved"
    elif [ "$passes" = unknown ]; then restarts=unknown
    else restarts=yes; fi
}

write_report() {
    {
        printf '# soak samples\n\nNVIDIA'\''s CUDA samples 11.8 (Debian nvidia-cuda-samples, nvcc 11.8, `compute_80`, shared cudart) on the software device; %s UTC, %s cores, Linux %s.\n\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)"
        printf 'ran: exit code 0. passes: its own check found the results right, and finds them wrong when kernels are not launched or copies bring nothing. restarts: the same after checkpoint and SIGKILL before its middle launch and restart, as one program (tests/cuda-samples/shim.c).\n"unknown": the sample checks nothing.\n\n'
        sort -t$'\t' -k1,1 "$state" | awk -F'\t' '{ n++; r += $3 == "yes"; p += $4 == "yes"; s += $5 == "yes" } END { printf "%d samples looked at: %d ran, %d pass, %d restart.\n\n", n, r, p, s }'
        printf '| sample | ran | passes | restarts | reason why not |\n|---|---|---|---|---|\n'
        sort -t$'\t' -k1,1 "$state" | awk -F'\t' '{ printf "| %s | %s | %s | %s | %s |\n", $1, $3, $4, $5, $6 }'
        printf '\n## Not looked at in the time given\n\n%s\n' "$(for m in "$work"/src/Samples/*/*/Makefile; do n=$(basename "$(dirname "$m")"); [ -n "$(left_out "$n")" ] || grep -q "^$n	" "$state" || echo "$n"; done | sort | paste -sd' ')"
        printf '\n## Left out\n\n| sample | why |\n|---|---|\n'
        awk -F'\t' '!/^#/ { printf "| %s | %s |\n", $1, $2 }' tests/cuda-samples/left-out.tsv
    } >"$report"
}

all=1
# Those that were never looked at come first, then those that did not restart with another build.
for makefile in "$work"/src/Samples/*/*/Makefile "$work"/src/Samples/*/*/./Makefile; do
    where=${makefile%/Makefile} where=${where%/.}
    name=$(basename "$where")
    [ -z "$(left_out "$name")" ] || continue
    if [ -n "${TRECR_SAMPLES-}" ]; then [[ " $TRECR_SAMPLES " == *" $name "* && $makefile != */./Makefile ]] || continue
    elif [[ $makefile != */./Makefile ]] && grep -q "^$name	" "$state"; then continue
    elif awk -F'\t' -v n="$name" -v b="$build" '$1 == n && ($2 == b || $5 == "yes") { found = 1 } END { exit !found }' "$state"; then continue; fi
    [ $SECONDS -lt $end ] || { all=0; break; }
    began=$SECONDS
    look_at
    rm -rf "$work/store"
    { awk -F'\t' -v n="$name" '$1 != n' "$state"; printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$build" "$ran" "$passes" "$restarts" "$reason"; } >"$state.new" && mv "$state.new" "$state"
    echo "$name: ran $ran, passes $passes, restarts $restarts ($((SECONDS - began)) s) $reason"
done
write_report
[ $all = 1 ]
