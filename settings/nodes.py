"""The processors of every node that a stack can have, by its settings."""

from __future__ import annotations

from collections.abc import Iterator

from settings.field_types import ARM_FAMILY
from settings.sections import Settings

AMD64 = "linux/amd64"
POOL_ARCHITECTURES = ("amd64",)
"""``kubernetes.io/arch`` of every pool: Karpenter launches machines of these alone."""


def platform_of_nodes(settings: Settings) -> str | None:
    """The platform of all nodes; None: there may be nodes of several.

    The node group has the machines of its setting; pools have those of ``POOL_ARCHITECTURES``,
    whatever families they name.
    """
    return AMD64 if set(_architectures(settings)) == {"amd64"} else None


def _architectures(settings: Settings) -> Iterator[str]:
    family = settings.node_group.instance_type.partition(".")[0]
    yield "arm64" if ARM_FAMILY.fullmatch(family) else "amd64"
    if settings.gpu_pool.enabled:
        yield from POOL_ARCHITECTURES
