#!/usr/bin/env bash
# Brings libraft 0.22.x (headers, static library) to .deps/raft, where Package.swift looks for it. Needs no root.
#
# Debian 13 has this line as libraft-dev; Debian 12's own libraft-dev is 0.15, which breaks Raft's safety, and the right one is
# in its backports. So the package is unpacked into the tree rather than installed: from the system when it has the line, else
# from the suite "<codename>-backports" of the mirror that the system's sources name, through package lists of its own. The
# system's sources, lists and packages stay as they are. Says nothing, and asks no network, when the folder is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly line=0.22
readonly target=.deps/raft
PATH=$PATH:/usr/sbin:/sbin

has_line() {  # FOLDER: whether its headers are of the wanted line
    [[ -f $1/include/raft.h && -f $1/lib/libraft.a ]] || return 1
    local major minor
    major=$(awk '$2 == "RAFT_VERSION_MAJOR" { print $3 }' "$1/include/raft.h")
    minor=$(awk '$2 == "RAFT_VERSION_MINOR" { print $3 }' "$1/include/raft.h")
    [[ $major.$minor == "$line" ]]
}

fail() {
    echo "fetch-raft: $*" >&2
    echo "fetch-raft: Sluice needs libraft $line.x (libraft-dev of Debian 13, or of bookworm-backports); older lines lose committed entries" >&2
    exit 1
}

has_line $target && exit 0
[[ -e $target ]] && echo "fetch-raft: $target is of another version, or incomplete; it is replaced" >&2

for tool in apt-get apt-cache dpkg-deb; do
    command -v "$tool" >/dev/null || fail "$tool is missing: put raft.h, raft/ and libraft.a into $target/include and $target/lib by hand"
done

mkdir -p .deps
work=$(mktemp -d .deps/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
work=$(realpath "$work")
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/package"

# As root, apt gives downloads to a user that may not read this folder.
options=(-o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::http::Timeout=60)

backports_sources() {  # the system's own sources for its release, with the suite changed: $work/backports.sources and .list
    local codename=$1 file
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -f $file ]] || continue
        awk -v suite="$codename" '
            BEGIN { RS = ""; FS = "\n" }
            {
                found = 0; disabled = 0; security = 0; text = ""
                for (i = 1; i <= NF; i++) {
                    if ($i ~ /^#/) continue
                    key = tolower($i); sub(/:.*/, "", key)
                    if (key == "suites") { n = split($i, words, /[ \t]+/); for (j = 2; j <= n; j++) if (words[j] == suite) found = 1; continue }
                    if (key == "types" || key == "components") continue
                    if (key == "enabled") { if (tolower($i) ~ /: *no/) disabled = 1; continue }
                    text = text $i "\n"
                }
                if (found && !disabled) printf "Types: deb\nSuites: %s-backports\nComponents: main\n%s\n", suite, text
            }' "$file" >>"$work/backports.sources"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -f $file ]] || continue
        sed -nE "s/^deb[[:space:]]+((\[[^]]*\][[:space:]]+)?[^[:space:]]+)[[:space:]]+$codename[[:space:]]+.*/deb \1 $codename-backports main/p" \
            "$file" >>"$work/backports.list"
    done
}

candidate() { apt-cache "$@" policy libraft-dev 2>/dev/null | awk '$1 == "Candidate:" { print $2 }'; }

if [[ $(candidate) == "$line".* ]]; then
    echo "fetch-raft: libraft-dev $(candidate) from the system's own sources"
    lists=()
else
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [[ -n $codename ]] || fail "/etc/os-release names no release"
    backports_sources "$codename"
    if [[ -s $work/backports.sources ]]; then
        source=$work/backports.sources
    elif [[ -s $work/backports.list ]]; then
        source=$work/backports.list
    else
        fail "the system's package sources name no mirror for $codename"
    fi
    lists=(-o Dir::State::lists="$work/lists" -o Dir::Etc::sourcelist="$source" -o Dir::Etc::sourceparts=/dev/null)
    timeout 300 apt-get "${options[@]}" "${lists[@]}" -qq update || fail "the lists of $codename-backports could not be fetched"
    version=$(candidate "${lists[@]}" "${options[@]}")
    [[ $version == "$line".* ]] || fail "$codename-backports offers libraft-dev ${version:-(none)}"
    echo "fetch-raft: libraft-dev $version from $codename-backports, into $target"
fi

(cd "$work" && timeout 300 apt-get "${options[@]}" "${lists[@]}" -qq download libraft-dev) || fail "the package could not be fetched"
dpkg-deb -x "$work"/libraft-dev_*.deb "$work/package"

mkdir -p "$work/raft/lib"
cp -r "$work/package/usr/include" "$work/raft/include"
find "$work/package/usr/lib" -name libraft.a -exec cp {} "$work/raft/lib/" \;
cp "$work/package/usr/share/doc/libraft-dev/copyright" "$work/raft/copyright"
has_line "$work/raft" || fail "the package does not hold what was expected"
rm -rf $target
mv "$work/raft" $target
