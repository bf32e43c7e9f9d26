#!/bin/bash
# Runs the test projects, or those whose name holds $1, up to three beside each other. One line per project, then the sum as the last line:
# `N passed, N failed, N skipped`. Exit code 1 when a test failed, or a project crashed, hung or ran nothing; its name stands in the output.
# A skip whose reason is not in tests/skips.tsv is a failure too. build.sh calls this after it has built out/.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
wanted=${1-}
wanted=${wanted,,}
limit=${TRECR_TEST_PROJECT_SECONDS:-900}
results=artifacts/test-results
export TRECR_ROOT=$root
# Each test compiles its own kernels; KernelCacheTests keeps some.
export TRECR_KERNEL_CACHE=0
rm -rf "$results"
mkdir -p "$results"
export XDG_STATE_HOME=$root/$results/state # journals of the tests' jobs are not the user's

projects=() list=
for p in tests/*/*.Tests.csproj; do
    name=$(basename "${p%.csproj}")
    [[ -z $wanted || ${name,,} == *"$wanted"* ]] || continue
    [ -n "$(find "$(dirname "$p")" -name '*.cs' -print -quit)" ] || { echo "$name: no tests yet"; continue; }
    projects+=("$name")
    list=$list${list:+;}$root/$p
done
if [ ${#projects[@]} = 0 ]; then
    echo "no test project named *$wanted*" >&2
    echo "0 passed, 0 failed, 0 skipped"
    exit 1
fi

log=$results/build.log
if ! dotnet msbuild build.proj -t:Restore "-p:Projects=\"$list\"" -v:quiet >"$log" 2>&1 </dev/null ||
    ! dotnet msbuild build.proj -t:Build "-p:Projects=\"$list\"" -v:quiet -m >"$log" 2>&1 </dev/null; then
    grep -E 'error' "$log" | sed 's/ \[[^]]*\]$//' | sort -u | head -n 40
    echo "the tests do not build"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi

# new_skips PROJECT TRX: the reason of the first skipped test that tests/skips.tsv does not allow.
new_skips() {
    [ -e "$2" ] || return
    awk -v project="$1" 'FILENAME ~ /skips.tsv$/ { split($0, field, "\t"); if (field[1] == project) allowed[field[2]]; next }
        /outcome="NotExecuted"/ {
            reason = ""
            if (match($0, /<Message>[^<]*/)) reason = substr($0, RSTART + 9, RLENGTH - 9)
            sub(/^[ \t\r\n]*(OneTimeSetUp: )?/, "", reason)
            gsub("&apos;", "\x27", reason)
            for (start in allowed) if (index(reason, start) == 1) next
            print reason == "" ? "no reason given" : reason; exit
        }' tests/skips.tsv RS='<UnitTestResult ' "$2"
}

# Terminals and ports of a restored job have the numbers that they had, of which launchers and programs in other projects' tests take some meanwhile: a project that restores them gets numbers of its own, where that can be had.
own_numbers=(unshare --mount --net --propagation private sh -c 'ip link set lo up && mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx && exec "$@"' sh)
with_own_numbers=" TreCr.Process.Tests "
"${own_numbers[@]}" true 2>/dev/null || own_numbers=()

# Runs one project: its line, and its sums in $results/NAME.sums.
run_project() {
    local name=$1 started=$SECONDS rc trx counters total p f executed s note= new within=()
    [[ $with_own_numbers != *" $name "* ]] || within=("${own_numbers[@]}")
    # The process group ends with the limit; a test that hangs is named by vstest's blame file where it can be.
    timeout --kill-after=10 "$limit" "${within[@]}" dotnet vstest "artifacts/bin/$name/release/$name.dll" --logger:"trx;LogFileName=$name.trx" --ResultsDirectory:"$results" \
        >"$results/$name.log" 2>&1 </dev/null
    rc=$?
    trx=$results/$name.trx
    counters=$(grep -o '<Counters [^>]*>' "$trx" 2>/dev/null | head -n 1)
    number() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
    total=$(number total) p=$(number passed) f=$(number failed) executed=$(number executed)
    total=${total:-0} p=${p:-0} f=${f:-0} executed=${executed:-0}
    s=$((total - p - f))
    if [ "$f" -gt 0 ] || [ "$rc" -ne 0 ] || [ "$total" = 0 ]; then
        if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then note=" (ended after $limit s)"
        elif [ "$total" = 0 ]; then note=" (ran nothing; exit code $rc)"
        elif [ "$f" = 0 ]; then note=" (test host failed; exit code $rc)"; fi
        # What could not be counted by the tests themselves counts as one failure.
        [ "$f" = 0 ] && f=1
        grep -vE '^\s*(Passed|Skipped) ' "$results/$name.log" | tail -n 120
    fi
    new=$(new_skips "$name" "$trx")
    if [ -n "$new" ]; then
        f=$((f + 1))
        note="$note (a skip that is not in tests/skips.tsv: $new)"
    fi
    printf '%-36s %4d passed %4d failed %4d skipped %5d s%s\n' "$name" "$p" "$f" "$s" $((SECONDS - started)) "$note"
    echo "$p $f $s" >"$results/$name.sums"
}

# Three at a time: those that only compute, behind the others at the processor; the one that takes as long as all others together, mostly waiting for processes; and the others.
computing=" TreCr.Calls.Generator.Tests TreCr.Gmmu.Tests TreCr.Mpi.Tests TreCr.Ptx.Tests TreCr.Replay.Tests TreCr.SoftDevice.Tests "
longest=" TreCr.Cli.Tests "
row_of() { case "$computing|$longest" in *" $1 "*"|"*) echo computing ;; *"|"*" $1 "*) echo longest ;; *) echo others ;; esac }
run_row() {
    for name in "${projects[@]}"; do [ "$(row_of "$name")" != "$1" ] || run_project "$name"; done
}
( renice -n 10 $BASHPID >/dev/null; run_row computing ) &
run_row longest &
run_row others
wait

passed=0 failed=0 skipped=0
for name in "${projects[@]}"; do
    read -r p f s <"$results/$name.sums" || p=0 f=1 s=0
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

if [ -z "$wanted" ] && [ $((skipped * 20)) -gt $((passed + failed + skipped)) ]; then
    echo "more than 5 % of the tests were skipped"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
