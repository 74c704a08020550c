"""Clients that try to shut the API server out: ``python -m tests.webhook.hostile_clients``.

Arguments: port, the file with the server's certificate. They go on until the process is ended.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from itertools import count

from tests.webhook.reviews import review_of
from tests.webhook.serving import PATH, POD, post

IDLE, SLOW, LARGE = 500, 50, 4
_AGAIN_SECONDS = 1.0


def large(size: int) -> bytes:
    """A review of ``POD`` with about that many bytes of variables."""
    variables = [{"name": f"V{number}", "value": "x" * 20} for number in range(size // 45)]
    obj = {**POD, "spec": {"containers": [{**POD["spec"]["containers"][0], "env": variables}]}}
    return json.dumps(review_of(obj)).encode()


def bomb(size: int) -> bytes:
    """JSON that takes 25 times as much memory."""
    return b"[" + b"{}," * (size // 3 - 2) + b"{}]"


Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


async def idle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for number in count():
        writer.write(b"POST /admit HTTP/1.1\r\n"[number % 22 : number % 22 + 1])
        await writer.drain()
        await asyncio.sleep(0.1)


def sending(request: bytes) -> Client:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request)
        await asyncio.wait_for(reader.read(), 30)

    return send


async def _again(port: int, tls: ssl.SSLContext | None, client: Client) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            try:
                await client(reader, writer)
            finally:
                writer.transport.abort()
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(_AGAIN_SECONDS)


async def attack(port: int, tls: ssl.SSLContext) -> None:
    """Everything at once."""
    whole = 8 << 20
    clients: list[tuple[ssl.SSLContext | None, Client]] = [
        *[(None, idle)] * (IDLE // 2),
        *[(tls, idle)] * (IDLE // 2),
        *[(tls, slow)] * SLOW,
        *[(tls, sending(post(bomb(whole), "/admit")))] * LARGE,
        *[(tls, sending(post(bomb(whole), PATH)))] * LARGE,
        *[(tls, sending(post(large(6 << 20), PATH)))] * LARGE,
    ]
    await asyncio.gather(*[_again(port, context, client) for context, client in clients])


if __name__ == "__main__":
    asyncio.run(attack(int(sys.argv[1]), ssl.create_default_context(cafile=sys.argv[2])))
