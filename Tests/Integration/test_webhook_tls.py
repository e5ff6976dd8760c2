"""Webhooks over TLS and HTTP/2: whom the broker believes, and that sharing a connection loses and reorders nothing."""

import shutil
import ssl

import pytest

from support.mqtt import unique
from support.rule_texts import webhook_rule
from support.waiting import holds_for, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture
def receiver(certificates, faulty_receiver):
    """Starts an HTTPS receiver with one of the test certificates that offers these protocols by ALPN."""

    def start(certificate="server", protocols=("h2", "http/1.1"), fault=None, **kwargs):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{certificate}.pem", certificates / f"{certificate}.key")
        context.set_alpn_protocols(list(protocols))
        return faulty_receiver(fault, tls=context, **kwargs)

    return start


def rule(receiver, tls: str, version="auto", options="      order: client", host="127.0.0.1") -> str:
    text = webhook_rule("hook", "h/#", f"https://{host}:{receiver.port}", options=options)
    return text.replace("actions:\n  http:", f"      http_version: \"{version}\"\n      ssl: {{{tls}}}\nactions:\n  http:", 1)


def publish(client_, count, first=0):
    client_.publish_all("h/a", [b'{"n":%d}' % n for n in range(first, first + count)], qos=1)


def numbers(requests, clientid):
    return [r.json["n"] for r in requests if r.json["clientid"] == clientid]


REFUSALS = {
    "an authority that the system does not know": ("server", "", "unable to get local issuer certificate"),
    "another authority": ("server", "cacertfile: {stranger}", "unable to get local issuer certificate"),
    "a certificate for another host": ("elsewhere", "cacertfile: {ca}", "does not match|no alternative certificate subject name matches"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_receiver_that_cannot_prove_itself_gets_nothing_and_the_messages_wait(sluice, client, certificates, receiver, case):
    certificate, tls, error = REFUSALS[case]
    files = {name: certificates / f"{name}.pem" for name in ("ca", "stranger")}
    untrusted = receiver(certificate)
    broker = sluice(rules={"hook.yaml": rule(untrusted, tls.format(**files))})
    publish(client(broker), 5)
    # Retried, kept, and said in words.
    counts = wait_for(lambda: (found := broker.sink("http:hook"))["retried"] >= 3 and found, 15, lambda: f"retries: {broker.sink('http:hook')}")
    assert counts["success"] == counts["failed"] == 0 and counts["queuing"] + counts["inflight"] == 5
    broker.wait_for_output(error, 10)
    assert error.split("|")[-1] in str(broker.ctl_json("sinks", "show", "http:hook"))
    assert untrusted.seen == []
    # With the rule file mended it is believed.
    mended = "verify: verify_none" if certificate == "elsewhere" else f"cacertfile: {files['ca']}"
    broker.write_rules("hook.yaml", rule(untrusted, mended))
    broker.wait_for_output("Rules are in force", 10)
    publish(client(broker), 1, first=5)
    wait_for(lambda: any(r.json["n"] == 5 for r in untrusted.accepted), 20, "a delivery after the change")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("protocols", [("h2", "http/1.1"), ("http/1.1",), ()], ids=["h2", "http1", "no ALPN"])
def test_a_trusted_authority_is_enough_and_the_best_common_protocol_is_taken(sluice, client, certificates, receiver, protocols, host):
    trusted = receiver(protocols=protocols)
    broker = sluice(rules={"hook.yaml": rule(trusted, f"cacertfile: {certificates / 'ca.pem'}", host=host)})
    publisher = client(broker, unique("c"))
    publish(publisher, 40)
    wait_for(lambda: len(trusted.accepted) >= 40, 20, lambda: f"40 accepted, have {len(trusted.accepted)}")
    assert numbers(trusted.accepted, publisher.client_id) == list(range(40))
    assert set(trusted.protocols) == {protocols[0] if protocols else None}
    assert broker.sink("http:hook")["retried"] == 0
    if "h2" in protocols:
        assert len(trusted.protocols) == 1, "one connection for all"


def test_http_1_is_spoken_where_it_is_asked_for(sluice, client, certificates, receiver):
    trusted = receiver()
    broker = sluice(rules={"hook.yaml": rule(trusted, f"cacertfile: {certificates / 'ca.pem'}", version="1.1")})
    publish(client(broker), 10)
    wait_for(lambda: len(trusted.accepted) == 10, 20, "10 accepted")
    assert set(trusted.protocols) <= {"http/1.1", None}


@pytest.mark.parametrize("certificate", ["server", "elsewhere"])
def test_verify_none_takes_any_certificate_and_is_warned_of(sluice, client, receiver, certificate):
    untrusted = receiver(certificate)
    broker = sluice(rules={"hook.yaml": rule(untrusted, "verify: verify_none")})
    assert "certificate is not verified" in broker.output
    publish(client(broker), 10)
    wait_for(lambda: len(untrusted.accepted) == 10, 20, "10 accepted")


def test_a_receiver_asks_for_a_client_certificate(sluice, client, certificates, receiver):
    strict = receiver()
    strict.tls.load_verify_locations(certificates / "ca.pem")
    strict.tls.verify_mode = ssl.CERT_REQUIRED
    own = ", ".join(f"{key}file: {certificates / f'client.{end}'}" for key, end in (("cert", "pem"), ("key", "key")))
    broker = sluice(rules={"hook.yaml": rule(strict, f"cacertfile: {certificates / 'ca.pem'}, {own}")})
    publish(client(broker), 10)
    wait_for(lambda: len(strict.accepted) == 10, 20, "10 accepted")


CLIENTS, EACH = 20, 30


def run_clients(broker, client):
    clients = [client(broker, f"client-{n}") for n in range(CLIENTS)]
    for number in range(EACH):
        for publisher in clients:
            publisher.publish("h/a", b'{"n":%d}' % number, qos=1)
    return clients


def check_all(server, clients, exactly=True):
    total = CLIENTS * EACH
    wait_for(lambda: len(server.accepted) >= total, 40, lambda: f"{total} accepted, have {len(server.accepted)} of {len(server.seen)}")
    if exactly:
        holds_for(lambda: len(server.accepted) == total, 0.3, f"exactly {total} accepted requests")
    for publisher in clients:
        assert numbers(server.accepted, publisher.client_id) == list(range(EACH)), publisher.client_id


def test_http_2_requests_share_one_connection_and_keep_each_clients_order(sluice, client, certificates, receiver):
    from support.http_receiver import HTTP2Behaviour

    # More streams at once than the eight connections of the pool.
    server = receiver(http2=HTTP2Behaviour(gather_from=60, gather=CLIENTS))
    broker = sluice(rules={"hook.yaml": rule(server, f"cacertfile: {certificates / 'ca.pem'}")})
    clients = run_clients(broker, client)
    check_all(server, clients)
    assert server.protocols == ["h2"]
    assert server.most_streams >= CLIENTS


FAULTS = {
    "503": lambda request, number: 503 if number % 7 == 3 else None,
    "streams reset": lambda request, number: "reset" if number % 9 == 4 else None,
    "a stream hangs": lambda request, number: "hang" if number in (5, 50) else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_or_reordered_over_http_2_while_the_receiver_misbehaves(sluice, client, certificates, receiver, fault):
    server = receiver(fault=FAULTS[fault])
    options = "      timeout: {connect: 1s, total: 1s}\n      order: client"
    broker = sluice(rules={"hook.yaml": rule(server, f"cacertfile: {certificates / 'ca.pem'}", options=options)})
    check_all(server, run_clients(broker, client))


def test_nothing_is_lost_when_an_http_2_receiver_says_goaway_again_and_again(sluice, client, certificates, receiver):
    from support.http_receiver import HTTP2Behaviour

    server = receiver(http2=HTTP2Behaviour(requests_per_connection=25))
    broker = sluice(rules={"hook.yaml": rule(server, f"cacertfile: {certificates / 'ca.pem'}")})
    check_all(server, run_clients(broker, client))
    assert len(server.protocols) >= CLIENTS * EACH // 25
