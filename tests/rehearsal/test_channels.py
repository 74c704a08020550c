"""A new engine is reached at the port of an old one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc
import pytest
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2

from rehearsal.channels import channels_closed
from tests.rehearsal.conftest import Started


def listen(port: int = 0) -> tuple[grpc.Server, int]:
    """A server without methods on a port of the loopback interface."""
    server = grpc.server(ThreadPoolExecutor(1))
    found = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, found


def answer(channel: grpc.Channel) -> grpc.StatusCode:
    """The status of a call of a method that no server has."""
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/a.Service/Method")(b"", timeout=10)
    return refused.value.code()


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (nullcontext(), grpc.StatusCode.UNAVAILABLE),
        (channels_closed(), grpc.StatusCode.UNIMPLEMENTED),
    ],
    ids=["left open, the channel of the old engine refuses for the new one", "closed"],
)
def test_a_new_engine_is_reached_at_the_port_of_an_old_one(
    run: AbstractContextManager[None], expected: grpc.StatusCode
) -> None:
    with run:
        engine, port = listen()
        old = grpc.insecure_channel(f"127.0.0.1:{port}")
        assert answer(old) is grpc.StatusCode.UNIMPLEMENTED
        engine.stop(None).wait()
        assert answer(old) is grpc.StatusCode.UNAVAILABLE
    engine, _ = listen(port)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as new:
        assert answer(new) is expected
    engine.stop(None)
    old.close()


def test_a_channel_that_is_opened_after_a_run_stays_open() -> None:
    with channels_closed():
        pass
    engine, port = listen()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        with channels_closed():
            pass
        assert answer(channel) is grpc.StatusCode.UNIMPLEMENTED
    engine.stop(None)


@pytest.mark.engine
def test_a_run_leaves_no_channel_open(started: Started) -> None:
    monitors: list[Any] = []
    of_this_run: Any = settings.SETTINGS
    with started(lambda: monitors.append(of_this_run.monitor)) as rehearsal:
        rehearsal.preview()
        with pytest.raises(ValueError, match="closed channel"):
            monitors[0].SupportsFeature(resource_pb2.SupportsFeatureRequest(id="secrets"))
