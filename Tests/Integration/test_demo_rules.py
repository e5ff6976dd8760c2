"""The rule files that come with the repository do what the README says."""

import json
import shutil

import pytest

from support.broker import ROOT, Sluice, run_sluice
from support.http_receiver import FlaskReceiver
from support.mqtt import unique
from support.rule_texts import sink_lines
from support.waiting import holds_for, wait_for


@pytest.fixture
def demo(sluice, flask_receiver):
    """A broker with copies of rules/; the receiver that FLASK_URL names is not running yet."""
    broker: Sluice = sluice(run=False, env={"FLASK_URL": flask_receiver.url})
    for file in (ROOT / "rules").glob("*.yaml"):
        shutil.copy(file, broker.rules_folder)
    return broker.start()


def test_everything_below_demo_is_archived(demo, client):
    publisher = client(demo, "archivist")
    for number in range(200):
        publisher.publish(f"demo/a/{number % 5}", f"hello {number}", qos=number % 3)
    publisher.publish("other/a", b"not me", qos=1)
    lines = wait_for(lambda: len(found := sink_lines(demo.folder, "20")) >= 200 and found, 5, "200 lines")
    assert [line["payload"] for line in lines] == [f"hello {n}" for n in range(200)]
    assert {line["clientid"] for line in lines} == {"archivist"}
    assert {line["username"] for line in lines} == {None}
    assert [line["qos"] for line in lines] == [n % 3 for n in range(200)]


def test_a_hot_temperature_waits_until_the_receiver_runs_and_arrives_in_order(demo, client, flask_receiver: FlaskReceiver):
    devices = [unique("dev") for _ in range(3)]
    for device in devices:
        publisher = client(demo, device)
        for temp in range(35, 60):
            publisher.publish("demo/oven/temperature", json.dumps({"temp": temp + 0.5}), qos=1)
        publisher.publish("demo/oven/temperature", json.dumps({"temp": "n/a"}), qos=1)
    expected = [temp + 0.5 for temp in range(40, 60)]
    wait_for(lambda: demo.rule("hot-temperature")["passed"] == 60, 5, "60 passed")
    assert not flask_receiver.requests
    flask_receiver.start()
    wait_for(lambda: len(flask_receiver.requests) >= 60, 20, lambda: f"60 requests, have {len(flask_receiver.requests)}")
    holds_for(lambda: len(flask_receiver.requests) == 60, 0.3, "exactly 60 requests")
    for request in flask_receiver.requests:
        assert (request.method, request.path) == ("POST", "/")
        assert request.headers["Content-Type"] == "application/json"
        assert set(request.json) == {"clientid", "topic", "temp", "timestamp"}
    for device in devices:
        assert [r.json["temp"] for r in flask_receiver.requests if r.json["clientid"] == device] == expected


def test_a_frame_is_split_and_republished(demo, client):
    subscriber = client(demo)
    subscriber.subscribe("demo/sensor/#", qos=1)
    sensors = [{"name": "t", "value": 21.5}, {"name": "h", "value": None}, {"name": "p", "value": 1013}]
    client(demo, "g1").publish("demo/gateway/g1/frame", json.dumps({"ts": 1700000000, "sensors": sensors}), qos=1)
    first, second = subscriber.receive(2)
    assert (first.topic, first.qos, json.loads(first.payload)) == ("demo/sensor/g1/t", 1, {"value": 21.5, "ts": 1700000000})
    assert (second.topic, json.loads(second.payload)) == ("demo/sensor/g1/p", {"value": 1013, "ts": 1700000000})
    # The archive rule sees what the split rule published, too.
    wait_for(lambda: {line["topic"] for line in sink_lines(demo.folder, "20")} >=
             {"demo/gateway/g1/frame", "demo/sensor/g1/t", "demo/sensor/g1/p"}, 5, "three archived messages")


def test_the_start_says_what_listens_what_was_loaded_and_what_to_do_next(demo):
    output = demo.output
    assert f"127.0.0.1:{demo.port}" in output
    for rule, file in [("demo-archive", "archive.yaml"), ("hot-temperature", "hot-temperature.yaml"), ("split-frame", "split-frame.yaml")]:
        assert rule in output and file in output, f"{rule} from {file} is not in\n{output}"


def test_the_demo_rules_pass_check_and_their_own_tests():
    run_sluice("rules", "check", "rules/", cwd=ROOT)
    result = run_sluice("rules", "test", "rules/", cwd=ROOT)
    assert "41.5 degrees are posted" in result.stdout + result.stderr or "7" in result.stdout + result.stderr


@pytest.mark.parametrize("rule", ["demo-archive", "hot-temperature", "split-frame"])
def test_explain_tells_what_a_demo_rule_does(rule):
    text = run_sluice("rules", "explain", rule, cwd=ROOT).stdout
    assert rule in text and "demo/" in text
