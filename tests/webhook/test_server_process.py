"""``python -m webhook.server`` as a pod runs it: its environment, its log, its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.certificates import Certificate
from tests.webhook.reviews import OWN, review_of
from tests.webhook.serving import (
    admit,
    answer,
    ask,
    connected,
    is_closed,
    paths_beside,
    post,
)

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "AKIASECRET"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "cn-north-1",
    "MIRROR_REGISTRY": OWN,
    "MIRROR_TABLE": "in-flight",
    "MIRROR_IN_FLIGHT_SECONDS": "3600",
    "MIRROR_COPIER": "copier",
    # No call to AWS for an image that stays at its source.
    "MIRROR_RULES": '[{"action": "keep"}]',
}


def program(variables: Mapping[str, str]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "AWS_PROFILE"}
    return subprocess.Popen(
        [sys.executable, "-m", "webhook.server"],
        cwd=ROOT,
        env=inherited | dict(variables),
        stderr=subprocess.PIPE,
        text=True,
    )


def files(pair: Certificate) -> dict[str, str]:
    return {
        "MIRROR_CERTIFICATE": str(pair.certificate),
        "MIRROR_KEY": str(pair.key),
        "MIRROR_PATHS": str(paths_beside(pair)),
    }


@contextmanager
def started(pair: Certificate) -> Generator[tuple[subprocess.Popen[str], int]]:
    with program({**VARIABLES, **files(pair), "MIRROR_PORT": "0"}) as process:
        assert process.stderr is not None
        try:
            ready = next(line for line in process.stderr if "listening on port" in line)
            yield process, int(ready.split()[-1])
        finally:
            process.kill()


def test_sigterm_answers_what_is_under_way_and_then_ends(pair: Certificate) -> None:
    request = admit(namespace="team")
    with (
        started(pair) as (process, port),
        connected(port, pair.certificate) as idle,
        connected(port, pair.certificate) as busy,
    ):
        assert ask(idle, request).status == 200
        busy.sendall(request[:-10])
        process.send_signal(signal.SIGTERM)
        assert is_closed(idle)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)
        assert process.poll() is None
        given = ask(busy, request[-10:])
        assert (given.status, given.headers["Connection"]) == (200, "close")
        assert process.wait(timeout=300) == 0


def test_the_log_of_the_process_names_a_pod_and_quotes_nothing_of_it(pair: Certificate) -> None:
    container = {
        "name": "c",
        "image": "python:3.9",
        "args": [f"--password={SECRET}"],
        "env": [{"name": "PASSWORD", "value": SECRET}],
    }
    pod = {"metadata": {"annotations": {"a": SECRET}}, "spec": {"containers": [container]}}
    body = json.dumps(review_of(pod, namespace="team", userInfo={"username": SECRET})).encode()
    with started(pair) as (process, port):
        with connected(port, pair.certificate) as connection:
            assert ask(connection, post(body)).status == 200
            connection.sendall(f"{SECRET}\r\n\r\n".encode())
            assert answer(connection).status == 400
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=300)
    assert '"namespace": "team"' in log
    assert SECRET not in log


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"MIRROR_REGISTRY": None}, "MIRROR_REGISTRY"),
        ({"MIRROR_PORT": "https"}, "https"),
        ({"MIRROR_CERTIFICATE": "/nowhere/tls.crt"}, "/nowhere/tls.crt"),
        ({"MIRROR_PATHS": "/nowhere/paths"}, "/nowhere/paths"),
        ({"MIRROR_PATHS": "/etc/hostname"}, "/etc/hostname has a line that is no secret path"),
    ],
)
def test_a_process_without_its_environment_names_what_is_missing_and_ends(
    pair: Certificate, changes: dict[str, str | None], named: str
) -> None:
    given = {**VARIABLES, **files(pair), **changes}
    with program({name: value for name, value in given.items() if value}) as process:
        _, log = process.communicate(timeout=300)
    assert process.returncode == 2
    assert named in log
    assert "Traceback" not in log
