"""A way to a registry that misbehaves as a test wants: it breaks, hangs, or answers by itself.

It works below HTTP: a request is known by its first line, everything else passes as it is.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import cast

_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]\r\n")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close sends RST
_IDLE_SECONDS = 60.0

RESET = "reset"
HANG = "hang"

Fault = Callable[[str, str], str | None]
"""Method and path -> ``RESET``, ``HANG``, a status such as ``429 Too Many Requests``, or None."""


class Way:
    """An address that leads to another one.

    Attributes:
        host: of its own.
        fault: asked about each request; may be changed while it runs.
        seen: the requests, ``GET /v2/...``.
    """

    def __init__(self, fault: Fault) -> None:
        self.host = ""
        self.fault = fault
        self.seen: list[str] = []
        self.ended = threading.Event()


def healthy(_method: str, _path: str) -> None:
    """No fault."""


def failing_at_first(fault: str, times: int, path: str) -> Fault:
    """A fault for the first requests whose line matches."""
    left = [fault] * times

    def decide(method: str, at: str) -> str | None:
        return left.pop() if left and re.search(path, f"{method} {at}") else None

    return decide


class _Passage(BaseRequestHandler):
    """One connection of a client, and the one to the registry that belongs to it."""

    def handle(self) -> None:
        client: socket.socket = self.request
        client.settimeout(_IDLE_SECONDS)
        leads_to = cast(_Server, self.server).leads_to
        with socket.create_connection(leads_to, _IDLE_SECONDS) as registry:
            back = threading.Thread(target=pump, args=(registry, client), daemon=True)
            back.start()
            try:
                while data := client.recv(65536):
                    if not self._fault(client, data):
                        registry.sendall(data)
            except OSError:
                pass  # either side has hung up
            _end(registry)
            back.join(_IDLE_SECONDS)

    def _fault(self, client: socket.socket, data: bytes) -> bool:
        """True: the data went no further."""
        found, way = _REQUEST.match(data), cast(_Server, self.server).way
        if found is None:
            return False
        method, path = found[1].decode(), found[2].decode()
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            return True
        way.seen.append(f"{method} {path}")
        fault = way.fault(method, path)
        if fault is None:
            return False
        if fault == RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
        elif fault == HANG:
            way.ended.wait(_IDLE_SECONDS)
        else:
            answer = f"HTTP/1.1 {fault}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            client.sendall(answer.encode())
        raise ConnectionAbortedError


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, way: Way, leads_to: tuple[str, int]) -> None:
        self.way, self.leads_to = way, leads_to
        super().__init__(("127.0.0.1", 0), _Passage)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Passes everything on until either side ends; the other side has ended then too."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass  # either side has hung up
    _end(sink)


def _end(sink: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def way_to(address: str, fault: Fault = healthy) -> Generator[Way]:
    """Leads to ``address`` until the end of the block; a CONNECT to any host leads there too."""
    name, _, port = address.partition(":")
    way = Way(fault)
    with _Server(way, (name, int(port))) as server:
        way.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield way
        finally:
            way.ended.set()
            server.shutdown()
            thread.join(10)
