"""The server of the model registry as a running program, with the arguments of its pod.

It is v0.3.0 of 2025-08, the newest that the Go module proxy serves; 26.03.1 has v0.3.9. The later
ones have as many migrations, by number and with the same tables, and fill tables elsewhere
(kubeflow/hub bd07139, internal/platform/db/mysql/migrations).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import requests
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.cluster.api_server import built, free_port
from tests.consumers.database import Database
from tests.consumers.programs import MODEL_REGISTRY
from tests.rendering.beijing import kubeflow
from tests.rendering.profile_hooks import WITH_REGISTRY

RELEASE = max(WITH_REGISTRY)
DEPLOYMENT = "model-registry-deployment"
_API = "/api/model_registry/v1alpha3"
_FIRST_FAILURE = "Retrying connection to MySQL (attempt 1/25)"
"""Seconds lie between 25 attempts (internal/datastore/embedmd/mysql/connect.go)."""


class NotReady(AssertionError):
    """The server does not serve yet."""


@dataclass(frozen=True)
class Registry:
    """A running server by the address it listens on."""

    address: str

    def ready(self) -> bool:
        """Both probes of its pod."""
        states = {self._ask("GET", f"/readyz/{probe}").ok for probe in ("isDirty", "health")}
        return states == {True}

    def write(self, path: str, **fields: Any) -> dict[str, Any]:
        """What the API made of the fields."""
        answer = self._ask("POST", f"{_API}/{path}", json=fields)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def read(self, path: str) -> dict[str, Any]:
        """What the API has at a path."""
        answer = self._ask("GET", f"{_API}/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(method, f"http://{self.address}{path}", timeout=30, **more)


@contextmanager
def running(rds: Database, folder: Path) -> Generator[Registry]:
    """Runs it until the end of the block, on a port of its own instead of the fixed one.

    Args:
        rds: its database.
        folder: an empty one, for the files that its pod mounts and its log.
    """
    port = free_port()
    command, variables = _command(rds, folder)
    command += ["--hostname=127.0.0.1", f"--port={port}"]
    log = folder / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(command, env=variables, stdout=file, stderr=file) as process,
    ):
        try:
            registry = Registry(f"127.0.0.1:{port}")
            _await(registry, process, log)
            yield registry
        finally:
            process.terminate()


@retry(
    retry=retry_if_exception_type((NotReady, requests.ConnectionError)),
    stop=stop_after_delay(90),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _await(registry: Registry, process: subprocess.Popen[bytes], log: Path) -> None:
    assert process.poll() is None, log.read_text()
    if not registry.ready():
        raise NotReady(log.read_text())


def refusal(
    rds: Database, folder: Path, changed: Callable[[str], str | None] = lambda argument: argument
) -> str:
    """The message about the server's first attempt to connect, which fails.

    Args:
        rds: its database.
        folder: an empty one, for the files that its pod mounts.
        changed: what an argument is instead, None: nothing.
    """
    command, variables = _command(rds, folder)
    command = [text for argument in command if (text := changed(argument)) is not None]
    command += ["--hostname=127.0.0.1", f"--port={free_port()}"]
    return first_line(command, variables, containing=_FIRST_FAILURE, seconds=60)


def first_line(
    command: Sequence[str], variables: Mapping[str, str], *, containing: str, seconds: float
) -> str:
    """The first line on a program's standard error that has a text; the program is killed then.

    Raises:
        AssertionError: with everything that the program printed, if it ended or was killed after
            that time without such a line.
    """
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        limit = Timer(seconds, process.kill)
        limit.start()
        try:
            assert process.stderr is not None
            lines: list[str] = []
            for line in process.stderr:
                lines.append(line)
                if containing in line:
                    return line
            raise AssertionError("".join(lines))
        finally:
            limit.cancel()
            process.kill()


def _command(rds: Database, folder: Path) -> tuple[list[str], dict[str, str]]:
    release = kubeflow(RELEASE)
    arguments, variables = rds.pod(release, DEPLOYMENT, folder)
    _, *subcommand = release.container(DEPLOYMENT)["command"]
    command = rds.command(str(built(MODEL_REGISTRY, print)), *subcommand, *arguments)
    return command, {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
