"""What is kept: sessions, queues and retained messages over `kill -9`. Needs no root but for the full disk."""

import os
import random
import re
import select
import shutil
import struct
import subprocess
import time

import pytest

from support.killing import Publisher, Subscriber
from support.mqtt import Client, Will, unique
from support.waiting import wait_for

ROUNDS = int(os.environ.get("DURABILITY_ROUNDS", "10"))
STORED = {"durability": "process"}
ENDLESS = {**STORED, "mqtt": {"max_mqueue_len": "infinity", "max_mqueue_bytes": "1GB"}}
KEPT = {0x11: 3600}
LAST = 999_999_999_999


def kill_rounds(broker, publisher, rounds):
    """Kills and restarts the broker in the middle of the traffic; returns the longest time from a restart's begin to the next
    acknowledgement."""
    slowest = 0.0
    for _ in range(rounds):
        enough = len(publisher.acknowledged) + random.randrange(100, 700)
        wait_for(lambda: len(publisher.acknowledged) >= enough or publisher.error, 20,
                 lambda: f"{enough} acknowledgements: {len(publisher.acknowledged)}\n{broker.output}")
        broker.kill()
        began = time.monotonic()
        broker.start()
        wait_for(lambda: publisher.acknowledged_at > began, 10, lambda: f"an acknowledgement\n{broker.output}")
        slowest = max(slowest, publisher.acknowledged_at - began)
        assert "damaged" not in broker.output, broker.output
    return slowest


def first_occurrences(numbers):
    return list(dict.fromkeys(numbers))


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("shards, hops", [(2, False), (4, True)], ids=["stay", "hop"])
def test_kills_lose_nothing(sluice, topic, qos, shards, hops):
    """`hop`: publisher and subscriber take their own sessions over again and again, mostly from shard to shard."""
    broker = sluice({**ENDLESS, "node": {"shards": shards}})
    online = Subscriber(broker, unique("on"), topic, qos, hops)
    offline = Subscriber(broker, unique("off"), topic, qos)
    online.subscribe_once()
    offline.subscribe_once()
    publisher = Publisher(broker, unique("pub"), topic, qos, rate=1600 if qos == 1 else 800, hops=hops)
    publisher.connect().close()
    online.start()
    publisher.start()
    slowest = kill_rounds(broker, publisher, ROUNDS)
    publisher.finish()
    # What comes twice stands in front of this one.
    with Client(broker.port, unique("last")) as last:
        last.publish(topic, b"%012d" % LAST, qos=qos)
    offline.start()
    expected = {*publisher.acknowledged, LAST}
    try:
        for subscriber in (online, offline):
            wait_for(lambda: expected <= set(subscriber.received), 30,
                     lambda: f"{len(expected - set(subscriber.received))} of {len(expected)} for {subscriber.client_id},"
                             f" e.g. {sorted(expected - set(subscriber.received))[:5]}")
    finally:
        online.end()
        offline.end()
    print(f"QoS {qos}, hops {hops}: {len(expected) - 1} acknowledged in {ROUNDS} kills, slowest first acknowledgement {slowest:.3f} s,"
          f" doubled {[len(s.received) - len(set(s.received)) for s in (online, offline)]}")
    assert publisher.absent == online.absent == offline.absent == 0
    assert slowest < 2
    for subscriber in (online, offline):
        if qos == 2:
            assert len(subscriber.received) == len(set(subscriber.received))
        numbers = first_occurrences(subscriber.received)
        assert numbers == sorted(numbers)


def test_subscriptions_survive_with_their_options(sluice, client, topic):
    broker = sluice(STORED)
    name = unique()
    first = client(broker, name, version=5, properties=KEPT)
    first.subscribe(topic + "/a", qos=1, options=0x08, properties={0x0B: 77})
    first.subscribe(topic + "/b", qos=2)
    first.subscribe(topic + "/gone", qos=1)
    first.unsubscribe(topic + "/gone")
    broker.kill()
    broker.start()
    publisher = client(broker, version=5)
    assert publisher.publish(topic + "/gone", "no", qos=1) == 0x10
    publisher.publish(topic + "/a", "1", qos=1, retain=True)
    publisher.publish(topic + "/b", "2", qos=2)
    again = client(broker, name, version=5, clean=False, properties=KEPT)
    assert again.session_present
    one, two = again.receive(2)
    assert (one.payload, one.qos, one.retain, one.properties[0x0B]) == (b"1", 1, True, [77])
    assert (two.payload, two.qos) == (b"2", 2)


def test_a_session_that_ended_does_not_come_back(sluice, client, topic):
    broker = sluice(STORED)
    ended, expired, kept = unique(), unique(), unique()
    client(broker, ended, version=5, properties=KEPT).subscribe(topic, qos=1)
    client(broker, ended, version=5, clean=True, properties={0x11: 0}).disconnect()
    client(broker, expired, version=5, properties={0x11: 1}).subscribe(topic, qos=1)
    client(broker, kept, version=5, properties=KEPT).subscribe(topic, qos=1)
    broker.kill()
    broker.start()
    wait_for(lambda: expired not in {c["clientid"] for c in broker.ctl_json("clients", "list")}, 10, "the end of the session")
    present = {}
    for name in (ended, expired, kept):
        present[name] = client(broker, name, version=5, clean=False, properties=KEPT).session_present
    assert present == {ended: False, expired: False, kept: True}


def test_retained_messages_survive_and_deleted_ones_do_not(sluice, client, topic):
    broker = sluice(STORED)
    publisher = client(broker, version=5)
    for number in range(50):
        publisher.publish(f"{topic}/{number}", f"v{number}", qos=1, retain=True)
    publisher.publish(f"{topic}/0", "new", qos=1, retain=True)
    publisher.publish(f"{topic}/1", "", qos=1, retain=True)
    publisher.publish(f"{topic}/short", "gone", qos=1, retain=True, properties={0x02: 1})
    short_ends = time.time() + 1
    broker.kill()
    wait_for(lambda: time.time() > short_ends, 3, "the end of the message that expires")
    broker.start()
    subscriber = client(broker)
    subscriber.subscribe(topic + "/#", qos=1)
    got = {m.topic: m.payload for m in subscriber.receive(49)}
    subscriber.nothing_came(unique("t"))
    assert got == {f"{topic}/{n}": b"new" if n == 0 else b"v%d" % n for n in range(50) if n != 1}


def test_delayed_messages_survive_and_deleted_ones_do_not(sluice, client, topic):
    broker = sluice({**STORED, "node": {"shards": 4}})
    name = unique()
    client(broker, name, version=5, properties=KEPT).subscribe(topic + "/#", qos=2)
    due = time.time() + 2
    for number in range(12):  # over all shards
        publisher = client(broker, version=5)
        assert publisher.publish(f"$delayed/2/{topic}/soon", f"{number}", qos=1 + number % 2) == 0
    publisher.publish(f"$delayed/3600/{topic}/late", "late", qos=1)
    publisher.publish(f"$delayed/2/{topic}/deleted", "deleted", qos=1)
    broker.ctl("delayed", "delete", f"{topic}/deleted")
    broker.kill()
    broker.start()
    again = client(broker, name, version=5, clean=False, properties=KEPT)
    got = again.receive(12, deadline=10)
    assert time.time() >= due - 0.01
    assert sorted(int(m.payload) for m in got) == list(range(12)) and {m.topic for m in got} == {topic + "/soon"}
    again.nothing_came(unique("t"))
    # What has been published is not published again.
    broker.kill()
    broker.start()
    again = client(broker, name, version=5, clean=False, properties=KEPT)
    again.nothing_came(unique("t"))
    assert [d["topic"] for d in broker.ctl_json("delayed", "list")] == [topic + "/late"]


def test_a_will_that_waits_survives(sluice, client, topic):
    broker = sluice(STORED)
    watcher = unique()
    client(broker, watcher, version=5, properties=KEPT).subscribe(topic + "/#", qos=1)
    client(broker, unique(), version=5, properties=KEPT,
           will=Will(topic + "/delayed", b"late", qos=1, properties={0x18: 2})).close()
    # This one is connected when the broker dies: the restart is the end of its connection.
    client(broker, unique(), version=5, properties=KEPT, will=Will(topic + "/online", b"gone", qos=1))
    wait_for(lambda: sum(not c["connected"] for c in broker.ctl_json("clients", "list")) >= 1, 5, "the absence of the first")
    broker.kill()
    broker.start()
    again = client(broker, watcher, version=5, clean=False, properties=KEPT)
    got = {m.topic for m in again.receive(2)}
    assert got == {topic + "/delayed", topic + "/online"}
    again.nothing_came(unique("t"))


def test_a_restart_keeps_the_order_of_a_long_queue(sluice, client, topic):
    broker = sluice(ENDLESS)
    name = unique()
    client(broker, name, clean=False).subscribe(topic, qos=1)
    client(broker, name, clean=False).disconnect()
    client(broker).publish_all(topic, [f"{n}" for n in range(3000)], qos=1, window=200)
    broker.terminate()
    broker.start()
    client(broker).publish_all(topic, [f"{n}" for n in range(3000, 4000)], qos=1, window=200)
    again = client(broker, name, clean=False)
    assert [int(m.payload) for m in again.receive(4000)] == list(range(4000))


OFFLINE_SESSIONS = int(os.environ.get("OFFLINE_SESSIONS", "400"))


def test_queues_of_absent_clients_do_not_fill_the_memory(sluice, topic):
    """Each session gets messages of its own: 500 of 256 bytes. `OFFLINE_SESSIONS=10000` for the figure that is promised."""
    each, size = 500, 256
    broker = sluice({**ENDLESS, "mqtt": {"max_mqueue_len": "infinity", "max_inflight": each}})
    names = [f"{topic}-{index:05d}" for index in range(OFFLINE_SESSIONS)]
    for name in names:
        with Client(broker.port, name, clean=False) as made:
            made.subscribe(name, qos=1)
            made.disconnect()
    before = broker.rss_kb()
    with Client(broker.port, unique()) as publisher:
        packets = PacketStream(publisher)
        for number in range(each):
            body = b"%06d" % number + b"x" * (size - 6)
            for first in range(0, OFFLINE_SESSIONS, 1000):
                packets.publish(names[first:first + 1000], body)
    queued = broker.rss_kb()
    began = time.monotonic()
    for name in names:
        with Client(broker.port, name, clean=False, connect=False) as taker:
            taker.send(taker.connect_packet(clean=False))
            packets = PacketStream(taker)
            assert packets.read(4) == b"\x20\x02\x01\x00"
            assert packets.take(name, each, size) == list(range(each)), name
    rate = OFFLINE_SESSIONS * each / (time.monotonic() - began)
    after = broker.rss_kb()
    print(f"{OFFLINE_SESSIONS} sessions with {each} messages: RSS {before / 1024:.0f} MB before, {queued / 1024:.0f} MB queued,"
          f" {after / 1024:.0f} MB replayed; {rate:,.0f} messages/s to one client after the other, connecting included")
    # In memory they would take 256 bytes each and more; the index takes 16, a session some thousand.
    allowed = before + OFFLINE_SESSIONS * (each * 24) / 1024 + 24 * 1024
    assert max(queued, after) <= allowed, f"{queued} and {after} KB, {allowed:.0f} are allowed"
    assert max(queued, after) <= 300 * 1024


class PacketStream:
    """Whole packets of one size over a client's socket: as fast as this language allows."""

    def __init__(self, client):
        self.client, self.bytes = client, bytes(client.buffer)

    def read(self, count: int) -> bytes:
        while len(self.bytes) < count:
            assert self.client.sock in select.select([self.client.sock], [], [], 20)[0], "nothing more comes"
            got = self.client.sock.recv(1 << 20)
            assert got, "the broker has closed the connection"
            self.bytes += got
        taken, self.bytes = self.bytes[:count], self.bytes[count:]
        return taken

    def publish(self, topics, body: bytes) -> None:
        """A QoS 1 message to each topic, and all acknowledgements."""
        self.client.send(b"".join(self.client.publish_packet(topic, body, 1, False, identifier)
                                  for identifier, topic in enumerate(topics, 1)))
        assert self.read(4 * len(topics)) == b"".join(struct.pack(">BBH", 0x40, 2, n) for n in range(1, len(topics) + 1))

    def take(self, topic: str, count: int, size: int) -> list[int]:
        """The numbers in front of `count` messages, which are acknowledged."""
        whole = len(self.client.publish_packet(topic, b"x" * size, 1, False, 1))
        taken = self.read(count * whole)
        header = whole - size
        self.client.send(b"".join(b"\x40\x02" + taken[at + header - 2:at + header] for at in range(0, len(taken), whole)))
        self.client.send(b"\xe0\x00")
        return [int(taken[at + header:at + header + 6]) for at in range(0, len(taken), whole)]


def test_a_queue_keeps_its_bound_on_disk(sluice, client, topic):
    broker = sluice({**STORED, "mqtt": {"max_mqueue_len": 100}})
    name = unique()
    client(broker, name, clean=False).subscribe(topic, qos=1)
    client(broker, name, clean=False).disconnect()
    client(broker).publish_all(topic, [f"{n}" for n in range(1000)], qos=1, window=200)
    broker.kill()
    broker.start()
    again = client(broker, name, clean=False)
    assert [int(m.payload) for m in again.receive(100)] == list(range(900, 1000))
    again.nothing_came(unique("t"))


def test_without_durability_nothing_is_written(sluice, client, topic):
    broker = sluice({"durability": "none"})
    name = unique()
    client(broker, name, clean=False).subscribe(topic, qos=1)
    assert not (broker.data / "store").exists()
    broker.kill()
    broker.start()
    assert not client(broker, name, clean=False).session_present


@pytest.mark.parametrize("mode", ["process", "fsync"])
def test_messages_reach_a_session_on_every_shard(sluice, client, topic, mode):
    """With several shards a session and its publishers are mostly on different ones; takeovers move it about."""
    broker = sluice({**ENDLESS, "durability": mode, "node": {"shards": 4}})
    name = unique()
    client(broker, name, clean=False).subscribe(topic, qos=2)
    received = []
    for turn in range(12):
        publisher = client(broker, version=5)
        for number in range(10):
            assert publisher.publish(topic, f"{turn * 10 + number}", qos=1 + number % 2) == 0
        taker = client(broker, name, clean=False)
        assert taker.session_present
        received += [int(m.payload) for m in taker.receive(10)]
    assert received == list(range(120))


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs in a mount namespace of the broker's own: (wrapper, directory), or a skip."""
    probe = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)],
                           capture_output=True)
    if probe.returncode != 0:
        pytest.skip("mounts in a private namespace are not permitted")
    return tmp_path


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(sluice, client, topic, small_disk):
    broker = sluice({**ENDLESS, "node": {"data_dir": str(small_disk / "data"), "shards": 2}}, wrapper=[
        "unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=64m none {small_disk}; exec "$@"', "sh"])
    name = unique()
    client(broker, name, version=5, properties=KEPT).subscribe(topic, qos=1)
    client(broker, name, version=5, clean=False, properties=KEPT).disconnect()
    inside = f"/proc/{broker.pid}/root{small_disk}/filler"
    try:
        with open(inside, "wb") as filler:
            while True:
                filler.write(b"f" * (1 << 20))
                filler.flush()
    except OSError:
        pass
    publisher = client(broker, version=5)
    taken, refused = [], 0
    for number in range(20_000):
        reason = publisher.publish(topic, b"%06d" % number + b"x" * 1000, qos=1)
        assert reason in (0, 0x97)
        if reason == 0:
            taken.append(number)
        else:
            refused += 1
            if refused > 20:
                break
    assert refused > 20, "the full disk was not noticed"
    assert publisher.publish(unique("t"), "unstored", qos=1) == 0x10
    old = client(broker)
    old.send(old.publish_packet(topic, b"old client", 1, False, 1))
    old.wait_closed()
    os.unlink(inside)
    wait_for(lambda: publisher.publish(topic, b"%06d" % 999_999, qos=1) == 0, 5, "messages to be taken again")
    taken.append(999_999)
    assert broker.output.count("The disk is full") == 1
    assert broker.output.count("The disk has room again") == 1
    again = client(broker, name, version=5, clean=False, properties=KEPT)
    assert [int(m.payload[:6]) for m in again.receive(len(taken), deadline=20)] == taken


def test_fsync_acknowledges_after_the_sync(sluice, client, topic, tmp_path):
    trace = tmp_path / "trace"
    if not shutil.which("strace") or subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode != 0:
        pytest.skip("strace is not there or not permitted")
    broker = sluice({"durability": "fsync"}, wrapper=[
        "strace", "-f", "-o", str(trace), "-e", "trace=pwritev,fdatasync,sendto"])
    name = unique()
    client(broker, name, clean=False).subscribe(topic, qos=2)
    client(broker, name, clean=False).disconnect()
    publisher = client(broker)
    for number in range(20):
        publisher.publish(topic, f"{number}", qos=1 + number % 2)
    child = int(open(f"/proc/{broker.pid}/task/{broker.pid}/children").read().split()[0])
    os.kill(child, 15)
    broker.exit_code()
    written, synced, acknowledgements = 0, 0, 0
    for index, line in enumerate(trace.read_text(errors="replace").splitlines()):
        if re.search(r"pwritev.*= \d+$", line):
            written = index
        elif re.search(r"fdatasync.*= 0$", line):
            synced = index
        elif re.search(r'sendto\(\d+, "[@P]\\2', line):
            acknowledgements += 1
            assert synced > written > 0, f"{line}: an acknowledgement before the sync"
    assert acknowledgements == 20
