"""How much memory the decoded JSON of requests takes, and a bound for all of them together.

Eight megabytes of ``[{},{},...]`` become 200 when Python decodes them, so a bound of bytes is none.
"""

from __future__ import annotations

import threading
import time
from http import HTTPStatus

from webhook.http_head import Refused

MOST_PER_BYTE = 60
"""No JSON takes more per byte of its text: lists within lists, two bytes each."""
DEEPEST = 64
"""Levels of JSON in JSON that a thread of the server decodes."""
_NO_MARKS = bytes(byte for byte in range(256) if byte not in b"[]{},")
# A list of one item, a dictionary of one key, and a short text, in CPython 3.11 to 3.13.
_OF_LIST, _OF_DICTIONARY, _OF_ITEM = 112, 216, 88


def marks_of(body: bytes) -> bytes:
    """The brackets and commas of JSON, from which its cost and its depth follow.

    Those inside of texts count too, so either may be less in truth. Takes microseconds.
    """
    return body.translate(None, _NO_MARKS)


def cost(body: bytes, marks: bytes) -> int:
    """Bytes of memory that decoding this JSON takes at most, its own included."""
    # Decoded as a whole first, at one to four bytes a character, then its texts one by one.
    per_byte = 4 if body.isascii() else 10
    return (
        len(body) * per_byte
        + marks.count(b"{") * _OF_DICTIONARY
        + marks.count(b"[") * _OF_LIST
        + marks.count(b",") * _OF_ITEM
    )


def is_deep(marks: bytes) -> bool:
    """Whether JSON may be nested deeper than any object of a cluster.

    Each level takes stack when it is decoded, and a thread never gives back what its stack took.
    """
    if marks.count(b"[") + marks.count(b"{") <= 4 * DEEPEST:
        return False
    brackets = marks.replace(b",", b"")
    for _ in range(DEEPEST):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == before:
            break
    return len(brackets) > 2 * DEEPEST


class Share:
    """A part of the bound until the end of a block, which can be made smaller before."""

    def __init__(self, memory: Memory, size: int) -> None:
        self._memory, self.size = memory, size

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.give_back(self.size)

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

    def share(self, size: int, deadline: float) -> Share:
        """Waits until so many bytes are free; at the end of a ``with`` block they are again.

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
        return Share(self, size)

    def give_back(self, size: int) -> None:
        """Frees bytes of a share."""
        with self._changed:
            self._free += size
            if self._waiting:
                self._changed.notify_all()
