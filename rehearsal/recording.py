"""What a program asks the engine for, recorded on its way there.

A method of the program's gRPC client of the engine (the resource monitor) is wrapped, so every
registration is seen with its parent, dependencies and inputs as the engine receives them: in a
preview the simulated clouds answer like a creation, so late values (an endpoint, a role's ARN) are
in place.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import resource_pb2

from rehearsal import protocol
from rehearsal.dynamic_resources import PICKLED

STACK_TYPE = "pulumi:pulumi:Stack"


def parent_of(urn: str) -> str:
    """The URN of a parent; empty where that is the stack."""
    return "" if f"::{STACK_TYPE}::" in urn else urn


@dataclass(frozen=True)
class Planned:
    """One resource as the engine was asked for it."""

    urn: str
    request: Any = field(repr=False)
    """The protocol's ``RegisterResourceRequest``."""

    @property
    def type(self) -> str:
        """The type token."""
        return self.request.type

    @property
    def name(self) -> str:
        """The Pulumi name."""
        return self.request.name

    @property
    def parent(self) -> str:
        """The parent's URN; empty where that is the stack."""
        return parent_of(self.request.parent)

    @property
    def custom(self) -> bool:
        """Whether a provider makes it; a component is not custom."""
        return self.request.custom

    @property
    def provider(self) -> str:
        """URN and id of its provider."""
        return self.request.provider

    @property
    def dependencies(self) -> tuple[str, ...]:
        """URNs, sorted."""
        return tuple(sorted(set(self.request.dependencies)))

    @property
    def inputs(self) -> dict[str, Any]:
        """Plain values, ``"[secret]"`` for secrets, without the code of a dynamic resource."""
        plain = protocol.properties(self.request.object, mask=True)
        plain.pop(PICKLED, None)
        return plain


class Recorder:
    """Every resource that passes through the monitors it watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[str, Any] = {}

    @property
    def resources(self) -> list[Planned]:
        """Everything registered so far, without the stack itself."""
        with self._lock:
            return [Planned(urn, request) for urn, request in self._requests.items()]

    def watch(self, monitor: Any) -> Any:
        """The resource monitor itself, which records from now on what passes through it."""
        register = monitor.RegisterResource

        def recorded(request: Any, *args: Any, **options: Any) -> Any:
            response = register(request, *args, **options)
            self.add(request, response.urn)
            return response

        monitor.RegisterResource = recorded
        return monitor

    def add(self, request: Any, urn: str) -> None:
        """Records one registration request and the URN it was answered with.

        A remote component registers twice: its provider's request is answered first and has plain
        values for the outputs in the program's.
        """
        if request.type == STACK_TYPE:
            return
        merged = resource_pb2.RegisterResourceRequest()
        merged.CopyFrom(request)
        with self._lock:
            if urn in self._requests:
                merged.MergeFrom(self._requests[urn])
            self._requests[urn] = merged
