"""Dynamic resources (``pulumi-python``) in a rehearsal.

A dynamic resource carries its provider, pickled, in its inputs. The provider's check and diff are
the program's own logic and run as they are; create, update, delete and read, which would reach a
cluster or a cloud, are simulated as of any other resource. So are the questions that a check asks a
cluster (``unmet``): a simulated one has nothing of users in the way.
"""

# ruff: noqa: ARG002, N802  (methods and arguments of the protocol)

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

import dill  # pyright: ignore[reportMissingTypeStubs]
from pulumi.dynamic import ResourceProvider
from pulumi.runtime.proto import provider_pb2

from rehearsal import custom_resources, protocol
from rehearsal.custom_resources import CRDS
from rehearsal.providers import SimulatedProvider, check_failures

PICKLED = "__provider"


@lru_cache(maxsize=64)
def _unpickled(text: str) -> ResourceProvider:
    # The program of this run pickled it; Pulumi's own dynamic provider does the same.
    provider = dill.loads(base64.b64decode(text))  # noqa: S301
    if hasattr(provider, "unmet"):
        provider.unmet = _nothing
    return provider


def _nothing(*_: object) -> list[str]:
    return []


class DynamicResources(SimulatedProvider):
    """Serves ``pulumi-python``: the real check and diff, a simulated create, update and delete."""

    def Check(self, request: Any, context: Any) -> Any:
        """The check of the program's own provider."""
        olds, news = protocol.properties(request.olds), protocol.properties(request.news)
        result = _unpickled(news.pop(PICKLED)).check(olds, news)
        if result.failures:
            return check_failures((each.property, each.reason) for each in result.failures)
        # What check left alone is echoed, so that its secrets stay secret.
        return provider_pb2.CheckResponse(inputs=protocol.answer(request.news, news, result.inputs))

    def Update(self, request: Any, context: Any) -> Any:
        """Simulated; of CRDs a preview has the inputs alone, as with Pulumi's own server."""
        if request.type == CRDS:
            if request.preview:
                return provider_pb2.UpdateResponse(properties=request.news)
            custom_resources.apply(self.accounts, request.name, protocol.properties(request.news))
        return super().Update(request, context)

    def Create(self, request: Any, context: Any) -> Any:
        """Simulated; the cluster has these CRDs from then on."""
        if request.type == CRDS and not request.preview:
            inputs = protocol.properties(request.properties)
            custom_resources.apply(self.accounts, request.name, inputs)
        return super().Create(request, context)

    def Delete(self, request: Any, context: Any) -> Any:
        """Simulated."""
        if request.type == CRDS:
            inputs = protocol.properties(request.properties)
            custom_resources.forget(self.accounts, request.name, inputs)
        return super().Delete(request, context)

    def Diff(self, request: Any, context: Any) -> Any:
        """The diff of the program's own provider."""
        olds, news = protocol.properties(request.olds), protocol.properties(request.news)
        result = _unpickled(news[PICKLED]).diff(request.id, olds, news)
        response = provider_pb2.DiffResponse
        if result.changes is None:
            # The engine compares the inputs itself.
            return response(changes=response.DIFF_UNKNOWN)
        return response(
            changes=response.DIFF_SOME if result.changes else response.DIFF_NONE,
            replaces=result.replaces or [],
            deleteBeforeReplace=bool(result.delete_before_replace),
        )
