"""A rehearsal with other providers, whose state is written at each step as by ``pulumi up``."""

# ruff: noqa: N802  (names of the protocol's methods)

from __future__ import annotations

from typing import Any

from rehearsal.engine import Rehearsal
from rehearsal.providers import SimulatedProvider

_ONE_WRITE = ("PULUMI_EXPERIMENTAL", "PULUMI_SKIP_CHECKPOINTS")


def attach(rehearsal: Rehearsal, *, checkpoints: bool = True, **ports: int | None) -> None:
    """Changes what the engine attaches to, and switches its checkpoints on.

    Args:
        rehearsal: one that is started.
        checkpoints: False leaves them off.
        ports: package -> port of another provider; None: the engine's own plugin.
    """
    stack = rehearsal._handle  # pyright: ignore[reportPrivateUsage]
    assert stack is not None
    workspace = stack.workspace
    pairs = workspace.env_vars["PULUMI_DEBUG_PROVIDERS"].split(",")
    attached: dict[str, object] = {}
    attached |= dict(pair.split(":") for pair in pairs)
    attached |= {name.replace("_", "-"): port for name, port in ports.items()}
    dropped = _ONE_WRITE if checkpoints else ()
    kept = {name: value for name, value in workspace.env_vars.items() if name not in dropped}
    listed = ",".join(f"{name}:{port}" for name, port in attached.items() if port is not None)
    workspace.env_vars = {**kept, "PULUMI_DEBUG_PROVIDERS": listed}


class ChangedAws(SimulatedProvider):
    """AWS whose changes all go through ``change``; a preview changes nothing."""

    def change(self, method: str, request: Any, context: Any) -> Any:
        """Does what ``SimulatedProvider`` does: Create, Update or Delete."""
        return getattr(super(), method)(request, context)

    def _unless_preview(self, method: str, request: Any, context: Any) -> Any:
        if getattr(request, "preview", False):
            return getattr(super(), method)(request, context)
        return self.change(method, request, context)

    def Create(self, request: Any, context: Any) -> Any:
        """See ``change``."""
        return self._unless_preview("Create", request, context)

    def Update(self, request: Any, context: Any) -> Any:
        """See ``change``."""
        return self._unless_preview("Update", request, context)

    def Delete(self, request: Any, context: Any) -> Any:
        """See ``change``."""
        return self._unless_preview("Delete", request, context)
