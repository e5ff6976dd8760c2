#!/usr/bin/env bash
# Three cores and a replicant on loopback, each with a data directory of its own below .cluster/.
#   scripts/cluster.sh up | down | status
set -euo pipefail
cd "$(dirname "$0")/.."
readonly bin=${BIN:-.build/release/sluice} folder=.cluster nodes=(n1 n2 n3 r4)

running() { [[ -f $folder/$1/pid ]] && kill -0 "$(cat "$folder/$1/pid")" 2>/dev/null; }
ctl() { "$bin" ctl --config "$folder/$1/sluice.yaml" "${@:2}"; }

configure() {  # NAME: ports by the number at its end
    local name=$1 number=${1:1} role=core
    [[ $name == r* ]] && role=replicant
    mkdir -p "$folder/$name/rules"
    [[ -f $folder/$name/sluice.yaml ]] || cat >"$folder/$name/sluice.yaml" <<YAML
node: {name: "$name@127.0.0.1", role: $role, data_dir: "$folder/$name/data", cookie: "\${file:$PWD/$folder/cookie}"}
cluster: {name: demo}
listeners: {tcp: {default: {bind: "127.0.0.1:$((1882 + number))"}}}
rules: {paths: ["$folder/$name/rules"]}
YAML
}

start() {
    running "$1" && return
    "$bin" start --config "$folder/$1/sluice.yaml" >"$folder/$1/out" 2>"$folder/$1/log" &
    echo $! >"$folder/$1/pid"
    for _ in $(seq 300); do
        grep -q "is running now" "$folder/$1/out" && return
        running "$1" || break
        sleep 0.1
    done
    echo "cluster: $1 did not start:" >&2
    tail -n 5 "$folder/$1/log" >&2
    exit 1
}

case ${1:-} in
up)
    mkdir -p "$folder"
    [[ -f $folder/cookie ]] || (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$folder/cookie")
    for name in "${nodes[@]}"; do configure "$name"; done
    for name in "${nodes[@]}"; do start "$name"; done
    for name in "${nodes[@]:1}"; do
        ctl "$name" --json cluster status | grep -q '"n1@127.0.0.1"' || ctl "$name" cluster join n1@127.0.0.1 >/dev/null
    done
    ctl n1 cluster status
    echo "MQTT: n1 on 1883, n2 on 1884, n3 on 1885, r4 on 1886. Rule files: $folder/<node>/rules. End: make cluster-down"
    ;;
down)
    for name in "${nodes[@]}"; do
        running "$name" || continue
        kill "$(cat "$folder/$name/pid")"
    done
    for name in "${nodes[@]}"; do
        while running "$name"; do sleep 0.1; done
        rm -f "$folder/$name/pid"
    done
    ;;
status) ctl n1 cluster status ;;
*)
    echo "usage: scripts/cluster.sh up | down | status" >&2
    exit 2
    ;;
esac
