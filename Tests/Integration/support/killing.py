"""Publishers and subscribers that live on over the broker's death, and remember what was acknowledged to them."""

import math
import random
import struct
import threading
import time

from .mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, Client, Closed, packet

_GONE = (Closed, ConnectionError, OSError, AssertionError)


class Persistent(threading.Thread):
    """A client with a session that is kept; connects again whenever its connection ends."""

    def __init__(self, broker, client_id: str, hops=False):
        super().__init__(daemon=True)
        self.broker, self.client_id = broker, client_id
        self.hops = hops  # connects anew again and again, which takes its own session over
        self.client: Client | None = None
        self.incoming: set[int] = set()  # QoS 2 identifiers that were received and not released
        self.connections = 0
        self.absent = 0  # connections that did not find their session
        self.ending = threading.Event()
        self.error: BaseException | None = None
        self.leaves_at = math.inf

    def connect(self) -> Client:
        client = Client(self.broker.port, self.client_id, clean=False, connect=False, timeout=5)
        client.incoming_qos2 = self.incoming
        client.send(client.connect_packet(False, 60))
        client.finish_connect()
        self.connections += 1
        if self.connections > 1 and not client.session_present:
            self.absent += 1
        return client

    def run(self) -> None:
        while not self.ending.is_set():
            former, self.client = self.client, None
            try:
                self.client = self.connect()
                if former:
                    former.close()
                self.leaves_at = time.monotonic() + random.uniform(0.005, 0.05) if self.hops else math.inf
                self.serve(self.client)
            except _GONE:
                for client in (former, self.client):
                    if client:
                        client.close()
                self.client = None
                self.ending.wait(0.005)  # the broker may be gone for a while
            except BaseException as error:  # noqa: BLE001  (the test reports it)
                self.error = error
                break
        if self.client:
            self.client.close()

    @property
    def goes_on(self) -> bool:
        """Whether this connection is the one to be used; otherwise it ends, or another one takes over."""
        return not self.ending.is_set() and time.monotonic() < self.leaves_at

    def serve(self, client: Client) -> None:
        """Returns when ``goes_on`` is false."""
        raise NotImplementedError

    def end(self) -> None:
        self.ending.set()
        self.join(10)
        assert not self.is_alive() and self.error is None, f"{self.client_id}: {self.error!r}"


class Subscriber(Persistent):
    def __init__(self, broker, client_id: str, topic: str, qos: int, hops=False):
        super().__init__(broker, client_id, hops)
        self.topic, self.qos = topic, qos
        self.received: list[int] = []

    def subscribe_once(self) -> None:
        """Makes the session and its subscription, then leaves."""
        client = self.connect()
        client.subscribe(self.topic, qos=self.qos)
        client.disconnect()

    def serve(self, client: Client) -> None:
        try:
            while self.goes_on:
                client.read(0.05)
                self.take_messages(client)
        finally:
            self.take_messages(client)

    def take_messages(self, client: Client) -> None:
        while client.messages:
            self.received.append(int(client.messages.popleft().payload[:12]))


class Publisher(Persistent):
    """Numbers from 0 on, `rate` a second, `window` of them unacknowledged at most."""

    def __init__(self, broker, client_id: str, topic: str, qos: int, rate=1600, window=40, size=64, hops=False):
        super().__init__(broker, client_id, hops)
        self.topic, self.qos, self.rate, self.window, self.size = topic, qos, rate, window, size
        self.next = 0
        self.pending: dict[int, tuple[int, bool]] = {}  # identifier -> number, whether PUBREC came
        self.acknowledged: list[int] = []
        self.acknowledged_at = 0.0
        self.finishing = threading.Event()

    def message(self, identifier: int, number: int, duplicate: bool) -> bytes:
        return self.client.publish_packet(
            self.topic, b"%012d" % number + b"x" * (self.size - 12), self.qos, False, identifier, duplicate=duplicate)

    def serve(self, client: Client) -> None:
        for identifier, (number, has_pubrec) in list(self.pending.items()):
            client.send(packet(PUBREL, 2, struct.pack(">H", identifier)) if has_pubrec
                        else self.message(identifier, number, True))
        started, first = time.monotonic(), self.next
        while self.goes_on:
            due = first + int((time.monotonic() - started) * self.rate)
            out = []
            while self.next < due and len(self.pending) < self.window and not self.finishing.is_set():
                identifier = self.next % 65535 + 1
                self.pending[identifier] = (self.next, False)
                out.append(self.message(identifier, self.next, False))
                self.next += 1
            if out:
                client.send(b"".join(out))
            client.read(0.002)
            self.take_replies(client)
            if self.finishing.is_set() and not self.pending:
                client.disconnect()
                self.ending.set()

    def take_replies(self, client: Client) -> None:
        for kind, identifier in list(client.replies):
            client.replies.pop((kind, identifier))
            if identifier not in self.pending:
                continue
            number, has_pubrec = self.pending[identifier]
            if kind == PUBREC and not has_pubrec:
                self.pending[identifier] = (number, True)
                client.send(packet(PUBREL, 2, struct.pack(">H", identifier)))
            if kind in (PUBACK, PUBREC) and not has_pubrec:
                self.acknowledged.append(number)
                self.acknowledged_at = time.monotonic()
            if kind in (PUBACK, PUBCOMP):
                del self.pending[identifier]

    def finish(self, deadline=20.0) -> None:
        """Publishes nothing new and waits until all is acknowledged."""
        self.finishing.set()
        self.join(deadline)
        assert not self.is_alive(), f"{len(self.pending)} messages are not acknowledged"
        assert self.error is None, repr(self.error)


