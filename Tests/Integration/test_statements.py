"""Numbered statements of MQTT 5.0, one test each, where no other test bears their number."""

import struct

import pytest

from support.mqtt import (CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE, UNSUBACK,
                          UNSUBSCRIBE, Client, Will, decode_properties, encode_properties, packet, text, unique)


@pytest.fixture
def opened(shared_broker, client):
    return lambda *args, **kwargs: client(shared_broker, *args, **{"version": 5, **kwargs})


def number(value: int) -> bytes:
    return struct.pack(">H", value)


def codes(client, kind, identifier) -> list[int]:
    rest = client.reply(kind, identifier)
    return list(rest[decode_properties(rest, 0)[1]:])


def test_suback_answers_each_filter_in_order_MQTT_3_8_4_2_MQTT_3_8_4_6_MQTT_3_9_3_1_MQTT_3_9_3_2(opened, topic):
    c = opened()
    body = number(77) + b"\0" + text(topic) + b"\x02" + text("$exclusive/a") + b"\0" + text(topic + "/x") + b"\x01"
    c.send(packet(SUBSCRIBE, 2, body))
    assert codes(c, SUBACK, 77) == [2, 0x8F, 1]


def test_unsuback_answers_each_filter_byte_by_byte_MQTT_3_10_4_1_MQTT_3_10_4_5_MQTT_3_10_4_6_MQTT_3_11_3_1(opened, topic):
    c = opened()
    c.subscribe(topic + "/+")
    c.send(packet(UNSUBSCRIBE, 2, number(9) + b"\0" + text(topic + "/x") + text(topic + "/+") + text(topic + "/+")))
    assert codes(c, UNSUBACK, 9) == [0x11, 0, 0x11]


def test_no_message_after_unsubscribing_MQTT_3_10_4_2(opened, topic):
    c = opened()
    c.subscribe(topic)
    c.unsubscribe(topic)
    c.publish(topic, b"late", qos=1)
    c.nothing_came(topic + "/other")


def test_a_subscription_replaces_one_of_the_same_filter_MQTT_3_8_4_3_MQTT_3_8_4_4(opened, topic):
    c = opened()
    c.publish(topic, b"kept", qos=1, retain=True)
    c.subscribe(topic, qos=0)
    assert c.message().qos == 0
    c.subscribe(topic, qos=1)
    got = c.message()
    assert (got.payload, got.qos, got.retain) == (b"kept", 1, True)
    c.publish(topic, b"once", qos=1)
    assert c.message().payload == b"once"
    c.ping()
    assert not c.messages
    c.publish(topic, b"", retain=True)


@pytest.mark.parametrize("handling, first, again", [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
def test_retain_handling_MQTT_3_3_1_9_MQTT_3_3_1_10_MQTT_3_3_1_11(opened, topic, handling, first, again):
    c = opened()
    c.publish(topic, b"kept", qos=1, retain=True)
    for expected in (first, again):
        c.subscribe(topic, options=handling << 4)
        c.ping()
        assert len(c.messages) == expected
        c.messages.clear()
    c.publish(topic, b"", retain=True)


@pytest.mark.parametrize("option, expected", [(0, False), (8, True)])
def test_retain_as_published_MQTT_3_3_1_12_MQTT_3_3_1_13(opened, topic, option, expected):
    c = opened()
    c.subscribe(topic, options=option)
    c.publish(topic, b"x", retain=True)
    assert c.message().retain is expected
    c.publish(topic, b"", retain=True)


def test_an_empty_retained_message_removes_the_one_there_is_MQTT_3_3_1_6_MQTT_3_3_1_7_MQTT_3_3_1_8(opened, topic):
    c = opened()
    c.publish(topic, b"kept", qos=1, retain=True)
    c.publish(topic, b"not kept", qos=1)
    c.subscribe(topic)
    assert c.message().payload == b"kept"
    c.publish(topic, b"", qos=1, retain=True)
    assert c.message().payload == b""
    opened().nothing_came(topic)


def test_a_qos_2_exchange_MQTT_4_3_3_8_MQTT_4_3_3_11_MQTT_4_3_3_12(opened, topic):
    c = opened()
    c.subscribe(topic)
    for payload in (b"one", b"two"):
        c.send(c.publish_packet(topic, payload, 2, identifier=5))
        c.reply(PUBREC, 5)
        c.send(packet(PUBREL, 2, number(5)))
        c.reply(PUBCOMP, 5)
        assert c.message().payload == payload


def test_a_qos_1_identifier_is_free_after_puback_MQTT_4_3_2_4_MQTT_4_3_2_5(opened, topic):
    c = opened()
    c.subscribe(topic)
    for duplicate in (False, True):
        c.send(c.publish_packet(topic, b"x", 1, identifier=6, duplicate=duplicate))
        c.reply(PUBACK, 6)
        assert not c.message().duplicate


def test_properties_go_on_unaltered_MQTT_3_3_2_4_MQTT_3_3_2_15_MQTT_3_3_2_16_MQTT_3_3_2_17_MQTT_3_3_2_18_MQTT_3_3_2_20(
        opened, topic):
    c = opened()
    c.subscribe(topic)
    sent = {0x01: 1, 0x08: "answer/here", 0x09: b"\0\xff", 0x03: "text/plain",
            0x26: [("b", "1"), ("a", "2"), ("b", "3"), ("b", "1")]}
    c.publish(topic, "é", qos=1, properties=sent)
    assert c.message().properties == sent


def test_session_present_MQTT_3_2_2_2_MQTT_3_2_2_3_MQTT_3_1_2_4_MQTT_3_1_2_5_MQTT_3_1_2_6(opened):
    name, keep = unique(), {0x11: 60}
    assert not opened(name, properties=keep).session_present
    assert opened(name, clean=False, properties=keep).session_present
    assert not opened(name, clean=True, properties=keep).session_present


def test_a_new_connection_ends_the_old_one_MQTT_3_1_4_3_MQTT_3_14_4_1(opened):
    name = unique()
    old = opened(name)
    opened(name)
    assert old.wait_closed()[0] == 0x8E


def test_an_identifier_is_assigned_MQTT_3_1_3_6_MQTT_3_1_3_7_MQTT_3_2_2_16(opened):
    names = {opened("").connack_properties[0x12] for _ in range(3)}
    assert len(names) == 3


@pytest.mark.parametrize("retain", [False, True])
def test_a_will_is_published_as_it_says_MQTT_3_1_2_8_MQTT_3_1_2_16_MQTT_3_1_2_17_MQTT_3_1_3_10(opened, topic, retain):
    watcher = opened()
    watcher.subscribe(topic)
    pairs = [("b", "1"), ("a", "2")]
    opened(will=Will(topic, b"gone", 0, retain, {0x26: pairs})).close()
    got = watcher.message()
    assert (got.payload, got.properties[0x26]) == (b"gone", pairs)
    late = opened()
    late.subscribe(topic)
    late.ping()
    assert [m.payload for m in late.messages] == ([b"gone"] if retain else [])
    late.publish(topic, b"", retain=True)


def test_a_will_is_gone_after_disconnect_MQTT_3_14_4_3_MQTT_3_1_2_10(opened, topic):
    watcher = opened()
    watcher.subscribe(topic)
    c = opened(will=Will(topic, b"gone"))
    c.send(packet(DISCONNECT, 0, b""))
    c.wait_closed()
    watcher.ping()
    assert not watcher.messages


def test_no_disconnect_and_no_second_connack_for_who_is_refused_MQTT_3_14_0_1_MQTT_3_2_2_7_MQTT_3_1_4_6(shared_broker):
    c = Client(shared_broker.port, "x", version=5, connect=False)
    c.send(c.connect_packet(properties={0x15: "no-such-method"}) + packet(SUBSCRIBE, 2, number(1) + b"\0" + text("#") + b"\0"))
    assert c.expect_other(CONNACK)[1][1] == 0x8C
    assert c.wait_closed() is None
    assert not c.others and not c.replies


def test_acknowledgements_are_bare_without_problem_information_MQTT_3_1_2_29(opened, topic):
    c = opened(properties={0x17: 0})
    c.send(packet(SUBSCRIBE, 2, number(3) + encode_properties({}) + text("$exclusive/a") + b"\0"))
    assert c.reply(SUBACK, 3) == b"\0\x8f"
    c.send(packet(PUBREL, 2, number(1234)))
    assert c.reply(PUBCOMP, 1234) in (b"\x92", b"\x92\0")
    c.send(c.publish_packet(topic, b"x", 1, identifier=8))
    assert c.reply(PUBACK, 8) in (b"\x10", b"\x10\0")


def test_a_second_subscription_identifier_and_a_wrong_flag_close_MQTT_3_14_1_1_MQTT_3_6_1_1(opened):
    for data in (packet(DISCONNECT, 1, b""), packet(PUBREL, 0, number(1)), packet(PUBLISH, 6, text("a") + number(1) + b"\0")):
        c = opened()
        c.send(data)
        assert c.wait_closed()[0] == 0x81
