"""The stack file as typed, validated models, and every mistake as one sentence; no Pulumi.

Whoever imports one module of it, as the image mirror does, loads no other section and no rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from settings.stack_settings import (
        MANIFESTS,
        SECTIONS,
        Settings,
        SettingsError,
        from_mapping,
        from_stack_file,
        load,
    )

__all__ = [
    "MANIFESTS",
    "SECTIONS",
    "Settings",
    "SettingsError",
    "from_mapping",
    "from_stack_file",
    "load",
]


def __getattr__(name: str) -> Any:
    """The names above, at their first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from settings import stack_settings

    return getattr(stack_settings, name)
