"""One client's connection to the in-cluster server: HTTP/1.1 with an end to every wait."""

# ruff: noqa: ARG002  (arguments are the standard library's)

from __future__ import annotations

import io
import json
import logging
import select
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast

from webhook import admission, service

log = logging.getLogger(__name__)

_ADMIT = "/admit"
_PROBES = ("/livez", "/readyz")


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
            IdleConnTimeout): were it us, a review just sent would be lost.
    """

    body: int = 8 << 20
    connections: int = 256
    request_seconds: float = 5.0
    idle_seconds: float = 120.0


class Ending:
    """Tells every thread at once that the server ends; can be polled beside a socket."""

    def __init__(self) -> None:
        self.begun = False
        # Never read from: it stays readable, for any number of threads, once the other is closed.
        self._told, self._teller = socket.socketpair()

    def begin(self) -> None:
        """Now, and from now on."""
        self.begun = True
        self._teller.close()

    def fileno(self) -> int:
        """Readable once ``begin`` was called."""
        return self._told.fileno()

    def close(self) -> None:
        """When no thread waits any more."""
        self._told.close()


class Served(Protocol):
    """What a connection asks of its server."""

    decide: service.Decide
    limits: Limits
    ending: Ending


class Connection(BaseHTTPRequestHandler):
    """Answers one client's requests until either side ends it.

    ``POST /admit`` is judged by the server's decision, ``GET /livez`` and ``GET /readyz`` say ok;
    all else, and all that goes wrong, is answered with an AdmissionReview that says why.
    """

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # 0.9 would be answered without a status
    wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._served = cast("Served", self.server)
        self._bytes = _Bytes(cast("ssl.SSLSocket", self.connection), self._served)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._bytes, 1 << 16)

    def handle_one_request(self) -> None:
        self._bytes.expect_request()
        super().handle_one_request()

    def do_GET(self) -> None:
        where = self._path()
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif where in _PROBES:
            self._send(HTTPStatus.OK, b"ok\n", "text/plain")
        else:
            self.send_error(
                HTTPStatus.METHOD_NOT_ALLOWED if where == _ADMIT else HTTPStatus.NOT_FOUND
            )

    def do_POST(self) -> None:
        where = self._path()
        if where != _ADMIT:
            self.send_error(
                HTTPStatus.METHOD_NOT_ALLOWED if where in _PROBES else HTTPStatus.NOT_FOUND
            )
            return
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return
        length = lengths[0]
        if len(lengths) > 1 or not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if len(length) > 12 or int(length) > self._served.limits.body:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True  # gone, and with it whoever would read an answer
            return
        given = service.reply(body, self._served.decide)
        self._send(given.status, json.dumps(given.review).encode())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuses a request whose body was not read, and ends the connection.

        Neither ``message`` nor ``explain`` is used: the standard library quotes the request there.
        """
        refused = admission.refusal("", HTTPStatus(code).phrase, code=code)
        log.info("refused a request: %d %s", code, HTTPStatus(code).phrase)
        self.close_connection = True
        self._send(code, json.dumps(refused).encode())
        self.wfile.flush()
        # To close with bytes unread resets the connection, and the answer may be lost with it.
        # Past the TLS layer, which would forget its keys on SSLSocket.shutdown.
        with suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_WR)
            while self.rfile.read1():
                pass

    def log_error(self, format: str, *args: Any) -> None:
        """Called by the standard library for one thing only, a wait that ended."""
        log.info("gave up a request that took too long")

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads an access log; each admission has a line of its own."""

    def version_string(self) -> str:
        return "image-mirror"

    def _path(self) -> str:
        return self.path.partition("?")[0]  # the API server adds ?timeout=5s

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or self._served.ending.begun:
            self.send_header("Connection", "close")  # which also ends this class's own loop
        self.end_headers()
        self.wfile.write(body)


class _Bytes(io.RawIOBase):
    """What a client sends: waits long for a request's first byte, and briefly for all of it.

    A timeout of the socket alone would begin anew with each byte that drips in.
    """

    def __init__(self, connection: ssl.SSLSocket, served: Served) -> None:
        self._connection = connection
        self._served = served
        self._deadline: float | None = None

    def expect_request(self) -> None:
        """From now on a wait is one for the next request."""
        self._deadline = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError when a request has not come in time; 0 when none has begun."""
        if self._deadline is None:
            if not self._begins():
                return 0
            self._deadline = time.monotonic() + self._served.limits.request_seconds
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)

    def _begins(self) -> bool:
        if self._connection.pending():
            return True
        waited = select.poll()
        waited.register(self._connection, select.POLLIN)
        waited.register(self._served.ending, select.POLLIN)
        ready = waited.poll(self._served.limits.idle_seconds * 1000)
        # A request that has arrived is under way, also when the server ends.
        return any(number == self._connection.fileno() for number, _ in ready)
