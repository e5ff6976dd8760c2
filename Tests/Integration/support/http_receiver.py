"""HTTP servers that take webhooks: a Flask application, and a raw one that misbehaves on purpose."""

import json
import logging
import socket
import socketserver
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


class FaultyReceiver:
    """A raw HTTP/1.1 server with keep-alive. `fault(request, number)` decides what happens to each request:

    None → 200; an int → that status; (status, headers) → that answer; "hang" → no answer until `release()`; "reset" → the
    connection is reset. `accepted` holds the requests answered with 2xx, `seen` all of them.
    """

    def __init__(self, fault=None, port: int | None = None):
        self.port = port or free_port()
        self.fault = fault or (lambda request, number: None)
        self.seen: list[Request] = []
        self.accepted: list[Request] = []
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._server = None

    def start(self) -> "FaultyReceiver":
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    while receiver._serve_one(self.rfile, self.wfile, self.connection):
                        pass
                except (ConnectionError, OSError, ValueError):
                    return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

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
        with self._lock:
            number = len(self.seen)
            self.seen.append(request)
            answer = self.fault(request, number)
            status, extra = answer if isinstance(answer, tuple) else (answer if isinstance(answer, int) else 200, {})
            if answer not in ("hang", "reset") and 200 <= status < 300:
                self.accepted.append(request)
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
        return f"http://127.0.0.1:{self.port}"
