#!/bin/bash
# Builds TreCr into out/, after installing what is missing. Everything else is a sub-command; see usage below.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
root=$PWD
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1 MSBUILDDISABLENODEREUSE=1 LC_ALL=C.UTF-8

usage() {
    cat <<'TEXT'
usage: ./build.sh [COMMAND]
  (nothing)                                  installs what is missing and builds everything into out/
  demo [--sabotage]                          runs, checkpoints, kills and restarts samples/heat2d, and compares the results
  test [NAME]                                all tests, or the projects whose name holds NAME
  soak [NAME] [--seed N] [--minutes M]       long tests
  bench [NAME]                               measurements
  gpu-check                                  packs out/gpu-check.tar.gz for a machine with a GPU, and runs it where there is one
  package                                    packs a release
  clean                                      removes out/ and artifacts/
TEXT
}

say() { echo "build.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# ---- packages -------------------------------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 127; fi
}

# Debian's cudart is in non-free: a source file of its own, made of the distribution's stanzas, and removed from nothing that exists.
add_nonfree() {
    local own=/etc/apt/sources.list.d/trecr-nonfree.sources main=/etc/apt/sources.list.d/debian.sources
    apt-cache show libcudart11.0 >/dev/null 2>&1 && return
    if [ -r "$main" ]; then
        sed 's/^Components:.*/Components: contrib non-free/' "$main" | as_root tee "$own" >/dev/null
    else
        printf '%s\n' 'Types: deb' 'URIs: http://deb.debian.org/debian' 'Suites: bookworm' 'Components: contrib non-free' \
            'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' | as_root tee "$own" >/dev/null
    fi
    as_root apt-get -qq update >/dev/null
}

install_missing() {
    local missing=()
    command -v dotnet >/dev/null || die "the .NET SDK 10.0 is missing: https://dotnet.microsoft.com/download, or see README.md"
    command -v clang-19 >/dev/null || missing+=(clang-19)
    command -v gcc >/dev/null || missing+=(gcc)
    command -v nm >/dev/null || missing+=(binutils)
    [ -e /usr/include/c++/12/vector ] || ls /usr/include/c++/*/vector >/dev/null 2>&1 || missing+=(libstdc++-12-dev)
    [ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
    [ -e /usr/include/zlib.h ] || missing+=(zlib1g-dev)
    library libzstd.so.1 || missing+=(libzstd1)
    library libxxhash.so.0 || missing+=(libxxhash0)
    library libcudart.so.11.0 || missing+=(libcudart11.0)
    [ ${#missing[@]} = 0 ] && return
    as_root true || die "missing packages, and neither root nor sudo to install them; ask for: apt-get install ${missing[*]} (libcudart11.0 is in Debian's non-free)"
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    {
        case " ${missing[*]} " in *" libcudart11.0 "*) as_root apt-get -qq update; add_nonfree ;; esac
        apt-cache show "${missing[0]}" >/dev/null 2>&1 || as_root apt-get -qq update
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}"
    } >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; rm -f "$log"; die "could not install ${missing[*]}"; }
    rm -f "$log"
}

# What only tests need, where it can be had: without it they are skipped by name.
install_for_tests() {
    local missing=()
    [ -e /usr/bin/mpirun.openmpi ] && [ -e /usr/bin/mpicc.openmpi ] || missing+=(openmpi-bin libopenmpi-dev)
    [ -e /usr/bin/mpirun.mpich ] && [ -e /usr/bin/mpicc.mpich ] || missing+=(mpich libmpich-dev)
    [ -e /usr/bin/gfortran ] || missing+=(gfortran)
    [ -e /usr/lib/python3/dist-packages/mpi4py ] || missing+=(python3-mpi4py)
    # Hosts made of namespaces are served by it; not where installing it would start it for the world.
    [ -e /usr/sbin/sshd ] || [ -d /run/systemd/system ] || missing+=(openssh-server)
    command -v ip >/dev/null || missing+=(iproute2)
    # So is a cluster below Slurm.
    [ -e /usr/sbin/slurmd ] && [ -e /usr/sbin/slurmctld ] && [ -e /usr/bin/srun ] && [ -e /usr/sbin/munged ] || [ -d /run/systemd/system ] || missing+=(slurmd slurmctld slurm-client munge)
    [ -e /usr/bin/lmp ] || missing+=(lammps)
    [ ${#missing[@]} = 0 ] && return
    as_root true || { say "without ${missing[*]} the tests of MPI are skipped"; return; }
    say "installing ${missing[*]}"
    { apt-cache show "${missing[0]}" >/dev/null 2>&1 || as_root apt-get -qq update; as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}"; } \
        >/dev/null 2>&1 </dev/null || say "could not install ${missing[*]}: the tests of MPI are skipped"
}

library() {
    local d
    for d in /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/lib64 /usr/local/lib /usr/local/cuda/lib64; do
        [ -e "$d/$1" ] && return
    done
    return 1
}

# ---- building -------------------------------------------------------------------------------------------------------------------------

# The hash of the files below the given paths, build outputs left out.
hash_of() {
    find "$@" -name artifacts -prune -o -name out -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32
}

# unchanged STAMP HASH: whether out/.stamps/STAMP holds HASH.
unchanged() { [ "$(cat "out/.stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() { mkdir -p out/.stamps; echo "$2" >"out/.stamps/$1"; }

has_sources() { [ -n "$(find "$(dirname "$1")" -name '*.cs' -print -quit)" ]; }

# Runs a build command; on failure shows its errors, each once.
quietly() {
    local log
    log=$(mktemp)
    # The lock of build() must not stay open in a compiler server that outlives us.
    if ! "$@" >"$log" 2>&1 </dev/null 9>&-; then
        grep -E '(error|warning) [A-Z]+[0-9]+|: error' "$log" | sed 's/ \[[^]]*\]$//' | sort -u | head -n 40 >&2 || tail -n 40 "$log" >&2
        cp "$log" artifacts/build.log 2>/dev/null || true
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# place FROM TO: replaces a file of out/ in one step, so that a running program keeps the one it has mapped.
place() {
    cmp -s "$1" "$2" && return
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.tmp" && mv -f "$2.tmp" "$2"
}

build_dotnet() {
    local sum projects=() p
    sum=$(hash_of core wrappers delegator gmmu replay process incremental coordinator api Directory.Build.props Directory.Packages.props build.proj .editorconfig)
    unchanged dotnet "$sum" && [ -e out/trecr ] && [ -e out/trecr-init ] && [ -e out/lib/libcuda.so.1 ] && [ -e out/delegator/trecr-delegator ] && [ -e out/delegator/crossgen2 ] && [ -e out/lib/libgpi_cp.so ] && [ -e out/bin/gaspi_run ] && return
    for p in coordinator/TreCr.Cli process/TreCr.Init delegator/TreCr.Delegator wrappers/TreCr.Wrapper api/TreCr.Api.C; do
        p=$p/$(basename "$p").csproj
        if has_sources "$p"; then projects+=("$root/$p"); else say "$p has no sources yet: left out"; fi
    done
    [ ${#projects[@]} = 0 ] && return
    mkdir -p artifacts
    local list
    list=$(IFS=';'; echo "${projects[*]}")
    # Of a build that was killed: newer than its sources, and nothing in it.
    [ -d artifacts/obj ] && find artifacts/obj -name '*.o' -size 0 -delete
    quietly dotnet msbuild build.proj -t:Restore "-p:Projects=\"$list\"" -v:quiet || die "restore failed"
    quietly dotnet msbuild build.proj -t:Publish "-p:Projects=\"$list\"" -v:quiet -m || die "build failed (artifacts/build.log)"

    local from=artifacts/publish f
    if [ -e $from/TreCr.Cli ]; then place $from/TreCr.Cli/release*/trecr out/trecr; fi
    if [ -e $from/TreCr.Init ]; then place $from/TreCr.Init/release*/trecr-init out/trecr-init; fi
    if [ -e $from/TreCr.Delegator ]; then
        for f in $from/TreCr.Delegator/release*/*; do
            case $f in *.pdb) continue ;; esac
            [ -f "$f" ] && place "$f" "out/delegator/$(basename "$f")"
        done
    fi
    if [ -e $from/TreCr.Wrapper ]; then
        place $from/TreCr.Wrapper/release*/libtrecr-wrapper.so out/lib/libtrecr-wrapper.so
        ln -sfn libtrecr-wrapper.so out/lib/libcuda.so.1
    fi
    if [ -e $from/TreCr.Api.C ]; then
        place $from/TreCr.Api.C/release*/libtrecr-api.so out/lib/libtrecr-api.so
        for f in libveloc-client libscr libscrf libgpi_cp; do ln -sfn libtrecr-api.so out/lib/$f.so; done
    fi
    mkdir -p out/bin
    for f in veloc-backend gpi_cp-agent gaspi_run scr_index scr_halt scr_flush_file scr_prefix scr_list_down_nodes scr_should_exit scr_postrun scr_print scr_run scr_mpirun scr_srun; do ln -sfn ../trecr out/bin/$f; done
    for f in api/include/*; do place "$f" "out/include/$(basename "$f")"; done
    stamp dotnet "$sum"
}

build_samples() {
    local common sum f name
    common=$(hash_of samples/include samples/compile.sh)$(command -v nvcc || true)
    mkdir -p out/samples
    for f in samples/*.cu samples/*.cpp; do
        name=$(basename "${f%.*}")
        sum=$common$(hash_of "$f")
        [ -e "out/samples/$name" ] && unchanged "sample-$name" "$sum" && continue
        samples/compile.sh "$f" "out/samples/$name" artifacts/samples || die "$f does not compile"
        stamp "sample-$name" "$sum"
    done
}

build() {
    install_missing
    mkdir -p out/lib artifacts
    # One build of a checkout at a time; a second waits.
    exec 9>out/.lock
    flock 9
    build_dotnet
    build_samples
    flock -u 9
    exec 9>&-
}

# script NAME ARGS: runs tests/NAME.sh, or says that this checkout does not have it.
script() {
    local name=$1
    shift
    [ -x "tests/$name.sh" ] || { say "$name: not in this checkout (no tests/$name.sh)"; exit 2; }
    # Whatever fails, the last line of `test` is the sum.
    [ "$name" = test ] && trap 'echo "0 passed, 1 failed, 0 skipped"' EXIT
    build
    [ "$name" = test ] && case ${1-Cli} in *Cli* | *Api*) install_for_tests ;; esac
    trap - EXIT
    exec "tests/$name.sh" "$@"
}

case ${1-} in
"") build; say "built out/" ;;
demo | test | soak | bench | gpu-check | package) script "$@" ;;
clean) rm -rf out artifacts ;;
-h | --help | help) usage ;;
*) usage >&2; exit 2 ;;
esac
