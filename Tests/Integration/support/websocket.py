"""A raw WebSocket client: frames as a test wants them, MQTT inside."""

import socket
import struct

from .mqtt import Client, Closed, unique

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def request(path="/mqtt", protocol="mqtt", **headers) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    if protocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(kind: int, data=b"", *, final=True, masked=True, reserved=0) -> bytes:
    size = struct.pack(">BH", 126, len(data)) if len(data) > 125 else bytes([len(data)])
    size = struct.pack(">BQ", 127, len(data)) if len(data) > 65535 else size
    head = bytes([(0x80 if final else 0) | reserved << 4 | kind, size[0] | (0x80 if masked else 0)]) + size[1:]
    if not masked:
        return head + data
    mask = b"\x37\xfa\x21\x3d"  # Always the same, so that failures and test names repeat.
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def answer(port: int, data: bytes) -> tuple[int, dict, socket.socket]:
    """Sends an HTTP request; its status, headers in lower case, and the connection."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(data)
    text = b""
    while b"\r\n\r\n" not in text:
        part = sock.recv(1)
        if not part:
            raise Closed("no answer")
        text += part
    lines = text.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}, sock


class WebSocketClient(Client):
    """What `send` is given goes into one binary frame; `send_raw` sends frames as they are."""

    def __init__(self, port: int, client_id=None, *, connect=True, upgrade=None, **kwargs):
        status, self.headers, sock = answer(port, upgrade or request())
        assert status == 101, status
        super().__init__(port, client_id or unique("ws"), connect=False, sock=sock, **kwargs)
        self.frames, self.raw, self.close_code, self.pongs = b"", bytearray(), None, []
        if connect:
            self.send(self.connect_packet())
            self.finish_connect()

    def send(self, data: bytes) -> None:
        self.send_raw(frame(BINARY, data))

    def send_raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, timeout: float) -> bool:
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data = self.sock.recv(1 << 18)
        except TimeoutError:
            return False
        except ConnectionError as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("end of stream")
        self.raw += data
        while (taken := self._take()):
            del self.raw[:taken]
        self._handle_packets()
        return True

    def _take(self) -> int:
        raw = self.raw
        if len(raw) < 2:
            return 0
        size, at = raw[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(raw) < 2 + width:
                return 0
            size, at = int.from_bytes(raw[2:2 + width], "big"), 2 + width
        if len(raw) < at + size:
            return 0
        data, kind = bytes(raw[at:at + size]), raw[0] & 15
        if kind in (BINARY, CONTINUATION):
            self.buffer += data
        elif kind == CLOSE:
            self.close_code = struct.unpack(">H", data[:2])[0] if data else 0
        elif kind == PONG:
            self.pongs.append(data)
        return at + size
