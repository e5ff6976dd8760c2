"""What tests of access control share: settings, clients' answers, tokens, and a service that is asked."""

import base64
import hashlib
import hmac
import http.server
import json
import threading

from support.mqtt import CONNACK, Client, unique

FAST = {"name": "pbkdf2", "iterations": 100}
BUILT_IN = {"mechanism": "password_based", "backend": "built_in_database", "password_hash_algorithm": FAST}


def acl(topic, *rules, **more):
    return {"authorization": {"sources": [{"type": "file", "rules": list(rules)}], **more}}


class Service:
    """An HTTP service that answers with `answer(request)`: a status, or (status, object); None never answers."""

    def __init__(self, answer):
        self.seen = []
        self.released = threading.Event()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.reply(json.loads(body) if body else {})

            def do_GET(self):
                self.reply({})

            def reply(self, body):
                request = {"path": self.path, "body": body, "headers": dict(self.headers)}
                service.seen.append(request)
                result = answer(request)
                if result is None:
                    service.released.wait(30)
                    self.close_connection = True
                    return
                status, value = result if isinstance(result, tuple) else (result, None)
                data = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


def connack(port, client_id=None, version=5, **kwargs):
    """The CONNACK's code."""
    properties = kwargs.pop("connect_properties", None)
    with Client(port, unique() if client_id is None else client_id, version=version, connect=False) as opened:
        opened.send(opened.connect_packet(properties=properties, **kwargs))
        _, body = opened.expect_other(CONNACK)
        return body[1]


def suback(client, *filters, qos=0):
    """The SUBACK's codes, refusals too."""
    try:
        return client.subscribe(*filters, qos=qos)
    except AssertionError as error:
        return json.loads(str(error).removeprefix("SUBACK ").split("\n")[0])


def token(claims, secret=b"key", algorithm="HS256"):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(json.dumps({"alg": algorithm}).encode()) + b"." + part(json.dumps(claims).encode())
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return (signed + b"." + part(hmac.new(secret, signed, digest).digest())).decode()
