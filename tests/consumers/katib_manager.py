"""Katib's database manager as a running program, with the arguments and variables of its pod."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import grpc

from tests.cluster.api_server import built
from tests.consumers.database import Database
from tests.consumers.katib_api import is_healthy
from tests.consumers.programs import KATIB_DB_MANAGER
from tests.ports import free_port
from tests.rendering.beijing import Release, kubeflow


@contextmanager
def running(rds: Database, folder: Path, release: Release | None = None) -> Generator[grpc.Channel]:
    """Runs it until the end of the block, on a port of its own instead of the fixed one.

    Args:
        rds: its database.
        folder: an empty one, for the files that its pod mounts and its log.
        release: that has its pod; None: the default.
    """
    address = f"127.0.0.1:{free_port()}"
    arguments, variables = rds.pod(release or kubeflow(), "katib-db-manager", folder)
    command = rds.command(
        str(built(KATIB_DB_MANAGER, print)), *arguments, f"--listen-address={address}"
    )
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **variables}, stdout=file, stderr=file
        )
        try:
            with grpc.insecure_channel(address) as channel:
                assert is_healthy(channel), log.read_text()
                yield channel
        finally:
            process.terminate()
            process.wait(timeout=300)
