"""Who may connect and who may do what, asked of the real binary."""

import hashlib
import json
import os
import ssl
import stat
import subprocess
import time

import pytest

from support.access import BUILT_IN, acl, connack, suback, token
from support.broker import free_port, run_sluice
from support.certificates import make_certificates
from support.mqtt import CONNACK, DISCONNECT, PUBACK, Client, Closed, Will, unique
from support.waiting import wait_for

# ---------------------------------------------------------------- authentication


def test_built_in_users_come_from_the_command_line_and_survive_a_restart(sluice):
    broker = sluice({"authentication": [BUILT_IN]})
    assert connack(broker.port, username="ann", password="pw") == 0x86
    assert broker.ctl("users", "add", "ann", "pw").stdout == "ok\n"
    assert broker.ctl("users", "add", "ann", "other", check=False).returncode == 5
    assert connack(broker.port, username="ann", password="pw") == 0
    assert connack(broker.port, username="ann", password="wrong") == 0x86
    assert connack(broker.port, username="bob", password="pw") == 0x86, "an unknown user is told the same"
    assert connack(broker.port, username="ann", password="wrong", version=4) == 4
    assert connack(broker.port) == 0x87
    assert connack(broker.port, version=4) == 5
    assert "User(ann, is_superuser=false)" in broker.ctl("users", "list").stdout
    assert stat.S_IMODE(os.stat(broker.data / "users.json").st_mode) == 0o600
    broker.ctl("users", "passwd", "ann", "new")
    assert connack(broker.port, username="ann", password="pw") == 0x86
    broker.kill()
    broker.start()
    assert connack(broker.port, username="ann", password="new") == 0
    broker.ctl("users", "del", "ann")
    assert connack(broker.port, username="ann", password="new") == 0x86
    assert broker.ctl("users", "del", "ann", check=False).returncode == 4


def test_a_known_user_without_a_password_is_refused(sluice):
    """CVE-2016-9877, CVE-2026-32696: every identity field may be missing."""
    broker = sluice({"authentication": [BUILT_IN]})
    broker.ctl("users", "add", "ann", "pw")
    assert connack(broker.port, username="ann") == 0x86
    assert connack(broker.port, username="ann", version=4) == 4
    assert connack(broker.port, username="ann", password="") == 0x86
    assert connack(broker.port, username="", password="pw") == 0x86
    assert connack(broker.port, password="pw") == 0x86
    assert connack(broker.port, client_id="", username="ann", password="pw") == 0


def test_a_removed_user_is_disconnected(sluice, client):
    broker = sluice({"authentication": [BUILT_IN]})
    broker.ctl("users", "add", "ann", "pw")
    connected = client(broker, version=5, username="ann", password="pw")
    broker.ctl("users", "del", "ann")
    assert connected.wait_closed()[0] == 0x98


def test_a_password_file_of_mosquitto_is_read_and_read_again(sluice, tmp_path):
    path = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", path, "ann", "pw"], check=True, timeout=20)
    broker = sluice({"authentication": [{"mechanism": "password_based", "backend": "file", "path": str(path)}]})
    assert connack(broker.port, username="ann", password="pw") == 0
    assert connack(broker.port, username="ann", password="no") == 0x86
    subprocess.run(["mosquitto_passwd", "-b", path, "bob", "pw2"], check=True, timeout=20)
    broker.ctl("access", "reload")
    assert connack(broker.port, username="bob", password="pw2") == 0
    path.write_text("bob:canary-1f\nbroken\n")
    failed = broker.ctl("access", "reload", check=False)
    assert failed.returncode == 1 and "line 1" in failed.stderr and "canary" not in failed.stderr
    assert connack(broker.port, username="bob", password="pw2") == 0, "a failed reload keeps the users"


def test_users_are_imported_from_emqx_files(sluice, tmp_path):
    path = tmp_path / "users.csv"
    digest = hashlib.sha256(b"salt" + b"pw").hexdigest()
    path.write_text(f"user_id,password_hash,salt,is_superuser\nann,{digest},salt,true\n")
    algorithm = {"name": "sha256", "salt_position": "prefix"}
    broker = sluice({"authentication": [{**BUILT_IN, "password_hash_algorithm": algorithm}]})
    assert broker.ctl("users", "import", str(path)).stdout.startswith("1 of 1 users")
    assert connack(broker.port, username="ann", password="pw") == 0
    assert "User(ann, is_superuser=true)" in broker.ctl("users", "list").stdout


def test_tokens_are_verified_and_bring_rules_and_an_end(sluice, client, topic):
    broker = sluice({"authentication": [{
        "mechanism": "jwt", "from": "password", "secret": "${env:JWT_KEY}", "verify_claims": {"username": "${username}"}}]},
        env={"JWT_KEY": "key"})
    now = int(time.time())
    good = {"username": "ann", "exp": now + 100}
    for algorithm in ("HS256", "HS384", "HS512"):
        assert connack(broker.port, username="ann", password=token(good, algorithm=algorithm)) == 0
    assert connack(broker.port, username="bob", password=token(good)) == 0x86
    assert connack(broker.port, username="ann", password=token(good, secret=b"other")) == 0x86
    assert connack(broker.port, username="ann", password=token({**good, "exp": now - 1})) == 0x86
    assert connack(broker.port, username="ann", password=token({**good, "nbf": now + 50})) == 0x86
    assert connack(broker.port, username="ann", password="no token") == 0x86
    rules = [{"permission": "allow", "action": "publish", "topic": topic + "/${clientid}"}]
    held = client(broker, "c1", version=5, username="ann", password=token({**good, "acl": rules}))
    assert held.publish(topic + "/c1", qos=1) == 0x10
    assert held.publish(topic + "/c2", qos=1) == 0x87
    assert suback(held, topic) == [0x87]
    broken = token({**good, "acl": [{"permission": "allow", "acton": "publish"}]})
    assert connack(broker.port, username="ann", password=broken) == 0x87
    ends = client(broker, version=5, username="ann", password=token({**good, "exp": int(time.time()) + 2}))
    assert ends.wait_closed()[0] == 0x87


def test_the_http_authenticator_is_asked_and_a_failure_lets_nobody_in(sluice, service):
    def answer(request):
        user = request["body"]["username"]
        return {"ann": (200, {"result": "allow"}), "root": (200, {"result": "allow", "is_superuser": True}), "gone": 204,
                "bob": (200, {"result": "deny"}), "five": 500, "odd": (200, {"no": "result"}), "hang": None,
                "": (200, {"result": "ignore"})}[user]

    http_service = service(answer)
    broker = sluice({
        "authentication": [{
            "mechanism": "password_based", "backend": "http", "method": "post", "url": http_service.url + "/auth/${clientid}",
            "headers": {"x-key": "canary-51ab"}, "request_timeout": "1s",
            "body": {"username": "${username}", "password": "${password}", "ip": "${peerhost}", "cn": "${cert_common_name}"}}],
        "log": {"level": "debug"}})
    codes = {user: connack(broker.port, "a/b c", username=user, password="canary-pw") for user in
             ("ann", "root", "gone", "bob", "five", "odd", "hang")}
    assert codes == {"ann": 0, "root": 0, "gone": 0, "bob": 0x86, "five": 0x88, "odd": 0x88, "hang": 0x88}
    first = http_service.seen[0]
    assert first["path"] == "/auth/a%2Fb%20c", "values don't change the path"
    assert first["body"] == {"username": "ann", "password": "canary-pw", "ip": "127.0.0.1", "cn": ""}
    assert connack(broker.port) == 0x87, "nothing is missing but names"
    assert "canary" not in broker.output


def test_a_client_that_goes_while_it_is_asked_about_leaves_nothing(sluice, service):
    http_service = service(lambda request: None)
    broker = sluice({"authentication": [{"mechanism": "password_based", "backend": "http", "url": http_service.url + "/",
                                         "request_timeout": "1s", "body": {"u": "${username}"}}]})
    for _ in range(20):
        with Client(broker.port, connect=False) as opened:
            opened.send(opened.connect_packet(username="x"))
    wait_for(lambda: broker.ctl_json("broker", "stats")["connections.count"] == 0, 15, lambda: "connections to end")
    assert broker.ctl_json("broker", "stats")["sessions.count"] == 0


def test_certificates_name_the_user(sluice, tmp_path, topic):
    folder = make_certificates(tmp_path)
    port = free_port()
    broker = sluice({
        "listeners": {"ssl": {"default": {"bind": f"127.0.0.1:{port}", "ssl_options": {
            "certfile": str(folder / "server.pem"), "keyfile": str(folder / "server.key"),
            "cacertfile": str(folder / "ca.pem"), "verify": "verify_peer"}}}},
        "mqtt": {"peer_cert_as_username": "cn"}, "authentication": [{"mechanism": "client_certificate"}],
        "authorization": {"sources": [{"type": "file", "rules": [
            {"permission": "allow", "topics": [topic + "/${cert_common_name}/#"]}]}]}})
    context = ssl.create_default_context(cafile=folder / "ca.pem")

    def connect(context):
        opened = Client(port, unique(), version=5, connect=False)
        opened.sock = context.wrap_socket(opened.sock, server_hostname="127.0.0.1")
        opened.send(opened.connect_packet())
        return opened

    with connect(context) as bare:
        assert bare.expect_other(CONNACK)[1][1] == 0x87
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    with connect(context) as named:
        named.finish_connect()
        assert "username=client," in broker.ctl("clients", "list").stdout
        assert named.publish(topic + "/client/x", qos=1) == 0x10
        assert named.publish(topic + "/server/x", qos=1) == 0x87
    assert connack(broker.port) == 0x87


def test_the_chain_goes_on_where_one_ignores_the_client(sluice, service):
    http_service = service(lambda request: (200, {"result": "ignore"}))
    broker = sluice({"authentication": [
        {"mechanism": "jwt", "secret": "${env:JWT_KEY}"},
        {"mechanism": "password_based", "backend": "http", "url": http_service.url + "/", "body": {"u": "${username}"}},
        BUILT_IN]}, env={"JWT_KEY": "key"})
    broker.ctl("users", "add", "ann", "pw")
    assert connack(broker.port, username="ann", password="pw") == 0
    assert connack(broker.port, username="ann", password="no") == 0x86


def test_a_listener_for_strangers_is_not_started_without_a_word(sluice):
    broker = sluice({"listeners": {"tcp": {"default": {"bind": f"0.0.0.0:{free_port()}"}}}}, run=False)
    broker.launch()
    assert broker.exit_code() == 1
    assert "SEC003" in broker.output and "allow_anonymous: true" in broker.output


# ---------------------------------------------------------------- authorization


def test_what_no_rule_allows_is_denied(sluice, client, topic):
    broker = sluice(acl(topic, {"permission": "allow", "topics": [topic + "/${clientid}/#"]},
                        {"permission": "allow", "action": "subscribe", "topics": [topic + "/all/#"]}))
    mine = client(broker, "c1", version=5)
    assert mine.publish(topic + "/c1/a", qos=1) == 0x10
    assert mine.publish(topic + "/c2/a", qos=1) == 0x87
    assert mine.publish(topic + "/c2/a", qos=2) == 0x87
    assert suback(mine, topic + "/c1/#", "#", topic + "/+/a", topic + "/all/x", "$share/g/" + topic + "/c2/#") == [
        0, 0x87, 0x87, 0, 0x87]
    mine.publish(topic + "/c2/a")
    mine.ping()
    old = client(broker, "c3", version=4)
    assert suback(old, topic + "/c1/#", topic + "/all/y") == [0x80, 0]
    assert old.publish(topic + "/c1/a", qos=1) == 0
    assert old.publish(topic + "/c1/a", qos=2) == 0
    mine.nothing_came(topic + "/c1/a")
    metrics = broker.ctl_json("broker", "metrics")
    assert metrics["packets.publish.auth_error"] == 5 and metrics["packets.subscribe.auth_error"] == 4


@pytest.mark.parametrize("name", ["+", "#", "c2/x", "+/#"])
def test_a_client_named_like_a_wildcard_gets_nothing(sluice, client, topic, name):
    """CVE-2017-7650"""
    broker = sluice(acl(topic, {"permission": "allow", "topics": [topic + "/${clientid}/#", topic + "/u/${username}"]}))
    evil = client(broker, name, version=5, username=name)
    assert suback(evil, topic + "/+/#", topic + "/#", "#", topic + "/c2/x", topic + "/u/+", topic + "/u/#") == [0x87] * 6
    assert evil.publish(topic + "/c2/x", qos=1) == 0x87


def test_deny_action_disconnect_closes(sluice, client, topic):
    broker = sluice(acl(topic, {"permission": "allow", "topics": [topic]}, deny_action="disconnect"))
    for action in (lambda c: c.send(c.publish_packet(topic + "/no", b"x")), lambda c: suback(c, topic + "/no")):
        opened = client(broker, version=5)
        try:
            action(opened)
        except Closed:
            pass
        assert (opened.wait_closed() or next(b for k, b in opened.others if k == DISCONNECT))[0] == 0x87
    old = client(broker, version=4)
    old.send(old.publish_packet(topic + "/no", b"x"))
    assert old.wait_closed() is None


def test_a_superuser_may_do_everything(sluice, client, topic):
    broker = sluice({"authentication": [BUILT_IN], **acl(topic, {"permission": "deny"})})
    broker.ctl("users", "add", "root", "pw", "superuser")
    broker.ctl("users", "add", "ann", "pw")
    assert client(broker, version=5, username="root", password="pw").publish(topic, qos=1) == 0x10
    assert client(broker, version=5, username="ann", password="pw").publish(topic, qos=1) == 0x87


def test_a_will_is_authorised_like_a_publish(sluice, client, topic):
    broker = sluice(acl(topic, {"permission": "allow", "action": "subscribe"},
                        {"permission": "allow", "topics": [topic + "/yes", topic + "/mark"]}))
    watcher = client(broker, version=5)
    watcher.subscribe(topic + "/#")
    for name in ("no", "yes"):
        client(broker, version=5, will=Will(topic + "/" + name, b"w")).close()
    assert watcher.message().topic == topic + "/yes"
    watcher.nothing_came(topic + "/mark")
    assert broker.ctl_json("broker", "metrics")["messages.will.denied"] == 1


def test_the_will_of_a_refused_client_is_not_published(sluice, client, topic):
    broker = sluice({"authentication": [BUILT_IN]})
    broker.ctl("users", "add", "ann", "pw")
    watcher = client(broker, version=5, username="ann", password="pw")
    watcher.subscribe(topic)
    assert connack(broker.port, username="bob", password="x", will=Will(topic, b"w")) == 0x86
    watcher.nothing_came(topic)


def test_an_http_authorizer_is_asked_once_a_topic_and_keeps_the_order(sluice, client, service, topic):
    def answer(request):
        return (200, {"result": "deny" if request["body"]["topic"].endswith("no") else "allow"})

    http_service = service(answer)
    broker = sluice({"authorization": {"sources": [{
        "type": "http", "url": http_service.url + "/acl", "request_timeout": "2s", "body": {
            "clientid": "${clientid}", "topic": "${topic}", "action": "${action}", "qos": "${qos}"}}]}})
    opened = client(broker, "c1", version=5)
    assert suback(opened, topic + "/#", topic + "/no", qos=1) == [1, 0x87]
    for number in range(30):
        opened.send(opened.publish_packet(f"{topic}/{number % 3}", b"%d" % number))
    assert [m.payload for m in opened.receive(30)] == [b"%d" % n for n in range(30)]
    assert opened.publish(topic + "/no", qos=1) == 0x87
    assert opened.publish(topic + "/1", qos=2) == 0
    assert len([r for r in http_service.seen if r["body"]["action"] == "publish" and r["body"]["qos"] == "0"]) == 3
    assert http_service.seen[0]["body"]["clientid"] == "c1"


def test_an_http_authorizer_that_fails_denies_and_holds_up_nobody_else(sluice, client, service, topic):
    answers = {"hang": None, "five": 500, "odd": (200, {"result": "perhaps"})}
    http_service = service(lambda request: answers.get(request["body"]["topic"].split("/")[1], 204))
    broker = sluice({"authorization": {"cache": {"enable": False}, "sources": [{
        "type": "http", "url": http_service.url + "/", "request_timeout": "1s", "body": {"topic": "${topic}"}}]}})
    slow, other = client(broker, version=5), client(broker, version=5)
    slow.send(slow.publish_packet(topic + "/hang", b"", 1, False, 9))
    started = time.monotonic()
    assert other.publish(topic + "/a", qos=1) == 0x10
    assert time.monotonic() - started < 0.9
    assert slow.reply(PUBACK, 9)[0] == 0x87
    assert [slow.publish(f"{topic}/{name}", qos=1) for name in ("five", "odd", "b")] == [0x87, 0x87, 0x10]


def test_built_in_rules_and_revocation(sluice, client, topic):
    """CVE-2018-12546: what was subscribed under rules that are gone ends."""
    broker = sluice({"authorization": {"sources": [{"type": "built_in_database"}]}})
    broker.ctl("acl", "add", "clientid", "c1", "{permission: allow, topics: ['%s/#']}" % topic)
    broker.ctl("acl", "add", "all", "{permission: allow, action: publish, topic: '%s/x'}" % topic)
    held, other = client(broker, "c1", version=5), client(broker, "c2", version=5)
    assert suback(held, topic + "/x") == [0]
    assert other.publish(topic + "/x", b"1", qos=1) == 0
    assert held.message().payload == b"1"
    broker.ctl("acl", "del", "clientid", "c1")
    wait_for(lambda: "No subscriptions." in broker.ctl("subscriptions", "list").stdout, 5, lambda: "the subscription to end")
    assert other.publish(topic + "/x", b"2", qos=1) == 0x10
    assert not held.messages
    assert suback(held, topic + "/x") == [0x87]
    assert "all\n" in broker.ctl("acl", "list").stdout
    assert broker.ctl("acl", "add", "all", "{permission: allow, topci: x}", check=False).returncode == 1


def test_a_retained_message_of_a_client_that_may_not_publish_any_more_is_not_delivered(sluice, client, topic):
    """CVE-2018-12546"""
    broker = sluice({"authorization": {"sources": [{"type": "built_in_database"}]}})
    broker.ctl("acl", "add", "clientid", "c1", "{permission: allow, topics: ['%s/#']}" % topic)
    broker.ctl("acl", "add", "all", "{permission: allow, topics: ['%s/#']}" % topic)
    for name in ("c1", "c2"):
        client(broker, name, version=5).publish(f"{topic}/{name}", name, qos=1, retain=True)
    broker.ctl("acl", "del", "clientid", "c1")
    broker.ctl("acl", "add", "clientid", "c1", "{permission: deny, action: publish}")
    watcher = client(broker, version=5)
    watcher.subscribe(topic + "/#")
    assert watcher.message().topic == topic + "/c2"
    watcher.nothing_came(topic + "/mark")


def test_an_access_list_is_read_again_and_a_broken_one_changes_nothing(sluice, client, tmp_path, topic):
    """CVE-2018-12550, CVE-2017-7652"""
    path = tmp_path / "acl.yaml"
    path.write_text(f"rules:\n  - {{permission: allow, topics: ['{topic}/a']}}\n")
    broker = sluice({"authorization": {"sources": [{"type": "file", "path": str(path)}]}})
    opened = client(broker, version=5)
    assert [opened.publish(topic + "/a", qos=1), opened.publish(topic + "/b", qos=1)] == [0x10, 0x87]
    for broken in ("", "rules: []\n", "rules:\n  - {permission: allow, topcs: [a]}\n", "rules: [\n"):
        path.write_text(broken)
        assert broker.ctl("access", "reload", check=False).returncode == 1
        assert opened.publish(topic + "/b", qos=1) == 0x87
    path.write_text(f"rules:\n  - {{permission: allow, topics: ['{topic}/b']}}\n")
    broker.ctl("access", "reload")
    assert [opened.publish(topic + "/a", qos=1), opened.publish(topic + "/b", qos=1)] == [0x87, 0x10]
    broker.terminate()
    path.write_text("")
    broker.launch()
    assert broker.exit_code() == 1, "an empty access list does not open the broker"


# ---------------------------------------------------------------- bans, flapping, sessions


def test_bans_keep_out_and_expel(sluice, client, topic):
    broker = sluice()
    held = client(broker, "bad", version=5, will=Will(topic, b"w"))
    watcher = client(broker, version=5)
    watcher.subscribe(topic)
    broker.ctl("banned", "add", "clientid", "bad", "1h", "too", "loud")
    assert held.wait_closed()[0] == 0x98
    watcher.nothing_came(topic)
    assert connack(broker.port, "bad") == 0x8A
    assert connack(broker.port, "bad", version=4) == 5
    assert "Banned(clientid bad, by=sluice ctl, reason=too loud, until=2" in broker.ctl("banned", "list").stdout
    assert stat.S_IMODE(os.stat(broker.data / "banned.json").st_mode) == 0o600
    broker.kill()
    broker.start()
    assert connack(broker.port, "bad") == 0x8A
    broker.ctl("banned", "del", "clientid", "bad")
    assert connack(broker.port, "bad") == 0
    broker.ctl("banned", "add", "peerhost_net", "127.0.0.0/8", "1s")
    assert connack(broker.port) == 0x8A
    wait_for(lambda: connack(broker.port) == 0, 5, lambda: "the ban to end")


def test_a_client_that_flaps_is_banned(sluice):
    broker = sluice({"flapping_detect": {"enable": True, "max_count": 3, "window_time": "60s", "ban_time": "60s"}})
    assert [connack(broker.port, "f") for _ in range(3)] == [0, 0, 0]
    wait_for(lambda: connack(broker.port, "f") == 0x8A, 5, lambda: "the ban")
    assert connack(broker.port, "g") == 0


def test_a_session_belongs_to_its_user(sluice, client):
    broker = sluice({"authentication": [BUILT_IN]})
    for user in ("ann", "bob"):
        broker.ctl("users", "add", user, "pw")
    keep = {0x11: 3600}
    held = client(broker, "shared", version=5, clean=False, username="ann", password="pw", properties=keep)
    held.subscribe("t", qos=1)
    assert connack(broker.port, "shared", username="bob", password="pw") == 0x85
    assert connack(broker.port, "shared", username="bob", password="pw", version=4, clean=False) == 2
    held.ping()
    held.disconnect()
    for _ in range(8):  # on whatever shard it lands
        assert connack(broker.port, "shared", username="bob", password="pw") == 0x85
    again = client(broker, "shared", version=5, clean=False, username="ann", password="pw", properties=keep)
    assert again.session_present


# ---------------------------------------------------------------- events, secrets


def test_events_tell_what_was_decided(sluice, client, topic):
    rules = "\n".join(
        f"  {name}:\n    sql: 'SELECT * FROM \"$events/{event}\"'\n    actions:\n"
        f"      - republish: {{topic: 'seen/{name}', payload: '${{.}}'}}"
        for name, event in (("authn", "client_check_authn_complete"), ("authz", "client_check_authz_complete")))
    broker = sluice({"authentication": [BUILT_IN], **acl(topic, {"permission": "allow", "topics": ["seen/#", topic]})},
                    rules={"r.yaml": "rules:\n" + rules + "\n"})
    broker.ctl("users", "add", "ann", "pw")
    broker.ctl("users", "add", "root", "pw", "superuser")
    watcher = client(broker, version=5, username="root", password="pw")
    watcher.subscribe("seen/#")
    watcher.messages.clear()
    connack(broker.port, "w", username="ann", password="no")
    opened = client(broker, "c1", version=5, username="ann", password="pw")
    for name in (topic, topic, topic + "/no"):
        opened.publish(name, qos=1)
    got = [json.loads(m.payload) for m in watcher.receive(5)]
    authn = [(e["clientid"], e["reason_code"], e["is_anonymous"], e["is_superuser"]) for e in got if "reason_code" in e]
    assert authn[-2:] == [("w", "bad_username_or_password", False, False), ("c1", "success", False, False)]
    authz = [(e["topic"], e["result"], e["authz_source"]) for e in got if e.get("clientid") == "c1" and "authz_source" in e]
    assert authz == [(topic, "allow", "file"), (topic, "allow", "cache"), (topic + "/no", "deny", "default")]


def test_no_secret_shows_anywhere(sluice, tmp_path):
    """A canary in every secret: in logs at debug, in answers, in what a wrong configuration says."""
    broker = sluice({"authentication": [BUILT_IN, {"mechanism": "jwt", "secret": "${env:KEY}"}], "log": {"level": "debug"}},
                    env={"KEY": "canary-key"})
    broker.ctl("users", "add", "ann", "canary-pw")
    for password in ("canary-pw", "canary-wrong", token({}, b"canary-key"), token({}, b"canary-other")):
        connack(broker.port, username="ann", password=password)
    answers = "".join(broker.ctl(*words).stdout for words in (("users", "list"), ("clients", "list"), ("broker", "metrics")))
    files = "".join(path.read_text() for path in broker.data.glob("*.json"))
    assert "canary" not in broker.output + answers + files
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text('authentication: [{mechanism: jwt, secret: "canary-key", algoritm: x}]\n')
    failed = run_sluice("start", "--config", str(wrong), check=False)
    assert failed.returncode == 1 and "canary" not in failed.stdout + failed.stderr
