"""Addresses that drop every packet, as a firewall does: no answer, and no refusal either."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress


@contextmanager
def blackhole() -> Generator[str]:
    """``host:port`` whose queue of connections is full: Linux drops what opens another one."""
    with ExitStack() as held, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address: tuple[str, int] = listening.getsockname()
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(address)
        yield f"{address[0]}:{address[1]}"
