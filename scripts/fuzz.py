#!/usr/bin/env python3
"""Throws mutated input at the real binary: MQTT byte streams, PROXY headers and WebSocket upgrades at a running broker, rule files
at `rules check`, configurations at `ctl`. Nothing may crash, hang or grow without bound. Everything follows from the seed, which is printed; a finding is
written to a file, with the command that replays it.

    scripts/fuzz.py [--seconds 20] [--seed N] [--only mqtt|openings|rules|config]
"""

import argparse
import random
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/Integration"))
from support.broker import CRASH, Sluice, binary, clean_environment, to_yaml  # noqa: E402
from support.mqtt import Client, Closed, Will, packet, text  # noqa: E402
from support.proxy import certificate, entry, v1, v2  # noqa: E402
from support.websocket import BINARY, CONTINUATION, PING, frame, request  # noqa: E402

RSS_LIMIT_KB = 256 * 1024
INTERESTING = [0, 1, 2, 3, 4, 5, 0x0F, 0x10, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xF4, 0xFE, 0xFF]


class Finding(Exception):
    pass


def mutate(rng: random.Random, data: bytes, pieces: list[bytes]) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at % len(out)] = rng.choice(INTERESTING)
            case 2:
                del out[at:at + rng.choice([1, 1, 2, 5, 40])]
            case 3:
                out[at:at] = bytes(rng.choice(INTERESTING) for _ in range(rng.choice([1, 2, 4, 200])))
            case 4:
                end = min(len(out), at + rng.randrange(64))
                out[at:at] = out[at:end] * rng.choice([1, 1, 2, 50])
            case 5:
                out[at:at] = rng.choice(pieces)
            case _:
                del out[at:]
    return bytes(out[:1 << 20])


# ------------------------------------------------------------------ MQTT

class Builder(Client):
    """Makes packets without a connection."""

    def __init__(self, version: int, client_id: str):
        self.version, self.client_id, self.next_identifier = version, client_id, 0


def a_session(rng: random.Random, number: int) -> list[bytes]:
    version = rng.choice([3, 4, 4, 5, 5, 5])
    builder = Builder(version, f"fuzz-{number % 50}")
    will = Will("fuzz/will", b"w", rng.randrange(3), rng.random() < 0.5) if rng.random() < 0.3 else None
    properties = {0x11: rng.choice([0, 5, 0xFFFFFFFF]), 0x21: rng.randrange(1, 20), 0x27: 1000} if version == 5 else None
    packets = [builder.connect_packet(rng.random() < 0.7, rng.randrange(100), will, properties=properties)]
    for _ in range(rng.randrange(1, 12)):
        identifier = struct.pack(">H", rng.randrange(1, 8))
        end = b"\0" if version == 5 else b""
        topic = rng.choice(["fuzz/a", "fuzz/a/b", "fuzz/+", "fuzz/#", "$share/g/fuzz/#", "$SYS/x", "", "a" * 300, "rule/x"])
        qos = rng.randrange(3)
        packets.append(rng.choice([
            lambda: builder.publish_packet(topic, rng.randbytes(rng.choice([0, 5, 300])), qos, rng.random() < 0.2, rng.randrange(1, 8),
                                           {0x23: rng.randrange(5), 0x26: [("k", "v")], 0x02: 1} if version == 5 else None),
            lambda: builder.publish_packet("rule/x", rng.choice([b'{"a":{"b":[1,2,{"c":1e5}]}}', b"[[[", b'"\\ud800"', b""]), 1, False, 9),
            lambda: packet(8, 2, identifier + end + text(topic) + bytes([qos])),
            lambda: packet(10, 2, identifier + end + text(topic)),
            lambda: packet(rng.choice([4, 5, 7]), 0, identifier),
            lambda: packet(6, 2, identifier),
            lambda: packet(12, 0, b""),
            lambda: packet(14, 0, b""),
            lambda: packet(rng.randrange(16), rng.randrange(16), rng.randbytes(rng.randrange(30))),
        ])())
    return packets


def send_stream(port: int, rng: random.Random, data: bytes) -> None:
    """Sends in chunks and reads what comes, without waiting for anything in particular."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        try:
            while data:
                size = rng.choice([1, 3, 50, 4096, len(data)])
                sock.sendall(data[:size])
                data = data[size:]
                if select.select([sock], [], [], 0)[0] and not sock.recv(65536):
                    return
            if rng.random() < 0.5:
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(0.2)
                sock.recv(65536)
        except OSError:
            return  # Closing on garbage is right; whether the broker still serves others is checked by `check_broker`.


RULE = """version: 1
rules:
  fuzz:
    sql: |
      SELECT payload.a.b[1] as x, json_decode(payload) as p, topic, payload.k as t FROM "rule/#"
    actions:
      - function: republish
        args: {topic: "fuzz/${t}", payload: "${x}"}
"""


def check_broker(broker: Sluice) -> None:
    if not broker.alive():
        raise Finding(f"the broker ended with {broker.exit_code()}:\n{broker.output[-3000:]}")
    if found := CRASH.search(broker.output):
        raise Finding(f"{found[0]} in the broker's output:\n{broker.output[-3000:]}")
    if broker.rss_kb() > RSS_LIMIT_KB:
        raise Finding(f"the broker takes {broker.rss_kb()} KB")
    try:
        with Client(broker.port, "fuzz-control", timeout=10) as control:
            control.ping()
    except (AssertionError, OSError, Closed) as error:
        raise Finding(f"a well-behaved client is not served any more: {error}\n{broker.output[-3000:]}") from None


def fuzz_mqtt(seed: int, seconds: float) -> int:
    broker = Sluice({"log": {"level": "error"}}, {"fuzz.yaml": RULE}).start()
    number, end, recent = 0, time.monotonic() + seconds, []
    try:
        while time.monotonic() < end:
            rng = random.Random(f"{seed}/mqtt/{number}")
            packets = a_session(rng, number)
            if rng.random() < 0.3:
                rng.shuffle(packets)
            # Often the CONNECT stays whole, so that what follows it is looked at.
            keep = packets[0] if rng.random() < 0.7 else b""
            data = keep + mutate(rng, b"".join(packets[1:] if keep else packets), packets)
            recent = [*recent[-99:], data]
            send_stream(broker.port, rng, data)
            number += 1
            if number % 100 == 0:
                check_broker(broker)
        check_broker(broker)
        broker.terminate()
    except (Finding, AssertionError, OSError) as error:
        raise Finding(f"mqtt input {number} or up to 99 before it: {error}\nlast inputs: {save(b''.join(recent))}") from None
    finally:
        broker.close()
    return number


# ------------------------------------------------------------------ what stands in front of MQTT

def a_proxied_session(rng: random.Random, number: int) -> list[bytes]:
    header = rng.choice([v1(), v1("2001:db8::1", "2001:db8::2"), b"PROXY UNKNOWN\r\n", v2(), v2("2001:db8::1", "2001:db8::2"), v2(command=0x20),
                         v2(extensions=certificate("fuzz") + entry(0x04, b"\0" * 50)), v2(extensions=entry(0x03, b"\0\0\0\0"))])
    return [header, *a_session(rng, number)]


def a_websocket_session(rng: random.Random, number: int) -> list[bytes]:
    parts = [request(X_Forwarded_For=rng.choice(["203.0.113.9", "[::1]:5, 127.0.0.1", "unknown"]))]
    for data in a_session(rng, number):
        cut = rng.randrange(len(data) + 1)
        parts.append(rng.choice([
            lambda: frame(BINARY, data),
            lambda: frame(BINARY, data[:cut], final=False) + frame(PING, b"p") + frame(CONTINUATION, data[cut:]),
            lambda: frame(rng.randrange(16), data[:100], final=rng.random() < 0.8, masked=rng.random() < 0.8, reserved=rng.choice([0, 0, 0, 4])),
        ])())
    return parts


def fuzz_openings(seed: int, seconds: float) -> int:
    listeners = {"tcp": {"default": {"proxy_protocol": "auto", "proxy_protocol_timeout": "200ms"}}}
    broker = Sluice({"log": {"level": "error"}, "listeners": listeners}, {"fuzz.yaml": RULE}, websocket=True).start()
    number, end, recent = 0, time.monotonic() + seconds, []
    try:
        while time.monotonic() < end:
            rng = random.Random(f"{seed}/openings/{number}")
            make, port = rng.choice([(a_proxied_session, broker.port), (a_websocket_session, broker.ws_port)])
            parts = make(rng, number)
            # Often the beginning stays whole, so that what follows it is looked at.
            keep = rng.choice([0, 0, 1, 2])
            data = b"".join(parts[:keep]) + mutate(rng, b"".join(parts[keep:]), parts)
            recent = [*recent[-99:], data]
            send_stream(port, rng, data)
            number += 1
            if number % 100 == 0:
                check_broker(broker)
        check_broker(broker)
        broker.terminate()
    except (Finding, AssertionError, OSError) as error:
        raise Finding(f"openings input {number} or up to 99 before it: {error}\nlast inputs: {save(b''.join(recent))}") from None
    finally:
        broker.close()
    return number


# ------------------------------------------------------------------ files

def run_to_end(arguments: list[str], data: bytes, number: int, what: str) -> None:
    try:
        result = subprocess.run([binary(), *arguments], capture_output=True, timeout=20, stdin=subprocess.DEVNULL, env=clean_environment())
    except subprocess.TimeoutExpired:
        raise Finding(f"{what} input {number} takes over 20 s: {save(data)}") from None
    output = (result.stdout + result.stderr).decode("utf-8", "replace")
    if result.returncode < 0 or CRASH.search(output):
        raise Finding(f"{what} input {number} crashes ({result.returncode}): {save(data)}\n{output[-2000:]}")


def fuzz_file(seed: int, seconds: float, what: str, seeds: list[bytes], pieces: list[bytes], arguments) -> int:
    number, end = 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        file = Path(folder) / "input.yaml"
        while time.monotonic() < end:
            rng = random.Random(f"{seed}/{what}/{number}")
            data = mutate(rng, rng.choice(seeds), pieces)
            file.write_bytes(data)
            run_to_end(arguments(file), data, number, what)
            number += 1
    return number


RULE_PIECES = [b"SELECT ", b"FOREACH ", b" DO ", b" INCASE ", b"CASE WHEN ", b" END", b"((((((((", b"'", b'"', b"${", b"}", b"${env:X}", b"|\n",
               b"&a ", b"*a", b"<<: *a", b"- ", b": ", b"{", b"[", b"!!binary ", b"\t", b"---\n", b"%YAML 9.9\n", b"payload.a[1].b",
               b"1e999", b"-9223372036854775808", b"0x", b"regex_match(a,'(a+)+$')", b"\xf0\x9f\x8c\xa1", b"[" * 300, b"(" * 300, b"- " * 300]


def fuzz_rules(seed: int, seconds: float) -> int:
    seeds = [path.read_bytes() for path in sorted((ROOT / "rules").glob("*.yaml"))]
    return fuzz_file(seed, seconds, "rules", seeds, RULE_PIECES, lambda file: ["rules", "check", str(file)])


def fuzz_config(seed: int, seconds: float) -> int:
    seeds = [(ROOT / "sluice.yaml").read_bytes(), to_yaml({"node": {"data_dir": "/nonexistent", "name": "a@b"}, "mqtt": {"idle_timeout": "1s"}}).encode()]
    return fuzz_file(seed, seconds, "config", seeds, RULE_PIECES, lambda file: ["ctl", "--config", str(file), "status"])


def save(data: bytes) -> str:
    with tempfile.NamedTemporaryFile(prefix="sluice-finding-", delete=False) as file:
        file.write(data)
        return file.name


TARGETS = {"mqtt": (fuzz_mqtt, 0.4), "openings": (fuzz_openings, 0.2), "rules": (fuzz_rules, 0.28), "config": (fuzz_config, 0.12)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--only", choices=TARGETS)
    options = parser.parse_args()
    failed = False
    for name, (run, share) in TARGETS.items():
        if options.only not in (None, name):
            continue
        try:
            count = run(options.seed, options.seconds * (1 if options.only else share))
            print(f"fuzz: {name}: {count} inputs, nothing found (seed {options.seed})")
        except Finding as finding:
            failed = True
            print(f"fuzz: {finding}\nfuzz: replay: scripts/fuzz.py --only {name} --seed {options.seed} --seconds {options.seconds:g}",
                  file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
