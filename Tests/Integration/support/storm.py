"""Thousands of connections at once: a process of its own, so that it has its own limit of open files and its own core.

`Storm` drives it from a test; `python3 storm.py PORT COUNT` is the process: a line `connect` or `close` in, a JSON line out.
"""

import json
import resource
import selectors
import socket
import struct
import subprocess
import sys
import time

# Handshakes under way at a time: beyond the listener's backlog the kernel would drop them, and retries take seconds.
UNDER_WAY = 1000
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


def missing_descriptors(count: int) -> str | None:
    """Why `count` connections cannot be opened here, if so."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 300:
        return f"the hard limit of open files is {hard}, {count} connections need {count + 300}"
    return None


class Storm:
    def __init__(self, port: int, count: int):
        self.process = subprocess.Popen([sys.executable, __file__, str(port), str(count)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def command(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the storm's process has ended"
        return json.loads(answer)

    def connect(self) -> dict:
        """Connects all; `connected` had a CONNACK with 0 and a PINGRESP, `seconds` is the time until the last CONNACK."""
        return self.command("connect")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def connect_packet(number: int) -> bytes:
    identifier = b"storm-%d" % number
    body = b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(identifier)) + identifier
    return b"\x10" + bytes([len(body)]) + body


class Wave:
    """One round of connections."""

    def __init__(self, port: int, count: int):
        self.port, self.count = port, count
        self.selector = selectors.DefaultSelector()
        self.sockets: list[socket.socket] = []
        self.begun = self.acknowledged = self.connected = self.failed = 0
        self.buffers: dict[socket.socket, bytes] = {}

    def run(self, limit: float) -> dict:
        start = time.monotonic()
        seconds = 0.0
        while self.connected + self.failed < self.count and time.monotonic() - start < limit:
            while self.begun < self.count and self.begun - self.acknowledged - self.failed < UNDER_WAY:
                self.begin()
            for key, mask in self.selector.select(1):
                self.move(key.fileobj, key.data, mask)
            if self.acknowledged == self.count and not seconds:
                seconds = time.monotonic() - start
        return {"connected": self.connected, "failed": self.failed, "seconds": seconds or limit}

    def begin(self) -> None:
        made = socket.socket()
        made.setblocking(False)
        made.connect_ex(("127.0.0.1", self.port))
        self.selector.register(made, selectors.EVENT_WRITE, self.begun)
        self.sockets.append(made)
        self.begun += 1

    def move(self, made: socket.socket, number: int, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                made.send(connect_packet(number))
                self.selector.modify(made, selectors.EVENT_READ, number)
                return
            data = self.buffers.pop(made, b"") + made.recv(64)
            if data == b"\x20\2\0\0":
                self.acknowledged += 1
                made.send(PINGREQ)
            elif data == PINGRESP:
                self.connected += 1
                self.selector.unregister(made)
            elif data and (b"\x20\2\0\0".startswith(data) or PINGRESP.startswith(data)):
                self.buffers[made] = data
            else:
                raise ConnectionError(data)
        except OSError:
            self.failed += 1
            self.selector.unregister(made)

    def close(self) -> None:
        for made in self.sockets:
            made.close()
        self.selector.close()


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wave = None
    for line in sys.stdin:
        if line.strip() == "connect":
            if wave:
                wave.close()
            wave = Wave(port, count)
            print(json.dumps(wave.run(limit=60)), flush=True)
    if wave:
        wave.close()


if __name__ == "__main__":
    main()
