"""Behind nginx, with the configurations of docs/guide/nginx.md: they are read from there."""

import re
import socket

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from support.broker import ROOT
from support.mqtt import Client, unique
from support.nginx import HTTP_PATHS, PROGRAM, STREAM, Nginx
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(not PROGRAM or not STREAM.exists(), reason="nginx-light or libnginx-mod-stream is not installed")
GUIDE = ROOT / "docs/guide/nginx.md"


def example(name: str) -> str:
    """The configuration below `<!-- NAME -->` in the guide."""
    return re.search(rf"<!-- {name} -->\n```nginx\n(.*?)```", GUIDE.read_text(), re.S)[1]


@pytest.fixture
def nginx():
    started = []

    def start(name: str, broker) -> Nginx:
        text = example(name)
        text = text.replace("listen 1883;", "listen 127.0.0.1:{port};").replace("listen 80;", "listen 127.0.0.1:{port};")
        text = text.replace("127.0.0.1:1883", f"127.0.0.1:{broker.port}").replace("127.0.0.1:8083", f"127.0.0.1:{broker.ws_port}")
        text = text.replace("http {", "http {" + HTTP_PATHS)
        started.append(Nginx(text))
        return started[-1]

    yield start
    for item in started:
        item.close()


def peer(broker, client_id: str) -> str:
    return broker.ctl_json("clients", "show", client_id)["peername"]


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_a_stream_proxy_without_the_header_shows_its_own_address(sluice, nginx, topic, mode):
    broker = sluice({"listeners": {"tcp": {"default": {"proxy_protocol": mode}}}}, websocket=True)
    proxy = nginx("stream", broker)
    with Client(proxy.port, unique("nx"), version=5) as behind, Client(broker.port, unique("direct")) as direct:
        assert peer(broker, behind.client_id).startswith("127.0.0.1:")
        behind.subscribe(topic, qos=1)
        payloads = [b"%d" % n + b"x" * 20_000 for n in range(50)]
        direct.publish_all(topic, payloads, qos=1)
        assert [m.payload for m in behind.receive(50)] == payloads


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_a_stream_proxy_with_the_header_shows_the_clients_address(sluice, nginx, topic, mode):
    broker = sluice({"listeners": {"tcp": {"default": {"proxy_protocol": mode}}}}, websocket=True)
    proxy = nginx("stream-proxy-protocol", broker)
    with Client(proxy.port, unique("nx")) as behind:
        assert peer(broker, behind.client_id) == "127.0.0.1:%d" % behind.sock.getsockname()[1]
        behind.subscribe(topic, qos=2)
        behind.publish(topic, b"through and back", qos=2)
        assert behind.message().payload == b"through and back"
    wait_for(lambda: broker.ctl_json("listeners")[0]["current_conn"] == 0, what="the connection to end with its client's")


def test_the_header_of_nginx_to_a_listener_that_does_not_expect_it_is_said(sluice, nginx):
    broker = sluice(websocket=True)
    proxy = nginx("stream-proxy-protocol", broker)
    stranger = Client(proxy.port, unique("nx"), connect=False)
    stranger.send(stranger.connect_packet())
    stranger.wait_closed()
    assert "proxy_protocol" in broker.wait_for_output("A PROXY header came unasked.*").group()


@pytest.mark.parametrize("forwarded", [None, "203.0.113.9", "1.1.1.1, 203.0.113.9"])
def test_websockets_pass_and_show_the_clients_address(sluice, nginx, topic, forwarded):
    broker = sluice(websocket=True)
    proxy = nginx("websocket", broker)
    identity = unique("nx")
    messages = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=identity, transport="websockets")
    client.ws_set_options(path="/mqtt", headers={"X-Forwarded-For": forwarded} if forwarded else None)
    client.on_message = lambda _client, _data, message: messages.append(message.payload)
    client.connect("127.0.0.1", proxy.port)
    client.loop_start()
    try:
        wait_for(client.is_connected, 10, "the connection")
        # nginx appends whom it saw. That is 127.0.0.1 here, a trusted proxy, so what that one says counts.
        assert peer(broker, identity).startswith((forwarded or "127.0.0.1").split(", ")[-1] + ":")
        client.subscribe(topic, qos=1)
        wait_for(lambda: broker.ctl_json("clients", "show", identity)["subscriptions_cnt"] == 1, 10, "the subscription")
        sent = [b"%d" % n + b"y" * 5000 for n in range(100)]
        for payload in sent:
            client.publish(topic, payload, qos=1)
        wait_for(lambda: len(messages) == 100, 10, lambda: f"100 messages, {len(messages)} came")
        assert messages == sent
    finally:
        client.disconnect()
        client.loop_stop()


def test_the_stream_proxy_keeps_a_client_that_came_with_the_first_byte_late(sluice, nginx):
    broker = sluice({"listeners": {"tcp": {"default": {"proxy_protocol": "on"}}}}, websocket=True)
    proxy = nginx("stream-proxy-protocol", broker)
    with socket.create_connection(("127.0.0.1", proxy.port)):
        wait_for(lambda: broker.ctl_json("listeners")[0]["current_conn"] == 1, what="nginx to connect")
        with Client(proxy.port, unique("nx")) as other:
            other.ping()
