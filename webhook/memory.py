"""How much memory the decoded JSON of requests takes, and a bound for all of them together.

Eight megabytes of ``[{},{},...]`` become 200 when Python decodes them, so a bound of bytes is none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

from webhook.http_head import Refused

MOST_PER_BYTE = 60
"""No JSON takes more per byte of its text: lists within lists, two bytes each."""
DEEPEST = 64
"""Levels of JSON in JSON that a thread of the server decodes."""
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
# A list of one item, a dictionary of one key, and a short text, in CPython 3.11 to 3.13.
_OF_LIST, _OF_DICTIONARY, _OF_ITEM = 112, 216, 88


def cost(body: bytes | bytearray) -> int:
    """Bytes of memory that decoding this JSON takes at most, its own included.

    Brackets and commas inside of texts count too, so it may be more than is used. Takes
    microseconds.
    """
    # Decoded as a whole first, at one to four bytes a character, then its texts one by one.
    per_byte = 4 if body.isascii() else 10
    return (
        len(body) * per_byte
        + body.count(b"{") * _OF_DICTIONARY
        + body.count(b"[") * _OF_LIST
        + body.count(b",") * _OF_ITEM
    )


def is_deep(body: bytes | bytearray) -> bool:
    """Whether JSON may be nested deeper than any object of a cluster.

    Each level takes stack when it is decoded, and a thread never gives back what its stack took.
    Brackets inside of texts may make a flat one look deep.
    """
    if body.count(b"[") + body.count(b"{") <= 4 * DEEPEST:
        return False
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(DEEPEST):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == before:
            break
    return len(brackets) > 2 * DEEPEST


class Share:
    """A part of the bound, which can be made smaller."""

    def __init__(self, memory: Memory, size: int) -> None:
        self._memory, self.size = memory, size

    def shrink(self, size: int) -> None:
        """Gives back what is more than ``size``."""
        if size < self.size:
            self._memory.give_back(self.size - size)
            self.size = size


class Memory:
    """A bound for all requests that are read or judged at a time.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._changed = threading.Condition()
        self._waiting = 0

    @contextmanager
    def share(self, size: int, deadline: float) -> Generator[Share]:
        """Waits until so many bytes are free, and has them until the end of the block.

        Raises:
            Refused: they are not before the deadline, in monotonic seconds.
        """
        with self._changed:
            if self._free < size:
                self._waiting += 1
                try:
                    seconds = deadline - time.monotonic()
                    if not self._changed.wait_for(lambda: self._free >= size, seconds):
                        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once")
                finally:
                    self._waiting -= 1
            self._free -= size
        share = Share(self, size)
        try:
            yield share
        finally:
            self.give_back(share.size)

    def give_back(self, size: int) -> None:
        """Frees bytes of a share."""
        with self._changed:
            self._free += size
            if self._waiting:
                self._changed.notify_all()
