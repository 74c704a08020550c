"""Which settings of a stack file differ, by the keys that its reader knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from review.changes import Change, changes
from review.sides import Side

_NAMESPACE = "kubeflow:"


def settings_changes(base: Side, head: Side) -> tuple[Change, ...]:
    """Every key with its value on both sides, by key; none when a side's settings are unknown."""
    if base.from_state or head.from_state:
        return ()
    return tuple(changes(_by_key(base.settings), _by_key(head.settings)))


def _by_key(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in settings.items()}


def short(key: str) -> str:
    """The key without the project's own prefix: ``cluster.name``."""
    return key.removeprefix(_NAMESPACE)
