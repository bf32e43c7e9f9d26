#!/bin/bash
# ./build.sh soak samples: NVIDIA's CUDA samples (Debian: nvidia-cuda-samples, nvidia-cuda-toolkit, nvidia-cuda-toolkit-gcc; 4 GB, not installed by this script),
# built by their own makefiles, run under out/trecr: once plain, once without their kernels or copies (would anybody notice?), and once with checkpoint and
# SIGKILL in the middle of their launches, then restart. Goes on where it was ended: artifacts/cuda-samples/state.tsv.
#   soak-samples.sh REPORT SECONDS    environment: TRECR_SAMPLES="NAME ..." only these, and again; then nothing but their lines where REPORT is -
# Exit code 0: all samples were looked at; with TRECR_SAMPLES: all of those restart.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
root=$PWD report=$1 end=$((SECONDS + $2))
sources=${TRECR_CUDA_SAMPLES:-/usr/share/doc/nvidia-cuda-samples/examples}
work=${TRECR_SAMPLES_WORK:-$root/artifacts/cuda-samples}
limit=${TRECR_SAMPLE_SECONDS:-100}
out=${TRECR_OUT:-$root/out} # another build, while out/ is being worked on
state=$work/state.tsv
[ -d "$sources/Samples" ] && command -v nvcc >/dev/null || { echo "soak samples: needs Debian's nvidia-cuda-samples and nvidia-cuda-toolkit (non-free)" >&2; exit 2; }
own=$work/by-$$ # what this run makes beside the samples themselves: several runs may share those
mkdir -p "$work/logs" "$own/run"
trap 'rm -rf "$own"' EXIT
touch "$state"
exec 9>"$work/lock"
flock 9
[ -d "$work/src" ] || { cp -rL "$sources" "$work/src.new" 2>/dev/null; chmod -R u+w "$work/src.new" && mv "$work/src.new" "$work/src"; } || exit 1
flock -u 9
gcc -O2 -Wall -shared -fPIC -o "$own/shim.so" tests/cuda-samples/shim.c -ldl || exit 1
build=$(cd "$out" && sha256sum trecr lib/libtrecr-wrapper.so delegator/trecr-delegator.dll delegator/TreCr.SoftDevice.dll delegator/TreCr.Ptx.dll 2>/dev/null | sha256sum | cut -c1-12)
export XDG_RUNTIME_DIR=$own/run TRECR_STORE=$own/store

# Lines of tests/cuda-samples/arguments.tsv: name, arguments that make a sample small or keep it from waiting for a user, NAME=VALUE for its environment.
arguments_of() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' tests/cuda-samples/arguments.tsv; }
environment_of() { awk -F'\t' -v n="$1" '$1 == n { print $3 }' tests/cuda-samples/arguments.tsv; }
# Lines of tests/cuda-samples/expected.tsv: name, extended regular expressions, each of which a line of the output must match: what is right by reasoning, not by a run.
expected_of() { awk -F'\t' -v n="$1" '$1 == n { for (i = 2; i <= NF; i++) print $i }' tests/cuda-samples/expected.tsv; }
# Lines of tests/cuda-samples/left-out.tsv: name, reason: needs a display, another system, or hardware that no machine here has.
left_out() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' tests/cuda-samples/left-out.tsv; }

# Lines of tests/cuda-samples/order-free.tsv: name, sed expression for its printed lines, TRECR_SHIM_MASK: what the order of threads decides, which no run need share with another, is taken out before runs are compared.
order_free_of() { awk -F'\t' -v n="$1" '$1 == n { print $2 }' tests/cuda-samples/order-free.tsv; }
mask_of() { awk -F'\t' -v n="$1" '$1 == n { print $3 }' tests/cuda-samples/order-free.tsv; }

descendants() { local c; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do descendants "$c"; echo "$c"; done; }

# Kills what is left below a pid, and the pid.
finish() { local p; for p in $(descendants "$1") "$1"; do kill -9 "$p" 2>/dev/null; done; wait "$1" 2>/dev/null; }

# start MODE AT LOG: runs the sample in the background under trecr; $pid is its supervisor.
start() {
    rm -rf "$own/shim" && mkdir -p "$own/shim"
    (cd "$where" && exec timeout -s KILL "$limit" env $environment ${mask:+TRECR_SHIM_MASK="$mask"} TRECR_SHIM_DIR="$own/shim" TRECR_SHIM_MODE="$1" TRECR_SHIM_AT="$2" \
        "$out/trecr" run --job "$job" --device soft -- $launcher env LD_PRELOAD="$own/shim.so" "./$name" $arguments) >"$3" 2>&1 </dev/null 9>&- &
    pid=$!
}

# complete MODE LOG: the same to its end; $code is its exit code, what was seen is in $own/MODE.
complete() {
    start "$1" "" "$2"
    wait "$pid" 2>/dev/null; code=$?
    [ "$code" != 137 ] || finish "$pid"
    seen "$2" >"$own/$1"
}

# seen LOG...: what a run showed: its printed lines, and from the shim what it copied to the host and what lay in the memory that it gave back. Sorted.
seen() { { cat "$@" | sed -E "$order_free" | sed 's/^/line /'; cat "$own/shim/state" 2>/dev/null; } | LC_ALL=C sort; }

# Whether a log and an exit code say that the sample found its results right.
good() { ! grep -aqE 'trecr: .*(refused|was rejected)' "$1" && [ "$2" = 0 ] && ! grep -aqE 'FAILED|Result = FAIL|[Tt]est failed|Test FAIL|failed!|FAILURE|&&&& .*FAILED|: Not equal|NOT OK|Results are wrong|ERROR:' "$1"; }

# Whether a log has each line that it must have.
expected() {
    local each all=0
    while IFS= read -r each; do grep -aqE -- "$each" "$1" || all=1; done < <(expected_of "$name")
    return $all
}

why() { # why LOG CODE: the line that says most
    local line
    line=$(grep -aE 'trecr: .*(not supported|refused|cannot|CUDA error)' "$1" | head -n 1)
    [ -n "$line" ] || line=$(grep -aiE 'error|fail|not support|waiv|require|assert' "$1" | head -n 1)
    [ -n "$line" ] || line=$(tail -n 1 "$1")
    [ "$2" = 137 ] && line="not done after $limit s; $line"
    printf '%s' "exit code $2: $line" | tr '\t\n|' '   ' | sed "s#$work/src/##g; s/0x[0-9a-f]*/0x…/g" | cut -c1-230
}

# Lines of tests/cuda-samples/smaller.tsv: name, file, sed expression: a loop or a size that is fixed in the source is made smaller, because the sample would take the software device minutes.
smaller_of() { awk -F'\t' -v n="$1" '$1 == n { print $2 "\t" $3 }' tests/cuda-samples/smaller.tsv; }

make_sample() {
    local file change original
    while IFS=$'\t' read -r file change; do
        original=$sources/${where#"$work/src/"}/$file
        sed -E "$change" "$original" >"$own/smaller"
        if cmp -s "$own/smaller" "$original"; then echo "error: smaller.tsv changes nothing in $file" >"$1"; return 1; fi
        cmp -s "$own/smaller" "$where/$file" || cp "$own/smaller" "$where/$file"
    done < <(smaller_of "$name")
    (cd "$where" && timeout 600 make CUDA_PATH=/usr CUDA_SEARCH_PATH=/usr/lib/x86_64-linux-gnu/stubs HOST_COMPILER=g++-11 SMS=80 GENCODE_FLAGS='-gencode arch=compute_80,code=compute_80' EXTRA_NVCCFLAGS='-cudart shared' build) >"$1" 2>&1 \
        && [ -x "$where/$name" ]
}

# Who says that the results are right, in $by: "own check" (the sample's, which fails without kernels or copies), "expected lines" (ours), "state" (what two plain
# runs show alike, and a run without kernels, copies or answers does not). Leaves $own/steady for "state".
verify() {
    local kind code
    by=
    for kind in null nullcopy nullask; do
        [ "$kind" = nullask ] && [ "$launches" -gt 0 ] && continue
        complete $kind "$log.$kind"
        if [ "$code" = 137 ]; then continue; fi
        if ! good "$log.$kind" "$code"; then
            [ $kind = nullask ] || { by="own check"; return; }
        fi
        if [ -n "$(expected_of "$name")" ] && ! expected "$log.$kind"; then by="expected lines"; return; fi
    done
    [ -z "$(expected_of "$name")" ] || return
    mv "$own/count" "$own/first"
    complete count "$log.again"
    LC_ALL=C comm -12 "$own/first" "$own/count" >"$own/steady"
    for kind in null nullcopy nullask; do
        [ -s "$own/$kind" ] || continue
        if [ -n "$(LC_ALL=C comm -23 "$own/steady" "$own/$kind")" ]; then by=state; return; fi
    done
}

look_at() {
    local log=$work/logs/$name code
    ran=no passes=no restarts=no reason= by=
    rm -f "$log".*
    if ! make_sample "$log.build"; then
        reason="not built: $(grep -aiE 'error|warning|waiv|not found|no rule' "$log.build" | head -n 1 | tr '\t|' '  ' | cut -c1-200)"
        return
    fi
    job=s-$$ arguments=$(arguments_of "$name") environment=$(environment_of "$name") order_free=$(order_free_of "$name") mask=$(mask_of "$name") launcher=
    rm -f "$own"/{count,null,nullcopy,nullask,first,steady}
    complete count "$log.plain"
    if [ "$code" = 0 ]; then ran=yes; else reason=$(why "$log.plain" "$code"); return; fi
    local launches=0 calls=0 questions=0 at=
    read -r launches calls questions <"$own/shim/counts" || true
    if ! good "$log.plain" 0; then reason=$(why "$log.plain" 0); return; fi
    if ! expected "$log.plain"; then reason="prints not what it must"; return; fi
    verify
    if [ -n "$by" ]; then passes=yes; else passes=unknown reason="checks nothing: it shows the same when its kernels do not run"; fi
    if [ "$launches" -gt 0 ]; then at="launch $((launches / 2 + 1))"; elif [ "$calls" -gt 0 ]; then at="call $((calls / 2 + 1))"; elif [ "$questions" -gt 0 ]; then at="question $((questions / 2 + 1))"; else reason="${reason:+$reason; }no call of the driver to stop at"; return; fi
    start hold "$at" "$log.hold"
    local waited=0
    while [ ! -e "$own/shim/held" ] && kill -0 "$pid" 2>/dev/null && [ $waited -lt $((limit * 10)) ]; do sleep 0.1; waited=$((waited + 1)); done
    if [ ! -e "$own/shim/held" ]; then finish "$pid"; reason="${reason:+$reason; }never came to $at again"; return; fi
    local id
    id=$(timeout 100 "$out/trecr" checkpoint "$job" 2>"$log.checkpoint" 9>&- | tail -n 1)
    finish "$pid"
    touch "$own/shim/go"
    if [ -z "$id" ]; then reason="${reason:+$reason; }no checkpoint: $(grep -a . "$log.checkpoint" | head -n 1 | tr '\t|' '  ' | cut -c1-200)"; return; fi
    (cd "$where" && exec timeout -s KILL "$limit" "$out/trecr" restart "$id") >"$log.restart" 2>&1 </dev/null 9>&- &
    pid=$!
    wait "$pid" 2>/dev/null; code=$?
    [ "$code" = 137 ] && finish "$pid"
    cat "$log.hold" "$log.restart" >"$log.whole"
    seen "$log.whole" >"$own/whole"
    if ! good "$log.restart" "$code"; then reason="${reason:+$reason; }restart at $at: $(why "$log.restart" "$code")"
    elif [ "$(wc -l <"$own/shim/starts")" != 1 ] || ! cmp -s "$own/shim/starts" "$own/shim/ends"; then reason="${reason:+$reason; }restart at $at: not the program that was saved"
    elif ! expected "$log.whole"; then reason="${reason:+$reason; }restart at $at: prints not what it must"
    elif [ "$by" = state ] && [ -n "$(LC_ALL=C comm -23 "$own/steady" "$own/whole")" ]; then reason="restart at $at: differs from an uninterrupted run: $(LC_ALL=C comm -23 "$own/steady" "$own/whole" | head -n 1 | tr '\t|' '  ' | cut -c1-100)"
    elif [ "$passes" = unknown ]; then restarts=unknown
    else restarts=yes; fi
}

write_report() {
    {
        printf '# soak samples\n\nNVIDIA'\''s CUDA samples 11.8 (Debian nvidia-cuda-samples, nvcc 11.8, `compute_80`, shared cudart) on the software device; %s UTC, %s cores, Linux %s.\n\n' "$(date -u '+%F %H:%M')" "$(nproc)" "$(uname -r)"
        cat <<'TEXT'
ran: exit code 0. passes: the results were found right by what "verified by" names. restarts: the same after checkpoint and SIGKILL of program and delegator before its middle launch and restart, as one program (tests/cuda-samples/shim.c).

verified by: *own check*: the sample's, which finds the results wrong when kernels are not launched or copies bring nothing. *expected lines*: the sample has no check; its output has the lines of tests/cuda-samples/expected.tsv, which are
right by reasoning and missing without kernels, copies or answers of the device. *state*: neither; everything that two plain runs show alike (printed lines, each copy to the host, the contents of all memory that it gives back) the
restarted run shows too, and a run without kernels, copies or answers does not; what the order of threads decides (below) is taken out first. That says that a restart changes nothing, and not that the numbers themselves are right.

A sample that has restarted is not looked at again when the others are, with a later build.

TEXT
        sort -t$'\t' -k1,1 "$state" | awk -F'\t' '{ n++; r += $3 == "yes"; p += $4 == "yes"; s += $5 == "yes"; k[$5 == "yes" ? $6 : ""]++ } END { printf "%d samples looked at: %d ran, %d pass, %d restart (%d by own check, %d by expected lines, %d by state).\n\n", n, r, p, s, k["own check"], k["expected lines"], k["state"] }'
        printf '| sample | ran | passes | restarts | verified by | reason why not |\n|---|---|---|---|---|---|\n'
        sort -t$'\t' -k1,1 "$state" | awk -F'\t' '{ printf "| %s | %s | %s | %s | %s | %s |\n", $1, $3, $4, $5, $6, $7 }'
        printf '\n## Not looked at in the time given\n\n%s\n' "$(for m in "$work"/src/Samples/*/*/Makefile; do n=$(basename "$(dirname "$m")"); [ -n "$(left_out "$n")" ] || grep -q "^$n	" "$state" || echo "$n"; done | sort | paste -sd' ')"
        printf '\n## Made smaller\n\n| sample | how |\n|---|---|\n'
        awk -F'\t' '!/^#/ && $2 != "" { printf "| %s | arguments `%s` |\n", $1, $2 }' tests/cuda-samples/arguments.tsv
        awk -F'\t' '!/^#/ { printf "| %s | %s: `%s` |\n", $1, $2, $3 }' tests/cuda-samples/smaller.tsv
        printf '\n## Decided by the order of threads\n\n| sample | taken out of its lines | of its memory (bytes, of each, from, how many) |\n|---|---|---|\n'
        awk -F'\t' '!/^#/ { printf "| %s | `%s` | %s |\n", $1, $2, $3 }' tests/cuda-samples/order-free.tsv
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
    rm -rf "$own/store"
    [ -z "${TRECR_SAMPLES-}" ] || [ "$restarts" = yes ] || all=0
    flock 9
    { awk -F'\t' -v n="$name" '$1 != n' "$state"; printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$build" "$ran" "$passes" "$restarts" "$by" "$reason"; } >"$state.new" && mv "$state.new" "$state"
    flock -u 9
    echo "$name: ran $ran, passes $passes, restarts $restarts${by:+ ($by)} ($((SECONDS - began)) s) $reason"
done
[ "$report" = - ] || write_report
[ $all = 1 ]
