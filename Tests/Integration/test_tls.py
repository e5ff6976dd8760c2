"""MQTT over TLS, with and without client certificates."""

import os
import shutil
import signal
import socket
import ssl

import pytest

from support.broker import free_port
from support.certificates import Authority
from support.mqtt import Client, Closed, unique
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


class TLSClient(Client):
    """A raw client whose socket is wrapped before CONNECT."""

    def __init__(self, port: int, context: ssl.SSLContext, *, host="127.0.0.1", username=None, **kwargs):
        super().__init__(port, unique("tls"), connect=False, **kwargs)
        self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.send(self.connect_packet(username=username))
        self.finish_connect()

    def read(self, timeout: float) -> bool:
        if not self.sock.pending():
            return super().read(timeout)
        self.buffer += self.sock.recv(1 << 18)
        self._handle_packets()
        return True


def start(sluice, certificates, mqtt=None, **options):
    port = free_port()
    settings = {"certfile": str(certificates / "server.pem"), "keyfile": str(certificates / "server.key"), **options}
    listeners = {"ssl": {"default": {"bind": f"127.0.0.1:{port}", "ssl_options": settings}}}
    broker = sluice({"listeners": listeners, "mqtt": mqtt or {}})
    return broker, port


def test_messages_pass_between_tls_and_tcp_clients(sluice, client, certificates, topic):
    broker, port = start(sluice, certificates)
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    with TLSClient(port, context, version=5) as secure:
        secure.subscribe(f"{topic}/to-tls", qos=1)
        plain = client(broker)
        plain.subscribe(f"{topic}/to-tcp", qos=1)
        payloads = [b"%d" % n + b"x" * 20_000 for n in range(50)]
        plain.publish_all(f"{topic}/to-tls", payloads, qos=1)
        assert [m.payload for m in secure.receive(50)] == payloads
        secure.publish_all(f"{topic}/to-tcp", payloads, qos=1)
        assert [m.payload for m in plain.receive(50)] == payloads


def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(sluice, certificates):
    _, port = start(sluice, certificates, cacertfile=str(certificates / "ca.pem"), verify="verify_peer", fail_if_no_peer_cert=True)
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    with pytest.raises((OSError, Closed)):  # ssl.SSLError is an OSError
        TLSClient(port, context)
    context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    with TLSClient(port, context) as accepted:
        accepted.ping()


def test_plain_bytes_on_a_tls_port_are_closed(sluice, client, certificates):
    broker, port = start(sluice, certificates)
    with Client(port, connect=False) as stranger:
        stranger.send(stranger.connect_packet())
        stranger.wait_closed()
    client(broker).ping()


def test_an_open_handshake_is_given_up(sluice, certificates):
    _, port = start(sluice, certificates, handshake_timeout="1s")
    with socket.create_connection(("127.0.0.1", port), timeout=8) as silent:
        assert silent.recv(1) == b""


def trusting(certificates, name: str | None = None) -> ssl.SSLContext:
    """A client's context; with the certificate of that name."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    if name:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


def is_refused(port: int, context: ssl.SSLContext) -> bool:
    try:
        TLSClient(port, context).close()
        return False
    except (OSError, Closed):
        return True


def common_name(client: Client) -> str:
    return dict(pair[0] for pair in client.sock.getpeercert()["subject"])["commonName"]


def test_an_open_handshake_is_given_up_in_its_own_time(sluice, certificates):
    _, port = start(sluice, certificates, handshake_timeout="500ms", mqtt={"idle_timeout": "600s"})
    with socket.create_connection(("127.0.0.1", port), timeout=8) as silent:
        silent.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert silent.recv(1) == b""


@pytest.mark.parametrize("versions, offered, works", [
    (["tlsv1.2", "tlsv1.3"], ssl.TLSVersion.TLSv1_2, True), (["tlsv1.3"], ssl.TLSVersion.TLSv1_2, False),
    (["tlsv1.2"], ssl.TLSVersion.TLSv1_3, False), (["tlsv1.3"], ssl.TLSVersion.TLSv1_3, True),
])
def test_only_the_versions_that_are_configured_are_spoken(sluice, certificates, versions, offered, works):
    _, port = start(sluice, certificates, versions=versions)
    context = trusting(certificates)
    context.minimum_version = context.maximum_version = offered
    assert is_refused(port, context) != works


def test_versions_before_1_2_are_refused(sluice, certificates):
    _, port = start(sluice, certificates)
    context = trusting(certificates)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    assert is_refused(port, context)


def test_the_certificate_is_the_one_for_the_name_that_is_asked_for(sluice, certificates):
    authority = certificates.authority
    authority.issue("one", names="DNS:one.example.org")
    authority.issue("any", names="DNS:*.example.net")
    hosts = {host: {"certfile": str(certificates / f"{name}.pem"), "keyfile": str(certificates / f"{name}.key")}
             for host, name in [("one.example.org", "one"), ("*.example.net", "any")]}
    _, port = start(sluice, certificates, sni_hosts=hosts)
    context = trusting(certificates)
    for host, expected in [("one.example.org", "one"), ("ONE.example.org", "one"), ("b.example.net", "any"), ("localhost", "server")]:
        with TLSClient(port, context, host=host) as secure:
            assert common_name(secure) == expected
    context.check_hostname = False
    with TLSClient(port, context, host="a.b.example.net") as secure:
        assert common_name(secure) == "server"


@pytest.mark.parametrize("key, expected", [("cn", "Zähler 7"), ("dn", "CN=Zähler 7,OU=a\\,b,O=Example,C=DE")])
def test_the_name_in_the_certificate_can_be_the_user_and_the_client(sluice, certificates, key, expected):
    certificates.authority.issue("named", subject="/C=DE/O=Example/OU=a,b/CN=Zähler 7")
    broker, port = start(sluice, certificates, cacertfile=str(certificates / "ca.pem"), verify="verify_peer",
                         mqtt={"peer_cert_as_username": key, "peer_cert_as_clientid": key})
    with TLSClient(port, trusting(certificates, "named"), username="somebody else"):
        assert broker.ctl_json("clients", "show", expected)["username"] == expected
    # Who shows no certificate has no name: it could take anybody's otherwise.
    with pytest.raises(AssertionError, match="CONNACK 0x5"):
        TLSClient(port, trusting(certificates), username="nobody")


@pytest.mark.parametrize("kind", ["rsa:2048", "P-256", "P-384"])
def test_a_revoked_certificate_is_refused_and_others_are_not(sluice, tmp_path, kind):
    authority = Authority(tmp_path, kind=kind)
    for name in ("server", "good", "bad", "later"):
        authority.issue(name, kind=kind)
    revoked = authority.revocation_list("bad", to="crl.pem")
    broker, port = start(sluice, tmp_path, cacertfile=str(tmp_path / "ca.pem"), verify="verify_peer", fail_if_no_peer_cert=True, crlfile=str(revoked))
    assert is_refused(port, trusting(tmp_path, "bad"))
    with TLSClient(port, trusting(tmp_path, "good")) as good, TLSClient(port, trusting(tmp_path, "later")) as later:
        before = len(broker.output)
        authority.revocation_list("later", to="crl.pem")
        broker.wait_for_output("Certificates were read again", since=before)
        assert is_refused(port, trusting(tmp_path, "later"))
        later.ping()
        good.ping()
    TLSClient(port, trusting(tmp_path, "good")).close()


def test_an_outdated_list_vouches_for_nobody(sluice, tmp_path):
    authority = Authority(tmp_path)
    for name in ("server", "good"):
        authority.issue(name)
    _, port = start(sluice, tmp_path, cacertfile=str(tmp_path / "ca.pem"), verify="verify_peer", crlfile=str(authority.revocation_list(to="crl.pem", days=0)))
    assert is_refused(port, trusting(tmp_path, "good"))


def test_a_list_that_somebody_else_signed_stops_the_start(sluice, tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    authority.issue("server")
    (tmp_path / "forged").mkdir()
    forger = Authority(tmp_path / "forged")  # The same name, another key.
    for file, expected in [(other.revocation_list(to="o.pem"), "no certificate in cacertfile is its issuer's"),
                           (forger.revocation_list(to="f.pem"), "its signature is not its issuer's"),
                           (tmp_path / "ca.pem", "there is no revocation list in it")]:
        options = {"certfile": str(tmp_path / "server.pem"), "keyfile": str(tmp_path / "server.key"), "cacertfile": str(tmp_path / "ca.pem"),
                   "verify": "verify_peer", "crlfile": str(file)}
        broker = sluice({"listeners": {"ssl": {"default": {"bind": f"127.0.0.1:{free_port()}", "ssl_options": options}}}}, run=False)
        broker.launch()
        assert broker.exit_code() != 0
        assert expected in broker.output


@pytest.mark.parametrize("how", ["change", "SIGHUP"])
def test_new_certificates_count_for_new_connections_and_old_ones_stay(sluice, certificates, tmp_path, how):
    for name in ("ca.pem", "server.pem", "server.key"):
        shutil.copy(certificates / name, tmp_path / name)
    broker, port = start(sluice, tmp_path)
    context = trusting(certificates)
    with TLSClient(port, context) as before:
        certificates.authority.issue("renewed")
        since = len(broker.output)
        for name in ("key", "pem"):
            shutil.copy(certificates / f"renewed.{name}", tmp_path / f"server.{name}")
        if how == "SIGHUP":
            os.kill(broker.pid, signal.SIGHUP)

        def renewed():
            with TLSClient(port, context) as fresh:
                return common_name(fresh) == "renewed"

        wait_for(renewed, 10, "the renewed certificate")
        before.ping()
        assert common_name(before) == "server"
        broker.wait_for_output("Certificates were read again", since=since)


def test_certificates_that_can_not_be_used_leave_the_old_ones_in_force(sluice, certificates, tmp_path):
    for name in ("ca.pem", "server.pem", "server.key"):
        shutil.copy(certificates / name, tmp_path / name)
    broker, port = start(sluice, tmp_path)
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", (certificates / "client.pem").read_bytes()):
        since = len(broker.output)
        (tmp_path / "server.pem").write_bytes(content)
        broker.wait_for_output("could not be read again", since=since)
        with TLSClient(port, trusting(certificates)) as secure:
            assert common_name(secure) == "server"
