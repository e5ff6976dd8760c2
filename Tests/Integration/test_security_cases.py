"""What public advisories on brokers teach, asked of the real binary: each test bears the advisory or report it is about."""

import base64
import json
import os
import re
import resource
import socket
import stat
import statistics
import subprocess
import time

import pytest

from support.access import BUILT_IN, FAST, acl, connack, suback, token
from support.mqtt import DISCONNECT, Client, Closed, Will, packet, unique
from support.waiting import wait_for
from support.websocket import WebSocketClient


def rules_file(tmp_path, *rules) -> str:
    path = tmp_path / "acl.yaml"
    path.write_text("rules:\n" + "".join(f"  - {json.dumps(rule)}\n" for rule in rules))
    return str(path)


# ---------------------------------------------------------------- before CONNECT


def test_thousands_of_half_open_connections_hurt_nobody(sluice, client, topic):
    """CVE-2020-13849, CVE-2023-5632: silent connections take no more than their places, and those for a set time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    broker = sluice({"mqtt": {"idle_timeout": "5s"}})
    watcher = client(broker, version=5)
    watcher.subscribe(topic)
    before = broker.rss_kb()
    silent = [socket.create_connection(("127.0.0.1", broker.port), timeout=10) for _ in range(5000)]
    for sock in silent[::2]:
        sock.sendall(b"\x10\xff\xff\x03\x00\x04MQTT")  # The beginning of a CONNECT of 64 KB that never goes on.
    delays = []
    for number in range(50):
        began = time.monotonic()
        watcher.publish(topic, b"%d" % number, qos=1)
        assert watcher.message().payload == b"%d" % number
        delays.append(time.monotonic() - began)
    assert sorted(delays)[45] < 0.5, delays
    assert broker.rss_kb() - before < 48 * 1024
    wait_for(lambda: broker.ctl_json("listeners")[0]["current_conn"] == 1, 30, "the silent ones to be closed")
    for sock in silent:
        sock.close()
    watcher.ping()


@pytest.mark.parametrize("kind", ["built_in", "file", "jwt", "http", "certificate"])
def test_no_authenticator_needs_what_a_client_may_leave_out(sluice, service, tmp_path, kind):
    """CVE-2026-32696, CVE-2016-9877: each backend is asked about each combination of missing names and passwords."""
    users = tmp_path / "users.csv"
    users.write_text("user_id,password_hash,salt,is_superuser\n")
    asked = service(lambda request: (200, {"result": "allow" if request["body"].get("password") == "pw" else "deny"}))
    entry = {
        "built_in": BUILT_IN,
        "file": {"mechanism": "password_based", "backend": "file", "path": str(users), "password_hash_algorithm": FAST},
        "jwt": {"mechanism": "jwt", "secret": "key", "from": "username", "verify_claims": {"c": "${cert_common_name}"}},
        "http": {"mechanism": "password_based", "backend": "http", "url": asked.url + "/${username}", "method": "post",
                 "body": {"password": "${password}", "cn": "${cert_common_name}", "user": "${username}"}},
        "certificate": {"mechanism": "client_certificate"},
    }[kind]
    broker = sluice({"authentication": [entry]})
    for version in (4, 5):
        for username in (None, "", "ann"):
            for password in (None, "", "x"):
                if version == 4 and username is None and password is not None:
                    continue  # Not a packet of that version. [MQTT-3.1.2-22]
                code = connack(broker.port, version=version, username=username, password=password)
                assert code in (4, 5, 0x86, 0x87), (version, username, password, code)
    if kind == "http":
        assert connack(broker.port, username=None, password="pw") == 0


def test_an_unknown_user_is_refused_as_slowly_as_a_known_one(sluice):
    """Who asks often learns no names."""
    slow = {**BUILT_IN, "password_hash_algorithm": {"name": "pbkdf2", "iterations": 40_000}}
    broker = sluice({"authentication": [slow]})
    broker.ctl("users", "add", "ann", "pw")

    def took(name):
        began = time.monotonic()
        assert connack(broker.port, username=name, password="wrong") == 0x86
        return time.monotonic() - began

    pairs = [(took("ann"), took("nobody")) for _ in range(15)]
    known, unknown = (statistics.median(column) for column in zip(*pairs))
    assert 0.5 < known / unknown < 2, (known, unknown)


def test_lines_that_strangers_cause_are_counted_and_not_written_by_the_thousand(sluice):
    broker = sluice({"authentication": [BUILT_IN]})
    for _ in range(200):
        assert connack(broker.port, "a\x01\x1bb", username="x", password="y") == 0x86
    lines = [line for line in broker.output.splitlines() if "A client was refused." in line]
    assert 1 <= len(lines) <= 10
    assert "\x01" not in broker.output and "\x1b" not in broker.output
    wait_for(lambda: re.search(r'repeated\W+1[0-9][0-9]', broker.output), 20, lambda: f"the count in {broker.output}")


# ---------------------------------------------------------------- tokens


def key_pair(folder, kind="rsa"):
    key, public = folder / f"{unique()}.pem", folder / f"{unique()}.pub"
    options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    subprocess.run(["openssl", "genpkey", *options, "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    return key, public


def encoded(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def signed(key, claims, **header) -> str:
    data = encoded(json.dumps({"alg": "RS256", **header}).encode()) + b"." + encoded(json.dumps(claims).encode())
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=data, check=True, capture_output=True)
    return (data + b"." + encoded(made.stdout)).decode()


def jwk(public, name) -> dict:
    shown = subprocess.run(["openssl", "rsa", "-pubin", "-in", public, "-noout", "-modulus"], check=True,
                           capture_output=True, text=True).stdout
    modulus = bytes.fromhex(shown.strip().removeprefix("Modulus="))
    return {"kty": "RSA", "kid": name, "use": "sig", "alg": "RS256", "n": encoded(modulus).decode(), "e": "AQAB"}


def test_a_public_key_is_never_a_secret_and_none_is_no_algorithm(sluice, tmp_path):
    """RFC 8725 §2.1: algorithm confusion."""
    key, public = key_pair(tmp_path)
    broker = sluice({"authentication": [{
        "mechanism": "jwt", "algorithm": "public-key", "public_key": str(public)}]})
    claims = {"exp": int(time.time()) + 100}
    assert connack(broker.port, username="ann", password=signed(key, claims)) == 0
    for secret in (public.read_bytes(), public.read_bytes().strip(), b""):
        for algorithm in ("HS256", "HS384", "HS512"):
            assert connack(broker.port, username="ann", password=token(claims, secret, algorithm)) == 0x86
    head, body, signature = signed(key, claims).split(".")
    for name in ("none", "None", "NONE", "", "HS256", "ES256", "PS256", "RS512"):
        other = encoded(json.dumps({"alg": name}).encode()).decode()
        for last in ("", signature):
            assert connack(broker.port, username="ann", password=f"{other}.{body}.{last}") == 0x86
    assert connack(broker.port, username="ann", password=signed(key, claims, crit=["exp"])) == 0x86


def test_keys_of_a_url_are_replaced_and_those_before_stay_while_it_fails(sluice, service, tmp_path):
    first, first_public = key_pair(tmp_path)
    second, second_public = key_pair(tmp_path)
    answer = [(200, {"keys": [jwk(first_public, "one")]})]
    keys = service(lambda request: answer[0])
    broker = sluice({"authentication": [{
        "mechanism": "jwt", "use_jwks": True, "endpoint": keys.url + "/keys?key=canary-4711", "refresh_interval": "1s"}]})
    claims = {"exp": int(time.time()) + 300}

    def code(key, name):
        return connack(broker.port, username="ann", password=signed(key, claims, kid=name))

    def alarms():
        return [alarm["name"] for alarm in broker.ctl_json("alarms", "activated")]

    assert code(first, "one") == 0 and code(second, "two") == 0x86
    for broken in (500, (200, {"keys": []}), (200, "no set"), (200, {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})):
        answer[0] = broken
        wait_for(lambda: code(first, "one") == 0 and alarms() == ["authentication:1:jwt"], 10, "the alarm")
        assert code(first, "one") == 0, "the keys before stay in force"
        answer[0] = (200, {"keys": [jwk(first_public, "one")]})
        wait_for(lambda: code(first, "one") == 0 and alarms() == [], 10, "the alarm's end")
    assert "The keys of tokens could not be read; those before stay in force." in broker.output
    assert "canary" not in broker.output
    answer[0] = (200, {"keys": [jwk(second_public, "two")]})
    wait_for(lambda: code(second, "two") == 0, 10, "the new key")
    assert code(first, "one") == 0x86
    assert code(second, "one") == 0x86, "a key's name counts"


def test_a_file_of_keys_that_breaks_is_said_and_the_keys_before_stay(sluice, tmp_path):
    key, public = key_pair(tmp_path)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(public, "one")]}))
    broker = sluice({"authentication": [{
        "mechanism": "jwt", "use_jwks": True, "endpoint": str(path), "refresh_interval": "1s"}]})
    claims = {"exp": int(time.time()) + 300}
    path.write_text("{")
    wait_for(lambda: connack(broker.port, username="a", password=signed(key, claims, kid="one")) == 0
             and broker.ctl_json("alarms", "activated"), 10, "the alarm")
    assert "those before stay in force" in broker.output
    assert connack(broker.port, username="a", password=signed(key, claims, kid="one")) == 0


# ---------------------------------------------------------------- HTTP


@pytest.mark.parametrize("name", ["..", ".", "../..", "a/../b", "a?x=1", "a&role=admin", "a#b", "%2e%2e", "a\"b\\"])
def test_a_name_changes_nothing_of_a_request_but_its_place(sluice, service, name):
    """CVE-2026-44838"""
    asked = service(lambda request: 204)
    broker = sluice({"authentication": [{
        "mechanism": "password_based", "backend": "http", "method": "post", "url": asked.url + "/auth/${clientid}/ask",
        "body": {"id": "${clientid}"}}]})
    code = connack(broker.port, name, username="ann", password="pw")
    if name in (".", ".."):
        assert code == 0x86 and not asked.seen
        return
    assert code == 0
    assert re.fullmatch(r"/auth/[A-Za-z0-9%._~-]+/ask", asked.seen[0]["path"]), asked.seen[0]["path"]
    assert asked.seen[0]["body"] == {"id": name}


def test_an_http_authorizer_that_is_away_raises_an_alarm_until_it_is_back(sluice, client, service, topic):
    answer = [204]
    asked = service(lambda request: answer[0])
    broker = sluice({"authorization": {"cache": {"enable": False}, "sources": [{
        "type": "http", "url": asked.url + "/", "request_timeout": "500ms", "body": {"topic": "${topic}"}}]}})
    opened = client(broker, version=5)
    assert opened.publish(topic, qos=1) == 0x10
    answer[0] = None
    assert opened.publish(topic, qos=1) == 0x87
    wait_for(lambda: [alarm["name"] for alarm in broker.ctl_json("alarms", "activated")] == ["authorization:1:http"], 5, "the alarm")
    answer[0] = 204
    wait_for(lambda: opened.publish(topic, qos=1) == 0x10, 10, "the service's answer")
    wait_for(lambda: broker.ctl_json("alarms", "activated") == [], 5, "the alarm's end")


# ---------------------------------------------------------------- what a client may


def test_every_listener_is_held_to_the_rules(sluice, client, topic):
    """CVE-2018-20145: a listener's own settings take nothing from the access list."""
    extra = {"bind": "127.0.0.1:0", "enable_authn": False, "transport": "nio", "max_connections": 7}
    broker = sluice({"listeners": {"tcp": {"other": extra}}, **acl(topic, {"permission": "allow", "topics": [topic + "/yes"]})},
                    websocket=True)
    ports = [int(row["listen_on"].rsplit(":", 1)[1]) for row in broker.ctl_json("listeners") if row["id"].startswith("tcp")]
    assert len(ports) == 2
    for opened in [Client(port, unique(), version=5) for port in ports] + [WebSocketClient(broker.ws_port, version=5)]:
        assert opened.publish(topic + "/no", qos=1) == 0x87
        assert suback(opened, topic + "/no", topic + "/yes") == [0x87, 0]
        opened.close()


@pytest.mark.parametrize("no_match", ["allow", "deny"])
def test_no_prefix_hides_a_topic(sluice, client, topic, no_match):
    """What `$share/…`, `$queue/…`, `$exclusive/…` and `$delayed/…` stand before is what counts, for wills as well."""
    secret, mine = topic + "/secret", topic + "/mine"
    broker = sluice({
        "mqtt": {"exclusive_subscription": True},
        **acl(topic, {"permission": "deny", "who": {"username": "evil"}, "topics": [secret + "/#"]},
              {"permission": "allow", "who": {"username": "evil"}, "topics": [mine + "/#"]},
              {"permission": "allow", "who": {"username": "good"}}, no_match=no_match)})
    watcher = client(broker, version=5, username="good")
    watcher.subscribe(secret + "/#", topic + "/mark")
    evil = client(broker, version=5, username="evil")
    filters = [prefix + rest for prefix in ("", "$share/g/", "$queue/", "$exclusive/") for rest in (secret + "/#", secret + "/x")]
    assert suback(evil, *filters, *("$share/g/#", topic + "/#", topic + "/+/x")) == [0x87] * 11
    for nested in ("$share/a/$share/b/", "$share/a/$queue/", "$share/a/$exclusive/", "$exclusive/$share/a/", "$queue/$queue/"):
        suback(evil, nested + secret + "/x")
    assert evil.publish(secret + "/x", b"q1", qos=1) == 0x87
    for seconds in ("0", "1"):
        evil.publish(f"$delayed/{seconds}/{secret}/x", b"late", qos=1)
        client(broker, version=5, username="evil", will=Will(f"$delayed/{seconds}/{secret}/x", b"will")).close()
        client(broker, version=5, username="evil", will=Will(f"$delayed/{seconds}/{mine}/x", b"mine")).close()
    client(broker, version=5, username="evil", will=Will(secret + "/x", b"will", retain=True)).close()
    # By alias, set by a message that is refused and one that is allowed.
    evil.send(evil.publish_packet(secret + "/x", b"alias", properties={0x23: 1}))
    evil.send(evil.publish_packet("", b"alias", properties={0x23: 1}))
    evil.send(evil.publish_packet(mine + "/x", b"fine", properties={0x23: 2}))
    evil.send(evil.publish_packet(secret + "/x", b"alias", properties={0x23: 2}))
    evil.send(evil.publish_packet("", b"alias", properties={0x23: 2}))
    evil.ping()
    readers = client(broker, version=5, username="good")
    readers.subscribe(mine + "/#")
    for seconds in ("0", "1"):
        client(broker, version=5, username="evil", will=Will(f"$delayed/{seconds}/{mine}/x", b"mine")).close()
    assert [m.payload for m in readers.receive(2)] == [b"mine"] * 2
    # Nothing of it came, and the good one's message reaches nobody whose subscription was refused.
    watcher.publish(secret + "/x", b"good")
    assert watcher.message().payload == b"good"
    watcher.nothing_came(topic + "/mark")
    evil.ping()
    assert not [m for m in evil.messages if m.payload == b"good"]


def test_a_decision_that_is_remembered_holds_for_what_it_was_about(sluice, client, tmp_path, topic):
    """Nothing is allowed by what was allowed with another QoS, retain flag, topic or list."""
    rule = {"permission": "allow", "action": "publish", "topics": [topic + "/a"], "qos": [0, 1], "retain": False}
    read = {"permission": "allow", "action": "subscribe", "topics": [topic + "/#"]}
    path = rules_file(tmp_path, rule, read)
    broker = sluice({"authorization": {"sources": [{"type": "file", "path": path}]}})
    opened, watcher = client(broker, version=5), client(broker, version=5)
    watcher.subscribe(topic + "/#")
    for _ in range(5):
        assert opened.publish(topic + "/a", b"x", qos=1) == 0
        opened.publish(topic + "/a", b"x")
        assert opened.publish(topic + "/a", b"no", qos=1, retain=True) == 0x87
        opened.publish(topic + "/a", b"no", retain=True)
        assert opened.publish(topic + "/a", b"no", qos=2) == 0x87
        assert opened.publish(topic + "/b", b"no", qos=1) == 0x87
    assert [m.payload for m in watcher.receive(10)] == [b"x"] * 10
    # Subscriptions come and go, so that routes are read again.
    for number in range(20):
        watcher.subscribe(f"{topic}/{number}")
        opened.publish(topic + "/a", b"x")
        assert opened.publish(topic + "/b", b"no", qos=1) == 0x87
        watcher.unsubscribe(f"{topic}/{number}")
    watcher.receive(20)
    rules_file(tmp_path, {**rule, "topics": [topic + "/b"]}, read)
    broker.ctl("access", "reload")
    opened.publish(topic + "/a", b"no")
    assert opened.publish(topic + "/a", b"no", qos=1) == 0x87
    assert opened.publish(topic + "/b", b"x", qos=1) == 0
    opened.publish(topic + "/a", b"no")
    opened.ping()
    watcher.ping()
    assert [m.topic for m in watcher.messages] == [topic + "/b"]


def test_a_session_that_is_resumed_is_held_to_what_its_client_brings_now(sluice, client, topic):
    """CVE-2018-12546: a subscription does not outlive the right to it by being slept over."""
    broker = sluice({"authentication": [{"mechanism": "jwt", "secret": "key"}]})
    claims = {"exp": int(time.time()) + 100}
    session = {0x11: 100}

    def opened(*topics, clean=False):
        rules = [{"permission": "allow", "topic": name} for name in topics]
        return client(broker, "c1", version=5, username="ann", password=token({**claims, "acl": rules}),
                      clean=clean, properties=session)

    first = opened(topic + "/a", topic + "/b", clean=True)
    first.subscribe(topic + "/a", topic + "/b")
    first.close()
    again = opened(topic + "/b")
    assert again.session_present
    sender = client(broker, version=5, username="bob", password=token(claims))
    sender.publish(topic + "/a", b"no", qos=1)
    sender.publish(topic + "/b", b"yes", qos=1)
    assert again.message().payload == b"yes"
    assert topic + "/a" not in broker.ctl("subscriptions", "list").stdout


def test_the_rules_are_asked_again_after_a_restart(sluice, client, tmp_path, topic):
    """CVE-2018-12546: what was allowed in an earlier life of the broker, subscriptions and wills, is looked at anew."""
    both = {"permission": "allow", "topics": [topic + "/a", topic + "/b"]}
    path = rules_file(tmp_path, both)
    broker = sluice({"durability": "process", "authorization": {"sources": [{"type": "file", "path": path}]}})
    first = client(broker, "c1", version=5, properties={0x11: 1000})
    first.subscribe(topic + "/a", topic + "/b", qos=1)
    gone = client(broker, "c2", version=5, properties={0x11: 1000}, will=Will(topic + "/a", b"w", properties={0x18: 1}))
    gone.ping()
    broker.kill()
    rules_file(tmp_path, {**both, "topics": [topic + "/b"]})
    broker.start()
    again = client(broker, "c1", version=5, clean=False, properties={0x11: 1000})
    assert again.session_present
    listed = broker.ctl("subscriptions", "list").stdout
    assert topic + "/b" in listed and topic + "/a" not in listed
    assert again.publish(topic + "/a", qos=1) == 0x87
    wait_for(lambda: broker.ctl_json("broker", "metrics")["messages.will.denied"] == 1, 10, "the will to be denied")


def test_rewritten_and_automatic_subscriptions_outlive_a_reload(sluice, client, tmp_path, topic):
    """The right is for what the client asked for; what the operator gave needs none."""
    path = rules_file(tmp_path, {"permission": "allow", "topics": [topic + "/asked/#"]},
                      {"permission": "allow", "action": "publish", "who": {"username": "op"}})
    broker = sluice({
        "authorization": {"sources": [{"type": "file", "path": path}]},
        "rewrite": [{"action": "subscribe", "source_topic": topic + "/asked/#", "re": "^(.+)/asked/(.+)$", "dest_topic": "$1/real/$2"}],
        "auto_subscribe": {"topics": [{"topic": topic + "/given", "qos": 1}]}})
    opened, sender = client(broker, version=5), client(broker, version=5, username="op")
    opened.subscribe(topic + "/asked/x")
    assert suback(opened, topic + "/real/x") == [0x87]
    broker.ctl("access", "reload")
    opened.ping()
    for name in ("real/x", "given"):
        sender.publish(f"{topic}/{name}", name.encode(), qos=1)
    assert [m.payload for m in opened.receive(2)] == [b"real/x", b"given"]
    rules_file(tmp_path, {"permission": "allow", "action": "publish", "topics": [topic + "/#"]})
    broker.ctl("access", "reload")
    wait_for(lambda: topic + "/real/x" not in broker.ctl("subscriptions", "list").stdout, 5, "the subscription's end")


# ---------------------------------------------------------------- after CONNECT


def test_sixty_thousand_levels_are_refused_and_harm_nobody(sluice, client, topic):
    """CVE-2019-11779"""
    broker = sluice()
    bystander = client(broker, version=5)
    for name in ("/" * 65_400, "+/" * 32_000 + "#", "a/" * 32_000 + "a"):
        opened = client(broker, version=5)
        try:
            assert suback(opened, name)[0] >= 0x80
            opened.send(opened.publish_packet(name.replace("+", "x").replace("#", "x"), b"", 1, False, 7))
            opened.wait_closed()
        except Closed:
            pass
        try:
            assert connack(broker.port, will=Will(name.replace("+", "x").replace("#", "x"), b"w")) >= 0x80
        except Closed:
            pass
    bystander.ping()


def test_a_packet_has_a_hundred_user_properties_at_most(sluice, client, topic):
    """CVE-2021-41039: and no more is paid for a packet of thousands than for its first hundred."""
    broker = sluice()
    bystander = client(broker, version=5)
    few, many = ({0x26: [("a", "b")] * count} for count in (100, 101))
    thousands = {0x26: [("a", "b")] * 9_000}
    assert connack(broker.port, connect_properties=few) == 0
    assert connack(broker.port, will=Will(topic, b"w", properties=few)) == 0
    for properties in (many, thousands):
        assert connack(broker.port, connect_properties=properties) == 0x97
        assert connack(broker.port, will=Will(topic, b"w", properties=properties)) == 0x97
    opened = client(broker, version=5)
    opened.subscribe(topic, properties=few)
    opened.publish(topic, b"x", qos=1, properties=few)
    assert opened.message().properties[0x26] == few[0x26]
    for act in (lambda c: c.publish(topic, b"x", qos=1, properties=many), lambda c: c.subscribe(topic, properties=many)):
        opened = client(broker, version=5)
        with pytest.raises(Closed):
            act(opened)
        assert next(body for kind, body in opened.others if kind == DISCONNECT)[0] == 0x97
    began = time.monotonic()
    for _ in range(20):
        assert connack(broker.port, connect_properties=thousands) == 0x97
    assert time.monotonic() - began < 5
    bystander.ping()


def test_only_servers_send_some_packets_and_nothing_follows_a_disconnect(sluice, client, topic):
    """CVE-2021-28166, CVE-2024-8376"""
    broker = sluice()
    watcher = client(broker, version=5)
    watcher.subscribe(topic)
    for data in (b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00", b"\xb0\x02\x00\x01", b"\xd0\x00", b"\x00\x00", b"\xf0\x00"):
        opened = client(broker, version=5)
        opened.send(data + opened.publish_packet(topic, b"no"))
        opened.wait_closed()
    opened = client(broker, version=5)
    opened.send(packet(14, 0, b"") + opened.publish_packet(topic, b"no"))
    opened.wait_closed()
    watcher.nothing_came(topic)


def test_one_packet_identifier_again_and_again_is_one_message(sluice, client, topic):
    """CVE-2023-28366"""
    broker = sluice()
    watcher, opened = client(broker, version=5), client(broker, version=5, acknowledge=False)
    watcher.subscribe(topic)
    before = broker.rss_kb()
    for _ in range(20_000):
        opened.send(opened.publish_packet(topic, b"x" * 100, 2, False, 7, duplicate=True))
    opened.ping()
    assert watcher.message().payload == b"x" * 100
    watcher.nothing_came(topic + "/mark")
    assert broker.rss_kb() - before < 16 * 1024


def test_a_will_that_waits_longer_than_its_session_comes_once(sluice, client, topic):
    """CVE-2019-11778"""
    broker = sluice()
    watcher = client(broker, version=5)
    watcher.subscribe(topic)
    client(broker, version=5, properties={0x11: 1}, will=Will(topic, b"w", properties={0x18: 100})).close()
    assert watcher.message(5).payload == b"w"
    watcher.nothing_came(topic + "/mark")


# ---------------------------------------------------------------- files


def test_all_that_the_broker_writes_is_its_owners_alone(sluice, client, topic):
    """CVE-2017-9868"""
    os.umask(0o022)
    broker = sluice({"authentication": [BUILT_IN], "authorization": {"sources": [{"type": "built_in_database"}]}})
    broker.ctl("users", "add", "ann", "pw", "superuser")
    broker.ctl("acl", "add", "all", "{permission: allow, topics: ['%s']}" % topic)
    broker.ctl("banned", "add", "clientid", "bad", "1h")
    opened = client(broker, version=5, username="ann", password="pw", properties={0x11: 100})
    opened.subscribe(topic, qos=1)
    opened.publish(topic, b"kept", qos=1, retain=True)
    found = [path for path in broker.data.rglob("*")]
    assert found
    for path in found:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, f"{path} {oct(path.lstat().st_mode)}"
