"""MQTT over TLS, with and without client certificates."""

import shutil
import socket
import ssl

import pytest

from support.broker import free_port
from support.mqtt import Client, Closed, unique

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


class TLSClient(Client):
    """A raw client whose socket is wrapped before CONNECT."""

    def __init__(self, port: int, context: ssl.SSLContext, **kwargs):
        super().__init__(port, unique("tls"), connect=False, **kwargs)
        self.sock = context.wrap_socket(self.sock, server_hostname="127.0.0.1")
        self.send(self.connect_packet())
        self.finish_connect()

    def read(self, timeout: float) -> bool:
        if not self.sock.pending():
            return super().read(timeout)
        self.buffer += self.sock.recv(1 << 18)
        self._handle_packets()
        return True


def start(sluice, certificates, **options):
    port = free_port()
    settings = {"certfile": str(certificates / "server.pem"), "keyfile": str(certificates / "server.key"), **options}
    listeners = {"ssl": {"default": {"bind": f"127.0.0.1:{port}", "ssl_options": settings}}}
    broker = sluice({"listeners": listeners})
    return broker, port


def test_messages_pass_between_tls_and_tcp_clients(sluice, client, certificates, topic):
    broker, port = start(sluice, certificates)
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    with TLSClient(port, context, version=5) as secure:
        secure.subscribe(f"{topic}/to-tls", qos=1)
        plain = client(broker)
        plain.subscribe(f"{topic}/to-tcp", qos=1)
        payloads = [b"%d" % n + b"x" * 20_000 for n in range(50)]
        plain.publish_all(f"{topic}/to-tls", payloads, qos=1)
        assert [m.payload for m in secure.receive(50)] == payloads
        secure.publish_all(f"{topic}/to-tcp", payloads, qos=1)
        assert [m.payload for m in plain.receive(50)] == payloads


def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(sluice, certificates):
    _, port = start(sluice, certificates, cacertfile=str(certificates / "ca.pem"), verify="verify_peer", fail_if_no_peer_cert=True)
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    with pytest.raises((OSError, Closed)):  # ssl.SSLError is an OSError
        TLSClient(port, context)
    context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    with TLSClient(port, context) as accepted:
        accepted.ping()


def test_plain_bytes_on_a_tls_port_are_closed(sluice, client, certificates):
    broker, port = start(sluice, certificates)
    with Client(port, connect=False) as stranger:
        stranger.send(stranger.connect_packet())
        stranger.wait_closed()
    client(broker).ping()


def test_an_open_handshake_is_given_up(sluice, certificates):
    _, port = start(sluice, certificates, handshake_timeout="1s")
    with socket.create_connection(("127.0.0.1", port), timeout=8) as silent:
        assert silent.recv(1) == b""
