"""Fixtures: brokers with a configuration of their own, clients and HTTP receivers; all are ended after the test."""

import pytest

from support.access import Service
from support.broker import Sluice, binary
from support.certificates import make_certificates
from support.http_receiver import FaultyReceiver, FlaskReceiver
from support.mqtt import Client, unique


def pytest_sessionstart(session):
    try:
        binary()
    except FileNotFoundError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture
def sluice():
    """Starts brokers: `sluice(config=…, rules={"a.yaml": "…"})`. Those still running at the end must stop on SIGTERM."""
    started: list[Sluice] = []

    def start(*args, run=True, **kwargs) -> Sluice:
        broker = Sluice(*args, **kwargs)
        started.append(broker)
        return broker.start() if run else broker

    yield start
    try:
        for broker in started:
            if broker.alive():
                broker.terminate()
            elif broker.process:
                broker.check_no_crash()
    finally:
        for broker in started:
            broker.close()


@pytest.fixture(scope="module")
def shared_broker():
    """One broker for the tests of a module that need nothing special of it."""
    broker = Sluice(websocket=True).start()
    yield broker
    try:
        broker.terminate()
    finally:
        broker.close()


@pytest.fixture
def client(request):
    """Opens raw clients: `client(broker, version=5, …)`; the identifier is unique unless given."""
    opened: list[Client] = []

    def connect(broker, client_id=None, **kwargs) -> Client:
        made = Client(broker.port, unique() if client_id is None else client_id, **kwargs)
        opened.append(made)
        return made

    yield connect
    for item in opened:
        item.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """The folder of the test authority and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def topic() -> str:
    return unique("t")


@pytest.fixture
def flask_receiver():
    receiver = FlaskReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def faulty_receiver():
    made: list[FaultyReceiver] = []

    def start(fault=None, **kwargs) -> FaultyReceiver:
        made.append(FaultyReceiver(fault, **kwargs))
        return made[-1].start()

    yield start
    for receiver in made:
        receiver.stop()


@pytest.fixture
def service():
    """Starts HTTP services that are asked about clients: `service(answer)`."""
    made = []

    def start(answer):
        made.append(Service(answer))
        return made[-1]

    yield start
    for item in made:
        item.stop()
