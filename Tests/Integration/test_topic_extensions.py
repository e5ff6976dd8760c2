"""EMQX's topic extensions as the configuration file switches them on: delayed, exclusive, rewrite, automatic subscriptions."""

import json

from support.waiting import wait_for


def test_delayed_messages_are_listed_deleted_and_published(sluice, client):
    broker = sluice({"delayed": {"max_delayed_messages": 3}})
    reader, sender = client(broker), client(broker, "sender")
    reader.subscribe("late/#", qos=1)
    for topic in ("$delayed/1/late/a", "$delayed/600/late/b", "$delayed/600/late/c"):
        sender.publish(topic, b"x", qos=1)
    status = json.loads(broker.ctl("delayed", "status", "--json").stdout)
    assert status["enable"] is True and status["max_delayed_messages"] == 3
    assert reader.message().topic == "late/a"
    listed = json.loads(broker.ctl("delayed", "list", "--json").stdout)
    assert [(m["topic"], m["from_clientid"], m["delayed_interval"]) for m in listed] == [
        ("late/b", "sender", 600), ("late/c", "sender", 600)]
    broker.ctl("delayed", "delete", listed[0]["msgid"])
    broker.ctl("delayed", "delete", "late/c")
    assert broker.ctl("delayed", "delete", "late/c", check=False).returncode == 4
    assert "No delayed messages" in broker.ctl("delayed", "list").stdout


def test_rewrite_auto_subscribe_and_exclusive_come_from_the_configuration(sluice, client):
    broker = sluice({
        "mqtt": {"exclusive_subscription": True},
        "rewrite": [{"action": "publish", "source_topic": "x/#", "re": "^x/(.+)$", "dest_topic": "inbox/$1"}],
        "auto_subscribe": {"topics": [{"topic": "inbox/${clientid}", "qos": 1}]},
    })
    receiver, sender = client(broker, "receiver"), client(broker, "sender")
    sender.publish("x/receiver", b"hello", qos=1)
    assert receiver.message().topic == "inbox/receiver"
    receiver.subscribe("$exclusive/alone", qos=0)
    wait_for(lambda: "topic:alone -> ClientId:receiver" in broker.ctl("exclusive", "list").stdout, 5, "the exclusive one")


def test_a_rewrite_rule_with_a_wrong_expression_stops_the_start(sluice):
    broker = sluice({"rewrite": [{"source_topic": "x", "re": "(", "dest_topic": "y"}]}, run=False)
    broker.launch()
    assert broker.exit_code() != 0
    assert "rewrite.1.re" in broker.output
