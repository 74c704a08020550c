"""Pulumi's own dynamic provider: a process of its own, started in the project's folder."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def started() -> Generator[Any]:
    """A client of the plugin, started as the engine starts it."""
    command = [sys.executable, "-u", "-m", "pulumi.dynamic"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                yield provider_pb2_grpc.ResourceProviderStub(channel)
        finally:
            process.kill()


def sent(provider: str, **props: Any) -> Any:
    """Properties as the engine sends them; ``provider`` is the serialized provider."""
    serialized = rpc.serialize_properties({**props, "__provider": provider}, {})
    return asyncio.run(cast("Coroutine[Any, Any, Any]", serialized))
