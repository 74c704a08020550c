"""Large requests, made small by a process of their own: ``python -m webhook.large_bodies``.

Decoding eight megabytes of JSON takes 200 megabytes at worst, and a tenth of a second in which no
other thread of the server runs. So a child does it, one at a time, below a bound that the kernel
holds, and prints the same review without the parts that no decision reads. The server never has the
whole body.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from enum import IntEnum
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, cast

from webhook.http_head import Refused
from webhook.memory import DEEPEST, cost, marks_of

MEMORY = 80 << 20
"""Bytes of a child's data. An object of 3 MiB takes 40 with its old one; without the parts below,
which go as soon as each container is decoded, most take less."""
MOST_LEFT = 24 << 20
"""Bytes of memory that a request made small may take (``memory.cost``)."""

UNREAD = frozenset(
    {
        # k8s.io/api core/v1 Container; metav1.ObjectMeta
        *("args", "lifecycle", "livenessProbe", "managedFields", "ports", "readinessProbe"),
        *("resources", "securityContext", "startupProbe", "status"),
        *("terminationMessagePath", "terminationMessagePolicy"),
    }
)
"""Members that no decision reads, wherever they are; most of a large object is such."""
UNREAD_BY_MIRROR = UNREAD | {
    *("env", "envFrom", "volumeMounts"),
    # argo-workflows pkg/apis/workflow/v1alpha1, Template and its parts
    *("arguments", "inputs", "outputs", "source"),
}
"""Members that the image mirror does not read."""


class _Left(IntEnum):
    """Exit codes of the child."""

    SMALL = 0
    NO_JSON = 3
    TOO_MUCH_MEMORY = 4
    STILL_LARGE = 5
    CUT_OFF = 6


_TOO_LARGE = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the object is too large to be judged")
_REFUSALS: dict[int, tuple[HTTPStatus, str]] = {
    _Left.NO_JSON: (HTTPStatus.BAD_REQUEST, "the request body is not JSON"),
    _Left.CUT_OFF: (HTTPStatus.BAD_REQUEST, "the request body is not whole"),
}


_OPTIONS = ("-S", "-B", "-m")


class LargeBodies:
    """Makes requests small, one at a time.

    Args:
        unread: members that the decision does not read, wherever they are.
    """

    def __init__(self, unread: Collection[str]) -> None:
        self._unread = sorted(unread)
        self._alone = threading.Lock()

    def small(self, chunks: Iterator[bytes], length: int, deadline: float) -> bytes:
        """The JSON of a request without what no decision reads.

        Args:
            chunks: of the body; read only once it is this request's turn.
            length: of the body.
            deadline: monotonic seconds.

        Raises:
            Refused: it is no JSON, or too large, or its turn did not come in time.
            OSError: ``chunks`` raised it.
        """
        if not self._alone.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many large requests at once")
        try:
            return self._small(chunks, length, deadline)
        finally:
            self._alone.release()

    def _small(self, chunks: Iterator[bytes], length: int, deadline: float) -> bytes:
        with subprocess.Popen(
            [sys.executable, *_OPTIONS, "webhook.large_bodies", str(length), *self._unread],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # None of the server's own variables: the child needs no rights.
            env={"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        ) as child:
            assert child.stdin is not None  # noqa: S101 - both are pipes
            assert child.stdout is not None  # noqa: S101
            end = threading.Timer(max(0.0, deadline - time.monotonic()), child.kill)
            end.start()
            try:
                # A child that has ended reads no more; its exit code has the reason.
                with suppress(BrokenPipeError):
                    for chunk in chunks:
                        child.stdin.write(chunk)
                _close(child.stdin)
                body = child.stdout.read()
                left = child.wait()
            finally:
                end.cancel()
                child.kill()
                _close(child.stdin)
        if left == _Left.SMALL:
            return body
        if left < 0 and time.monotonic() >= deadline:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "a large request took too long")
        # A child that the kernel ended had too little memory, too.
        raise Refused(*_REFUSALS.get(left, _TOO_LARGE))


def _close(pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError):  # closing writes what is left
        pipe.close()


def reduced(text: str, unread: Collection[str]) -> Any:
    """JSON without the members of these names; raises as ``json.loads`` does."""

    def kept(obj: dict[str, Any]) -> dict[str, Any]:
        for key in obj.keys() & unread:
            del obj[key]
        return obj

    # Called for each JSON object as soon as it is read.
    return json.loads(text, object_hook=kept)


def _small(length: int, unread: Collection[str]) -> tuple[_Left, bytes]:
    body = sys.stdin.buffer.read()
    if len(body) != length:
        return _Left.CUT_OFF, b""
    try:
        text = body.decode("utf-8", "surrogatepass")  # as json.loads does
        del body
        review = reduced(text, unread)
        del text
        if _is_deep(review):
            return _Left.STILL_LARGE, b""
        written = json.dumps(review, ensure_ascii=False, separators=(",", ":"))
        small = written.encode("utf-8", "surrogatepass")
    except MemoryError:
        return _Left.TOO_MUCH_MEMORY, b""
    except (ValueError, RecursionError):
        return _Left.NO_JSON, b""
    fits = cost(small, marks_of(small)) <= MOST_LEFT
    return (_Left.SMALL, small) if fits else (_Left.STILL_LARGE, b"")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _items(each)]
        if not level:
            return False
    return True


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def main() -> None:
    """Reads a body, and writes it smaller or ends with the reason why not."""
    os.nice(5)  # reviews of usual size go first
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    try:
        left, small = _small(int(sys.argv[1]), frozenset(sys.argv[2:]))
    except MemoryError:
        left, small = _Left.TOO_MUCH_MEMORY, b""
    sys.stdout.buffer.write(small)
    sys.stdout.buffer.flush()
    os._exit(left)  # without freeing objects one by one


if __name__ == "__main__":
    main()
