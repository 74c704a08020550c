"""Answers the API server's webhook calls over HTTPS in place of the pods that would.

Allows everything and changes nothing: what is tested is that somebody answers at that moment. A
Service without a backend gets 503, as it would from a Service without endpoints.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Backed = Callable[[str, str], bool]
"""(namespace, service) -> would a pod answer there now?"""


@dataclass
class AdmissionServer:
    """Where webhooks are sent, and which calls came.

    Attributes:
        url: ``https://127.0.0.1:<port>``; below it ``/<namespace>/<service>/<path>``.
        authority: PEM certificate to trust.
        backed: who answers; may be replaced while the server runs.
        answered: calls allowed, by ``namespace/service/path``.
        unanswered: calls turned away for want of a backend.
    """

    url: str
    authority: bytes
    backed: Backed = lambda _namespace, _service: False
    answered: Counter[str] = field(default_factory=Counter[str])
    unanswered: Counter[str] = field(default_factory=Counter[str])

    def answer(self, path: str, review: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body for one call."""
        where = path.partition("?")[0].strip("/")
        namespace, service = where.split("/")[:2]
        if not self.backed(namespace, service):
            self.unanswered[where] += 1
            return 503, {}
        self.answered[where] += 1
        return 200, allowed(review)


def allowed(review: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a webhook that allows everything and converts by name only."""
    asked = review["request"]
    verdict: dict[str, Any] = {"allowed": True}
    if review["kind"] == "ConversionReview":
        version = asked["desiredAPIVersion"]
        converted = [{**obj, "apiVersion": version} for obj in asked["objects"]]
        verdict = {"result": {"status": "Success"}, "convertedObjects": converted}
    return {
        "apiVersion": review["apiVersion"],
        "kind": review["kind"],
        "response": {"uid": asked["uid"], **verdict},
    }


@contextmanager
def admission_server(folder: Path) -> Generator[AdmissionServer]:
    """Serves on a free port until the end of the block; key and certificate are made in folder."""
    certificate, key = folder / "admission.crt", folder / "admission.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=admission", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    made = AdmissionServer(f"https://127.0.0.1:{server.server_port}", certificate.read_bytes())
    server.RequestHandlerClass = _handler(made)
    server.daemon_threads = True
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: AdmissionServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the API server keeps its connections
        wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = made.answer(self.path, review)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads an access log."""

    return Handler
