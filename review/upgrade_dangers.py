"""What another release of Kubeflow does, by its ``upgrade.yaml`` and its reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from review.causes import Cause, Circumstances
from review.danger import Danger, danger_by
from review.danger_rules import table
from review.resources import Resource
from review.sides import CRD_RESOURCE
from settings.section import MANIFESTS
from upgrades import reasons
from upgrades.asking import old_release, setting_of
from upgrades.table import Condition, Database, Upgrade, of_release

RELEASE = "release"
"""The setting of Kubeflow's release."""
_NAMED = 6
"""Tables and columns that a sentence names; the others are counted."""


@dataclass(frozen=True)
class NewRelease:
    """The change of a stack's release, or of its version of Karpenter.

    Args:
        setting: the key that changes.
        old: the release before; empty where nothing tells it.
        new: the release of the head.
        way: between the two; None: none is declared.
        crds: the resource that has the CRDs of both.
    """

    setting: str
    old: str
    new: str
    way: Upgrade | None
    crds: Resource


def new_releases(circumstances: Circumstances) -> Iterator[NewRelease]:
    """The changes of the release and of Karpenter; their CRDs tell which there was before."""
    for resource in circumstances.resources.values():
        if resource.type == CRD_RESOURCE and "release" in resource.after:
            new = str(resource.after["release"])
            ways = of_release(MANIFESTS / new)
            old = old_release(resource.before, resource.after, ways)
            if old is not None and old != new:
                yield NewRelease(setting_of(new), old, new, ways.ways.get(old), resource)


def of_upgrade(release: NewRelease, circumstances: Circumstances) -> Iterator[Danger]:
    """What an upgrade does to data, asks for, and leaves no way back from."""
    if release.way is None or not release.way.changes_data:
        return
    rule, way = table().others["upgrade"], release.way
    cause = circumstances.of(release.crds, hints=(release.setting,))
    confirmed: Sequence[str] = release.crds.after.get("confirmed") or ()
    changed = [each.path for each in circumstances.candidates]
    mixed = bool(circumstances.files) or changed != [f"kubeflow:{release.setting}"]
    gains = [_gains(each) for each in way.databases if each.adds]
    stored = [f"{each.name} is stored as {each.storage}" for each in way.crds]
    replaced = ", ".join(each.object for each in way.replaced)
    anew = f" Deleted and made anew: {replaced}." if replaced else ""
    what = f": {'; '.join([*gains, *stored])}" if gains or stored else ""
    yield replace(
        danger_by(rule, f"{release.old} to {release.new}", "changed", cause),
        happens=f"{rule.happens}{what}.{anew}",
        before=tuple(_condition(each, confirmed) for each in way.before),
        lost="; ".join(way.not_undone),
        avoid=f"{rule.avoid} {_MIXED}" if mixed else rule.avoid,
    )


_MIXED = (
    "Other settings or files change too, or are unknown: of a change of `release` alone, "
    "`./kf plan` sums up what comes with the release, with reasons."
)


def _gains(database: Database) -> str:
    more = len(database.adds) - _NAMED
    named = ", ".join(database.adds[:_NAMED])
    return f"{database.name} gets {named}{f' and {more} more' if more > 0 else ''}"


def _condition(condition: Condition, confirmed: Sequence[str]) -> str:
    if condition.name in confirmed:
        return (
            f"`{condition.name}` is confirmed in `upgradeConfirmed` and is not asked: "
            f"{condition.what}, because {condition.why}."
        )
    return f"`{condition.name}`: {condition.what}, because {condition.why}; {condition.way_out}."


def marked(danger: Danger, release: NewRelease | None) -> Danger:
    """The danger, as one of the release where the change of the release alone is its cause.

    What comes with a release has no setting, so a way out that puts a value back is none.
    """
    if release is None or not _alone(danger.cause):
        return danger
    paths = [change.path for change in danger.values]
    found: dict[str, tuple[str, ...]] = {}
    for name in danger.objects:
        gone = danger.event not in ("changed", "created") and release.way
        whys = (
            reasons.of_way(release.way, name)
            if gone and release.way
            else reasons.of_difference(MANIFESTS / release.new, name, paths)
        )
        found |= {why: (name.rpartition(" ")[2],) for why in whys}
    stay = f"stay on {release.old}" if release.old else "stay on the release before"
    return replace(
        danger,
        release=release.new,
        reasons=found,
        avoid=danger.avoid
        if danger.doable
        else f"It comes with {release.new}, and no setting changes it: read it, or {stay}.",
    )


def _alone(cause: Cause) -> bool:
    paths = [change.path for change in cause.settings]
    return cause.certain and not cause.files and paths == [f"kubeflow:{RELEASE}"]
