"""`sluice ctl` and the $SYS topics: what an operator sees."""

import json

from support.mqtt import unique
from support.rule_texts import file_rule, republish_rule
from support.waiting import wait_for


def test_rules_and_sinks_are_listed_and_shown(sluice, client):
    broker = sluice(rules={"f.yaml": file_rule("keep", "k/#"), "r.yaml": republish_rule("again", "a/#", "b/x")})
    for _ in range(3):
        client(broker).publish("k/a", b'{"n":1}', qos=1)
    listed = broker.ctl("rules", "list").stdout
    assert "keep" in listed and "again" in listed
    assert "file:keep" in broker.ctl("sinks", "list").stdout
    shown = broker.ctl("rules", "show", "keep").stdout
    assert "keep" in shown and "matched" in shown and 'FROM "k/#"' in shown
    wait_for(lambda: broker.sink("file:keep")["success"] == 3, 5, lambda: f"3 successes in {broker.sink('file:keep')}")
    assert broker.rule("keep")["matched"] == broker.rule("keep")["passed"] == 3
    assert broker.rule("again")["matched"] == 0


def test_json_output_is_json_and_nothing_else(sluice):
    broker = sluice(rules={"f.yaml": file_rule("keep", "k/#")})
    for words in (["status"], ["rules", "list"], ["rules", "show", "keep"], ["sinks", "list"], ["sinks", "show", "file:keep"]):
        result = broker.ctl(*words, "--json")
        assert json.loads(result.stdout), words
        assert not result.stderr


def test_the_last_error_of_a_rule_is_shown(sluice, client):
    broker = sluice(rules={"r.yaml": 'version: 1\nrules: {r: {sql: SELECT payload.a AS a FROM "in"}}\n'})
    assert "Last error" not in broker.ctl("rules", "show", "r").stdout
    client(broker).publish("in", b"no", qos=1)
    assert "decode_json: the payload is not JSON, at byte 0" in broker.ctl("rules", "show", "r").stdout
    error = broker.ctl_json("rules", "show", "r")["last_error"]
    assert error["error"] == "decode_json" and error["part"] == "statement" and error["at"] > 0


def test_an_unknown_rule_or_sink_is_an_error(sluice):
    broker = sluice(rules={"f.yaml": file_rule("keep", "k/#")})
    for words in (["rules", "show", "kept"], ["sinks", "show", "file:kept"]):
        result = broker.ctl(*words, check=False)
        assert result.returncode not in (0, 3), words
        assert "kept" in result.stdout + result.stderr


def test_an_unknown_command_says_how_to_use_it(sluice):
    result = sluice().ctl("rulse", "list", check=False)
    assert result.returncode != 0 and "rules" in result.stdout + result.stderr


def test_ctl_reload_loads_changed_files(sluice, client):
    broker = sluice(rules={"r.yaml": republish_rule("r", "in/#", "out/old")})
    broker.write_rules("r.yaml", republish_rule("r", "in/#", "out/new"))
    broker.ctl("rules", "reload")
    probe = client(broker)
    probe.subscribe("out/+", qos=1)
    probe.publish("in/a", b"x", qos=1)
    assert probe.message().topic == "out/new"


def test_the_sys_topics_tell_version_uptime_and_node(sluice, client):
    broker = sluice({"sys_topics": {"sys_msg_interval": "1s", "sys_heartbeat_interval": "1s"}})
    watcher = client(broker)
    watcher.subscribe("$SYS/brokers/#", qos=1)
    seen = {}

    def complete():
        watcher.read(0.05)
        seen.update((m.topic, m.payload) for m in watcher.messages)
        watcher.messages.clear()
        node = "$SYS/brokers/sluice@127.0.0.1"
        return {"$SYS/brokers", f"{node}/version", f"{node}/uptime", f"{node}/datetime"} <= set(seen)

    wait_for(complete, 10, lambda: f"the heartbeat among {sorted(seen)}")
    assert seen["$SYS/brokers"] == b"sluice@127.0.0.1"
    everything = client(broker)
    everything.subscribe("#", qos=1)
    everything.nothing_came(unique("n"))
