"""One danger of a review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from review.causes import Cause
from review.changes import Change
from review.danger_rules import Rule


@dataclass(frozen=True)
class Danger:
    """One danger of a review: things of one kind to which the same happens from the same cause.

    Args:
        rank: lower is worse.
        kind: one of ``KINDS``.
        what: the kind of thing.
        event: ``replaced``, ``deleted``, ``changed`` or ``created``.
        names: of the things.
        happens: one sentence.
        lost: what cannot be had again; may be empty.
        avoid: the way out, one sentence.
        cause: why.
        unlock: what makes the engine accept it; empty where nothing refuses it.
        values: property changes that are the danger.
        taken: kinds of things that are replaced with it, and how many.
        objects: in the cluster, as ``upgrade.yaml`` names them; none of what is elsewhere.
        doable: whether the way out is something to do, and no value to put back.
        before: what must be true first, one sentence each.
        release: the newer release of Kubeflow, where the change of the release alone is the cause.
        reasons: why that release does it, and to which of the objects.
    """

    rank: int
    kind: str
    what: str
    event: str
    names: tuple[str, ...]
    happens: str
    lost: str
    avoid: str
    cause: Cause
    unlock: str = ""
    values: tuple[Change, ...] = ()
    taken: Mapping[str, int] = field(default_factory=dict[str, int])
    objects: tuple[str, ...] = ()
    doable: bool = False
    before: tuple[str, ...] = ()
    release: str = ""
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def comes_with_release(self) -> bool:
        """Whether it is of a release's own objects, and loses no data: nobody decides about it."""
        return bool(self.release and self.objects) and self.kind not in ("data", "left")


def danger_by(
    rule: Rule, name: str, event: str, cause: Cause, objects: Iterable[str] = ()
) -> Danger:
    """The danger of one thing that a rule describes.

    Args:
        rule: of ``dangers.yaml``.
        name: of the thing.
        event: see ``Danger``.
        cause: why.
        objects: see ``Danger``; empty names are left out.
    """
    return Danger(
        rank=rule.rank,
        kind=rule.kind,
        what=rule.what,
        event=event,
        names=(name,),
        happens=rule.happens,
        lost=rule.lost,
        avoid=rule.avoid,
        cause=cause,
        objects=tuple(filter(None, objects)),
        doable=rule.doable,
    )
