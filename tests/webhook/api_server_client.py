"""Reviews as an API server sends them: ``python -m tests.webhook.api_server_client``.

Arguments: process and port of the server, the file with its certificate, connections, seconds,
pause in seconds between two reviews of a connection, containers of a pod. Prints a JSON list of the
milliseconds of each answer: those that passed, and those that the server used a processor. Another
answer than HTTP 200 ends it with an error. Each connection is replaced after 50 reviews, and the
first review of a new one has the time of its handshake.
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
    process: int, place: tuple[int, Path], times: tuple[float, float], request: bytes
) -> list[tuple[float, float]]:
    """Milliseconds of each review over one connection at a time."""
    seconds, pause = times
    spent: list[tuple[float, float]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with ExitStack() as opened:
            begun, used = time.monotonic(), processor_seconds(process)
            connection = opened.enter_context(connected(*place))
            for _ in range(_REVIEWS_OF_CONNECTION):
                given = ask(connection, request)
                passed = (time.monotonic() - begun) * 1000
                spent.append((passed, (processor_seconds(process) - used) * 1000))
                if given.status != 200:
                    raise RuntimeError(f"HTTP {given.status}: {given.body.decode()}")
                if time.monotonic() >= until:
                    break
                time.sleep(pause)
                begun, used = time.monotonic(), processor_seconds(process)
    return spent


def processor_seconds(process: int) -> float:
    """What all threads of a process have used, those that have ended included.

    Its clock is clock_getcpuclockid(3), which Python lacks: the complement of the process' number,
    and a 2 (torvalds/linux include/linux/posix-timers_types.h, CPUCLOCK_SCHED).
    """
    return time.clock_gettime(~process << 3 | 2)


def main() -> None:
    process, port, authority, connections, seconds, pause, containers = sys.argv[1:]
    images = [f"ghcr.io/kubeflow/part-{number}:2.16.0" for number in range(int(containers))]
    request = post(json.dumps(review_of(pod(*images), namespace="team")).encode())
    spent: list[tuple[float, float]] = []
    place, times = (int(port), Path(authority)), (float(seconds), float(pause))

    def one() -> None:
        spent.extend(measured(int(process), place, times, request))

    threads = [threading.Thread(target=one) for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(spent))


if __name__ == "__main__":
    main()
