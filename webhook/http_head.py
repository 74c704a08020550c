"""The head of an HTTP request, read strictly: what is ambiguous is refused (RFC 9112)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

LONGEST_LINE = 2048
"""Bytes of a request line. The API server's has a path and ``?timeout=5s``."""
LONGEST = 16 << 10
"""Bytes of a head."""

_LINE = re.compile(rb"([A-Z]{3,16}) (/[!-~]*) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00\r\n]*)")


class Refused(Exception):
    """A request that is not served, by its status alone; nothing of its text is in here.

    Attributes:
        status: of the answer.
        message: for the answer; by default the status in words.
    """

    def __init__(self, status: HTTPStatus, message: str = "") -> None:
        super().__init__(status.phrase)
        self.status, self.message = status, message or status.phrase


@dataclass(frozen=True, slots=True)
class Head:
    """What the server needs of a head.

    Attributes:
        method: in upper case.
        path: without a query.
        length: bytes of the body; None where the head has no ``Content-Length``.
        last: whether the client ends the connection after the answer.
        expects: whether the client sends the body after ``100 Continue`` only.
    """

    method: bytes
    path: bytes
    length: int | None
    last: bool
    expects: bool


def request_line(line: bytes) -> tuple[bytes, bytes, bool]:
    """Method, path without a query, and whether it is HTTP/1.1.

    Raises:
        Refused: it is no request line of HTTP/1.
    """
    found = _LINE.fullmatch(line)
    if not found:
        raise Refused(HTTPStatus.BAD_REQUEST)
    return found[1], found[2].partition(b"?")[0], found[3] == b"1"


def read(head: bytes) -> Head:
    """A head without the empty line at its end.

    Raises:
        Refused: it is not valid, or leaves open where its body ends.
    """
    first, *lines = head.split(b"\r\n")
    method, path, newer = request_line(first)
    lengths: list[bytes] = []
    last, expects, chunked = not newer, False, False
    for line in lines:
        field = _FIELD.fullmatch(line)
        if not field:
            raise Refused(HTTPStatus.BAD_REQUEST)
        value = field[2].strip(b" \t")
        match field[1].lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                chunked = True
            case b"connection":
                last = last or b"close" in value.lower()
            case b"expect":
                expects = value.lower() == b"100-continue"
            case _:
                pass
    if chunked:
        raise Refused(HTTPStatus.LENGTH_REQUIRED)
    return Head(method, path, _length(lengths), last, expects)


def _length(given: list[bytes]) -> int | None:
    if not given:
        return None
    if len(given) > 1 or not given[0].isdigit():
        raise Refused(HTTPStatus.BAD_REQUEST)
    if len(given[0]) > 12:  # Python refuses to convert thousands of digits
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(given[0])


def answer(status: int, body: bytes, kind: str = "application/json", *, last: bool) -> bytes:
    """Head and body in one piece: two packets would wait 40 ms for each other."""
    close = "Connection: close\r\n" if last else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nDate: {_date(int(time.time()))}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{close}\r\n"
    )
    return head.encode() + body


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
