"""MQTT over WebSocket: the upgrade, frames, and who the client is behind a proxy."""

import socket

import pytest

from support.mqtt import PINGREQ, PINGRESP, packet
from support.websocket import BINARY, CONTINUATION, PING, TEXT, WebSocketClient, answer, frame, request


def broker_with(sluice, listener=None, **options):
    return sluice({"listeners": {"ws": {"default": {**(listener or {}), "websocket": options}}}}, websocket=True)


def status(port: int, data: bytes) -> int:
    code, _, sock = answer(port, data)
    sock.close()
    return code


@pytest.mark.parametrize("offered, chosen", [
    ("mqtt", "mqtt"), ("mqtt-v5", "mqtt-v5"), ("mqtt-v5, mqtt", "mqtt-v5"), ("chat, mqtt", "mqtt"), ("chat", None), ("MQTT", None), (None, None),
])
def test_the_first_subprotocol_that_is_known_is_taken_and_one_is_needed(shared_broker, offered, chosen):
    code, headers, sock = answer(shared_broker.ws_port, request(protocol=offered))
    sock.close()
    assert code == (101 if chosen else 400)
    assert headers.get("sec-websocket-protocol") == chosen


def test_no_subprotocol_is_needed_where_that_is_configured(sluice):
    broker = broker_with(sluice, fail_if_no_subprotocol=False, supported_subprotocols="mqtt")
    for offered in (None, "chat", "mqtt-v5"):
        code, headers, sock = answer(broker.ws_port, request(protocol=offered))
        sock.close()
        assert (code, headers.get("sec-websocket-protocol")) == (101, None)


@pytest.mark.parametrize("path, code", [("/mqtt", 101), ("/mqtt?a=b", 101), ("/", 404), ("/mqtt/x", 404), ("/mqttx", 404), ("/MQTT", 404)])
def test_the_path_is_the_configured_one(shared_broker, path, code):
    assert status(shared_broker.ws_port, request(path)) == code


@pytest.mark.parametrize("absence", [True, False])
def test_only_listed_origins_pass(sluice, absence):
    broker = broker_with(sluice, check_origin_enable=True, check_origins=["https://app.example.org", "http://localhost:3000"], allow_origin_absence=absence)
    for origin in ("https://app.example.org", "HTTPS://APP.example.org", "http://localhost:3000"):
        assert status(broker.ws_port, request(Origin=origin)) == 101
    for origin in ("https://evil.example.org", "http://app.example.org", "https://app.example.org.evil.org", "null", "http://localhost:3001"):
        assert status(broker.ws_port, request(Origin=origin)) == 400
    assert status(broker.ws_port, request()) == (101 if absence else 400)


def test_packets_may_be_cut_into_frames_and_frames_into_fragments(shared_broker, topic):
    with WebSocketClient(shared_broker.ws_port) as client:
        client.subscribe(topic)
        whole = client.publish_packet(topic, b"p" * 500) + packet(PINGREQ, 0, b"")
        client.send_raw(b"".join(frame(BINARY, bytes([byte])) for byte in whole))
        assert client.message().payload == b"p" * 500
        client.expect_other(PINGRESP)
        pieces = [whole[at:at + 7] for at in range(0, len(whole), 7)]
        last = len(pieces) - 1
        client.send_raw(b"".join(frame(BINARY if at == 0 else CONTINUATION, piece, final=at == last) + frame(PING, b"%d" % at)
                                 for at, piece in enumerate(pieces)))
        assert client.message().payload == b"p" * 500
        client.expect_other(PINGRESP)
        client.until(lambda: len(client.pongs) == len(pieces), what="the pongs between the fragments")
        assert client.pongs == [b"%d" % at for at in range(len(pieces))]
        client.send_raw(frame(BINARY, b"", final=False) + frame(CONTINUATION, b"", final=False) + frame(CONTINUATION, packet(PINGREQ, 0, b"")))
        client.expect_other(PINGRESP)


@pytest.mark.parametrize("data, code", [
    (frame(TEXT, b"hello"), 1003), (frame(BINARY, packet(PINGREQ, 0, b""), masked=False), 1002),
    (frame(BINARY, b"\xc0\0", reserved=4), 1002), (frame(CONTINUATION, b"\xc0\0"), 1002), (frame(3, b"x"), 1002),
    (frame(BINARY, b"", final=False) + frame(BINARY, b"\xc0\0"), 1002), (frame(PING, b"x" * 126), 1002), (frame(PING, b"x", final=False), 1002),
], ids=["text", "unmasked", "reserved bit", "continuation of nothing", "unknown kind", "message in a message", "long ping", "cut ping"])
def test_frames_that_may_not_be_end_the_connection_with_a_reason(shared_broker, data, code):
    with WebSocketClient(shared_broker.ws_port) as client:
        client.send_raw(data)
        client.wait_closed()
        assert client.close_code == code


def test_a_frame_beyond_the_limit_is_refused_from_its_header(sluice):
    broker = broker_with(sluice, max_frame_size="64KB")
    before = broker.rss_kb()
    with WebSocketClient(broker.ws_port) as client:
        client.send_raw(b"\x82\xff\0\0\0\x01\0\0\0\0" + b"mask" + b"x" * 1000)
        client.wait_closed()
        assert client.close_code == 1009
    assert broker.rss_kb() - before < 8 * 1024
    with WebSocketClient(broker.ws_port) as client:
        client.ping()


@pytest.mark.parametrize("data", [b"", b"GET /mqtt HTTP/1.1\r\nHost: x\r\n", request()[:-2], request() + frame(BINARY, b"\x10")],
                         ids=["nothing", "half a request", "no end of headers", "half a CONNECT"])
def test_who_does_not_come_to_the_point_is_closed(sluice, data):
    broker = sluice({"mqtt": {"idle_timeout": "1s"}}, websocket=True)
    with socket.create_connection(("127.0.0.1", broker.ws_port), timeout=8) as slow:
        slow.sendall(data)
        while slow.recv(4096):
            pass


def test_endless_headers_are_refused(sluice):
    broker = sluice(websocket=True)
    before = broker.rss_kb()
    with socket.create_connection(("127.0.0.1", broker.ws_port), timeout=10) as endless, pytest.raises(OSError):
        endless.sendall(b"GET /mqtt HTTP/1.1\r\n")
        for number in range(1 << 20):
            endless.sendall(b"X-%d: " % number + b"x" * 4000 + b"\r\n")
    assert broker.rss_kb() - before < 16 * 1024
    with WebSocketClient(broker.ws_port) as client:
        client.ping()


@pytest.mark.parametrize("trusted, header, expected", [
    (None, "203.0.113.9", "203.0.113.9:40001"), (None, "1.1.1.1, 203.0.113.9", "203.0.113.9:40001"),
    (None, "203.0.113.9:555", "203.0.113.9:555"), (None, "2001:db8::1", "[2001:db8::1]:40001"), (None, "nonsense", "127.0.0.1:"),
    (["10.0.0.0/8"], "203.0.113.9", "127.0.0.1:"), ([], "203.0.113.9", "127.0.0.1:"),
])
def test_the_address_of_a_client_comes_from_trusted_proxies_alone(sluice, trusted, header, expected):
    broker = broker_with(sluice, {} if trusted is None else {"proxy_trusted_addresses": trusted})
    with WebSocketClient(broker.ws_port, upgrade=request(X_Forwarded_For=header, X_Forwarded_Port="40001")) as client:
        assert broker.ctl_json("clients", "show", client.client_id)["peername"].startswith(expected)
