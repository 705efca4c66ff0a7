#!/bin/sh
# Prints the licences of everything that is linked into the programs, with the texts that have to
# be given on with binaries. Reads the sources that cargo has fetched.
set -eu

cd "$(dirname "$0")/.."
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT

echo 'Roundsman is MIT OR Apache-2.0 (LICENSE-MIT, LICENSE-APACHE). Its programs contain SQLite,'
echo 'which is in the public domain, and these libraries:'
echo
# Not in the pipeline below, which would hide its failure.
cargo tree --offline --locked --workspace --exclude roundsman-tests --edges normal --prefix none \
    --format '{p} {l}' --no-dedupe --target "$(rustc -vV | sed -n 's/^host: //p')" > "$texts/tree"
sed -n '/ (\//d; /^roundsman-/d; s/ (proc-macro)//; s/ v\([0-9]\)/ \1/p' "$texts/tree" | sort -u |
    while read -r name version licence; do
        printf '%s %s: %s\n' "$name" "$version" "$licence"
        # One text is enough of those to choose from; MIT's is the shortest.
        for file in "$sources"/*/"$name-$version"/LICENSE-MIT* \
            "$sources"/*/"$name-$version"/[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]* \
            "$sources"/*/"$name-$version"/COPYING*; do
            [ -f "$file" ] || continue
            sum=$(md5sum < "$file" | cut -c 1-32)
            printf '%s %s\n' "$name" "$version" >> "$texts/$sum.names"
            cp "$file" "$texts/$sum.text"
            break
        done
    done
for names in "$texts"/*.names; do
    printf '\n%s\n\n' '------------------------------------------------------------------------'
    cat "$names"
    printf '\n'
    cat "${names%.names}.text"
done
