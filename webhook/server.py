"""The in-cluster transport: ``python -m webhook.server`` answers AdmissionReviews over HTTPS.

``POST`` to a secret path takes an AdmissionReview, ``GET /livez`` and ``GET /readyz`` are for
probes. One thread makes all handshakes and reads request lines: who names no secret path is refused
by it, without a body read or a thread made. A connection that named one gets a thread: the API
server keeps some open and sends one request at a time over each (HTTP/1.1). SIGTERM stops
accepting, lets requests under way be answered, and ends the process.

Besides ``service.Environment``: ``MIRROR_PORT`` (8443), ``MIRROR_CERTIFICATE`` and ``MIRROR_KEY``,
PEM files (``/tls/tls.crt`` and ``/tls/tls.key``, the names in a Secret of type kubernetes.io/tls),
and ``MIRROR_PATHS``, the file of ``SecretPaths`` (``/path/paths``).
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from webhook import admission, http_head, service
from webhook.cluster_api import ClusterApi
from webhook.connection import Connection, Limits
from webhook.events import Reporter
from webhook.http_head import Refused
from webhook.large_bodies import UNREAD, UNREAD_BY_MIRROR, LargeBodies
from webhook.memory import Memory
from webhook.secret_path import SecretPaths
from webhook.serving_certificate import ServingCertificate

log = logging.getLogger(__name__)

_FILES = {"MIRROR_CERTIFICATE": "/tls/tls.crt", "MIRROR_KEY": "/tls/tls.key"}
PATHS_FILE = "/path/paths"
_PROBES = (b"/livez", b"/readyz")
_ACCEPTED_AT_ONCE = 16  # handshakes that have begun go on in between
_LINGER_SECONDS = 0.5
_TICK_SECONDS = 0.25
_TOLD_EVERY_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Stranger:
    """A connection that named no secret path yet.

    Attributes:
        socket: does not block.
        peer: its address.
        until: when it ends, monotonic seconds.
        received: of its first request.
        greeted: whether its handshake is done.
        answered: whether it is over, and has a moment left to take its answer.
    """

    socket: ssl.SSLSocket
    peer: str
    until: float
    received: bytearray
    greeted: bool = False
    answered: bool = False


class _Notes:
    """Log lines about strangers, who could otherwise fill the log: one per kind and ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def note(self, text: str) -> None:
        """Logs the text, or counts it for the next time."""
        now = time.monotonic()
        with self._lock:
            last, count = self._seen.get(text, (-_TOLD_EVERY_SECONDS, 0))
            if now - last < _TOLD_EVERY_SECONDS:
                self._seen[text] = (last, count + 1)
                return
            self._seen[text] = (now, 0)
        log.info("%s%s", text, f", and {count} times before" if count else "")


class AdmissionServer:
    """Serves one decision: ``serve_forever`` until ``shutdown``.

    Args:
        address: host and port; port 0 takes a free one, see ``server_address``.
        certificate: of the server.
        paths: that admit a caller.
        decide: judges the decoded body of a request; called from several threads at once.
        limits: of clients.
        unread: members of JSON objects that ``decide`` does not read, wherever they are.

    Raises:
        OSError: the address is not available.
    """

    def __init__(
        self,
        address: tuple[str, int],
        certificate: ServingCertificate,
        paths: SecretPaths,
        decide: service.Decide,
        *,
        limits: Limits | None = None,
        unread: Collection[str] = UNREAD,
    ) -> None:
        self.paths, self.decide, self.limits = paths, decide, limits or Limits()
        self.memory, self.large = Memory(self.limits.memory), LargeBodies(unread)
        self.ended = False
        self.ending, self._end = socket.socketpair()
        self._certificate = certificate
        self._notes = _Notes()
        self._strangers: dict[str, dict[_Stranger, None]] = {}
        self._connections: dict[Connection, threading.Thread] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        # The API server opens a connection for each pod that is made at the same moment, and
        # strangers that wait here cost nothing.
        self._listening = socket.create_server(address, backlog=1024)
        self._listening.setblocking(False)
        self.server_address: tuple[str, int] = self._listening.getsockname()[:2]

    def serve_forever(self) -> None:
        """Answers until ``shutdown``; returns when requests under way have their answer."""
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(_TICK_SECONDS):
                if key.fileobj is self._woken:
                    self._close()
                    return
                if key.fileobj is self._listening:
                    self._accept()
                elif key.data in self._of(key.data.peer):  # else it ended in this very round
                    self._advance(key.data)
            self._end_overdue()

    def shutdown(self) -> None:
        """Ends ``serve_forever``; from any thread, and from a signal handler."""
        self._wake.send(b"x")

    def _close(self) -> None:
        """Stops listening, ends idle connections, returns when all others have their answer."""
        # First, so that a client whose connection ends cannot open another one here.
        self._listening.close()
        self.ended = True
        self._end.close()
        for stranger in [each for group in self._strangers.values() for each in group]:
            self._drop(stranger)
        while threads := list(self._connections.values()):
            for thread in threads:
                thread.join(_TICK_SECONDS)
            self._give_up_overdue()
        for each in (self._selector, self.ending, self._woken, self._wake):
            each.close()

    # -- strangers --------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                plain, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as failure:  # no file descriptor left, or the client is gone already
                self._note_lost(failure)
                return
            try:
                plain.setblocking(False)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                secured = self._certificate.context().wrap_socket(
                    plain, server_side=True, do_handshake_on_connect=False
                )
            except OSError as failure:
                self._note_lost(failure)
                plain.close()
                continue
            until = time.monotonic() + self.limits.stranger_seconds
            stranger = _Stranger(secured, address[0], until, bytearray())
            self._strangers.setdefault(stranger.peer, {})[stranger] = None
            self._selector.register(secured, selectors.EVENT_READ, stranger)
            if sum(map(len, self._strangers.values())) > self.limits.strangers:
                self._notes.note("ended a connection: there are too many without a secret path")
                crowd = max(self._strangers.values(), key=len)
                self._drop(next(iter(crowd)))

    def _of(self, peer: str) -> dict[_Stranger, None]:
        return self._strangers.get(peer, {})

    def _drop(self, stranger: _Stranger, *, close: bool = True) -> None:
        with suppress(KeyError, ValueError):  # not registered any more
            self._selector.unregister(stranger.socket)
        group = self._of(stranger.peer)
        group.pop(stranger, None)
        if not group:
            self._strangers.pop(stranger.peer, None)
        if close:
            stranger.socket.close()

    def _advance(self, stranger: _Stranger) -> None:
        """Goes on with a handshake or a request line, as far as bytes have come."""
        try:
            if not stranger.greeted:
                stranger.socket.do_handshake()
                stranger.greeted = True
            while received := stranger.socket.recv(4096):
                stranger.received += received
                if self._is_known(stranger):
                    return
            self._drop(stranger)
        except ssl.SSLWantReadError:
            self._selector.modify(stranger.socket, selectors.EVENT_READ, stranger)
        except ssl.SSLWantWriteError:
            self._selector.modify(stranger.socket, selectors.EVENT_WRITE, stranger)
        except Refused as refused:
            self._notes.note(f"refused a request: {refused.status:d} {refused.status.phrase}")
            review = admission.refusal("", refused.message, code=refused.status)
            self._answer(stranger, refused.status, json.dumps(review).encode())
        except OSError as failure:
            self._note_lost(failure)
            self._drop(stranger)

    def _is_known(self, stranger: _Stranger) -> bool:
        """Whether enough of the request has come to serve it; it is served then.

        Raises:
            Refused: it is for no path that is served.
        """
        line, found, _ = stranger.received.partition(b"\r\n")
        if len(line) > http_head.LONGEST_LINE:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        if not found:
            return False
        method, path, _ = http_head.request_line(bytes(line))
        if self.paths.admit(path):
            self._hand_over(stranger)
            return True
        if path not in _PROBES:
            raise Refused(HTTPStatus.NOT_FOUND)
        if method != b"GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        head, found, _ = stranger.received.partition(b"\r\n\r\n")
        if len(head) > http_head.LONGEST:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not found:
            return False
        if http_head.read(bytes(head)).length:
            raise Refused(HTTPStatus.BAD_REQUEST)
        self._answer(stranger, HTTPStatus.OK, b"ok\n", "text/plain")
        return True

    def _answer(
        self, stranger: _Stranger, status: int, body: bytes, kind: str = "application/json"
    ) -> None:
        """Answers and reads nothing more; the client has a moment to take the answer."""
        self._selector.unregister(stranger.socket)
        try:
            stranger.socket.send(http_head.answer(status, body, kind, last=True))
            # Past the TLS layer, which would forget its keys on SSLSocket.shutdown.
            socket.socket.shutdown(stranger.socket, socket.SHUT_WR)
        except OSError as failure:
            self._note_lost(failure)
            self._drop(stranger)
        else:
            stranger.answered = True
            stranger.until = min(stranger.until, time.monotonic() + _LINGER_SECONDS)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for stranger in [each for group in self._strangers.values() for each in group]:
            if now >= stranger.until:
                if not stranger.answered:
                    self._notes.note("gave up a request that took too long")
                self._drop(stranger)
        self._give_up_overdue(now)

    def _note_lost(self, failure: OSError) -> None:
        """Notes the kind only: the text of an exception, or a traceback, may quote a request."""
        reason = f" {failure.reason}" if isinstance(failure, ssl.SSLError) else ""
        self._notes.note(f"lost a connection: {type(failure).__name__}{reason}")

    # -- the API server ---------------------------------------------------------------------------

    def _hand_over(self, stranger: _Stranger) -> None:
        """Gives the connection a thread.

        Raises:
            Refused: there are as many as may be.
        """
        if len(self._connections) >= self.limits.connections:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections")
        connection = Connection(stranger.socket, stranger.received, self)
        thread = threading.Thread(target=self._serve, args=(connection,))
        self._connections[connection] = thread
        try:
            # Before the thread, to which the socket belongs.
            self._drop(stranger, close=False)
            thread.start()
        except RuntimeError as failure:  # the process cannot start another thread
            del self._connections[connection]
            self._note_lost(OSError(str(failure)))
            connection.close()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        except TimeoutError:
            log.info("gave up a request that took too long")
        except OSError as failure:
            self._note_lost(failure)
        finally:
            connection.close()
            del self._connections[connection]

    def _give_up_overdue(self, now: float | None = None) -> None:
        now = now or time.monotonic()
        for connection in list(self._connections):
            if connection.give_up_overdue(now):
                log.warning("gave up a review that took too long")


def serve_until_signal(server: AdmissionServer) -> None:
    """Serves until SIGTERM or SIGINT; only in the main thread, as signals go there."""

    def stop(_number: int, _frame: object) -> None:
        server.shutdown()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("listening on port %d", server.server_address[1])
    server.serve_forever()
    log.info("ended")


def log_to_standard_error() -> None:
    """Configures the log of a server's process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # No line has them, and each record would ask for them (docs.python.org, Logging HOWTO,
    # "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def serve(
    decision: Callable[[], service.Decide],
    limits: Limits | None = None,
    unread: Collection[str] = UNREAD,
) -> None:
    """Serves a decision in a pod, on all its addresses; exits with 2 for a wrong environment."""
    log_to_standard_error()
    try:
        files = (Path(os.environ.get(name, path)) for name, path in _FILES.items())
        certificate = ServingCertificate(*files)
        paths = SecretPaths(Path(os.environ.get("MIRROR_PATHS", PATHS_FILE)))
        decide = decision()
        port = int(os.environ.get("MIRROR_PORT", "8443"))
        server = AdmissionServer(
            ("", port), certificate, paths, decide, limits=limits, unread=unread
        )
    except (KeyError, ValueError, OSError) as failure:
        log.error("cannot start: %s: %s", type(failure).__name__, failure)
        sys.exit(2)
    serve_until_signal(server)


def main() -> None:
    """Serves the image mirror's decision, and posts Events where this is a pod with a token."""
    serve(_decision, unread=UNREAD_BY_MIRROR)


def _decision() -> service.Decide:
    environment, api = service.Environment.read(os.environ), ClusterApi.of_pod(os.environ)
    if api is None:
        return service.decision(environment)
    failure_of_copy = service.failure_of_copy(environment)
    reporter = Reporter(api, os.environ.get("HOSTNAME", ""), failure_of_copy=failure_of_copy)
    reporter.start()
    return service.decision(environment, reporter.offer)


if __name__ == "__main__":
    main()
