"""Reviews as an API server sends them: ``python -m tests.webhook.api_server_client``.

Arguments: port, the file with the server's certificate, connections, seconds, pause in seconds
between two reviews of a connection, containers of a pod. Prints a JSON list of the milliseconds of
each answer; another answer than HTTP 200 ends it with an error. Each connection is replaced after
50 reviews, and the first review of a new one has the time of its handshake.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tests.webhook.reviews import pod, review_of
from tests.webhook.serving import ask, connected, post

_REVIEWS_OF_CONNECTION = 50


def measured(
    port: int, authority: Path, seconds: float, pause: float, request: bytes
) -> list[float]:
    """Milliseconds of each review over one connection at a time."""
    spent: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with ExitStack() as opened:
            begun = time.monotonic()
            connection = opened.enter_context(connected(port, authority))
            for _ in range(_REVIEWS_OF_CONNECTION):
                given = ask(connection, request)
                spent.append((time.monotonic() - begun) * 1000)
                if given.status != 200:
                    raise RuntimeError(f"HTTP {given.status}: {given.body.decode()}")
                if time.monotonic() >= until:
                    break
                time.sleep(pause)
                begun = time.monotonic()
    return spent


def main() -> None:
    port, authority, connections, seconds, pause, containers = sys.argv[1:]
    images = [f"ghcr.io/kubeflow/part-{number}:2.16.0" for number in range(int(containers))]
    request = post(json.dumps(review_of(pod(*images), namespace="team")).encode())
    spent: list[float] = []

    def one() -> None:
        own = measured(int(port), Path(authority), float(seconds), float(pause), request)
        spent.extend(own)

    threads = [threading.Thread(target=one) for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(spent))


if __name__ == "__main__":
    main()
