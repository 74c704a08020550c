"""What a program asks the engine for, recorded on its way there.

The program's gRPC client of the engine (the resource monitor) is wrapped, so every registration is
seen with its parent, dependencies and inputs as the engine receives them: in a preview the
simulated clouds answer like a creation, so late values (an endpoint, a role's ARN) are in place.
"""

# ruff: noqa: N802  (names and arguments are the protocol's)

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.struct_pb2 import Struct

from rehearsal import protocol
from rehearsal.dynamic_resources import PICKLED

STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Planned:
    """One resource as the engine was asked for it; ``inputs`` have ``"[secret]"`` for secrets."""

    urn: str
    type: str
    name: str
    parent: str
    dependencies: tuple[str, ...]
    provider: str
    custom: bool
    sent: Struct = field(repr=False, compare=False)

    @property
    def inputs(self) -> dict[str, Any]:
        plain = protocol.properties(self.sent, mask=True)
        # The code of a dynamic resource is no fact about the platform.
        plain.pop(PICKLED, None)
        return plain


class Recorder:
    """Collects registrations; one per run of a program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: dict[str, Planned] = {}

    @property
    def resources(self) -> list[Planned]:
        """Everything registered so far, without the stack itself, by URN."""
        with self._lock:
            return sorted(self._planned.values(), key=lambda planned: planned.urn)

    def find(self, urn: str) -> Planned | None:
        """The resource of this URN, if it is registered already."""
        with self._lock:
            return self._planned.get(urn)

    def watch(self, monitor: Any) -> Any:
        """A proxy of a resource monitor stub that records what passes through it."""
        return _Watched(monitor, self)

    def add(self, request: Any, urn: str) -> None:
        """Records one registration request and the URN it was answered with."""
        if request.type == STACK_TYPE:
            return
        planned = Planned(
            urn=urn,
            type=request.type,
            name=request.name,
            parent="" if f"::{STACK_TYPE}::" in request.parent else request.parent,
            dependencies=tuple(sorted(set(request.dependencies))),
            provider=request.provider,
            custom=request.custom,
            sent=request.object,
        )
        with self._lock:
            known = self._planned.get(urn)
            self._planned[urn] = _merged(known, planned) if known else planned


def _merged(one: Planned, other: Planned) -> Planned:
    """A remote component registers twice: asked for by the program, then by its provider."""
    return replace(
        one,
        dependencies=tuple(sorted({*one.dependencies, *other.dependencies})),
        provider=one.provider or other.provider,
        sent=max(one.sent, other.sent, key=lambda sent: len(sent.fields)),
    )


class _Watched:
    def __init__(self, monitor: Any, recorder: Recorder) -> None:
        self._monitor = monitor
        self._recorder = recorder

    def RegisterResource(self, request: Any, *args: Any, **options: Any) -> Any:
        response = self._monitor.RegisterResource(request, *args, **options)
        self._recorder.add(request, response.urn)
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name)
