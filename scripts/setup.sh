#!/usr/bin/env bash
# Installs the missing Debian packages of the named groups of packages.apt, and for `build` brings libraft. Says nothing when nothing is missing.
#   scripts/setup.sh build test
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:/usr/sbin:/sbin

wanted() {  # the packages of the groups in "$@" whose command (if the list names one) is not there
    local name group command
    while read -r name group command; do
        [[ -z $name || $name == \#* || " $* " != *" $group "* ]] && continue
        [[ -n $command ]] && command -v "$command" >/dev/null && continue
        echo "$name"
    done <packages.apt
}

command -v swift >/dev/null || {
    echo "setup: the Swift 6.3 toolchain is missing (\`swift\` is not in PATH): https://www.swift.org/install/linux/" >&2
    exit 1
}

[[ " $* " == *" build "* ]] && scripts/fetch-raft.sh

mapfile -t packages < <(wanted "$@")
[[ ${#packages[@]} -eq 0 ]] && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    cat >&2 <<TEXT
setup: this is no Debian system (apt-get is missing), so nothing was installed. Sluice needs what these Debian packages hold:
    ${packages[*]}
TEXT
    exit 0
fi

missing=()
for name in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null || true)
    [[ $status == ii* ]] || missing+=("$name")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: missing packages, and neither root nor sudo is there. As root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install=("${as_root[@]}" timeout 900 apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120)
# The package lists of a machine may be missing or stale, so a failure is tried once more with fresh ones.
"${install[@]}" "${missing[@]}" >/dev/null 2>&1 || {
    "${as_root[@]}" timeout 300 apt-get update
    "${install[@]}" "${missing[@]}"
}

# Debian starts what it installs as services. Here Mosquitto is wanted as a peer in the benchmark and nginx by its tests, which
# start them themselves.
for service in mosquitto nginx-light; do
    [[ " ${missing[*]} " == *" $service "* ]] && command -v systemctl >/dev/null && [[ -d /run/systemd/system ]] || continue
    "${as_root[@]}" systemctl disable --now "${service%-light}" >/dev/null 2>&1 || true
    echo "setup: $service is installed for tests and benchmarks; its system service is switched off"
done
