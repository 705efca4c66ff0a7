#!/bin/sh
# packaging/build-deb.sh PROFILE OUTDIR [VERSION]: builds roundsman_VERSION_ARCH.deb from the
# staged tree, by dpkg-deb alone. The same sources and SOURCE_DATE_EPOCH give the same bytes.
set -eu

profile=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
version=${3:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
arch=$(dpkg --print-architecture)
: "${SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
doc=$stage/usr/share/doc/roundsman
ZSHDIR=/usr/share/zsh/vendor-completions packaging/stage.sh "$profile" "$stage"

install -m 644 packaging/deb/copyright "$doc/copyright"
{
    printf 'roundsman (%s) unstable; urgency=medium\n\n' "$version"
    printf '  * What changed: CHANGELOG.md in this directory.\n\n'
    printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' packaging/deb/control)" \
        "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} > "$doc/changelog"
gzip -9n "$doc/changelog" "$doc/third-party.txt"

# The newest symbol version that a program asks of the C library is the one it needs.
glibc=$(find "$stage/usr/bin" "$stage/usr/libexec" -type f -exec objdump -T {} + 2>/dev/null |
    sed -n 's/.*GLIBC_\([0-9][0-9.]*\).*/\1/p' | sort -uV | tail -n 1)

control=$stage/DEBIAN
mkdir "$control"
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@GLIBC@/${glibc:-2.31}/" \
    -e "s/@SIZE@/$(du -sk --exclude DEBIAN "$stage" | cut -f 1)/" \
    packaging/deb/control > "$control/control"
install -m 755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm "$control"
(
    cd "$stage"
    find etc -type f -printf '/%p\n' | sort > DEBIAN/conffiles
    find usr -type f -print0 | sort -z | xargs -0 md5sum > DEBIAN/md5sums
)
find "$stage" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$stage" "$out/roundsman_${version}_$arch.deb"
