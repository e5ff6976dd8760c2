"""What a listener allows: connections, their rate, what each client may send; unix sockets; clients that hold on to what they have."""

import os
import socket
import stat
import time

import pytest

from support.mqtt import Client, Closed, unique
from support.proxy import v2
from support.waiting import wait_for
from support.websocket import WebSocketClient


def start(sluice, kind: str, options: dict, **more):
    """A broker with one listener of the kind (`epoll`, `nio`, `ws`), and a function that opens a client on it."""
    if kind == "ws":
        broker = sluice({"listeners": {"ws": {"default": options}}, **more}, websocket=True)
        return broker, lambda **arguments: WebSocketClient(broker.ws_port, **arguments)
    broker = sluice({"listeners": {"tcp": {"default": {**options, "transport": kind}}}, **more})
    return broker, lambda **arguments: Client(broker.port, unique(), **arguments)


def connections(broker, kind: str) -> int:
    return next(row["current_conn"] for row in broker.ctl_json("listeners") if row["id"].startswith("ws" if kind == "ws" else "tcp"))


@pytest.mark.parametrize("kind", ["epoll", "nio", "ws"])
def test_a_client_sends_as_many_messages_as_it_may_and_loses_none(sluice, kind, topic):
    broker, connect = start(sluice, kind, {"messages_rate": "50/s"})
    subscriber, fast, slow = connect(), connect(), connect()
    subscriber.subscribe(topic)
    began = time.monotonic()
    fast.send(b"".join(fast.publish_packet(topic, b"%d" % n, 1, identifier=n + 1) for n in range(150)))
    for number in range(10):
        slow.publish(topic + "/other", b"x", qos=1)
    assert time.monotonic() - began < 1, "another client is not held back"
    fast.until(lambda: len(fast.replies) == 150, what="150 PUBACKs")
    # 50 at once, the others 20 ms apart: 2 s.
    assert 1.9 < time.monotonic() - began < 6
    assert [int(m.payload) for m in subscriber.receive(150)] == list(range(150))


@pytest.mark.parametrize("kind", ["epoll", "nio", "ws"])
def test_a_client_sends_as_many_bytes_as_it_may_and_loses_none(sluice, kind, topic):
    broker, connect = start(sluice, kind, {"bytes_rate": "200KB/s"})
    subscriber, fast = connect(), connect()
    subscriber.subscribe(topic)
    began = time.monotonic()
    fast.publish_all(topic, [b"%d " % n + b"x" * 10_000 for n in range(60)], qos=0)
    assert [int(m.payload.split()[0]) for m in subscriber.receive(60)] == list(range(60))
    # 600 KB: 200 at once, a read of up to 64 KB ahead, the rest in 1.7 s.
    assert 1.5 < time.monotonic() - began < 6


def test_a_client_that_is_held_back_is_not_taken_for_dead(sluice, topic):
    broker, connect = start(sluice, "epoll", {"messages_rate": "5/s"})
    client = Client(broker.port, unique(), keepalive=1)
    client.send(b"".join(client.publish_packet(topic, b"", 1, identifier=n + 1) for n in range(25)))
    client.until(lambda: len(client.replies) == 25, what="25 PUBACKs")
    client.ping()


@pytest.mark.parametrize("kind", ["epoll", "nio", "ws"])
def test_connections_beyond_the_rate_wait_and_all_get_in(sluice, kind):
    broker, connect = start(sluice, kind, {"max_conn_rate": "20/s"})
    port = broker.ws_port if kind == "ws" else broker.port
    began = time.monotonic()
    if kind == "ws":
        clients = [connect() for _ in range(50)]
    else:
        clients = [Client(port, unique(), connect=False) for _ in range(50)]
        for client in clients:
            client.send(client.connect_packet())
        for client in clients:
            client.finish_connect()
    # 20 at once, the others 50 ms apart.
    assert 1.4 < time.monotonic() - began < 6
    assert connections(broker, kind) == 50
    for client in clients:
        client.close()


@pytest.mark.parametrize("kind", ["epoll", "nio", "ws"])
def test_no_more_connections_than_allowed(sluice, kind):
    broker, connect = start(sluice, kind, {"max_connections": 3})
    clients = [connect() for _ in range(3)]
    for _ in range(5):
        with pytest.raises((Closed, ConnectionError)):
            connect()
    clients.pop().close()
    wait_for(lambda: connections(broker, kind) == 2, what="a place to be free")
    clients.append(connect())
    assert next(row["refused"] for row in broker.ctl_json("listeners") if row["current_conn"] == 3) == 5
    for client in clients:
        client.ping()
        client.close()


# ---------------------------------------------------------------- holding on

@pytest.mark.parametrize("kind", ["epoll", "nio", "ws"])
def test_connections_that_say_nothing_are_ended_and_cost_nobody_else_anything(sluice, kind):
    broker, connect = start(sluice, kind, {}, mqtt={"idle_timeout": "2s"})
    port = broker.ws_port if kind == "ws" else broker.port
    client = connect()
    before = broker.rss_kb()
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(300)]
    wait_for(lambda: connections(broker, kind) == 301, what="300 silent connections")
    client.ping()
    assert broker.rss_kb() - before < 16 * 1024
    for sock in silent:
        assert sock.recv(1) == b""
        sock.close()
    wait_for(lambda: connections(broker, kind) == 1, what="their places to be free")
    client.ping()


def test_a_connect_that_dribbles_is_given_as_long_as_one_that_never_comes(sluice):
    broker, _ = start(sluice, "epoll", {}, mqtt={"idle_timeout": "1s"})
    loris = Client(broker.port, unique("x" * 2000), connect=False)
    with pytest.raises((Closed, ConnectionError)):
        for byte in loris.connect_packet():
            loris.send(bytes([byte]))
            loris.read(0.02)
    assert connections(broker, "epoll") == 0


# ---------------------------------------------------------------- unix sockets

class UnixClient(Client):
    def __init__(self, path, port: int, header=b""):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(path))
        super().__init__(port, unique("unix"), connect=False, sock=sock)
        self.send(header + self.connect_packet())
        self.finish_connect()


def with_socket(sluice, path, transport="epoll", **options):
    return sluice({"listeners": {"tcp": {"local": {"bind": f"unix:{path}", "transport": transport, **options}}}})


@pytest.mark.parametrize("transport", ["epoll", "nio"])
def test_a_unix_socket_serves_this_user_and_group(sluice, tmp_path, topic, transport):
    path = tmp_path / "s"
    old = os.umask(0)
    try:
        broker = with_socket(sluice, path, transport)
    finally:
        os.umask(old)
    status = path.lstat()
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o660
    assert f"Listener tcp:local on unix:{path} started." in broker.output
    with UnixClient(path, broker.port) as client:
        client.subscribe(topic, qos=1)
        client.publish(topic, b"x" * 100_000, qos=1)
        assert len(client.message().payload) == 100_000
        assert broker.ctl_json("clients", "show", client.client_id)["peername"] == "127.0.0.1:0"
    broker.terminate()
    assert not path.exists()


def test_what_a_killed_broker_leaves_is_replaced_and_a_living_ones_socket_is_not(sluice, tmp_path):
    path = tmp_path / "s"
    first = with_socket(sluice, path)
    second = sluice({"listeners": {"tcp": {"local": {"bind": f"unix:{path}"}}}}, run=False)
    second.launch()
    assert second.exit_code() != 0
    assert "in use" in second.output
    UnixClient(path, first.port).close()
    first.kill()
    assert path.exists()
    third = with_socket(sluice, path)
    UnixClient(path, third.port).close()


def test_a_file_that_is_no_socket_is_left_alone(sluice, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    broker = sluice({"listeners": {"tcp": {"local": {"bind": f"unix:{path}"}}}}, run=False)
    broker.launch()
    assert broker.exit_code() != 0
    assert path.read_text() == "data"


def test_a_proxy_on_a_unix_socket_is_trusted(sluice, tmp_path):
    path = tmp_path / "s"
    broker = with_socket(sluice, path, proxy_protocol="on", proxy_trusted_addresses=[])
    with UnixClient(path, broker.port, v2()) as client:
        assert broker.ctl_json("clients", "show", client.client_id)["peername"] == "192.0.2.1:40001"
