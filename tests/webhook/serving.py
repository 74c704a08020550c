"""The in-cluster server in this process, and a client that may misbehave."""

from __future__ import annotations

import json
import math
import socket
import ssl
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from benchmarks.certificates import Certificate
from tests.webhook.reviews import OWN, FixedMirror, pod, review_of
from webhook.admission import Policy, review
from webhook.connection import Limits
from webhook.large_bodies import UNREAD_BY_MIRROR
from webhook.secret_path import SecretPaths
from webhook.server import AdmissionServer
from webhook.service import Decide
from webhook.serving_certificate import ServingCertificate

POD = pod("python:3.9")
PATH = "/admit/0123456789abcdefghijABCDEFGHIJ0123456789"
"""What admits a caller."""


def decide(body: object, deadline: float = math.inf) -> dict[str, Any]:
    """The real decision, where every image has its copy."""
    return review(body, Policy(registry=OWN), FixedMirror(), deadline)


@dataclass(frozen=True)
class Answered:
    """One HTTP answer as it came over the socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def serving(
    pair: Certificate, decide: Decide, limits: Limits | None = None, *, port: int = 0
) -> Generator[int]:
    """Serves ``PATH`` on 127.0.0.1 until the end of the block; yields the port."""
    certificate = ServingCertificate(pair.certificate, pair.key)
    paths = SecretPaths(paths_beside(pair))
    server = AdmissionServer(
        ("127.0.0.1", port), certificate, paths, decide, limits=limits, unread=UNREAD_BY_MIRROR
    )
    loop = threading.Thread(target=server.serve_forever)
    loop.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        loop.join()


@contextmanager
def connected(port: int, authority: Path, source: str = "127.0.0.1") -> Generator[ssl.SSLSocket]:
    """A TLS connection that trusts this one certificate; a wait of 10 seconds is an error."""
    trusted = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection(
            ("127.0.0.1", port), timeout=10, source_address=(source, 0)
        ) as plain,
        trusted.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        yield secured


def paths_beside(pair: Certificate) -> Path:
    """The file with ``PATH``, in the folder of the certificate."""
    file = pair.certificate.with_name("paths")
    file.write_text(f"{PATH}\n", "utf-8")
    return file


def post(body: bytes, path: str = f"{PATH}?timeout=5s") -> bytes:
    """The request that the API server makes of an AdmissionReview."""
    head = f"POST {path} HTTP/1.1\r\nHost: webhook\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def admit(**changes: Any) -> bytes:
    """The request for ``POD``, which ``decide`` rewrites."""
    return post(json.dumps(review_of(POD, **changes)).encode())


def answer(connection: ssl.SSLSocket) -> Answered:
    """Waits for one answer; the connection can be used for more."""
    with HTTPResponse(connection) as response:
        response.begin()
        return Answered(response.status, dict(response.headers), response.read())


def ask(connection: ssl.SSLSocket, request: bytes) -> Answered:
    """Sends and waits."""
    connection.sendall(request)
    return answer(connection)


def is_closed(connection: ssl.SSLSocket) -> bool:
    """Did the server end the connection, without another byte?"""
    try:
        return connection.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True
