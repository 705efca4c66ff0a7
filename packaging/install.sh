#!/bin/sh
# Stages the whole suite: the only list of what goes where. The deb, the rpm and the Nix package
# take the tree that this makes.
#
#   DESTDIR=DIR PREFIX=/usr packaging/install.sh
#
# Variables, all with a default: DESTDIR is put before every path; BUILD is where cargo left the
# programs; PREFIX is what the other directories follow; KILL is the kill(1) by which systemd
# reloads a daemon. The programs read /etc/roundsman whatever CONFDIR is; a distribution that
# writes the configuration itself puts the commented files elsewhere by it.
#
# Nothing here names an agent: a new one is found by its files.
set -eu

cd "$(dirname "$0")/.."
umask 022

: "${DESTDIR=}" "${BUILD=target/release}" "${PREFIX=/usr}" "${KILL=/usr/bin/kill}"
: "${BINDIR=$PREFIX/bin}" "${LIBEXECDIR=$PREFIX/libexec}"
: "${CONFDIR=/etc/roundsman}"
: "${UNITDIR=$PREFIX/lib/systemd/system}" "${PRESETDIR=$PREFIX/lib/systemd/system-preset}"
: "${CATALOGDIR=$PREFIX/lib/systemd/catalog}"
: "${SYSUSERSDIR=$PREFIX/lib/sysusers.d}" "${TMPFILESDIR=$PREFIX/lib/tmpfiles.d}"
: "${POLKITDIR=$PREFIX/share/polkit-1/rules.d}"
: "${MANDIR=$PREFIX/share/man}" "${DOCDIR=$PREFIX/share/doc/roundsman}"
: "${BASHDIR=$PREFIX/share/bash-completion/completions}"
: "${ZSHDIR=$PREFIX/share/zsh/site-functions}"
: "${FISHDIR=$PREFIX/share/fish/vendor_completions.d}"

# put MODE DIRECTORY FILE...: files as they are
put() {
    mode=$1 directory=$2
    shift 2
    for file in "$@"; do
        # A glob that matched nothing.
        [ -e "$file" ] || continue
        install -D -m "$mode" "$file" "$DESTDIR$directory/$(basename "$file")"
    done
}

# fill DIRECTORY FILE...: text files, with the paths of this installation
fill() {
    directory=$1
    shift
    for file in "$@"; do
        [ -e "$file" ] || continue
        target=$DESTDIR$directory/$(basename "$file")
        mkdir -p "$DESTDIR$directory"
        sed -e "/^@COMMON@\$/{" -e "r packaging/man/common.mdoc" -e "d" -e "}" \
            -e "/^@AGENTS@\$/{" -e "r $generated/agents.mdoc" -e "d" -e "}" "$file" |
            sed -e "s|/usr/libexec/roundsman|$LIBEXECDIR/roundsman|g" \
                -e "s|/usr/bin/kill|$KILL|g" \
                -e "s|/usr/share/doc/roundsman|$DOCDIR|g" > "$target"
        chmod 644 "$target"
    done
}

# program NAME DIRECTORY
program() {
    if [ ! -x "$BUILD/$1" ]; then
        echo "install.sh: $BUILD/$1 is not built: cargo build --release" >&2
        exit 66
    fi
    put 755 "$2" "$BUILD/$1"
}

generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT

program roundsman "$BINDIR"
for main in agents/*/src/main.rs; do
    agent=$(basename "${main%/src/main.rs}")
    [ "$agent" = ctl ] || program "roundsman-$agent" "$LIBEXECDIR/roundsman"
done

for file in units/roundsman*; do
    if [ -d "$file" ]; then
        fill "$UNITDIR/$(basename "$file")" "$file"/*.conf
    else
        fill "$UNITDIR" "$file"
    fi
done
fill "$PRESETDIR" units/system-preset/*.preset
fill "$CATALOGDIR" units/catalog/*.catalog
fill "$SYSUSERSDIR" units/sysusers.d/*.conf
fill "$TMPFILESDIR" units/tmpfiles.d/*.conf
fill "$POLKITDIR" units/polkit-1/*.rules
fill "$CONFDIR" config/*.toml

# roundsman(7) lists the agents by the names and descriptions of their own pages.
for page in packaging/man/roundsman-*.8; do
    sed -n -e 's/^\.Nm \(.*\)/.It Xr \1 8/p' -e 's/^\.Nd //p' -e '/^\.Sh SYNOPSIS/q' "$page"
done > "$generated/agents.mdoc"
for page in packaging/man/*.[1-8]; do
    fill "$MANDIR/man${page##*.}" "$page"
done
fill "$DOCDIR" README.md CHANGELOG.md docs/*.md
fill "$DOCDIR/examples" units/examples/*
fill "$DOCDIR/monitoring" packaging/monitoring/*
for directory in config/*/; do
    [ ! -d "$directory" ] || fill "$DOCDIR/examples/$(basename "$directory")" "$directory"*
done

# What the command says about itself.
"$BUILD/roundsman" man --dir "$generated"
put 644 "$MANDIR/man1" "$generated"/*.1
for shell in bash zsh fish; do
    "$BUILD/roundsman" completions "$shell" > "$generated/$shell"
done
install -D -m 644 "$generated/bash" "$DESTDIR$BASHDIR/roundsman"
install -D -m 644 "$generated/zsh" "$DESTDIR$ZSHDIR/_roundsman"
install -D -m 644 "$generated/fish" "$DESTDIR$FISHDIR/roundsman.fish"
