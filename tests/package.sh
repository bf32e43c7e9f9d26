#!/bin/bash
# Packs out/ for machines that have no SDK: out/trecr-VERSION-linux-x64.tar.gz, and out/trecr_VERSION_amd64.deb where dpkg-deb is. What is packed: trecr, trecr-init, the
# wrapper, the delegator with the software device (CoreCLR: needs the .NET 10 runtime), the manual page, completions, licence. Unpacks each once and runs a
# program, a checkpoint and a restart with it. Exit code 0: packed, and both work. build.sh calls this after it has built out/.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "package: $*"; }
die() { say "$*" >&2; exit 1; }

version=$(out/trecr --version --json | sed 's/.*"version":"\([^"]*\)".*/\1/')
[[ $version =~ ^[0-9]+(\.[0-9]+)+ ]] || die "trecr --version says '$version'"
epoch=$(git log -1 --format=%ct 2>/dev/null || date +%s) # the same bytes from the same commit
work=$(mktemp -d /tmp/trecr-package.XXXXXX)
trap 'rm -rf "$work"' EXIT

# ---- the files ------------------------------------------------------------------------------------------------------------------------
name=trecr-$version
top=$work/$name
mkdir -p "$top"/{bin,delegator,include,lib,share/man/man1,share/completions}
cp out/trecr out/trecr-init "$top/"
cp out/delegator/* "$top/delegator/"
cp out/lib/libtrecr-wrapper.so out/lib/libtrecr-api.so "$top/lib/"
cp -P out/lib/lib{veloc-client,scr,scrf}.so "$top/lib/"
cp -P out/bin/* "$top/bin/"
cp out/include/* "$top/include/"
ln -s libtrecr-wrapper.so "$top/lib/libcuda.so.1"
out/trecr manual | gzip -9n >"$top/share/man/man1/trecr.1.gz"
out/trecr completion bash >"$top/share/completions/trecr.bash"
out/trecr completion zsh >"$top/share/completions/trecr.zsh"
cp LICENSE THIRD-PARTY-NOTICES README.md SECURITY.md "$top/"
cp docs/errors.md docs/environment.md "$top/share/"
bash -n "$top/share/completions/trecr.bash" || die "the completion is no bash"
strip --strip-unneeded "$top/trecr" "$top/trecr-init" "$top/lib/libtrecr-wrapper.so" 2>/dev/null || true

# try DIR: a program under DIR/trecr, saved, stopped, restarted.
try() {
    local dir=$1 place out
    place=$(mktemp -d "$work/try.XXXXXX")
    mkdir -m 700 "$place/run"
    (
        export XDG_RUNTIME_DIR=$place/run TRECR_STORE=$place/store
        unset TRECR_HOME
        trap '"$dir/trecr" stop packed >/dev/null 2>&1 || true' EXIT
        "$dir/trecr" run --job packed -- /bin/bash -c 'echo begun; while [ ! -e "$0" ]; do read -t 0.2 x </dev/zero; done; echo goes on' "$place/hold" >"$place/out" 2>"$place/err" </dev/null &
        for _ in $(seq 100); do grep -qs begun "$place/out" && break; read -r -t 0.1 _ < <(sleep 1) || true; done
        "$dir/trecr" checkpoint packed --stop >"$place/id" 2>>"$place/err"
        wait $! || true
        touch "$place/hold"
        timeout 60 "$dir/trecr" restart packed >>"$place/out" 2>>"$place/err" </dev/null
        [ "$(cat "$place/out")" = $'begun\ngoes on' ]
    ) || { cat "$place"/err "$place/out" >&2; die "what was packed does not work ($dir)"; }
}

# ---- tarball --------------------------------------------------------------------------------------------------------------------------
tarball=out/$name-linux-x64.tar.gz
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -cf - "$name" | gzip -9n >"$tarball.tmp"
mv -f "$tarball.tmp" "$tarball"
mkdir "$work/tar"
tar -C "$work/tar" -xzf "$tarball"
try "$work/tar/$name"
say "$tarball, $(stat -c %s "$tarball") bytes: unpacked, a program was run, saved and restarted"

# ---- Debian package -------------------------------------------------------------------------------------------------------------------
command -v dpkg-deb >/dev/null || { say "no dpkg-deb here: no .deb"; exit 0; }
root=$work/deb
lib=$root/usr/lib/trecr/$version # versioned: a job ends with the build that started it
mkdir -p "$lib" "$root/usr/bin" "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" "$root/usr/share/doc/trecr" "$root/DEBIAN"
cp -a "$top"/{trecr,trecr-init,bin,include,lib,delegator} "$lib/"
ln -s "../lib/trecr/$version/trecr" "$root/usr/bin/trecr"
cp "$top/share/man/man1/trecr.1.gz" "$root/usr/share/man/man1/"
cp "$top/share/completions/trecr.bash" "$root/usr/share/bash-completion/completions/trecr"
{ echo '#compdef trecr'; cat "$top/share/completions/trecr.zsh"; } >"$root/usr/share/zsh/vendor-completions/_trecr"
cp LICENSE "$root/usr/share/doc/trecr/copyright"
cp THIRD-PARTY-NOTICES README.md docs/errors.md docs/environment.md "$root/usr/share/doc/trecr/"
cat >"$root/DEBIAN/control" <<TEXT
Package: trecr
Version: $version
Architecture: amd64
Maintainer: TreCr maintainers <trecr@localhost>
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: libc6 (>= 2.36), libstdc++6, libzstd1, libxxhash0, dotnet-runtime-10.0
Recommends: bash-completion
Section: utils
Priority: optional
Description: checkpoint and restart of unmodified CUDA programs
 A program runs under a proxy, is saved while it runs, and comes back after it
 was killed, to the same bytes; on a GPU, or on a software CUDA device.
TEXT
find "$root" -exec touch -h -d "@$epoch" {} +
deb=out/trecr_${version}_amd64.deb
SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group -Zxz --build "$root" "$deb.tmp" >/dev/null
mv -f "$deb.tmp" "$deb"
mkdir "$work/undeb"
dpkg-deb -x "$deb" "$work/undeb"
try "$work/undeb/usr/bin"
say "$deb, $(stat -c %s "$deb") bytes: unpacked, a program was run, saved and restarted"
