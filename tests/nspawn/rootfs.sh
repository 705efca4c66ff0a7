#!/bin/bash
# Makes the root tree that the test machines boot: a minimal Debian of this machine's own
# release, from this machine's own package sources. Prints its path on standard output and
# progress on standard error. Built once, then found again by the hash of its recipe.
#
#   rootfs.sh CACHE_DIRECTORY
set -euo pipefail
export LC_ALL=C.UTF-8

cache=$(mkdir -p "${1:?usage: rootfs.sh CACHE_DIRECTORY}" && cd "$1" && pwd)

# OpenSMTPD is there to be started by the test that hands mail in; it needs users of its own.
packages=systemd,systemd-sysv,dbus,polkitd,procps,iproute2,sqlite3,less,opensmtpd
# Programs of others that the suite is compared with: only the binaries, never as services.
peers='prometheus prometheus-node-exporter prometheus-alertmanager'
peer_binaries='prometheus promtool prometheus-node-exporter prometheus-alertmanager'

say() { printf 'rootfs: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || die 'needs root: run it with sudo'
command -v mmdebstrap >/dev/null || die 'mmdebstrap is missing: apt-get install mmdebstrap'
# shellcheck source=/dev/null
. /etc/os-release
codename=${VERSION_CODENAME:?/etc/os-release names no release}

# The sources of the distribution itself; a machine's additional repositories stay outside.
# apt expands the names in the format.
# shellcheck disable=SC2016
own_sources() {
    apt-get indextargets 'Created-By: Packages' "Architecture: $(dpkg --print-architecture)" \
        --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT) # $(ORIGIN)' |
        awk -v id="$ID" 'tolower($NF) == id { sub(/ # .*/, ""); print }' |
        grep -v -- '-backports ' || true
}
sources=$(own_sources)
if [ -z "$sources" ]; then
    say 'no package lists yet: apt-get update'
    apt-get update -q >&2
    sources=$(own_sources)
fi
[ -n "$sources" ] || die "apt has no source whose origin is $ID"

recipe=$(printf '%s\n' "$sources" | cat - "$0" | sha256sum | cut -c1-12)
tree=$cache/rootfs-$codename-$recipe

exec 9>"$cache/rootfs.lock"
flock -n 9 || { say 'another run is building it, waiting'; flock 9; }
if [ -d "$tree" ]; then
    echo "$tree"
    exit
fi

# Whatever an interrupted build left; the lock says that nobody is at it.
rm -rf --one-file-system "$cache"/partial.*
partial=$(mktemp -d "$cache/partial.XXXXXX")
chmod 755 "$partial"
settings=$(mktemp)
trap 'rm -rf --one-file-system "$partial" "$settings"' EXIT
# Proxies, certificates and date checks of this machine's apt go for the new tree as well.
apt-config dump | grep '^Acquire::' >"$settings" || true

say "making a Debian $codename tree once, about 20 s and 300 MB ($tree)"
started=$SECONDS
# The hooks run with the tree as $1.
# shellcheck disable=SC2016
printf '%s\n' "$sources" | mmdebstrap --mode=root --variant=minbase \
    --include="$packages" --aptopt="$settings" \
    --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"
        printf "127.0.0.1 localhost\n::1 localhost\n" >"$1/etc/hosts"' \
    --customize-hook='systemctl --root="$1" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer &&
        systemctl --root="$1" disable opensmtpd.service' \
    --customize-hook='mkdir -p "$1/opt/peers/bin" "$1/tmp/peers" && cd "$1/tmp/peers" &&
        APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download -qq '"$peers"' &&
        for deb in *.deb; do dpkg-deb -x "$deb" .; done &&
        for name in '"$peer_binaries"'; do mv "usr/bin/$name" "$1/opt/peers/bin/"; done &&
        rm -rf "$1/tmp/peers"' \
    "$codename" "$partial/tree" - > >(sed -n -e '/customize-hook/d' -e '/^[A-Z]: /s/^.: /rootfs: /p' >&2) 2>&1
rm -f "$partial"/tree/etc/apt/apt.conf.d/99mmdebstrap
mv "$partial/tree" "$tree"
say "made in $((SECONDS - started)) s"

# Trees of earlier recipes are of no use any more; a machine that runs on one holds its lock.
for old in "$cache"/rootfs-*-*; do
    [ "$old" = "$tree" ] || flock -n "$old" rm -rf --one-file-system "$old" || true
done
echo "$tree"
