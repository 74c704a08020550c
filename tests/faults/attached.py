"""A rehearsal with other providers, whose state is written at each step as by ``pulumi up``."""

from __future__ import annotations

from pulumi import automation as auto

_ONE_WRITE = ("PULUMI_EXPERIMENTAL", "PULUMI_SKIP_CHECKPOINTS")


def attach(stack: auto.Stack, **ports: int | None) -> None:
    """Changes what the engine attaches to, and switches its checkpoints on.

    Args:
        stack: of a rehearsal that is started.
        ports: package -> port of another provider; None: the engine's own plugin.
    """
    workspace = stack.workspace
    pairs = workspace.env_vars["PULUMI_DEBUG_PROVIDERS"].split(",")
    attached: dict[str, object] = {}
    attached |= dict(pair.split(":") for pair in pairs)
    attached |= {name.replace("_", "-"): port for name, port in ports.items()}
    kept = {name: value for name, value in workspace.env_vars.items() if name not in _ONE_WRITE}
    listed = ",".join(f"{name}:{port}" for name, port in attached.items() if port is not None)
    workspace.env_vars = {**kept, "PULUMI_DEBUG_PROVIDERS": listed}
