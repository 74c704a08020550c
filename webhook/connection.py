"""One client that named a secret path: HTTP/1.1 in a thread, with an end to every wait."""

from __future__ import annotations

import json
import logging
import math
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from webhook import admission, http_head, service
from webhook.http_head import Head, Refused
from webhook.large_bodies import LargeBodies
from webhook.memory import MOST_PER_BYTE, Memory, cost, is_deep, marks_of
from webhook.secret_path import SecretPaths

log = logging.getLogger(__name__)

_CHUNK = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may take.

    Attributes:
        body: bytes of a request. An update carries an object twice, and the API server takes at
            most 3 MiB of one (k8s.io/apiserver pkg/server/config.go, MaxRequestBodyBytes).
        small_body: bytes of a body that a thread decodes itself.
        memory: bytes for the decoded JSON of all requests of such a size.
        connections: at a time, of clients that named a secret path; each holds a thread. An API
            server keeps 25 open when they are idle (k8s.io/client-go transport/cache.go).
        strangers: connections at a time that named none yet. With one more, the oldest one of the
            address that has most of them ends.
        stranger_seconds: from a connection to the end of its first request's head.
        request_seconds: from a request's first byte to its last.
        review_seconds: from a request's first byte to its deadline.
        answer_seconds: from a request's first byte to an answer that says that it is not judged;
            the API server waits for five.
        idle_seconds: until the first byte of a request. More than the 90 seconds after which the
            API server itself closes a connection (k8s.io/apimachinery pkg/util/net/http.go,
            IdleConnTimeout): closed from this side, a connection may lose a review just sent.
    """

    body: int = 8 << 20
    small_body: int = 128 << 10
    memory: int = 32 << 20
    connections: int = 256
    strangers: int = 64
    stranger_seconds: float = 5.0
    request_seconds: float = 5.0
    review_seconds: float = service.REVIEW_SECONDS
    answer_seconds: float = 4.5
    idle_seconds: float = 120.0


class Server(Protocol):
    """What connections share.

    Attributes:
        paths: that admit a caller.
        decide: judges the decoded body of a request; called from several threads at once.
        limits: of clients.
        memory: for requests of usual size.
        large: makes all others small.
        ended: whether the server ends.
        ending: readable from that moment on, for any number of threads.
    """

    paths: SecretPaths
    decide: service.Decide
    limits: Limits
    memory: Memory
    large: LargeBodies
    ended: bool
    ending: socket.socket


class Connection:
    """Reads requests, and writes an AdmissionReview for each: also for an error, with the reason.

    Args:
        secured: after the handshake.
        received: the beginning of the first request.
        server: whose connection it is.
    """

    def __init__(self, secured: ssl.SSLSocket, received: bytearray, server: Server) -> None:
        self._socket, self._buffer, self._server = secured, received, server
        self._first_byte = select.poll()
        for readable in (secured, server.ending):
            self._first_byte.register(readable, select.POLLIN)
        self._timeout = -1.0
        self._began = 0.0
        self._reading_until = 0.0
        self._answering = threading.Lock()
        self._due = math.inf  # of the review that is judged now

    def serve(self) -> None:
        """Answers requests until either side ends the connection.

        Raises:
            TimeoutError: a request was not complete in time.
            OSError: the connection was lost.
        """
        while self._begins() and self._answered():
            pass

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def give_up_overdue(self, now: float) -> bool:
        """Answers a review whose time is over in place of the thread that judges it."""
        if now < self._due:
            return False
        with self._answering:
            if self._due == math.inf:
                return False
            self._due = math.inf
            late = admission.refusal("", "the review took too long", code=504)
            with suppress(OSError):
                self._wait_at_most(0.1)
                self._send(HTTPStatus.GATEWAY_TIMEOUT, late, last=True)
                socket.socket.shutdown(self._socket, socket.SHUT_WR)
        return True

    # -- one request ------------------------------------------------------------------------------

    def _begins(self) -> bool:
        """Waits for the first byte of a request; False: there is none."""
        if not self._buffer and not self._socket.pending():
            ready = self._first_byte.poll(self._server.limits.idle_seconds * 1000)
            # A request that has arrived is under way, also when the server ends.
            if all(number != self._socket.fileno() for number, _ in ready):
                return False
        self._began = time.monotonic()
        self._reading_until = self._began + self._server.limits.request_seconds
        return True

    def _answered(self) -> bool:
        """Answers one request; False: it is the last one."""
        try:
            head = self._head()
            if head is None:
                return False
            return self._judged(head, self._length_of(head))
        except Refused as refused:
            self._refuse(refused)
            return False

    def _head(self) -> Head | None:
        end = self._buffer.find(b"\r\n\r\n")
        while end < 0:
            if len(self._buffer) > http_head.LONGEST:
                raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if not (more := self._receive()):
                return None
            start = max(0, len(self._buffer) - 3)
            self._buffer += more
            end = self._buffer.find(b"\r\n\r\n", start)
        head = http_head.read(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        return head

    def _length_of(self, head: Head) -> int:
        if not self._server.paths.admit(head.path):
            raise Refused(HTTPStatus.NOT_FOUND)
        if head.method != b"POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        if head.length is None:
            raise Refused(HTTPStatus.LENGTH_REQUIRED)
        if head.length > self._server.limits.body:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if head.expects:
            self._wait_at_most(self._left())
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return head.length

    def _judged(self, head: Head, length: int) -> bool:
        limits, memory = self._server.limits, self._server.memory
        deadline = self._began + limits.review_seconds
        chunks = self._chunks(length)
        if length <= limits.small_body:
            with memory.share(length * MOST_PER_BYTE, deadline) as share:
                body = b"".join(chunks)
                if len(body) < length:
                    return False  # the client is gone
                marks = marks_of(body)
                if not is_deep(marks):
                    share.shrink(cost(body, marks))
                    return self._replied(head, body, deadline)
            chunks = iter((body,))
        last_moment = self._began + limits.answer_seconds
        body = self._server.large.small(chunks, length, last_moment)
        with memory.share(cost(body, marks_of(body)), last_moment):
            return self._replied(head, body, deadline)

    def _replied(self, head: Head, body: bytes, deadline: float) -> bool:
        self._due = self._began + self._server.limits.answer_seconds
        status, review = service.reply(body, self._server.decide, deadline)
        last = head.last or self._server.ended
        with self._answering:
            if self._due == math.inf:
                return False  # the client has another answer already
            self._due = math.inf
            self._wait_at_most(self._server.limits.request_seconds)
            self._send(status, review, last=last)
        return not last

    def _refuse(self, refused: Refused) -> None:
        """Refuses a request whose body may not be read."""
        log.info("refused a request: %d %s", refused.status, refused.status.phrase)
        review = admission.refusal("", refused.message, code=refused.status)
        self._wait_at_most(self._left())
        self._send(refused.status, review, last=True)
        # To close with bytes unread resets the connection, and the answer may be lost with it.
        # Past the TLS layer, which would forget its keys on SSLSocket.shutdown.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            while self._receive():
                pass

    # -- bytes ------------------------------------------------------------------------------------

    def _send(self, status: int, review: dict[str, Any], *, last: bool) -> None:
        self._socket.sendall(http_head.answer(status, json.dumps(review).encode(), last=last))

    def _chunks(self, length: int) -> Iterator[bytes]:
        """The body, or less of it when the client is gone."""
        while length > 0:
            if self._buffer:
                chunk = bytes(self._buffer[:length])
                del self._buffer[:length]
            elif not (chunk := self._receive(min(length, _CHUNK))):
                return
            length -= len(chunk)
            yield chunk

    def _receive(self, most: int = _CHUNK) -> bytes:
        """Some bytes. A timeout of the socket alone would start again with each of them."""
        self._wait_at_most(self._left())
        return self._socket.recv(most)

    def _wait_at_most(self, seconds: float) -> None:
        # A system call, so not for the time that one of a request's two or three calls took.
        if not 0.9 * seconds <= self._timeout <= seconds * 1.1:
            self._socket.settimeout(seconds)
            self._timeout = seconds

    def _left(self) -> float:
        left = self._reading_until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
