"""AUTH and SCRAM, asked of the real binary by a raw client."""

import time

import pytest

from support.mqtt import (AUTH, CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBLISH, Client, Closed, Will, decode_properties,
                          encode_properties, packet, unique)
from support.scram import Scram

METHOD, DATA = 0x15, 0x16


def authentication(algorithm="sha256"):
    return [{"mechanism": "scram", "backend": "built_in_database", "algorithm": algorithm}]


@pytest.fixture(params=["epoll", "nio"])
def broker(sluice, request):
    made = start(sluice, request.param)
    return made


def start(sluice, transport="epoll", algorithm="sha256", **more):
    made = sluice(config={"authentication": authentication(algorithm),
                          "listeners": {"tcp": {"default": {"transport": transport}}}, **more})
    for words in (["pump", "s3cret"], ["root", "toor", "superuser"], ["a,b=c", "comma"]):
        made.ctl("users", "add", *words)
    return made


def auth(reason, method, data=None) -> bytes:
    return packet(AUTH, 0, bytes([reason]) + encode_properties({METHOD: method} | ({DATA: data} if data is not None else {})))


def opened(broker, **kwargs) -> Client:
    return Client(broker.port, unique(), version=5, connect=False, **kwargs)


def reply(client, kind):
    """The reason code and properties of the next CONNACK, AUTH or DISCONNECT."""
    _, body = client.expect_other(kind)
    at = 1 if kind == CONNACK else 0
    if not body:
        return 0, {}
    return body[at], decode_properties(body, at + 1)[0] if len(body) > at + 1 else {}


def begin(client, scram, **kwargs):
    client.send(client.connect_packet(properties={METHOD: scram.method, DATA: scram.first()}, **kwargs))
    reason, properties = reply(client, AUTH)
    assert reason == 0x18 and properties[METHOD] == scram.method
    return properties[DATA]


def enter(broker, scram, **kwargs) -> Client:
    client = opened(broker)
    challenge = begin(client, scram, **kwargs)
    client.send(auth(0x18, scram.method, scram.final(challenge)))
    reason, properties = reply(client, CONNACK)
    assert reason == 0 and properties[METHOD] == scram.method and scram.verify(properties[DATA])
    return client


def test_scram_lets_a_client_in_and_proves_the_server_MQTT_4_12_0_2_MQTT_4_12_0_5(broker, topic):
    client = enter(broker, Scram("pump", "s3cret"))
    client.subscribe(topic)
    client.publish(topic, b"x", qos=1)
    assert client.message().payload == b"x"


def test_scram_sha_512_and_names_with_commas(sluice):
    broker = start(sluice, algorithm="sha512")
    enter(broker, Scram("a,b=c", "comma", "sha512"))
    enter(broker, Scram("pump", "s3cret", "sha512", header="y,,"))
    enter(broker, Scram("pump", "s3cret", "sha512", header="n,a=pump,"))
    client = opened(broker)
    scram = Scram("pump", "s3cret")
    client.send(client.connect_packet(properties={METHOD: scram.method, DATA: scram.first()}))
    assert reply(client, CONNACK)[0] == 0x8C


@pytest.mark.parametrize("scram", [Scram("pump", "wrong"), Scram("nobody", "s3cret")], ids=["password", "user"])
def test_a_proof_that_does_not_hold_is_refused_MQTT_4_12_0_4(broker, scram):
    client = opened(broker)
    challenge = begin(client, scram)
    client.send(auth(0x18, scram.method, scram.final(challenge)))
    reason, properties = reply(client, CONNACK)
    assert reason == 0x86 and METHOD not in properties
    client.wait_closed()


def test_an_unknown_user_has_the_same_salt_each_time(sluice):
    broker = start(sluice)
    salts = {begin(opened(broker), Scram("nobody", "x")).split(b",")[1] for _ in range(3)}
    assert len(salts) == 1


@pytest.mark.parametrize("first", [b"p=tls-unique,,n=pump,r=abc", b"n,a=root,n=pump,r=abc", b"n,,m=x,n=pump,r=abc", b"n,,n=,r=a",
                                   b"n,,n=pump,r=", b"n,,n=pu=mp,r=abc", b"rubbish", b"\xff\xfe", b"n,,n=pump"])
def test_messages_that_are_none_are_refused(sluice, first):
    broker = start(sluice)
    client = opened(broker)
    client.send(client.connect_packet(properties={METHOD: "SCRAM-SHA-256", DATA: first}))
    assert reply(client, CONNACK)[0] == 0x86
    client.wait_closed()


def test_a_connect_without_data_is_asked_for_it(sluice):
    broker = start(sluice)
    client, scram = opened(broker), Scram("pump", "s3cret")
    client.send(client.connect_packet(properties={METHOD: scram.method}))
    assert reply(client, AUTH) == (0x18, {METHOD: scram.method})
    client.send(auth(0x18, scram.method, scram.first()))
    client.send(auth(0x18, scram.method, scram.final(reply(client, AUTH)[1][DATA])))
    assert reply(client, CONNACK)[0] == 0


def test_a_user_name_in_connect_must_be_the_one_that_is_proved(sluice):
    broker = start(sluice)
    enter(broker, Scram("pump", "s3cret"), username="pump")
    client, scram = opened(broker), Scram("pump", "s3cret")
    challenge = begin(client, scram, username="root")
    client.send(auth(0x18, scram.method, scram.final(challenge)))
    assert reply(client, CONNACK)[0] == 0x86


def test_an_auth_of_another_method_ends_the_exchange_MQTT_4_12_0_5(broker):
    client, scram = opened(broker), Scram("pump", "s3cret")
    challenge = begin(client, scram)
    client.send(auth(0x18, "SCRAM-SHA-512", scram.final(challenge)))
    assert reply(client, CONNACK)[0] == 0x8C
    client.wait_closed()


@pytest.mark.parametrize("data", [packet(PINGREQ, 0, b""), packet(PUBLISH, 0, b"\0\1t\0x"), auth(0x19, "SCRAM-SHA-256", b"n,,n=pump,r=a")],
                         ids=["pingreq", "publish", "re-authenticate"])
def test_other_packets_before_the_connack_MQTT_3_1_2_30_MQTT_3_14_0_1(broker, data):
    client = opened(broker)
    begin(client, Scram("pump", "s3cret"))
    client.send(data)
    assert reply(client, CONNACK)[0] == 0x82
    client.wait_closed()


def test_a_disconnect_in_the_exchange_just_closes(sluice):
    broker = start(sluice)
    client = opened(broker)
    begin(client, Scram("pump", "s3cret"))
    client.send(packet(DISCONNECT, 0, b""))
    client.wait_closed()


def test_a_client_that_does_not_answer_is_given_up(sluice):
    broker = start(sluice, mqtt={"idle_timeout": "1s"})
    client = opened(broker)
    begun = time.monotonic()
    begin(client, Scram("pump", "s3cret"))
    assert reply(client, CONNACK)[0] == 0x87
    assert time.monotonic() - begun < 5
    client.wait_closed()


def test_re_authentication_goes_on_beside_messages_MQTT_4_12_1_1(broker, topic):
    client = enter(broker, Scram("pump", "s3cret"))
    again = Scram("pump", "s3cret")
    client.send(auth(0x19, again.method, again.first()))
    reason, properties = reply(client, AUTH)
    assert reason == 0x18
    client.subscribe(topic)
    client.publish(topic, b"meanwhile", qos=1)
    assert client.message().payload == b"meanwhile"
    client.send(auth(0x18, again.method, again.final(properties[DATA])))
    reason, properties = reply(client, AUTH)
    assert reason == 0 and properties[METHOD] == again.method and again.verify(properties[DATA])
    client.publish(topic, b"after", qos=1)
    assert client.message().payload == b"after"


@pytest.mark.parametrize("scram", [Scram("pump", "wrong"), Scram("root", "toor")], ids=["password", "another user"])
def test_re_authentication_that_fails_closes_MQTT_4_12_1_2(broker, scram):
    client = enter(broker, Scram("pump", "s3cret"))
    client.send(auth(0x19, scram.method, scram.first()))
    client.send(auth(0x18, scram.method, scram.final(reply(client, AUTH)[1][DATA])))
    assert reply(client, DISCONNECT)[0] == 0x87
    client.wait_closed()


def test_a_re_authentication_that_stays_away_closes(sluice):
    broker = start(sluice, mqtt={"idle_timeout": "1s"})
    client = enter(broker, Scram("pump", "s3cret"))
    again = Scram("pump", "s3cret")
    client.send(auth(0x19, again.method, again.first()))
    assert reply(client, AUTH)[0] == 0x18
    assert reply(client, DISCONNECT)[0] == 0x87


def test_wrong_auth_packets_on_a_live_connection_MQTT_4_12_0_7(broker):
    def refused(data, first=None):
        client = enter(broker, Scram("pump", "s3cret"))
        if first:
            client.send(first)
            assert reply(client, AUTH)[0] == 0x18
        client.send(data)
        reason = reply(client, DISCONNECT)[0]
        client.wait_closed()
        return reason

    again = Scram("pump", "s3cret")
    assert refused(auth(0x19, "SCRAM-SHA-512", b"n,,n=pump,r=a")) == 0x8C
    assert refused(auth(0x18, again.method, b"x")) == 0x82
    assert refused(auth(0x00, again.method)) == 0x82
    assert refused(packet(AUTH, 0, b"")) == 0x82
    assert refused(packet(AUTH, 0, b"\x19" + encode_properties({}))) == 0x82
    # A second exchange while one runs.
    assert refused(auth(0x19, again.method, again.first()), first=auth(0x19, again.method, again.first())) == 0x82


def test_a_will_is_published_when_re_authentication_fails(sluice, topic):
    broker = start(sluice)
    watcher = enter(broker, Scram("root", "toor"))
    watcher.subscribe(topic)
    client = enter(broker, Scram("pump", "s3cret"), will=Will(topic, b"gone"))
    wrong = Scram("pump", "wrong")
    client.send(auth(0x19, wrong.method, wrong.first()))
    client.send(auth(0x18, wrong.method, wrong.final(reply(client, AUTH)[1][DATA])))
    assert watcher.message().payload == b"gone"


def test_auth_of_a_3_1_1_client_closes(sluice):
    broker = sluice()
    client = Client(broker.port, unique(), version=4)
    client.send(auth(0x19, "SCRAM-SHA-256", b"x"))
    client.wait_closed()


def test_who_sends_the_password_gets_in_with_a_verifier_too(sluice):
    broker = sluice(config={"authentication": authentication() + [{"mechanism": "password_based", "backend": "built_in_database"}]})
    broker.ctl("users", "add", "pump", "s3cret", "--scram")
    enter(broker, Scram("pump", "s3cret"))
    Client(broker.port, unique(), version=5, username="pump", password="s3cret").close()
    client = opened(broker)
    client.send(client.connect_packet(username="pump", password="wrong"))
    assert reply(client, CONNACK)[0] == 0x86
    # Without a method there is no AUTH and no method in CONNACK. [MQTT-4.12.0-6]
    assert METHOD not in Client(broker.port, unique(), version=5, username="pump", password="s3cret").connack_properties
