"""What happens to clients, handshakes and exchanges that do not get on."""

import base64
import os
import select
import shutil
import socket
import ssl
import struct

import pytest

from support.broker import free_port
from support.mqtt import PUBCOMP, PUBREC, PUBREL, Client, packet
from support.waiting import holds_for, wait_for


def metric(broker, name):
    return broker.ctl_json("broker", "metrics")[name]


@pytest.mark.parametrize("version", [3, 4])
def test_unacknowledged_messages_come_again_in_order_after_the_retry_interval(sluice, client, topic, version):
    broker = sluice({"mqtt": {"retry_interval": "1s"}})
    silent = client(broker, version=version, acknowledge=False)
    silent.subscribe(topic, qos=1)
    client(broker).publish_all(topic, [b"%d" % n for n in range(5)], qos=1)
    first = silent.receive(5)
    again = silent.receive(5, deadline=6)
    assert [m.payload for m in first] == [m.payload for m in again] == [b"%d" % n for n in range(5)]
    assert not any(m.duplicate for m in first) and all(m.duplicate for m in again)
    # What has been acknowledged does not come again.
    for identifier in range(1, 6):
        silent.send(packet(4, 0, struct.pack(">H", identifier)))
    silent.ping()
    silent.messages.clear()
    holds_for(lambda: (silent.read(0.02) or True) and not silent.messages, 2.5, "silence after the acknowledgements")


def test_a_release_comes_again_after_the_retry_interval(sluice, topic):
    broker = sluice({"mqtt": {"retry_interval": "1s"}})
    kinds = []

    class Watching(Client):
        def _handle(self, kind, flags, body, answers):
            kinds.append(kind)
            super()._handle(kind, flags, body, answers)

    with Watching(broker.port, "silent", acknowledge=False) as silent, Client(broker.port, "publisher") as publisher:
        silent.subscribe(topic, qos=2)
        publisher.publish(topic, b"x", qos=2)
        silent.message()
        silent.send(packet(PUBREC, 0, struct.pack(">H", 1)))
        silent.until(lambda: kinds.count(PUBREL) >= 2, 6, "the PUBREL again")
        silent.send(packet(PUBCOMP, 0, struct.pack(">H", 1)))
        silent.ping()
        assert not silent.messages


def test_a_version_5_client_gets_nothing_again_before_it_reconnects(sluice, client, topic):
    broker = sluice({"mqtt": {"retry_interval": "1s"}})
    silent = client(broker, version=5, acknowledge=False)
    silent.subscribe(topic, qos=1)
    client(broker).publish(topic, b"x", qos=1)
    silent.message()
    holds_for(lambda: (silent.read(0.02) or True) and not silent.messages, 2.5, "no message again")


def test_a_message_whose_release_does_not_come_is_forgotten(sluice, client, topic):
    broker = sluice({"mqtt": {"await_rel_timeout": "1s"}})
    publisher = client(broker, version=5)
    publisher.send(publisher.publish_packet(topic, b"x", 2, identifier=9))
    publisher.reply(PUBREC, 9)
    wait_for(lambda: metric(broker, "messages.dropped.await_pubrel_timeout") == 1, 8, "the count")
    publisher.send(packet(PUBREL, 2, struct.pack(">H", 9)))
    assert publisher.reply(PUBCOMP, 9)[0] == 0x92


def test_a_client_that_takes_nothing_is_closed_after_the_send_timeout(sluice, client, topic):
    options = {"send_timeout": "1s", "high_watermark": "16KB", "sndbuf": "16KB"}
    broker = sluice({"listeners": {"tcp": {"default": {"tcp_options": options}}}})
    stuck = Client(broker.port, "stuck", connect=False)
    stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.send(stuck.connect_packet())
    stuck.finish_connect()
    stuck.subscribe(topic)
    quick, idle, publisher = client(broker), client(broker), client(broker)
    quick.subscribe(topic)
    payloads = [b"%d " % n + b"x" * 4000 for n in range(200)]
    publisher.publish_all(topic, payloads)
    assert [m.payload for m in quick.receive(200)] == payloads
    wait_for(lambda: metric(broker, "client.send_timeout") == 1, 8, "the count")
    assert "stuck" not in broker.ctl("clients", "list").stdout
    for other in (quick, idle, publisher):
        other.ping()
    stuck.close()


def test_a_slow_client_that_takes_something_is_not_closed(sluice, client, topic):
    options = {"send_timeout": "1s", "high_watermark": "16KB", "sndbuf": "16KB"}
    broker = sluice({"listeners": {"tcp": {"default": {"tcp_options": options}}}})
    slow = Client(broker.port, "slow", connect=False)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(slow.connect_packet())
    slow.finish_connect()
    slow.subscribe(topic)
    client(broker).publish_all(topic, [b"x" * 4000 for _ in range(200)])
    taken = 0

    def take():
        nonlocal taken
        if select.select([slow.sock], [], [], 0.05)[0]:
            taken += len(slow.sock.recv(8192))
        return metric(broker, "client.send_timeout") == 0

    holds_for(take, 3, "the connection of a slow client")
    assert taken > 0
    slow.close()


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@needs_openssl
@pytest.mark.parametrize("kind", ["ssl", "wss"])
def test_a_tls_handshake_has_its_own_time(sluice, certificates, kind):
    port = free_port()
    options = {"certfile": str(certificates / "server.pem"), "keyfile": str(certificates / "server.key"), "handshake_timeout": "1s"}
    sluice({"listeners": {kind: {"default": {"bind": f"127.0.0.1:{port}", "ssl_options": options}}}})
    with socket.create_connection(("127.0.0.1", port), timeout=8) as silent:
        assert silent.recv(1) == b""
    # The time is over for the one that has not shaken hands alone.
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as secure:
        secure.settimeout(2)
        with pytest.raises(TimeoutError):
            secure.recv(1)


def test_a_websocket_without_frames_is_closed_after_its_idle_timeout(sluice):
    port = free_port()
    broker = sluice({"listeners": {"ws": {"default": {"bind": f"127.0.0.1:{port}", "websocket": {"idle_timeout": "1s"}}}}})
    with socket.create_connection(("127.0.0.1", port), timeout=8) as upgraded:
        key = base64.b64encode(os.urandom(16)).decode()
        upgraded.sendall((f"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        connect = b"\x10\x0e\0\4MQTT\4\2\0\0\0\2ws"
        upgraded.sendall(b"\x82" + bytes([0x80 | len(connect)]) + b"\0\0\0\0" + connect)
        received = b""
        while chunk := upgraded.recv(4096):
            received += chunk
        # A CONNACK in a frame, then a close frame.
        assert b"\x82\x04\x20\x02\0\0" in received and received[-4:-2] == b"\x88\x02"
    assert broker.alive()
