"""Nodes of a cluster, asked of the real binary: rules, messages and membership over processes that are killed."""

import json
import secrets

import pytest

from support.broker import free_port, run_sluice
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


def test_without_a_majority_changes_are_refused_and_recover_brings_the_survivor_back(cluster):
    nodes = three(cluster)
    nodes[0].write_rules("a.yaml", RULE.format(id="first", topic="t/#"))
    for node in nodes:
        wait_for(lambda: rule_ids(node) == ["first"], 15, lambda: f"the rule: {rule_ids(node)}\n{node.output}")
    for node in nodes[1:]:
        node.kill()
    survivor = nodes[0]
    wait_for(lambda: not status(survivor)["quorum"], 20, "the loss of the majority")
    folder = survivor.folder / "more"
    folder.mkdir()
    (folder / "b.yaml").write_text(RULE.format(id="second", topic="u/#"))
    refused = run_sluice("rules", "apply", str(folder), "--config", str(survivor.config), check=False, timeout=60)
    assert refused.returncode == 1 and "Next:" in refused.stderr, refused.stdout + refused.stderr
    assert rule_ids(survivor) == ["first"]
    with Client(survivor.port, "c", version=5) as client:
        client.subscribe("t/#", qos=1)
        client.publish("t/1", b"goes on", qos=1)
        assert client.message().payload == b"goes on"
    assert survivor.ctl("cluster", "recover", "--keep", "n1@127.0.0.1", check=False).returncode == 5, "it runs"
    survivor.terminate()
    assert "term" in survivor.ctl("cluster", "recover", "--inspect").stdout
    survivor.ctl("cluster", "recover", "--keep", "n1@127.0.0.1")
    survivor.start(60)
    wait_for(lambda: status(survivor)["quorum"], 20, lambda: f"a quorum of one:\n{survivor.output}")
    run_sluice("rules", "apply", str(folder), "--config", str(survivor.config), timeout=60)
    assert rule_ids(survivor) == ["first", "second"]
    # The dead come back with their old logs: they can't split the cluster.
    for node in nodes[1:]:
        node.launch()
    for node in nodes[1:]:
        wait_for(node.is_running, 60, lambda: f"start-up of\n{node.output}")
    assert status(survivor)["quorum"] and rule_ids(survivor) == ["first", "second"]


def test_rules_are_applied_exported_and_rolled_back(cluster):
    node = cluster("n1")
    folder = node.folder / "more"
    folder.mkdir()
    (folder / "a.yaml").write_text(RULE.format(id="one", topic="t/#"))
    config = ["--config", str(node.config)]
    assert "one" in run_sluice("rules", "diff", str(folder), *config).stdout
    assert rule_ids(node) == []
    run_sluice("rules", "apply", str(folder), *config)
    assert rule_ids(node) == ["one"]
    (folder / "a.yaml").write_text(RULE.format(id="two", topic="t/#"))
    run_sluice("rules", "apply", str(folder), "--prune", *config)
    assert rule_ids(node) == ["two"]
    history = json.loads(run_sluice("rules", "history", "--json", *config).stdout)
    earlier = next(entry["generation"] for entry in history if "rule:one" in entry["added"])
    run_sluice("rules", "rollback", str(earlier), *config)
    assert rule_ids(node) == ["one"]
    assert "one:" in run_sluice("rules", "export", *config).stdout
    (folder / "a.yaml").write_text("version: 1\nrules:\n  bad:\n    sql: SELEC\n")
    refused = run_sluice("rules", "apply", str(folder), *config, check=False)
    assert refused.returncode == 1 and "a.yaml:4" in refused.stderr, refused.stderr
    assert rule_ids(node) == ["one"]


def test_a_node_leaves_and_a_dead_one_is_removed(cluster):
    nodes = three(cluster)
    assert nodes[2].ctl("cluster", "join", nodes[0].mesh, check=False).returncode == 5, "it is in a cluster"
    assert nodes[2].ctl("cluster", "leave").stdout.startswith("Leave the cluster successfully.")
    wait_for(lambda: status(nodes[0])["running_nodes"] == ["n1@127.0.0.1", "n2@127.0.0.1"], 20, "its departure")
    join(nodes[2], nodes[1])
    refused = nodes[0].ctl("cluster", "force-leave", "n3@127.0.0.1", check=False)
    assert refused.returncode == 1 and "is alive" in refused.stderr, refused.stderr
    nodes[2].kill()
    wait_for(lambda: status(nodes[0])["stopped_nodes"] == ["n3@127.0.0.1"], 20, "its death")
    nodes[0].ctl("cluster", "force-leave", "n3@127.0.0.1")
    wait_for(lambda: status(nodes[1])["running_nodes"] == ["n1@127.0.0.1", "n2@127.0.0.1"]
             and not status(nodes[1])["stopped_nodes"], 20, "its removal")


def test_a_node_with_another_cookie_stays_outside(cluster, sluice):
    inside = cluster("n1")
    mesh = free_port()
    stranger = sluice({"node": {"name": "n2@127.0.0.1", "cookie": secrets.token_hex(32)},
                       "cluster": {"name": "test", "listen": f"127.0.0.1:{mesh}"}})
    refused = stranger.ctl("cluster", "join", inside.mesh, check=False)
    assert refused.returncode == 1 and "cookie" in refused.stderr, refused.stderr
    assert status(inside)["running_nodes"] == ["n1@127.0.0.1"]


def test_retained_messages_and_shared_subscriptions_span_nodes(cluster):
    nodes = three(cluster)
    with Client(nodes[0].port, "pub", version=5) as publisher:
        publisher.publish("kept/1", b"here", qos=1, retain=True)
        for number, node in enumerate(nodes):
            def reads():
                with Client(node.port, f"r{number}", version=5) as reader:
                    reader.subscribe("kept/#", qos=1)
                    reader.ping()
                    return [message.payload for message in reader.messages] == [b"here"]
            wait_for(reads, 10, "the retained message")
        members = [Client(node.port, f"m{number}", version=5) for number, node in enumerate(nodes)]
        for member in members:
            member.subscribe("$share/g/work", qos=1)
        # All three are known to the publisher's node once each has had something.
        def all_have():
            publisher.publish("work", b"probe", qos=1)
            for member in members:
                member.read(0.05)
            return all(any(m.payload == b"probe" for m in member.messages) for member in members)
        wait_for(all_have, 15, "a message for each member")
        for number in range(300):
            publisher.publish("work", str(number).encode(), qos=1)

        def work():
            for member in members:
                member.read(0.05)
            return [m.payload for member in members for m in member.messages if m.payload != b"probe"]
        wait_for(lambda: len(work()) >= 300, 15, "all of the work")
        assert sorted(int(payload) for payload in work()) == list(range(300))
        for member in members:
            member.close()
