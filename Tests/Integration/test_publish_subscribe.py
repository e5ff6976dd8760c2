"""Messages between clients as people use them: paho, mosquitto_pub/sub and the raw client, over TCP."""

import shutil
import subprocess
import threading

import paho.mqtt.client as paho
import pytest

from support.mqtt import Client, Will, unique
from support.waiting import wait_for

VERSIONS = {"3.1": paho.MQTTv31, "3.1.1": paho.MQTTv311, "5": paho.MQTTv5}


class PahoClient:
    """A paho client with its network thread."""

    def __init__(self, port, version, transport="tcp"):
        self.received, self.subscribed, self.connected = [], threading.Event(), threading.Event()
        identifier = unique("p")[-23:]
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=identifier, protocol=VERSIONS[version],
                                  transport=transport)
        if transport == "websockets":
            self.client.ws_set_options(path="/mqtt")
        self.client.on_connect = lambda c, u, flags, reason, properties: self.connected.set() if reason == 0 else None
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda c, u, message: self.received.append(message)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.connected.wait(10), "paho did not connect"

    def subscribe(self, filter_, qos):
        self.subscribed.clear()
        self.client.subscribe(filter_, qos)
        assert self.subscribed.wait(10), "no SUBACK"

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_paho_publishes_to_paho(shared_broker, topic, version, qos):
    subscriber, publisher = PahoClient(shared_broker.port, version), PahoClient(shared_broker.port, version)
    try:
        subscriber.subscribe(f"{topic}/+", qos)
        sent = [f"{n}".encode() for n in range(200)]
        for payload in sent:
            publisher.client.publish(f"{topic}/a", payload, qos).wait_for_publish(10)
        wait_for(lambda: len(subscriber.received) >= len(sent), 15, f"{len(sent)} messages")
        assert [m.payload for m in subscriber.received] == sent
        assert {m.qos for m in subscriber.received} == {qos}
    finally:
        subscriber.stop()
        publisher.stop()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_paho_over_websocket_reaches_a_tcp_client(shared_broker, client, topic, version):
    subscriber = client(shared_broker)
    subscriber.subscribe(topic, qos=1)
    publisher = PahoClient(shared_broker.ws_port, version, transport="websockets")
    try:
        publisher.client.publish(topic, b"x" * 100_000, 1).wait_for_publish(10)
    finally:
        publisher.stop()
    assert subscriber.message().payload == b"x" * 100_000


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto-clients is not installed")
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_mosquitto_pub_reaches_mosquitto_sub(shared_broker, client, topic, version, qos):
    common = ["-h", "127.0.0.1", "-p", str(shared_broker.port), "-V", version, "-q", str(qos)]
    lines = [f"line {n}" for n in range(100)]
    subscriber = subprocess.Popen(
        ["mosquitto_sub", *common, "-t", topic, "-t", f"{topic}/ready", "-C", "101", "-W", "20"],
        stdout=subprocess.PIPE, text=True)
    try:
        # A retained message tells when mosquitto_sub has subscribed: it prints that first.
        client(shared_broker).publish(f"{topic}/ready", b"ready", qos=1, retain=True)
        assert subscriber.stdout.readline() == "ready\n"
        subprocess.run(["mosquitto_pub", *common, "-t", topic, "-l"], input="\n".join(lines) + "\n", text=True, check=True, timeout=20)
        out, _ = subscriber.communicate(timeout=25)
        assert out.splitlines() == lines
    finally:
        subscriber.kill()
        subscriber.wait(timeout=5)


def test_a_retained_message_is_sent_to_a_new_subscription_and_can_be_deleted(shared_broker, client, topic):
    publisher = client(shared_broker)
    publisher.publish(topic, b"first", qos=1, retain=True)
    publisher.publish(topic, b"second", qos=1, retain=True)
    late = client(shared_broker)
    late.subscribe(f"{topic}/#", qos=1)
    message = late.message()
    assert (message.payload, message.retain) == (b"second", True)
    publisher.publish(topic, b"live", qos=1, retain=True)
    assert late.message().retain is False
    publisher.publish(topic, b"", qos=1, retain=True)
    assert late.message().payload == b""
    later = client(shared_broker)
    later.subscribe(topic)
    later.nothing_came(unique("n"))


def test_the_will_is_published_when_the_connection_is_lost_and_not_after_disconnect(shared_broker, client, topic):
    watcher = client(shared_broker)
    watcher.subscribe(f"{topic}/+", qos=1)
    client(shared_broker, will=Will(f"{topic}/polite", b"never")).disconnect()
    client(shared_broker, will=Will(f"{topic}/lost", b"gone", qos=1, retain=True)).close()
    message = watcher.message()
    assert (message.topic, message.payload, message.qos) == (f"{topic}/lost", b"gone", 1)
    watcher.nothing_came(unique("n"))
    late = client(shared_broker)
    late.subscribe(f"{topic}/lost")
    assert late.message().retain is True


def test_a_delayed_will_waits_and_is_cancelled_by_a_reconnect(shared_broker, client, topic):
    watcher = client(shared_broker)
    watcher.subscribe(f"{topic}/+", qos=1)
    will = Will(f"{topic}/w", b"late", qos=1, properties={0x18: 1})
    cancelled = unique("cancelled")
    client(shared_broker, cancelled, version=5, clean=True, will=will, properties={0x11: 60}).close()
    back = client(shared_broker, cancelled, version=5, clean=False, properties={0x11: 60})
    assert back.session_present
    client(shared_broker, version=5, will=Will(f"{topic}/second", b"2", qos=1, properties={0x18: 1}), properties={0x11: 60}).close()
    assert watcher.message().topic == f"{topic}/second"
    watcher.nothing_came(unique("n"))


@pytest.mark.parametrize("version", [4, 5])
def test_a_shared_subscription_delivers_each_message_once(shared_broker, client, topic, version):
    members = [client(shared_broker, version=version) for _ in range(4)]
    for member in members:
        member.subscribe(f"$share/group/{topic}/+", qos=1)
    publisher = client(shared_broker, version=version)
    publisher.publish_all(f"{topic}/x", [b"%d" % n for n in range(400)], qos=1)
    got = [[] for _ in members]

    def all_received():
        for member, messages in zip(members, got):
            member.read(0.02)
            messages += [int(m.payload) for m in member.messages]
            member.messages.clear()
        return sum(map(len, got)) >= 400

    wait_for(all_received, 15, "400 messages")
    assert sorted(n for messages in got for n in messages) == list(range(400))
    assert all(messages for messages in got), "a member was left out"


def test_an_offline_session_gets_its_queue_in_order(shared_broker, client, topic):
    name = unique("offline")
    subscriber = client(shared_broker, name, clean=False)
    subscriber.subscribe(topic, qos=1)
    subscriber.disconnect()
    client(shared_broker).publish_all(topic, [b"%d" % n for n in range(500)], qos=1)
    back = client(shared_broker, name, clean=False)
    assert back.session_present
    assert [int(m.payload) for m in back.receive(500)] == list(range(500))
    client(shared_broker, name, clean=True).disconnect()


def test_unacknowledged_messages_come_again_with_dup_after_a_reconnect(shared_broker, client, topic):
    name = unique("dup")
    subscriber = client(shared_broker, name, clean=False, acknowledge=False)
    subscriber.subscribe(topic, qos=1)
    publisher = client(shared_broker)
    publisher.publish_all(topic, [b"0", b"1", b"2"], qos=1)
    assert [m.payload for m in subscriber.receive(3)] == [b"0", b"1", b"2"]
    subscriber.close()
    back = client(shared_broker, name, clean=False)
    again = back.receive(3)
    assert [m.payload for m in again] == [b"0", b"1", b"2"]
    assert all(m.duplicate for m in again)


def test_a_second_client_with_the_same_identifier_takes_the_connection_over(shared_broker, client):
    name = unique("twin")
    first = client(shared_broker, name, version=5)
    second = client(shared_broker, name, version=5)
    body = first.wait_closed()
    assert body and body[0] == 0x8E
    second.ping()


def test_user_properties_and_correlation_data_arrive_unchanged(shared_broker, client, topic):
    subscriber = client(shared_broker, version=5)
    subscriber.subscribe(topic, properties={0x0B: 268_435_455})
    sent = {0x01: 1, 0x03: "application/json", 0x08: "reply/to", 0x09: b"\0\xff", 0x26: [("b", "2"), ("a", "1"), ("b", "2")]}
    client(shared_broker, version=5).publish(topic, "{}", properties=sent)
    assert subscriber.message().properties == {**sent, 0x0B: [268_435_455]}


def test_a_dollar_topic_is_not_matched_by_a_wildcard(shared_broker, client, topic):
    subscriber = client(shared_broker)
    subscriber.subscribe(f"+/{topic}/#")
    client(shared_broker).publish(f"$x/{topic}/a", b"hidden", qos=1)
    subscriber.nothing_came(unique("n"))


def test_clients_of_all_versions_understand_each_other(shared_broker, topic):
    clients = [Client(shared_broker.port, unique("v")[-23:], version=version) for version in (3, 4, 5)]
    for reader in clients:
        reader.subscribe(topic, qos=2)
    for number, writer in enumerate(clients):
        writer.publish(topic, b"%d" % number, qos=2)
    for reader in clients:
        assert [m.payload for m in reader.receive(3)] == [b"0", b"1", b"2"]
        reader.disconnect()
