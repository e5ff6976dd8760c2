"""Headers of the PROXY protocol, and clients that come behind one."""

import socket
import struct
import time

from .mqtt import Client, unique

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.1", destination="198.51.100.7", ports=(40001, 1883), family=None) -> bytes:
    family = family or ("TCP6" if ":" in source else "TCP4")
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def entry(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


def v2(source="192.0.2.1", destination="198.51.100.7", ports=(40001, 1883), extensions=b"", command=0x21) -> bytes:
    family, kind = (socket.AF_INET6, 0x21) if ":" in source else (socket.AF_INET, 0x11)
    body = socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack(">HH", *ports) + extensions
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(body)) + body


def certificate(name: str, verified=True) -> bytes:
    """PP2_TYPE_SSL with the common name of the client's certificate."""
    return entry(0x20, b"\x07" + (b"\0\0\0\0" if verified else b"\0\0\0\1") + entry(0x22, name.encode()))


class Behind(Client):
    """A client whose connection begins with `header`, sent in the given pieces' lengths (all at once by default)."""

    def __init__(self, port: int, header: bytes, *, pieces=(), client_id=None, accept=True, **kwargs):
        connect = {key: kwargs.pop(key) for key in ("username", "password") if key in kwargs}
        super().__init__(port, client_id or unique("behind"), connect=False, **kwargs)
        data = header + self.connect_packet(**connect)
        for length in pieces:
            self.send(data[:length])
            data = data[length:]
            time.sleep(0.002)  # So that the pieces are more than one segment; nothing is waited for.
        self.send(data)
        if accept:
            self.finish_connect()
