"""A small MQTT client over a raw socket: packets out as bytes, packets in as tuples, acknowledgements when told to.

It does no more than what it is asked for, so that a test decides what is sent and when; for a client as people use
them there are paho and mosquitto_pub.
"""

import os
import random
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15

# Property identifier -> encoding, for those the tests look at.
BYTE, TWO, FOUR, VARINT, TEXT, BINARY, PAIR = range(7)
PROPERTIES = {
    0x01: BYTE, 0x02: FOUR, 0x03: TEXT, 0x08: TEXT, 0x09: BINARY, 0x0B: VARINT, 0x11: FOUR, 0x12: TEXT, 0x13: TWO,
    0x15: TEXT, 0x16: BINARY, 0x17: BYTE, 0x18: FOUR, 0x19: BYTE, 0x1A: TEXT, 0x1C: TEXT, 0x1F: TEXT, 0x21: TWO,
    0x22: TWO, 0x23: TWO, 0x24: BYTE, 0x25: BYTE, 0x26: PAIR, 0x27: FOUR, 0x28: BYTE, 0x29: BYTE, 0x2A: BYTE,
}


class Closed(Exception):
    """The broker closed the connection."""


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, digit = value >> 7, value & 0x7F
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def encode_properties(properties: dict | None) -> bytes:
    out = b""
    for identifier, value in (properties or {}).items():
        kind = PROPERTIES[identifier]
        for item in value if kind == PAIR else [value]:
            out += bytes([identifier])
            if kind == BYTE:
                out += bytes([item])
            elif kind == TWO:
                out += struct.pack(">H", item)
            elif kind == FOUR:
                out += struct.pack(">I", item)
            elif kind == VARINT:
                out += varint(item)
            elif kind == PAIR:
                out += text(item[0]) + text(item[1])
            else:
                out += text(item)
    return varint(len(out)) + out


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def decode_properties(data: bytes, at: int) -> tuple[dict, int]:
    length, at = decode_varint(data, at)
    end, found = at + length, {}
    while at < end:
        identifier, at = data[at], at + 1
        kind = PROPERTIES[identifier]
        if kind == BYTE:
            value, at = data[at], at + 1
        elif kind == TWO:
            value, at = struct.unpack_from(">H", data, at)[0], at + 2
        elif kind == FOUR:
            value, at = struct.unpack_from(">I", data, at)[0], at + 4
        elif kind == VARINT:
            value, at = decode_varint(data, at)
        else:
            parts = []
            for _ in range(2 if kind == PAIR else 1):
                size = struct.unpack_from(">H", data, at)[0]
                parts.append(data[at + 2:at + 2 + size])
                at += 2 + size
            value = parts[0] if kind == BINARY else parts[0].decode() if kind == TEXT else tuple(p.decode() for p in parts)
        if identifier in (0x26, 0x0B):
            found.setdefault(identifier, []).append(value)
        else:
            found[identifier] = value
    return found, end


@dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    properties: dict = field(default_factory=dict)


@dataclass
class Will:
    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    properties: dict = field(default_factory=dict)


class Client:
    """One connection. `messages` holds what was received and not taken yet; with `acknowledge` QoS 1/2 is answered at once."""

    def __init__(self, port: int, client_id: str = "", *, version=4, clean=True, keepalive=60, will: Will | None = None,
                 username=None, password=None, properties=None, acknowledge=True, connect=True, timeout=10.0, sock=None):
        self.version, self.client_id, self.timeout, self.acknowledge = version, client_id, timeout, acknowledge
        self.sock = sock or socket.create_connection(("127.0.0.1", port), timeout=timeout)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.messages: deque[Message] = deque()
        self.replies: dict[tuple[int, int], bytes] = {}  # (packet type, packet identifier) -> rest of the body
        self.others: deque[tuple[int, bytes]] = deque()  # CONNACK, PINGRESP, DISCONNECT, AUTH
        self.incoming_qos2: set[int] = set()
        self.next_identifier = 0
        self.session_present = False
        if connect:
            self.send(self.connect_packet(clean, keepalive, will, username, password, properties))
            self.finish_connect()

    def finish_connect(self) -> None:
        """Reads the CONNACK, which must accept the connection."""
        _, body = self.expect_other(CONNACK)
        assert body[1] == 0, f"CONNACK {body[1]:#x}"
        self.session_present = bool(body[0] & 1)
        self.connack_properties = decode_properties(body, 2)[0] if self.version == 5 else {}

    # ---------------------------------------------------------------- out

    def connect_packet(self, clean=True, keepalive=60, will=None, username=None, password=None, properties=None) -> bytes:
        flags = 0x02 if clean else 0
        body = b""
        if will:
            flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
            if self.version == 5:
                body += encode_properties(will.properties)
            body += text(will.topic) + text(will.payload)
        if username is not None:
            flags, body = flags | 0x80, body + text(username)
        if password is not None:
            flags, body = flags | 0x40, body + text(password)
        head = text("MQIsdp" if self.version == 3 else "MQTT") + bytes([self.version, flags]) + struct.pack(">H", keepalive)
        if self.version == 5:
            head += encode_properties(properties)
        return packet(CONNECT, 0, head + text(self.client_id) + body)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def identifier(self) -> int:
        self.next_identifier = self.next_identifier % 65535 + 1
        return self.next_identifier

    def publish_packet(self, topic, payload=b"", qos=0, retain=False, identifier=None, properties=None, duplicate=False) -> bytes:
        payload = payload.encode() if isinstance(payload, str) else payload
        body = text(topic)
        if qos:
            body += struct.pack(">H", identifier)
        if self.version == 5:
            body += encode_properties(properties)
        return packet(PUBLISH, (8 if duplicate else 0) | qos << 1 | retain, body + payload)

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None) -> int:
        """Publishes and finishes the handshake. Returns the reason code of PUBACK or PUBREC (0 before MQTT 5)."""
        identifier = self.identifier() if qos else None
        self.send(self.publish_packet(topic, payload, qos, retain, identifier, properties))
        if qos == 0:
            return 0
        rest = self.reply(PUBACK if qos == 1 else PUBREC, identifier)
        if qos == 2 and not (rest and rest[0] >= 0x80):
            self.send(packet(PUBREL, 2, struct.pack(">H", identifier)))
            self.reply(PUBCOMP, identifier)
        return rest[0] if rest else 0

    def publish_all(self, topic, payloads, qos=0, window=20) -> None:
        """Publishes in order with up to `window` unfinished handshakes."""
        open_identifiers: deque[int] = deque()
        for payload in payloads:
            if qos == 0:
                self.send(self.publish_packet(topic, payload))
                continue
            while len(open_identifiers) >= window:
                self._finish(open_identifiers.popleft(), qos)
            identifier = self.identifier()
            self.send(self.publish_packet(topic, payload, qos, False, identifier))
            open_identifiers.append(identifier)
        for identifier in open_identifiers:
            self._finish(identifier, qos)

    def _finish(self, identifier: int, qos: int) -> None:
        self.reply(PUBACK if qos == 1 else PUBREC, identifier)
        if qos == 2:
            self.send(packet(PUBREL, 2, struct.pack(">H", identifier)))
            self.reply(PUBCOMP, identifier)

    def subscribe(self, *filters, qos=0, options=0, properties=None) -> list[int]:
        """Subscribes to all filters in one packet. `options` is or-ed into each options byte. Returns the SUBACK's codes."""
        identifier = self.identifier()
        body = struct.pack(">H", identifier)
        if self.version == 5:
            body += encode_properties(properties)
        for item in filters:
            body += text(item) + bytes([qos | options])
        self.send(packet(SUBSCRIBE, 2, body))
        rest = self.reply(SUBACK, identifier)
        codes = list(rest[decode_properties(rest, 0)[1]:] if self.version == 5 else rest)
        assert all(code < 0x80 for code in codes), f"SUBACK {codes}"
        return codes

    def unsubscribe(self, *filters) -> None:
        identifier = self.identifier()
        body = struct.pack(">H", identifier) + (b"\0" if self.version == 5 else b"")
        self.send(packet(UNSUBSCRIBE, 2, body + b"".join(text(item) for item in filters)))
        self.reply(UNSUBACK, identifier)

    def ping(self) -> None:
        """Returns when the broker has answered, and so has handled everything sent before on this connection."""
        self.send(packet(PINGREQ, 0, b""))
        self.expect_other(PINGRESP)

    def disconnect(self) -> None:
        self.send(packet(DISCONNECT, 0, b""))
        self.close()

    def close(self) -> None:
        """Closes the socket without a DISCONNECT."""
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---------------------------------------------------------------- in

    def read(self, timeout: float) -> bool:
        """Waits up to `timeout` for bytes and handles the packets in them. False when nothing came; raises `Closed`."""
        poll = select.poll()  # select() stops at descriptor 1023
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(max(timeout, 0) * 1000):
            return False
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("end of stream")
        self.buffer += data
        self._handle_packets()
        return True

    def _handle_packets(self) -> None:
        buffer, at, answers = bytes(self.buffer), 0, []
        while len(buffer) - at >= 2:
            length, shift, position = 0, 0, at + 1
            while position < len(buffer):
                length |= (buffer[position] & 0x7F) << shift
                position, shift = position + 1, shift + 7
                if not buffer[position - 1] & 0x80:
                    break
            else:
                break
            if len(buffer) - position < length:
                break
            self._handle(buffer[at] >> 4, buffer[at] & 15, buffer[position:position + length], answers)
            at = position + length
        del self.buffer[:at]
        if answers and self.acknowledge:
            try:
                self.send(b"".join(answers))
            except ConnectionError:
                pass  # The broker closed; the next read says so, after what it sent before.

    def _handle(self, kind: int, flags: int, body: bytes, answers: list[bytes]) -> None:
        if kind == PUBLISH:
            self._handle_publish(flags, body, answers)
        elif kind == PUBREL:
            self.incoming_qos2.discard(struct.unpack_from(">H", body)[0])
            answers.append(packet(PUBCOMP, 0, body[:2]))
        elif kind in (PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK):
            self.replies[kind, struct.unpack_from(">H", body)[0]] = body[2:]
        else:
            self.others.append((kind, body))

    def _handle_publish(self, flags: int, body: bytes, answers: list[bytes]) -> None:
        qos = flags >> 1 & 3
        size = struct.unpack_from(">H", body)[0]
        topic, at = body[2:2 + size].decode(), 2 + size
        if qos:
            identifier, at = struct.unpack_from(">H", body, at)[0], at + 2
            answers.append(packet(PUBACK if qos == 1 else PUBREC, 0, struct.pack(">H", identifier)))
            if qos == 2 and identifier in self.incoming_qos2:
                return
            if qos == 2:
                self.incoming_qos2.add(identifier)
        properties = {}
        if self.version == 5:
            properties, at = decode_properties(body, at)
        self.messages.append(Message(topic, body[at:], qos, bool(flags & 1), bool(flags & 8), properties))

    def until(self, condition, deadline=None, what="the broker's answer"):
        """Reads until `condition()` is true and returns that value."""
        deadline = self.timeout if deadline is None else deadline
        end = time.monotonic() + deadline
        while not (value := condition()):
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"waited {deadline} s for {what}; {len(self.messages)} messages are here")
            self.read(left)
        return value

    def reply(self, kind: int, identifier: int) -> bytes:
        self.until(lambda: (kind, identifier) in self.replies, what=f"packet type {kind} for {identifier}")
        return self.replies.pop((kind, identifier))

    def expect_other(self, kind: int, deadline=None) -> tuple[int, bytes]:
        got = self.until(lambda: self.others.popleft() if self.others else None, deadline, f"packet type {kind}")
        assert got[0] == kind, f"packet type {got[0]} instead of {kind}: {got[1]!r}"
        return got

    def receive(self, count=1, deadline=None) -> list[Message]:
        """The next `count` messages."""
        self.until(lambda: len(self.messages) >= count, deadline, f"{count} messages")
        return [self.messages.popleft() for _ in range(count)]

    def message(self, deadline=None) -> Message:
        return self.receive(1, deadline)[0]

    def nothing_came(self, filter_topic: str) -> None:
        """Fails when a message is here. A message to itself shows that whatever was on its way has arrived."""
        marker = f"nothing-{random.randrange(1 << 40):x}".encode()
        self.subscribe(filter_topic)
        self.publish(filter_topic, marker)
        got = self.until(lambda: next((m for m in self.messages if m.payload == marker), None))
        others = [m for m in self.messages if m is not got]
        assert not others, f"{len(others)} messages came, the first: {others[0]}"
        self.messages.clear()

    def wait_closed(self, deadline=10.0) -> bytes | None:
        """Waits for the broker to close. Returns the body of its DISCONNECT, if it sent one."""
        end = time.monotonic() + deadline
        try:
            while (left := end - time.monotonic()) > 0:
                self.read(left)
        except Closed:
            return next((body for kind, body in self.others if kind == DISCONNECT), None)
        raise AssertionError(f"the broker did not close within {deadline} s")


def unique(prefix="c") -> str:
    return f"{prefix}-{os.getpid()}-{random.randrange(1 << 32):x}"
