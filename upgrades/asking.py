"""Which conditions of an upgrade do not hold, by what a cluster and RDS answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from upgrades.table import Condition, Stored, Upgrade, Upgrades

SETTING = "kubeflow:upgradeConfirmed"
PAGE = "docs/upgrade.md#back-or-without-a-way"
KARPENTER = "addons/karpenter-"
"""The start of the name of the folder of each version of Karpenter."""
_KARPENTERS_PAGE = "docs/upgrade.md#karpenter-and-the-image-of-gpu-machines"
_OWN = "pulumi.com/patchForce"
"""The annotation of every object that a stack makes; the release itself changes those."""
_NAMED = 3
"""Objects that a sentence names; the others are counted."""


class Unanswered(Exception):
    """A question got no answer; the message is the reason, a part of a sentence."""


class Platform(Protocol):
    """What is asked; each method raises ``Unanswered``."""

    def objects(self, api: str, resource: str) -> Iterable[Mapping[str, Any]]:
        """All objects of a resource in all namespaces; none where the cluster has no such type."""
        ...

    def newest_snapshot(self) -> datetime | None:
        """When the newest complete snapshot of the database was taken; None: there is none."""
        ...


def old_release(olds: Mapping[str, Any], news: Mapping[str, Any], ways: Upgrades) -> str | None:
    """The release, or the version of Karpenter, that a stack has, by inputs of its CRDs.

    Args:
        olds: of the state: ``release``, which older versions of this project have not written, and
            ``digests`` of the CRDs; empty where the stack is new.
        news: of the program.
        ways: to the release of ``news``.

    Returns:
        None: a new stack. Empty: another release, which the state does not name.
    """
    if not olds:
        return None
    if named := olds.get("release"):
        return str(named)
    before: Collection[str] = olds.get("digests") or {}
    same = set(before) <= set(news["digests"])
    return ways.recognised(before) or (str(news["release"]) if same else "")


def setting_of(new: str) -> str:
    """The setting whose value a folder is: of a release, or of a version of Karpenter."""
    return "gpuPool.karpenterVersion" if new.startswith(KARPENTER) else "release"


def refusal(old: str, new: str, ways: Upgrades) -> str | None:
    """The sentence that refuses a way which is not declared; None: there is no change, or a way."""
    if old == new or old in ways.ways:
        return None
    way_out = f"or move the data by hand ({PAGE})"
    if new.startswith(KARPENTER):
        way_out = f"and see {_KARPENTERS_PAGE}"
    names = [each.removeprefix(KARPENTER) for each in ways.ways]
    known = f"from {' and '.join(names)} only" if names else "from none"
    has, wanted = old.removeprefix(KARPENTER), new.removeprefix(KARPENTER)
    return (
        f"kubeflow:{setting_of(new)} is {wanted}, and the stack has {has or 'another release'}: "
        f"there is a way to {wanted} {known}. Set it back{f' to {has}' if has else ''}, {way_out}."
    )


def unmet(
    way: Upgrade, platform: Platform, confirmed: Collection[str], now: datetime
) -> Iterator[str]:
    """A sentence per condition that does not hold, or whose answer is missing."""
    for condition in way.before:
        if condition.name in confirmed:
            continue
        try:
            obstacle = _in_the_way(condition, platform, now)
        except Unanswered as unanswered:
            obstacle = f"it could not be asked ({unanswered})"
        if obstacle:
            yield (
                f"The upgrade needs {condition.what}, because {condition.why}; {obstacle}: "
                f"{condition.way_out}, or add {condition.name} to {SETTING}."
            )


def _in_the_way(condition: Condition, platform: Platform, now: datetime) -> str:
    """What is in the way of an upgrade; empty: nothing."""
    if hours := condition.snapshot_hours:
        taken = platform.newest_snapshot()
        if taken is None:
            return "there is none"
        if now - taken > timedelta(hours=hours):
            return f"the newest is of {taken.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    names = [name for stored in condition.objects for name in _names(stored, platform)]
    if not names:
        return ""
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    *others, last = [*names[:_NAMED], *more]
    return f"{', '.join(others)} and {last} exist" if others else f"{last} exists"


def _names(stored: Stored, platform: Platform) -> list[str]:
    objects = platform.objects(stored.api, stored.resource)
    counted = [obj["metadata"] for obj in objects if _counts(stored, obj)]
    return sorted(f"the {stored.kind} {_called(each)}" for each in counted)


def _called(metadata: Mapping[str, Any]) -> str:
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _counts(stored: Stored, obj: Mapping[str, Any]) -> bool:
    """Whether an object is a user's, has not ended, and has one of the names and fields, if any."""
    if _OWN in (obj["metadata"].get("annotations") or {}):
        return False
    if stored.named and _called(obj["metadata"]) not in stored.named:
        return False
    ended = stored.unless
    if ended and any(value in ended.values for value in _at(obj, ended.path)):
        return False
    if not (stored.having or stored.texts or stored.holding):
        return True
    return (
        any(isinstance(value, str) for path in stored.texts for value in _at(obj, path))
        or any(value == each for path, each in stored.holding.items() for value in _at(obj, path))
        or any(
            value != stored.filled.get(path) for path in stored.having for value in _at(obj, path)
        )
    )


def _at(obj: Mapping[str, Any], path: str) -> Iterator[Any]:
    return _values(obj, path.split("."))


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """The values at a path; a list on the way stands for each of its items."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if path[0] in (name, "*"):
                yield from _values(inner, path[1:])
