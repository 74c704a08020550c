"""Connections of a run end with the run.

gRPC shares connections of one process among channels of the same address: while an open channel
waits for an address that refuses, a new channel to this address is refused at once, even when a
server listens there again. The SDK never closes its channels to an engine, and the kernel hands the
port of an old engine to a new one now and then.
Source: https://github.com/grpc/grpc, include/grpc/impl/channel_arg_names.h,
``GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL``.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc


@contextmanager
def channels_closed() -> Generator[None]:
    """Closes at its end every plain channel that this process opened meanwhile."""
    insecure_channel = grpc.insecure_channel
    with ExitStack() as opened:

        def recorded(*args: Any, **options: Any) -> grpc.Channel:
            return opened.enter_context(insecure_channel(*args, **options))

        grpc.insecure_channel = recorded
        try:
            yield
        finally:
            grpc.insecure_channel = insecure_channel
