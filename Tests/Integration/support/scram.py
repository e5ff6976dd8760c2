"""The client's side of SCRAM by Python's own hashlib and hmac. RFC 5802"""

import base64
import hashlib
import hmac
import os


class Scram:
    """One exchange: `first()`, then `final(challenge)`, then `verify(data)` tells whether the server knew the password."""

    def __init__(self, username: str, password: str, digest: str = "sha256", header: str = "n,,"):
        self.digest, self.password, self.header = digest, password.encode(), header
        self.method = "SCRAM-SHA-256" if digest == "sha256" else "SCRAM-SHA-512"
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        name = username.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"

    def first(self) -> bytes:
        return (self.header + self.bare).encode()

    def mac(self, key: bytes, data: bytes) -> bytes:
        return hmac.new(key, data, self.digest).digest()

    def final(self, challenge: bytes) -> bytes:
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) >= len(self.nonce) + 16
        assert int(fields["i"]) >= 4096
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        binding = base64.b64encode(self.header.encode()).decode()
        without_proof = f"c={binding},r={fields['r']}"
        message = f"{self.bare},{challenge.decode()},{without_proof}".encode()
        client_key = self.mac(salted, b"Client Key")
        signature = self.mac(hashlib.new(self.digest, client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expected = b"v=" + base64.b64encode(self.mac(self.mac(salted, b"Server Key"), message))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, data: bytes) -> bool:
        return hmac.compare_digest(data, self.expected)
