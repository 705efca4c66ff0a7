#!/bin/sh
# packaging/stage.sh PROFILE DIR: builds the programs with a cargo profile (release, ci) and
# stages the installed tree in DIR; install.sh takes its variables from the environment.
#
# With ROUNDSMAN_BIN_DIR the programs there are taken as they are and nothing is built.
set -eu

profile=$1 stage=$2
cd "$(dirname "$0")/.."
if [ -z "${ROUNDSMAN_BIN_DIR:-}" ]; then
    cargo build --locked --profile "$profile" --workspace --bins
    directory=$profile
    [ "$profile" != dev ] || directory=debug
    ROUNDSMAN_BIN_DIR=${CARGO_TARGET_DIR:-target}/$directory
fi
DESTDIR=$stage BUILD=$ROUNDSMAN_BIN_DIR packaging/install.sh
packaging/third-party.sh > "$stage/usr/share/doc/roundsman/third-party.txt"
# Does nothing to what the release profile has stripped already. A stand-in may be a script.
for program in "$stage"/usr/bin/roundsman "$stage"/usr/libexec/roundsman/*; do
    if [ "$(head -c 4 "$program" | tail -c 3)" = ELF ]; then
        strip --remove-section=.comment "$program"
    fi
done
find "$stage/usr/share/man" -type f -exec gzip -9n {} +
