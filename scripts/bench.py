#!/usr/bin/env python3
"""Measures Sluice beside Mosquitto with the load generator mqttload, and prints one table.

For each row both brokers are started anew, in turn, `--runs` times; the table holds the median of the broker's CPU time per
message and its quotient, Sluice ÷ Mosquitto. CPU time per message is the figure to compare: throughput and latency on a small
machine measure everything else that runs there, too. Nothing leaves the loopback interface; every run is bounded in time.

    scripts/bench.py [--generator ../shared/bench] [--only ROW]… [--runs 3] [--quick] [--json FILE] [--list]

Exit code: 0 also when a target is missed (the table says so); 3 with --gate; 1 when a measurement failed.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/Integration"))
from support.broker import Sluice, free_port  # noqa: E402
from support.waiting import wait_for  # noqa: E402

BUILD = ROOT / ".build-bench"
SLUICE, MOSQUITTO = "sluice", "mosquitto"
MISS_SQL = 'SELECT payload.temp as t, clientid FROM "t/#" WHERE payload.temp > 1000'
HIT_SQL = 'SELECT payload.temp as t, clientid FROM "t/#" WHERE payload.temp >= 0'
RULES = {
    "none": {},
    "miss": {"bench.yaml": f"version: 1\nrules:\n  bench:\n    sql: |\n      {MISS_SQL}\n    actions: []\n"},
    "file": {"bench.yaml": f"""version: 1
actions:
  file:
    bench: {{path: "bench.jsonl"}}
rules:
  bench:
    sql: |
      {HIT_SQL}
    actions: ["file:bench"]
"""},
}


def webhook_rules(port: int, batch: int) -> dict:
    return {"bench.yaml": f"""version: 1
connectors:
  http:
    bench: {{url: "http://127.0.0.1:{port}", pool_size: 16}}
actions:
  http:
    bench:
      connector: bench
      parameters: {{method: post, path: /}}
      buffer: {{mode: memory, max_bytes: 512MB}}
      batch: {{max_messages: {batch}, max_wait: {0 if batch == 1 else 50}ms}}
rules:
  bench:
    sql: |
      SELECT payload.pub as pub, payload.seq as seq, payload.ts as ts, clientid FROM "w/#"
    actions: ["http:bench"]
"""}


# ------------------------------------------------------------------ rows

@dataclass
class Row:
    """`target` is the most that `value` may be; `value` names what is compared."""
    name: str
    title: str
    kind: str                     # the method of Bench that measures it
    target: float
    load: list[str] = field(default_factory=list)
    seconds: float = 5
    variant: str = ""             # rules: miss or file; webhook: the batch size; durability: what is compared with none; idle: the listener


def load(scenario: str, qos: int, *more: str) -> list[str]:
    return [scenario, "--qos", str(qos), *more]


ROWS = [
    Row("fanin-q0", "fan-in 100 → 1, QoS 0", "versus", 0.2, load("fanin", 0)),
    Row("fanin-q1", "fan-in 100 → 1, QoS 1", "versus", 0.2, load("fanin", 1)),
    Row("p2p-q0", "200 pairs, QoS 0, saturated", "versus", 0.2, load("p2p", 0)),
    Row("p2p-q1", "200 pairs, QoS 1, saturated", "versus", 0.25, load("p2p", 1)),
    Row("p2p-q2", "200 pairs, QoS 2, saturated", "versus", 0.4, load("p2p", 2)),
    Row("fanout-q0", "fan-out 1 → 500, QoS 0", "versus", 0.6, load("fanout", 0)),
    Row("fanout-q1", "fan-out 1 → 500, QoS 1", "versus", 0.6, load("fanout", 1)),
    Row("paced-q0", "20,000/s over 200 pairs, QoS 0", "versus", 1.1, load("p2p", 0, "--rate", "20000"), seconds=8),
    Row("paced-q1", "20,000/s over 200 pairs, QoS 1", "versus", 1.1, load("p2p", 1, "--rate", "20000"), seconds=8),
    Row("mallocs-q0", "mallocs per publish, QoS 0, 20,000/s", "mallocs", 0.1, load("p2p", 0, "--rate", "20000")),
    Row("mallocs-q1", "mallocs per publish, QoS 1, 20,000/s", "mallocs", 1.5, load("p2p", 1, "--rate", "20000")),
    Row("mallocs-q0-full", "mallocs per publish, QoS 0, saturated", "mallocs", 0.1, load("p2p", 0)),
    Row("mallocs-q1-full", "mallocs per publish, QoS 1, saturated", "mallocs", 1.5, load("p2p", 1)),
    Row("idle", "idle connection, RSS in KB", "idle", 5.0),
    Row("rule-miss", "10,000/s QoS 1, a rule that never matches ÷ no rule", "rules", 1.05, variant="miss", seconds=10),
    Row("rule-file", "10,000/s QoS 1, matching rule → file, + µs", "rules", 1.0, variant="file", seconds=10),
    Row("webhook", "webhook, µs per POST above no rule", "webhook", 35.0, variant="1"),
    Row("webhook-100", "webhook, 100 a body, µs per message above no rule", "webhook", 2.0, variant="100"),
]
ROWS += [
    Row("kept-clean", "20,000/s QoS 1, clean sessions, durability process ÷ none", "durability", 1.05,
        load("p2p", 1, "--rate", "20000"), seconds=8, variant="process"),
    Row("kept-offline", "QoS 1 to an absent session, kept ÷ Mosquitto in memory", "offline", 1.5, load("offline", 1, "--count", "90000")),
]
ROWS += [
    Row("access-fanin", "fan-in 100 → 1, QoS 0, users and an access list ÷ without", "access", 1.05, load("fanin", 0)),
    Row("access-paced", "20,000/s over 200 pairs, QoS 0, users and an access list ÷ without", "access", 1.05,
        load("p2p", 0, "--rate", "20000"), seconds=8),
    Row("churn", "connect, subscribe, disconnect, µs a client", "churn", 1.2, load("churn", 0, "--src-ips", "8"), seconds=8),
    Row("idle-tls", "idle connection over TLS, RSS in KB", "idle_secured", 40.0, variant="ssl"),
    Row("idle-ws", "idle connection over WebSocket, RSS in KB", "idle_secured", 8.0, variant="ws"),
    Row("shards-q0", "200 pairs, QoS 0, saturated, two shards ÷ one", "shards", 1.3, load("p2p", 0)),
    Row("shards-q1", "200 pairs, QoS 1, saturated, two shards ÷ one", "shards", 1.3, load("p2p", 1)),
]
ACCESS = {
    "authentication": [{"mechanism": "password_based", "backend": "built_in_database",
                        "password_hash_algorithm": {"name": "pbkdf2", "iterations": 100}}],
    "authorization": {"sources": [{"type": "file", "rules": [
        {"permission": "allow", "who": {"username": "dashboard"}, "action": "subscribe", "topics": ["$SYS/#"]},
        {"permission": "allow", "who": {"username": "bench"}, "topics": ["bench/#"]}]}]},
}
RULE_LOAD = load("drain", 1, "--json-payload", "--size", "200", "--topic", "t/%i", "--rate", "10000", "--inflight", "1000")


# ------------------------------------------------------------------ brokers

class Mosquitto:
    """Debian's Mosquitto with the options under which it is fastest."""

    def __init__(self, wrapper_environment=None):
        self.folder = Path(tempfile.mkdtemp(prefix="mq-"))
        self.port = free_port()
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            "max_inflight_messages 0\nuser root\nlog_dest stderr\nlog_type error\n")
        self.environment = {**os.environ, **(wrapper_environment or {})}
        self.process = None

    def start(self):
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        self.process = subprocess.Popen([program, "-c", str(self.folder / "mosquitto.conf")], env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers(self.port), 10, "mosquitto's listener")
        return self

    @property
    def pid(self):
        return self.process.pid

    def terminate(self):
        self.process.terminate()
        self.process.wait(timeout=20)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=5)
        shutil.rmtree(self.folder, ignore_errors=True)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Bench:
    def __init__(self, options, generator: Path):
        self.options = options
        self.mqttload, self.webhook_sink = generator / "mqttload", generator / "webhook_sink"
        self.preload = BUILD / "malloc_count.so"
        self.children: list = []

    def broker(self, which: str, rules: dict | None = None, env: dict | None = None, durability=None, more: dict | None = None):
        if which == MOSQUITTO:
            made = Mosquitto(env)
        else:
            config = {"log": {"level": "warning"}, "mqtt": {"max_mqueue_len": 100_000}}
            if self.options.shards:
                config["node"] = {"shards": self.options.shards}
            if durability or self.options.durability:
                config["durability"] = durability or self.options.durability
            made = Sluice({**config, **(more or {})}, rules, env=env)
        self.children.append(made)
        return made.start()

    def stop(self, broker) -> None:
        try:
            broker.terminate()
        finally:
            broker.close()
            self.children.remove(broker)

    def close(self) -> None:
        for child in self.children:
            child.close()

    def run_load(self, broker, arguments: list[str], limit=120) -> dict:
        command = [str(self.mqttload), *arguments, "--port", str(broker.port), "--pid", str(broker.pid), "--json"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        if result.returncode not in (0, 3) or not result.stdout.strip():
            raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr.strip()[-500:]}")
        figures = json.loads(result.stdout)
        if not figures.get("ok"):
            wrong = {key: figures.get(key) for key in ("lost", "duplicates", "out_of_order", "corrupt", "disconnects", "sub_errors")}
            print(f"bench: not ok: {wrong}", file=sys.stderr)
        return figures

    def times(self, row: Row) -> list[str]:
        seconds = min(row.seconds, 2) if self.options.quick else row.seconds
        return ["--duration", str(seconds), "--warmup", "0.5" if self.options.quick else "1"]

    # -------------------------------------------------------------- kinds of rows; each returns a result for the table

    def versus(self, row: Row, key="cpu_us_per_msg") -> dict:
        runs = {SLUICE: [], MOSQUITTO: []}
        for _ in range(self.options.runs):
            for which in (MOSQUITTO, SLUICE):
                broker = self.broker(which)
                runs[which].append(self.run_load(broker, [*row.load, *self.times(row)]))
                self.stop(broker)
        cpu = {which: median(f.get("measured", f)[key] for f in got) for which, got in runs.items()}
        return {"value": cpu[SLUICE] / cpu[MOSQUITTO] if cpu[MOSQUITTO] else float("nan"), "cpu": cpu, "runs": runs}

    def mallocs(self, row: Row) -> dict:
        """Allocations of a long run less those of a short one, so that connecting and disconnecting do not count."""
        paced = "--rate" in row.load
        few, many = (2_000, 22_000 if self.options.quick else 62_000) if paced else (20_000, 220_000)
        result = {"runs": {}, "mallocs": {}}
        for which in (MOSQUITTO, SLUICE):
            counter = Path(tempfile.mkstemp(prefix="mallocs-")[1])
            broker = self.broker(which, env={"LD_PRELOAD": str(self.preload), "MALLOC_COUNT_FILE": str(counter)})
            read = lambda: struct.unpack("=Q", counter.read_bytes()[:8])[0]  # noqa: E731
            spent, sent, figures = [], [], {}
            for count in (few, few, many):  # the first one warms up
                before = read()
                figures = self.run_load(broker, [*row.load, "--count", str(count)])
                spent.append(read() - before)
                sent.append(figures["sent"])
            self.stop(broker)
            counter.unlink()
            result["mallocs"][which] = (spent[2] - spent[1]) / (sent[2] - sent[1])
            result["runs"][which] = [figures]
        result["value"] = result["mallocs"][SLUICE]
        return result

    def idle(self, row: Row) -> dict:
        connections = 2_000 if self.options.quick else 10_000
        runs = {SLUICE: [], MOSQUITTO: []}
        for which in (MOSQUITTO, SLUICE):
            broker = self.broker(which)
            runs[which].append(self.run_load(broker, ["connect", "--subs", str(connections), "--connect-rate", "2000", "--hold", "3"]))
            self.stop(broker)
        each = {which: got[0]["rss_per_conn_b"] / 1024 for which, got in runs.items()}
        return {"value": each[SLUICE], "rss_kb": each, "runs": runs}

    def compared(self, kinds: dict, load_: list[str], key="cpu_us_per_msg", second=()) -> dict:
        """The same work on brokers of two kinds, in turn; more runs, since a difference of 5 % is looked for.

        `kinds` names how each is made, the one to compare with first; `second` are arguments of the load on the other alone.
        """
        base, other = kinds
        runs = {name: [] for name in kinds}
        for _ in range(max(self.options.runs, 1 if self.options.quick else 5)):
            for name, make in kinds.items():
                broker = make()
                runs[name].append(self.run_load(broker, [*load_, *(second if name == other else ())]))
                self.stop(broker)
        cpu = {name: median(f["measured"][key] for f in got) for name, got in runs.items()}
        return {"value": cpu[other] / cpu[base], "cpu": {SLUICE: cpu[other], "without": cpu[base]},
                "runs": {SLUICE: runs[other], "without": runs[base]}}

    def rules(self, row: Row) -> dict:
        """The same broker with and without the rule."""
        result = self.compared(
            {"without": lambda: self.broker(SLUICE, RULES["none"]), "with": lambda: self.broker(SLUICE, RULES[row.variant])},
            [*RULE_LOAD, *self.times(row)], key="cpu_us_per_in")
        if row.variant != "miss":  # a sink's own work is no share of the message's
            result["value"] = result["cpu"][SLUICE] - result["cpu"]["without"]
        return result

    def durability(self, row: Row) -> dict:
        """The same work with and without storage."""
        return self.compared({mode: (lambda mode=mode: self.broker(SLUICE, durability=mode)) for mode in ("none", row.variant)},
                             [*row.load, *self.times(row)])

    def access(self, row: Row) -> dict:
        """The same work for anybody, and for a user who may do it by the second rule of a list."""
        def secured():
            broker = self.broker(SLUICE, more=ACCESS)
            broker.ctl("users", "add", "bench", "bench")
            return broker
        return self.compared({"open": lambda: self.broker(SLUICE), "secured": secured}, [*row.load, *self.times(row)],
                             second=("--user", "bench", "--pass", "bench"))

    def shards(self, row: Row) -> dict:
        """CPU time per message on two shards and on one; the note has what went through."""
        result = self.compared({str(n): (lambda n=n: self.broker(SLUICE, more={"node": {"shards": n}})) for n in (1, 2)},
                               [*row.load, *self.times(row)])
        rate = {name: median(f["measured"]["in_per_s"] for f in got) for name, got in result["runs"].items()}
        result["note"] = f"{rate['without']:,.0f}/s on one, {rate[SLUICE]:,.0f}/s on two"
        return result

    def churn(self, row: Row) -> dict:
        return self.versus(row, key="cpu_us_per_cycle")

    def idle_secured(self, row: Row) -> dict:
        """Resident memory per connection of clients of version 3.1.1 with one subscription, over TLS or WebSocket."""
        count = 500 if self.options.quick else 10_000
        folder = Path(tempfile.mkdtemp(prefix="bench-tls-"))
        port = free_port()
        listener = {"bind": f"127.0.0.1:{port}"}
        context = None
        if row.variant == "ssl":
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                       "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
            subprocess.run(command, check=True, capture_output=True)
            listener["ssl_options"] = {"certfile": str(folder / "cert.pem"), "keyfile": str(folder / "key.pem")}
            context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
            context.check_hostname = False
        broker = self.broker(SLUICE, more={"listeners": {row.variant: {"default": listener}}})
        connections = []
        try:
            for index in range(count // 100):  # warms up what does not grow
                connections.append(idle_client(port, f"warm-{index}", context, row.variant == "ws"))
            before = resident(broker.pid)
            for index in range(count):
                connections.append(idle_client(port, f"idle-{index}", context, row.variant == "ws"))
            time.sleep(3)
            each = (resident(broker.pid) - before) / count
        finally:
            for connection in connections:
                connection.close()
            self.stop(broker)
            shutil.rmtree(folder, ignore_errors=True)
        return {"value": each, "rss_kb": {SLUICE: each}, "runs": {SLUICE: []}, "note": f"{count:,} connections"}

    def offline(self, row: Row) -> dict:
        """CPU time per message that is queued for an absent session."""
        runs = {SLUICE: [], MOSQUITTO: []}
        for _ in range(self.options.runs):
            for which in (MOSQUITTO, SLUICE):
                broker = self.broker(which)
                runs[which].append(self.run_load(broker, row.load))
                self.stop(broker)
        cpu = {which: median(f["enqueue"]["cpu_us_per_msg"] for f in got) for which, got in runs.items()}
        replay = median(f["replay"]["out_per_s"] for f in runs[SLUICE])
        return {"value": cpu[SLUICE] / cpu[MOSQUITTO], "cpu": cpu, "runs": runs, "note": f"replay {replay:,.0f}/s"}

    def webhook(self, row: Row) -> dict:
        """CPU time from the first message until the sink has everything, less that of the same load without a rule."""
        batch = int(row.variant)
        count = (20_000 if batch == 1 else 200_000) // (4 if self.options.quick else 1)
        load_ = load("drain", 1, "--json-payload", "--size", "200", "--topic", "w/%i", "--pubs", "50", "--count", str(count))
        values, gross, last, stats = [], [], [], {}
        for _ in range(self.options.runs):
            broker = self.broker(SLUICE)
            base = self.cpu_of(broker, lambda: self.run_load(broker, load_))
            self.stop(broker)
            port = free_port()
            sink = subprocess.Popen([str(self.webhook_sink), "--port", str(port), "--quiet"], stdout=subprocess.DEVNULL)
            try:
                wait_for(lambda: answers(port), 5, "webhook_sink")
                broker = self.broker(SLUICE, webhook_rules(port, batch))
                sent = 0

                def deliver():
                    nonlocal sent
                    last.append(self.run_load(broker, load_))
                    sent = last[-1]["sent"]
                    wait_for(lambda: sink_stats(port)["distinct"] >= sent, 90, lambda: f"{sent} records: {sink_stats(port)}")

                spent = self.cpu_of(broker, deliver)
                stats = sink_stats(port)
                self.stop(broker)
            finally:
                sink.send_signal(signal.SIGINT)
                sink.wait(timeout=10)
            gross.append(spent / sent * 1e6)
            values.append((spent - base) / sent * 1e6)
        return {"value": median(values), "cpu": {SLUICE: median(gross), "without": median(gross) - median(values)}, "runs": {SLUICE: last},
                "sink": stats, "note": f"lost {last[-1]['sent'] - stats['distinct']}, duplicates {stats['duplicates']}"}

    @staticmethod
    def cpu_of(broker, work) -> float:
        """Seconds of CPU time that the broker spent while `work` ran."""
        def read() -> float:
            fields = Path(f"/proc/{broker.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        before = read()
        work()
        return read() - before


def resident(pid: int) -> float:
    """Resident memory in KB."""
    return float(next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1])


def idle_client(port: int, client: str, context=None, websocket=False):
    """A connected socket of a client of version 3.1.1 with a clean session and one subscription."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    if context:
        connection = context.wrap_socket(connection)
    frame = bytes
    skip = 0
    if websocket:
        connection.sendall(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1)
        frame, skip = (lambda data: bytes([0x82, 0x80 | len(data)]) + bytes(4) + data), 2
    name, topic = client.encode(), f"idle/{client}".encode()
    connect = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(name)) + name
    subscribe = b"\x00\x01" + struct.pack(">H", len(topic)) + topic + b"\x00"
    for packet, length in ((b"\x10" + bytes([len(connect)]) + connect, 4), (b"\x82" + bytes([len(subscribe)]) + subscribe, 5)):
        connection.sendall(frame(packet))
        got = b""
        while len(got) < length + skip:
            part = connection.recv(length + skip - len(got))
            if not part:
                raise RuntimeError(f"the broker closed {client}")
            got += part
    return connection


def sink_stats(port: int) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=5) as answer:
        return json.load(answer)


def median(values) -> float:
    return statistics.median(list(values))


# ------------------------------------------------------------------ the table

COLUMNS = ["work, 256 B", "target", "reached", "", "Sluice µs", "Mosq. µs", "thousand/s", "p50 µs", "p99 µs", "RSS MB", "mallocs",
           "lost/dup/order"]


def number(value, digits=2) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def table_row(row: Row, result: dict) -> list[str]:
    runs = result["runs"][SLUICE]
    measured = [f["measured"] for f in runs if "measured" in f]
    rates = [max(m["in_per_s"], m["out_per_s"]) for m in measured if "in_per_s" in m]
    rate = median(rates) / 1000 if rates else None
    latency = [f["latency"] for f in runs if f.get("latency")] or [f["ack_latency"] for f in runs if f.get("ack_latency")]
    cpu = result.get("cpu", {})
    mallocs = result.get("mallocs")
    faults = "/".join(str(max(f.get(key, 0) for f in runs)) for key in ("lost", "duplicates", "out_of_order")) if runs else ""
    return [
        row.title, f"≤ {row.target:g}", number(result["value"]), "ok" if result["value"] <= row.target else "miss",
        number(cpu.get(SLUICE)), number(cpu.get(MOSQUITTO)) or (f"({number(cpu['without'])})" if "without" in cpu else ""),
        number(rate, 0), number(median(x["p50_us"] for x in latency), 0) if latency else "",
        number(median(x["p99_us"] for x in latency), 0) if latency else "",
        number(median(f["rss_peak_kb"] for f in runs if "rss_peak_kb" in f) / 1024, 0) if any("rss_peak_kb" in f for f in runs) else "",
        f"{mallocs[SLUICE]:.2f} ({mallocs[MOSQUITTO]:.1f})" if mallocs else "", result.get("note") or faults,
    ]


def print_table(rows: list[list[str]]) -> None:
    lines = [COLUMNS, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    for position, line in enumerate(lines):
        cells = [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        print("| " + " | ".join(cells) + " |")
        if position == 0:
            print("|" + "|".join("-" * (w + 1) + ("-" if n == 0 else ":") for n, w in enumerate(widths)) + "|")


def build(generator: Path) -> Path:
    """Builds the generator in a folder of ours; its own may be read-only."""
    folder = BUILD / "generator"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(generator, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    for command in (["make", "-s", "-C", str(folder)],
                    ["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(BUILD / "malloc_count.so"), str(ROOT / "scripts/malloc_count.c")]):
        subprocess.run(command, check=True, timeout=300)
    return folder


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    parser = argparse.ArgumentParser(description="Sluice beside Mosquitto; one table.")
    parser.add_argument("--generator", type=Path, default=ROOT / "../shared/bench")
    parser.add_argument("--only", action="append", metavar="ROW", help="a row's name or its beginning; may be repeated")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shards", type=int, default=0, help="node.shards (default: the product's)")
    parser.add_argument("--durability", choices=["none", "process", "fsync"], help="(default: the product's)")
    parser.add_argument("--quick", action="store_true", help="one short run of each: to see that it works, not to compare")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to FILE")
    parser.add_argument("--gate", action="store_true", help="exit with 3 when a target is missed")
    parser.add_argument("--list", action="store_true", help="list the rows")
    options = parser.parse_args()
    if options.list:
        for row in ROWS:
            print(f"{row.name:16} {row.title}")
        return 0
    if not (options.generator / "mqttload.c").is_file():
        print(f"bench: skipped, there is no load generator (mqttload.c) in {options.generator}")
        return 0
    if options.quick:
        options.runs = 1
    rows = [row for row in ROWS if not options.only or any(row.name.startswith(name) for name in options.only)]
    if not rows:
        print(f"bench: no row is named {options.only}; --list shows them", file=sys.stderr)
        return 2
    raise_descriptor_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options, build(options.generator))
    results, failed = {}, []
    started = time.monotonic()
    try:
        for row in rows:
            print(f"bench: {row.name} …", file=sys.stderr, flush=True)
            try:
                results[row.name] = getattr(bench, row.kind)(row)
            except (AssertionError, RuntimeError, OSError, KeyError, subprocess.SubprocessError) as error:
                failed.append(row.name)
                print(f"bench: {row.name} failed: {error}", file=sys.stderr)
    finally:
        bench.close()
    print_table([table_row(row, results[row.name]) for row in rows if row.name in results])
    print(f"\n{describe_machine()}; {options.runs} runs each, medians, {time.monotonic() - started:.0f} s. µs: CPU time of the broker per "
          "message in or out; in brackets: the same broker without the rule, or Mosquitto's mallocs.")
    if options.json:
        options.json.write_text(json.dumps({row.name: {"title": row.title, "target": row.target, **results[row.name]}
                                            for row in rows if row.name in results}, indent=1))
    if failed:
        print(f"bench: could not be measured: {', '.join(failed)}", file=sys.stderr)
        return 1
    missed = [row.name for row in rows if not results[row.name]["value"] <= row.target]
    if missed:
        print(f"bench: above the target: {', '.join(missed)}")
    return 3 if missed and options.gate else 0


def describe_machine() -> str:
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    peer = subprocess.run([shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin") or "true", "-h"],
                          capture_output=True, text=True).stdout.split("\n")[0]
    return f"{os.cpu_count()} cores, {model}; {peer}"


if __name__ == "__main__":
    sys.exit(main())
