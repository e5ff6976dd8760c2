"""HTTP servers that take webhooks: a Flask application, and a raw one that misbehaves on purpose."""

import json
import logging
import socket
import socketserver
import ssl
import sys
import threading
from dataclasses import dataclass

from .broker import free_port


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class FlaskReceiver:
    """The receiver of the README: a Flask application on a port of its own. `requests` is in the order of arrival."""

    def __init__(self, port: int | None = None):
        self.port = port or free_port()
        self.requests: list[Request] = []
        self._server = None

    def start(self) -> "FlaskReceiver":
        from flask import Flask, request
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        application = Flask("receiver")

        @application.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "DELETE"])
        @application.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
        def receive(path):
            self.requests.append(Request(request.method, "/" + path, dict(request.headers), request.get_data()))
            return "", 200

        self._server = make_server("127.0.0.1", self.port, application, threaded=False)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class HTTP2Behaviour:
    """What an HTTP/2 receiver does besides answering."""

    # From this request on (0 is the first) no answer leaves until so many streams of one connection are open; once.
    gather_from: int = 0
    gather: int = 0
    # A connection takes so many requests, then says GOAWAY.
    requests_per_connection: int | None = None


class HTTP2Connection:
    """One HTTP/2 connection of a FaultyReceiver: one thread, many streams."""

    def __init__(self, receiver: "FaultyReceiver", connection: ssl.SSLSocket):
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self.receiver, self.socket = receiver, connection
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, tuple[dict, bytearray]] = {}
        self.held: list[tuple[int, int, dict]] = []
        self.taken = 0

    def serve(self) -> None:
        self.h2.initiate_connection()
        self.flush()
        while data := self.socket.recv(65536):
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.answer_held()
            self.flush()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    def handle(self, event) -> None:
        from h2 import events

        match event:
            case events.RequestReceived():
                self.streams[event.stream_id] = (dict(event.headers), bytearray())
                self.receiver.most_streams = max(self.receiver.most_streams, len(self.streams))
            case events.DataReceived():
                self.streams[event.stream_id][1].extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case events.StreamReset():
                self.streams.pop(event.stream_id, None)
            case events.StreamEnded():
                self.take(event.stream_id)

    def take(self, stream: int) -> None:
        limit = self.receiver.http2.requests_per_connection
        if limit and self.taken >= limit:
            return  # begun before the client read the GOAWAY, which said that it is not taken
        self.taken += 1
        headers, body = self.streams[stream]
        request = Request(headers[":method"], headers[":path"], {k.title(): v for k, v in headers.items()}, bytes(body))
        answer, status, extra = self.receiver.take(request)
        if answer == "reset":
            del self.streams[stream]
            self.h2.reset_stream(stream, error_code=2)
        elif answer != "hang":
            self.held.append((stream, status, extra))
        if self.taken == limit:
            from hyperframe.frame import GoAwayFrame

            self.answer_held()
            self.flush()
            # By hand: h2 would take nothing more, while a receiver that goes away in order still ends what it has begun.
            self.socket.sendall(GoAwayFrame(0, last_stream_id=stream).serialize())

    def answer_held(self) -> None:
        behaviour = self.receiver.http2
        if behaviour.gather and len(self.receiver.seen) > behaviour.gather_from:
            if len(self.streams) < behaviour.gather:
                return
            behaviour.gather = 0
        for stream, status, extra in self.held:
            if self.streams.pop(stream, None):
                headers = [(":status", str(status)), *((name.lower(), value) for name, value in extra.items())]
                self.h2.send_headers(stream, headers, end_stream=True)
        self.held.clear()


class FaultyReceiver:
    """A raw HTTP/1.1 server with keep-alive. `fault(request, number)` decides what happens to each request:

    None → 200; an int → that status; (status, headers) → that answer; "hang" → no answer until `release()`; "reset" → the
    connection is reset. `accepted` holds the requests answered with 2xx, `seen` all of them.

    With `tls` it speaks HTTPS; where that context offers "h2" by ALPN and the client takes it, HTTP/2. `protocols` holds what
    each connection agreed on.
    """

    def __init__(self, fault=None, port: int | None = None, tls: ssl.SSLContext | None = None, http2: HTTP2Behaviour | None = None):
        self.port = port or free_port()
        self.tls = tls
        self.http2 = http2 or HTTP2Behaviour()
        self.protocols: list[str | None] = []
        self.failed_handshakes: list[str] = []
        self.fault = fault or (lambda request, number: None)
        self.seen: list[Request] = []
        self.accepted: list[Request] = []
        self.most_streams = 0  # of one HTTP/2 connection at a time
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._server = None

    def start(self) -> "FaultyReceiver":
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def setup(self):
                if receiver.tls:
                    self.request.settimeout(30)
                    self.request = receiver.tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self):
                protocol = self.connection.selected_alpn_protocol() if receiver.tls else None
                receiver.protocols.append(protocol)
                try:
                    if protocol == "h2":
                        HTTP2Connection(receiver, self.connection).serve()
                        return
                    while receiver._serve_one(self.rfile, self.wfile, self.connection):
                        pass
                except (ConnectionError, OSError, ValueError):
                    return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                error = sys.exc_info()[1]
                if not isinstance(error, OSError):  # ssl.SSLError is one
                    raise error
                receiver.failed_handshakes.append(str(error))

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def _serve_one(self, reader, writer, connection) -> bool:
        line = reader.readline(65536).decode("latin-1")
        if not line.strip():
            return False
        method, path, _ = line.split(" ", 2)
        headers = {}
        while (header := reader.readline(65536).decode("latin-1").strip()):
            name, _, value = header.partition(":")
            headers[name.strip().title()] = value.strip()
        if headers.get("Expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            writer.flush()
        request = Request(method, path, headers, reader.read(int(headers.get("Content-Length", 0))))
        answer, status, extra = self.take(request)
        if answer == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            return False
        if answer == "hang":
            self._released.wait(60)
            return False
        lines = [f"HTTP/1.1 {status} -", "Content-Length: 0", *(f"{k}: {v}" for k, v in extra.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        writer.flush()
        return True

    def take(self, request: Request) -> tuple:
        """Notes a request and decides the answer: what the fault said, the status, further headers."""
        with self._lock:
            number = len(self.seen)
            self.seen.append(request)
            answer = self.fault(request, number)
            status, extra = answer if isinstance(answer, tuple) else (answer if isinstance(answer, int) else 200, {})
            if answer not in ("hang", "reset") and 200 <= status < 300:
                self.accepted.append(request)
        return answer, status, extra

    def release(self) -> None:
        """Ends the connections that hang."""
        self._released.set()

    def stop(self) -> None:
        self.release()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
