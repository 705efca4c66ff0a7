#!/bin/sh
# packaging/build-rpm.sh PROFILE OUTDIR [VERSION]: builds roundsman-VERSION-1.ARCH.rpm from the
# staged tree, by rpmbuild.
set -eu

profile=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
version=${3:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
: "${SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packaging/stage.sh "$profile" "$work/stage"
install -D -m 644 -t "$work/stage/usr/share/licenses/roundsman" LICENSE LICENSE-APACHE LICENSE-MIT
rpmbuild -bb --quiet --define "_topdir $work/rpm" --define "_rpmdir $out" \
    --define "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm" \
    --define "suite_stage $work/stage" --define "suite_version $version" \
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
    --define "_buildhost roundsman" \
    packaging/rpm/roundsman.spec
