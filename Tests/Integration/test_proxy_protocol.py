"""The PROXY protocol: who a client is when a proxy stands in front, and what happens to those who only pretend."""

import socket
import ssl

import pytest

from support.broker import free_port
from support.mqtt import Client, Closed, unique
from support.proxy import Behind, SIGNATURE, certificate, v1, v2
from support.waiting import wait_for

STRANGERS = ["10.9.9.9", "192.0.2.0/24"]
HEADERS = {"v1": v1(), "v2": v2()}


def listener(mode, transport="epoll", **options) -> dict:
    return {"listeners": {"tcp": {"default": {"transport": transport, "proxy_protocol": mode, **options}}}}


def peer(broker, client_id: str) -> str:
    return broker.ctl_json("clients", "show", client_id)["peername"]


def is_refused(port: int, data: bytes) -> bool:
    """Whether a connection that begins with `data` and a CONNECT is closed without a CONNACK."""
    try:
        with Behind(port, data, accept=False) as stranger:
            stranger.wait_closed()
            return not stranger.others
    except (Closed, ConnectionError):
        return True


@pytest.mark.parametrize("transport", ["epoll", "nio"])
@pytest.mark.parametrize("mode", ["on", "auto", True])
@pytest.mark.parametrize("version", HEADERS)
def test_the_header_of_a_trusted_proxy_says_who_the_client_is(sluice, transport, mode, version):
    broker = sluice(listener(mode, transport))
    with Behind(broker.port, HEADERS[version]) as behind:
        assert peer(broker, behind.client_id) == "192.0.2.1:40001"
        behind.ping()
    six = {"v1": v1, "v2": v2}[version]("2001:db8::7", "2001:db8::8")
    with Behind(broker.port, six) as behind:
        assert peer(broker, behind.client_id) == "[2001:db8::7]:40001"


@pytest.mark.parametrize("transport", ["epoll", "nio"])
@pytest.mark.parametrize("version", HEADERS)
def test_a_header_may_come_in_pieces_and_with_what_follows_it(sluice, transport, version):
    broker = sluice(listener("on", transport))
    header = HEADERS[version]
    for pieces in ([1], [1] * (len(header) + 3), [len(header) - 1], [len(header)], [5, 9, 2], [len(header) + 1]):
        with Behind(broker.port, header, pieces=pieces) as behind:
            assert peer(broker, behind.client_id) == "192.0.2.1:40001"
            behind.ping()


@pytest.mark.parametrize("transport", ["epoll", "nio"])
def test_auto_takes_clients_without_a_header_too(sluice, transport):
    broker = sluice(listener("auto", transport))
    for pieces in ([], [1], [1] * 12):
        with Behind(broker.port, b"", pieces=pieces) as direct:
            assert peer(broker, direct.client_id).startswith("127.0.0.1:")
            direct.ping()


@pytest.mark.parametrize("transport", ["epoll", "nio"])
def test_on_takes_nobody_without_a_header(sluice, transport):
    broker = sluice(listener("on", transport))
    assert is_refused(broker.port, b"")
    broker.wait_for_output("did not begin with a PROXY header")


@pytest.mark.parametrize("transport", ["epoll", "nio"])
@pytest.mark.parametrize("mode", ["on", "auto"])
@pytest.mark.parametrize("version", HEADERS)
def test_a_header_from_somewhere_else_is_refused(sluice, client, transport, mode, version):
    broker = sluice(listener(mode, transport, proxy_trusted_addresses=STRANGERS))
    assert is_refused(broker.port, HEADERS[version])
    line = broker.wait_for_output("PROXY headers are not taken from this address.*").group()
    assert "proxy_trusted_addresses" in line
    if mode == "auto":
        direct = client(broker)
        assert peer(broker, direct.client_id).startswith("127.0.0.1:")
    else:
        assert is_refused(broker.port, b"")


@pytest.mark.parametrize("transport", ["epoll", "nio"])
@pytest.mark.parametrize("mode", ["off", False])
@pytest.mark.parametrize("version", HEADERS)
def test_a_header_that_comes_unasked_is_refused_and_said_once(sluice, client, transport, mode, version):
    broker = sluice(listener(mode, transport))
    for _ in range(20):
        assert is_refused(broker.port, HEADERS[version])
    broker.wait_for_output("A PROXY header came unasked.*proxy_protocol")
    assert broker.output.count("came unasked") == 1
    client(broker).ping()


@pytest.mark.parametrize("transport", ["epoll", "nio"])
def test_half_a_header_is_waited_for_as_long_as_configured(sluice, client, transport):
    broker = sluice(listener("auto", transport, proxy_protocol_timeout="500ms"))
    half = [socket.create_connection(("127.0.0.1", broker.port), timeout=8) for _ in range(4)]
    for sock, data in zip(half, [b"", v1()[:20], v2()[:15], v2()[:-1]]):
        sock.sendall(data)
    for sock in half:
        assert sock.recv(1) == b""
        sock.close()
    broker.wait_for_output("did not come in time")
    wait_for(lambda: broker.ctl_json("listeners")[0]["current_conn"] == 0, what="their places to be free")
    late = Behind(broker.port, v1(), pieces=[3, 3])
    late.ping()
    late.close()


@pytest.mark.parametrize("transport", ["epoll", "nio"])
@pytest.mark.parametrize("header", [
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", b"PROXY TCP4 1.2.3.999 5.6.7.8 1 2\r\n", b"PROXY " + b"x" * 102,
    SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x21\x11\0\4" + b"\0" * 4, SIGNATURE + b"\x51\x11\0\x0c" + b"\0" * 12,
])
def test_a_broken_header_is_refused(sluice, client, transport, header):
    broker = sluice(listener("auto", transport))
    assert is_refused(broker.port, header)
    broker.wait_for_output("A PROXY header could not be read")
    client(broker).ping()


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0x20), SIGNATURE + b"\x20\0\0\0"])
def test_a_proxy_that_speaks_for_itself_keeps_its_address(sluice, header):
    broker = sluice(listener("on"))
    with Behind(broker.port, header) as behind:
        assert peer(broker, behind.client_id).startswith("127.0.0.1:")


def test_the_name_in_a_certificate_that_the_proxy_verified_can_be_the_user(sluice):
    config = listener("on") | {"mqtt": {"peer_cert_as_username": "cn", "peer_cert_as_clientid": "cn"}}
    broker = sluice(config)
    with Behind(broker.port, v2(extensions=certificate("sensor 7")), username="somebody"):
        assert broker.ctl_json("clients", "show", "sensor 7")["username"] == "sensor 7"
    with Behind(broker.port, v2(extensions=certificate("sensor 8", verified=False)), username="somebody") as behind:
        assert broker.ctl_json("clients", "show", behind.client_id)["username"] == "somebody"


def test_places_are_counted_with_headers_and_without(sluice):
    broker = sluice(listener("auto", max_connections=2))
    first = Behind(broker.port, v1())
    second = socket.create_connection(("127.0.0.1", broker.port), timeout=5)
    second.sendall(b"PROX")
    third = socket.create_connection(("127.0.0.1", broker.port), timeout=5)
    assert third.recv(1) == b""
    third.close()
    second.close()
    wait_for(lambda: broker.ctl_json("listeners")[0]["current_conn"] == 1, what="a place to be free")
    Behind(broker.port, v2()).close()
    first.close()
    wait_for(lambda: broker.ctl_json("listeners")[0]["current_conn"] == 0, what="all places to be free")


def test_the_header_stands_in_front_of_tls(sluice, certificates):
    port = free_port()
    files = {"certfile": str(certificates / "server.pem"), "keyfile": str(certificates / "server.key")}
    broker = sluice({"listeners": {"ssl": {"default": {"bind": f"127.0.0.1:{port}", "proxy_protocol": "auto", "ssl_options": files}}}})
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    for header, expected in [(v1(), "192.0.2.1:40001"), (v2(), "192.0.2.1:40001"), (b"", "127.0.0.1:")]:
        secure = Client(port, unique("tls"), connect=False)
        secure.send(header)
        secure.sock = context.wrap_socket(secure.sock, server_hostname="127.0.0.1")
        secure.send(secure.connect_packet())
        secure.finish_connect()
        assert peer(broker, secure.client_id).startswith(expected)
        secure.close()
