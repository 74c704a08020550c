"""What another release of Kubeflow does, by its ``upgrade.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from review.causes import Cause, Circumstances
from review.danger import Danger, danger_by
from review.danger_rules import table
from review.sides import CRD_RESOURCE
from settings.section import MANIFESTS
from upgrades.asking import old_release
from upgrades.table import Upgrade, of_release


def of_upgrade(circumstances: Circumstances) -> Iterator[Danger]:
    """What another release does to data; its CRDs tell which release there was."""
    for resource in circumstances.resources.values():
        if resource.type == CRD_RESOURCE and "release" in resource.after:
            new = str(resource.after["release"])
            ways = of_release(MANIFESTS / new).ways
            old = old_release(resource.before, resource.after, of_release(MANIFESTS / new))
            if old and old in ways:
                cause = circumstances.of(resource, hints=("release",))
                yield _upgrade(f"{old} to {new}", ways[old], cause)


def _upgrade(name: str, way: Upgrade, cause: Cause) -> Danger:
    rule = table().others["upgrade"]
    gains = [f"{each.name} gets {', '.join(each.adds)}" for each in way.databases if each.adds]
    stored = [f"{each.name} is stored as {each.storage}" for each in way.crds]
    stops = [f"{each.object} is replaced ({each.why})" for each in way.replaced]
    asked = ", ".join(f"{each.what} (`{each.name}`)" for each in way.before)
    return replace(
        danger_by(rule, name, "changed", cause),
        happens=". ".join([rule.happens, *gains, *stored, *stops]) + ".",
        lost="; ".join(way.not_undone),
        avoid=f"{rule.avoid} It asks for {asked}.",
    )
