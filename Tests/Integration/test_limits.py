"""Hostile and unlucky clients: what one does costs the others nothing and the broker a bounded amount."""

import json
import os
import select
import socket
import struct
import threading
import time

import pytest

from support.broker import counters
from support.mqtt import Client, Closed, Will, packet, text, unique
from support.storm import Storm, missing_descriptors
from support.waiting import wait_for


@pytest.mark.slow
@pytest.mark.parametrize("qos", [0, 1])
def test_a_subscriber_that_does_not_read_costs_bounded_memory_and_nobody_else_anything(sluice, client, topic, qos):
    broker = sluice({"mqtt": {"max_mqueue_len": 500}})
    slow = client(broker, "slow", acknowledge=False)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.subscribe(topic, qos=1)
    quick, publisher = client(broker), client(broker)
    quick.subscribe(topic, qos=1)
    before, payload = broker.rss_kb(), b"x" * 4000
    for batch in range(200):  # 80 MB; the quick subscriber keeps up
        publisher.publish_all(topic, [b"%d " % n + payload for n in range(100)], qos=qos)
        assert [int(m.payload.split()[0]) for m in quick.receive(100)] == list(range(100)), f"batch {batch}"
    grown = broker.rss_kb() - before
    assert grown < 24 * 1024, f"{grown} KB for a subscriber that does not read"
    dropped = broker.ctl_json("clients", "show", "slow")["mqueue_dropped"]
    assert dropped > 10_000, f"{dropped} of 20,000 messages counted as dropped"


def test_a_packet_of_256_mb_is_refused_from_its_header(sluice, client):
    broker = sluice()
    before = broker.rss_kb()
    victim = client(broker, version=5)
    victim.send(b"\x30\xff\xff\xff\x7f" + b"\0\1a" + b"x" * 1000)
    body = victim.wait_closed()
    assert body is None or body[0] == 0x95
    assert broker.rss_kb() - before < 8 * 1024


def test_a_first_packet_of_256_mb_is_refused_too(sluice):
    broker = sluice()
    with Client(broker.port, connect=False) as stranger:
        stranger.send(b"\x10\xff\xff\xff\x7f\0\4MQTT")
        stranger.wait_closed()
    assert broker.alive()


@pytest.mark.parametrize("version", [4, 5])
def test_packets_that_come_byte_by_byte_are_understood(shared_broker, client, topic, version):
    subscriber = client(shared_broker, version=version)
    subscriber.subscribe(topic, qos=2)
    slow = Client(shared_broker.port, unique("drip"), version=version, connect=False)
    for byte in slow.connect_packet():
        slow.send(bytes([byte]))
    slow.finish_connect()
    payload = b"p" * 300
    for byte in slow.publish_packet(topic, payload, 1, identifier=7):
        slow.send(bytes([byte]))
    slow.reply(4, 7)
    assert subscriber.message().payload == payload
    slow.disconnect()


def test_two_packets_and_a_half_in_one_segment_are_understood(shared_broker, client, topic):
    subscriber = client(shared_broker)
    subscriber.subscribe(topic)
    publisher = client(shared_broker)
    three = b"".join(publisher.publish_packet(topic, b"%d" % n) for n in range(3))
    publisher.send(three[:-3])
    assert [m.payload for m in subscriber.receive(2)] == [b"0", b"1"]
    publisher.send(three[-3:])
    assert subscriber.message().payload == b"2"


@pytest.mark.parametrize("version", [4, 5])
def test_a_violation_in_the_second_part_of_a_packet_closes_that_connection_only(shared_broker, client, version):
    """The rest of a packet waits in a buffer of its own; closing in the middle of reading it must not touch it."""
    for _ in range(20):
        broken = Client(shared_broker.port, unique("split"), version=version, connect=False)
        data = broken.connect_packet() + packet(3, 6, text("t")) + broken.connect_packet()
        broken.send(data[:3])
        # What must have been read before the rest is sent: a round trip on the shard of each other client.
        for _ in range(4):
            client(shared_broker).ping()
        broken.send(data[3:])
        broken.wait_closed()
    client(shared_broker).ping()


def test_a_client_that_never_sends_connect_is_closed(sluice):
    broker = sluice({"mqtt": {"idle_timeout": "1s"}})
    for begun in (b"", b"\x10", b"\x10\x1f\x00\x04MQ"):
        with Client(broker.port, connect=False) as stranger:
            stranger.send(begun)
            stranger.wait_closed(deadline=6)


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 64, b"\xff" * 64,
    b"\x10\x0e\x00\x04MQTT\x09\x02\x00\x3c\x00\x02ab", packet(3, 0, text("t") + b"before connect"), b"\x10\x00",
], ids=["http", "tls", "zeros", "ones", "version 9", "publish first", "empty connect"])
def test_what_is_no_mqtt_is_closed_and_harms_nobody(shared_broker, client, garbage):
    with Client(shared_broker.port, connect=False) as stranger:
        stranger.send(garbage)
        stranger.wait_closed()
    client(shared_broker).ping()


STORM = 10_000


class Bystander(threading.Thread):
    """Publishes to itself without a pause; `slowest` is the longest round trip in seconds."""

    def __init__(self, client_, topic):
        super().__init__(daemon=True)
        self.client, self.topic, self.slowest, self.trips = client_, topic, 0.0, 0
        self.stopping = threading.Event()
        client_.subscribe(topic)
        self.start()

    def run(self):
        while not self.stopping.wait(0.02):
            begun = time.monotonic()
            self.client.publish(self.topic, b"x")
            self.client.message()
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.trips += 1

    def stop(self):
        self.stopping.set()
        self.join(30)
        assert not self.is_alive()


@pytest.mark.slow
def test_a_storm_of_connections_is_served_and_again_after_a_crash(sluice, client, topic):
    if reason := missing_descriptors(STORM):
        pytest.skip(reason)
    # The broker raises a low soft limit itself.
    broker = sluice(wrapper=["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh"])
    storm = Storm(broker.port, STORM)
    try:
        for wave in ("the first", "after kill -9"):
            bystander = Bystander(client(broker), topic)
            figures = storm.connect()
            bystander.stop()
            assert figures["connected"] == STORM and figures["failed"] == 0, (wave, figures)
            assert figures["seconds"] < 10, (wave, figures)
            assert bystander.trips > 3 and bystander.slowest < 2, (wave, bystander.trips, bystander.slowest)
            assert counters(broker.ctl_json("listeners"))["0.current_conn"] == STORM + 1
            if wave == "the first":
                broker.kill()
                broker.start()
    finally:
        storm.close()
    # All descriptors are given back.
    wait_for(lambda: len(os.listdir(f"/proc/{broker.pid}/fd")) < 200, 10, "closed descriptors")


def test_a_limit_of_open_files_below_max_connections_is_said_at_the_start(sluice):
    low = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"]
    settings = {"listeners": {"tcp": {"default": {"max_connections": 5000}}}}
    assert "too low for max_connections" in sluice(settings, wrapper=low).output
    settings["listeners"]["tcp"]["default"]["max_connections"] = 500
    assert "too low for max_connections" not in sluice(settings, wrapper=low).output


def test_a_publisher_flood_costs_bounded_memory(sluice, client, topic):
    """What a subscriber does not take ends in its bounded queue, and the rest of the flood nowhere in the broker's memory."""
    broker = sluice({"mqtt": {"max_mqueue_len": 500}})
    subscriber = client(broker, acknowledge=False)
    subscriber.subscribe(topic, qos=1)
    before = broker.rss_kb()
    flood = client(broker, version=5)
    frame = b"".join(flood.publish_packet(topic, b"x" * 8000, 0) for _ in range(16))
    flood.sock.setblocking(False)
    sent = 0
    while sent < 200 << 20 and select.select([], [flood.sock], [], 1.0)[1]:
        try:
            sent += flood.sock.send(frame[sent % len(frame):])
        except BlockingIOError:
            continue
    assert broker.alive()
    assert broker.rss_kb() - before < 32 * 1024
    client(broker).ping()


def test_more_unacknowledged_messages_than_the_receive_maximum_are_never_in_flight(shared_broker, client, topic):
    subscriber = client(shared_broker, version=5, acknowledge=False, properties={0x21: 5})
    subscriber.subscribe(topic, qos=1)
    client(shared_broker).publish_all(topic, [b"%d" % n for n in range(50)], qos=1)
    subscriber.receive(5)
    subscriber.ping()
    assert not subscriber.messages
    for identifier in range(1, 6):
        subscriber.send(packet(4, 0, struct.pack(">H", identifier)))
    assert [int(m.payload) for m in subscriber.receive(5)] == [5, 6, 7, 8, 9]


def test_a_silent_client_is_closed_after_one_and_a_half_keep_alives_and_its_will_sent(shared_broker, client, topic):
    watcher = client(shared_broker)
    watcher.subscribe(topic, qos=1)
    silent = client(shared_broker, keepalive=1, will=Will(topic, b"silent", qos=1))
    silent.wait_closed(deadline=6)
    assert watcher.message().payload == b"silent"


def test_deep_json_in_a_payload_ends_the_rule_and_not_the_broker(sluice, client):
    from support.rule_texts import file_rule

    broker = sluice(rules={"f.yaml": file_rule("deep", "d/#", select="payload.a.b as b, json_decode(payload) as all")})
    publisher = client(broker)
    for payload in (b"[" * 100_000, b'{"a":' * 50_000, b'"' + b"\\" * 100_001, b"\xff\xfe" * 1000, b"", b"1e999999", b'{"a":{"b":1}}'):
        publisher.publish("d/a", payload, qos=1)
    publisher.ping()
    wait_for(lambda: broker.rule("deep")["matched"] == 7, 5, "7 matched")
    assert broker.rule("deep")["passed"] >= 1
    assert json.dumps(broker.rule("deep"))


def test_closing_in_the_middle_of_everything_is_harmless(shared_broker, client, topic):
    for cut in range(0, 60, 3):
        whole = Client(shared_broker.port, unique("cut"), connect=False)
        data = whole.connect_packet() + whole.publish_packet(topic, b"x" * 20, 2, identifier=1) + packet(8, 2, b"\0\2" + text(topic) + b"\2")
        whole.send(data[:cut])
        whole.close()
    probe = client(shared_broker)
    probe.ping()
    with pytest.raises(Closed):
        again = Client(shared_broker.port, "", connect=False)
        again.send(again.connect_packet() + again.connect_packet())
        again.until(lambda: False, deadline=5)
