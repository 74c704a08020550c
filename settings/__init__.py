"""The stack file as typed, validated models, and every mistake as one sentence; no Pulumi."""

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
