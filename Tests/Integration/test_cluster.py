"""Nodes of a cluster, asked of the real binary: rules, messages and membership over processes that are killed."""

import json
import secrets

import pytest

from support.broker import free_port
from support.mqtt import Client
from support.waiting import wait_for

RULE = """version: 1
rules:
  {id}:
    sql: SELECT payload.a as a FROM "{topic}"
    actions: []
"""


@pytest.fixture
def cluster(sluice):
    """Starts nodes that share a cookie: `cluster("n1")`, `cluster("r4", role="replicant")`."""
    cookie = secrets.token_hex(32)

    def start(name, role="core", **kwargs):
        mesh = free_port()
        broker = sluice({
            "node": {"name": f"{name}@127.0.0.1", "role": role, "cookie": cookie},
            "cluster": {"name": "test", "listen": f"127.0.0.1:{mesh}", "advertise": f"127.0.0.1:{mesh}"},
        }, **kwargs)
        broker.mesh = f"127.0.0.1:{mesh}"
        return broker

    return start


def status(broker) -> dict:
    return json.loads(broker.ctl("--json", "cluster", "status").stdout)


def rule_ids(broker) -> list:
    return sorted(rule["id"] for rule in json.loads(broker.ctl("--json", "rules", "list").stdout))


def join(node, first):
    answer = node.ctl("cluster", "join", first.mesh)
    assert answer.stdout.startswith("Join the cluster successfully."), answer.stdout + answer.stderr


def three(cluster):
    nodes = [cluster(name) for name in ("n1", "n2", "n3")]
    for node in nodes[1:]:
        join(node, nodes[0])
    for node in nodes:
        wait_for(lambda: len(status(node)["running_nodes"]) == 3 and status(node)["voters"] == 3, 20,
                 lambda: f"three voters:\n{status(node)}")
    return nodes


def test_a_rule_file_on_one_node_runs_on_all_and_outlives_it(cluster):
    nodes = three(cluster)
    replicant = cluster("r4", role="replicant")
    join(replicant, nodes[0])
    nodes[0].write_rules("a.yaml", RULE.format(id="first", topic="t/#"))
    for node in [*nodes, replicant]:
        wait_for(lambda: rule_ids(node) == ["first"], 15, lambda: f"the rule: {rule_ids(node)}\n{node.output}")
    nodes[0].kill()
    for node in [nodes[1], nodes[2], replicant]:
        assert rule_ids(node) == ["first"]
    # A new leader takes changes.
    nodes[1].write_rules("b.yaml", RULE.format(id="second", topic="u/#"))
    for node in [nodes[1], nodes[2], replicant]:
        wait_for(lambda: rule_ids(node) == ["first", "second"], 20, lambda: f"the second: {rule_ids(node)}\n{node.output}")
    # All of them end and come back.
    for node in [nodes[1], nodes[2], replicant]:
        node.kill()
    for node in [*nodes, replicant]:
        node.launch()
    for node in [*nodes, replicant]:
        wait_for(node.is_running, 60, lambda: f"start-up of\n{node.output}")
    for node in [*nodes, replicant]:
        wait_for(lambda: rule_ids(node) == ["first", "second"], 30, lambda: f"both: {rule_ids(node)}\n{node.output}")
    assert nodes[0].ctl("cluster", "check").returncode == 0


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_cross_from_node_to_node_in_order(cluster, qos):
    first, second = cluster("n1"), cluster("n2")
    join(second, first)
    with Client(second.port, "sub", version=5) as subscriber, Client(first.port, "pub", version=5) as publisher:
        subscriber.subscribe("t/+", qos=qos)
        # The route is there when a message gets through.
        wait_for(lambda: first_arrives(publisher, subscriber), 10, "a route to the other node")
        for number in range(200):
            publisher.publish("t/x", str(number), qos=qos)
        got = [message.payload for message in subscriber.receive(200)]
        assert got == [str(number).encode() for number in range(200)]


def first_arrives(publisher, subscriber):
    publisher.publish("t/probe", b"probe", qos=1)
    subscriber.read(0.2)
    if not subscriber.messages:
        return False
    subscriber.messages.clear()
    return True
