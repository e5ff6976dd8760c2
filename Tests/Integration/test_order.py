"""Messages of one publisher to one subscriber keep their order: at any QoS, over any number of shards, through takeovers."""

import threading

import pytest

from support.mqtt import Client, unique
from support.waiting import wait_for

PUBLISHERS, EACH = 12, 400


KINDS = [(shards, durability) for durability in ("none", "process") for shards in (1, 2, 4)]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"shards={kind[0]}-{kind[1]}")
def sharded(request):
    from support.broker import Sluice

    shards, durability = request.param
    broker = Sluice({"node": {"shards": shards}, "durability": durability, "mqtt": {"max_mqueue_len": 100_000}}).start()
    yield broker
    try:
        broker.terminate()
    finally:
        broker.close()


def publish_numbers(port, topic, publisher, qos, count=EACH):
    with Client(port, unique("pub")) as sender:
        sender.publish_all(topic, [b"%d %d" % (publisher, n) for n in range(count)], qos, window=50)
        sender.ping()


def in_background(function, calls):
    """Runs `function` once for each argument tuple in a thread; `join()` re-raises what went wrong."""
    failures = []

    def guarded(*args):
        try:
            function(*args)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=args, daemon=True) for args in calls]
    for thread in threads:
        thread.start()

    def join(deadline=60):
        for thread in threads:
            thread.join(deadline)
            assert not thread.is_alive(), "a publisher hangs"
        if failures:
            raise failures[0]

    return join


def by_publisher(messages):
    streams = {}
    for message in messages:
        publisher, number = map(int, message.payload.split())
        streams.setdefault(publisher, []).append(number)
    return streams


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_many_publishers_to_one_subscriber(sharded, client, topic, qos):
    subscriber = client(sharded)
    subscriber.subscribe(f"{topic}/+", qos=qos)
    join = in_background(publish_numbers, [(sharded.port, f"{topic}/{p}", p, qos) for p in range(PUBLISHERS)])
    streams = by_publisher(subscriber.receive(PUBLISHERS * EACH, deadline=60))
    join()
    assert streams == {p: list(range(EACH)) for p in range(PUBLISHERS)}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_one_publisher_to_subscribers_on_every_shard(sharded, topic, qos):
    readers = [Client(sharded.port, unique("sub")) for _ in range(8)]
    for reader in readers:
        reader.subscribe(topic, qos=qos)
    join = in_background(publish_numbers, [(sharded.port, topic, 0, qos)])
    for reader in readers:
        assert by_publisher(reader.receive(EACH, deadline=60)) == {0: list(range(EACH))}
        reader.close()
    join()


def test_a_topic_change_does_not_break_the_order_of_a_publisher(sharded, client, topic):
    """The route of each topic is looked up for itself; what one publisher sends must stay one stream all the same."""
    subscriber = client(sharded)
    subscriber.subscribe(f"{topic}/#", qos=1)
    publisher = client(sharded)
    identifiers = []
    for number in range(600):
        identifiers.append(publisher.identifier())
        publisher.send(publisher.publish_packet(f"{topic}/{number % 7}", b"0 %d" % number, 1, identifier=identifiers[-1]))
    assert by_publisher(subscriber.receive(600, deadline=30)) == {0: list(range(600))}


@pytest.mark.slow
@pytest.mark.parametrize("qos", [1, 2])
def test_many_takeovers_lose_nothing_and_keep_the_order(sharded, topic, qos):
    """The subscriber comes back again and again with its identifier while publishers go on, often on another shard."""
    name, publishers, takeovers = unique("taken"), 4, 40
    enough, sent = threading.Event(), {}

    def publish_until_enough(publisher):
        number = 0
        with Client(sharded.port, unique("pub")) as sender:
            while not enough.is_set():
                sender.publish_all(f"{topic}/{publisher}", [b"%d %d" % (publisher, n) for n in range(number, number + 10)], qos)
                number += 10
        sent[publisher] = number

    received, seen = [], set()
    current = Client(sharded.port, name, clean=False)
    current.subscribe(f"{topic}/+", qos=qos)

    def take():
        received.extend(current.messages)
        seen.update(message.payload for message in current.messages)
        current.messages.clear()

    join = in_background(publish_until_enough, [(p,) for p in range(publishers)])
    for _ in range(takeovers):
        current.until(lambda: len(current.messages) >= 20, deadline=20)
        successor = Client(sharded.port, name, connect=False)
        successor.send(successor.connect_packet(clean=False))
        # First all that the old connection was still sent. What it cannot acknowledge any more comes again on the new one.
        current.wait_closed()
        take()
        current.close()
        successor.incoming_qos2 = current.incoming_qos2
        successor.finish_connect()
        assert successor.session_present
        current = successor
    enough.set()
    join()
    total = sum(sent.values())

    def all_seen():
        take()
        return len(seen) >= total

    current.until(all_seen, deadline=30, what=f"{total} messages")
    current.close()
    for publisher, numbers in by_publisher(received).items():
        assert list(dict.fromkeys(numbers)) == list(range(sent[publisher])), f"publisher {publisher}: lost or reordered"
        if qos == 2:
            assert len(numbers) == len(set(numbers)), f"publisher {publisher}: a QoS 2 message came twice"


def test_an_old_connection_that_never_reads_does_not_block_its_takeover(sharded, client, topic):
    name = unique("stuck")
    stuck = client(sharded, name, clean=False, acknowledge=False)
    stuck.subscribe(topic, qos=1)
    client(sharded).publish_all(topic, [b"0 %d" % n + b"x" * 4000 for n in range(1000)], qos=1)
    successor = client(sharded, name, clean=False)
    numbers = [int(m.payload.split(b"x")[0].split()[1]) for m in successor.receive(1000, deadline=30)]
    assert numbers == list(range(1000))
    wait_for(lambda: sharded.alive(), 1)
