#!/bin/bash
# Packs out/gpu-check.tar.gz: what tests/gpu/run needs on a machine with an NVIDIA GPU that has neither .NET nor a network. Unpacks it once into an empty
# directory and runs it there under an empty environment; where there is a GPU that is the check itself, else its report must say "no device", and a rehearsal
# with a stand-in for the driver (tests/programs/gpu/driver.c) must pass: probe, one sample with checkpoint and restart, launches.
# Exit code 0: packed, and everything passed where there is a GPU. build.sh calls this after it has built out/.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
limit_bytes=$((35 * 1024 * 1024))
native=$root/artifacts/gpu # build outputs apart from the others': the same projects with other properties
pack=$root/artifacts/gpu-check
tarball=out/gpu-check.tar.gz

say() { echo "gpu-check: $*"; }
die() { say "$*" >&2; exit 1; }

hash_of() { find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32; }

# ---- delegator without the software device, and the probe -----------------------------------------------------------------------------
publish() {
    local sum list log=$native/build.log target
    sum=$(hash_of core wrappers delegator gmmu replay incremental tests/TreCr.GpuCheck Directory.Build.props Directory.Packages.props build.proj .editorconfig)
    [ "$(cat out/.stamps/gpu 2>/dev/null)" = "$sum" ] && [ -e "$native/delegator" ] && [ -e "$native/probe" ] && return
    say "building the NativeAOT delegator and the probe (minutes)"
    mkdir -p "$native"
    list="$root/delegator/TreCr.Delegator/TreCr.Delegator.csproj;$root/tests/TreCr.GpuCheck/TreCr.GpuCheck.csproj"
    for target in Restore Publish; do
        if ! dotnet msbuild build.proj -t:$target "-p:Projects=\"$list\"" "-p:ArtifactsPath=$native" -p:TreCrSoftDevice=false -v:quiet -m >"$log" 2>&1 </dev/null; then
            grep -E 'error|warning' "$log" | sed 's/ \[[^]]*\]$//' | sort -u | head -n 30 >&2
            die "$target failed ($log)"
        fi
    done
    cp "$native"/publish/TreCr.Delegator/release*/trecr-delegator "$native/delegator"
    cp "$native"/publish/TreCr.GpuCheck/release*/trecr-gpu-probe "$native/probe"
    mkdir -p out/.stamps
    echo "$sum" >out/.stamps/gpu
}

# Where the loader finds a library: library NAME
library() {
    local d
    for d in /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/lib64 /usr/local/lib /usr/local/cuda/lib64; do
        [ -e "$d/$1" ] && { readlink -f "$d/$1"; return; }
    done
    die "$1 is not installed"
}

publish

# ---- the directory that is packed -----------------------------------------------------------------------------------------------------
rm -rf "$pack"
dir=$pack/gpu-check
mkdir -p "$dir"/{delegator,lib,native,native-fallback,samples,ptx}
cp out/trecr out/trecr-init "$dir/"
cp "$native/delegator" "$dir/delegator/trecr-delegator"
cp "$native/probe" "$dir/trecr-gpu-probe"
cp -L out/lib/libtrecr-wrapper.so "$dir/lib/"
ln -s libtrecr-wrapper.so "$dir/lib/libcuda.so.1"
for l in libzstd.so.1 libxxhash.so.0 libcudart.so.11.0; do cp "$(library $l)" "$dir/native/$l"; done
for l in libstdc++.so.6 libgcc_s.so.1; do cp "$(library $l)" "$dir/native-fallback/$l"; done
for f in samples/*.cu samples/*.cpp; do
    name=$(basename "${f%.*}")
    cp "out/samples/$name" "$dir/samples/"
    # Absent where nvcc compiled the sample: it holds machine code then.
    if [ -e "artifacts/samples/$name.ptx" ]; then cp "artifacts/samples/$name.ptx" "$dir/ptx/"; fi
done
"${CC:-gcc}" -O2 -Wall tests/programs/gpu/launch.c -o "$dir/samples/launch" -ldl
# Machine code beside the PTX, which the probe loads too.
if command -v ptxas >/dev/null; then
    for f in "$dir"/ptx/*.ptx; do ptxas -arch=sm_90 "$f" -o "${f%.ptx}.sm_90.cubin" || die "ptxas $f"; done
else
    say "no ptxas here: samples hold PTX only, no machine code"
fi
strip --strip-unneeded "$dir"/native/*.so* "$dir"/native-fallback/*.so* 2>/dev/null || true
cp tests/gpu/run "$dir/run"
cp LICENSE THIRD-PARTY-NOTICES "$dir/"
echo "$(git describe --always --dirty 2>/dev/null || echo unknown) $(date -u +%FT%TZ)" >"$dir/BUILD"
tar -C "$pack" --sort=name --owner=0 --group=0 --numeric-owner -cf - gpu-check | gzip -9 >"$tarball.tmp"
mv -f "$tarball.tmp" "$tarball"
bytes=$(stat -c %s "$tarball")
[ "$bytes" -le $limit_bytes ] || die "$tarball has $bytes bytes, more than $limit_bytes"
say "packed $tarball, $bytes bytes"

# ---- unpacked where there is nothing else ----------------------------------------------------------------------------------------------
place=$(mktemp -d /tmp/trecr-gpu-check.XXXXXX)
trap 'rm -rf "$place"' EXIT
tar -C "$place" -xzf "$tarball"
code=0
env -i "$place/gpu-check/run" --out "$place/out" >"$place/log" 2>&1 || code=$?
results=$place/out/results.json
result=$("$dir/trecr-gpu-probe" json "$results") || { cat "$place/log" >&2; die "the report is not well-formed"; }
cp "$results" out/gpu-check.json

if [ -e /dev/nvidia0 ] && [ "$result" != "no device" ]; then
    cat "$place/log"
    exit "$code"
fi
# A GPU whose driver finds no device is not "no GPU".
[ ! -e /dev/nvidia0 ] || { cat "$place/log"; die "there is a /dev/nvidia0, but no device was found: out/gpu-check.json"; }
if [ "$result" != "no device" ] || [ "$code" != 3 ] || grep -q '"result":"fail"' "$results"; then
    cat "$place/log" >&2
    die "without a GPU the report must say 'no device' and nothing else may fail: it says '$result', exit code $code (out/gpu-check.json)"
fi
"${CC:-gcc}" -O2 -Wall -shared -fPIC -Wl,-soname,libcuda.so.1 tests/programs/gpu/driver.c -o "$place/libcuda.so.1"
code=0
env -i TRECR_LIBCUDA="$place/libcuda.so.1" "$place/gpu-check/run" --samples vectoradd_driver --out "$place/rehearsal" >"$place/log" 2>&1 || code=$?
cp "$place/rehearsal/results.json" out/gpu-check-rehearsal.json
[ "$code" = 0 ] || { cat "$place/log" >&2; die "the rehearsal without a GPU failed (out/gpu-check-rehearsal.json)"; }
say "rehearsal with a stand-in for the driver: $(tail -n 1 "$place/log" | sed 's/;.*//')"
say "no GPU was found: the check itself was not run; copy $tarball to a machine that has one, unpack it, and start gpu-check/run"
