"""Webhook, file and republish sinks against receivers that fail, processes that are killed, and full buffers."""

import json
import threading

import pytest

from support.mqtt import Client, Closed, unique
from support.rule_texts import file_rule, republish_rule, sink_bytes, sink_lines, webhook_rule
from support.waiting import holds_for, wait_for


def publish_numbered(client_, topic, count, qos=1, first=0):
    client_.publish_all(topic, [b'{"n":%d}' % n for n in range(first, first + count)], qos)


def numbers(requests):
    return [request.json["n"] for request in requests]


# ---------------------------------------------------------------- webhook

FAULTS = {
    "503": lambda request, number: 503 if number % 3 == 0 else None,
    "429 with Retry-After": lambda request, number: (429, {"Retry-After": "0"}) if number % 4 == 0 else None,
    "reset": lambda request, number: "reset" if number % 5 == 0 else None,
    "hang": lambda request, number: "hang" if number in (0, 7) else None,
    "all at first": lambda request, number: [503, "reset", 500, 408, "hang", 502][number] if number < 6 else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_or_reordered_while_the_receiver_misbehaves(sluice, client, faulty_receiver, fault):
    receiver = faulty_receiver(FAULTS[fault])
    options = "      timeout: {connect: 1s, total: 1s}\n      order: client"
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url, options=options)})
    publisher = client(broker)
    publish_numbered(publisher, "h/a", 60)
    wait_for(lambda: len(receiver.accepted) >= 60, 40, lambda: f"60 accepted, have {len(receiver.accepted)} of {len(receiver.seen)}")
    holds_for(lambda: len(receiver.accepted) == 60, 0.3, "exactly 60 accepted requests")
    assert numbers(receiver.accepted) == list(range(60))
    counts = broker.rule("hook")
    assert counts["matched"] == counts["passed"] == 60


def test_a_permanent_refusal_is_counted_and_does_not_block_the_rest(sluice, client, faulty_receiver):
    receiver = faulty_receiver(lambda request, number: 400 if request.json["n"] == 3 else None)
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url)})
    publish_numbered(client(broker), "h/a", 10)
    wait_for(lambda: len(receiver.seen) >= 10, 10, "10 requests")
    assert numbers(receiver.accepted) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    holds_for(lambda: len(receiver.seen) == 10, 0.5, "no retry of a 400")
    wait_for(lambda: broker.sink("http:hook")["failed"] == 1, 3, lambda: f"failed = 1 in {broker.sink('http:hook')}")


def test_each_clients_order_holds_while_clients_do_not_wait_for_each_other(sluice, client, faulty_receiver):
    receiver = faulty_receiver(lambda request, number: 503 if request.json["clientid"] == "slow" and number < 30 else None)
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url, options="      order: client")})
    publish_numbered(client(broker, "slow"), "h/slow", 20)
    publish_numbered(client(broker, "quick"), "h/quick", 20)
    wait_for(lambda: len(receiver.accepted) >= 40, 30, "40 accepted")
    for name in ("slow", "quick"):
        assert [r.json["n"] for r in receiver.accepted if r.json["clientid"] == name] == list(range(20))


def test_batches_hold_whole_json_arrays_in_order(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    options = "      batch: {max_messages: 100, max_wait: 50ms, format: json_array}"
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url, options=options)})
    publish_numbered(client(broker), "h/a", 1000)
    bodies = wait_for(lambda: (found := [r.json for r in list(receiver.accepted)]) and sum(map(len, found)) >= 1000 and found, 15, "1000")
    assert [item["n"] for body in bodies for item in body] == list(range(1000))
    assert max(map(len, bodies)) <= 100 and len(bodies) < 200


def test_hostile_values_cannot_break_out_of_headers_paths_and_bodies(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    rule = webhook_rule("hook", "h/#", receiver.url, select="payload.v as v, clientid").replace(
        "parameters: {method: post, path: /hook}",
        'parameters: {method: post, path: "/p/${v}", headers: {x-value: "${v}"}, body: {value: "${v}", id: "${clientid}"}}')
    broker = sluice(rules={"hook.yaml": rule})
    values = ["a/b?c#d e", "x\r\nInjected: yes", '"},{"value":"', "\u0000\u001f", "ünïcödé 🌡"]
    publisher = client(broker)
    for value in values:
        publisher.publish("h/a", json.dumps({"v": value}), qos=1)
    # A value that no header can hold may fail its own message, and never change the request.
    wait_for(lambda: len(receiver.seen) + broker.sink("http:hook")["failed"] >= len(values), 10, "all outcomes")
    for request in receiver.seen:
        assert "Injected" not in request.headers
        assert request.path.startswith("/p/") and request.path.count("/") == 2 and " " not in request.path
        assert set(request.json) == {"value", "id"} and request.json["value"] in values
    assert {r.json["value"] for r in receiver.seen} >= {values[0], values[2], values[4]}


def test_a_full_buffer_drops_the_oldest_counts_it_and_never_delays_publishers(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    receiver.stop()
    rule = webhook_rule("hook", "h/#", receiver.url, select="payload.n as n, payload.pad as pad").replace("64MB", "64KB")
    broker = sluice(rules={"hook.yaml": rule})
    publisher = client(broker)
    publisher.publish_all("h/a", [json.dumps({"n": n, "pad": "x" * 1000}).encode() for n in range(1000)], qos=1)
    wait_for(lambda: broker.sink("http:hook")["dropped.queue_full"] > 800, 5, lambda: f"drops in {broker.sink('http:hook')}")
    assert broker.rule("hook")["passed"] == 1000
    revived = faulty_receiver(port=receiver.port)
    wait_for(lambda: revived.accepted and revived.accepted[-1].json["n"] == 999, 15, "the newest message")
    got = numbers(revived.accepted)
    assert got == sorted(got) and len(got) < 200


def test_counters_add_up_at_any_time(sluice, client, faulty_receiver):
    receiver = faulty_receiver(lambda request, number: 503 if number % 2 else None)
    rule = webhook_rule("hook", "h/#", receiver.url, select="payload.n as n") .replace('FROM "h/#"', 'FROM "h/#" WHERE payload.n >= 10')
    broker = sluice(rules={"hook.yaml": rule})
    publisher = client(broker)

    def check():
        rule_, sink = broker.rule("hook"), broker.sink("http:hook")
        assert rule_["matched"] == rule_["passed"] + rule_["failed.no_result"] + rule_["failed.exception"], rule_
        actions = sum(rule_[f"actions.{name}"] for name in ("success", "failed", "dropped", "queued"))
        assert rule_["passed"] == actions, rule_
        total = sum(sink[name] for name in ("success", "failed", "dropped", "queuing", "inflight"))
        assert sink["received"] == total, sink
        return rule_, sink, total

    for burst in range(5):
        publish_numbered(publisher, "h/a", 30)
        publisher.publish("h/a", b"not json", qos=1)
        check()
    wait_for(lambda: len(receiver.accepted) >= 100, 30, "100 accepted")

    def settled():
        rule_, sink, total = check()
        return sink["success"] == 100 and total == rule_["passed"] == 100

    wait_for(settled, 5, lambda: f"passed = success + failed + dropped + queuing + inflight = 100: {check()}")
    rule_, _, _ = check()
    assert (rule_["matched"], rule_["failed.no_result"], rule_["failed.exception"]) == (155, 50, 5)


def test_a_hanging_receiver_does_not_slow_the_message_path(sluice, client, faulty_receiver):
    receiver = faulty_receiver(lambda request, number: "hang")
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "#", receiver.url)})
    subscriber, publisher = client(broker), client(broker)
    subscriber.subscribe("m/#", qos=1)
    for first in range(0, 2000, 500):  # no more than the subscriber's queue holds
        publish_numbered(publisher, "m/a", 500, first=first)
        assert [json.loads(m.payload)["n"] for m in subscriber.receive(500, deadline=5)] == list(range(first, first + 500))
    receiver.stop()


def test_sigterm_delivers_what_a_webhook_still_holds(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url)})
    publish_numbered(client(broker), "h/a", 500)
    broker.terminate()
    assert numbers(receiver.accepted) == list(range(500))


def test_sigterm_ends_in_time_although_the_receiver_is_down(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    receiver.stop()
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url)})
    publish_numbered(client(broker), "h/a", 10)
    broker.terminate(deadline=40)


# ---------------------------------------------------------------- file

def test_every_line_is_whole_json_and_in_order(sluice, client):
    broker = sluice(rules={"f.yaml": file_rule("out", "f/#", select="clientid, payload.n as n, topic")})
    publishers = [client(broker, f"w{n}") for n in range(4)]
    for start in range(0, 500, 50):
        for publisher in publishers:
            publish_numbered(publisher, "f/a", 50, first=start)
    lines = wait_for(lambda: len(found := sink_lines(broker.folder, "out")) >= 2000 and found, 10, "2000 lines")
    for publisher in publishers:
        assert [line["n"] for line in lines if line["clientid"] == publisher.client_id] == list(range(500))


def test_rows_gathered_under_load_keep_order_publisher_and_counts(sluice, client):
    """Under load rules are evaluated some milliseconds later: also for a client that is gone by then."""
    broker = sluice(rules={"f.yaml": file_rule("out", "f/#", select="clientid, payload.n as n"),
                           "d.yaml": file_rule("gone", "$events/client_disconnected", select="clientid")})
    names = [unique("burst") for _ in range(10)]
    for number, name in enumerate(names):
        with Client(broker.port, name) as sender:
            for n in range(400):  # a write each, so that the loop sees many small ticks
                sender.publish("f/a", b'{"n":%d}' % n)
            sender.ping()
            assert broker.rule("out")["matched"] == 420 * number + 400, "counters hold all that was answered"
            for n in range(400, 420):
                sender.publish("f/a", b'{"n":%d}' % n)
            sender.disconnect()
        wait_for(lambda: broker.rule("gone")["matched"] == number + 1, 5, "the end of the client")
        # What a client sent was evaluated before its end was.
        assert broker.rule("out")["matched"] == 420 * (number + 1)
    lines = wait_for(lambda: len(found := sink_lines(broker.folder, "out")) >= 4200 and found, 10, "4,200 lines")
    assert [(line["clientid"], line["n"]) for line in lines] == [(name, n) for name in names for n in range(420)]


@pytest.mark.parametrize("attempt", range(3))
def test_kill_9_leaves_no_torn_line_behind(sluice, client, attempt):
    broker = sluice(rules={"f.yaml": file_rule("out", "f/#", select="payload.n as n, payload.pad as pad")})
    enough = threading.Event()

    def publish_until_killed():
        try:
            with Client(broker.port, unique("w")) as publisher:
                number = 0
                while True:
                    payloads = [json.dumps({"n": n, "pad": "p" * (n * 37 % 3000)}) for n in range(number, number + 50)]
                    publisher.publish_all("f/a", [p.encode() for p in payloads], qos=1, window=50)
                    number += 50
        except (Closed, OSError):
            enough.set()

    writer = threading.Thread(target=publish_until_killed, daemon=True)
    writer.start()
    wait_for(lambda: len(sink_bytes(broker.folder, "out")) > 200_000 * (attempt + 1), 15, "some lines")
    broker.kill()
    assert enough.wait(10)
    survived = len(sink_lines(broker.folder, "out"))
    assert survived > 0
    broker.start()
    publish_numbered(client(broker), "f/a", 5, first=1_000_000)
    wait_for(lambda: sink_bytes(broker.folder, "out").count(b'"n":1000004') == 1, 10, "the lines after the restart")
    data = sink_bytes(broker.folder, "out")
    assert data.endswith(b"\n")
    found = [json.loads(line)["n"] for line in data.split(b"\n")[:-1]]  # raises on a torn line
    assert found[:survived] == list(range(survived)), "an earlier line was lost"
    assert found[-5:] == list(range(1_000_000, 1_000_005))


def test_sigterm_writes_what_a_file_sink_still_holds(sluice, client):
    rule = file_rule("out", "f/#", select="payload.n as n").replace("max_messages: 100, max_wait: 20ms", "max_messages: 1000, max_wait: 5s")
    broker = sluice(rules={"f.yaml": rule})
    publish_numbered(client(broker), "f/a", 2500)
    broker.terminate()
    assert [line["n"] for line in sink_lines(broker.folder, "out")] == list(range(2500))


def test_a_field_in_a_path_cannot_leave_the_base_folder(sluice, client):
    rule = file_rule("out", "f/#", select="payload.d as d, payload.n as n").replace('path: "out.jsonl"', 'path: "parts/${d}/out.jsonl"')
    broker = sluice(rules={"f.yaml": rule})
    publisher = client(broker)
    for number, part in enumerate(["a", "../../../escape", "/tmp/escape", "..", "b"]):
        publisher.publish("f/a", json.dumps({"d": part, "n": number}), qos=1)
    wait_for(lambda: {line["n"] for line in sink_lines(broker.folder, "out.jsonl")} >= {0, 4}, 10, "lines of a and b")
    outside = [p for p in broker.folder.rglob("*escape*") if "parts" not in p.relative_to(broker.folder).parts]
    assert not outside, outside


def test_files_rotate_by_size_without_losing_a_line(sluice, client):
    rule = file_rule("out", "f/#", select="payload.n as n, payload.pad as pad", extra="      rotate: {size: 64KB}")
    broker = sluice(rules={"f.yaml": rule})
    client(broker).publish_all("f/a", [json.dumps({"n": n, "pad": "x" * 900}).encode() for n in range(500)], qos=1)
    wait_for(lambda: len(sink_lines(broker.folder, "out")) >= 500, 10, "500 lines")
    assert sorted(line["n"] for line in sink_lines(broker.folder, "out")) == list(range(500))
    files = [p for p in broker.folder.rglob("out*") if p.is_file()]
    assert len(files) >= 5 and all(p.stat().st_size <= 80 * 1024 for p in files), [(p.name, p.stat().st_size) for p in files]


# ---------------------------------------------------------------- republish

def test_rules_that_republish_to_each_other_stop_after_the_hop_limit(sluice, client):
    broker = sluice(rules={"a.yaml": republish_rule("a", "ping/#", "pong/x"), "b.yaml": republish_rule("b", "pong/#", "ping/x")})
    watcher = client(broker)
    watcher.subscribe("ping/#", "pong/#", qos=1)
    client(broker).publish("ping/start", b"go", qos=1)
    first = wait_for(lambda: watcher.read(0.1) and list(watcher.messages), 5, "the first hops")
    assert first
    assert count_until_quiet(watcher) <= 20
    assert broker.alive()


def count_until_quiet(watcher) -> int:
    """Counts messages until a round trip brings no more."""
    before = -1
    while before != len(watcher.messages):
        before = len(watcher.messages)
        for _ in range(3):
            watcher.ping()
        assert before < 1000, "the rules run for ever"
    return before


def test_republish_takes_qos_retain_and_properties_from_its_templates(sluice, client):
    rule = """
version: 1
rules:
  r:
    sql: |
      SELECT payload.q as q, payload.text as text FROM "in/#"
    actions:
      - function: republish
        args:
          topic: "out/${q}"
          qos: "${q}"
          retain: true
          payload: "${text}"
          mqtt_properties: {Content-Type: text/plain, Message-Expiry-Interval: "60"}
"""
    broker = sluice(rules={"r.yaml": rule})
    subscriber = client(broker, version=5)
    subscriber.subscribe("out/+", qos=2)
    publisher = client(broker)
    for qos in range(3):
        publisher.publish("in/a", json.dumps({"q": qos, "text": f"t{qos}"}), qos=1)
    for qos, message in enumerate(subscriber.receive(3)):
        assert (message.topic, message.qos, message.payload) == (f"out/{qos}", qos, b"t%d" % qos)
        assert message.properties[0x03] == "text/plain" and message.properties[0x02] in (59, 60)
    late = client(broker)
    late.subscribe("out/1")
    assert late.message().retain


def test_events_are_rules_sources(sluice, client):
    rule = file_rule("events", "$events/client_connected\", \"$events/client_disconnected\", \"$events/session_subscribed\", "
                               "\"$events/message_dropped", select="event, clientid, topic, reason")
    broker = sluice(rules={"e.yaml": rule})
    with Client(broker.port, "watched") as watched:
        watched.subscribe("some/topic", qos=1)
        watched.publish("nobody/listens", b"x", qos=1)
        watched.disconnect()
    wait_for(lambda: {line["event"] for line in sink_lines(broker.folder, "events") if line["clientid"] == "watched"} >=
             {"client.connected", "session.subscribed", "message.dropped", "client.disconnected"}, 5,
             lambda: f"four events in {sink_lines(broker.folder, 'events')}")


# ---------------------------------------------------------------- republish


def test_a_republish_to_what_is_no_topic_is_counted_as_failed_and_said_once(sluice, client):
    broker = sluice(rules={"r.yaml": republish_rule("again", "in/#", "${payload}")})
    watcher, publisher = client(broker), client(broker)
    watcher.subscribe("#", qos=1)
    wrong = [b"a/+", b"#", b"", b"a\0b", b"\xff\xfe", b"a\xed\xa0\x80", b"/".join([b"x"] * 200)]
    for _ in range(30):
        for topic_ in wrong:
            publisher.publish("in/a", topic_, qos=1)
    publisher.publish("in/a", b"out/good", qos=1)
    got = watcher.receive(30 * len(wrong) + 2)
    assert [m.topic for m in got if m.topic != "in/a"] == ["out/good"]
    counts = broker.rule("again")
    assert counts["actions.failed"] == 30 * len(wrong) and counts["actions.success"] == 1, counts
    broker.wait_for_output("Republishes did not take place", 5)
    # The timer looks twice a second.
    holds_for(lambda: broker.output.count("Republishes did not take place") == 1, 1.5, "one line alone")
