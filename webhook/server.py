"""The in-cluster transport: ``python -m webhook.server`` answers AdmissionReviews over HTTPS.

``POST /admit`` takes an AdmissionReview, ``GET /livez`` and ``GET /readyz`` are for probes. One
thread per connection: the API server keeps some open and sends one request at a time over each
(HTTP/1.1). SIGTERM stops accepting, lets requests under way be answered, and ends the process.

Besides ``service.Environment``: ``MIRROR_PORT`` (8443), ``MIRROR_CERTIFICATE`` and ``MIRROR_KEY``,
PEM files (``/tls/tls.crt`` and ``/tls/tls.key``, the names in a Secret of type kubernetes.io/tls).
"""

# ruff: noqa: ARG002  (arguments are the standard library's)

from __future__ import annotations

import io
import json
import logging
import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast

from webhook import admission, service
from webhook.cluster_api import ClusterApi
from webhook.events import Reporter
from webhook.serving_certificate import ServingCertificate

log = logging.getLogger(__name__)

_FILES = {"MIRROR_CERTIFICATE": "/tls/tls.crt", "MIRROR_KEY": "/tls/tls.key"}
_METHODS = {"/admit": "POST", "/livez": "GET", "/readyz": "GET"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one client may take.

    Attributes:
        body: bytes of a request. An update carries an object twice, and the API server takes at
            most 3 MiB of one (k8s.io/apiserver pkg/server/config.go, MaxRequestBodyBytes).
        connections: at a time; each holds a thread.
        request_seconds: for the TLS handshake, and from a request's first byte to its last.
        idle_seconds: until the first byte of a request. More than the 90 seconds after which the
            API server itself closes a connection (k8s.io/apimachinery pkg/util/net/http.go,
            IdleConnTimeout): closed from this side, a connection may lose a review just sent.
    """

    body: int = 8 << 20
    connections: int = 256
    request_seconds: float = 5.0
    idle_seconds: float = 120.0


class AdmissionServer(ThreadingMixIn, TCPServer):
    """Serves one decision: ``serve_forever`` until ``shutdown``, then ``server_close``.

    Args:
        address: host and port; port 0 takes a free one, see ``server_address``.
        certificate: of the server.
        decide: judges the decoded body of a request; called from several threads at once.
        limits: per client.

    Attributes:
        ending: readable from the moment the server ends, for any number of threads.

    Raises:
        OSError: the address is not available.
    """

    allow_reuse_address = True
    # Of connections that wait to be accepted: the API server opens one for each pod that is made
    # at the same moment.
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        certificate: ServingCertificate,
        decide: service.Decide,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(address, _Connection)
        self.decide = decide
        self.limits = limits or Limits()
        self.ended = False
        self.ending, self._end = socket.socketpair()
        self._certificate = certificate
        self._free = threading.BoundedSemaphore(self.limits.connections)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for the connection; closes the connection when the limit is reached."""
        if not self._free.acquire(blocking=False):
            log.warning("closed a connection: there are %d already", self.limits.connections)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the process cannot start another thread
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Makes the TLS handshake, which in ``accept`` would let one client block all others."""
        try:
            request.settimeout(self.limits.request_seconds)
            secured = self._certificate.context().wrap_socket(request, server_side=True)
        except OSError:
            self.handle_error(request, client_address)
            self.shutdown_request(request)
        else:
            super().process_request_thread(secured, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs the kind only: the text of an exception, or a traceback, may quote a request."""
        failure = sys.exc_info()[1]
        reason = f" {failure.reason}" if isinstance(failure, ssl.SSLError) else ""
        log.info("lost a connection: %s%s", type(failure).__name__, reason)

    def server_close(self) -> None:
        """Stops listening, ends idle connections, returns when all others have their answer."""
        # First, so that a client whose connection ends cannot open another one here.
        self.socket.close()
        self.ended = True
        self._end.close()
        super().server_close()
        self.ending.close()


class _Connection(BaseHTTPRequestHandler):
    """One client's connection: HTTP/1.1 with an end to every wait.

    Every error is answered with an AdmissionReview that gives the reason.
    """

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # 0.9 would be answered without a status
    wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._server = cast("AdmissionServer", self.server)
        self._bytes = _RequestBytes(cast("ssl.SSLSocket", self.connection), self._server)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._bytes, 1 << 16)

    def handle_one_request(self) -> None:
        self._bytes.deadline = None
        super().handle_one_request()

    def do_GET(self) -> None:
        if not self._is_served():
            return
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.BAD_REQUEST)
        else:
            self._send(HTTPStatus.OK, b"ok\n", "text/plain")

    def do_POST(self) -> None:
        if not self._is_served():
            return
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST)
        # Python refuses to convert thousands of digits.
        elif len(lengths[0]) > 12 or int(lengths[0]) > self._server.limits.body:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif len(body := self.rfile.read(int(lengths[0]))) < int(lengths[0]):
            self.close_connection = True  # the client is gone
        else:
            status, review = service.reply(body, self._server.decide)
            self._send(status, json.dumps(review).encode())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuses a request whose body was not read, and ends the connection.

        Neither ``message`` nor ``explain`` is used: the standard library quotes the request there.
        """
        phrase = HTTPStatus(code).phrase
        log.info("refused a request: %d %s", code, phrase)
        self.close_connection = True
        self._send(code, json.dumps(admission.refusal("", phrase, code=code)).encode())
        self.wfile.flush()
        # To close with bytes unread resets the connection, and the answer may be lost with it.
        # Past the TLS layer, which would forget its keys on SSLSocket.shutdown.
        with suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_WR)
            while self.rfile.read1():
                pass

    def log_error(self, format: str, *args: Any) -> None:
        """Logs a request that was not complete in time, all that the standard library reports."""
        log.info("gave up a request that took too long")

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: each admission has a line of its own."""

    def version_string(self) -> str:
        return "image-mirror"

    def _is_served(self) -> bool:
        """Whether the path takes this method; refuses the request otherwise."""
        method = _METHODS.get(self.path.partition("?")[0])  # the API server adds ?timeout=5s
        if method != self.command:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED if method else HTTPStatus.NOT_FOUND)
        return method == self.command

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or self._server.ended:
            self.send_header("Connection", "close")  # which also ends this class's own loop
        self.end_headers()
        self.wfile.write(body)


class _RequestBytes(io.RawIOBase):
    """The bytes of requests: a long wait for a request's first one, a short one for all others.

    A timeout of the socket alone would start again with every byte.

    Attributes:
        deadline: of the present request, monotonic seconds; None before its first byte.
    """

    def __init__(self, connection: ssl.SSLSocket, server: AdmissionServer) -> None:
        self._connection = connection
        self._server = server
        self.deadline: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError at the deadline; returns 0 when no request begins."""
        if self.deadline is None:
            if not self._begins():
                return 0
            self.deadline = time.monotonic() + self._server.limits.request_seconds
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)

    def _begins(self) -> bool:
        if self._connection.pending():
            return True
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._server.ending, select.POLLIN)
        ready = poll.poll(self._server.limits.idle_seconds * 1000)
        # A request that has arrived is under way, also when the server ends.
        return any(number == self._connection.fileno() for number, _ in ready)


def serve_until_signal(server: AdmissionServer) -> None:
    """Serves until SIGTERM or SIGINT; only in the main thread, as signals go there."""

    def stop(_number: int, _frame: object) -> None:
        # Not from here: shutdown waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("listening on port %d", server.server_address[1])
    server.serve_forever()
    server.server_close()
    log.info("ended")


def serve(decision: Callable[[], service.Decide]) -> None:
    """Serves a decision in a pod, on all its addresses; exits with 2 for a wrong environment."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        files = (Path(os.environ.get(name, path)) for name, path in _FILES.items())
        certificate = ServingCertificate(*files)
        decide = decision()
        port = int(os.environ.get("MIRROR_PORT", "8443"))
        server = AdmissionServer(("", port), certificate, decide)
    except (KeyError, ValueError, OSError) as failure:
        log.error("cannot start: %s: %s", type(failure).__name__, failure)
        sys.exit(2)
    serve_until_signal(server)


def main() -> None:
    """Serves the image mirror's decision, and posts Events where this is a pod with a token."""
    serve(_decision)


def _decision() -> service.Decide:
    environment, api = service.Environment.read(os.environ), ClusterApi.of_pod(os.environ)
    if api is None:
        return service.decision(environment)
    reporter = Reporter(api, instance=os.environ.get("HOSTNAME", ""))
    reporter.start()
    return service.decision(environment, reporter.offer)


if __name__ == "__main__":
    main()
