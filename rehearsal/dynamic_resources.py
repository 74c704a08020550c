"""Dynamic resources (``pulumi-python``) in a rehearsal.

A dynamic resource carries its provider, pickled, in its inputs. What such a provider says about
inputs and changes is the program's own logic and runs as it is; what it would do to a cluster or a
cloud (create, update, delete, read) is answered by ``rehearsal.clouds`` like any other resource.
"""

# ruff: noqa: N802, ARG002  (names and arguments are the protocol's)

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

import dill  # pyright: ignore[reportMissingTypeStubs]
from pulumi.dynamic import ResourceProvider
from pulumi.runtime.proto import provider_pb2

from rehearsal import protocol
from rehearsal.providers import SimulatedProvider

PICKLED = "__provider"


@lru_cache(maxsize=64)
def _unpickled(text: str) -> ResourceProvider:
    # Our own program pickled it a moment ago; Pulumi's dynamic provider does the same.
    return dill.loads(base64.b64decode(text))  # noqa: S301


class DynamicResources(SimulatedProvider):
    """Serves ``pulumi-python``: the real check and diff, a simulated create, update and delete."""

    def Check(self, request: Any, context: Any) -> Any:
        olds, news = protocol.properties(request.olds), protocol.properties(request.news)
        result = _unpickled(news.pop(PICKLED)).check(olds, news)
        if result.failures:
            return provider_pb2.CheckResponse(
                failures=[
                    provider_pb2.CheckFailure(property=f.property, reason=f.reason)
                    for f in result.failures
                ]
            )
        # What check left alone is echoed, so that its secrets stay secret.
        return provider_pb2.CheckResponse(inputs=protocol.answer(request.news, news, result.inputs))

    def Diff(self, request: Any, context: Any) -> Any:
        olds, news = protocol.properties(request.olds), protocol.properties(request.news)
        result = _unpickled(news[PICKLED]).diff(request.id, olds, news)
        response = provider_pb2.DiffResponse
        if result.changes is None:
            # The engine compares the inputs itself when a provider does not know.
            return response(changes=response.DIFF_UNKNOWN)
        return response(
            changes=response.DIFF_SOME if result.changes else response.DIFF_NONE,
            replaces=result.replaces or [],
            deleteBeforeReplace=bool(result.delete_before_replace),
        )
