"""Every event that a rule can listen to happens in the running broker, with just the columns that are declared."""

import json
import struct

import pytest

from support.broker import run_sluice
from support.mqtt import PUBACK, PUBREC, Client, encode_properties, packet
from support.rule_texts import file_rule, sink_lines, webhook_rule
from support.waiting import wait_for

USER_PROPERTY, EXPIRY, SUBSCRIPTION, RECEIVE_MAXIMUM, SESSION_EXPIRY = 0x26, 0x02, 0x0B, 0x21, 0x11
NO_LOCAL, RETAIN_AS_PUBLISHED = 4, 8


def declarations() -> dict[str, dict]:
    listed = json.loads(run_sluice("rules", "events", "--json").stdout)
    return {item["event"]: item for item in listed}


def event_rules() -> str:
    """All events by a wildcard, and each by each of its names, to a file per kind of name."""
    named = [(item["event"], position, topic) for item in declarations().values() for position, topic in enumerate(item["topics"])]
    rules = "".join(f"""
  {event.replace(".", "-")}-{position}:
    sql: SELECT * FROM "{topic}"
    actions: ["file:name{position}"]
    undefined_as: "null"
""" for event, position, topic in named)
    files = "".join(f'    name{position}: {{path: "name{position}.jsonl", batch: {{max_messages: 100, max_wait: 20ms}}}}\n'
                    for position in sorted({position for _, position, _ in named}))
    return f"""
version: 1
actions:
  file:
    all: {{path: "all.jsonl", batch: {{max_messages: 100, max_wait: 20ms}}}}
    published: {{path: "published.jsonl", batch: {{max_messages: 100, max_wait: 20ms}}}}
{files}
rules:
  all: {{sql: 'SELECT * FROM "$events/#"', actions: ["file:all"], undefined_as: "null"}}
  published: {{sql: 'SELECT * FROM "t/#"', actions: ["file:published"], undefined_as: "null"}}
{rules}
"""


@pytest.fixture(scope="module")
def story():
    """A broker that has seen something of everything; the lines of its files by name."""
    from support.broker import Sluice

    broker = Sluice(rules={"events.yaml": event_rules()}).start()
    try:
        subject = Client(broker.port, "subject", version=5, username="u1", keepalive=30, acknowledge=False,
                         properties={SESSION_EXPIRY: 60, RECEIVE_MAXIMUM: 7, USER_PROPERTY: [("a", "1"), ("a", "2")]})
        subject.subscribe("t/+", qos=2, options=RETAIN_AS_PUBLISHED, properties={SUBSCRIPTION: 9, USER_PROPERTY: [("s", "1")]})
        subject.subscribe("$share/g/shared/x", qos=1)
        subject.ping()
        other = Client(broker.port, "other", version=5, username="u2")
        other.publish("t/1", b'{"n":1}', qos=1, retain=True, properties={EXPIRY: 600, USER_PROPERTY: [("k", "v")]})
        subject.until(lambda: subject.messages, what="the first message")
        # The identifiers of what the broker sends begin with 1.
        subject.send(packet(PUBACK, 0, struct.pack(">H", 1) + b"\0" + encode_properties({USER_PROPERTY: [("ack", "1")]})))
        other.send(other.publish_packet("t/2", b"two", 2, False, other.identifier()))
        subject.until(lambda: len(subject.messages) >= 2, what="the second message")
        subject.send(packet(PUBREC, 0, struct.pack(">H", 2)))
        subject.ping()
        other.publish("nobody/listens", b"x", qos=1)
        other.subscribe("own", qos=1, options=NO_LOCAL)
        other.publish("own", b"x", qos=1)
        subject.unsubscribe("t/+")
        subject.disconnect()
        other.close()
        refused = Client(broker.port, "", version=4, connect=False)
        refused.send(refused.connect_packet(clean=False))
        refused.wait_closed()
        broker.write_rules("events.yaml", event_rules() + "  broken: {sql: SELEC, actions: []}\n")
        wait_for(lambda: broker.ctl_json("alarms", "activated"), 10, "the alarm")
        broker.write_rules("events.yaml", event_rules())
        wait_for(lambda: not broker.ctl_json("alarms", "activated"), 10, "the end of the alarm")
        expected = set(declarations()) - {"message.publish"}
        wait_for(lambda: {line["event"] for line in sink_lines(broker.folder, "all")} >= expected, 10,
                 lambda: f"events {expected - {line['event'] for line in sink_lines(broker.folder, 'all')}}")
        wait_for(lambda: any(line["clientid"] == "other" for line in of(sink_lines(broker.folder, "all"), "client.disconnected")),
                 10, "the end of the other client")
        files = {name: sink_lines(broker.folder, name) for name in ("all", "name0", "name1", "name2", "published")}
        broker.terminate()
        yield files
    finally:
        broker.close()


def of(lines: list, event: str) -> list:
    return [line for line in lines if line["event"] == event]


def one(lines: list, event: str, **columns) -> dict:
    found = [line for line in of(lines, event) if all(line[name] == value for name, value in columns.items())]
    assert found, f"no {event} with {columns} among {of(lines, event)}"
    return found[0]


def test_each_event_has_the_declared_columns_and_no_other(story):
    for event, declared in declarations().items():
        lines = of(story["published" if event == "message.publish" else "all"], event)
        assert lines, event
        for line in lines:
            assert set(line) - {"metadata"} == {column["name"] for column in declared["columns"]}, event
            for column in declared["columns"]:
                check(event, column, line[column["name"]])


def check(event: str, column: dict, value) -> None:
    """A value is of the declared kind; only what may be missing is."""
    kinds = {"text": str, "word": str, "integer": int, "boolean": bool, "object": dict}
    if value is None:
        assert column["optional"], (event, column)
    else:
        assert type(value) is kinds[column["kind"]], (event, column, value)


def test_every_name_of_an_event_means_the_same(story):
    def shown(lines, event):
        return sorted(json.dumps({k: v for k, v in line.items() if k not in ("metadata", "timestamp")}, sort_keys=True)
                      for line in of(lines, event))

    for event, declared in declarations().items():
        for position, _ in enumerate(declared["topics"]):
            assert shown(story[f"name{position}"], event) == shown(story["all"], event), (event, position)


def test_clients_are_seen_from_connect_to_disconnect(story):
    lines = story["all"]
    connected = one(lines, "client.connected", clientid="subject")
    assert connected["username"] == "u1" and connected["proto_ver"] == 5 and connected["proto_name"] == "MQTT"
    assert connected["keepalive"] == 30 and connected["expiry_interval"] == 60 and connected["receive_maximum"] == 7
    assert connected["conn_props"] == {
        "Session-Expiry-Interval": 60, "Receive-Maximum": 7, "User-Property": {"a": "2"},
        "User-Property-Pairs": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}
    assert connected["clean_start"] is True and connected["is_bridge"] is False and connected["mountpoint"] is None
    accepted = one(lines, "client.connack", clientid="subject")
    assert accepted["reason_code"] == "success" and accepted["conn_props"] == connected["conn_props"]
    refused = one(lines, "client.connack", reason_code="client_identifier_not_valid")
    assert refused["clientid"] == "" and refused["proto_ver"] == 4 and refused["clean_start"] is False
    ping = one(lines, "client.ping", clientid="subject")
    assert ping["keepalive"] == 30 and ping["peername"] == connected["peername"]
    assert one(lines, "client.disconnected", clientid="subject")["reason"] == "normal"
    gone = one(lines, "client.disconnected", clientid="other")
    assert gone["reason"] == "tcp_closed" and gone["disconnected_at"] >= gone["connected_at"]


def test_access_control_says_what_is_decided_today(story):
    lines = story["all"]
    who = one(lines, "client.check_authn_complete", clientid="subject")
    assert (who["reason_code"], who["is_anonymous"], who["is_superuser"]) == ("success", True, False)
    # Refused before anybody asks who it is.
    assert not [line for line in of(lines, "client.check_authn_complete") if line["clientid"] == ""]
    checks = {(line["clientid"], line["action"], line["topic"]) for line in of(lines, "client.check_authz_complete")}
    assert checks == {
        ("subject", "subscribe", "t/+"), ("subject", "subscribe", "shared/x"), ("other", "subscribe", "own"),
        ("other", "publish", "t/1"), ("other", "publish", "t/2"), ("other", "publish", "nobody/listens"),
        ("other", "publish", "own")}
    assert {(line["result"], line["authz_source"]) for line in of(lines, "client.check_authz_complete")} == {("allow", "default")}


def test_sessions_tell_their_subscriptions(story):
    subscribed = one(story["all"], "session.subscribed", topic="t/+")
    assert subscribed["qos"] == 2 and subscribed["sub_props"]["Subscription-Identifier"] == 9
    assert subscribed["sub_props"]["User-Property"] == {"s": "1"}
    assert one(story["all"], "session.subscribed", topic="$share/g/shared/x")["qos"] == 1
    unsubscribed = one(story["all"], "session.unsubscribed", topic="t/+")
    assert unsubscribed["qos"] == 2 and unsubscribed["unsub_props"] == {"User-Property": {}}


def test_a_message_is_seen_from_publish_to_acknowledgement(story):
    published = one(story["published"], "message.publish", topic="t/1")
    assert published["pub_props"] == {"Message-Expiry-Interval": 600, "User-Property": {"k": "v"},
                                      "User-Property-Pairs": [{"key": "k", "value": "v"}]}
    assert published["flags"] == {"dup": False, "retain": True} and published["clientid"] == "other"
    delivered = one(story["all"], "message.delivered", topic="t/1")
    assert (delivered["from_clientid"], delivered["clientid"]) == ("other", "subject")
    assert (delivered["from_username"], delivered["username"]) == ("u2", "u1")
    assert delivered["id"] == published["id"] and delivered["qos"] == 1 and delivered["flags"]["retain"] is True
    assert delivered["pub_props"]["Subscription-Identifier"] == 9
    assert delivered["pub_props"]["Message-Expiry-Interval"] in (599, 600)
    acked = one(story["all"], "message.acked", topic="t/1")
    assert acked["id"] == published["id"] and acked["pub_props"]["Message-Expiry-Interval"] == 600
    assert acked["puback_props"] == {"User-Property": {"ack": "1"}, "User-Property-Pairs": [{"key": "ack", "value": "1"}]}
    received = one(story["all"], "message.acked", topic="t/2")
    assert received["qos"] == 2 and received["puback_props"] == {"User-Property": {}}


def test_what_is_dropped_says_why(story):
    dropped = one(story["all"], "message.dropped", topic="nobody/listens")
    assert dropped["reason"] == "no_subscribers" and dropped["clientid"] == "other"
    undelivered = one(story["all"], "delivery.dropped", topic="own")
    assert undelivered["reason"] == "no_local"
    assert undelivered["clientid"] == undelivered["from_clientid"] == "other"


def test_refused_rule_files_are_an_alarm_until_they_are_right(story):
    begun = one(story["all"], "alarm.activated", name="rules_not_loaded")
    assert "SELEC" in json.dumps(begun["details"]["problems"]) and "refused" in begun["message"]
    ended = one(story["all"], "alarm.deactivated", name="rules_not_loaded")
    assert ended["activated_at"] == begun["activated_at"] <= ended["deactivated_at"]


def test_a_delivery_shows_its_own_qos_and_a_resent_one_is_seen_again(sluice):
    broker = sluice(rules={"e.yaml": file_rule("e", '$events/message_delivered", "$events/message_acked',
                                               select="event, clientid, qos, flags")})
    sleeper = Client(broker.port, "sleeper", version=5, clean=True, properties={SESSION_EXPIRY: 60}, acknowledge=False)
    sleeper.subscribe("d/x", qos=1)
    with Client(broker.port, version=5, client_id="publisher") as publisher:
        publisher.publish("d/x", b"x", qos=2, retain=True)
    sleeper.until(lambda: sleeper.messages, what="the message")
    sleeper.close()
    back = Client(broker.port, "sleeper", version=5, clean=False, properties={SESSION_EXPIRY: 60})
    back.until(lambda: back.messages, what="the message again")
    back.ping()
    lines = wait_for(lambda: (found := sink_lines(broker.folder, "e")) and len(found) >= 3 and found, 5, "three events")
    assert [line["event"] for line in lines] == ["message.delivered", "message.delivered", "message.acked"]
    assert {line["qos"] for line in lines} == {1} and {line["flags"]["retain"] for line in lines} == {False}
    back.close()


def test_too_many_open_qos_2_messages_are_a_dropped_message(sluice):
    broker = sluice({"mqtt": {"max_awaiting_rel": 1}},
                    rules={"e.yaml": file_rule("e", "$events/message_dropped", select="topic, reason")})
    publisher = Client(broker.port, "publisher", version=5)
    publisher.send(publisher.publish_packet("a", b"x", 2, False, 1))
    publisher.send(publisher.publish_packet("b", b"x", 2, False, 2))
    publisher.wait_closed()
    wait_for(lambda: {"topic": "b", "reason": "receive_maximum_exceeded"} in sink_lines(broker.folder, "e"), 5, "the drop")


def test_rules_on_their_own_deliveries_end(sluice, client):
    """A rule that republishes deliveries would feed itself; the hop limit ends it."""
    rule = """
version: 1
rules:
  echo:
    sql: SELECT * FROM "$events/message_delivered"
    actions: [{function: republish, args: {topic: "echo/${topic}", payload: "${payload}", qos: 0}}]
"""
    broker = sluice(rules={"r.yaml": rule})
    listener = client(broker)
    listener.subscribe("#")
    client(broker).publish("a", b"x", qos=1)
    wait_for(lambda: broker.rule("echo")["matched"] >= 2, 5, "the echo")
    listener.ping()
    matched = broker.rule("echo")["matched"]
    assert matched <= 10


@pytest.mark.parametrize("topic, message", [
    ("$events/schema_validation_failed", "SQL103: `$events/schema_validation_failed` never happens: there is no schema validation"),
    ("$events/message_transformation/failed",
     "SQL103: `$events/message_transformation/failed` never happens: there is no message transformation"),
    ("$events/message_publish", "SQL103: `$events/message_publish`: a publish is chosen by its topic"),
    ("$events/nothing/#", "SQL103: no event matches `$events/nothing/#`"),
    ("$bridges/mqtt:a", "SQL104: `$bridges/mqtt:a`: a rule cannot read from a bridge"),
])
def test_names_that_are_no_events_are_refused_and_say_why(tmp_path, topic, message):
    file = tmp_path / "r.yaml"
    file.write_text(file_rule("r", topic))
    result = run_sluice("rules", "check", str(file), check=False)
    assert result.returncode == 1
    assert message in result.stdout + result.stderr


def test_a_sink_that_is_not_reachable_is_an_alarm_until_it_is(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    receiver.stop()
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url),
                           "e.yaml": file_rule("e", "$events/sys/+")})
    watcher = client(broker)
    watcher.subscribe("$SYS/brokers/+/alarms/+", qos=0)
    client(broker).publish("h/a", b'{"n":1}', qos=1)
    alarm = wait_for(lambda: broker.ctl_json("alarms", "activated"), 15, "the alarm")[0]
    assert alarm["name"] == "action:http:hook" and alarm["activated"] is True and alarm["node"] == "sluice@127.0.0.1"
    assert alarm["details"] == {"resource_id": "action:http:hook", "reason": "resource_down"}
    assert alarm["message"].startswith("resource down: ") and "deactivate_at" not in alarm
    assert "name=action:http:hook, activated=true" in broker.ctl("alarms", "list").stdout
    assert broker.ctl("alarms", "history").stdout == "No alarms.\n"
    faulty_receiver(port=receiver.port)
    over = wait_for(lambda: broker.ctl_json("alarms", "history"), 15, "the end of the alarm")[0]
    assert over["name"] == alarm["name"] and over["activated"] is False and over["activate_at"] == alarm["activate_at"]
    assert broker.ctl_json("alarms", "activated") == []
    begun, ended = watcher.receive(2)
    assert begun.topic == "$SYS/brokers/sluice@127.0.0.1/alarms/activate"
    assert ended.topic == "$SYS/brokers/sluice@127.0.0.1/alarms/deactivate"
    told = json.loads(begun.payload)
    assert set(told) == {"name", "details", "message", "activate_at", "deactivate_at", "activated"}
    assert told["activated"] is True and told["deactivate_at"] == "infinity"
    assert json.loads(ended.payload)["deactivate_at"] > told["activate_at"]
    events = wait_for(lambda: (found := sink_lines(broker.folder, "e")) and len(found) >= 2 and found, 5, "two events")
    assert [line["event"] for line in events] == ["alarm.activated", "alarm.deactivated"]
    assert events[0]["activated_at"] == told["activate_at"] // 1000


def test_a_sink_that_a_reload_removes_takes_its_alarm_along(sluice, client, faulty_receiver):
    receiver = faulty_receiver()
    receiver.stop()
    broker = sluice(rules={"hook.yaml": webhook_rule("hook", "h/#", receiver.url)})
    client(broker).publish("h/a", b'{"n":1}', qos=1)
    wait_for(lambda: broker.ctl_json("alarms", "activated"), 15, "the alarm")
    (broker.rules_folder / "hook.yaml").unlink()
    wait_for(lambda: not broker.ctl_json("alarms", "activated"), 10, "the end of the alarm")
    assert [alarm["name"] for alarm in broker.ctl_json("alarms", "history")] == ["action:http:hook"]
